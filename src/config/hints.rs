//! Hints for the errors that the parser of YAML reports: what people usually did where it stops.
//! Pure. Unit: one error.

/// Returns what to do about an error at this byte of a text that is not YAML.
pub(super) fn hint(text: &str, at: usize) -> Option<String> {
    let at = text.floor_char_boundary(at.min(text.len()));
    let number = text[..at].matches('\n').count();
    let lines: Vec<&str> = text.lines().take(number + 1).collect();
    // the parser may stop at the line after the one that is wrong
    let here = lines.get(number).copied().unwrap_or_default();
    let before = lines.iter().take(number).rev().find(|line| !is_blank(line)).copied();
    if [Some(here), before].into_iter().flatten().any(|line| has_tab(&line)) {
        let hint = "replace the tab by spaces: YAML allows no tabs in an indentation";
        return Some(hint.to_owned());
    }
    if let Some(hint) = [Some(here), before].into_iter().flatten().find_map(unquoted_pattern) {
        return Some(hint);
    }
    if let Some(value) = [Some(here), before].into_iter().flatten().find_map(unquoted_colon) {
        return Some(format!("put quotes around the value: `{}` contains `: `", quoted(value)));
    }
    if let Some(quote) = [Some(here), before].into_iter().flatten().find_map(open_quote) {
        return Some(format!("close the value with {quote}"));
    }
    indentation(&lines, number)
}

fn is_blank(line: &str) -> bool {
    let text = line.trim_start();
    text.is_empty() || text.starts_with('#')
}

fn has_tab(line: &&str) -> bool {
    line.chars().take_while(|character| character.is_whitespace()).any(|space| space == '\t')
}

fn quoted(value: &str) -> String {
    let shown: String = value.chars().take(40).collect();
    if shown.len() < value.len() { format!("{shown}...") } else { shown }
}

/// Returns the value of `key: value` that contains a further `: ` outside of quotes and braces.
fn unquoted_colon(line: &str) -> Option<&str> {
    let text = line.trim_start();
    let text = text.strip_prefix("- ").unwrap_or(text).trim_start();
    let (key, value) = text.split_once(": ")?;
    let value = value.trim();
    let is_plain = !key.starts_with(['#', '{', '['])
        && !value.starts_with(['"', '\'', '{', '[', '|', '>', '&', '!', '#']);
    let value = value.split(" #").next().unwrap_or(value);
    (is_plain && (value.contains(": ") || value.ends_with(':'))).then_some(value)
}

/// Asks for quotes around a pattern that YAML reads as something else: `*.pdf` as the name of an
/// anchor, and `/a/{b}` in a list in brackets as a map.
fn unquoted_pattern(line: &str) -> Option<String> {
    let text = line.trim_start();
    let text = text.strip_prefix("- ").unwrap_or(text);
    let value = text.split_once(": ").map_or(text, |(_, value)| value).trim();
    if value.starts_with('#') {
        return None;
    }
    let list = value.strip_prefix('[');
    let mut items = list.unwrap_or(value).trim_end_matches(']').split(", ").map(str::trim);
    if let Some(item) = items.clone().find(|item| item.starts_with('*')) {
        return Some(format!("put quotes around `{}`: it begins with *", quoted(item)));
    }
    let is_map = |item: &&str| {
        !item.starts_with(['"', '\'', '{', '[']) && !item.contains(": ") && item.contains('{')
    };
    let item = items.find(is_map).filter(|_| list.is_some())?;
    Some(format!("put quotes around `{}`: it contains a brace", quoted(item)))
}

/// Returns the quote that a value opens and does not close.
fn open_quote(line: &str) -> Option<char> {
    let text = line.trim();
    let value = text.split_once(": ").map_or(text, |(_, value)| value).trim_start();
    let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''))?;
    (value.matches(quote).count() % 2 == 1).then_some(quote)
}

/// Says which indentations would be right, if that of the line is none of them.
fn indentation(lines: &[&str], number: usize) -> Option<String> {
    let width = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let line = lines.get(number).filter(|line| !is_blank(line))?;
    let own = width(line);
    let mut open: Vec<usize> = Vec::new();
    for line in lines.iter().take(number).filter(|line| !is_blank(line)) {
        open.retain(|&level| level < width(line));
        open.push(width(line));
        let item = line.trim_start();
        if let Some(inner) = item.strip_prefix("- ") {
            open.push(line.len() - inner.trim_start().len());
        }
    }
    if open.is_empty() || open.contains(&own) {
        return None;
    }
    let levels: Vec<String> = open.iter().map(ToString::to_string).collect();
    Some(format!("the line is indented by {own} spaces; the lines above by {}", levels.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        // `^` marks the place at which the parser stops
        let at = text.find('^').expect("a mark");
        let found = hint(&text.replace('^', ""), at);
        match expected {
            Some(part) => assert!(found.as_deref().is_some_and(|h| h.contains(part)), "{found:?}"),
            None => assert_eq!(found, None),
        }
    }

    /// Guarantees: each of the usual mistakes has a hint, and other text has none.
    #[test]
    fn usual_mistakes_have_hints() {
        check("socket:\n^\tpath: /a\n", Some("replace the tab by spaces"));
        check("a: 1\nhelp: Orders^: placed\n", Some("`Orders: placed` contains `: `"));
        check("- help: x: y # z\n  ^b: 1\n", Some("`x: y` contains `: `"));
        check("- name: \"open\n^listen: 1\n", Some("close the value with \""));
        check("a:\n    b: 1\n  ^c: 1\n", Some("indented by 2 spaces; the lines above by 0, 4"));
        check("rules:\n- name: a\n   ^when: x\n", Some("by 3 spaces; the lines above by 0, 2"));
        check("keep: [a, /b/^{c}, d]\n", Some("put quotes around `/b/{c}`: it contains a brace"));
        check("keep:\n  - ^*.pdf\n", Some("put quotes around `*.pdf`: it begins with *"));
        check("keep: [a, ^*]\n", Some("put quotes around `*`: it begins with *"));
        check("labels: [{a: b}, '/b/{c}', ^{\n", None);
        check("a: 1\n^b: 2\n", None);
        check("url: \"http://x: 1\"\n^c: 1\n", None);
        check("^", None);
    }
}
