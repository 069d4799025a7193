//! Colours off: a terminal's SGR sequences (ECMA-48 section 8.3.117) are no part of a message.

/// Copies `text` to the end of `to` without its escape sequences; gives what was copied last.
pub(super) fn strip(text: &str, to: &mut String) {
    let mut rest = text;
    while let Some(escape) = rest.find('\u{1b}') {
        to.push_str(&rest[..escape]);
        let behind = &rest[escape + 1..];
        let Some(parameters) = behind.strip_prefix('[') else {
            rest = behind;
            continue;
        };
        // parameters and intermediates, then one final byte
        let length = parameters.bytes().take_while(|byte| (0x20..0x40).contains(byte)).count();
        let has_end = parameters.as_bytes().get(length).is_some_and(|b| (0x40..0x7f).contains(b));
        rest = &parameters[length + usize::from(has_end)..];
    }
    to.push_str(rest);
}
