//! All tests that need a whole crate or the binary, in one binary of their own.

mod canaries;
#[path = "support/collector.rs"]
#[allow(dead_code)] // the exporter's test uses the rest
mod collector;
mod golden;
mod life;
#[path = "support/pipeline.rs"]
#[allow(dead_code)] // the bench's and the allocator's test use the rest
mod pipeline;
#[path = "support/process.rs"]
#[allow(dead_code)] // not every test asks for everything
mod process;
mod tidy;
mod truth;
