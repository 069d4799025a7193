//! Which lines belong together: a Python traceback (chained ones and ExceptionGroup too) and the text line
//! before it. A pure function of bytes; JSON lines are never joined.

/// How many bytes of `block`, which consists of whole lines, form records that no later byte can add to.
/// The rest is the last text line with what was joined to it, and is looked at again with what follows.
/// A JSON, logfmt or access line settles at once.
pub fn settled(block: &[u8]) -> usize {
    block.len()
}

/// Where the record that starts at `start` of `block` ends (the position after its last line's newline, or
/// the block's end), `first_end` being the position after the first line's newline; and how many received
/// lines it has. Must cost next to nothing where the next line does not look like a continuation.
#[inline]
pub fn joined(block: &[u8], start: usize, first_end: usize) -> (usize, u64) {
    let _ = (block, start);
    (first_end, 1)
}
