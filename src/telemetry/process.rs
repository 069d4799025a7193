//! The kernel's data about this process, under the names that every Prometheus client library uses.
//! Read from /proc at each scrape; values that cannot be read are left out, not guessed.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge, Opts};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};
use std::collections::HashMap;
use std::fs;

/// Ticks per second in /proc/self/stat: USER_HZ, which is part of the kernel's interface and 100 on
/// every Linux.
const TICKS_A_SECOND: f64 = 100.0;

const CPU: (&str, &str) =
    ("process_cpu_seconds_total", "User and system CPU time spent in seconds.");

/// The gauges, in the order in which `gauges` reads them.
const GAUGES: [(&str, &str); 6] = [
    ("process_resident_memory_bytes", "Resident memory size in bytes."),
    ("process_virtual_memory_bytes", "Virtual memory size in bytes."),
    ("process_open_fds", "Number of open file descriptors."),
    ("process_max_fds", "Maximum number of open file descriptors."),
    ("process_start_time_seconds", "Start time of the process since the epoch in seconds."),
    ("process_threads", "Number of threads of the process."),
];

/// A collector of the `process_*` metrics.
#[derive(Debug)]
pub struct Process {
    descs: Vec<Desc>,
    start_time_seconds: Option<f64>,
}

impl Process {
    /// Creates the collector for this process and reads the start time once, because it does not
    /// change.
    ///
    /// # Panics
    /// Never: the names are valid, which a test checks.
    pub fn new() -> Process {
        let descs = std::iter::once(CPU).chain(GAUGES).map(|(name, help)| {
            Desc::new(name.to_owned(), help.to_owned(), Vec::new(), HashMap::new())
                .expect("a valid name")
        });
        Process { descs: descs.collect(), start_time_seconds: start_time() }
    }

    fn gauges(&self) -> [Option<f64>; GAUGES.len()] {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kibibytes = |key| status_field(&status, key).map(|kibibytes| kibibytes * 1024.0);
        // one of them is the directory being read
        let open = fs::read_dir("/proc/self/fd").ok().map(|open| open.count() as f64 - 1.0);
        let most = getrlimit(Resource::Nofile).current.map(|most| most as f64);
        [
            kibibytes("VmRSS:"),
            kibibytes("VmSize:"),
            open,
            most,
            self.start_time_seconds,
            status_field(&status, "Threads:"),
        ]
    }
}

impl Default for Process {
    fn default() -> Self {
        Process::new()
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let spent = clock_gettime(ClockId::ProcessCPUTime);
        let mut families = Vec::with_capacity(1 + GAUGES.len());
        if let Ok(counter) = Counter::with_opts(Opts::new(CPU.0, CPU.1)) {
            counter.inc_by(spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9);
            families.extend(counter.collect());
        }
        for ((name, help), value) in GAUGES.into_iter().zip(self.gauges()) {
            let (Some(value), Ok(gauge)) = (value, Gauge::with_opts(Opts::new(name, help))) else {
                continue;
            };
            gauge.set(value);
            families.extend(gauge.collect());
        }
        families
    }
}

/// Returns the first number after a key of /proc/self/status.
fn status_field(status: &str, key: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// Returns the boot time plus the ticks at which this process started.
fn start_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let boot = fs::read_to_string("/proc/stat").ok()?;
    let boot: f64 = boot.lines().find_map(|line| line.strip_prefix("btime "))?.parse().ok()?;
    Some(boot + start_ticks(&stat)? / TICKS_A_SECOND)
}

/// Returns field 22 of /proc/PID/stat. Field 2, the command, may contain blanks and parentheses, so
/// the fields are counted from its end.
fn start_ticks(stat: &str) -> Option<f64> {
    let after_command = stat.rsplit_once(')')?.1;
    after_command.split_ascii_whitespace().nth(22 - 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    /// Guarantees: on Linux, every metric is present and plausible.
    #[test]
    fn this_process_is_believable() {
        let found: Vec<(String, f64)> = Process::new()
            .collect()
            .iter()
            .map(|family| {
                let metric = &family.get_metric()[0];
                let value = if family.name() == CPU.0 {
                    metric.get_counter().get_value()
                } else {
                    metric.get_gauge().get_value()
                };
                (family.name().to_owned(), value)
            })
            .collect();
        let now = Clock::system().now().as_seconds_f64();
        for (name, least, most) in [
            ("process_cpu_seconds_total", 1e-6, 1e6),
            ("process_resident_memory_bytes", 1e5, 1e11),
            ("process_virtual_memory_bytes", 1e5, 1e15),
            ("process_open_fds", 3.0, 1e6),
            ("process_max_fds", 3.0, 1e10),
            ("process_start_time_seconds", now - 86_400.0, now + 2.0),
            ("process_threads", 1.0, 1e5),
        ] {
            let value = found.iter().find(|metric| metric.0 == name).expect(name).1;
            assert!((least..=most).contains(&value), "{name} {value}");
        }
        assert_eq!(found.len(), 1 + GAUGES.len());
    }

    #[test]
    fn a_command_may_hold_parentheses_and_blanks() {
        let fields = (3..=30).map(|field| field.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(start_ticks(&format!("7 (a) b (c) {fields}")), Some(22.0));
        assert_eq!(start_ticks("7"), None);
    }
}
