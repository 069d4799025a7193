//! All tests that look at sidelight from outside, in one binary.

mod export;
mod support;
