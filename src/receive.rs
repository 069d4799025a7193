//! Receives bytes from a stream socket, a datagram socket and standard input. Each input has a
//! separate thread, which reads, splits the bytes into whole lines and calls its pipeline.
//! `receive` gets bound sockets and never binds them (`app` uses `bind` for that). It blocks only
//! to wait for bytes, and has no queue. Unit: one read.
//!
//! `worker` is the loop of every data thread. `stream`, `datagram` or `stdin` takes bytes from the
//! kernel, `intake` finds whole lines, the pipeline takes them through `FrameSink`, and `coalesce`
//! decides when to read again. `limits` bounds all of it.

pub mod bind;
pub(crate) mod coalesce;
pub(crate) mod control;
pub(crate) mod datagram;
pub mod intake;
pub(crate) mod limits;
pub mod meter;
pub(crate) mod stdin;
pub(crate) mod stream;
pub(crate) mod worker;
