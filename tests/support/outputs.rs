//! Outputs that cannot be written to, and the exit of a process that has one.

use rustix::fs::OFlags;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::time::{Duration, Instant};

/// Long enough for a loaded machine: a test that waits this long fails.
pub(crate) const AMPLE: Duration = Duration::from_secs(30);

/// An output that accepts no bytes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Broken {
    /// Every write fails with ENOSPC.
    Full,
    /// The reader has closed its end.
    Closed,
    /// The pipe is full, and a write fails with EAGAIN.
    Nonblocking,
    /// The pipe is full, and a write blocks.
    Blocking,
}

pub(crate) const ALL: [Broken; 4] =
    [Broken::Full, Broken::Closed, Broken::Nonblocking, Broken::Blocking];

impl Broken {
    /// Returns the descriptor, and the value that must be kept to preserve its state.
    pub(crate) fn open(self) -> (OwnedFd, Option<OwnedFd>) {
        if self == Broken::Full {
            let full = OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
            return (full.into(), None);
        }
        let (reader, mut writer) = std::io::pipe().expect("descriptors");
        if self == Broken::Closed {
            return (writer.into(), None);
        }
        rustix::fs::fcntl_setfl(&writer, OFlags::NONBLOCK).expect("a pipe");
        while writer.write(&[b'x'; 4096]).is_ok() {}
        if self == Broken::Blocking {
            rustix::fs::fcntl_setfl(&writer, OFlags::empty()).expect("a pipe");
        }
        (writer.into(), Some(reader.into()))
    }
}

/// Returns the exit code, or None if a signal ended the process.
pub(crate) fn code(mut child: Child, what: &str) -> Option<i32> {
    let until = Instant::now() + AMPLE;
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return status.code();
        }
        if Instant::now() > until {
            child.kill().expect("a child");
            panic!("{what} waits");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
