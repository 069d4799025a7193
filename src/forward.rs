//! stub
pub mod stdout;
