//! The grammar of a record: which line may follow which. An unindented line that no stack trace
//! contains continues a record only if the stack trace follows it. Any other such line is a
//! separate record: one record too many is better than a record that another one swallows. Unit:
//! one line.

use super::header;
use super::line::{LineKind, without_end};

/// What may follow in a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum GrammarState {
    /// A text line without time and level; a stack trace may follow directly.
    Plain,
    /// A text line with a time or a level; more of its message may follow, then a stack trace.
    Headed,
    /// The two lines with which Microsoft's console logger begins; any indented line may follow.
    Console,
    /// The date line of java.util.logging; the level line follows.
    JavaDate,
    /// `Type: message` of an exception before its frames.
    Thrown,
    /// Inside a Python traceback; frames follow, then `Type: message`.
    Frames,
    /// Inside an ExceptionGroup or a stack; only indented lines follow.
    Group,
    /// Inside rich's box; its lines follow, then `Type: message`.
    Box,
    /// After `Type: message`; more of the message follows, unless it can be a separate record.
    Message,
    /// After a type without a message; no message follows.
    Bare,
    /// After the sentence between two chained exceptions; the second exception follows.
    Chained,
    /// Inside a stack of any other language.
    Stack,
    /// After `Caused by: `; more of that message follows, then frames.
    Caused,
    /// After the line of a Go panic; more of its message follows, then goroutines.
    GoPanic,
    /// After the location of an exception in Node; the source line follows.
    NodePlace,
    /// After the source line; the line that marks the column follows.
    NodeSource,
    /// After the mark; an empty line follows, then the exception.
    NodeMark,
    /// After the location of a Rust panic; its message follows, whatever it is.
    RustPanic,
    /// After the first line of that message.
    RustMessage,
    /// After the title of an Erlang report.
    Report,
    /// Inside an Erlang report.
    ReportMore,
    /// No line may follow.
    Closed,
}

/// The last of the lines that belong to the record only if a later line does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pending {
    None,
    /// One empty line.
    Empty,
    /// More than one empty line.
    Empties,
    /// A name that may be the name of a field.
    Field,
    /// A function of Go.
    Call,
    /// Any text.
    Text,
}

impl Pending {
    fn is_empty(self) -> bool {
        matches!(self, Pending::Empty | Pending::Empties)
    }
}

/// The relation of a line to the record before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// The line and the held lines belong to the record.
    Join(GrammarState),
    /// A later line decides.
    Pend(Pending),
    /// Neither the line nor the held lines belong to the record.
    End,
}

use Step::{End, Join, Pend};
use {GrammarState as S, LineKind as L};

/// Returns the state after a first line.
pub(super) fn first_state(first: LineKind, bytes: &[u8]) -> GrammarState {
    match first {
        L::Header => S::Frames,
        L::GroupHeader => S::Group,
        L::BoxTop => S::Box,
        // the beginning was cut off by a message that continues unindented
        L::Chain => S::Chained,
        L::Empty | L::NoException => S::Closed,
        L::JavaDate => S::JavaDate,
        L::Thrown | L::Uncaught | L::RubyThrown => S::Thrown,
        L::GoPanic => S::GoPanic,
        L::Goroutine | L::Frame | L::RubyFrame | L::StackTitle => S::Stack,
        L::Cause => S::Caused,
        L::NodePlace => S::NodePlace,
        L::RustPanic => S::RustPanic,
        L::RustPanicOld => S::RustMessage,
        L::ErlangReport => S::Report,
        L::Start | L::LevelAndMessage | L::ErlangTerm => {
            let line = header::behind_colours(without_end(bytes));
            if header::is_never_joined_to(line) {
                S::Closed
            } else if header::is_console_category(line) {
                S::Console
            } else {
                S::Headed
            }
        }
        L::IndentedDigit | L::IndentedLevel => S::Headed,
        _ if header::is_never_joined_to(bytes) => S::Closed,
        _ => S::Plain,
    }
}

/// Decides what `line` is to a record in this state with these held lines.
pub(super) fn next(state: GrammarState, pending: Pending, line: LineKind) -> Step {
    if !matches!(state, S::NodePlace | S::RustPanic)
        && matches!(
            line,
            L::Start
                | L::JavaDate
                | L::Uncaught
                | L::GoPanic
                | L::NodePlace
                | L::RustPanic
                | L::RustPanicOld
                | L::ErlangReport
        )
    {
        return End;
    }
    match state {
        S::Plain | S::Headed | S::Console | S::Thrown => behind_text(state, pending, line),
        S::JavaDate if line == L::LevelAndMessage && pending == Pending::None => Join(S::Headed),
        S::JavaDate => behind_text(S::Headed, pending, line),
        S::Frames | S::Group | S::Box | S::Message | S::Bare | S::Chained => {
            in_python(state, pending, line)
        }
        S::Stack | S::Caused => in_stack(state, pending, line),
        S::GoPanic => in_go_panic(line, pending),
        S::NodePlace => Join(S::NodeSource),
        S::NodeSource => match line {
            line if line.is_indented() => Join(S::NodeMark),
            L::Other => Join(S::NodeMark),
            _ => End,
        },
        S::NodeMark => match line {
            L::Empty if pending == Pending::None => Pend(Pending::Empty),
            L::LevelAndMessage | L::Empty => End,
            _ if line.is_indented() => Join(S::Stack),
            _ => Join(S::Thrown),
        },
        S::RustPanic => Join(S::RustMessage),
        S::RustMessage => in_rust_panic(line, pending),
        S::Report | S::ReportMore => in_report(state, pending, line),
        S::Closed => End,
    }
}

/// Handles the state after a text line, more of its message, or an exception without frames so far.
fn behind_text(state: GrammarState, pending: Pending, line: LineKind) -> Step {
    let holds = state != S::Plain;
    if pending != Pending::None && !holds {
        return End;
    }
    match line {
        L::Header => Join(S::Frames),
        L::GroupHeader => Join(S::Group),
        L::BoxTop => Join(S::Box),
        L::StackHeader if pending == Pending::None => Join(S::Group),
        L::NoException if pending == Pending::None => Join(S::Closed),
        L::AsyncioContext if pending == Pending::None => Join(state),
        L::Frame | L::StackTitle => Join(S::Stack),
        L::Goroutine if holds || pending == Pending::None => Join(S::Stack),
        L::Tabbed if pending == Pending::None => Join(state),
        _ if state == S::Console && line.is_indented() => Join(state),
        L::Indented if holds && pending == Pending::None => Join(state),
        L::Cause if holds => Join(S::Caused),
        L::RubyFrame if holds => Join(S::Stack),
        L::IndentedDigit | L::IndentedLevel | L::RubyThrown | L::LevelAndMessage => End,
        L::StackMore if state == S::Thrown && pending == Pending::None => Join(S::Stack),
        // an exception after one without frames is a new record
        L::Thrown | L::BareThrown if state == S::Thrown => End,
        L::Empty if pending == Pending::Empties => End,
        L::Empty if holds => Pend(emptied(pending)),
        L::ErlangTerm | L::Chain => End,
        _ if holds => Pend(Pending::Text),
        _ => End,
    }
}

fn emptied(pending: Pending) -> Pending {
    if pending.is_empty() { Pending::Empties } else { Pending::Empty }
}

/// Handles Python tracebacks. An unindented line continues a message only if no logger starts a
/// record with a line of its kind: PostgreSQL's `DETAIL: `, SQLAlchemy's `[SQL: ` and what follows
/// it, and a bare field name (pydantic) before an indented line.
fn in_python(state: GrammarState, pending: Pending, line: LineKind) -> Step {
    let held = pending != Pending::None;
    match (state, line) {
        (S::Chained, L::Header) if pending.is_empty() => Join(S::Frames),
        (S::Chained, L::GroupHeader) if pending.is_empty() => Join(S::Group),
        (S::Chained, L::BoxTop) if pending.is_empty() => Join(S::Box),
        (S::Bare | S::Message | S::Group, L::StackHeader) if !held => Join(S::Group),
        // loguru and rich write empty lines between the parts
        (S::Frames, L::MarkedFrame) => Join(S::Frames),
        (S::Frames, L::Thrown) => Join(S::Message),
        (S::Frames, L::BareThrown) => Join(S::Bare),
        (S::Frames, L::TypeAndMessage) if !held => Join(S::Message),
        (S::Frames, L::Type | L::GoCall) if !held => Join(S::Bare),
        (S::Frames, line) if line.is_indented() => Join(S::Frames),
        (S::Box, L::Box | L::BoxTop) => Join(S::Box),
        (S::Box, L::Thrown | L::TypeAndMessage) if !held => Join(S::Message),
        (S::Box, L::Type | L::GoCall | L::BareThrown) if !held => Join(S::Bare),
        (S::Box | S::Group | S::Message, L::IndentedLevel) => End,
        (S::Box, line) if line.is_indented() => Join(S::Box),
        (S::Group, line) if line.is_indented() && !held => Join(S::Group),
        (S::Message, line) if line.is_indented() && !pending.is_empty() => Join(S::Message),
        (S::Message, L::MessageMore) if !held => Join(S::Message),
        (S::Message, L::Type | L::BareThrown | L::GoCall | L::Field) if !held => {
            Pend(Pending::Field)
        }
        (S::Group | S::Bare | S::Message, L::Chain) if pending.is_empty() => Join(S::Chained),
        (_, L::Empty) if !held || pending == Pending::Empty => Pend(emptied(pending)),
        _ => End,
    }
}

/// Handles the stacks of Java, .NET, Go, Node, Ruby, PHP, Rust and Elixir.
fn in_stack(state: GrammarState, pending: Pending, line: LineKind) -> Step {
    let held = pending != Pending::None;
    match line {
        L::Frame
        | L::Goroutine
        | L::Cause
        | L::StackTitle
        | L::RubyFrame
        | L::RubyThrown
        | L::StackMore
        | L::ElixirMore
            if !held || pending.is_empty() || state == S::Caused || pending == Pending::Call =>
        {
            Join(if matches!(line, L::Cause | L::RubyThrown) { S::Caused } else { S::Stack })
        }
        L::IndentedLevel | L::LevelAndMessage => End,
        line if line.is_indented() && (!held || pending == Pending::Call) => Join(S::Stack),
        L::GoCall if !held || pending == Pending::Empty => Pend(Pending::Call),
        L::Empty if !held || pending == Pending::Empty => Pend(emptied(pending)),
        L::Empty if state == S::Caused && pending == Pending::Text => Pend(Pending::Empty),
        L::ErlangTerm | L::Chain | L::Header | L::BoxTop | L::StackHeader => End,
        _ if state == S::Caused && pending != Pending::Empties => Pend(Pending::Text),
        _ => End,
    }
}

fn in_go_panic(line: LineKind, pending: Pending) -> Step {
    match line {
        L::Goroutine => Join(S::Stack),
        L::StackMore if pending == Pending::None => Join(S::GoPanic),
        L::Empty if pending == Pending::Empties => End,
        L::Empty => Pend(emptied(pending)),
        L::LevelAndMessage | L::ErlangTerm => End,
        line if line.is_indented() && pending == Pending::None => Join(S::GoPanic),
        _ => Pend(Pending::Text),
    }
}

fn in_rust_panic(line: LineKind, pending: Pending) -> Step {
    match line {
        L::StackTitle | L::StackMore => Join(S::Stack),
        L::LevelAndMessage | L::ErlangTerm | L::IndentedLevel => End,
        line if line.is_indented() && pending == Pending::None => Join(S::RustMessage),
        L::Empty if pending.is_empty() => End,
        L::Empty => Pend(Pending::Empty),
        _ => Pend(Pending::Text),
    }
}

fn in_report(state: GrammarState, pending: Pending, line: LineKind) -> Step {
    match line {
        _ if pending != Pending::None => End,
        L::IndentedLevel => End,
        L::ErlangMore | L::ErlangTerm | L::StackTitle => Join(S::ReportMore),
        line if line.is_indented() => Join(S::ReportMore),
        L::Empty => End,
        _ if state == S::Report => Join(S::ReportMore),
        _ => End,
    }
}

/// Returns whether some state joins or holds `line` after `before`. It may return true too often,
/// but never false by mistake.
pub(super) fn could_continue(line: LineKind, before: LineKind) -> bool {
    if matches!(before, L::NodePlace | L::RustPanic) {
        return true;
    }
    match line {
        L::Start
        | L::JavaDate
        | L::Uncaught
        | L::GoPanic
        | L::NodePlace
        | L::RustPanic
        | L::RustPanicOld
        | L::ErlangReport => false,
        L::LevelAndMessage => matches!(before, L::JavaDate | L::ErlangReport),
        _ => true,
    }
}

/// Returns whether no record joins many lines of this kind in a row: such a line is held for a later
/// one, or joined once.
pub(super) fn is_only_held(line: LineKind) -> bool {
    matches!(
        line,
        L::Other
            | L::Empty
            | L::Thrown
            | L::BareThrown
            | L::TypeAndMessage
            | L::Type
            | L::Field
            | L::GoCall
    )
}
