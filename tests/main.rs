//! All tests that need a whole crate or the binary, as one test binary.

mod canaries;
#[path = "support/collector.rs"]
#[allow(dead_code)] // the exporter's test uses the rest
mod collector;
#[allow(clippy::disallowed_methods)] // it waits for other processes, which run in real time
mod commands;
#[allow(clippy::disallowed_methods)] // the same
mod console;
#[allow(clippy::disallowed_methods)] // it waits for commands, which run in real time
mod docs;
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
#[allow(clippy::disallowed_methods)] // the same
mod moves;
#[path = "support/outputs.rs"]
#[allow(clippy::disallowed_methods)] // the same
mod outputs;
mod own_formats;
#[path = "support/pages.rs"]
mod pages;
#[path = "support/pipeline.rs"]
mod pipeline;
#[path = "support/process.rs"]
#[allow(dead_code, clippy::disallowed_methods)] // the same
mod process;
#[allow(clippy::disallowed_methods)] // it waits for other processes
mod programs;
#[allow(clippy::disallowed_methods)] // it waits for another process, which runs in real time
mod protocols;
#[allow(clippy::disallowed_methods)] // it waits for another process, which runs in real time
mod recognition;
#[allow(clippy::disallowed_methods)] // it waits for another process, which runs in real time
mod settings;
#[path = "support/stand.rs"]
mod stand;
#[allow(clippy::disallowed_methods)] // it waits for another process, which runs in real time
mod stop;
mod tidy;
mod truth;
#[path = "support/volume.rs"]
mod volume;
