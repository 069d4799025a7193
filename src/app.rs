//! From a configuration to bound sockets, running threads and a drain.

pub mod admin;
