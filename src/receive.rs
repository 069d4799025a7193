//! Where bytes come in: a stream socket, a datagram socket, standard input. Each has its own
//! thread, which reads, cuts the bytes into whole lines and calls its own pipeline. `receive` is
//! given bound sockets and never binds (`bind` is for `app`). It waits for nothing but bytes, and
//! has no queue. Unit: one read.
//!
//! `worker` is the loop of every data thread. `stream`, `datagram` or `stdin` takes bytes from the
//! kernel, `intake` finds whole lines, the pipeline takes them through `FrameSink`, and `coalesce`
//! decides when to read again. `limits` bounds all of it.

pub mod bind;
pub mod coalesce;
pub mod control;
pub mod datagram;
pub mod intake;
pub mod limits;
pub mod meter;
pub mod stdin;
pub mod stream;
pub mod worker;
