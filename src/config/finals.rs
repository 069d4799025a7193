//! Settings that the platform made final, held against later layers. Unit: one configuration.
//!
//! Decision: a final number, size, share or duration cannot be raised, but lowered; a final word, text, flag
//! or list cannot be changed at all. A limit is there to bound what a pod costs, and whoever wants less of it
//! may have less; of a word nobody knows which way is up.

use super::fault::{Fault, Level, Located};
use super::setting::Setting;
use super::settings::Config;
use super::tree::Source;

/// A setting that is final, and where that is said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Final {
    pub(super) setting: &'static Setting,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Takes back what goes beyond the final settings of `cluster`; `place` finds where it was said.
pub(super) fn hold(
    finals: &[Final],
    cluster: (&Source, &Config),
    config: &mut Config,
    place: impl Fn(&str) -> Option<Located>,
) -> Vec<Fault> {
    let (source, most) = cluster;
    let mut faults: Vec<Fault> = Vec::new();
    for Final { setting, start, end } in finals {
        let wanted = (setting.shown)(config);
        if !(setting.hold)(most, config) {
            continue;
        }
        let Located { file, line, column, .. } = source.find(*start, *end);
        let stays = match (wanted, (setting.shown)(most)) {
            (Some(wanted), Some(shown)) if setting.kind.is_bound() => {
                format!("{wanted} is more than {shown}")
            }
            _ => "it cannot be changed".to_owned(),
        };
        faults.push(Fault {
            level: Level::Warning,
            path: setting.path.to_owned(),
            message: format!("the platform made this final ({file}:{line}:{column}): {stays}"),
            hint: Some("the platform's value stays; ask who keeps it".to_owned()),
            located: place(setting.path),
        });
    }
    faults
}
