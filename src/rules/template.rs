//! Turns the path of a request into a route template with bounded variety. Pure and stateless:
//! numbers, UUIDs, hashes, long tokens, dates and e-mail addresses become `{id}`; the query and the
//! fragment are removed. Everything else stays as it is and is limited by the label limit of the
//! family. Unit: one path.
//!
//! A segment (the part between two slashes) becomes `{id}` if it has one of these properties:
//! - no letters but a digit: `12345`, `2024-01-31`, `1.2.3`, `52.5,13.4`;
//! - four digits in a row, or a number after a separator at the end: `item1234`,
//!   `2024-01-31T10:00Z`, `user-42`;
//! - hexadecimal with two digits and seven characters, alone or between separators: `9f8e7d6c`,
//!   `app.3f2a1b9c.js`, any UUID;
//! - at least 16 characters with two digits, or at least 8 with digits in two places and both
//!   cases: `V1StGXR8_Z5jdHi6B-myT`, `dQw4w9WgXcQ`; or at least 41 characters of any kind;
//! - a part of 8 characters or more, between separators, that does not read like a word: letters
//!   that rarely follow each other, digits inside, cases mixed as no name mixes them: `xKqZmPwR`,
//!   `sk-Vw8...`, `kd82hfq1`;
//! - an `@` (or `%40`) that is not the first character: `ann@example.com`.
//!
//! Words with few digits stay (`v1`, `v1.41`, `oauth2`, `sha256`, `i18n`), and so do `@me`, `{id}`,
//! `:id`. Percent escapes stay as they are; their digits do not count. Parameters after `;` are
//! removed. Repeated slashes become one; a slash at the end stays, because frameworks distinguish
//! `/users` and `/users/`. Only the path of a whole URL is used. A path that is too deep or too
//! long ends in `/{rest}`. The user's patterns (`routes`) are stronger than these rules.

use super::routes::{Choice, Routes};

/// The longest template in bytes: below the default limit of a label value (128), which would
/// append a hash.
const TEMPLATE_BYTES_MAX: usize = 120;
/// The most segments of a template; routes of real services have at most a dozen.
const SEGMENTS_MAX: usize = 16;
/// The longest word; a longer segment is content (a slug, a token), not a route.
const WORD_BYTES_MAX: usize = 40;
/// From this length on, two digits make a segment a token.
const TOKEN_BYTES_MIN: usize = 16;
/// From this length on, digits in two places and both cases make a segment a token.
const MIXED_BYTES_MIN: usize = 8;
/// The shortest hash that people print: that of git.
const HASH_BYTES_MIN: usize = 7;

/// From this length on, a part that does not read like a word is random; shorter ones may be
/// abbreviations.
const RANDOM_BYTES_MIN: usize = 8;

/// Which letters follow each other in words: one row per letter, one bit for each successor.
/// Contains the most frequent pairs of the 30,000 words in the documentation and sources of a
/// Debian system, which make up 97.5 % of all pairs, and the pairs of usual abbreviations
/// (`graphql`, `https`). 1.7 % of 5,000 random tokens of 8 characters pass as words, and 0.4 % of
/// those words with 8 letters or more do not.
const FOLLOWS: [u32; 26] = [
    0x03febdff, 0x011edb3f, 0x013efdbf, 0x013ef9ff, 0x03fffdff, 0x011e693f, 0x001ef9d5, 0x011f7919,
    0x02befd7f, 0x00544111, 0x001e69d3, 0x013efd7f, 0x011ddd1f, 0x013efdff, 0x01fefdff, 0x013efdbd,
    0x00100800, 0x017efd7f, 0x017ffdff, 0x037efdbf, 0x000efd7f, 0x0004c115, 0x004e6191, 0x008c9115,
    0x000ef915, 0x00000111,
];

const ID: &str = "{id}";
const REST: &str = "/{rest}";

const DIGIT: u8 = 1;
/// a-f
const LOWER_HEX: u8 = 2;
/// A-F
const UPPER_HEX: u8 = 4;
/// g-z
const LOWER: u8 = 8;
/// G-Z
const UPPER: u8 = 16;
/// `- _ . : ~ , + =`
const SEPARATOR: u8 = 32;
/// `/ ? # ;`
const END: u8 = 64;
/// Everything else.
const OTHER: u8 = 128;

const HEX: u8 = DIGIT | LOWER_HEX | UPPER_HEX;
const LETTER: u8 = LOWER_HEX | UPPER_HEX | LOWER | UPPER;

const CLASS: [u8; 256] = {
    let mut table = [OTHER; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'0'..=b'9' => DIGIT,
            b'a'..=b'f' => LOWER_HEX,
            b'A'..=b'F' => UPPER_HEX,
            b'g'..=b'z' => LOWER,
            b'G'..=b'Z' => UPPER,
            b'-' | b'_' | b'.' | b':' | b'~' | b',' | b'+' | b'=' => SEPARATOR,
            b'/' | b'?' | b'#' | b';' => END,
            _ => OTHER,
        };
        byte += 1;
    }
    table
};

/// What becomes of a segment, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision<'r> {
    /// It stays, because it reads like a word.
    Word,
    /// It becomes `{id}`.
    Id(IdRule),
    /// A pattern of the user decides.
    Pattern(Choice<'r>),
    /// It and everything behind it become `{rest}`, because the path is too deep or too long.
    TooLong,
}

impl<'r> Decision<'r> {
    /// Returns the text that replaces the segment; `None` if it stays.
    #[inline]
    pub fn replacement(self) -> Option<&'r str> {
        match self {
            Decision::Word | Decision::Pattern(Choice::Keep(_)) => None,
            Decision::Id(_) => Some(ID),
            Decision::Pattern(Choice::Fold(_, by)) => Some(by),
            Decision::Pattern(Choice::FoldRest(_)) | Decision::TooLong => Some(&REST[1..]),
        }
    }
}

/// The property that makes a segment an id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdRule {
    /// No letters, but a digit.
    Number,
    /// Four digits in a row.
    Digits,
    /// A number after a separator at the end.
    Numbered,
    /// Hexadecimal with two digits.
    Hash,
    /// Long, with two digits.
    Token,
    /// Digits in two places, and both cases.
    Mixed,
    /// A part does not read like a word.
    Random,
    /// The padding of base64 at the end.
    Padding,
    /// An `@` that is not the first character.
    Address,
    /// Longer than a word.
    Long,
}

impl IdRule {
    /// Words the property.
    pub fn text(self) -> &'static str {
        match self {
            IdRule::Number => "it has digits and no letters",
            IdRule::Digits => "it has four digits in a row",
            IdRule::Numbered => "it ends in a number after a separator",
            IdRule::Hash => "a part is hexadecimal, with 7 characters and 2 digits or more",
            IdRule::Token => "it has 16 characters or more, and 2 digits or more",
            IdRule::Mixed => "it has digits in two places, capitals and small letters",
            IdRule::Random => "a part does not read like a word",
            IdRule::Padding => "it ends in =, as base64 does",
            IdRule::Address => "it has an @, as an e-mail address",
            IdRule::Long => "it has more than 40 characters",
        }
    }
}

/// Appends the template of `path` to `out`.
pub fn template(path: &str, routes: &Routes, out: &mut String) {
    render(path, routes, out, |_, _| {});
}

/// Appends the template of `path` to `out`, and returns what becomes of each segment.
pub fn explain<'p, 'r>(
    path: &'p str,
    routes: &'r Routes,
    out: &mut String,
) -> Vec<(&'p str, Decision<'r>)> {
    let mut decisions = Vec::new();
    render(path, routes, out, |segment, decision| decisions.push((segment, decision)));
    decisions
}

#[inline]
fn render<'p, 'r>(
    path: &'p str,
    routes: &'r Routes,
    out: &mut String,
    mut decided: impl FnMut(&'p str, Decision<'r>),
) {
    let path = without_host(path);
    let bytes = path.as_bytes();
    let start = out.len();
    out.reserve(TEMPLATE_BYTES_MAX);
    let mut patterns = routes.walk();
    let mut at = 0;
    // Input up to `at` that still has to be copied starts here.
    let mut kept = 0;
    let mut segments = 0;
    loop {
        let slash = at;
        while bytes.get(at) == Some(&b'/') {
            at += 1;
        }
        if at > slash + 1 {
            out.push_str(&path[kept..slash]);
            kept = at - 1;
        }
        let from = at;
        let rule = segment(bytes, &mut at);
        if at > from {
            let mut decision = patterns
                .next(&path[from..at])
                .map_or_else(|| rule.map_or(Decision::Word, Decision::Id), Decision::Pattern);
            let length = decision.replacement().map_or(at - from, str::len);
            let space = TEMPLATE_BYTES_MAX - REST.len();
            if segments == SEGMENTS_MAX || out.len() - start + (from - kept) + length > space {
                decision = Decision::TooLong;
            }
            decided(&path[from..at], decision);
            if matches!(decision, Decision::TooLong | Decision::Pattern(Choice::FoldRest(_))) {
                let whole = from - usize::from(from > slash);
                out.push_str(&path[kept..whole]);
                out.push_str(REST);
                return;
            }
            if let Some(text) = decision.replacement() {
                out.push_str(&path[kept..from]);
                out.push_str(text);
                kept = at;
            }
            segments += 1;
        }
        if bytes.get(at) == Some(&b';') {
            out.push_str(&path[kept..at]);
            at += bytes[at..].iter().take_while(|b| !matches!(b, b'/' | b'?' | b'#')).count();
            kept = at;
            // The two slashes around a removed parameter become one.
            if bytes.get(at) == Some(&b'/') && out.len() > start && out.ends_with('/') {
                out.pop();
            }
        }
        if bytes.get(at) != Some(&b'/') {
            break;
        }
    }
    out.push_str(&path[kept..at]);
    if out.len() == start {
        out.push('/');
    }
}

/// Removes scheme and host: `http://host/path` becomes `/path`.
#[inline]
fn without_host(path: &str) -> &str {
    if path.starts_with('/') {
        return path;
    }
    let Some((scheme, rest)) = path.split_once("://") else { return path };
    let is_scheme = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    if scheme.is_empty() || !scheme.bytes().all(is_scheme) {
        return path;
    }
    rest.find(['/', '?', '#']).map_or("", |end| &rest[end..])
}

/// Walks to the end of a segment; returns the rule by which it is an id. The character classes and
/// the number of digits decide nearly every segment.
#[inline]
fn segment(bytes: &[u8], at: &mut usize) -> Option<IdRule> {
    let from = *at;
    let mut classes = 0;
    let mut digits = 0;
    let mut length = 0;
    for &byte in &bytes[from..] {
        let class = CLASS[byte as usize];
        if class == END {
            break;
        }
        classes |= class;
        digits += usize::from(class & DIGIT);
        length += 1;
    }
    *at = from + length;
    let segment = &bytes[from..*at];
    if segment.len() > WORD_BYTES_MAX {
        return Some(IdRule::Long);
    }
    if segment.ends_with(b"=") {
        // No route ends like this.
        return Some(IdRule::Padding);
    }
    let random = || is_random(segment).then_some(IdRule::Random);
    if classes & (DIGIT | OTHER) == 0 {
        return random();
    }
    if classes & (LETTER | OTHER) == 0 {
        return Some(IdRule::Number);
    }
    if digits >= 2 && classes & !HEX == 0 && segment.len() >= HASH_BYTES_MIN {
        return Some(IdRule::Hash);
    }
    if digits >= 2 && classes & OTHER == 0 && segment.len() >= TOKEN_BYTES_MIN {
        return Some(IdRule::Token);
    }
    walk(segment).or_else(random)
}

/// Returns true if some part of a name does not read like a word, but like a token.
pub fn is_random(name: &[u8]) -> bool {
    name.len() >= RANDOM_BYTES_MIN
        && name.split(|byte| CLASS[*byte as usize] == SEPARATOR).any(|part| {
            let oddities = oddities(part);
            let is_odd = oddities >= 2 && oddities * 4 >= part.len() - 1;
            part.len() >= RANDOM_BYTES_MIN && (is_odd || is_aws_key_id(part))
        })
}

/// Returns true for an identifier of an AWS access key: `AKIA` (`ASIA` if it is temporary) and 16
/// capitals or digits, which may have no digit and may look like a word in capitals.
fn is_aws_key_id(part: &[u8]) -> bool {
    part.len() == 20
        && (part.starts_with(b"AKIA") || part.starts_with(b"ASIA"))
        && part.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// Counts the neighbours that are unusual in a word: letters that rarely follow each other, a
/// letter next to a digit, a capital that does not begin a word.
fn oddities(part: &[u8]) -> usize {
    let mut count = 0;
    for (at, pair) in part.windows(2).enumerate() {
        let [left, right] = *pair else { continue };
        if left.is_ascii_alphabetic() && right.is_ascii_alphabetic() {
            let row = FOLLOWS[usize::from(left.to_ascii_lowercase() - b'a')];
            count += usize::from(row >> (right.to_ascii_lowercase() - b'a') & 1 == 0);
            let next = part.get(at + 2).copied().unwrap_or(0);
            let before = at.checked_sub(1).map_or(0, |at| part[at]);
            let begins = left.is_ascii_lowercase() && right.is_ascii_uppercase();
            let ends = left.is_ascii_uppercase() && right.is_ascii_lowercase();
            count += usize::from(begins && !next.is_ascii_lowercase());
            count += usize::from(ends && before.is_ascii_uppercase());
        } else if left.is_ascii_alphanumeric() && right.is_ascii_alphanumeric() {
            count += usize::from(left.is_ascii_digit() != right.is_ascii_digit());
        }
    }
    count
}

/// What the characters of one segment are.
#[derive(Default)]
struct Seen {
    classes: u8,
    digits: usize,
    /// The number of digits right before the next byte, and the longest run of digits.
    run: usize,
    run_max: usize,
    /// The number of runs of digits.
    runs: usize,
    /// The part since the last separator.
    part: Part,
    hashes: bool,
    address: bool,
}

#[derive(Default)]
struct Part {
    classes: u8,
    len: usize,
    digits: usize,
}

impl Part {
    fn is_hash(&self) -> bool {
        self.classes & !HEX == 0 && self.len >= HASH_BYTES_MIN && self.digits >= 2
    }
}

/// Checks where the digits of a segment are; returns the rule by which it is an id.
fn walk(segment: &[u8]) -> Option<IdRule> {
    let mut seen = Seen::default();
    let mut at = 0;
    while let Some(&byte) = segment.get(at) {
        let class = CLASS[byte as usize];
        seen.classes |= class;
        let first = at == 0;
        at += 1;
        if class == SEPARATOR {
            seen.run = 0;
            seen.hashes |= seen.part.is_hash();
            seen.part = Part::default();
            continue;
        }
        if class == DIGIT {
            seen.digits += 1;
            seen.runs += usize::from(seen.run == 0);
            seen.run += 1;
            seen.run_max = seen.run_max.max(seen.run);
            seen.part.digits += 1;
        } else {
            seen.run = 0;
        }
        seen.part.classes |= class;
        seen.part.len += 1;
        if byte == b'%' && escape(segment, at) {
            seen.address |= !first && &segment[at..at + 2] == b"40";
            at += 2;
        }
        seen.address |= !first && byte == b'@';
    }
    id_rule(&seen, segment)
}

/// Returns true if the bytes after a `%` form an escape.
fn escape(bytes: &[u8], at: usize) -> bool {
    matches!(bytes.get(at..at + 2), Some([a, b]) if a.is_ascii_hexdigit() && b.is_ascii_hexdigit())
}

fn id_rule(seen: &Seen, segment: &[u8]) -> Option<IdRule> {
    if seen.address {
        return Some(IdRule::Address);
    }
    if seen.digits == 0 {
        return None;
    }
    if seen.run_max >= 4 {
        return Some(IdRule::Digits);
    }
    if seen.hashes || seen.part.is_hash() {
        return Some(IdRule::Hash);
    }
    if segment.len() >= TOKEN_BYTES_MIN && seen.digits >= 2 {
        return Some(IdRule::Token);
    }
    let lower = seen.classes & (LOWER | LOWER_HEX) != 0;
    let upper = seen.classes & (UPPER | UPPER_HEX) != 0;
    if lower && upper && seen.runs >= 2 && segment.len() >= MIXED_BYTES_MIN {
        return Some(IdRule::Mixed);
    }
    // Only digits follow the last separator; `v1.41` is a version.
    let numbered = seen.part.len > 0 && seen.part.digits == seen.part.len;
    (numbered && !is_version(segment)).then_some(IdRule::Numbered)
}

/// Returns true for a version: `v1.41`, `v2.0`.
fn is_version(segment: &[u8]) -> bool {
    matches!(segment, [b'v' | b'V', b'0'..=b'9', ..])
        && segment[1..].iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::routes::Pattern;
    use proptest::prelude::*;

    fn of(path: &str) -> String {
        let mut out = String::new();
        template(path, &Routes::default(), &mut out);
        out
    }

    fn check(path: &str, expected: &str) {
        assert_eq!(of(path), expected, "{path}");
    }

    #[test]
    fn ids_of_every_kind() {
        for (segment, is_id) in [
            ("12345", true),
            ("0", true),
            ("-5", true),
            ("1.2.3", true),
            ("52.5,13.4", true),
            ("192.168.1.7", true),
            ("2024-01-31", true),
            ("20240131", true),
            ("2024-01-31T10:11:12Z", true),
            ("550e8400-e29b-41d4-a716-446655440000", true),
            ("550E8400-E29B-41D4-A716-446655440000", true),
            ("d41d8cd98f00b204e9800998ecf8427e", true),
            ("9f8e7d6", true),
            ("507f1f77bcf86cd799439011", true),
            ("01ARZ3NDEKTSV4RRFFQ69G5FAV", true),
            ("AKIAKNYNXIODZDPECKUJ", true),
            ("ASIASRTEVQLFDLNHRXRI", true),
            ("ADMINISTRATIONOFFICE", false),
            ("V1StGXR8_Z5jdHi6B-myT", true),
            ("dQw4w9WgXcQ", true),
            ("cus_9s6XKzkNRiz8i3", true),
            ("app.3f2a1b9c.js", true),
            ("user-42", true),
            ("ord_7", true),
            ("item1234", true),
            ("ann@example.com", true),
            ("ann%40example.com", true),
            ("how-to-make-a-cup-of-tea-in-five-minutes", false),
            ("how-to-make-a-cup-of-tea-in-five-minutes2", true),
            ("users", false),
            ("v1", false),
            ("v2beta1", false),
            ("v1.41", false),
            ("v12345", true),
            ("oauth2", false),
            ("sha256", false),
            ("i18n", false),
            ("s3", false),
            ("decade", false),
            ("facade", false),
            ("deadbeef", false),
            ("@me", false),
            ("%20a%31", false),
            ("a%20b", false),
            ("100%", false),
            ("{id}", false),
            (":id", false),
            ("<int:pk>", false),
            ("index.html", false),
            ("gr\u{fc}n", false),
            ("..", false),
        ] {
            let kept = segment;
            let expected = format!("/a/{}/b", if is_id { ID } else { kept });
            check(&format!("/a/{segment}/b"), &expected);
        }
    }

    #[test]
    fn the_shape_of_a_path() {
        for (path, expected) in [
            ("/api/users/12345/orders/9f8e7d6c5b4a", "/api/users/{id}/orders/{id}"),
            ("/users?id=5&x=/y", "/users"),
            ("/users/5?", "/users/{id}"),
            ("/users#top", "/users"),
            ("/users;jsessionid=1A2B/list", "/users/list"),
            ("/users;jsessionid=1A2B?x", "/users"),
            ("/;a", "/"),
            ("/;/", "/"),
            ("/;a/b", "/b"),
            ("/a/;x", "/a/"),
            ("http://shop.example:8080/users/5?x=1", "/users/{id}"),
            ("https://shop.example", "/"),
            ("https://shop.example?x=1", "/"),
            ("//a///b", "/a/b"),
            ("/u/IkhsSBVfOIbZnxIkhsSBVfZw==", "/u/{id}"),
            ("/users/", "/users/"),
            ("/users/5/", "/users/{id}/"),
            ("/", "/"),
            ("", "/"),
            ("?x", "/"),
            ("*", "*"),
            ("users/5", "users/{id}"),
            ("/go?to=http://x/y", "/go"),
            ("a b://x/y", "a b:/x/y"),
        ] {
            check(path, expected);
        }
    }

    #[test]
    fn too_deep_or_too_long_ends_in_rest() {
        let deep = "/a".repeat(40);
        assert_eq!(of(&deep), format!("{}{REST}", "/a".repeat(SEGMENTS_MAX)));
        let long = "/administration-of-all-subscriptions".repeat(9);
        assert_eq!(of(&long), format!("{}{REST}", &long[..36 * 3]));
    }

    #[test]
    fn it_appends() {
        let mut out = "GET ".to_owned();
        template("/users/5", &Routes::default(), &mut out);
        assert_eq!(out, "GET /users/{id}");
    }

    /// Guarantees: random tokens do not become routes, whatever their alphabet; names of routes and
    /// files do. The generator is fixed and gives the same tokens every time.
    #[test]
    fn tokens_fold_and_names_stay() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut token = |alphabet: &[u8], length: usize| {
            let mut next = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                alphabet[(state >> 33) as usize % alphabet.len()] as char
            };
            (0..length).map(|_| next()).collect::<String>()
        };
        let base62 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let base64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        for (what, before, alphabet, length) in [
            ("8 characters", "", &base62[..], 8),
            ("8 of base 36", "", &base62[26..], 8),
            ("12 characters", "", base62, 12),
            ("12 bytes of base64", "", base64, 16),
            ("a key", "sk-", base62, 24),
            ("a key without digits", "sk_live_", &base62[..52], 24),
        ] {
            let shown = (0..1_000)
                .filter(|_| of(&format!("/a/{before}{}", token(alphabet, length))) != "/a/{id}")
                .count();
            assert!(shown <= 50, "{what}: {shown} of 1,000 are shown");
        }
        for name in [
            "checkout",
            "subscriptions",
            "getUserById",
            "oauth2callback",
            "postgresql",
            "graphql",
            "phpmyadmin",
            "websockets",
            "XMLHttpRequest",
            "setup-config.php",
            "wp-login.php",
            "bootstrap.bundle.min.js",
            "openid-configuration",
            "customresourcedefinitions",
            "HttpServletRequest",
            "UserServiceImpl",
            "service-worker.js",
            "apple-touch-icon.png",
            "authorization",
            "download",
            "newsletter",
            "healthcheck",
            "livenessprobe",
        ] {
            check(&format!("/{name}"), &format!("/{name}"));
        }
    }

    fn patterns() -> Routes {
        let keep = ["how-to-*", "/v/*", "/{any}/7"].map(|text| Pattern::keep(text).expect("valid"));
        let fold = ["/b/{slug}", "/f/**", "x*", "/*i*/{k}"]
            .map(|text| Pattern::fold(text).expect("valid"));
        Routes { keep: keep.to_vec(), fold: fold.to_vec() }
    }

    /// Guarantees: every rule is named, also for segments that stay.
    #[test]
    fn what_becomes_of_each_segment() {
        let routes = patterns();
        let decided = |path: &str| {
            let mut out = String::new();
            let decisions = explain(path, &routes, &mut out);
            let last = decisions.last().expect("a segment").1;
            (out, last)
        };
        for (path, expected, rule) in [
            ("/a/12345", "/a/{id}", IdRule::Number),
            ("/a/item1234", "/a/{id}", IdRule::Digits),
            ("/a/user-42", "/a/{id}", IdRule::Numbered),
            ("/a/9f8e7d6", "/a/{id}", IdRule::Hash),
            ("/a/app.3f2a1b9c.js", "/a/{id}", IdRule::Hash),
            ("/a/where-to-17-things", "/a/{id}", IdRule::Token),
            ("/a/dQw4w9WgXcQ", "/a/{id}", IdRule::Mixed),
            ("/a/qKqZmPwR", "/a/{id}", IdRule::Random),
            ("/a/YWJj=", "/a/{id}", IdRule::Padding),
            ("/a/ann@example.com", "/a/{id}", IdRule::Address),
            (&format!("/a/{}", "ab-".repeat(14)), "/a/{id}", IdRule::Long),
        ] {
            assert_eq!(decided(path), (expected.to_owned(), Decision::Id(rule)), "{path}");
        }
        for (path, expected) in [
            ("/a/where-to-7-things", "/a/where-to-7-things"),
            ("/a/how-to-17-things/5", "/a/how-to-17-things/{id}"),
            ("/v/2024-01-31", "/v/2024-01-31"),
            ("/b/hello/5", "/b/{slug}/{id}"),
            ("/f/a/b/c?q", "/f/{rest}"),
            ("/xyz/a", "/{id}/a"),
        ] {
            assert_eq!(decided(path).0, expected, "{path}");
        }
        let deep = "/a".repeat(SEGMENTS_MAX + 1);
        assert_eq!(decided(&deep).1, Decision::TooLong);
    }

    proptest! {
        /// Guarantees for any path: a template by patterns is bounded and its own template.
        #[test]
        fn property_patterns_are_stable(path in "(/(how-to-[0-9]{0,3}|v|[bfx7]|[a-zA-Z0-9{}i.:-]{0,9})){0,20}/?") {
            let of = |path: &str| {
                let mut out = String::new();
                template(path, &patterns(), &mut out);
                out
            };
            let once = of(&path);
            prop_assert!(once.len() <= TEMPLATE_BYTES_MAX);
            prop_assert_eq!(of(&once), once);
        }

        /// Guarantees for any path: a template is bounded, contains no query, and is its own
        /// template.
        #[test]
        fn property_bounded_and_stable(path in "/?([a-zA-Z0-9@%{}.:;?#\u{fc}_-]{0,50}/{0,2}){0,20}") {
            let once = of(&path);
            prop_assert!(once.len() <= TEMPLATE_BYTES_MAX);
            prop_assert!(!once.is_empty());
            prop_assert!(!once.contains(['?', '#', ';']) && !once.contains("//"));
            prop_assert_eq!(of(&once), once);
        }

        /// Guarantees: paths that differ only in a number have the same template.
        #[test]
        fn property_numbers_give_one_template(left: u64, right: u64) {
            prop_assert_eq!(of(&format!("/users/{left}/x")), of(&format!("/users/{right}/x")));
        }

        /// Guarantees: a UUID in either case is an id.
        #[test]
        fn property_uuids(bits: u128, upper: bool) {
            let hex = format!("{bits:032x}");
            let uuid = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
            let uuid = if upper { uuid.to_uppercase() } else { uuid };
            prop_assert_eq!(of(&format!("/a/{uuid}")), "/a/{id}");
        }
    }
}
