//! All tests that need a whole crate, in one binary.

mod golden;
#[path = "support/pipeline.rs"]
mod pipeline;
mod tidy;
mod truth;
