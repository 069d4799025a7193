//! Captures: a pattern over one field, compiled when rules are loaded.

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Extract {}
