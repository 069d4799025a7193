//! The page in progress, and the part that derived and own families share: the lines that describe
//! a family.

/// An exposition in progress.
#[derive(Debug)]
pub(super) struct Page<'a> {
    pub(super) out: &'a mut Vec<u8>,
    /// Whether the format is OpenMetrics and not the classic one.
    pub(super) open: bool,
}

/// The contents of the lines before a family's samples.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header<'a> {
    /// Full name, with `_total` for counters.
    pub(super) name: &'a str,
    pub(super) help: &'a str,
    /// Unit; empty for none.
    pub(super) unit: &'a str,
    pub(super) kind: &'a str,
}

/// Appends in blocks of a size that is known at compile time. musl's `memcpy` starts a string
/// instruction for every piece, whatever its length. That took half of the time of a scrape,
/// because most pieces have less than a hundred bytes.
#[inline]
pub(super) fn copy(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len());
    let (blocks, rest) = bytes.as_chunks::<16>();
    for block in blocks {
        out.extend_from_slice(block);
    }
    let (blocks, rest) = rest.as_chunks::<8>();
    for block in blocks {
        out.extend_from_slice(block);
    }
    let (blocks, rest) = rest.as_chunks::<4>();
    for block in blocks {
        out.extend_from_slice(block);
    }
    for byte in rest {
        out.push(*byte);
    }
}

impl Page<'_> {
    pub(super) fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Writes HELP, TYPE and UNIT. OpenMetrics names the family of a counter without `_total`,
    /// accepts a unit only if the name ends in it, and escapes quotes in the help, which the
    /// classic format does not.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_in_blocks_is_a_copy() {
        let bytes: Vec<u8> = (0..100).collect();
        for length in 0..=bytes.len() {
            let mut out = b"before".to_vec();
            copy(&mut out, &bytes[..length]);
            assert_eq!(out, [b"before", &bytes[..length]].concat());
        }
    }
}
