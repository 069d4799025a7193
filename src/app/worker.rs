//! One data thread: a door, its control, and the pipeline that it alone owns. Unit: one thread.

use crate::app::signals::Stopper;
use crate::pipeline::{Input, Pipeline};
use crate::receive::bind::{Bound, SocketFile};
use crate::receive::control::Control;
use crate::receive::delivery::{Delivery, Process};
use crate::receive::stdin::End;
use crate::receive::stream::Setup;
use crate::receive::{datagram, stdin, stream};
use rustix::fd::OwnedFd;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::{Builder, JoinHandle};

/// Makes what a data thread hands its deliveries to; called once on each of them.
#[derive(Clone)]
pub struct Pipelines(Arc<dyn Fn(Input) -> Box<Process<'static>> + Send + Sync>);

impl Pipelines {
    /// From any maker of something that takes deliveries.
    pub fn new(make: impl Fn(Input) -> Box<Process<'static>> + Send + Sync + 'static) -> Pipelines {
        Pipelines(Arc::new(make))
    }
}

impl fmt::Debug for Pipelines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pipelines")
    }
}

/// Hands deliveries to a pipeline; `now` gives the time of their arrival.
pub fn through(mut pipeline: Pipeline, clock: crate::clock::Clock) -> Box<Process<'static>> {
    Box::new(move |delivery| {
        let now = clock.now();
        match delivery {
            Delivery::Lines { source, block } => pipeline.lines(source, block, now),
            Delivery::Oversized { source, prefix, bytes } => {
                pipeline.oversized(source, prefix, bytes, now);
            }
            Delivery::Datagram { source, bytes } => pipeline.datagram(source, bytes, now),
            Delivery::Flush => pipeline.flush(now),
            Delivery::Tick => return pipeline.tick(now),
        }
        false
    })
}

/// What a data thread serves.
#[derive(Debug)]
pub enum Serves {
    /// The stream socket.
    Stream(Bound),
    /// The datagram socket.
    Datagram(Bound),
    /// A copy of standard input, and whom to tell that it ended.
    Stdin(OwnedFd, Stopper),
}

/// A running data thread.
#[derive(Debug)]
pub struct Worker {
    /// What it serves.
    pub input: Input,
    /// How it is reached.
    pub control: Arc<Control>,
    /// The file of its socket.
    pub file: Option<SocketFile>,
    handle: JoinHandle<()>,
}

impl Worker {
    /// Starts a thread; it says its input over `ended` when it has ended by itself or was closed.
    ///
    /// # Errors
    /// When the kernel refuses a thread or a descriptor.
    pub fn spawn(
        serves: Serves,
        setup: Setup,
        pipelines: &Pipelines,
        ended: Sender<Input>,
    ) -> io::Result<Worker> {
        let make = pipelines.clone();
        let control = Arc::clone(&setup.control);
        let (input, file, run): (_, _, Run) = match serves {
            Serves::Stream(Bound { socket, file }) => (
                Input::Stream,
                Some(file),
                Box::new(move |setup, process| stream::serve(socket, setup, process)),
            ),
            Serves::Datagram(Bound { socket, file }) => (
                Input::Datagram,
                Some(file),
                Box::new(move |setup, process| datagram::serve(&socket, setup, process)),
            ),
            Serves::Stdin(input, stopper) => (
                Input::Stdin,
                None,
                Box::new(move |setup, process| read_stdin(&input, stopper, setup, process)),
            ),
        };
        let handle = Builder::new().name(input.name().to_owned()).spawn(move || {
            let mut process = (make.0)(input);
            if let Err(error) = run(&setup, &mut *process) {
                tracing::error!(%error, input = input.name(), "a data thread ended");
            }
            setup.control.beat.waiting();
            // the pipeline goes first, with its last counts: who hears the message reads them
            drop(process);
            let _ = ended.send(input);
        })?;
        Ok(Worker { input, control, file, handle })
    }

    /// True once the thread is gone; then its counts are final.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }
}

type Run = Box<dyn FnOnce(&Setup, &mut Process<'_>) -> io::Result<()> + Send>;

/// Standard input that ends ends the process: with `some-app | sidelight run --stdin` the application is
/// gone.
fn read_stdin(
    input: &OwnedFd,
    mut stopper: Stopper,
    setup: &Setup,
    process: &mut Process<'_>,
) -> io::Result<()> {
    let ended = stdin::serve(rustix::fd::AsFd::as_fd(input), setup, process);
    if !matches!(ended, Ok(End::Asked)) {
        stopper.stop();
    }
    ended.map(|_| ())
}
