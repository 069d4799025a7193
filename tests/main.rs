//! All tests that need a whole crate but no server, in one binary.

mod tidy;
mod truth;
