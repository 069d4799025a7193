//! Which records matter and what each does. Rules are written as plain settings (by a user, or built in:
//! `standard`), compiled once into a `RuleSet`, and only read on the way of a line.

pub mod extract;
pub mod select;
pub mod settings;
pub mod syntax;
pub mod template;
