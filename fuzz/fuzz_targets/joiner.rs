//! Fuzzes the joiner with any lines, cut after any of them. Every line belongs to one record, and
//! the records do not depend on the cut: those that are settled at a cut, followed by those of the
//! rest, are those of the whole. Unit: one block of lines.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidelight::frame::multiline::{JOINED_BYTES_MAX, JOINED_LINES_MAX, joined, settled};
use std::ops::Range;

/// Cuts of one block: every line end, as long as there are not more.
const CUTS_MAX: usize = 100;

/// Returns the records of whole lines from `at` on, and their number of lines.
fn records(block: &[u8], mut at: usize) -> Vec<(Range<usize>, u64)> {
    let mut records = Vec::new();
    while at < block.len() {
        let newline = block[at..].iter().position(|&byte| byte == b'\n');
        let end = newline.map_or(block.len(), |length| at + length + 1);
        if block[at..end].iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            at = end;
            continue;
        }
        let (record_end, lines) = joined(block, at, end);
        assert!((end..=block.len()).contains(&record_end), "a record of {at}..{record_end}");
        assert!(record_end == end || record_end - at <= JOINED_BYTES_MAX, "{}", record_end - at);
        let (most, whole) = (JOINED_LINES_MAX as u64, &block[at..record_end]);
        let is_line = |line: &&[u8]| line.iter().any(|&byte| byte != b'\r');
        let counted = whole.split(|&byte| byte == b'\n').filter(is_line).count() as u64;
        assert!(lines == counted && lines <= most, "{lines} lines, {counted} counted");
        records.push((at..record_end, lines));
        at = record_end;
    }
    records
}

fuzz_target!(|data: &[u8]| {
    let mut block = data.to_vec();
    block.push(b'\n');
    let whole = records(&block, 0);
    let ends = (0..block.len()).filter(|&at| block[at] == b'\n').map(|at| at + 1);
    for cut in ends.take(CUTS_MAX) {
        let done = settled(&block[..cut]);
        assert!(done <= cut, "{done} bytes are settled of {cut}");
        let mut parts = records(&block[..done], 0);
        parts.extend(records(&block, done));
        assert_eq!(parts, whole, "cut after {cut} bytes, {done} of them settled");
    }
});
