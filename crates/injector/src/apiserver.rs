//! The connection to a Kubernetes API server for the injector and for `check --cluster`. Unit: one
//! API server.

pub mod access;
pub mod client;
pub mod error;
