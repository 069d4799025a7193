//! Outputs that cannot be written, and how a process ends that has one.

use rustix::fs::OFlags;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::time::{Duration, Instant};

/// Whoever waits this long has failed, on a loaded machine, too.
pub(crate) const AMPLE: Duration = Duration::from_secs(30);

/// An output that takes nothing.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Broken {
    /// Every write fails with ENOSPC.
    Full,
    /// The reader has left.
    Closed,
    /// The pipe is full, and a write would fail with EAGAIN.
    Nonblocking,
    /// The pipe is full, and a write would wait.
    Blocking,
}

pub(crate) const ALL: [Broken; 4] =
    [Broken::Full, Broken::Closed, Broken::Nonblocking, Broken::Blocking];

impl Broken {
    /// The descriptor, and what has to be kept so that it stays as it is.
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

/// The exit code, None for one that a signal ended.
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
