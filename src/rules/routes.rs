//! The user's patterns of routes: which segments of a path stay as they are (`metrics.routes.keep`),
//! and which are replaced (`metrics.routes.fold`), whatever the general rules of `template` say.
//! Pure. Unit: one pattern; while a path is read, one segment.
//!
//! A pattern that begins with `/` describes the beginning of a path, segment by segment:
//! - text is that text, and `*` in it any characters;
//! - `{name}` is any segment;
//! - `**`, only at the end, is everything that follows.
//!
//! A pattern without `/` describes one segment, wherever it is. `keep` keeps the segments with text
//! or `*`; `fold` replaces `{name}` by itself, a segment with `*` by `{id}`, and `**` by `{rest}`.
//! The first pattern that matches a segment counts, and `keep` counts before `fold`.

use std::fmt;

/// The most patterns of a list: each has a bit in a word while a path is read.
pub const PATTERNS_MAX: usize = 64;
/// The longest pattern in bytes; a template has 120 at most.
const PATTERN_BYTES_MAX: usize = 200;
/// The longest segment that is compared with text. A longer one does not fit into a template; the
/// limit bounds the time of a comparison.
const SEGMENT_BYTES_MAX: usize = 120;

/// The patterns of both settings.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Routes {
    /// The patterns of segments that stay.
    pub keep: Vec<Pattern>,
    /// The patterns of segments that are replaced.
    pub fold: Vec<Pattern>,
}

/// One pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    text: Box<str>,
    /// It begins with `/`: its first segment is the first one of the path.
    is_anchored: bool,
    segments: Box<[Segment]>,
    /// It ends in `**`.
    has_rest: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Segment {
    /// This text.
    Text(Box<str>),
    /// Text with `*`.
    Glob(Box<str>),
    /// Any segment; with the braces.
    Any(Box<str>),
}

/// The error of a pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PatternError {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl Pattern {
    /// Parses a pattern of `metrics.routes.keep`.
    ///
    /// # Errors
    /// The pattern is empty, too long, has no segment that it would keep, or a segment is neither
    /// text nor `{name}`.
    pub fn keep(text: &str) -> Result<Pattern, PatternError> {
        let pattern = Pattern::parse(text)?;
        let is_any = |segment: &Segment| matches!(segment, Segment::Any(_));
        if pattern.segments.iter().all(is_any) && !pattern.has_rest {
            return refuse(
                format!("`{text}` keeps nothing"),
                "write the text that stays, as in /v1.2/{id} or how-to-*",
            );
        }
        Ok(pattern)
    }

    /// Parses a pattern of `metrics.routes.fold`.
    ///
    /// # Errors
    /// The pattern is empty, too long, has no segment that it would replace, would replace every
    /// segment of every path, or a segment is neither text nor `{name}`.
    pub fn fold(text: &str) -> Result<Pattern, PatternError> {
        let pattern = Pattern::parse(text)?;
        let is_text = |segment: &Segment| matches!(segment, Segment::Text(_));
        if pattern.segments.iter().all(is_text) && !pattern.has_rest {
            return refuse(
                format!("`{text}` replaces nothing"),
                "write {name} or * where the paths differ, as in /blog/{slug} or how-to-*",
            );
        }
        let is_everything = match pattern.segments.first() {
            Some(Segment::Any(_)) => true,
            Some(Segment::Glob(glob)) => glob.bytes().all(|byte| byte == b'*'),
            Some(Segment::Text(_)) => false,
            None => pattern.has_rest,
        };
        if is_everything && (!pattern.is_anchored || pattern.segments.is_empty()) {
            return refuse(
                format!("`{text}` replaces every segment of every path"),
                "begin with the text before it, as in /blog/{slug}",
            );
        }
        Ok(pattern)
    }

    fn parse(text: &str) -> Result<Pattern, PatternError> {
        if text.is_empty() || text == "/" {
            return refuse("the pattern is empty".to_owned(), "as in /blog/{slug} or how-to-*");
        }
        if text.len() > PATTERN_BYTES_MAX {
            let message = format!("the pattern has {} bytes", text.len());
            return refuse(message, "at most 200; it describes only the beginning of a path");
        }
        if let Some(found) = text.chars().find(|c| matches!(c, '?' | '#' | ';')) {
            let message = format!("`{found}` is no part of a path");
            return refuse(message, "routes have no query, fragment or parameters; leave it out");
        }
        let (is_anchored, rest) = match text.strip_prefix('/') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if !is_anchored && rest.contains('/') {
            let hint = format!("did you mean `/{rest}`? a pattern without / is one segment");
            return refuse(format!("`{text}` has several segments and no / first"), &hint);
        }
        let (rest, has_rest) = match rest.strip_suffix("**") {
            Some("") if is_anchored => ("", true),
            Some(rest) if rest.ends_with('/') => (rest.trim_end_matches('/'), true),
            Some(_) | None => (rest.strip_suffix('/').unwrap_or(rest), false),
        };
        let parts = rest.split('/').filter(|_| !rest.is_empty());
        let segments: Box<[Segment]> = parts.map(segment).collect::<Result<_, _>>()?;
        Ok(Pattern { text: Box::from(text), is_anchored, segments, has_rest })
    }

    /// Returns what the pattern says of the segment with this number; `None` if it does not match.
    fn at(&self, number: usize, segment: &str) -> Option<Match<'_>> {
        let at = if self.is_anchored { number } else { 0 };
        match self.segments.get(at) {
            Some(Segment::Any(name)) => Some(Match::Any(name)),
            Some(Segment::Text(text)) => (**text == *segment).then_some(Match::Text),
            Some(Segment::Glob(glob)) => is_glob_of(glob, segment).then_some(Match::Glob),
            None => self.has_rest.then_some(Match::Rest),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn segment(text: &str) -> Result<Segment, PatternError> {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    if let Some(name) = inner
        && is_name(name)
    {
        return Ok(Segment::Any(Box::from(text)));
    }
    if text.contains(['{', '}']) {
        let message = format!("`{text}` is neither text nor a name in braces");
        let hint = "{name} is a whole segment, of letters, digits and _; * is a part of one";
        return refuse(message, hint);
    }
    if text.is_empty() {
        return refuse("a segment is empty".to_owned(), "routes have no two slashes in a row");
    }
    if text.contains("**") {
        let hint = "** is everything that follows, as in /files/**; * is a part of a segment";
        return refuse(format!("`{text}`: ** is not at the end"), hint);
    }
    let of = if text.contains('*') { Segment::Glob } else { Segment::Text };
    Ok(of(Box::from(text)))
}

fn refuse<T>(message: String, hint: &str) -> Result<T, PatternError> {
    Err(PatternError { message, hint: hint.to_owned() })
}

/// Returns whether a text with `*` describes a segment. Only `*` alone describes a segment that is
/// a placeholder already: so a template is its own template.
fn is_glob_of(glob: &str, segment: &str) -> bool {
    if glob == "*" {
        return true;
    }
    if segment.starts_with('{') || segment.len() > SEGMENT_BYTES_MAX {
        return false;
    }
    let mut parts = glob.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = segment.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        // the earliest place leaves the most for the parts behind
        let Some(found) = rest.find(part) else { return false };
        rest = &rest[found + part.len()..];
    }
    rest.ends_with(last)
}

/// What a pattern says of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Match<'r> {
    Text,
    Glob,
    /// With the name in braces.
    Any(&'r str),
    Rest,
}

/// What the patterns say of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Choice<'r> {
    /// It stays.
    Keep(&'r Pattern),
    /// This text replaces it.
    Fold(&'r Pattern, &'r str),
    /// `{rest}` replaces it and everything behind it.
    FoldRest(&'r Pattern),
}

/// The patterns that still match while a path is read from its beginning.
#[derive(Debug)]
pub struct Walk<'r> {
    routes: &'r Routes,
    /// A bit for each pattern.
    keep: u64,
    fold: u64,
    /// The number of the next segment.
    number: usize,
}

impl Routes {
    /// Begins a path.
    #[inline]
    pub fn walk(&self) -> Walk<'_> {
        let all = |list: &[Pattern]| match list.len() {
            0 => 0,
            // a longer list is refused when it is read
            length => u64::MAX >> (PATTERNS_MAX - length.min(PATTERNS_MAX)),
        };
        Walk { routes: self, keep: all(&self.keep), fold: all(&self.fold), number: 0 }
    }
}

impl<'r> Walk<'r> {
    /// Returns what the patterns say of the next segment.
    #[inline]
    pub fn next(&mut self, segment: &str) -> Option<Choice<'r>> {
        if self.keep | self.fold == 0 {
            return None;
        }
        self.choose(segment)
    }

    #[cold]
    fn choose(&mut self, segment: &str) -> Option<Choice<'r>> {
        let number = self.number;
        self.number += 1;
        let keep =
            step(
                &self.routes.keep,
                &mut self.keep,
                number,
                segment,
                |pattern, found| match found {
                    Match::Text | Match::Glob | Match::Rest => Some(Choice::Keep(pattern)),
                    Match::Any(_) => None,
                },
            );
        let fold =
            step(
                &self.routes.fold,
                &mut self.fold,
                number,
                segment,
                |pattern, found| match found {
                    Match::Text => None,
                    Match::Glob => Some(Choice::Fold(pattern, "{id}")),
                    Match::Any(name) => Some(Choice::Fold(pattern, name)),
                    Match::Rest => Some(Choice::FoldRest(pattern)),
                },
            );
        keep.or(fold)
    }
}

/// Asks the patterns of a list that still match; returns the first choice.
fn step<'r>(
    list: &'r [Pattern],
    alive: &mut u64,
    number: usize,
    segment: &str,
    choice: impl Fn(&'r Pattern, Match<'r>) -> Option<Choice<'r>>,
) -> Option<Choice<'r>> {
    let mut first = None;
    for (at, pattern) in list.iter().enumerate().take(PATTERNS_MAX) {
        if *alive & 1 << at == 0 {
            continue;
        }
        match pattern.at(number, segment) {
            Some(found) => first = first.or_else(|| choice(pattern, found)),
            None if pattern.is_anchored => *alive &= !(1 << at),
            None => {}
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(keep: &[&str], fold: &[&str]) -> Routes {
        let keep = keep.iter().map(|text| Pattern::keep(text).expect("a pattern")).collect();
        let fold = fold.iter().map(|text| Pattern::fold(text).expect("a pattern")).collect();
        Routes { keep, fold }
    }

    /// Returns what the patterns say of each segment: `+` stays, otherwise the replacement.
    fn choices(routes: &Routes, path: &str) -> Vec<String> {
        let mut walk = routes.walk();
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        segments
            .map(|segment| match walk.next(segment) {
                None => String::new(),
                Some(Choice::Keep(_)) => "+".to_owned(),
                Some(Choice::Fold(_, by)) => by.to_owned(),
                Some(Choice::FoldRest(_)) => "**".to_owned(),
            })
            .collect()
    }

    #[test]
    fn a_pattern_describes_segments() {
        for (keep, fold, path, expected) in [
            (&["how-to-*"][..], &[][..], "/a/how-to-17-things/5", &["", "+", ""][..]),
            (&["/a/how-to-*"], &[], "/b/how-to-17-things", &["", ""]),
            (&["/v1.2.3"], &[], "/v1.2.3/users", &["+", ""]),
            (&["/v1.2.3"], &[], "/users/v1.2.3", &["", ""]),
            (&["/{any}/2024"], &[], "/x9/2024/2024", &["", "+", ""]),
            (&["/docs/**"], &[], "/docs/1/2/3", &["+", "+", "+", "+"]),
            (&["*"], &[], "/1/2", &["+", "+"]),
            (&[], &["/blog/{slug}"], "/blog/x/5", &["", "{slug}", ""]),
            (&[], &["/blog/{slug}/"], "/blog/x/5", &["", "{slug}", ""]),
            (&[], &["/blog/{slug}"], "/blogs/x", &["", ""]),
            (&[], &["/{tenant}/orders/{id}"], "/acme/orders/x", &["{tenant}", "", "{id}"]),
            (&[], &["/files/**"], "/files/a/b", &["", "**", "**"]),
            (&[], &["/*/x"], "/a/x", &["{id}", ""]),
            (&[], &["a*c*e"], "/abcde/ace/ac/aceg/ae", &["{id}", "{id}", "", "", ""]),
            (&[], &["*.pdf"], "/a.pdf/a.pdfx", &["{id}", ""]),
            (&[], &["aa*aa"], "/aaa/aaaa", &["", "{id}"]),
            // `keep` counts before `fold`, and the first pattern of a list before the others
            (&["/blog/new"], &["/blog/{slug}"], "/blog/new", &["+", "+"]),
            (&[], &["/a/{first}", "/a/{second}"], "/a/b", &["", "{first}"]),
        ] {
            assert_eq!(choices(&routes(keep, fold), path), expected, "{keep:?} {fold:?} {path}");
        }
    }

    /// Guarantees: every pattern without an effect, or with an effect on all paths, is refused.
    #[test]
    fn patterns_that_are_refused() {
        for (text, expected) in [
            ("", "the pattern is empty"),
            ("/", "the pattern is empty"),
            ("/a?b", "`?` is no part of a path"),
            ("a/b", "`a/b` has several segments and no / first"),
            ("/a//b", "a segment is empty"),
            ("/{}", "`{}` is neither text nor a name in braces"),
            ("/user-{id}", "`user-{id}` is neither text nor a name in braces"),
            ("/a/**/b", "`**`: ** is not at the end"),
            ("/a**", "`a**`: ** is not at the end"),
        ] {
            for parse in [Pattern::keep, Pattern::fold] {
                let refused = parse(text).map_err(|error| error.message);
                assert_eq!(refused, Err(expected.to_owned()), "{text}");
            }
        }
        let long = format!("/{}", "a".repeat(PATTERN_BYTES_MAX));
        assert!(Pattern::keep(&long).is_err() && Pattern::keep(&long[1..]).is_ok());
        for text in ["{id}", "/{a}/{b}"] {
            let refused = Pattern::keep(text).map_err(|error| error.message);
            assert_eq!(refused, Err(format!("`{text}` keeps nothing")));
        }
        for text in ["a", "/a/b"] {
            let refused = Pattern::fold(text).map_err(|error| error.message);
            assert_eq!(refused, Err(format!("`{text}` replaces nothing")));
        }
        for text in ["*", "{id}", "/**"] {
            let refused = Pattern::fold(text).map_err(|error| error.message);
            assert_eq!(refused, Err(format!("`{text}` replaces every segment of every path")));
        }
    }

    /// Guarantees: as many patterns as a list may have are all compared.
    #[test]
    fn the_last_pattern_counts() {
        let mut routes = Routes::default();
        for number in 0..PATTERNS_MAX {
            routes.fold.push(Pattern::fold(&format!("/a{number}/{{x}}")).expect("a pattern"));
        }
        assert_eq!(choices(&routes, "/a63/b"), ["", "{x}"]);
        assert_eq!(choices(&routes, "/a64/b"), ["", ""]);
    }
}
