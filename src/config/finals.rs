//! Enforces the settings that the platform made final. Unit: one configuration.
//!
//! Decision: a final number, size, share or duration can be lowered, but not raised; a final word,
//! text, flag or list cannot be changed at all. A limit bounds what a pod may use, and using less
//! is always allowed. Words have no such order.

use super::fault::{Fault, Level, Located};
use super::setting::Setting;
use super::settings::Config;
use super::tree::Source;

/// A final setting, and the position that declares it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Final {
    pub(super) setting: &'static Setting,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Reverts values that exceed the final settings of `cluster`. `place` returns the position of a
/// value.
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
            hint: Some(
                "the platform's value stays in force; only the platform can change it".to_owned(),
            ),
            located: place(setting.path),
        });
    }
    faults
}
