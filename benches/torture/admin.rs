//! Attacks on the admin port: many concurrent scrapes, clients that do not read, connections that
//! send nothing. During each attack, the probes and one regular scraper must get answers, and
//! memory must stay small. Unit: one attack, bounded in connections and in time.

use crate::sidecar::{Sidecar, quantile};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Duration of each attack.
const ATTACK: Duration = Duration::from_secs(10);

/// Limit for a probe during an attack: a tenth of kubelet's default timeout of 1 s.
const PROBE_MAX: Duration = Duration::from_millis(100);

/// Limit of resident memory during an attack; the injector's default limit for a sidecar is 64 MiB.
const RESIDENT_KIB_MAX: u64 = 40 * 1024;

/// Runs `clients` threads of an attack until it is over, and probes and scrapes beside them. A
/// client gets the address of the admin port, and returns soon after the flag is set.
fn attack(
    binary: &Path,
    clients: usize,
    client: impl Fn(SocketAddr, &AtomicBool) + Sync,
) -> Result<String, String> {
    let child = with_series(binary)?;
    let done = AtomicBool::new(false);
    let report = thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| client(child.listen(), &done));
        }
        let report = measure_beside(&child);
        done.store(true, Ordering::Relaxed);
        report
    });
    super::abuse::end(child, LINES)?;
    report
}

/// 300 clients that scrape with gzip continuously.
pub(crate) fn scrape_crowd(binary: &Path) -> Result<String, String> {
    let answered = AtomicU64::new(0);
    let report = attack(binary, 300, |address, done| {
        while !done.load(Ordering::Relaxed) {
            let gzip = "Accept-Encoding: gzip\r\n";
            if request(address, "/metrics", gzip).is_ok_and(|status| status == 200) {
                answered.fetch_add(1, Ordering::Relaxed);
            }
        }
    })?;
    let answered = answered.load(Ordering::Relaxed);
    Ok(format!("{report}; {answered} scrapes answered in {} s", ATTACK.as_secs()))
}

/// 100 connections that pipeline scrapes and read no answer; a closed one is replaced.
pub(crate) fn unread_scrapes(binary: &Path) -> Result<String, String> {
    let many = "GET /metrics?created=1 HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
    attack(binary, 100, |address, done| {
        while !done.load(Ordering::Relaxed) {
            let Ok(mut stream) = TcpStream::connect(address) else { continue };
            let _ = stream.set_write_timeout(Some(Duration::from_millis(500)));
            while !done.load(Ordering::Relaxed) && stream.write_all(many.as_bytes()).is_ok() {
                thread::sleep(Duration::from_millis(100));
            }
        }
    })
}

/// 900 connections that send one byte of a request per second; a closed one is replaced.
pub(crate) fn silent_crowd(binary: &Path) -> Result<String, String> {
    attack(binary, 9, |address, done| {
        let mut streams: Vec<TcpStream> = Vec::new();
        while !done.load(Ordering::Relaxed) {
            streams.retain_mut(|stream| stream.write_all(b"G").is_ok());
            while streams.len() < 100 {
                match TcpStream::connect(address) {
                    Ok(stream) => streams.push(stream),
                    Err(_) => break,
                }
            }
            thread::sleep(Duration::from_secs(1));
        }
    })
}

/// How a slow client misbehaves.
#[derive(Clone, Copy)]
enum Slow {
    /// Sends one byte of a header per second.
    Headers,
    /// Announces a body and sends one byte of it per second.
    Body,
    /// Requests pages and never reads an answer.
    Reads,
}

/// A slow connection and the time at which it was opened.
struct SlowConnection {
    stream: TcpStream,
    opened: Instant,
}

/// 4,000 slow connections of all three kinds at a time (promise R19). A connection that the server
/// closes is replaced; its age is recorded.
pub(crate) fn slow_connections(binary: &Path) -> Result<String, String> {
    const CLIENTS: usize = 8;
    const EACH: usize = 500;
    let ages = Mutex::new(Vec::new());
    let kinds = AtomicU64::new(0);
    let report = attack(binary, CLIENTS, |address, done| {
        let kind = [Slow::Headers, Slow::Body, Slow::Reads]
            [kinds.fetch_add(1, Ordering::Relaxed) as usize % 3];
        let mut open: Vec<SlowConnection> = Vec::new();
        while !done.load(Ordering::Relaxed) {
            let mut closed = Vec::new();
            open.retain_mut(|one| {
                let stays = trickle(&mut one.stream, kind);
                if !stays {
                    closed.push(one.opened.elapsed().as_millis() as u64);
                }
                stays
            });
            ages.lock().expect("no panic").extend(closed);
            while open.len() < EACH && !done.load(Ordering::Relaxed) {
                let Some(stream) = open_slowly(address, kind) else { break };
                open.push(SlowConnection { stream, opened: Instant::now() });
            }
            thread::sleep(Duration::from_millis(500));
        }
    });
    let mut ages = ages.into_inner().expect("no panic");
    ages.sort_unstable();
    let closed = format!(
        "{} slow connections closed, age p50 {} ms, max {} ms (goal: 5,000, looked at every 500)",
        ages.len(),
        quantile(&ages, 0.5),
        quantile(&ages, 1.0)
    );
    report
        .map(|report| format!("{report}; {closed}"))
        .map_err(|report| format!("{report}; {closed}"))
}

fn open_slowly(address: SocketAddr, kind: Slow) -> Option<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_nonblocking(true).ok()?;
    let begin: &[u8] = match kind {
        Slow::Headers => b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: ",
        Slow::Body => b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n",
        Slow::Reads => b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
    };
    let _ = stream.write(begin);
    Some(stream)
}

/// Sends the next part; returns false if the server has closed the connection.
fn trickle(stream: &mut TcpStream, kind: Slow) -> bool {
    let part: &[u8] = match kind {
        Slow::Headers | Slow::Body => b"a",
        Slow::Reads => b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
    };
    let is_open = |result: std::io::Result<usize>| match result {
        Ok(count) => count > 0,
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    };
    let mut answer = [0; 4096];
    let reads = match kind {
        Slow::Headers | Slow::Body => is_open(stream.read(&mut answer)),
        Slow::Reads => true,
    };
    reads && is_open(stream.write(part))
}

/// Lines that fill the page: 500 label sets, most of them of histograms.
const LINES: u64 = 2_000;

/// Starts a sidecar with a page about as large as the limits allow an application to make it.
fn with_series(binary: &Path) -> Result<Sidecar, String> {
    let mut child = super::abuse::start(binary)?;
    let mut stream = child.connect()?;
    let methods = ["GET", "POST", "PUT", "DELETE"];
    for n in 0..LINES {
        let (method, route) = (methods[n as usize % 4], n / 4 % 40);
        let line = format!(
            "{{\"level\":\"INFO\",\"method\":\"{method}\",\"route\":\"/r{route}/x\",\"status\":{},\
             \"duration_ms\":{n}}}\n",
            200 + n % 12
        );
        stream.write_all(line.as_bytes()).map_err(|error| error.to_string())?;
    }
    drop(stream);
    thread::sleep(Duration::from_millis(300));
    Ok(child)
}

/// Sends probes, and one regular scrape per second, for the duration of the attack.
fn measure_beside(child: &Sidecar) -> Result<String, String> {
    let begun = Instant::now();
    let (mut probes, mut scrapes, mut failed) = (Vec::new(), Vec::new(), 0);
    let mut resident = 0;
    let cpu = child.cpu();
    while begun.elapsed() < ATTACK {
        for path in ["/livez", "/readyz", "/startupz"] {
            let sent = Instant::now();
            match request(child.listen(), path, "User-Agent: kube-probe/1.36\r\n") {
                Ok(200) => probes.push(sent.elapsed().as_micros() as u64),
                Ok(_) | Err(_) => failed += 1,
            }
        }
        let sent = Instant::now();
        match request(child.listen(), "/metrics", "User-Agent: Prometheus/3.16.0\r\n") {
            Ok(200) => scrapes.push(sent.elapsed().as_micros() as u64),
            Ok(_) | Err(_) => failed += 1,
        }
        resident = resident.max(child.memory_kib("VmRSS"));
        thread::sleep(Duration::from_millis(100));
    }
    let cpu = child.cpu().saturating_sub(cpu).as_secs_f64() / begun.elapsed().as_secs_f64();
    probes.sort_unstable();
    scrapes.sort_unstable();
    let report = format!(
        "{} probes p50 {} us, max {} us; {} honest scrapes p50 {} us, p99 {} us; {failed} failed; \
         resident {:.1} MiB; {:.0} % of a core",
        probes.len(),
        quantile(&probes, 0.5),
        quantile(&probes, 1.0),
        scrapes.len(),
        quantile(&scrapes, 0.5),
        quantile(&scrapes, 0.99),
        resident as f64 / 1024.0,
        cpu * 100.0,
    );
    let is_slow = u128::from(quantile(&probes, 0.99)) > PROBE_MAX.as_micros();
    if failed > 0 || is_slow || resident > RESIDENT_KIB_MAX {
        return Err(report);
    }
    Ok(report)
}

/// Sends one request on a new connection, reads the whole answer, and returns the status.
fn request(address: SocketAddr, path: &str, headers: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(64 << 20).read_to_end(&mut answer)?;
    let head = String::from_utf8_lossy(&answer[..answer.len().min(16)]).into_owned();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    status.ok_or(std::io::ErrorKind::UnexpectedEof.into())
}
