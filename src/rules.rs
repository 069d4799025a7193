//! Rules decide which records matter and what each record does. A rule comes from plain settings
//! (`settings`) or is built in (`standard`). Rules are compiled once into a [`set::RuleSet`], which
//! is read-only while lines are processed. No I/O, no clock. A field leaves the pod only through a
//! label that a rule declares.

pub(crate) mod action;
pub mod compile;
pub(crate) mod evaluate;
pub mod extract;
pub(crate) mod formats;
pub mod routes;
pub mod select;
pub mod set;
pub mod settings;
pub(crate) mod sql;
pub mod standard;
pub(crate) mod syntax;
pub mod template;
