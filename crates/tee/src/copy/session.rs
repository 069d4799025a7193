//! The loop that passes the command's output on and copies it: one thread and one `poll`. Unit: one
//! wake-up.

use super::child::{self, Signals};
use super::flow::Flow;
use super::lines::Lines;
use super::link::Link;
use crate::clock::Clock;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::Pid;
use rustix::stdio::{stderr, stdout};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// How long the sidecar may take to receive the remaining lines after the command has ended. The
/// last lines often explain why it ended.
const LAST_WORDS: Duration = Duration::from_millis(500);

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
pub(crate) struct Session {
    /// The process id, while the command runs; always `None` if it runs in our place.
    pub(crate) command: Option<Pid>,
    /// The exit code of the command once it has ended.
    pub(crate) code: u8,
    signals: Signals,
    streams: Vec<Stream>,
}

impl Session {
    /// Creates a session that copies `inputs`, in this order, to our standard output and standard
    /// error.
    ///
    /// # Errors
    /// Fails if there are no descriptors left.
    pub(crate) fn new(
        inputs: Vec<OwnedFd>,
        sockets: &[PathBuf],
        signals: Signals,
    ) -> io::Result<Session> {
        let mut streams = Vec::new();
        for (input, output) in inputs.into_iter().zip([stdout(), stderr()]) {
            let flow = Flow::new(input, fcntl_dupfd_cloexec(output, 3)?)?;
            streams.push(Stream { flow, lines: Lines::default(), link: Link::new(sockets) });
        }
        Ok(Session { command: None, code: 0, signals, streams })
    }

    /// Returns the number of lines that were not copied.
    pub(crate) fn dropped(&self) -> u64 {
        self.streams.iter().map(|stream| stream.lines.dropped()).sum()
    }

    /// Runs until every process that can write into the pipes has closed them.
    pub(crate) fn follow(&mut self, clock: &Clock) {
        while self.streams.iter().any(|stream| stream.flow.is_open()) {
            for stream in &mut self.streams {
                stream.copy(clock.monotonic());
            }
            if self.wait(clock) {
                // process 1 sends these to all others when it stops the container, and the others
                // still write their last lines
                self.signals.forward(None);
            }
            for stream in &mut self.streams {
                stream.pump(clock.monotonic());
            }
        }
    }

    /// Runs until the command has ended and everything that it wrote is passed on.
    pub(crate) fn serve(&mut self, clock: &Clock) {
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
        let events: Vec<PollFlags> = polled.iter().map(PollFd::revents).collect();
        drop(polled);
        self.close_hung_up(&events[1..], clock.monotonic());
        !events[0].is_empty()
    }

    /// Closes what the other side has closed. `events` holds the results in the order in which
    /// `wait` registered the descriptors.
    fn close_hung_up(&mut self, events: &[PollFlags], now: Duration) {
        let over = PollFlags::HUP | PollFlags::ERR | PollFlags::RDHUP;
        let mut events = events.iter();
        for stream in &mut self.streams {
            let (input, output) = stream.flow.watch();
            let (has_input, has_output) = (input.is_some(), output.is_some());
            if has_input {
                events.next();
            }
            if has_output && events.next().is_some_and(|flags| flags.intersects(over)) {
                stream.flow.close();
            }
            if stream.link.socket().is_some()
                && events.next().is_some_and(|flags| flags.intersects(over))
            {
                stream.link.drop_connection(now);
                stream.lines.disconnected();
            }
        }
    }

    /// Sends the remaining copies, for at most [`LAST_WORDS`].
    pub(crate) fn last_words(&mut self, clock: &Clock) {
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
            let has_signal = polled.last().is_some_and(|signals| !signals.revents().is_empty());
            drop(polled);
            if has_signal && self.signals.forward(None) {
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
