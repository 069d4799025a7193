//! Reads paths from standard input, one a line, and logs a request for each with `tracing`: to standard output and to
//! sidelight.

mod sidelight;

use std::io::BufRead;
use tracing_subscriber::fmt::writer::MakeWriterExt;

fn main() {
    let copier = sidelight::Copier::default();
    let both = std::io::stdout.and(move || copier.clone());
    tracing_subscriber::fmt().json().with_writer(both).init();
    for path in std::io::stdin().lock().lines().map_while(Result::ok) {
        tracing::info!(method = "GET", path, status = 200, duration_ms = 3.5, "request");
    }
}
