//! Splits a datagram of journald's native protocol into its fields: `NAME=value` and a newline, or,
//! for a value with newlines, `NAME`, a newline, the length in eight bytes, the value and a newline
//! (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL>). Unit: one datagram.

use memchr::{memchr, memchr2};

/// The longest name of a field, as journald accepts it.
const NAME_BYTES_MAX: usize = 64;

/// Returns whether a datagram consists of fields, one of which is `MESSAGE`.
pub(crate) fn is_journal(bytes: &[u8]) -> bool {
    if !matches!(bytes.first(), Some(b'A'..=b'Z' | b'_')) {
        return false;
    }
    let (mut fields, mut has_message) = (Fields::of(bytes), false);
    for (name, _) in fields.by_ref() {
        has_message |= name == b"MESSAGE";
    }
    has_message && fields.rest.is_empty()
}

/// The fields of a datagram, up to the first bytes that are none.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Returns the fields of `bytes`.
    pub(crate) fn of(bytes: &'a [u8]) -> Fields<'a> {
        Fields { rest: bytes }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let (name, value, rest) = field(self.rest)?;
        self.rest = rest;
        Some((name, value))
    }
}

/// Returns the name and the value of the first field, and what follows it.
fn field(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let head = &bytes[..bytes.len().min(NAME_BYTES_MAX + 1)];
    let (name, rest) = bytes.split_at(memchr2(b'=', b'\n', head)?);
    let is_name = |byte: &u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_');
    if name.is_empty() || !name.iter().all(is_name) {
        return None;
    }
    match rest {
        [b'=', rest @ ..] => {
            let end = memchr(b'\n', rest).unwrap_or(rest.len());
            Some((name, &rest[..end], rest.get(end + 1..).unwrap_or_default()))
        }
        _ => {
            let (length, rest) = rest[1..].split_first_chunk::<8>()?;
            let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
            let value = rest.get(..length)?;
            let rest = rest[length..].strip_prefix(b"\n")?;
            Some((name, value, rest))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_of_clients() {
        let datagram = b"MESSAGE\n\x0b\0\0\0\0\0\0\0line\nline 2\nPRIORITY=3\nA=\n_B=x=y\n";
        assert!(is_journal(datagram));
        let fields: Vec<_> = Fields::of(datagram).collect();
        let expected: [(&[u8], &[u8]); 4] =
            [(b"MESSAGE", b"line\nline 2"), (b"PRIORITY", b"3"), (b"A", b""), (b"_B", b"x=y")];
        assert_eq!(fields, expected);
    }

    #[test]
    fn text_is_no_journal() {
        for text in [
            &b"PATH=/bin\nHOME=/\n"[..],
            b"MESSAGE",
            b"MESSAGE=a\nand more",
            b"MESSAGE=a\nlower=b\n",
            b"MESSAGE\n\x0b\0\0\0\0\0\0\0short\n",
            b"MESSAGE\n\xff\xff\xff\xff\xff\xff\xff\xffshort\n",
            b"ERROR: MESSAGE=a\n",
            b"",
        ] {
            assert!(!is_journal(text), "{:?}", String::from_utf8_lossy(text));
        }
    }

    proptest! {
        /// Fields that a client writes are read back, whatever their values contain.
        #[test]
        fn property_fields_are_read_back(
            fields in prop::collection::vec(("[A-Z_][A-Z0-9_]{0,20}", any::<Vec<u8>>()), 0..6),
        ) {
            let mut datagram = b"MESSAGE=m\n".to_vec();
            for (name, value) in &fields {
                datagram.extend(name.as_bytes());
                if value.contains(&b'\n') {
                    datagram.push(b'\n');
                    datagram.extend((value.len() as u64).to_le_bytes());
                } else {
                    datagram.push(b'=');
                }
                datagram.extend(value);
                datagram.push(b'\n');
            }
            prop_assert!(is_journal(&datagram));
            let read: Vec<_> = Fields::of(&datagram).skip(1).collect();
            let written: Vec<_> =
                fields.iter().map(|(name, value)| (name.as_bytes(), &value[..])).collect();
            prop_assert_eq!(read, written);
        }
    }
}
