//! Parses Apache's `LogFormat`: the string alone, in quotes, or the whole directive. Unit: one
//! format.

use super::dates;
use super::notation::{Context, Draft, Piece};
use crate::decode::formats::program::Shape;
use crate::record::field::{
    CLIENT_ADDRESS, DURATION, HTTP_METHOD, HTTP_STATUS, REQUEST_ID, REQUEST_LINE, TIMESTAMP,
    TRACEPARENT, URL_PATH, USER_AGENT, Unit,
};
use crate::rules::syntax::SyntaxError;

/// Parses a format.
///
/// # Errors
/// Returns the first thing that is no format.
pub(super) fn parse(context: &Context<'_>) -> Result<Vec<Piece>, SyntaxError> {
    let characters = characters(&context.settings.pattern)?;
    let mut reader = Reader { characters: &characters, at: 0 };
    let mut pieces = Vec::new();
    while let Some((character, offset)) = reader.next() {
        match character {
            '%' => directive(&mut reader, offset, &mut pieces)?,
            '\n' | '\r' => pieces.push(Piece::LineEnd(offset)),
            _ => {
                let mut buffer = [0; 4];
                pieces.push(Piece::literal(character.encode_utf8(&mut buffer)));
            }
        }
    }
    Ok(pieces)
}

/// Returns the characters of the format with their positions, without the backslashes before
/// quotes.
fn characters(text: &str) -> Result<Vec<(char, usize)>, SyntaxError> {
    let mut rest = text.trim_start();
    let mut name = rest.char_indices().take_while(|(_, c)| c.is_ascii_alphabetic());
    let is_directive = rest.get(..9).is_some_and(|word| word.eq_ignore_ascii_case("LogFormat"))
        && name.by_ref().count() == 9;
    if is_directive {
        rest = rest[9..].trim_start();
    }
    let is_quoted = is_directive && rest.starts_with('"');
    if is_directive && !is_quoted {
        let error = SyntaxError::new(0, "the directive has no format in quotes");
        return Err(error.hint("as in LogFormat \"%h %l %u %t \\\"%r\\\" %>s %b\" common"));
    }
    let begin = text.len() - rest.len();
    let mut out = Vec::new();
    let mut all = rest.char_indices().skip(usize::from(is_quoted)).peekable();
    while let Some((at, character)) = all.next() {
        let next = all.peek().map(|(_, next)| *next);
        match (character, next) {
            ('\\', Some('n')) => {
                out.push(('\n', begin + at));
                all.next();
            }
            ('\\', Some('t')) => {
                out.push(('\t', begin + at));
                all.next();
            }
            ('\\', Some(escaped @ ('"' | '\\'))) => {
                out.push((escaped, begin + at));
                all.next();
            }
            ('"', _) if is_quoted => return Ok(out),
            _ => out.push((character, begin + at)),
        }
    }
    if is_quoted { Err(SyntaxError::new(begin, "the quote is not closed")) } else { Ok(out) }
}

struct Reader<'a> {
    characters: &'a [(char, usize)],
    at: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<(char, usize)> {
        let found = self.characters.get(self.at).copied();
        self.at += usize::from(found.is_some());
        found
    }

    fn take_while(&mut self, is: impl Fn(char) -> bool) -> String {
        let rest = &self.characters[self.at..];
        let text: String = rest.iter().map(|(c, _)| *c).take_while(|c| is(*c)).collect();
        self.at += text.chars().count();
        text
    }
}

/// Parses what follows a percent sign: `>s`, `!200,304{Referer}i`, `{%F}t`.
fn directive(
    reader: &mut Reader<'_>,
    offset: usize,
    pieces: &mut Vec<Piece>,
) -> Result<(), SyntaxError> {
    let mut written = "%".to_owned();
    // codes for which the value is written, and which request of a redirect it is of
    written.push_str(&reader.take_while(|c| c == '!' || c == ',' || c.is_ascii_digit()));
    written.push_str(&reader.take_while(|c| c == '<' || c == '>'));
    let mut argument = None;
    if reader.characters.get(reader.at).is_some_and(|(c, _)| *c == '{') {
        reader.next();
        let inside = reader.take_while(|c| c != '}');
        if reader.next().is_none() {
            return Err(SyntaxError::new(offset, "`%{` is not closed by `}`"));
        }
        written = format!("{written}{{{inside}}}");
        argument = Some(inside);
    }
    written.push_str(&reader.take_while(|c| c == '<' || c == '>'));
    let Some((letter, _)) = reader.next() else {
        let error = SyntaxError::new(offset, format!("`{written}` at the end of the format"));
        return Err(error.hint("a percent sign is written %%"));
    };
    written.push(letter);
    // `%^ti` and `%^to`: trailers
    if letter == '^' {
        written.push_str(&reader.take_while(|c| c.is_ascii_alphabetic()));
        let key = argument.unwrap_or_default();
        pieces.push(Draft::text(&key, &written, offset).piece());
        return Ok(());
    }
    let draft = Draft::text(argument.as_deref().unwrap_or_default(), &written, offset);
    pieces.extend(meaning(letter, argument.as_deref(), draft, offset)?);
    Ok(())
}

/// Returns the pieces of one directive.
fn meaning(
    letter: char,
    argument: Option<&str>,
    draft: Draft,
    offset: usize,
) -> Result<Vec<Piece>, SyntaxError> {
    let duration =
        |draft: Draft, unit, rank| Draft { unit, rank, ..draft.of(DURATION).shaped(Shape::Number) };
    let draft = match letter {
        '%' => return Ok(vec![Piece::literal("%")]),
        't' => return time(argument, draft),
        'h' => draft.of(CLIENT_ADDRESS).shaped(Shape::Token),
        'a' => Draft { rank: 2, ..draft.of(CLIENT_ADDRESS).shaped(Shape::Token) },
        'r' => draft.of(REQUEST_LINE),
        's' => draft.of(HTTP_STATUS).shaped(Shape::Number),
        'm' => draft.of(HTTP_METHOD).shaped(Shape::Token),
        'U' => draft.of(URL_PATH),
        'D' => duration(draft, Unit::Microseconds, 0),
        'T' => match argument {
            None | Some("s") => duration(draft, Unit::Seconds, 4),
            Some("ms") => duration(draft, Unit::Milliseconds, 2),
            Some("us") => duration(draft, Unit::Microseconds, 0),
            Some(unit) => {
                let error = SyntaxError::new(offset, format!("%T has no unit `{unit}`"));
                return Err(error.hint("one of s, ms, us"));
            }
        },
        'b' | 'B' | 'I' | 'O' | 'S' | 'k' | 'p' | 'P' => draft.shaped(Shape::Number),
        'i' | 'o' => match argument.map(str::to_ascii_lowercase).as_deref() {
            Some("user-agent") if letter == 'i' => draft.of(USER_AGENT),
            Some("x-request-id" | "x-correlation-id") => draft.of(REQUEST_ID),
            Some("traceparent") => draft.of(TRACEPARENT),
            Some(_) => draft,
            None => {
                let message = format!("`{}` lacks the name of a header", draft.written);
                return Err(SyntaxError::new(offset, message).hint("as in %{User-Agent}i"));
            }
        },
        'L' => Draft { rank: 2, ..draft.of(REQUEST_ID) },
        'e' if argument == Some("UNIQUE_ID") => draft.of(REQUEST_ID),
        'l' | 'u' | 'f' | 'H' | 'q' | 'v' | 'V' | 'A' | 'R' | 'X' | 'C' | 'e' | 'n' | 'x' | 'c' => {
            draft
        }
        _ => {
            let message = format!("`{}` is no directive of LogFormat", draft.written);
            return Err(SyntaxError::new(offset, message).hint("a percent sign is written %%"));
        }
    };
    // unlike a name in braces, a letter is no key
    let key = if draft.key.is_empty() { draft.written.clone() } else { draft.key.clone() };
    Ok(vec![Draft { key, ..draft }.piece()])
}

/// Returns the time of a request: in brackets, or in a form of `strftime`.
fn time(argument: Option<&str>, draft: Draft) -> Result<Vec<Piece>, SyntaxError> {
    let offset = draft.offset;
    let draft = Draft { key: "time".to_owned(), ..draft };
    let Some(argument) = argument else {
        let time = Draft { rank: 2, ..draft.timed(dates::common_log()) };
        return Ok(vec![Piece::literal("["), time.piece(), Piece::literal("]")]);
    };
    let form = argument.strip_prefix("begin:").or_else(|| argument.strip_prefix("end:"));
    let number = |draft: Draft, rank| Draft { rank, ..draft.of(TIMESTAMP).shaped(Shape::Number) };
    let draft = match form.unwrap_or(argument) {
        "sec" => number(draft, 4),
        "msec" => number(draft, 1),
        "usec" => number(draft, 0),
        "msec_frac" | "usec_frac" => Draft {
            is_milliseconds: form.unwrap_or(argument) == "msec_frac",
            key: String::new(),
            ..draft.shaped(Shape::Number)
        },
        "" => return Ok(vec![draft.timed(dates::common_log()).piece()]),
        text => {
            let parts = dates::strftime(text).map_err(|error| SyntaxError { offset, ..error })?;
            draft.timed(parts)
        }
    };
    Ok(vec![draft.piece()])
}
