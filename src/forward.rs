//! Effect 4: passthrough. sidelight copies the received lines unchanged to standard output.
//! `stdout` is the data thread's side of it, `writer` the thread that writes. Unit: one line.

pub(crate) mod stdout;
pub(crate) mod writer;
