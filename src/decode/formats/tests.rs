//! Compares the matcher with regular expressions, which find the same by definition.

use super::choice::{Spans, choose};
use super::matcher::{Span, run};
use super::program::{Escapes, Field, Literal, Padding, Program, Shape, Step};
use super::{Formats, OwnFormat, Reader};
use crate::decode::{Memory, decode, walk};
use crate::record::field::FieldTable;
use crate::record::{Decoded, Format};
use proptest::prelude::*;
use regex::bytes::Regex;
use std::sync::Arc;

fn step(shape: Shape, after: &str) -> Step {
    Step {
        shape,
        padding: Padding::None,
        after: Literal::new(after.as_bytes()),
        field: Field::unwanted(),
        written: Box::from("field"),
        offset: 0,
    }
}

/// Returns the program of these fields, and the expression that means the same.
fn both(head: &str, fields: &[(Shape, String)]) -> (Program, Regex) {
    let mut expression = format!("(?s)^{}", regex_syntax::escape(head));
    let mut steps = Vec::new();
    for (number, (shape, after)) in fields.iter().enumerate() {
        // only the last field may end with the line
        let after = if number + 1 < fields.len() && after.is_empty() { " " } else { after };
        expression.push_str(match shape {
            Shape::Message => "(.*)",
            Shape::Token => {
                if after.is_empty() {
                    "([^ ]*)"
                } else {
                    "([^ ]*?)"
                }
            }
            Shape::Number => "([+-]?[0-9]+(?:\\.[0-9]+)?|-)",
            _ => "(.*?)",
        });
        expression.push_str(&regex_syntax::escape(after));
        steps.push(step(*shape, after));
    }
    expression.push('$');
    let steps = steps.into_boxed_slice();
    let program = Program { head: Literal::new(head.as_bytes()), steps, escapes: Escapes::None };
    (program, Regex::new(&expression).expect("an expression"))
}

proptest! {
    /// Guarantees: fields are where lazy groups of a regular expression are, and a message is where
    /// a greedy one is.
    #[test]
    fn property_fields_are_where_a_regular_expression_finds_them(
        head in prop::sample::select(vec!["", "[", "a "]),
        shapes in prop::collection::vec(
            (
                prop::sample::select(vec![Shape::Text, Shape::Text, Shape::Message]),
                prop::sample::select(vec!["", " - ", " ", "]", ": ", "[a literal of more than 16 bytes]"]),
            ),
            1..5,
        ),
        line in prop::collection::vec(
            prop::sample::select(vec![
                "a", "b ", " - ", " ", "]", "[", ": ", ":", "\u{fc}",
                "[a literal of more than 16 bytes]", "[a literal of more than 17 bytes]",
            ]),
            0..12,
        ),
    ) {
        // one message, as in a format
        let mut has_message = false;
        let fields: Vec<(Shape, String)> = shapes
            .into_iter()
            .map(|(shape, after)| {
                let is_second = shape == Shape::Message && std::mem::replace(&mut has_message, true);
                (if is_second { Shape::Text } else { shape }, after.to_owned())
            })
            .collect();
        let (program, regex) = both(head, &fields);
        let line = line.concat();
        let mut spans = vec![Span::default(); fields.len()];
        let found = run(&program, line.as_bytes(), &mut spans).is_ok();
        let captures = regex.captures(line.as_bytes());
        prop_assert_eq!(found, captures.is_some(), "{} on {:?}", regex, line);
        if let Some(captures) = captures {
            for (number, span) in spans.iter().enumerate() {
                let group = captures.get(number + 1).expect("every group takes part");
                prop_assert_eq!(
                    (span.start as usize, span.end as usize),
                    (group.start(), group.end()),
                    "{} on {:?}", regex, line
                );
            }
        }
    }
}

proptest! {
    /// Guarantees: the program that is chosen for a line, and its fields, are what a regular
    /// expression with an optional group finds. The message follows the group, because an
    /// expression would let one before it take the group.
    #[test]
    fn property_a_part_that_may_be_missing_is_an_optional_group(
        afters in prop::collection::vec(
            prop::sample::select(vec![" - ", " ", "]", ": ", "a"]),
            3..6,
        ),
        missing in 1..5_usize,
        message in 0..6_usize,
        line in prop::collection::vec(
            prop::sample::select(vec!["a", "b ", " - ", " ", "]", ": ", ":", "\u{fc}"]),
            0..14,
        ),
    ) {
        let missing = missing.min(afters.len() - 2);
        let mut expression = String::from("(?s)^");
        let mut programs = [Vec::new(), Vec::new()];
        for (number, after) in afters.iter().enumerate() {
            let after = if number + 1 == afters.len() { "" } else { *after };
            let is_message = number > missing && number == message;
            let shape = if is_message { Shape::Message } else { Shape::Text };
            let group = if shape == Shape::Message { "(.*)" } else { "(.*?)" };
            let (open, close) = if number == missing { ("(?:", ")?") } else { ("", "") };
            let after_text = regex_syntax::escape(after);
            expression.extend([open, group, &after_text, close]);
            programs[0].push(Step { offset: number, ..step(shape, after) });
            if number != missing {
                programs[1].push(Step { offset: number, ..step(shape, after) });
            }
        }
        let regex = Regex::new(&format!("{expression}$")).expect("an expression");
        let programs = programs.map(|steps| Program {
            head: Literal::default(),
            steps: steps.into_boxed_slice(),
            escapes: Escapes::None,
        });
        let line = line.concat();
        let places = || vec![Span::default(); afters.len()];
        let mut spans = Spans { chosen: places(), tried: places() };
        let found = choose(&programs, &line, &mut spans);
        let captures = regex.captures(line.as_bytes());
        prop_assert_eq!(found.is_ok(), captures.is_some(), "{} on {:?}", regex, line);
        if let (Ok(number), Some(captures)) = (found, captures) {
            let mut expected = Vec::new();
            expected.extend(captures.iter().skip(1).flatten().map(|group| (group.start(), group.end())));
            let places = spans.chosen.iter().take(programs[number].steps.len());
            let places: Vec<_> = places.map(|s| (s.start as usize, s.end as usize)).collect();
            prop_assert_eq!(places, expected, "{} on {:?}", regex, line);
        }
    }
}

#[test]
fn tokens_numbers_and_padding() {
    use Shape::{Level, List, Number, Token};
    let text = |line: &str, fields: &[(Shape, &str)]| {
        let fields: Vec<_> = fields.iter().map(|(s, after)| (*s, (*after).to_owned())).collect();
        let (program, _) = both("", &fields);
        let mut spans = vec![Span::default(); fields.len()];
        run(&program, line.as_bytes(), &mut spans).ok()?;
        let of = |span: &Span| line[span.start as usize..span.end as usize].to_owned();
        Some(spans.iter().map(of).collect::<Vec<_>>())
    };
    let two = |a: &str, b: &str| Some(vec![a.to_owned(), b.to_owned()]);
    assert_eq!(text("a-b - 12.5", &[(Token, " - "), (Number, "")]), two("a-b", "12.5"));
    assert_eq!(text("a b - 12.5", &[(Token, " - "), (Number, "")]), None);
    assert_eq!(text("- -", &[(Number, " "), (Number, "")]), two("-", "-"));
    assert_eq!(text("-1 1.", &[(Number, " "), (Number, ".")]), two("-1", "1"));
    assert_eq!(text("123456789012 x", &[(Number, " "), (Token, "")]), two("123456789012", "x"));
    assert_eq!(text("0.1, 0.2 : - 3", &[(List, " "), (Number, "")]), two("0.1, 0.2 : -", "3"));
    assert_eq!(text("\"a:1, b:2\" 3", &[(List, " "), (Number, "")]), two("\"a:1, b:2\"", "3"));
    assert_eq!(text("Level 15: x", &[(Level, ": "), (Token, "")]), two("Level 15", "x"));
    assert_eq!(text("7: x", &[(Level, ": "), (Token, "")]), None);
    let mut padded = step(Shape::Level, "|");
    padded.padding = Padding::After(8);
    let program =
        Program { head: Literal::default(), steps: Box::new([padded]), escapes: Escapes::None };
    let mut spans = [Span::default()];
    for (line, is_match) in [
        ("INFO    |", true),
        ("CRITICAL|", true),
        ("CRITICALS|", true),
        ("INFO   |", false),
        ("INFO     |", false),
    ] {
        assert_eq!(run(&program, line.as_bytes(), &mut spans).is_ok(), is_match, "{line}");
    }
}

/// Bug: each space of the words behind it was tried as the end of the message, and the line was given
/// up after a hundred of them.
#[test]
fn a_message_ends_before_the_literals_that_follow_it() {
    let fields = [
        (Shape::Message, " ".to_owned()),
        (Shape::Text, " ".to_owned()),
        (Shape::Text, "]".to_owned()),
        (Shape::Text, String::new()),
    ];
    let (program, regex) = both("", &fields);
    for words in [1, 100, 1_000] {
        for line in [
            format!("a b c d e]{}", " w".repeat(words)),
            format!("a b{} c d e]", " w".repeat(words)),
            format!("a b c d e{}", " w".repeat(words)),
        ] {
            let mut spans = [Span::default(); 4];
            let found = run(&program, line.as_bytes(), &mut spans).is_ok();
            let captures = regex.captures(line.as_bytes());
            assert_eq!(found, captures.is_some(), "{line}");
            let Some(captures) = captures else { continue };
            let message = captures.get(1).expect("every group takes part");
            assert_eq!(spans[0].end as usize, message.end(), "{line}");
        }
    }
}

/// Guarantees: a line that no format matches is tried once, and another line in the same place is
/// tried again.
#[test]
fn a_declined_line_is_tried_once() {
    let (program, _) = both("<", &[(Shape::Message, ">".to_owned())]);
    let reader = Reader::Programs(Box::new([program]));
    let format = OwnFormat { name: Box::from("brackets"), notation: "regex", reader };
    let mut memory = Memory::new(&Arc::new(Formats { list: vec![format] }));
    let (wanted, mut into) = (FieldTable::standard(), Decoded::new());
    let mut block = "some words\n".to_owned();
    let mut read = |line: &str, memory: &mut Memory| {
        decode(line, &wanted, memory, &mut into);
        (into.format, memory.formats.scratch.tries)
    };
    let mut into = Decoded::new();
    assert_eq!(walk(&block, 0, &wanted, &mut memory, &mut into), None);
    assert_eq!(read(block.trim_end(), &mut memory), (Format::Plain, 1));
    assert_eq!(read(block.trim_end(), &mut memory), (Format::Plain, 2), "nothing precedes it");
    block.replace_range(.., "INFO words\n");
    assert_eq!(walk(&block, 0, &wanted, &mut memory, &mut into), Some(block.len()));
    block.replace_range(.., "<1 word(s>\n");
    assert_eq!(read(block.trim_end(), &mut memory), (Format::Own, 4));
}
