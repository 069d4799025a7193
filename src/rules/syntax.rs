//! An error in a text that a user wrote, and a suggestion of the word that the user probably meant.
//! Unit: one condition, one pattern, one key.

use std::fmt;

/// An error in the text of a condition or a pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyntaxError {
    /// Byte offset in the text.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.offset, self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl std::error::Error for SyntaxError {}

impl SyntaxError {
    /// Creates an error without a hint.
    pub fn new(offset: usize, message: impl Into<String>) -> SyntaxError {
        SyntaxError { offset, message: message.into(), hint: None }
    }

    /// Adds a hint that says what to do.
    pub fn hint(self, hint: impl Into<String>) -> SyntaxError {
        SyntaxError { hint: Some(hint.into()), ..self }
    }
}

/// The longest word that is compared letter by letter; every name of ours is shorter.
const WORD_BYTES_MAX: usize = 64;
/// The most names that a word is compared with; a file may have ten thousand rules.
const CANDIDATES_MAX: usize = 1_000;

/// Returns the candidate that `word` was most likely meant to be: the one with the fewest edits, if
/// it is similar enough. Among equals, returns the first.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let mut best: Option<(usize, &str)> = None;
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    let comparable = candidates.into_iter().filter(|one| one.len() <= WORD_BYTES_MAX);
    let candidates = comparable.take(CANDIDATES_MAX);
    for candidate in candidates {
        let distance = edits(&word.to_ascii_lowercase(), &candidate.to_ascii_lowercase());
        // A third of the letters may be wrong; a suggestion beyond that is rarely useful.
        let allowed = word.len().max(candidate.len()).div_ceil(3);
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Returns whether two words differ by one typing error: one letter, or a swap of two neighbours.
pub(crate) fn is_typo(word: &str, known: &str) -> bool {
    word.len() <= WORD_BYTES_MAX
        && known.len() <= WORD_BYTES_MAX
        && word.len().abs_diff(known.len()) <= 1
        && edits(word, known) == 1
}

/// Returns how many insertions, deletions, replacements and swaps of neighbours turn `left` into
/// `right`.
fn edits(left: &str, right: &str) -> usize {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let width = right.len() + 1;
    let mut rows = vec![0usize; (left.len() + 1) * width];
    for row in 0..=left.len() {
        for column in 0..width {
            let at = row * width + column;
            if row == 0 || column == 0 {
                rows[at] = row + column;
                continue;
            }
            let differs = usize::from(left[row - 1] != right[column - 1]);
            let mut least = (rows[at - 1] + 1).min(rows[at - width] + 1);
            least = least.min(rows[at - width - 1] + differs);
            let swapped = row > 1
                && column > 1
                && left[row - 1] == right[column - 2]
                && left[row - 2] == right[column - 1];
            if swapped {
                least = least.min(rows[at - 2 * width - 2] + 1);
            }
            rows[at] = least;
        }
    }
    rows[rows.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word() {
        let keys = ["socket", "listen", "metrics", "rules", "health"];
        for (word, expected) in [
            ("sokcet", Some("socket")),
            ("Listen", Some("listen")),
            ("metric", Some("metrics")),
            ("rule", Some("rules")),
            ("banana", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, keys), expected, "{word:?}");
        }
        assert_eq!(nearest("ab", ["ac", "ad"]), Some("ac"), "of equals the first");
    }

    #[test]
    fn edits_count_letters() {
        for (left, right, expected) in
            [("", "", 0), ("a", "", 1), ("", "ab", 2), ("kitten", "sitting", 3), ("ab", "ba", 1)]
        {
            assert_eq!(edits(left, right), expected, "{left:?} {right:?}");
            assert_eq!(edits(right, left), expected, "{right:?} {left:?}");
        }
    }
}
