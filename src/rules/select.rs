//! Conditions: a subset of CEL (`&& || ! == != < <= > >= in has contains startsWith endsWith matches`),
//! compiled when rules are loaded. An absent field makes a comparison false, also under `!`.

use crate::record::Record;
use crate::record::field::{FieldId, FieldTable};

/// A compiled condition.
#[derive(Clone, Debug)]
pub struct Condition {}

/// What is wrong with a condition's text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyntaxError {
    /// Byte offset in the text.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Condition {
    /// Compiles a condition; the fields that it names are interned.
    ///
    /// # Errors
    /// The text is no condition of the subset.
    pub fn parse(text: &str, fields: &mut FieldTable) -> Result<Condition, SyntaxError> {
        let _ = (text, fields);
        todo!()
    }

    /// Fields without which it is certainly false.
    pub fn required(&self) -> Vec<FieldId> {
        todo!()
    }

    /// `field == "constant"` pairs without which it is certainly false; rules are indexed by the first.
    pub fn equalities(&self) -> Vec<(FieldId, String)> {
        todo!()
    }

    /// Whether it holds for a record. Allocates nothing.
    pub fn holds(&self, record: &Record<'_>) -> bool {
        let _ = record;
        todo!()
    }
}
