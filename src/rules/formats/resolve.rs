//! Finds the field that a name in a format means: what the settings say, what the notation
//! defines, or what the name means as a key of a structured line. Unit: one name.

use super::notation::Context;
use crate::clock::UnixNanos;
use crate::decode::formats::program::{Field, Meaning, TimeForm};
use crate::decode::time::pattern::{Civil, Item, Part, TimePattern, write};
use crate::decode::time::{MinuteCache, Zone, parse};
use crate::record::field::{
    BODY, CLIENT_ADDRESS, DURATION, FIRST_OWN, FRAMEWORK, FieldId, FieldTable, HTTP_STATUS,
    REQUEST_LINE, SEVERITY, TIMESTAMP, URL_PATH, Unit,
};
use crate::rules::syntax::SyntaxError;
use jiff::tz::TimeZone;

/// Returns how values of a standard field are read.
pub(super) fn meaning_of(field: FieldId) -> Meaning {
    match field {
        BODY => Meaning::Message,
        SEVERITY => Meaning::Level,
        TIMESTAMP => Meaning::Time,
        HTTP_STATUS => Meaning::Status,
        DURATION => Meaning::Duration,
        REQUEST_LINE => Meaning::Request,
        CLIENT_ADDRESS => Meaning::Client,
        URL_PATH => Meaning::Path,
        _ => Meaning::Text,
    }
}

/// Creates the field that a name means. `to` is what the notation defines it to be.
pub(super) fn field(
    name: &str,
    to: Option<FieldId>,
    context: &Context<'_>,
    fields: &mut FieldTable,
) -> Field {
    let mut field = Field::unwanted();
    let binding = fields.binding(name).filter(|_| name.len() > 1);
    let mapped = context.settings.fields.iter().find(|(known, _)| known == name);
    if let Some((_, meant)) = mapped {
        map_to(meant, &mut field, fields);
        if field.unit == Unit::None {
            field.unit = Unit::of_suffix(name);
        }
    } else if let Some(to) = to {
        field.to = to;
    } else if let Some(binding) = binding.filter(|binding| binding.field != FRAMEWORK) {
        field.to = binding.field;
        field.unit = binding.unit;
    }
    if let Some(binding) = binding {
        // a rule may name the key as it is written
        let own = [binding.field, binding.also]
            .into_iter()
            .find(|of| *of != FieldId::NONE && of.0 >= FIRST_OWN && *of != field.to);
        field.also = own.unwrap_or(field.also);
    }
    field.meaning = meaning_of(field.to);
    if field.meaning == Meaning::Level {
        let levels = context.settings.levels.iter();
        field.levels = levels
            .filter_map(|(word, level)| Some((Box::from(word.as_str()), level_name(level)?)))
            .collect();
    }
    field
}

/// Gives a field the meaning that the settings name: a field by its name, or by one of the keys of
/// structured lines.
fn map_to(meant: &str, field: &mut Field, fields: &mut FieldTable) {
    let standard = (0..FIRST_OWN).map(FieldId).find(|of| fields.name(*of) == meant);
    let binding = fields.binding(meant).filter(|_| meant.len() > 1);
    match (standard, binding) {
        (Some(standard), _) => field.to = standard,
        (None, Some(binding)) if binding.field != FRAMEWORK => {
            field.to = binding.field;
            field.also = binding.also;
            field.unit = binding.unit;
            field.rank = binding.rank;
        }
        _ => field.to = fields.intern(meant),
    }
}

/// Returns the usual name of a level.
fn level_name(level: &str) -> Option<&'static str> {
    use crate::record::severity::Severity;
    let severity = Severity::from_text(level);
    LEVELS.iter().copied().find(|name| Severity::from_text(name) == severity)
}

/// The names of levels that formats may cut or replace.
pub(super) const LEVELS: &[&str] = &[
    "TRACE", "DEBUG", "INFO", "NOTICE", "SUCCESS", "WARNING", "WARN", "ERROR", "SEVERE",
    "CRITICAL", "FATAL", "ALERT", "CONFIG", "FINE", "FINEST", "emerg", "panic", "crit", "dpanic",
];

/// Compiles the form of a time.
///
/// # Errors
/// Returns an error if the parts are not a time, or if the zone cannot be used.
pub(super) fn time(
    parts: Vec<Part>,
    zone: Option<&TimeZone>,
    offset: usize,
) -> Result<TimeForm, SyntaxError> {
    let pattern = TimePattern::new(parts);
    let has = |item| pattern.has(item);
    let has_date = (has(Item::Month) || has(Item::MonthName)) && has(Item::Day);
    let has_part = has(Item::Month) || has(Item::MonthName) || has(Item::Day);
    let error = |message: &str, hint: &str| Err(SyntaxError::new(offset, message).hint(hint));
    if has_part && !has_date {
        return error("the date is not whole", "it needs a month and a day");
    }
    if has(Item::HalfDayHour) && !has(Item::HalfDay) {
        return error("an hour from 1 to 12 without AM or PM", "use the hour from 0 to 23");
    }
    let has_hour = has(Item::Hour) || has(Item::HalfDayHour);
    if !has_date && !has_hour && !has(Item::Epoch) {
        return error("there is neither a date nor an hour in it", "as in 2026-01-02 03:04:05");
    }
    let names_zone = has(Item::Offset) || has(Item::ZoneName) || has(Item::Epoch);
    let zone = zone.filter(|_| !names_zone).map(|zone| match zone.to_fixed_offset() {
        Ok(offset) if offset.seconds() == 0 => Zone::Utc,
        Ok(offset) => Zone::Fixed(offset.seconds()),
        Err(_) => Zone::Named(zone.clone()),
    });
    let has_year = has(Item::Year) || has(Item::ShortYear);
    if matches!(zone, Some(Zone::Named(_))) && !(has_date && has_year) {
        return error("a zone with daylight saving time needs the whole date", "use an offset");
    }
    let is_rewritten = zone.is_some() || (!has(Item::Epoch) && is_ambiguous(&pattern));
    Ok(TimeForm { pattern, zone, is_rewritten })
}

/// Returns whether the general reader of times would read some times of this form differently, or
/// not at all.
fn is_ambiguous(pattern: &TimePattern) -> bool {
    let samples = [
        ((2026, 1, 2), (3, 4, 5), 6_007_008, 0),
        ((2026, 11, 21), (15, 16, 17), 890_000_000, 3600),
        ((2025, 12, 31), (23, 59, 58), 999_999_999, 0),
        ((2026, 5, 4), (12, 5, 9), 0, 3600),
        ((2027, 7, 12), (0, 30, 0), 123_000_000, 0),
    ];
    samples.into_iter().any(|((year, month, day), clock, nanos, east)| {
        let sample = Civil {
            year: Some(year),
            month_day: Some((month, day)),
            clock,
            nanos,
            offset: Some(east),
        };
        let now = sample.seconds().unwrap_or(0).unsigned_abs() * 1_000_000_000;
        let shown = pattern.show(&sample);
        let general =
            |text: &str| parse(text, &Zone::Utc, UnixNanos(now), &mut MinuteCache::default());
        let mut exact = String::new();
        let Some(read) = pattern.read(&shown) else { return true };
        write(&read, None, &mut exact);
        general(&exact).is_none() || general(&exact) != general(&shown)
    })
}
