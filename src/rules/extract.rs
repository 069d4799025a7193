//! Captures parts of one field by a pattern, which is compiled when rules are loaded. The syntax is
//! that of the `regex` crate without Unicode classes: `\d`, `\w`, `.` and `(?i)` mean ASCII. A
//! match takes linear time whatever a line contains, and allocates nothing. Unit: one field of one
//! record.

use crate::rules::syntax::{SyntaxError, nearest};
use memchr::memmem::Finder;
use regex::bytes::{CaptureLocations, Regex, RegexBuilder};
use regex_syntax::hir::{Hir, HirKind};

/// The longest text of a pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 4 * 1024;
/// The longest text of a grok pattern with all its names replaced.
pub(super) const EXPANDED_BYTES_MAX: usize = 64 * 1024;
/// The most bytes that a compiled pattern may occupy. A thousandth of it is usual, and 1,000 rules
/// may have one each.
const COMPILED_BYTES_MAX: usize = 1 << 20;
/// The deepest nesting of groups.
const NESTING_MAX: u32 = 64;

/// A compiled pattern with named groups.
#[derive(Clone, Debug)]
pub struct Extract {
    regex: Regex,
    /// Text that every match contains; it rules out most lines without running the pattern.
    literal: Option<Finder<'static>>,
    names: Vec<String>,
    /// The number of the group with each name.
    groups: Vec<usize>,
}

/// The positions of the groups of a match. Created once by [`Extract::captures`], reused for every
/// line.
#[derive(Clone, Debug)]
pub struct Captures(CaptureLocations);

impl Extract {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// Returns an error if the pattern is not a regular expression, is too large, or has no named
    /// group.
    pub fn compile(pattern: &str) -> Result<Extract, SyntaxError> {
        let (regex, hir) = compile(pattern)?;
        let mut names = Vec::new();
        let mut groups = Vec::new();
        for (group, name) in regex.capture_names().enumerate() {
            if let Some(name) = name {
                names.push(name.to_owned());
                groups.push(group);
            }
        }
        if names.is_empty() {
            return Err(SyntaxError::new(0, "the pattern has no named group")
                .hint("name what is wanted, as in `took (?<seconds>[0-9.]+)`"));
        }
        let literal = literal(&hir).map(|bytes| Finder::new(bytes).into_owned());
        Ok(Extract { regex, literal, names, groups })
    }

    /// Returns the names of the groups, in the order of the pattern.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns the number of a named group, for [`Extract::group`].
    ///
    /// # Errors
    /// Returns an error if there is no such group; the hint suggests a similar name.
    pub fn index_of(&self, name: &str) -> Result<usize, SyntaxError> {
        if let Some(index) = self.names.iter().position(|known| known == name) {
            return Ok(index);
        }
        let error = SyntaxError::new(0, format!("the pattern has no group `{name}`"));
        Err(match nearest(name, self.names.iter().map(String::as_str)) {
            Some(meant) => error.hint(format!("did you mean `{meant}`?")),
            None => error.hint(format!("it has {}", self.names.join(", "))),
        })
    }

    /// Allocates memory for the groups of a match.
    pub fn captures(&self) -> Captures {
        Captures(self.regex.capture_locations())
    }

    /// Returns true if the pattern matches somewhere in `haystack`; the groups are then in
    /// `captures`.
    #[inline]
    pub fn read(&self, haystack: &str, captures: &mut Captures) -> bool {
        let bytes = haystack.as_bytes();
        if self.literal.as_ref().is_some_and(|literal| literal.find(bytes).is_none()) {
            return false;
        }
        self.regex.captures_read(&mut captures.0, bytes).is_some()
    }

    /// Returns what the named group with this index captured in the last `haystack`. None if the
    /// group took no part in the match, or if it split a character.
    #[inline]
    pub fn group<'line>(
        &self,
        index: usize,
        haystack: &'line str,
        captures: &Captures,
    ) -> Option<&'line str> {
        let (start, end) = captures.0.get(*self.groups.get(index)?)?;
        haystack.get(start..end)
    }
}

/// An expression, and the text that every match of it contains.
type WithLiteral = (Regex, Option<Box<[u8]>>);

/// Compiles a pattern of a format, which may be longer than one of a rule because grok expands it.
/// Returns the text that every match contains, too.
///
/// # Errors
/// Returns an error if the pattern is not a regular expression or is too large.
pub(super) fn format_pattern(pattern: &str) -> Result<WithLiteral, SyntaxError> {
    let bounds = Bounds { text_bytes: EXPANDED_BYTES_MAX, compiled_bytes: COMPILED_BYTES_MAX / 2 };
    let (regex, hir) = compile_within(pattern, bounds)?;
    let literal = literal(&hir).map(Box::from);
    Ok((regex, literal))
}

/// Compiles a pattern; its groups are not used.
///
/// # Errors
/// Returns an error if the pattern is not a regular expression or is too large.
pub fn pattern(pattern: &str) -> Result<Regex, SyntaxError> {
    compile(pattern).map(|(regex, _)| regex)
}

fn compile(pattern: &str) -> Result<(Regex, Hir), SyntaxError> {
    let bounds = Bounds { text_bytes: PATTERN_BYTES_MAX, compiled_bytes: COMPILED_BYTES_MAX };
    compile_within(pattern, bounds)
}

/// How large a pattern may be.
#[derive(Clone, Copy)]
struct Bounds {
    text_bytes: usize,
    compiled_bytes: usize,
}

fn compile_within(pattern: &str, bounds: Bounds) -> Result<(Regex, Hir), SyntaxError> {
    let Bounds { text_bytes, compiled_bytes } = bounds;
    if pattern.len() > text_bytes {
        let message = format!("the pattern is longer than {text_bytes} bytes");
        return Err(SyntaxError::new(text_bytes, message));
    }
    // Parsed separately for the position of an error and for the literal, which the compiled form
    // does not provide.
    let hir = regex_syntax::ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .nest_limit(NESTING_MAX)
        .build()
        .parse(pattern)
        .map_err(|error| located(&error))?;
    let regex = RegexBuilder::new(pattern)
        .unicode(false)
        .nest_limit(NESTING_MAX)
        .size_limit(compiled_bytes)
        .build()
        .map_err(|_| {
            SyntaxError::new(0, format!("the compiled pattern takes over {compiled_bytes} bytes"))
                .hint("use smaller repetitions than {n,m} with large n or m")
        })?;
    Ok((regex, hir))
}

#[cold]
fn located(error: &regex_syntax::Error) -> SyntaxError {
    let (offset, message) = match error {
        regex_syntax::Error::Parse(error) => (error.span().start.offset, error.kind().to_string()),
        regex_syntax::Error::Translate(error) => {
            (error.span().start.offset, error.kind().to_string())
        }
        _ => (0, error.to_string()),
    };
    let found = SyntaxError::new(offset, message);
    if found.message.contains("look-around") || found.message.contains("backreference") {
        return found.hint("patterns take linear time here, and so know neither");
    }
    if found.message.contains("Unicode") {
        return found.hint("classes are ASCII here: [a-z], \\d, \\w");
    }
    found
}

/// Returns the longest text that every match contains; None for a pattern of classes or
/// alternatives only.
fn literal(hir: &Hir) -> Option<&[u8]> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(&literal.0),
        HirKind::Capture(capture) => literal(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => literal(&repetition.sub),
        HirKind::Concat(parts) => parts.iter().filter_map(literal).max_by_key(|text| text.len()),
        HirKind::Repetition(_)
        | HirKind::Alternation(_)
        | HirKind::Class(_)
        | HirKind::Look(_)
        | HirKind::Empty => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, haystack: &str, expected: Option<&[(&str, Option<&str>)]>) {
        let extract = Extract::compile(pattern).expect(pattern);
        let mut captures = extract.captures();
        let found = extract.read(haystack, &mut captures).then(|| {
            let of = |(index, name): (usize, &String)| {
                (name.clone(), extract.group(index, haystack, &captures))
            };
            extract.names().iter().enumerate().map(of).collect::<Vec<_>>()
        });
        let expected = expected.map(|pairs| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect::<Vec<_>>()
        });
        assert_eq!(found, expected, "{pattern:?} on {haystack:?}");
    }

    #[test]
    fn groups_by_name() {
        let order = r"order (?<id>\d+) took (?<ms>[0-9.]+)ms(?: by (?<who>\w+))?";
        check(
            order,
            "order 17 took 12.5ms by ann",
            Some(&[("id", Some("17")), ("ms", Some("12.5")), ("who", Some("ann"))]),
        );
        check(
            order,
            "an order 1 took 2ms",
            Some(&[("id", Some("1")), ("ms", Some("2")), ("who", None)]),
        );
        check(order, "order x took 2ms", None);
        check(order, "", None);
        check("(a)(?<b>b)", "ab", Some(&[("b", Some("b"))]));
        check("(?i)(?<x>error)", "An ERROR", Some(&[("x", Some("ERROR"))]));
        check("(?<x>gr\u{fc}n)", "ist gr\u{fc}n", Some(&[("x", Some("gr\u{fc}n"))]));
        check("(?<x>.)", "\u{fc}", Some(&[("x", None)]));
    }

    /// Guarantees: the literal rules out only lines that cannot match.
    #[test]
    fn the_literal_that_every_match_contains() {
        for (pattern, expected) in [
            (r"an order (?<id>\d+) took ", Some("an order ")),
            (r"(?<x>\d+)ms", Some("ms")),
            (r"(?:abc)?(?<x>d)", Some("d")),
            (r"(?<x>abc|xyz)", None),
            (r"(?<x>(?:xy)+)", Some("xy")),
            (r"(?<x>(?:xy)*)", None),
            (r"(?i)(?<x>abc)", None),
        ] {
            let (_, hir) = compile(pattern).expect(pattern);
            let found = literal(&hir).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            assert_eq!(found.as_deref(), expected, "{pattern}");
        }
    }

    #[test]
    fn errors_say_where() {
        for (pattern, offset, message) in [
            ("a(?<x>b", 1, "unclosed group"),
            ("ab*[", 3, "unclosed character class"),
            ("(?<x>a)(?=b)", 7, "look-around"),
            (r"(?<x>\pL)", 5, "Unicode"),
            ("abc", 0, "no named group"),
            ("(?<x>(?:a{1000}){1000})", 0, "over"),
        ] {
            let error = Extract::compile(pattern).expect_err(pattern);
            assert_eq!(error.offset, offset, "{pattern}: {error:?}");
            assert!(error.message.contains(message), "{pattern}: {error:?}");
        }
        let nested = format!("{}(?<x>a){}", "(?:".repeat(100), ")".repeat(100));
        assert!(Extract::compile(&nested).is_err());
    }

    #[test]
    fn a_group_is_found_by_name_or_suggested() {
        let extract = Extract::compile("(?<shop>a)(?<item>b)").expect("a pattern");
        assert_eq!(extract.index_of("item"), Ok(1));
        let error = extract.index_of("shpo").expect_err("no such group");
        assert_eq!(error.hint.as_deref(), Some("did you mean `shop`?"));
    }
}
