//! sidelight
#![forbid(unsafe_code)]

pub mod clock;
pub mod record;
pub mod resource;
