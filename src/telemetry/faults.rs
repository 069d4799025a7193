//! Deliberate losses, with which a test checks that the ledger reports a loss. Only tests set them
//! in code; no setting, flag or environment variable reaches them.

/// What each thread loses once without counting it. The default is nothing.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Faults {
    /// A data thread does not hand the first frame that it counts to its pipeline.
    pub lose_frame: bool,
    /// A pipeline does not process the first record that it decodes.
    pub lose_record: bool,
    /// An output does not send the first item that it takes from its outbox.
    pub lose_item: bool,
}
