//! Which records matter and what each does. Rules are written as plain settings (`settings`) or
//! built in (`standard`), compiled once into a [`set::RuleSet`], and only read on the way of a
//! line. No I/O, no clock; what a rule names leaves the pod only through the labels it asks for.

pub mod action;
pub mod compile;
pub mod evaluate;
pub mod extract;
pub mod select;
pub mod set;
pub mod settings;
pub mod sql;
pub mod standard;
pub mod syntax;
pub mod template;
