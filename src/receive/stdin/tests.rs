//! Tests with a pipe as standard input.

use super::*;
use crate::clock::{Clock, UnixNanos};
use crate::frame::encoding::Frame;
use crate::receive::control::Control;
use crate::receive::limits::Limits;
use crate::telemetry::Telemetry;
use rustix::fd::AsFd;
use std::io::{PipeWriter, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

struct Served {
    writer: PipeWriter,
    setup: Setup,
    blocks: Receiver<Vec<u8>>,
    thread: JoinHandle<End>,
}

/// Sends every block of lines.
struct Blocks(Sender<Vec<u8>>);

impl FrameSink for Blocks {
    fn lines(&mut self, _: &mut Source, block: &[u8], _: UnixNanos) {
        self.0.send(block.to_vec()).expect("the test listens");
    }

    fn oversized(&mut self, _: &mut Source, _: &[u8], _: u64, _: UnixNanos) {}

    fn frame(&mut self, _: &mut Source, _: Frame<'_>, _: UnixNanos) {}

    fn flush(&mut self, _: UnixNanos) {}

    fn tick(&mut self, _: UnixNanos) -> bool {
        false
    }
}

/// Starts a thread that serves a pipe and sends every block of lines.
fn served() -> Served {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let setup = Setup {
        limits: Limits::default(),
        clock: Clock::system(),
        control: Control::new("stdin").expect("a descriptor"),
        telemetry: Arc::new(Telemetry::new()),
    };
    let (send, blocks) = channel();
    let its = setup.clone();
    let thread = std::thread::spawn(move || {
        serve(reader.as_fd(), &its, &mut Blocks(send)).expect("a pipe can be read")
    });
    Served { writer, setup, blocks, thread }
}

#[test]
fn a_line_that_is_held_back_is_let_go_and_the_last_needs_no_newline() {
    let mut served = served();
    let line = b"2026-11-21 09:00:00,000 - app - ERROR - it broke\n";
    served.writer.write_all(line).expect("it reads");
    assert_eq!(served.blocks.recv().expect("without another byte"), line);
    served.writer.write_all(b"{\"last\":1}").expect("it reads");
    drop(served.writer);
    assert_eq!(served.blocks.recv().expect("at the end"), b"{\"last\":1}");
    assert_eq!(served.thread.join().expect("it ends"), End::Closed);
    assert_eq!(served.setup.telemetry.torn.get(), 0);
}

#[test]
fn a_writer_that_stays_is_left_after_it_was_quiet() {
    let mut served = served();
    served.writer.write_all(b"{\"whole\":1}\n{\"half\":").expect("it reads");
    assert_eq!(served.blocks.recv().expect("it is whole"), b"{\"whole\":1}\n");
    served.setup.control.close();
    assert_eq!(served.thread.join().expect("it ends"), End::Stopped);
    assert_eq!(served.setup.telemetry.torn.get(), 1);
    drop(served.writer);
}
