//! Removes colours: a terminal's SGR sequences (ECMA-48 section 8.3.117) are not part of a message.
//! Unit: one line.

/// The position of the next character in an escape sequence.
#[derive(Clone, Copy)]
enum State {
    Text,
    Escape,
    Parameters,
}

/// Removes the escape sequences from `text`.
pub(super) fn strip(text: &mut String) {
    let mut state = State::Text;
    text.retain(|character| {
        let (next, is_text) = match (state, character) {
            (_, '\u{1b}') => (State::Escape, false),
            (State::Escape, '[') => (State::Parameters, false),
            // parameters and intermediates, then one final byte
            (State::Parameters, '\u{20}'..'\u{40}') => (State::Parameters, false),
            (State::Parameters, '\u{40}'..'\u{7f}') => (State::Text, false),
            _ => (State::Text, true),
        };
        state = next;
        is_text
    });
}
