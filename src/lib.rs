//! sidelight
#![forbid(unsafe_code)]

pub mod app;
pub mod cli;
pub mod clock;
pub mod decode;
pub mod frame;
pub mod health;
pub mod metrics;
pub mod outbox;
pub mod phase;
pub mod pipeline;
pub mod record;
pub mod resource;
pub mod rules;
pub mod serve;
pub mod spans;
pub mod telemetry;
