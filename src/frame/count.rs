//! How many frames a block of lines holds. `receive` counts with it what it hands to the pipeline, which
//! counts on its own what becomes of each: the ledger compares the two. Pure. Unit: one block.

use memchr::memchr_iter;

/// Counts the lines of `block` that are not empty. A line ends at a newline or with the block; carriage
/// returns alone are no content.
pub fn frames(block: &[u8]) -> u64 {
    let (mut count, mut start) = (0, 0);
    for end in memchr_iter(b'\n', block) {
        count += u64::from(has_content(&block[start..end]));
        start = end + 1;
    }
    count + u64::from(has_content(&block[start..]))
}

/// Most lines do not begin with a carriage return: then one byte decides.
#[inline]
fn has_content(line: &[u8]) -> bool {
    match line.first() {
        None => false,
        Some(b'\r') => line.iter().any(|byte| *byte != b'\r'),
        Some(_) => true,
    }
}

/// Splits `block` behind its first frame; empty lines before the frame belong to it.
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
