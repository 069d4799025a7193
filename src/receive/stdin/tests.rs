//! A pipe as standard input.

use super::*;
use crate::clock::Clock;
use crate::receive::control::Control;
use crate::receive::limits::Limits;
use crate::telemetry::Telemetry;
use rustix::fd::AsFd;
use std::io::{PipeWriter, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

struct Served {
    writer: PipeWriter,
    setup: Setup,
    blocks: Receiver<Vec<u8>>,
    thread: JoinHandle<End>,
}

/// A thread that serves a pipe and sends every block of lines.
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
        let mut process = |delivery: Delivery<'_>| {
            if let Delivery::Lines { block, .. } = delivery {
                send.send(block.to_vec()).expect("the test listens");
            }
            false
        };
        serve(reader.as_fd(), &its, &mut process).expect("a pipe can be read")
    });
    Served { writer, setup, blocks, thread }
}

#[test]
fn a_line_that_is_held_back_is_let_go_and_the_last_needs_no_newline() {
    let mut served = served();
    let line = b"2026-11-21 09:00:00,000 - app - ERROR - it broke\n";
    served.writer.write_all(line).expect("there is room");
    assert_eq!(served.blocks.recv().expect("without another byte"), line);
    served.writer.write_all(b"{\"last\":1}").expect("there is room");
    drop(served.writer);
    assert_eq!(served.blocks.recv().expect("at the end"), b"{\"last\":1}");
    assert_eq!(served.thread.join().expect("it ends"), End::Writer);
    assert_eq!(served.setup.telemetry.torn.get(), 0);
}

#[test]
fn a_writer_that_stays_is_left_after_it_was_quiet() {
    let mut served = served();
    served.writer.write_all(b"{\"whole\":1}\n{\"half\":").expect("there is room");
    assert_eq!(served.blocks.recv().expect("it is whole"), b"{\"whole\":1}\n");
    served.setup.control.close();
    assert_eq!(served.thread.join().expect("it ends"), End::Asked);
    assert_eq!(served.setup.telemetry.torn.get(), 1);
    drop(served.writer);
}
