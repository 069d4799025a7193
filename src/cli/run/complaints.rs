//! Reports what is wrong with a configuration: in full on standard error, in short form for
//! `/health`. Unit: one load.

use crate::config::Loaded;
use crate::config::fault::Fault;
use crate::config::part::LayerState;
use crate::rules::settings::RuleError;

/// Reports what is wrong with the configuration; returns it in short form for `/health`.
pub(super) fn report(loaded: &Loaded, write: &mut dyn FnMut(&str)) -> Vec<String> {
    let mut complaints = Vec::new();
    for fault in &loaded.faults {
        write(&fault.to_string());
        complaints.push(short(fault));
    }
    for (layer, state) in loaded.broken() {
        let consequence = match state {
            LayerState::Kept => "its previous contents stay in force",
            LayerState::InForce | LayerState::LeftOut => "its rules are not in force",
        };
        write(&format!("sidelight: {layer} has errors; {consequence}\n"));
        complaints.push(format!("{layer} has errors; {consequence}"));
    }
    complaints
}

/// Reports rules that could not be compiled, in the same way.
pub(super) fn rule_complaints(
    loaded: &Loaded,
    errors: &[RuleError],
    mut complaints: Vec<String>,
    write: &mut dyn FnMut(&str),
) -> Vec<String> {
    for fault in loaded.locate_all(errors) {
        write(&fault.to_string());
        complaints.push(short(&fault));
    }
    complaints
}

/// Returns location and kind of a fault, without the text that it quotes.
fn short(fault: &Fault) -> String {
    match &fault.located {
        Some(at) => format!("{}:{}:{}: {}", at.file, at.line, at.column, fault.path),
        None => fault.path.clone(),
    }
}
