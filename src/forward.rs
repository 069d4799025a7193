//! Effect 4: what leaves as it came. So far the lines received, unchanged, to standard output: a
//! data thread's end of it in `stdout`, the thread that writes in `writer`. Unit: one line.

pub mod stdout;
pub mod writer;
