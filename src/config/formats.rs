//! Reads the keys of the user's formats of lines. `rules` compiles what a pattern says. Unit: one
//! format.

use super::kind::{SettingKind, Zone};
use super::reader::{At, Keys, Reader};
use super::rules::RulePositions;
use super::units;
use crate::decode::formats::FORMATS_MAX;
use crate::rules::settings::{FormatSettings, Notation};
use jiff::tz::TimeZone;
use std::collections::HashSet;

/// Entries of a map of a format.
const ENTRIES_MAX: usize = 200;

/// Reads the list of formats, and notes where their values stand.
pub(super) fn read(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    places: &mut RulePositions,
) -> Vec<FormatSettings> {
    let list = reader.list(at);
    if list.len() > FORMATS_MAX {
        reader.refuse(at, format!("more than {FORMATS_MAX} formats"), "");
        return Vec::new();
    }
    let mut names = HashSet::new();
    let mut formats = Vec::new();
    for (index, at) in list.iter().enumerate() {
        let path = format!("formats[{index}]");
        let Some(format) = format(reader, at, &path, places) else {
            // one that cannot be read keeps its place, because errors name formats by number
            let pattern = "%(message)s".to_owned();
            formats.push(FormatSettings { pattern, ..FormatSettings::default() });
            continue;
        };
        if !format.name.is_empty() && !names.insert(format.name.clone()) {
            let message =
                format!("an earlier format of the file has the name `{}`, too", format.name);
            reader.refuse(at, message, "give each format of a file another name");
        }
        formats.push(format);
    }
    formats
}

fn format(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    path: &str,
    places: &mut RulePositions,
) -> Option<FormatSettings> {
    let mut keys = reader.keys(at)?;
    let mut found = FormatSettings::default();
    places.put(path.to_owned(), at);
    let mut text = |reader: &mut Reader<'_>, keys: &mut Keys<'_>, key: &'static str| {
        let at = keys.take(key)?;
        places.put(format!("{path}.{key}"), &at);
        reader.text(&at).map(str::to_owned)
    };
    found.name = text(reader, &mut keys, "name").unwrap_or_default();
    let mut patterns = Vec::new();
    for notation in Notation::ALL {
        if let Some(pattern) = text(reader, &mut keys, notation.name()) {
            patterns.push((notation, pattern));
        }
    }
    found.datefmt = text(reader, &mut keys, "datefmt");
    let style = keys.take("style").and_then(|at| {
        let words = [("%", '%'), ("{", '{'), ("$", '$')];
        reader.parsed(&at, |text| units::choice(text, &words))
    });
    found.style = style;
    let escape = keys.take("escape").and_then(|at| {
        let words = [("default", "default"), ("json", "json"), ("none", "none")];
        reader.parsed(&at, |text| units::choice(text, &words))
    });
    found.escape = escape.map(str::to_owned);
    let zone = keys.take("time_zone");
    found.time_zone = zone.and_then(|at| {
        places.put(format!("{path}.time_zone"), &at);
        reader.parsed(&at, |text| <Zone as SettingKind>::parse(text, None, &TimeZone::UTC))
    });
    found.fields = map(reader, &mut keys, "fields", path, places);
    found.levels = map(reader, &mut keys, "levels", path, places);
    found.patterns = map(reader, &mut keys, "patterns", path, places);
    reader.finish(&keys);
    if patterns.len() != 1 {
        let names: Vec<&str> = Notation::ALL.iter().map(|notation| notation.name()).collect();
        let message = format!("one of {} is expected", names.join(", "));
        reader.refuse(at, message, "as in `nginx: '$remote_addr - $status'`");
    }
    let (notation, pattern) = patterns.into_iter().next()?;
    only_for(reader, at, notation, &found);
    Some(FormatSettings { notation, pattern, ..found })
}

/// Refuses settings that the notation does not have.
fn only_for(reader: &mut Reader<'_>, at: &At<'_>, notation: Notation, found: &FormatSettings) {
    use Notation as N;
    let is_of = |of: &[Notation]| of.contains(&notation);
    for (key, is_there, is_right, of) in [
        (
            "datefmt",
            found.datefmt.is_some(),
            is_of(&[N::Python, N::Regex, N::Grok]),
            "python, regex and grok",
        ),
        ("style", found.style.is_some(), is_of(&[N::Python]), "python"),
        ("escape", found.escape.is_some(), is_of(&[N::Nginx]), "nginx"),
        ("patterns", !found.patterns.is_empty(), is_of(&[N::Grok]), "grok"),
    ] {
        if is_there && !is_right {
            let message = format!("`{key}` has no meaning beside `{}`", notation.name());
            reader.refuse(at, message, &format!("it belongs to {of}"));
        }
    }
}

/// Reads a map of names and texts.
fn map(
    reader: &mut Reader<'_>,
    keys: &mut Keys<'_>,
    key: &'static str,
    path: &str,
    places: &mut RulePositions,
) -> Vec<(String, String)> {
    let Some(at) = keys.take(key) else { return Vec::new() };
    places.put(format!("{path}.{key}"), &at);
    let Some(map) = reader.keys(&at) else { return Vec::new() };
    let all = map.all();
    if all.len() > ENTRIES_MAX {
        reader.refuse(&at, format!("more than {ENTRIES_MAX} entries"), "");
    }
    let mut found = Vec::new();
    for (name, value) in all.into_iter().take(ENTRIES_MAX) {
        if let Some(text) = reader.text(&value) {
            found.push((name.key().to_owned(), text.to_owned()));
        }
    }
    found
}
