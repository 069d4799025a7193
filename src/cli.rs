//! The commands.

pub mod healthcheck;
