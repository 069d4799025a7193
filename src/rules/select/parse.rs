//! Parses tokens into a tree of tests without negations: the parser moves each `!` down to the
//! tests (De Morgan's laws also hold in three-valued logic), so that the evaluation of the tree
//! needs only two values.

use super::leaf::Leaf;
use super::meaning::{self, Constant, Named};
use super::token::{Comparison, Token, tokens};
use crate::record::field::FieldTable;
use crate::record::severity::Severity;
use crate::rules::syntax::{SyntaxError, nearest};

/// The longest condition in bytes: far beyond what people write, and small enough that compiling it
/// is cheap.
const TEXT_BYTES_MAX: usize = 16 * 1024;
/// The deepest nesting of parentheses and `!`; the tree is evaluated recursively on the data
/// thread's stack.
const DEPTH_MAX: usize = 32;
/// The most tests in one condition, including every value of a list.
const TESTS_MAX: usize = 1_000;

/// What may follow a field as a method or as an operator.
const METHODS: [&str; 4] = ["contains", "startsWith", "endsWith", "matches"];

/// A condition as a tree.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// One test.
    Leaf(Leaf),
    /// All of them; true if empty.
    All(Vec<Node>),
    /// At least one of them; false if empty.
    Any(Vec<Node>),
}

pub(super) fn parse(text: &str, fields: &mut FieldTable) -> Result<Node, SyntaxError> {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("the condition is longer than {TEXT_BYTES_MAX} bytes");
        return Err(SyntaxError::new(0, message));
    }
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0, tests: 0, fields };
    if parser.peek() == &Token::End {
        return Err(SyntaxError::new(0, "the condition is empty")
            .hint("leave `when` out to take every record"));
    }
    let node = parser.either(false)?;
    match parser.peek() {
        Token::End => Ok(node),
        _ => Err(parser.leftover()),
    }
}

struct Parser<'text, 'table> {
    tokens: Vec<(usize, Token<'text>)>,
    at: usize,
    depth: usize,
    tests: usize,
    fields: &'table mut FieldTable,
}

impl<'text> Parser<'text, '_> {
    /// Parses `a || b || c`.
    fn either(&mut self, negated: bool) -> Result<Node, SyntaxError> {
        let mut parts = vec![self.both(negated)?];
        while self.take(&Token::Or) {
            parts.push(self.both(negated)?);
        }
        Ok(join(parts, if negated { Node::All } else { Node::Any }))
    }

    /// Parses `a && b && c`.
    fn both(&mut self, negated: bool) -> Result<Node, SyntaxError> {
        let mut parts = vec![self.unary(negated)?];
        while self.take(&Token::And) {
            parts.push(self.unary(negated)?);
        }
        Ok(join(parts, if negated { Node::Any } else { Node::All }))
    }

    /// Parses `!a`, `(a)` or one test.
    fn unary(&mut self, negated: bool) -> Result<Node, SyntaxError> {
        let nests = matches!(self.peek(), Token::Not | Token::Open);
        if !nests {
            return self.test(negated);
        }
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let message = format!("parentheses and `!` deeper than {DEPTH_MAX}");
            return Err(SyntaxError::new(self.offset(), message));
        }
        let open = self.offset();
        let node = if self.take(&Token::Not) {
            self.unary(!negated)?
        } else {
            self.at += 1;
            let node = self.either(negated)?;
            if !self.take(&Token::Close) {
                return Err(match self.peek() {
                    Token::End => SyntaxError::new(open, "a parenthesis is not closed"),
                    _ => self.leftover(),
                });
            }
            node
        };
        self.depth -= 1;
        Ok(node)
    }

    /// Parses one test of one field.
    fn test(&mut self, negated: bool) -> Result<Node, SyntaxError> {
        self.tests += 1;
        self.check_tests()?;
        let offset = self.offset();
        let token = self.next();
        match token {
            Token::Word(function) if self.peek() == &Token::Open => {
                self.call(function, offset, negated)
            }
            Token::Word("not") => Err(instead(offset, "not", "!")),
            Token::Word(word @ ("true" | "false"))
                if !matches!(self.peek(), Token::Comparison(_)) =>
            {
                let none = Vec::new();
                Ok(if (word == "true") == negated { Node::Any(none) } else { Node::All(none) })
            }
            Token::Word(name) if !matches!(name, "true" | "false") => {
                self.relation(Named { name, offset }, negated)
            }
            Token::Field(name) => self.relation(Named { name, offset }, negated),
            Token::Word(_) | Token::Text(_) | Token::Number(_) | Token::Seconds(_) => {
                self.at -= 1;
                self.constant_first(negated)
            }
            Token::End => Err(SyntaxError::new(offset, "the condition ends too early")),
            _ => {
                self.at -= 1;
                Err(self.leftover())
            }
        }
    }

    /// Parses `200 <= status`.
    fn constant_first(&mut self, negated: bool) -> Result<Node, SyntaxError> {
        let constant_offset = self.offset();
        let constant = self.constant()?;
        let Token::Comparison(comparison) = *self.peek() else {
            return Err(SyntaxError::new(constant_offset, "a constant alone is no condition")
                .hint("compare it with a field, as in `status == 200`"));
        };
        self.at += 1;
        let offset = self.offset();
        let (Token::Word(name) | Token::Field(name)) = self.next() else {
            return Err(SyntaxError::new(offset, "one side of a comparison must be a field"));
        };
        let leaf = meaning::compare(
            self.fields,
            Named { name, offset },
            comparison.flipped(),
            constant,
            negated,
        )?;
        Ok(Node::Leaf(leaf))
    }

    /// Parses what follows a field: a comparison, a list, or a method's name as an operator.
    fn relation(&mut self, field: Named<'text>, negated: bool) -> Result<Node, SyntaxError> {
        let offset = self.offset();
        match self.next() {
            Token::Comparison(comparison) => {
                let constant = self.constant()?;
                meaning::compare(self.fields, field, comparison, constant, negated).map(Node::Leaf)
            }
            Token::Word("in") => self.list(field, negated),
            Token::Word(method) if METHODS.contains(&method) => {
                let text_offset = self.offset();
                let Token::Text(text) = self.next() else {
                    return Err(SyntaxError::new(
                        text_offset,
                        format!("`{method}` wants a string"),
                    ));
                };
                meaning::part(self.fields, field, method, text, text_offset, negated)
                    .map(Node::Leaf)
            }
            Token::Word(word @ ("and" | "or")) => {
                Err(instead(offset, word, if word == "and" { "&&" } else { "||" }))
            }
            Token::Word(word) => {
                let error = SyntaxError::new(offset, format!("unknown operator `{word}`"));
                let all = METHODS.iter().copied().chain(["in"]);
                Err(match nearest(word, all) {
                    Some(meant) => error.hint(format!("did you mean `{meant}`?")),
                    None => error,
                })
            }
            Token::End | Token::And | Token::Or | Token::Close => {
                let name = field.name;
                Err(SyntaxError::new(field.offset, format!("`{name}` alone is no condition"))
                    .hint(format!("did you mean `has({name})`, or `{name} == true`?")))
            }
            _ => {
                let message = format!("an operator is missing after `{}`", field.name);
                Err(SyntaxError::new(offset, message))
            }
        }
    }

    /// Parses `x in ["a", "b"]`, which means `x == "a" || x == "b"`.
    fn list(&mut self, field: Named<'_>, negated: bool) -> Result<Node, SyntaxError> {
        if !self.take(&Token::OpenList) {
            return Err(SyntaxError::new(self.offset(), "`in` wants a list")
                .hint("as in `method in [\"GET\", \"HEAD\"]`"));
        }
        if self.peek() == &Token::CloseList {
            return Err(SyntaxError::new(self.offset(), "the list is empty"));
        }
        let mut parts = Vec::new();
        while !self.take(&Token::CloseList) {
            let constant = self.constant()?;
            self.tests += 1;
            self.check_tests()?;
            let leaf = meaning::compare(self.fields, field, Comparison::Equal, constant, negated)?;
            parts.push(Node::Leaf(leaf));
            if !self.take(&Token::Comma) && self.peek() != &Token::CloseList {
                return Err(SyntaxError::new(self.offset(), "`,` or `]` is missing in a list"));
            }
        }
        Ok(join(parts, if negated { Node::All } else { Node::Any }))
    }

    /// Parses `has(field)` or `field.method("text")`; the next token is the parenthesis.
    fn call(
        &mut self,
        called: &'text str,
        offset: usize,
        negated: bool,
    ) -> Result<Node, SyntaxError> {
        self.at += 1;
        if called == "has" {
            let field_offset = self.offset();
            let (Token::Word(name) | Token::Field(name)) = self.next() else {
                return Err(SyntaxError::new(field_offset, "`has` wants a field's name"));
            };
            self.close(offset)?;
            return Ok(Node::Leaf(meaning::present(self.fields, name, negated)));
        }
        let (name, method) = called.rsplit_once('.').unwrap_or(("", called));
        let method_offset = offset + called.len() - method.len();
        if name.is_empty() && METHODS.contains(&method) {
            return Err(SyntaxError::new(offset, format!("`{method}` is a method of a field"))
                .hint(format!("write `field.{method}(\"...\")`")));
        }
        if !METHODS.contains(&method) {
            let error = SyntaxError::new(method_offset, format!("unknown function `{method}`"));
            let all = METHODS.iter().copied().chain(["has"]);
            return Err(match nearest(method, all) {
                Some(meant) => error.hint(format!("did you mean `{meant}`?")),
                None => error.hint("known are has, contains, startsWith, endsWith and matches"),
            });
        }
        let text_offset = self.offset();
        let Token::Text(text) = self.next() else {
            return Err(SyntaxError::new(text_offset, format!("`{method}` wants a string")));
        };
        self.close(method_offset)?;
        let field = Named { name, offset };
        meaning::part(self.fields, field, method, text, text_offset, negated).map(Node::Leaf)
    }

    fn close(&mut self, offset: usize) -> Result<(), SyntaxError> {
        if self.take(&Token::Close) {
            return Ok(());
        }
        Err(match self.peek() {
            Token::End => SyntaxError::new(offset, "a parenthesis is not closed"),
            _ => self.leftover(),
        })
    }

    fn constant(&mut self) -> Result<Constant, SyntaxError> {
        let offset = self.offset();
        match self.next() {
            Token::Text(text) => Ok(Constant::Text(text)),
            Token::Number(number) => Ok(Constant::Number(number)),
            Token::Seconds(seconds) => Ok(Constant::Seconds(seconds)),
            Token::Word("true") => Ok(Constant::Flag(true)),
            Token::Word("false") => Ok(Constant::Flag(false)),
            Token::Word("null" | "nil" | "None") => {
                Err(SyntaxError::new(offset, "an absent field cannot be compared")
                    .hint("use `has(field)` or `!has(field)`"))
            }
            Token::Word(word) if Severity::from_text(word) != Severity::UNSPECIFIED => {
                Ok(Constant::Level(word.to_owned()))
            }
            Token::Word(word) => Err(SyntaxError::new(offset, format!("`{word}` is no constant"))
                .hint(format!("text stands in quotes: \"{word}\""))),
            Token::End => Err(SyntaxError::new(offset, "a constant is missing")),
            _ => Err(SyntaxError::new(offset, "a constant is expected here")
                .hint("a string in quotes, a number, a duration such as 250ms, true or false")),
        }
    }

    fn check_tests(&self) -> Result<(), SyntaxError> {
        if self.tests <= TESTS_MAX {
            return Ok(());
        }
        Err(SyntaxError::new(self.offset(), format!("more than {TESTS_MAX} tests"))
            .hint("use `matches` with one pattern, or several rules"))
    }

    fn peek(&self) -> &Token<'text> {
        &self.tokens[self.at].1
    }

    fn offset(&self) -> usize {
        self.tokens[self.at].0
    }

    fn next(&mut self) -> Token<'text> {
        let token = self.tokens[self.at].1.clone();
        if token != Token::End {
            self.at += 1;
        }
        token
    }

    fn take(&mut self, token: &Token<'_>) -> bool {
        let same = self.peek() == token;
        if same {
            self.at += 1;
        }
        same
    }

    /// Returns the error for a token that does not belong here.
    #[cold]
    fn leftover(&self) -> SyntaxError {
        let offset = self.offset();
        match self.peek() {
            Token::Word("and") => instead(offset, "and", "&&"),
            Token::Word("or") => instead(offset, "or", "||"),
            Token::Close => SyntaxError::new(offset, "a `)` without its `(`"),
            Token::And | Token::Or => SyntaxError::new(offset, "a condition is missing here"),
            Token::Comparison(_) => SyntaxError::new(offset, "a comparison of a comparison")
                .hint("join comparisons with `&&`"),
            Token::End => SyntaxError::new(offset, "the condition ends too early"),
            Token::OpenList | Token::CloseList | Token::Comma => {
                SyntaxError::new(offset, "a list stands only behind `in`")
            }
            Token::Word(_) | Token::Field(_) | Token::Text(_) | Token::Number(_) => {
                SyntaxError::new(offset, "`&&` or `||` is missing before this")
            }
            Token::Seconds(_) | Token::Not | Token::Open => {
                SyntaxError::new(offset, "`&&` or `||` is missing before this")
            }
        }
    }
}

#[cold]
fn instead(offset: usize, written: &str, sign: &str) -> SyntaxError {
    SyntaxError::new(offset, format!("unknown operator `{written}`")).hint(format!("use `{sign}`"))
}

/// Joins parts: a single part is returned as it is, and parts of the same kind are not nested.
fn join(mut parts: Vec<Node>, kind: fn(Vec<Node>) -> Node) -> Node {
    match parts.len() {
        1 => parts.remove(0),
        _ => kind(parts),
    }
}
