//! One data thread: its input, its control, and the pipeline that only this thread uses. Unit: one
//! thread.

use crate::app::signals::Stopper;
use crate::pipeline::input::{FrameSink, Input};
use crate::receive::bind::{Bound, SocketFile};
use crate::receive::control::Control;
use crate::receive::worker::{End, Setup};
use crate::receive::{datagram, stdin, stream};
use rustix::fd::OwnedFd;
use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};
use std::thread::Builder;

/// Creates the pipeline of each data thread; called once on each of them.
#[derive(Clone)]
pub struct Pipelines(Arc<dyn Fn(Input) -> Box<dyn FrameSink> + Send + Sync>);

impl Pipelines {
    /// Wraps the function `make`, which creates a pipeline.
    pub fn new(make: impl Fn(Input) -> Box<dyn FrameSink> + Send + Sync + 'static) -> Pipelines {
        Pipelines(Arc::new(make))
    }
}

impl fmt::Debug for Pipelines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pipelines")
    }
}

/// The input of a data thread.
#[derive(Debug)]
pub enum Serves {
    /// The stream socket.
    Stream(Bound),
    /// The datagram socket.
    Datagram(Bound),
    /// A copy of standard input, and the handle that stops the process when it ends.
    Stdin(OwnedFd, Stopper),
}

/// A running data thread.
#[derive(Debug)]
pub struct Worker {
    /// The input that it reads.
    pub input: Input,
    /// Stops and wakes the thread.
    pub control: Arc<Control>,
    /// The file of its socket, if it has one.
    pub file: Option<SocketFile>,
    /// Why it ended. The thread sets this as its last action.
    end: Arc<OnceLock<String>>,
}

impl Worker {
    /// Starts a thread. Calls `on_end` on that thread after it has ended and [`Worker::end`]
    /// returns the reason.
    ///
    /// # Errors
    /// Returns an error if the kernel provides no thread.
    pub fn spawn(
        serves: Serves,
        setup: Setup,
        pipelines: &Pipelines,
        on_end: Box<dyn FnOnce() + Send>,
    ) -> io::Result<Worker> {
        let make = pipelines.clone();
        let control = Arc::clone(&setup.control);
        let (input, file, run): (_, _, Run) = match serves {
            Serves::Stream(Bound { socket, file }) => (
                Input::Stream,
                Some(file),
                Box::new(move |setup, sink| stream::serve(socket, setup, sink)),
            ),
            Serves::Datagram(Bound { socket, file }) => (
                Input::Datagram,
                Some(file),
                Box::new(move |setup, sink| datagram::serve(socket, setup, sink)),
            ),
            Serves::Stdin(input, stopper) => (
                Input::Stdin,
                None,
                Box::new(move |setup, sink| read_stdin(&input, stopper, setup, sink)),
            ),
        };
        let end = Arc::new(OnceLock::new());
        let ended = Arc::clone(&end);
        Builder::new().name(input.name().to_owned()).spawn(move || {
            let mut sink = (make.0)(input);
            let why = match run(&setup, &mut *sink) {
                Ok(()) => {
                    setup.control.beat.waiting();
                    "it was stopped".to_owned()
                }
                Err(error) => {
                    tracing::error!(%error, input = input.name(), "a data thread ended");
                    setup.control.beat.failed(setup.clock.monotonic());
                    error.to_string()
                }
            };
            // Drops the pipeline first, which publishes its last counts, so that they are final
            // when the end is visible.
            drop(sink);
            let _ = ended.set(why);
            on_end();
        })?;
        Ok(Worker { input, control, file, end })
    }

    /// Returns why the thread ended; None while it runs. After its end, its counts are final.
    pub fn end(&self) -> Option<&str> {
        self.end.get().map(String::as_str)
    }

    /// Removes the file of its socket, which keeps serving its connections.
    pub fn remove_file(&self) {
        if let Some(file) = &self.file {
            file.remove();
        }
    }

    /// Returns false if the file of its socket was removed or replaced.
    pub fn has_file(&self) -> bool {
        self.file.as_ref().is_none_or(SocketFile::is_there)
    }
}

type Run = Box<dyn FnOnce(&Setup, &mut dyn FrameSink) -> io::Result<()> + Send>;

/// Reads standard input, and stops the process at its end: in `some-app | sidelight run --stdin`,
/// the application has exited then.
fn read_stdin(
    input: &OwnedFd,
    mut stopper: Stopper,
    setup: &Setup,
    sink: &mut dyn FrameSink,
) -> io::Result<()> {
    let ended = stdin::serve(rustix::fd::AsFd::as_fd(input), setup, sink);
    if !matches!(ended, Ok(End::Stopped)) {
        stopper.stop();
    }
    ended.map(|_| ())
}
