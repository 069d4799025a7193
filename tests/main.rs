//! All tests that need a whole crate or the binary, as one test binary.

mod canaries;
#[path = "support/collector.rs"]
#[allow(dead_code)] // the exporter's test uses the rest
mod collector;
#[allow(clippy::disallowed_methods)] // it waits for other processes, which run in real time
mod console;
mod document;
mod formats;
mod golden;
mod imports;
#[allow(clippy::disallowed_methods)] // it waits for another process, which runs in real time
mod layers;
mod ledger;
#[allow(clippy::disallowed_methods)] // it waits for another process, which runs in real time
mod life;
#[allow(clippy::disallowed_methods)] // the same
mod metrics;
#[path = "support/outputs.rs"]
#[allow(clippy::disallowed_methods)] // the same
mod outputs;
#[path = "support/process.rs"]
#[allow(dead_code, clippy::disallowed_methods)] // the same
mod process;
#[path = "support/pipeline.rs"]
mod process_status;
#[allow(clippy::disallowed_methods)] // it waits for other processes
mod programs;
mod readme;
#[allow(clippy::disallowed_methods)] // it waits for another process, which runs in real time
mod settings;
#[path = "support/stand.rs"]
mod stand;
#[allow(clippy::disallowed_methods)] // it waits for another process, which runs in real time
mod stop;
mod tidy;
mod truth;
