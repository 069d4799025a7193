//! Runs the admin thread. It has a separate current-thread runtime, so that `/livez` and `/metrics`
//! answer while the data threads are busy. Once a second it evaluates the health of the
//! application.

use crate::health::HealthCounters;
use crate::health::evaluate::{Evaluator, Moment};
use crate::health::settings::Settings;
use crate::health::unrecognised::Unrecognised;
use crate::health::verdict::Verdict;
use crate::phase::Phase;
use crate::serve;
use crate::serve::state::AdminState;
use crate::sync::lock;
use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often the verdict is evaluated; this is the resolution of the health window.
const EVALUATE_EVERY: Duration = Duration::from_secs(1);

/// Everything that the admin thread needs.
#[derive(Clone, Debug)]
pub(crate) struct Admin {
    /// The state from which requests are answered.
    pub state: Arc<AdminState>,
    /// The health counters that the data threads update.
    pub health_counters: Arc<HealthCounters>,
    /// The health policy, which a reload may change.
    pub health_policy: HealthPolicyHandle,
}

/// The current health policy, shared between the admin thread and the code that changes it.
#[derive(Clone, Debug)]
pub(crate) struct HealthPolicyHandle(Arc<Mutex<(Settings, bool)>>);

impl HealthPolicyHandle {
    /// Creates a policy from settings. If `enabled` is false, no verdict is given, because the
    /// pipeline processes no lines.
    pub(crate) fn new(settings: Settings, enabled: bool) -> HealthPolicyHandle {
        HealthPolicyHandle(Arc::new(Mutex::new((settings, enabled))))
    }

    /// Replaces the policy from the next verdict on.
    pub(crate) fn set(&self, settings: Settings, enabled: bool) {
        *lock(&self.0) = (settings, enabled);
    }

    /// Passes changed settings to the evaluator. Returns whether health evaluation is enabled.
    fn renew(&self, evaluator: &mut Evaluator) -> bool {
        let now = lock(&self.0);
        let (settings, enabled) = &*now;
        if settings != evaluator.settings() {
            evaluator.adopt(settings.clone());
        }
        *enabled
    }
}

impl Admin {
    /// Starts the thread on a bound, non-blocking listener. The thread ends within a second of
    /// [`Phase::Closed`].
    ///
    /// # Errors
    /// Returns an error if the kernel provides no thread or no runtime, or refuses to watch the
    /// listener.
    pub(crate) fn spawn(self, listener: TcpListener) -> io::Result<JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        thread::Builder::new().name("admin".to_owned()).spawn(move || {
            let evaluated =
                evaluate(Arc::clone(&self.state), self.health_counters, self.health_policy);
            runtime.block_on(serve::serve(listener, self.state, evaluated));
        })
    }
}

/// Evaluates and publishes the verdict every second until the ledger is closed.
async fn evaluate(
    state: Arc<AdminState>,
    health_counters: Arc<HealthCounters>,
    health_policy: HealthPolicyHandle,
) {
    let mut evaluator = Evaluator::new(Settings::default());
    let mut second = interval(EVALUATE_EVERY);
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while state.process_status.phase.get() != Phase::Closed {
        second.tick().await;
        let now = Moment { wall: state.clock.now(), monotonic: state.clock.monotonic() };
        let verdict = if health_policy.renew(&mut evaluator) {
            evaluator.evaluate(&health_counters.read(), now)
        } else {
            evaluator.rest(&health_counters.read(), now);
            Verdict { at: now.wall, checks: Vec::new() }
        };
        state.verdict.publish(verdict);
        health_counters.take_unrecognised().iter().for_each(log_unrecognised);
    }
}

/// Logs that the records of a source are not understood, and the command that shows why.
fn log_unrecognised(source: &Unrecognised) {
    let Unrecognised { source, input, records, without_level, without_time, shape } = source;
    tracing::warn!(
        source,
        input,
        records,
        without_level,
        without_time,
        shape,
        "most lines of a source have no level or no time that sidelight knows; \
         `kubectl logs POD -c CONTAINER | sidelight explain -f -` shows why"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, UnixNanos};
    use crate::health::Counts;
    use crate::receive::bind;
    use crate::telemetry::Telemetry;
    use crate::telemetry::process_status::ProcessStatus;
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};

    fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).expect("a listener");
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("an answer");
        reply
    }

    /// Guarantees: the first responses already contain the first verdict, and the last phase ends
    /// the thread.
    #[test]
    fn the_thread_serves_judges_and_ends() {
        let listener = bind::tcp(([127, 0, 0, 1], 0).into()).expect("a loopback port");
        let address = listener.local_addr().expect("bound");
        let exposition = Box::new(|_, _, out: &mut Vec<u8>| out.extend_from_slice(b"# EOF\n"));
        let (clock, process_status) = (Clock::system(), ProcessStatus::new());
        let state = AdminState::new(clock, Arc::new(Telemetry::new()), process_status, exposition);
        let state = Arc::new(state);
        let health_counters = Arc::new(HealthCounters::default());
        health_counters.add(UnixNanos(1), Counts { records: 40, errors: 30, ..Counts::default() });
        let health_policy = HealthPolicyHandle::new(Settings::default(), true);
        let thread =
            Admin { state: Arc::clone(&state), health_counters, health_policy }.spawn(listener);
        let thread = thread.expect("a thread");
        assert!(get(address, "/metrics").ends_with("# EOF\n"));
        let report = get(address, "/health/errors");
        assert!(report.starts_with("HTTP/1.1 503"), "{report}");
        assert!(report.contains("30 of 40 in 60 s"), "{report}");
        state.process_status.phase.advance(Phase::Closed);
        thread.join().expect("ends by itself");
        assert!(TcpStream::connect(address).is_err(), "still listening");
    }
}
