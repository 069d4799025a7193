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

/// Appends in blocks whose size the compiler knows. musl's `memcpy` begins a string instruction for every
/// piece, whatever its length: that was half of a scrape, as most pieces have less than a hundred bytes.
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
