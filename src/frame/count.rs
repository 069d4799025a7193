//! Counts the frames in a block of lines. `receive` uses it to count what it passes to the
//! pipeline, which counts independently what happens to each frame; the ledger compares the two.
//! Pure. Unit: one block.

use memchr::memchr_iter;

/// Counts the lines of `block` that are not empty. A line ends at a newline or with the block; a
/// line of carriage returns only is empty.
pub fn frames(block: &[u8]) -> u64 {
    let (mut count, mut start) = (0, 0);
    for end in memchr_iter(b'\n', block) {
        count += u64::from(has_content(&block[start..end]));
        start = end + 1;
    }
    count + u64::from(has_content(&block[start..]))
}

/// Returns whether a line is not empty. One byte usually decides, because most lines do not begin
/// with a carriage return.
#[inline]
fn has_content(line: &[u8]) -> bool {
    match line.first() {
        None => false,
        Some(b'\r') => line.iter().any(|byte| *byte != b'\r'),
        Some(_) => true,
    }
}

/// Splits `block` after its first frame; empty lines before the frame belong to it.
pub fn split_first(block: &[u8]) -> (&[u8], &[u8]) {
    let mut start = 0;
    for end in memchr_iter(b'\n', block) {
        if has_content(&block[start..end]) {
            return block.split_at(end + 1);
        }
        start = end + 1;
    }
    (block, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_content_are_frames() {
        for (block, count, first) in [
            ("", 0, ""),
            ("\n", 0, "\n"),
            ("\r\n\r\r\n\r", 0, "\r\n\r\r\n\r"),
            ("a", 1, "a"),
            ("a\n", 1, "a\n"),
            ("a\r\nb\r\n", 2, "a\r\n"),
            ("\n\na\n\nb", 2, "\n\na\n"),
            ("\ra\n \n", 2, "\ra\n"),
        ] {
            assert_eq!(frames(block.as_bytes()), count, "{block:?}");
            assert_eq!(split_first(block.as_bytes()).0, first.as_bytes(), "{block:?}");
        }
    }
}
