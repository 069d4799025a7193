//! Turns a configuration into the parts of a process: pipelines, health evaluation, admin port and
//! exporters. This is the only place where these modules are connected. Unit: one process.

use super::admin::{self, HealthPolicyHandle};
use super::drain::{self, Output};
use super::reload::Reload;
use super::setup::{Admin, AppSetup, Settings, Sockets};
use super::worker::Pipelines;
use crate::clock::Clock;
use crate::config::settings::{self, Config};
use crate::decode::time::Zone;
use crate::export;
use crate::forward::stdout::Passthrough;
use crate::forward::writer;
use crate::health::HealthCounters;
use crate::metrics::Registry;
use crate::metrics::expose;
use crate::outbox::{BatchSize, Capacity, Outbox};
use crate::pipeline::{self, Pipeline};
use crate::receive::bind;
use crate::receive::limits::Limits;
use crate::rules::compile::compile_into;
use crate::rules::set::{Published, RuleSet};
use crate::rules::settings::{RuleError, RulesSettings};
use crate::serve::state::{AdminState, Ask, Exposition};
use crate::spans::SpanMaker;
use crate::sync::lock;
use crate::telemetry::Telemetry;
use crate::telemetry::log::Threshold;
use crate::telemetry::outputs::OutputStatus;
use crate::telemetry::process_status::ProcessStatus;
use jiff::tz::TimeZone;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// The most bytes of spans that may wait for the collector.
const QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The most lines that may wait for standard output. The pipe itself holds another 64 KiB.
const PASSTHROUGH: Capacity = Capacity { items_max: 16_384, bytes_max: 2 * 1024 * 1024 };

/// The parts of a process, and the handles that a reload needs.
#[derive(Debug)]
pub struct Composed {
    /// The argument of [`super::run`].
    pub parts: AppSetup,
    /// Applies new configurations to the running process.
    pub reload: Reload,
    /// Errors in the user's rules. If there are any, only the built-in rules run.
    pub rule_errors: Vec<RuleError>,
}

/// Builds the parts from a configuration. Never fails: user rules that cannot be compiled are left
/// out and returned in `rule_errors`.
pub fn compose(
    config: &Config,
    clock: &Clock,
    telemetry: &Arc<Telemetry>,
    log_level: &Threshold,
) -> Composed {
    let registry = Registry::new(config.limits);
    telemetry.series_limit.set(config.limits.series_max as i64);
    let mut rule_errors = Vec::new();
    let rules = compile_into(&config.rules, &registry).unwrap_or_else(|errors| {
        rule_errors = errors;
        built_in(&config.rules, &registry)
    });
    let published = Arc::new(Published::new(rules));
    published.switch(config.enabled);
    let health_counters = Arc::new(HealthCounters::default());
    let process_status = ProcessStatus::new();
    let mut outputs = Vec::new();
    let spans = exporter(config, clock, (telemetry, &process_status), &mut outputs);
    let copies = passthrough(config, (telemetry, &process_status), &mut outputs);
    let state = Arc::new(AdminState {
        created: config.created_timestamps,
        enabled: enabled(Arc::clone(&published)),
        ..AdminState::new(
            clock.clone(),
            Arc::clone(telemetry),
            Arc::clone(&process_status),
            exposition(Arc::clone(&registry), Arc::clone(telemetry)),
        )
    });
    let health_policy = HealthPolicyHandle::new(config.health.clone(), config.enabled);
    let admin = admin::Admin {
        state: Arc::clone(&state),
        health_counters: Arc::clone(&health_counters),
        health_policy: health_policy.clone(),
    };
    let maker = Maker {
        config: config.clone(),
        published: Arc::clone(&published),
        registry: Arc::clone(&registry),
        telemetry: Arc::clone(telemetry),
        health_counters,
        spans,
        copies,
    };
    let parts = AppSetup {
        settings: process(config),
        clock: clock.clone(),
        telemetry: Arc::clone(telemetry),
        process_status,
        pipelines: Pipelines::new(move |_| Box::new(maker.pipeline())),
        admin: Some(Admin(Box::new(move |listener| admin.clone().spawn(listener)))),
        outputs,
    };
    let reload = Reload {
        running: config.clone(),
        registry,
        published,
        telemetry: Arc::clone(telemetry),
        state,
        clock: clock.clone(),
        health_policy,
        log_level: log_level.clone(),
    };
    Composed { parts, reload, rule_errors }
}

/// Compiles the standard rules only, with the configured prefix and groups if possible.
fn built_in(rules: &RulesSettings, registry: &Registry) -> RuleSet {
    let own = Vec::new();
    compile_into(&RulesSettings { own, formats: Vec::new(), ..rules.clone() }, registry)
        .or_else(|_| compile_into(&RulesSettings::default(), registry))
        .expect(
            "the standard rules compile into any registry that did not refuse their names before",
        )
}

/// Creates the pipeline of each data thread.
struct Maker {
    config: Config,
    published: Arc<Published>,
    registry: Arc<Registry>,
    telemetry: Arc<Telemetry>,
    health_counters: Arc<HealthCounters>,
    spans: Option<Arc<Outbox>>,
    copies: Option<Arc<Outbox>>,
}

impl Maker {
    fn pipeline(&self) -> Pipeline {
        let settings = self.config.traces.spans;
        let resource = &self.config.resource;
        let spans = match &self.spans {
            Some(outbox) => SpanMaker::new(settings, resource, Arc::clone(outbox), &self.telemetry),
            None => SpanMaker::disabled(),
        };
        let copy = |outbox: &Arc<Outbox>| Passthrough::new(Arc::clone(outbox), &self.telemetry);
        Pipeline::new(pipeline::PipelineSetup {
            rules: Arc::clone(&self.published),
            registry: Arc::clone(&self.registry),
            telemetry: Arc::clone(&self.telemetry),
            health_counters: Arc::clone(&self.health_counters),
            spans,
            passthrough: self.copies.as_ref().map(copy),
            resource: Arc::new(resource.clone()),
            line_bytes_max: self.config.line_bytes_max,
            zone: zone(&self.config.time_zone),
        })
    }
}

/// Converts a time zone. A fixed offset becomes a separate variant, because it needs no table
/// lookup.
pub fn zone(zone: &TimeZone) -> Zone {
    match zone.to_fixed_offset() {
        Ok(offset) if offset.seconds() == 0 => Zone::Utc,
        Ok(offset) => Zone::Fixed(offset.seconds()),
        Err(_) => Zone::Named(zone.clone()),
    }
}

fn process(config: &Config) -> Settings {
    let mode = match config.mode {
        settings::Mode::Native => drain::Mode::Native,
        settings::Mode::Classic => drain::Mode::Classic { grace: config.grace },
    };
    Settings {
        limits: Limits {
            line_bytes_max: config.line_bytes_max,
            connections_max: config.connections_max,
            ..Limits::default()
        },
        sockets: Sockets::new(config),
        listen: Some(listen(&config.listen)),
        stdin: config.stdin,
        exit_with_app: config.exit_with_app,
        drain: drain::Settings {
            mode,
            hold: drain::FinalScrapeWait {
                wait: config.final_scrape.wait,
                scrapers: config.final_scrape.scrapers,
                grace: config.grace,
            },
            ..drain::Settings::default()
        },
    }
}

/// Returns the address of the admin port. `METRICS_PORT` may name a port of the application; the
/// default address is used then.
fn listen(written: &settings::ListenSettings) -> SocketAddr {
    match written.fallback {
        Some(fallback) if bind::tcp(written.address).is_err() => fallback,
        _ => written.address,
    }
}

/// Creates the span exporter and its queue. Returns None if no endpoint is configured or the
/// endpoint is not usable.
fn exporter(
    config: &Config,
    clock: &Clock,
    (telemetry, process_status): (&Telemetry, &ProcessStatus),
    outputs: &mut Vec<Output>,
) -> Option<Arc<Outbox>> {
    let written = &config.export;
    let endpoint = written.endpoint.clone().filter(|_| config.traces.enabled)?;
    let items_max = written.queue_spans_max;
    let outbox = Outbox::new(Capacity { items_max, bytes_max: QUEUE_BYTES_MAX });
    let status = status("spans", &outbox, telemetry, process_status);
    let settings = export::Settings {
        endpoint,
        protocol: written.protocol,
        headers: written.headers.clone(),
        timeout: written.timeout,
        batch: BatchSize {
            items_max: written.batch_spans_max,
            ..export::Settings::default().batch
        },
        schedule_delay: written.delay,
        ..export::Settings::default()
    };
    let parts = export::ExporterSetup {
        resource: config.resource.clone(),
        outbox: Arc::clone(&outbox),
        telemetry,
        status: Arc::clone(&status),
        clock: clock.clone(),
        seed: u64::from(std::process::id()) ^ clock.now().0,
    };
    match export::spawn(settings, parts) {
        Ok(exporter) => {
            let finish = Box::new(move |within| exporter.finish(within));
            outputs.push(Output { name: "spans", held: held(&outbox), finish });
            Some(outbox)
        }
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let cause = cause.unwrap_or_else(|| error.to_string());
            tracing::error!(cause, "{error}; no span is built");
            status.unusable(cause);
            None
        }
    }
}

/// Registers the status of a configured output with the parts that report on the process.
fn status(
    name: &'static str,
    outbox: &Arc<Outbox>,
    telemetry: &Telemetry,
    process_status: &ProcessStatus,
) -> Arc<OutputStatus> {
    let outbox = Arc::clone(outbox);
    let status =
        OutputStatus::new(name, &telemetry.output_healthy, Box::new(move || outbox.fill()));
    process_status.add_output(Arc::clone(&status));
    status
}

fn held(outbox: &Arc<Outbox>) -> Box<dyn Fn() -> u64 + Send> {
    let outbox = Arc::clone(outbox);
    Box::new(move || outbox.held())
}

/// Creates the copy of every line to standard output, with its queue.
fn passthrough(
    config: &Config,
    (telemetry, process_status): (&Telemetry, &ProcessStatus),
    outputs: &mut Vec<Output>,
) -> Option<Arc<Outbox>> {
    if config.passthrough == settings::Passthrough::Off {
        return None;
    }
    let outbox = Outbox::new(PASSTHROUGH);
    let status = status("stdout", &outbox, telemetry, process_status);
    match writer::spawn(Arc::clone(&outbox), telemetry, Arc::clone(&status)) {
        Ok(writer) => {
            let finish = Box::new(move |within| writer.finish(within));
            outputs.push(Output { name: "stdout", held: held(&outbox), finish });
            Some(outbox)
        }
        Err(error) => {
            tracing::error!(%error, "lines cannot be copied to standard output");
            status.unusable(error.to_string());
            None
        }
    }
}

fn enabled(published: Arc<Published>) -> Ask<bool> {
    Box::new(move || published.enabled())
}

/// Returns the function that writes everything that `/metrics` shows.
fn exposition(registry: Arc<Registry>, telemetry: Arc<Telemetry>) -> Exposition {
    let folded = Mutex::new(HashMap::<(String, String), u64>::new());
    let replaced_before = AtomicU64::new(0);
    Box::new(move |encoding, options, out| {
        telemetry.series.set(registry.series_count() as i64);
        let replaced = registry.replaced_count();
        let before = replaced_before.swap(replaced, Ordering::Relaxed);
        telemetry.label_replaced.inc_by(replaced.saturating_sub(before));
        let mut counted = lock(&folded);
        for (family, label, count) in registry.overflows() {
            let counter = telemetry.label_overflow.with_label_values(&[&family, &label]);
            let before = counted.insert((family, label), count).unwrap_or(0);
            counter.inc_by(count.saturating_sub(before));
        }
        expose::encode(&registry, &telemetry.gather(), encoding, options, out);
    })
}
