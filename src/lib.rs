//! sidelight
#![forbid(unsafe_code)]

pub mod cli;
pub mod clock;
pub mod config;
pub mod decode;
pub mod frame;
pub mod health;
pub mod metrics;
pub mod outbox;
pub mod pipeline;
pub mod record;
pub mod resource;
pub mod rules;
pub mod spans;
pub mod telemetry;
