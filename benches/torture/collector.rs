//! A hostile collector (promise R29): endless bodies, a compressed bomb, headers that trickle,
//! garbage. No answer may cost more than 64 KiB, or keep a request open for more than 5 s. Unit: one
//! kind of answer, for a bounded time.

use super::abuse::{launch, said};
use crate::sidecar::Launch;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How long each kind of answer is given.
const EACH: Duration = Duration::from_secs(13);
/// Limit of the time from a request to the end of its connection, after the answer has begun, and
/// the margin of a look.
const ANSWER_MAX: Duration = Duration::from_millis(5_500);
/// The same if no answer begins: the default of `export.timeout`, 10 s.
const SILENCE_MAX: Duration = Duration::from_millis(10_500);
/// Limit of the memory that answers may add, above what the waiting spans take.
const GROWTH_KIB_MAX: u64 = 64;
/// Number of bytes after which a flood is over.
const FLOOD_MAX: usize = 256 << 20;
/// Interval of a trickle.
const TRICKLE: Duration = Duration::from_millis(500);

/// What the collector answers: bytes once, then other bytes again and again, at once or slowly.
#[derive(Clone)]
struct Answer {
    name: &'static str,
    first: Vec<u8>,
    repeated: Vec<u8>,
    is_slow: bool,
    /// Nothing of it is the beginning of an answer, so only the timeout ends the request.
    is_silent: bool,
}

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n";

fn answers() -> Vec<Answer> {
    let answer = |name, first: &[&[u8]], repeated: &[u8], is_slow| Answer {
        name,
        first: first.concat(),
        repeated: repeated.repeat(if is_slow { 1 } else { 64 * 1024 / repeated.len().max(1) }),
        is_slow,
        is_silent: first.is_empty() && repeated.is_empty(),
    };
    let bomb = gzip_of_zeros();
    vec![
        answer("nothing", &[], b"", true),
        answer("endless body", &[HEAD, b"\r\n"], b"x", false),
        answer("gzip bomb", &[HEAD, b"Content-Encoding: gzip\r\n\r\n", &bomb], &bomb, false),
        answer("slow body", &[HEAD, b"Content-Length: 100000\r\n\r\n"], b"x", true),
        answer("slow headers", &[b"HTTP/1.1 200 OK\r\nX: "], b"x", true),
        answer("endless headers", &[b"HTTP/1.1 200 OK\r\n"], b"X: y\r\n", false),
        answer("endless interim answers", &[], b"HTTP/1.1 100 Continue\r\n\r\n", false),
        answer("slow interim answers", &[], b"HTTP/1.1 100 Continue\r\n\r\n", true),
        answer("a TLS alert", &[b"\x15\x03\x01\x00\x02\x02\x28"], b"", true),
    ]
}

fn grpc_answers() -> Vec<Answer> {
    const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    let answer = |name, repeated: &[u8], is_slow| Answer {
        name,
        first: SETTINGS.to_vec(),
        repeated: repeated.repeat(if is_slow { 1 } else { 64 * 1024 / repeated.len().max(1) }),
        is_slow,
        is_silent: is_slow,
    };
    let data = [&b"\0\x40\0\0\0\0\0\0\x01"[..], &[b'x'; 16 * 1024]].concat();
    vec![
        answer("nothing but settings", b"", true),
        answer("endless pings", b"\0\0\x08\x06\0\0\0\0\0........", false),
        answer("slow pings", b"\0\0\x08\x06\0\0\0\0\0........", true),
        answer("endless settings", SETTINGS, false),
        answer("data without headers", &data, false),
    ]
}

/// Returns a member of a gzip file: 16 MiB of zeros in 16 KiB.
fn gzip_of_zeros() -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![0; 16 << 20]).expect("a vector takes all");
    encoder.finish().expect("a vector takes all")
}

pub(crate) fn hostile(binary: &Path) -> Result<String, String> {
    measure(binary, "http/protobuf", &answers())
}

pub(crate) fn hostile_grpc(binary: &Path) -> Result<String, String> {
    measure(binary, "grpc", &grpc_answers())
}

fn measure(binary: &Path, protocol: &str, answers: &[Answer]) -> Result<String, String> {
    let (mut reports, mut failed) = (Vec::new(), false);
    // without any answer, only the waiting spans take memory: the first kind is the baseline
    let mut baseline = None;
    for answer in answers {
        let collector = Hostile::start(answer.clone()).map_err(said)?;
        let url = format!("http://{}", collector.address);
        let environment = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ];
        let mut child = launch(binary, Launch { environment: &environment, ..Launch::default() })?;
        let mut stream = child.connect()?;
        let line = b"{\"level\":\"INFO\",\"method\":\"GET\",\"path\":\"/u\",\"status\":200,\
            \"duration_ms\":5,\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\"}\n";
        // fills the queue, so that what follows adds nothing but the answers
        for _ in 0..50 {
            stream.write_all(&line.repeat(100)).map_err(said)?;
        }
        thread::sleep(Duration::from_millis(500));
        child.reset_peak().map_err(said)?;
        let before = child.memory_kib("VmRSS");
        let (begun, cpu) = (Instant::now(), child.cpu());
        while begun.elapsed() < EACH {
            stream.write_all(line).map_err(said)?;
            thread::sleep(Duration::from_millis(100));
        }
        let cpu = child.cpu().saturating_sub(cpu).as_secs_f64() / begun.elapsed().as_secs_f64();
        let growth = child.memory_kib("VmHWM").saturating_sub(before);
        let added = growth.saturating_sub(*baseline.get_or_insert(growth));
        let now = Instant::now();
        child.terminate();
        let stop = child.stopped(now);
        let (requests, longest) = collector.finish();
        let longest_allowed = if answer.is_silent { SILENCE_MAX } else { ANSWER_MAX };
        failed |= added > GROWTH_KIB_MAX || longest > longest_allowed || stop.code != Some(0);
        reports.push(format!(
            "\n  {}: {requests} connections, longest {:.1} s, +{growth} KiB ({added} by answers), {:.1} % of a core, exit {:?} after {} ms",
            answer.name,
            longest.as_secs_f64(),
            cpu * 100.0,
            stop.code,
            stop.took.as_millis()
        ));
    }
    let report = reports.concat();
    if failed { Err(report) } else { Ok(report) }
}

/// A collector that gives one kind of answer.
struct Hostile {
    address: SocketAddr,
    done: Arc<AtomicBool>,
    /// How long each connection lasted after its first byte.
    lasted: Arc<Mutex<Vec<Duration>>>,
}

impl Hostile {
    fn start(answer: Answer) -> std::io::Result<Hostile> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (done, lasted) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (over, ages) = (Arc::clone(&done), Arc::clone(&lasted));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let (answer, over, ages) = (answer.clone(), Arc::clone(&over), Arc::clone(&ages));
                thread::spawn(move || {
                    let lasted = answer_badly(stream, &answer, &over);
                    let ages: &Mutex<Vec<Duration>> = &ages;
                    ages.lock().expect("no panic").push(lasted);
                });
            }
        });
        Ok(Hostile { address, done, lasted })
    }

    /// Returns the number of connections that have ended, and how long the longest lasted.
    fn finish(self) -> (usize, Duration) {
        thread::sleep(2 * TRICKLE);
        self.done.store(true, Ordering::Relaxed);
        let _wakes = TcpStream::connect(self.address);
        let lasted = self.lasted.lock().expect("no panic");
        (lasted.len(), lasted.iter().max().copied().unwrap_or_default())
    }
}

/// Answers until the client closes the connection; returns how long that took from the first byte.
fn answer_badly(mut stream: TcpStream, answer: &Answer, over: &AtomicBool) -> Duration {
    let mut request = vec![0; 256 * 1024];
    let Ok(1..) = stream.read(&mut request) else { return Duration::ZERO };
    let begun = Instant::now();
    let mut written = 0;
    let mut is_open = stream.write_all(&answer.first).is_ok();
    while is_open && !over.load(Ordering::Relaxed) {
        if answer.is_slow || written > FLOOD_MAX {
            thread::sleep(TRICKLE);
        }
        let _ = stream.set_nonblocking(true);
        loop {
            match stream.read(&mut request) {
                Ok(0) => return begun.elapsed(),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(_) => return begun.elapsed(),
            }
        }
        let _ = stream.set_nonblocking(false);
        is_open = written > FLOOD_MAX || stream.write_all(&answer.repeated).is_ok();
        written += answer.repeated.len();
    }
    begun.elapsed()
}

/// A collector that accepts everything and keeps what it received.
pub(crate) struct Capture {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Capture {
    pub(crate) fn start() -> std::io::Result<Capture> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let received: Arc<Mutex<Vec<u8>>> = Arc::default();
        let into = Arc::clone(&received);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let into = Arc::clone(&into);
                thread::spawn(move || accept_all(stream, &into));
            }
        });
        Ok(Capture { address, received })
    }

    /// Returns the bodies of all requests so far.
    pub(crate) fn bodies(&self) -> Vec<u8> {
        self.received.lock().expect("no panic").clone()
    }
}

/// Answers every request with an empty success.
fn accept_all(mut stream: TcpStream, received: &Mutex<Vec<u8>>) {
    let (mut pending, mut part) = (Vec::new(), vec![0; 64 * 1024]);
    while let Ok(count @ 1..) = stream.read(&mut part) {
        pending.extend_from_slice(&part[..count]);
        while let Some(end) = pending.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&pending[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
            let whole = end + 4 + length;
            if pending.len() < whole {
                break;
            }
            received.lock().expect("no panic").extend_from_slice(&pending[end + 4..whole]);
            pending.drain(..whole);
            let answer = [HEAD, b"Content-Length: 0\r\n\r\n"].concat();
            if stream.write_all(&answer).is_err() {
                return;
            }
        }
    }
}
