//! The page being written, and what both kinds of families share: the lines that say what a family
//! is.

/// An exposition on its way out.
#[derive(Debug)]
pub(super) struct Page<'a> {
    pub(super) out: &'a mut Vec<u8>,
    /// OpenMetrics, not the classic format.
    pub(super) open: bool,
}

/// What the lines before a family's samples say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header<'a> {
    /// `_total` included for counters.
    pub(super) name: &'a str,
    pub(super) help: &'a str,
    /// Empty for none.
    pub(super) unit: &'a str,
    pub(super) kind: &'a str,
}

impl Page<'_> {
    pub(super) fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// HELP, TYPE and UNIT. OpenMetrics names a counter's family without `_total`, takes a unit
    /// only where the name ends in it, and escapes quotes in the help, which the classic format
    /// does not.
    pub(super) fn header(&mut self, header: Header<'_>) {
        let mut name = header.name;
        if self.open && header.kind == "counter" {
            name = name.strip_suffix("_total").unwrap_or(name);
        }
        if !header.help.is_empty() {
            self.line(["# HELP ", name, " "]);
            for c in header.help.chars() {
                match c {
                    '\\' => self.put("\\\\"),
                    '\n' => self.put("\\n"),
                    '"' if self.open => self.put("\\\""),
                    c => self.put(c.encode_utf8(&mut [0; 4])),
                }
            }
            self.put("\n");
        }
        self.line(["# TYPE ", name, " "]);
        self.line([header.kind, "\n", ""]);
        let suffix = name.strip_suffix(header.unit);
        if self.open && !header.unit.is_empty() && suffix.is_some_and(|rest| rest.ends_with('_')) {
            self.line(["# UNIT ", name, " "]);
            self.line([header.unit, "\n", ""]);
        }
    }

    fn line(&mut self, parts: [&str; 3]) {
        for part in parts {
            self.put(part);
        }
    }
}
