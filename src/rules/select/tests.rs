//! Tests conditions with hand-made records, and against a naive evaluator with three values.

use super::Condition;
use crate::clock::UnixNanos;
use crate::record::field::{self, FieldTable};
use crate::record::severity::Severity;
use crate::record::slots::{SlotValue, ValueKind};
use crate::record::{Decoded, Envelope, Record};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::cell::RefCell;

/// Builds a record with these fields, with the table that knows them, as decoding would leave it.
fn with_record<T>(
    fields: &mut FieldTable,
    values: &[(&str, ValueKind, &str)],
    envelope: Envelope<'_>,
    look: impl FnOnce(&Record<'_>) -> T,
) -> T {
    let line = values.iter().map(|(_, _, text)| *text).collect::<Vec<_>>().join(" ");
    let mut decoded = Decoded::new();
    let mut start = 0;
    for (name, kind, text) in values {
        let id = fields.intern(name);
        let binding = fields.binding(name);
        let unit = binding.map_or(field::Unit::None, |b| b.unit);
        let entry = SlotValue { kind: *kind, unit, ..SlotValue::text(start, start + text.len()) };
        decoded.slots.put(id, entry);
        // Decoding does this for keys that mean a standard field.
        if let Some(binding) = binding
            && binding.field != id
        {
            decoded.slots.put(binding.field, SlotValue { rank: binding.rank, ..entry });
        }
        start += text.len() + 1;
    }
    look(&Record::new(&line, &decoded, UnixNanos(0), envelope))
}

fn holds(condition: &str, values: &[(&str, ValueKind, &str)]) -> bool {
    let mut fields = FieldTable::standard();
    let compiled = Condition::parse(condition, &mut fields)
        .unwrap_or_else(|error| panic!("{condition}: {error:?}"));
    with_record(&mut fields, values, Envelope::default(), |record| compiled.holds(record))
}

const REQUEST: &[(&str, ValueKind, &str)] = &[
    ("level", ValueKind::Text, "error"),
    ("message", ValueKind::Text, "payment failed: timeout"),
    ("status", ValueKind::Number, "503"),
    ("code", ValueKind::Text, "0042"),
    ("duration_ms", ValueKind::Number, "250"),
    ("took", ValueKind::Text, "1.5s"),
    ("data.shop", ValueKind::Text, "berlin"),
    ("ok", ValueKind::False, "false"),
    ("user-agent", ValueKind::Text, "curl/8"),
    ("tags", ValueKind::Tree, "[1]"),
];

#[test]
fn conditions() {
    for (condition, expected) in [
        ("status == 503", true),
        ("status == 503.0", true),
        ("status == \"503\"", true),
        ("status == \"503.0\"", false),
        ("status != 503", false),
        ("status >= 500 && status < 600", true),
        ("503 == status", true),
        ("600 > status", true),
        ("500 >= status", false),
        ("code == 42", true),
        ("code == \"42\"", false),
        ("code > -1.5e3", true),
        ("data.shop == 'berlin'", true),
        ("data.shop != \"berlin\"", false),
        ("data.shop > \"aachen\"", true),
        ("data.shop <= \"berlin\"", true),
        ("data.shop in [\"bonn\", \"berlin\"]", true),
        ("!(data.shop in [\"bonn\", \"berlin\"])", false),
        ("status in [200, 503,]", true),
        ("data.shop == 5", false),
        ("data.shop != 5", true),
        ("data.shop > 5", false),
        ("!(data.shop > 5)", false),
        ("ok == false", true),
        ("ok != true", true),
        ("ok == true", false),
        ("has(ok) && !has(nothing)", true),
        ("nothing == 1", false),
        ("!(nothing == 1)", false),
        ("nothing != 1", false),
        ("!(nothing == 1) || ok == false", true),
        ("!(nothing == 1 && ok == true)", true),
        ("!(nothing == 1 && ok == false)", false),
        ("!!(status == 503)", true),
        ("message.contains(\"time\")", true),
        ("body.contains('time')", true),
        ("body contains \"time\"", true),
        ("body.startsWith(\"payment\") && body.endsWith(\"timeout\")", true),
        ("body startsWith \"x\" || body endsWith \"x\"", false),
        ("body.matches(\"fail(ed|ure)\")", true),
        ("body.matches(r\"^\\w+ failed\")", true),
        ("body.matches(\"^\\\\d\")", false),
        ("!body.contains(\"x\")", true),
        ("!nothing.contains(\"x\")", false),
        ("`data.shop` == \"berlin\"", true),
        ("user-agent.startsWith(\"curl\")", true),
        ("`user-agent` startsWith \"curl\"", true),
        ("has(tags) && tags == \"[1]\"", true),
        ("tags > 0", false),
        ("true", true),
        ("false", false),
        ("!true", false),
        ("!false && (true)", true),
        ("true == ok", false),
        ("status == 503 || nothing == 1 && nothing == 2", true),
        ("(status == 503 || status == 1) && status == 2", false),
        ("data.shop == \"b\\x65rlin\"", true),
        ("data.shop == \"b\\u0065rlin\"", true),
    ] {
        assert_eq!(holds(condition, REQUEST), expected, "{condition}");
    }
}

#[test]
fn durations_compare_in_seconds() {
    for (condition, expected) in [
        ("duration == 250ms", true),
        ("duration > 0.2s", true),
        ("duration_ms < 1m30s", true),
        ("duration_ms == 250", true),
        ("took > 1500ms", false),
        ("took >= 1500ms", true),
        ("1s < took", true),
        // A status has no unit, so it is not a duration.
        ("status > 1ns", false),
        ("!(status > 1ns)", false),
    ] {
        assert_eq!(holds(condition, REQUEST), expected, "{condition}");
    }
}

#[test]
fn levels_compare_by_number() {
    for (condition, level, expected) in [
        ("level >= WARN", "error", true),
        ("level >= \"WARN\"", "warning", true),
        ("level >= WARN", "INFO4", false),
        ("severity_text >= ERROR", "CRITICAL", true),
        ("severity == ERROR", "error4", true),
        ("severity <= ERROR", "error4", true),
        ("severity > ERROR", "error4", false),
        ("severity > ERROR", "fatal", true),
        ("severity < ERROR", "warn4", true),
        ("severity != ERROR", "error2", false),
        ("level == INFO", "notice", true),
        ("level == \"notice\"", "info", false),
        ("level == \"NOTICE\"", "notice", true),
        ("level == \"audit\"", "audit", true),
        ("level != \"audit\"", "error", true),
        ("level == \"error\"", "ERR", true),
        ("level in [\"warn\", \"error\"]", "ERR", true),
        ("severity_number >= 17", "error", true),
        ("severity_number == 9", "info", true),
        ("level >= ERROR", "audit", false),
        ("!(level >= ERROR)", "audit", false),
        ("level == 30", "30", true),
        ("level >= WARN", "40", true),
    ] {
        assert_eq!(holds(condition, &[("level", ValueKind::Text, level)]), expected, "{condition}");
    }
    assert!(!holds("level < ERROR || !(level < ERROR)", &[]), "no level is unknown");
    assert!(!holds("has(level)", &[]) && holds("has(level)", &[("level", ValueKind::Text, "x")]));
}

/// If a line has no level, the level of its syslog header counts.
#[test]
fn a_level_of_the_transport_counts() {
    let envelope = Envelope { severity: Severity::ERROR, tag: None };
    let mut fields = FieldTable::standard();
    let condition = Condition::parse("has(level) && level >= ERROR", &mut fields).expect("valid");
    assert!(with_record(&mut fields, &[], envelope, |record| condition.holds(record)));
    assert!(condition.required().is_empty());
}

/// If a line has no message, the whole line is searched, but never compared.
#[test]
fn the_line_stands_for_an_absent_message() {
    let line = [("x", ValueKind::Text, "out of memory")];
    assert!(holds("message.contains(\"memory\")", &line));
    assert!(holds("body.startsWith(\"out\")", &line));
    assert!(!holds("body == \"out of memory\"", &line));
    assert!(!holds("y.contains(\"memory\")", &line));
}

#[test]
fn errors_say_where_and_what_to_do() {
    for (condition, offset, message, hint) in [
        ("", 0, "empty", "leave `when` out"),
        ("status = 200", 7, "unknown operator `=`", "`==`"),
        ("status =~ \"x\"", 7, "unknown operator `=~`", "matches"),
        ("a == 1 & b == 2", 7, "unknown operator `&`", "`&&`"),
        ("a == 1 | b == 2", 7, "unknown operator `|`", "`||`"),
        ("a == 1 and b == 2", 7, "unknown operator `and`", "`&&`"),
        ("a or b", 2, "unknown operator `or`", "`||`"),
        ("not a == 1", 0, "unknown operator `not`", "`!`"),
        ("error", 0, "`error` alone is no condition", "has(error)"),
        ("a == 1 && error", 10, "alone is no condition", "has(error)"),
        ("a == \"x", 5, "a string is not closed", "`\"`"),
        ("a == \"x\\", 5, "a string is not closed", "`\"`"),
        ("a == \"\\d\"", 6, "unknown escape `\\d`", "\\\\d"),
        ("body.contain(\"x\")", 5, "unknown function `contain`", "`contains`"),
        ("hsa(x)", 0, "unknown function `hsa`", "`has`"),
        ("body.zzzzzzzzz(\"x\")", 5, "unknown function", "known are"),
        ("contains(\"x\")", 0, "a method of a field", "field.contains"),
        ("body startswith \"x\"", 5, "unknown operator `startswith`", "`startsWith`"),
        ("body.contains(5)", 14, "wants a string", ""),
        ("body contains x", 14, "wants a string", ""),
        ("a == null", 5, "absent field", "has(field)"),
        ("a == b", 5, "`b` is no constant", "\"b\""),
        ("a == berlin", 5, "`berlin` is no constant", "\"berlin\""),
        ("a == ERROR", 0, "is a level", "\"ERROR\""),
        ("a == ", 5, "a constant is missing", ""),
        ("a == (1)", 5, "a constant is expected", "a string"),
        ("a in (1)", 5, "wants a list", "[\"GET\""),
        ("a in []", 6, "the list is empty", ""),
        ("a in [1 2]", 8, "`,` or `]` is missing", ""),
        ("a in [1", 7, "`,` or `]` is missing", ""),
        ("(a == 1", 0, "a parenthesis is not closed", ""),
        ("has(a", 0, "a parenthesis is not closed", ""),
        ("a == 1)", 6, "without its `(`", ""),
        ("a == 1 b == 2", 7, "is missing before this", ""),
        ("a == 1 == 2", 7, "comparison of a comparison", "`&&`"),
        ("a == 1 && && b == 2", 10, "a condition is missing", ""),
        ("a == 1 &&", 9, "ends too early", ""),
        ("a 5", 2, "an operator is missing", ""),
        ("5", 0, "a constant alone", "status == 200"),
        ("5 == 5", 5, "must be a field", ""),
        ("a > true", 0, "no order", "`==`"),
        ("a == 5parsecs", 5, "neither a number nor a duration", "ns, us, ms"),
        ("a == 1 ^ b", 7, "unexpected `^`", ""),
        ("gr\u{fc}n == 1", 2, "unexpected", "backquotes"),
        ("`a == 1", 0, "a backquote is not closed", ""),
        ("`` == 1", 0, "name is empty", ""),
        ("body.matches(\"a(b\")", 15, "unclosed group", ""),
        ("body.matches(r\"a(b\")", 16, "unclosed group", ""),
        ("a == \"\\xZZ\"", 6, "2 hex digits", ""),
        ("a == \"\\ud800\"", 6, "names no character", ""),
        ("a == 1, b", 6, "only behind `in`", ""),
        ("has(5)", 4, "wants a field's name", ""),
    ] {
        let mut fields = FieldTable::standard();
        let error = Condition::parse(condition, &mut fields).expect_err(condition);
        assert_eq!(error.offset, offset, "{condition}: {error:?}");
        assert!(error.message.contains(message), "{condition}: {error:?}");
        assert!(error.hint.unwrap_or_default().contains(hint), "{condition}");
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let mut fields = FieldTable::standard();
    let mut parse = |text: &str| Condition::parse(text, &mut fields).map(|_| ());
    assert!(parse(&format!("{}a == 1{}", "(".repeat(32), ")".repeat(32))).is_ok());
    assert!(parse(&format!("{}a == 1{}", "(".repeat(33), ")".repeat(33))).is_err());
    assert!(parse(&format!("{}a == 1", "!".repeat(10_000))).is_err());
    assert!(parse(&format!("a in [{}]", "1,".repeat(1_001))).is_err());
    assert!(parse(&format!("a == \"{}\"", "x".repeat(20_000))).is_err());
    assert!(parse(&vec!["(a == 1)"; 100].join(" || ")).is_ok(), "depth is given back");
}

#[test]
fn what_a_rule_can_be_indexed_by() {
    for (condition, required, equalities) in [
        ("x == \"a\"", &["x"][..], &[("x", "a")][..]),
        ("x == 1", &["x"], &[]),
        ("x != \"a\"", &["x"], &[]),
        ("!(x != \"a\")", &["x"], &[("x", "a")]),
        ("!(x == \"a\")", &["x"], &[]),
        ("has(x)", &["x"], &[]),
        ("!has(x)", &[], &[]),
        ("x == \"a\" && y > 1 && has(z)", &["x", "y", "z"], &[("x", "a")]),
        ("x == \"a\" || y == \"b\"", &[], &[]),
        ("x == \"a\" || x == \"b\"", &["x"], &[]),
        ("x in [\"a\"]", &["x"], &[("x", "a")]),
        ("x in [\"a\", \"b\"]", &["x"], &[]),
        ("(x == \"a\" && y == 1) || (x == \"a\" && z == 1)", &["x"], &[("x", "a")]),
        ("!(x == \"a\" || y == \"b\")", &["x", "y"], &[]),
        ("!(x != \"a\" || y != \"b\")", &["x", "y"], &[("x", "a"), ("y", "b")]),
        ("!x.contains(\"a\")", &["x"], &[]),
        ("body.contains(\"a\")", &[], &[]),
        ("body == \"a\"", &["body"], &[("body", "a")]),
        ("level >= ERROR", &[], &[]),
        ("true", &[], &[]),
    ] {
        let mut fields = FieldTable::standard();
        let compiled = Condition::parse(condition, &mut fields).expect(condition);
        let names = |id| fields.name(id).to_owned();
        let found: Vec<String> = compiled.required().into_iter().map(names).collect();
        assert_eq!(found, required, "{condition}");
        let found: Vec<_> =
            compiled.equalities().into_iter().map(|(id, text)| (names(id), text)).collect();
        let expected: Vec<_> =
            equalities.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect();
        assert_eq!(found, expected, "{condition}");
    }
}

/// A condition as a tree, evaluated literally: true, false or unknown.
#[derive(Clone, Debug)]
enum Tree {
    Has(&'static str),
    Text(&'static str, &'static str, &'static str),
    Number(&'static str, &'static str, i32),
    Part(&'static str, &'static str, &'static str),
    In(&'static str, Vec<&'static str>),
    Not(Box<Tree>),
    And(Box<Tree>, Box<Tree>),
    Or(Box<Tree>, Box<Tree>),
}

type Values = Vec<(&'static str, ValueKind, &'static str)>;

impl Tree {
    fn text(&self) -> String {
        match self {
            Tree::Has(field) => format!("has({field})"),
            Tree::Text(field, sign, text) => format!("{field} {sign} \"{text}\""),
            Tree::Number(field, sign, number) => format!("{field}{sign}{number}"),
            Tree::Part(field, method, text) => format!("{field}.{method}('{text}')"),
            Tree::In(field, texts) => format!("{field} in {texts:?}"),
            Tree::Not(inner) => format!("!({})", inner.text()),
            Tree::And(left, right) => format!("({}) && ({})", left.text(), right.text()),
            Tree::Or(left, right) => format!("({}) || ({})", left.text(), right.text()),
        }
    }

    fn value(&self, values: &Values) -> Option<bool> {
        let of = |field: &str| values.iter().find(|(name, ..)| *name == field).map(|v| v.2);
        match self {
            Tree::Has(field) => Some(of(field).is_some()),
            Tree::Text(field, sign, text) => Some(match *sign {
                "==" => of(field)? == *text,
                "!=" => of(field)? != *text,
                "<" => of(field)? < *text,
                _ => of(field)? >= *text,
            }),
            Tree::Number(field, sign, number) => {
                let value: Option<f64> = of(field)?.parse().ok();
                let number = f64::from(*number);
                match *sign {
                    "==" => Some(value == Some(number)),
                    "!=" => Some(value != Some(number)),
                    "<" => Some(value? < number),
                    _ => Some(value? >= number),
                }
            }
            Tree::Part(field, method, text) => Some(match *method {
                "contains" => of(field)?.contains(text),
                "startsWith" => of(field)?.starts_with(text),
                "endsWith" => of(field)?.ends_with(text),
                _ => of(field)?.contains(text),
            }),
            Tree::In(field, texts) => Some(texts.contains(&of(field)?)),
            Tree::Not(inner) => Some(!inner.value(values)?),
            Tree::And(left, right) => match (left.value(values), right.value(values)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Tree::Or(left, right) => match (left.value(values), right.value(values)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
        }
    }
}

const NAMES: [&str; 3] = ["x", "data.y", "z"];
const TEXTS: [&str; 5] = ["a", "ab", "1", "20", ""];

fn tree() -> impl Strategy<Value = Tree> {
    let field = || prop::sample::select(&NAMES[..]);
    let text = || prop::sample::select(&TEXTS[..]);
    let sign = || prop::sample::select(&["==", "!=", "<", ">="][..]);
    let method = || prop::sample::select(&["contains", "startsWith", "endsWith", "matches"][..]);
    let leaf = prop_oneof![
        field().prop_map(Tree::Has),
        (field(), sign(), text()).prop_map(|(f, s, t)| Tree::Text(f, s, t)),
        (field(), sign(), -1..25i32).prop_map(|(f, s, n)| Tree::Number(f, s, n)),
        (field(), method(), text()).prop_map(|(f, m, t)| Tree::Part(f, m, t)),
        (field(), prop::collection::vec(text(), 1..4)).prop_map(|(f, t)| Tree::In(f, t)),
    ];
    leaf.prop_recursive(5, 40, 2, |inner| {
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            inner.prop_map(|tree| Tree::Not(Box::new(tree))),
            two.clone().prop_map(|(l, r)| Tree::And(Box::new(l), Box::new(r))),
            two.prop_map(|(l, r)| Tree::Or(Box::new(l), Box::new(r))),
        ]
    })
}

fn values() -> impl Strategy<Value = Values> {
    let value = prop::option::of(prop::sample::select(&TEXTS[..]));
    prop::array::uniform3(value).prop_map(|texts| {
        let of = |(name, text): (&'static str, Option<&'static str>)| {
            text.map(|text| (name, ValueKind::Text, text))
        };
        NAMES.into_iter().zip(texts).filter_map(of).collect()
    })
}

/// A compiled condition holds exactly if the literal evaluation of the tree is true; and everything
/// that it requires is present when it holds.
#[test]
fn property_holds_where_a_naive_evaluator_says_so() {
    // One table for all cases, because creating one costs more than everything else here.
    let fields = RefCell::new(FieldTable::standard());
    let config = ProptestConfig { cases: 2_000, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&(tree(), values()), |(tree, values)| {
        let mut fields = fields.borrow_mut();
        let text = tree.text();
        let compiled = Condition::parse(&text, &mut fields).expect("a valid condition");
        let (held, missing) = with_record(&mut fields, &values, Envelope::default(), |record| {
            let required = compiled.required().into_iter();
            let required = required.filter(|id| record.entry(*id).is_none()).count();
            let equal = compiled.equalities().into_iter();
            let unequal = equal.filter(|(id, is)| record.text(*id) != Some(is)).count();
            (compiled.holds(record), required + unequal)
        });
        prop_assert_eq!(held, tree.value(&values) == Some(true), "{} on {:?}", text, values);
        prop_assert!(!held || missing == 0, "{}", text);
        Ok(())
    });
    outcome.expect("every case");
}

/// Any text is either a condition or an error with an offset inside the text, and never panics.
#[test]
fn property_any_text_is_read() {
    let fields = RefCell::new(FieldTable::standard());
    let text = "[a-c().!&|=<>\"'\\[\\], 0-9`r\\\\\u{fc}hasinm~-]{0,40}";
    let config = ProptestConfig { cases: 1_000, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&text, |text| {
        if let Err(error) = Condition::parse(&text, &mut fields.borrow_mut()) {
            prop_assert!(error.offset <= text.len());
        }
        Ok(())
    });
    outcome.expect("every case");
}
