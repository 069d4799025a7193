//! Losses on purpose, so that a test sees the ledger report them: a ledger that no loss can unbalance
//! proves nothing. Set in code by tests only; no setting, flag or variable of the process reaches it.

/// What each thread loses once without counting it. Nothing, by default.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Faults {
    /// A data thread does not hand the first frame that it counts to its pipeline.
    pub lose_frame: bool,
    /// A pipeline does not process the first record that it decodes.
    pub lose_record: bool,
    /// An output does not send the first item that it takes from its outbox.
    pub lose_item: bool,
}
