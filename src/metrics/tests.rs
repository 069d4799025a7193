//! Tests of the registry and its shards: against a plain recount, at the limits, and with scrapes
//! during writes.

mod limits;
mod made;
mod recount;
mod writers;
