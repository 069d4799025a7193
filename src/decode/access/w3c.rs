//! Reads W3C logs of IIS: the directive `#Fields` names the columns of the lines after it; without
//! one the default columns of IIS count. Unit: one line.

use super::columns::{columns, is_method, is_status, put};
use crate::record::columns::{Column, Columns};
use crate::record::field::{
    CLIENT_ADDRESS, DURATION, HTTP_METHOD, HTTP_STATUS, TIMESTAMP, URL_PATH, USER_AGENT, Unit,
};
use crate::record::slots::SlotValue;
use crate::record::{Decoded, Format};

/// The directives of the extended log file format.
const DIRECTIVES: &[&str] =
    &["Version", "Fields", "Software", "Start-Date", "End-Date", "Date", "Remark"];

/// Returns whether a line is a directive, which describes the lines after it.
pub(crate) fn is_directive(line: &str) -> bool {
    let name = line.strip_prefix('#').and_then(|rest| rest.split_once(':'));
    name.is_some_and(|(name, _)| DIRECTIVES.contains(&name))
}

/// Remembers the columns that a line `#Fields: date time ...` names.
#[cold]
pub(crate) fn directive(line: &str, into: &mut Decoded) {
    let Some(names) = line.strip_prefix("#Fields:") else { return };
    into.columns = Columns::parse(names).unwrap_or_default();
}

/// Reads a line that begins with a date and a time.
pub(super) fn read(line: &str, into: &mut Decoded) -> Option<()> {
    if into.columns.count == 0 { by_default(line, into) } else { by_directive(line, into) }
}

/// Reads a line with the columns of the directive. A line with another number of columns, or with a
/// column of another form, is not one.
fn by_directive(line: &str, into: &mut Decoded) -> Option<()> {
    let bytes = line.as_bytes();
    let named = into.columns;
    let (all, count) = columns(bytes, 0);
    let is_dated = named.list[..2] == [Column::Date, Column::Time];
    if count != named.count || !is_dated {
        return None;
    }
    let mut has_status = false;
    put(&mut into.slots, TIMESTAMP, (0, all[1].1));
    for (&span, column) in all[..count].iter().zip(named.list) {
        let text = &bytes[span.0..span.1];
        let field = match column {
            Column::Date | Column::Time | Column::Other => continue,
            _ if text == b"-" => continue,
            Column::Method if is_method(text) => HTTP_METHOD,
            Column::Path if text.starts_with(b"/") => URL_PATH,
            Column::Client => CLIENT_ADDRESS,
            Column::Agent => USER_AGENT,
            Column::Status if is_status(text) => HTTP_STATUS,
            Column::TimeTaken if text.iter().all(u8::is_ascii_digit) => {
                let entry =
                    SlotValue { unit: Unit::Milliseconds, ..SlotValue::text(span.0, span.1) };
                into.slots.put(DURATION, entry);
                continue;
            }
            Column::Method | Column::Path | Column::Status | Column::TimeTaken => return None,
        };
        has_status |= field == HTTP_STATUS;
        put(&mut into.slots, field, span);
    }
    into.format = Format::Access;
    has_status.then_some(())
}

/// Reads `date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent)
/// [cs(Referer)] sc-status sc-substatus sc-win32-status time-taken`. The last is in milliseconds.
fn by_default(line: &str, into: &mut Decoded) -> Option<()> {
    let bytes = line.as_bytes();
    let (all, count) = columns(bytes, 0);
    let text = |number: usize| &line[all[number].0..all[number].1];
    let is_integer = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !matches!(count, 14 | 15) || !(count - 4..count).all(|number| is_integer(text(number))) {
        return None;
    }
    if !is_method(text(3).as_bytes()) || !text(4).starts_with('/') || !is_integer(text(6)) {
        return None;
    }
    if !is_status(text(count - 4).as_bytes()) {
        return None;
    }
    let slots = &mut into.slots;
    put(slots, TIMESTAMP, (0, all[1].1));
    put(slots, HTTP_METHOD, all[3]);
    put(slots, URL_PATH, all[4]);
    put(slots, CLIENT_ADDRESS, all[8]);
    if text(9) != "-" {
        put(slots, USER_AGENT, all[9]);
    }
    put(slots, HTTP_STATUS, all[count - 4]);
    let (start, end) = all[count - 1];
    slots.put(DURATION, SlotValue { unit: Unit::Milliseconds, ..SlotValue::text(start, end) });
    into.format = Format::Access;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::text::fixture::{all_of, expected};

    fn check(directive: &str, line: &str, fields: &[(&str, &str)]) {
        let mut into = Decoded::new();
        super::directive(directive, &mut into);
        assert_eq!(crate::decode::access::read(line, &mut into), !fields.is_empty(), "{line}");
        assert_eq!(all_of(line, &into), expected(fields), "{line}");
    }

    /// Guarantees: the directive decides which column is what, and a line that does not fit it is
    /// not read.
    #[test]
    fn the_directive_names_the_columns() {
        const AT: (&str, &str) = ("timestamp", "2026-01-02 03:04:04");
        let took = ("duration", "12ms");
        let (get, path) = (("http.request.method", "GET"), ("url.path", "/orders/17"));
        let status = ("http.response.status_code", "200");
        check(
            "#Fields: date time cs-method cs-uri-stem sc-status time-taken",
            "2026-01-02 03:04:04 GET /orders/17 200 12",
            &[AT, took, get, path, status],
        );
        check(
            "#Fields: date time s-sitename s-ip c-ip time-taken cs-method sc-status cs-uri-stem cs(User-Agent)",
            "2026-01-02 03:04:04 W3SVC1 10.0.0.1 192.0.2.7 12 GET 200 /orders/17 curl/8",
            &[
                AT,
                ("client.address", "192.0.2.7"),
                ("user_agent.original", "curl/8"),
                took,
                get,
                path,
                status,
            ],
        );
        let short = "#Fields: date time cs-method sc-status";
        check(short, "2026-01-02 03:04:04 GET 200", &[AT, get, status]);
        check(short, "2026-01-02 03:04:04 GET - ", &[]);
        check(short, "2026-01-02 03:04:04 GET 200 12", &[]);
        check(short, "2026-01-02 03:04:04 GET ready", &[]);
        check("#Fields: cs-method sc-status date time", "2026-01-02 03:04:04 GET 200", &[]);
        check("#Software: IIS", "2026-01-02 03:04:04 GET 200", &[]);
        let many = format!("#Fields:{}", " x".repeat(40));
        check(&many, "2026-01-02 03:04:04 GET 200", &[]);
    }
}
