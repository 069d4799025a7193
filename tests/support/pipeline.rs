//! A pipeline without a socket: with the standard rules and no exporter, whose limits let every series of the
//! corpora in; or with a whole configuration and an outbox for its spans.

use sidelight::app::compose;
use sidelight::clock::UnixNanos;
use sidelight::config::settings::Config;
use sidelight::decode::time::Zone;
use sidelight::health::Pulse;
use sidelight::metrics::expose::{self, Encoding, Options};
use sidelight::metrics::{Limits, Registry};
use sidelight::outbox::{Capacity, Chunk, Outbox};
use sidelight::pipeline::{Parts, Pipeline};
use sidelight::resource::Resource;
use sidelight::rules::settings::RulesSettings;
use sidelight::rules::{Published, compile};
use sidelight::spans::SpanMaker;
use sidelight::telemetry::Telemetry;
use std::sync::Arc;

/// As many routes as the widest corpus has.
const ROUTES_MAX: usize = 5_000;

/// The pipeline, and the registry that it feeds.
pub(crate) fn standard_pipeline() -> (Pipeline, Arc<Registry>) {
    pipeline_with(&RulesSettings { routes_max: Some(ROUTES_MAX), ..RulesSettings::default() })
}

/// A pipeline with these rules.
pub(crate) fn pipeline_with(rules: &RulesSettings) -> (Pipeline, Arc<Registry>) {
    let limits = Limits { series_max: 200_000, label_sets_max: 100_000, ..Limits::default() };
    let registry = Registry::new(limits);
    let rules = compile::compile(rules, &mut |spec| registry.declare(spec.clone()))
        .expect("rules that compile");
    let pipeline = Pipeline::new(Parts {
        rules: Arc::new(Published::new(rules)),
        registry: Arc::clone(&registry),
        telemetry: Arc::new(Telemetry::new()),
        pulse: Arc::new(Pulse::default()),
        spans: SpanMaker::disabled(),
        passthrough: None,
        resource: Arc::new(Resource::default()),
        line_bytes_max: 64 * 1024,
        zone: Zone::default(),
    });
    (pipeline, registry)
}

/// A pipeline of a whole configuration, with all that can be looked at behind it.
pub(crate) struct Stand {
    pub(crate) pipeline: Pipeline,
    pub(crate) registry: Arc<Registry>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) resource: Resource,
    outbox: Arc<Outbox>,
}

impl Stand {
    /// Builds it; the exporter's place is taken by [`Stand::spans`].
    pub(crate) fn new(config: &Config) -> Stand {
        let registry = Registry::new(config.limits);
        let rules = compile::compile(&config.rules, &mut |spec| registry.declare(spec.clone()))
            .expect("rules that compile");
        let telemetry = Arc::new(Telemetry::new());
        let outbox = Outbox::new(Capacity::SPANS);
        let settings = config.traces.spans;
        let spans = SpanMaker::new(settings, &config.resource, Arc::clone(&outbox), &telemetry);
        let pipeline = Pipeline::new(Parts {
            rules: Arc::new(Published::new(rules)),
            registry: Arc::clone(&registry),
            telemetry: Arc::clone(&telemetry),
            pulse: Arc::new(Pulse::default()),
            spans,
            passthrough: None,
            resource: Arc::new(config.resource.clone()),
            line_bytes_max: config.line_bytes_max,
            zone: compose::zone(&config.time_zone),
        });
        Stand { pipeline, registry, telemetry, resource: config.resource.clone(), outbox }
    }

    /// Flushes, closes, and gives all spans.
    pub(crate) fn spans(&mut self, now: UnixNanos) -> Chunk {
        self.pipeline.flush(now);
        self.outbox.close();
        let most = sidelight::outbox::BatchSize { items_max: usize::MAX, bytes_max: usize::MAX };
        let mut all = Chunk::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let take = self.outbox.take(&mut all, most, std::time::Duration::ZERO);
        runtime.expect("a runtime").block_on(take);
        all
    }
}

/// The registry's families in the classic text format.
pub(crate) fn render(registry: &Registry) -> String {
    render_as(registry, Encoding::Classic)
}

/// The registry's families in a format.
pub(crate) fn render_as(registry: &Registry, encoding: Encoding) -> String {
    let mut text = Vec::new();
    expose::encode(registry, &[], encoding, Options::default(), &mut text);
    String::from_utf8(text).expect("text")
}
