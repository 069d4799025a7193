//! Runs a command, passes its output through unchanged and copies every line to the socket. It
//! never delays the command: it drops and counts what the sidecar does not take at once. Unit: one
//! command.
//!
//! ```text
//! command --stdout--> pipe --> Flow --> our stdout        a full reader blocks the command
//!                               +-----> Lines --> Link    a full sidecar loses whole lines
//! ```
//!
//! Decision: one thread and one `poll`. That poll is the only call that blocks, and it watches
//! every descriptor. A thread for each stream would cost more memory and would still have to share
//! the signals.
//!
//! Decision: each stream uses a separate connection, so that a traceback on standard error stays
//! together. If both streams are the same (`2>&1`), they share one connection and keep their order.
//!
//! Decision: the run ends when the command ends. What the command left in the pipes is still passed
//! on. A process that still holds the pipes (a daemon that the command started) finds them closed,
//! as if the container had ended.

pub(crate) mod child;
pub(crate) mod flow;
pub(crate) mod lines;
pub(crate) mod link;

use crate::clock::Clock;
use child::Signals;
use flow::Flow;
use lines::Lines;
use link::Link;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, fstat};
use rustix::io::{Errno, fcntl_dupfd_cloexec, ioctl_fionbio};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;
use rustix::stdio::{stderr, stdout};
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long the sidecar may take to receive the remaining lines after the command has ended. The
/// last lines often explain why it ended.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The result of a command that ran.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code of the command, or 128 plus the signal's number if a signal ended it.
    pub(crate) code: u8,
    /// Number of lines that were not copied.
    pub(crate) dropped: u64,
}

/// The reason why the command could not be started.
#[derive(Debug)]
pub(crate) struct Refused {
    /// 127 if no command has this name, 126 if it cannot be run.
    pub(crate) code: u8,
    /// The error of the operating system.
    pub(crate) error: io::Error,
}

/// Runs `command`, a name and its arguments, until it ends, and copies its lines to `socket`. If
/// the pipes or signal handlers cannot be created, this process is replaced by the command (exec)
/// and the function never returns.
///
/// # Errors
/// Fails if the command cannot be started.
///
/// # Panics
/// Panics if `command` is empty.
pub(crate) fn run(command: &[OsString], socket: &Path, clock: &Clock) -> Result<Ended, Refused> {
    let (name, arguments) = command.split_first().expect("a command has a name");
    let prepared = Signals::install().and_then(|signals| Ok((signals, Pipes::open()?)));
    let mut process = Command::new(name);
    process.args(arguments);
    let refused = |error: io::Error| Refused { code: child::refusal(&error), error };
    let Ok((signals, pipes)) = prepared else {
        // without descriptors nothing can be copied; the application must run all the same
        return Err(refused(process.exec()));
    };
    let Pipes { ends: (out, err), flows } = pipes;
    let started = process.stdout(Stdio::from(out)).stderr(Stdio::from(err)).spawn();
    // it holds the command's ends of the pipes
    drop(process);
    let child = started.map_err(refused)?;
    let copies = flows.into_iter().map(|flow| Stream {
        flow,
        lines: Lines::default(),
        link: Link::new(socket),
    });
    let mut house = House {
        command: Some(Pid::from_child(&child)),
        code: 0,
        signals,
        streams: copies.collect(),
    };
    house.serve(clock);
    house.last_words(clock);
    let dropped = house.streams.iter().map(|stream| stream.lines.dropped()).sum();
    Ok(Ended { code: house.code, dropped })
}

/// The pipes between the command and this process.
struct Pipes {
    /// The descriptors that become the command's standard output and standard error.
    ends: (OwnedFd, OwnedFd),
    /// One flow for each pipe, from our end to the original output.
    flows: Vec<Flow>,
}

impl Pipes {
    fn open() -> io::Result<Pipes> {
        let (out, flow) = Pipes::one(fcntl_dupfd_cloexec(stdout(), 3)?)?;
        if is_one_place()? {
            let ends = (out.try_clone()?, out);
            return Ok(Pipes { ends, flows: vec![flow] });
        }
        let (err, other) = Pipes::one(fcntl_dupfd_cloexec(stderr(), 3)?)?;
        Ok(Pipes { ends: (out, err), flows: vec![flow, other] })
    }

    fn one(output: OwnedFd) -> io::Result<(OwnedFd, Flow)> {
        let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
        // this sets only our end; the command's writes still block, as it expects
        ioctl_fionbio(&ours, true)?;
        Ok((theirs, Flow::new(ours, output)?))
    }
}

/// Returns whether standard output and standard error are the same pipe, socket or terminal. Two
/// descriptors of one file do not count, because their file offsets may differ.
fn is_one_place() -> Result<bool, Errno> {
    let (out, err) = (fstat(stdout())?, fstat(stderr())?);
    let is_file = FileType::from_raw_mode(out.st_mode) == FileType::RegularFile;
    Ok(!is_file && (out.st_dev, out.st_ino) == (err.st_dev, err.st_ino))
}

/// One output and its copy.
struct Stream {
    flow: Flow,
    lines: Lines,
    link: Link,
}

impl Stream {
    /// Passes on and copies the output that is available. Returns false if there was nothing to
    /// read.
    fn pump(&mut self, now: Duration) -> bool {
        let Stream { flow, lines, link } = self;
        flow.write();
        let mut done = Ok(());
        let read =
            flow.read(&mut |bytes| done = lines.take(bytes, &mut |part: &[u8]| link.send(part)));
        flow.write();
        self.settle(done, now);
        read
    }

    /// Sends the pending lines, over a new connection if necessary.
    fn copy(&mut self, now: Duration) {
        self.link.attempt(now);
        let Stream { lines, link, .. } = self;
        let done = lines.flush(&mut |part: &[u8]| link.send(part));
        self.settle(done, now);
    }

    fn settle(&mut self, done: Result<(), Errno>, now: Duration) {
        if done.is_err() || self.lines.is_torn() {
            self.link.drop_connection(now);
            self.lines.disconnected();
        }
    }
}

/// The state of one running command.
struct House {
    /// The process id, while the command runs.
    command: Option<Pid>,
    code: u8,
    signals: Signals,
    streams: Vec<Stream>,
}

impl House {
    /// Runs until the command has ended and everything that it wrote is passed on.
    fn serve(&mut self, clock: &Clock) {
        loop {
            for stream in &mut self.streams {
                stream.copy(clock.monotonic());
            }
            if self.command.is_none() {
                let mut rest = false;
                for stream in &mut self.streams {
                    while stream.pump(clock.monotonic()) {}
                    rest |= stream.flow.has_pending();
                }
                if !rest {
                    return;
                }
            }
            if self.wait(clock) {
                if self.signals.forward(self.command) {
                    return;
                }
                if let Some(code) = self.command.and_then(child::reap) {
                    (self.command, self.code) = (None, code);
                    self.streams.iter_mut().for_each(|stream| stream.flow.last());
                }
            }
            for stream in &mut self.streams {
                stream.pump(clock.monotonic());
            }
        }
    }

    /// Waits for an event. Returns whether a signal arrived.
    fn wait(&mut self, clock: &Clock) -> bool {
        let now = clock.monotonic();
        let mut polled = vec![PollFd::from_borrowed_fd(self.signals.watch(), PollFlags::IN)];
        for stream in &self.streams {
            let (input, output) = stream.flow.watch();
            polled.extend(input.map(|input| PollFd::from_borrowed_fd(input, PollFlags::IN)));
            polled.extend(output.map(|(output, flags)| PollFd::from_borrowed_fd(output, flags)));
            let wants = if stream.lines.waits() { PollFlags::OUT } else { PollFlags::empty() };
            let socket = stream.link.socket();
            polled.extend(
                socket.map(|socket| PollFd::from_borrowed_fd(socket, wants | PollFlags::RDHUP)),
            );
        }
        let due = self.streams.iter().filter_map(|stream| stream.link.due()).min();
        let timeout = due.map(|due| timespec(due.saturating_sub(now)));
        if poll(&mut polled, timeout.as_ref()).is_err() {
            // a signal interrupted the call; the next poll reports it
            return false;
        }
        let came: Vec<PollFlags> = polled.iter().map(PollFd::revents).collect();
        drop(polled);
        self.lost(&came[1..], clock.monotonic());
        !came[0].is_empty()
    }

    /// Closes what the other side has closed. `came` holds the results in the order in which `wait`
    /// registered the descriptors.
    fn lost(&mut self, came: &[PollFlags], now: Duration) {
        let over = PollFlags::HUP | PollFlags::ERR | PollFlags::RDHUP;
        let mut came = came.iter();
        for stream in &mut self.streams {
            let (input, output) = stream.flow.watch();
            let (has_input, has_output) = (input.is_some(), output.is_some());
            if has_input {
                came.next();
            }
            if has_output && came.next().is_some_and(|flags| flags.intersects(over)) {
                stream.flow.close();
            }
            if stream.link.socket().is_some()
                && came.next().is_some_and(|flags| flags.intersects(over))
            {
                stream.link.drop_connection(now);
                stream.lines.disconnected();
            }
        }
    }

    /// Sends the remaining copies, for at most [`LAST_WORDS`].
    fn last_words(&mut self, clock: &Clock) {
        let until = clock.monotonic() + LAST_WORDS;
        for stream in &mut self.streams {
            stream.lines.end();
            if stream.lines.waits() && stream.link.socket().is_none() {
                stream.link.attempt_at_last(clock.monotonic());
            }
            stream.copy(clock.monotonic());
        }
        loop {
            let now = clock.monotonic();
            let waiting = self.streams.iter().filter(|stream| stream.lines.waits());
            let mut polled: Vec<PollFd<'_>> = waiting
                .filter_map(|stream| stream.link.socket())
                .map(|socket| PollFd::from_borrowed_fd(socket, PollFlags::OUT))
                .collect();
            if polled.is_empty() || now >= until {
                return;
            }
            polled.push(PollFd::from_borrowed_fd(self.signals.watch(), PollFlags::IN));
            let _ = poll(&mut polled, Some(&timespec(until.saturating_sub(now))));
            let told = polled.last().is_some_and(|signals| !signals.revents().is_empty());
            drop(polled);
            if told && self.signals.forward(None) {
                return;
            }
            for stream in &mut self.streams {
                stream.copy(clock.monotonic());
            }
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    // rounded up, because otherwise poll would spin during the last millisecond
    let duration = duration + Duration::from_micros(999);
    Timespec { tv_sec: duration.as_secs() as i64, tv_nsec: i64::from(duration.subsec_nanos()) }
}
