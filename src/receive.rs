//! Where bytes come in: a stream socket, a datagram socket, standard input; each with a thread of its own
//! that reads, cuts the bytes into whole lines and hands them to its own pipeline. It is handed bound sockets
//! and never binds (`bind` is for `app`). It never waits for anything but bytes, and never queues.
//! Unit: one read.
//!
//! The way of a byte: `stream`, `datagram` or `stdin` takes it from the kernel; `intake` finds what is whole;
//! a `delivery` hands it on; `nap` says when to look again. `limits` bounds all of it.

pub mod bind;
pub mod control;
pub mod datagram;
pub mod delivery;
pub mod intake;
pub mod limits;
pub mod meter;
pub mod nap;
pub mod stdin;
pub mod stream;
