//! The admin thread: its own current-thread runtime, so that `/livez` and `/metrics` answer while
//! the data threads are busy, and once a second the verdict on the application. A taken port is
//! reported and tried again, never fatal: an application must start whatever is wrong with us.

use crate::clock::Clock;
use crate::health::Pulse;
use crate::health::evaluate::{Evaluator, Moment};
use crate::health::settings::Settings;
use crate::serve;
use crate::serve::state::State;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// A verdict a second: the resolution of its window.
const EVALUATE_EVERY: Duration = Duration::from_secs(1);

/// A taken port is tried again after this: what holds it is mostly a predecessor on its way out.
const BIND_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Connections that the kernel keeps until we accept them.
const BACKLOG: i32 = 128;

/// What the admin thread works on.
#[derive(Debug)]
pub struct Admin {
    /// Where to listen.
    pub address: SocketAddr,
    /// The port, bound before the start; None when it was taken and is to be tried again.
    pub listener: Option<TcpListener>,
    /// What it answers from.
    pub state: Arc<State>,
    /// What the data threads see.
    pub pulse: Arc<Pulse>,
    /// How the application is judged.
    pub settings: Settings,
}

/// The running thread.
#[derive(Debug)]
pub struct Running {
    close: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl Admin {
    /// Starts the thread.
    ///
    /// # Errors
    /// The kernel gives no thread or no runtime.
    pub fn spawn(self) -> io::Result<Running> {
        let (close, closed) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = thread::Builder::new()
            .name("admin".to_owned())
            .spawn(move || runtime.block_on(self.run(closed)))?;
        Ok(Running { close, thread })
    }

    async fn run(self, closed: watch::Receiver<bool>) {
        let Admin { address, listener, state, pulse, settings } = self;
        let clock = state.clock.clone();
        let serving = door(address, listener, Arc::clone(&state), closed);
        tokio::select! {
            () = serving => {}
            () = evaluate(&clock, &pulse, settings, &state) => {}
        }
    }
}

impl Running {
    /// Closes the port and waits for the thread: answers in flight have 100 ms.
    pub fn close(self) {
        let _ = self.close.send(true);
        // a panic there was already reported by its hook
        let _ = self.thread.join();
    }
}

/// Binds the admin port, on both families for `[::]`. Where the kernel knows no IPv6, `[::]` means
/// `0.0.0.0` and `[::1]` means `127.0.0.1`. The listener does not block.
///
/// # Errors
/// The address is taken, not ours, or not allowed.
pub fn bind_port(address: SocketAddr) -> io::Result<TcpListener> {
    match bind_exactly(address) {
        Ok(listener) => Ok(listener),
        Err(refused) => match (address.ip(), refused.kind()) {
            // taken is taken on both families
            (_, io::ErrorKind::AddrInUse) => Err(refused),
            (IpAddr::V6(ip), _) if ip.is_unspecified() => {
                bind_exactly(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()))
            }
            (IpAddr::V6(ip), _) if ip.is_loopback() => {
                bind_exactly(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()))
            }
            (IpAddr::V4(_) | IpAddr::V6(_), _) => Err(refused),
        },
    }
}

fn bind_exactly(address: SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    // a predecessor's connections in TIME_WAIT do not hold the port
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        // whatever net.ipv6.bindv6only says
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(TcpListener::from(socket))
}

/// Serves once the port can be bound, until `closed`.
async fn door(
    address: SocketAddr,
    mut listener: Option<TcpListener>,
    state: Arc<State>,
    mut closed: watch::Receiver<bool>,
) {
    loop {
        let bound = listener.take().map_or_else(|| bind_port(address), Ok);
        match bound.and_then(tokio::net::TcpListener::from_std) {
            Ok(listener) => {
                let until = async move {
                    // an error means that nobody can tell us any more, which is the same
                    let _ = closed.wait_for(|closed| *closed).await;
                };
                return serve::serve(listener, state, until).await;
            }
            Err(error) => {
                tracing::warn!(%address, %error, "admin port not bound, trying again");
            }
        }
        tokio::select! {
            () = sleep(BIND_AGAIN_AFTER) => {}
            _ = closed.wait_for(|closed| *closed) => return,
        }
    }
}

/// Renews the verdict for ever.
async fn evaluate(clock: &Clock, pulse: &Pulse, settings: Settings, state: &State) {
    let mut evaluator = Evaluator::new(settings);
    let mut second = interval(EVALUATE_EVERY);
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        second.tick().await;
        let now = Moment { wall: clock.now(), monotonic: clock.monotonic() };
        state.verdict.publish(evaluator.evaluate(&pulse.read(), now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixNanos;
    use crate::health::Counts;
    use crate::telemetry::Telemetry;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    fn state() -> Arc<State> {
        let exposition = Box::new(|_, _, out: &mut Vec<u8>| out.extend_from_slice(b"# EOF\n"));
        let state = State::new(Clock::system(), Arc::new(Telemetry::new()), exposition);
        Arc::new(state)
    }

    fn admin(listener: TcpListener, state: &Arc<State>) -> Admin {
        Admin {
            address: listener.local_addr().expect("bound"),
            listener: Some(listener),
            state: Arc::clone(state),
            pulse: Arc::new(Pulse::default()),
            settings: Settings::default(),
        }
    }

    fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).expect("a listener");
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("room");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("an answer");
        reply
    }

    /// Guarantees: the first verdict stands in the first answers, and closing ends the thread and
    /// the port.
    #[test]
    fn the_thread_serves_judges_and_closes() {
        let listener = bind_port(([127, 0, 0, 1], 0).into()).expect("a loopback port");
        let state = state();
        let admin = admin(listener, &state);
        let address = admin.address;
        let counts = Counts { records: 40, errors: 30, ..Counts::default() };
        admin.pulse.add(UnixNanos(1), counts);
        let running = admin.spawn().expect("a thread");
        assert!(get(address, "/metrics").ends_with("# EOF\n"));
        let told = get(address, "/health/errors");
        assert!(told.starts_with("HTTP/1.1 503"), "{told}");
        assert!(told.contains("30 of 40 in 60 s"), "{told}");
        running.close();
        assert!(TcpStream::connect(address).is_err(), "still listening");
    }

    #[test]
    fn a_port_is_bound_on_both_families_and_only_once() {
        // a mapped address can only be bound by a socket that serves both families
        let both = bind_port("[::ffff:127.0.0.1]:0".parse().expect("an address")).expect("a port");
        let port = both.local_addr().expect("bound").port();
        TcpStream::connect(("127.0.0.1", port)).expect("IPv4 reaches it");
        let again = bind_port(SocketAddr::from(([127, 0, 0, 1], port)));
        assert_eq!(again.expect_err("taken").kind(), io::ErrorKind::AddrInUse);
    }
}
