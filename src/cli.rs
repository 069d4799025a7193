//! The commands.

pub mod get;
pub mod healthcheck;
