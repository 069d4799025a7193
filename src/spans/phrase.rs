//! stub
/// x
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PhraseKind {
    /// x
    Started,
    /// x
    Completed,
    /// x
    Failed,
}
/// x
#[derive(Debug, Clone, Copy)]
pub struct Phrase<'a> {
    /// x
    pub kind: PhraseKind,
    /// x
    pub subject: &'a str,
    /// x
    pub seconds: Option<f64>,
}
/// x
pub fn read(body: &str, failing: bool) -> Option<Phrase<'_>> { let _ = (body, failing); None }
