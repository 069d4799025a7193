//! The phase of the process: one byte that every thread may read and only the drain advances. It
//! never goes back. Unit: one process.

use std::sync::atomic::{AtomicU8, Ordering};

/// The phases of the process, in their order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Phase {
    /// The process reads lines and applies their effects. This is the only phase that is ready.
    Serving,
    /// A signal arrived; the process still reads what the kernel has accepted.
    Reading,
    /// All lines are read; batches and pairs go to the outboxes.
    Flushing,
    /// The exporters send what the outboxes hold.
    Exporting,
    /// Everything is sent; a final scrape may still fetch the last values.
    Lingering,
    /// The admin port closes.
    Closed,
}

impl Phase {
    /// Returns the lower-case name, for the log and for reports.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Serving => "serving",
            Phase::Reading => "reading",
            Phase::Flushing => "flushing",
            Phase::Exporting => "exporting",
            Phase::Lingering => "lingering",
            Phase::Closed => "closed",
        }
    }
}

/// The shared cell that holds the phase.
#[derive(Debug)]
pub struct PhaseCell(AtomicU8);

impl PhaseCell {
    /// Creates the cell in phase `Serving`.
    pub fn new() -> PhaseCell {
        PhaseCell(AtomicU8::new(Phase::Serving as u8))
    }

    /// Returns the current phase.
    pub fn get(&self) -> Phase {
        match self.0.load(Ordering::Acquire) {
            0 => Phase::Serving,
            1 => Phase::Reading,
            2 => Phase::Flushing,
            3 => Phase::Exporting,
            4 => Phase::Lingering,
            _ => Phase::Closed,
        }
    }

    /// Advances to `phase`; ignores a phase that is earlier than the current one.
    pub fn advance(&self, phase: Phase) {
        self.0.fetch_max(phase as u8, Ordering::AcqRel);
    }
}

impl Default for PhaseCell {
    fn default() -> Self {
        PhaseCell::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_never_goes_back() {
        let cell = PhaseCell::new();
        assert_eq!(cell.get(), Phase::Serving);
        for phase in
            [Phase::Reading, Phase::Flushing, Phase::Exporting, Phase::Lingering, Phase::Closed]
        {
            cell.advance(phase);
            assert_eq!(cell.get(), phase);
            cell.advance(Phase::Serving);
            assert_eq!(cell.get(), phase, "an earlier phase was taken");
        }
    }
}
