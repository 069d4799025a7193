//! Where the process stands in its life: one byte that everybody may read and only the drain moves on.
//! It never goes back. Unit: one process.

use std::sync::atomic::{AtomicU8, Ordering};

/// The phases of a life, in their order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Phase {
    /// Lines are read and effects happen: the only phase that is ready.
    Serving,
    /// A signal came; what the kernel accepted is still being read.
    Reading,
    /// All lines are read; batches and pairs go to the outboxes.
    Flushing,
    /// The outboxes empty into the exporters.
    Exporting,
    /// Everything is sent; a last scrape may still fetch the final values.
    Lingering,
    /// The admin port closes.
    Closed,
}

impl Phase {
    /// Lower-case name, for the log and for reports.
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

/// The cell that holds the phase.
#[derive(Debug)]
pub struct PhaseCell(AtomicU8);

impl PhaseCell {
    /// A process that begins: serving.
    pub fn new() -> PhaseCell {
        PhaseCell(AtomicU8::new(Phase::Serving as u8))
    }

    /// Where it stands now.
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

    /// Moves on to `phase`; an earlier one is ignored.
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
