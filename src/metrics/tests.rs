//! The registry and its shards against a plain recount, the limits, and scrapes while others write.

mod limits;
mod made;
mod recount;
mod writers;
