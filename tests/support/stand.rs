//! A pipeline built from a whole configuration, with an outbox in place of the exporter.

use sidelight::app::compose;
use sidelight::clock::UnixNanos;
use sidelight::config::settings::Config;
use sidelight::health::HealthCounters;
use sidelight::metrics::Registry;
use sidelight::metrics::expose::{self, Encoding, Options};
use sidelight::outbox::{BatchSize, Capacity, Chunk, Outbox};
use sidelight::pipeline::input::FrameSink;
use sidelight::pipeline::{Pipeline, PipelineSetup};
use sidelight::resource::Resource;
use sidelight::rules::compile::compile_into;
use sidelight::rules::set::Published;
use sidelight::spans::SpanMaker;
use sidelight::telemetry::Telemetry;
use std::sync::Arc;
use std::time::Duration;

/// A pipeline of a whole configuration, with everything that a test inspects.
pub(crate) struct Stand {
    pub(crate) pipeline: Pipeline,
    pub(crate) registry: Arc<Registry>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) resource: Resource,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) rules: Arc<Published>,
}

impl Stand {
    /// Builds the pipeline; [`Stand::spans`] replaces the exporter.
    pub(crate) fn new(config: &Config) -> Stand {
        Stand::holding(config, Capacity::SPANS)
    }

    /// Like the above, with an outbox of this capacity.
    pub(crate) fn holding(config: &Config, capacity: Capacity) -> Stand {
        let registry = Registry::new(config.limits);
        let rules = compile_into(&config.rules, &registry).expect("rules that compile");
        let telemetry = Arc::new(Telemetry::new());
        let outbox = Outbox::new(capacity);
        let settings = config.traces.spans;
        let spans = SpanMaker::new(settings, &config.resource, Arc::clone(&outbox), &telemetry);
        let rules = Arc::new(Published::new(rules));
        let pipeline = Pipeline::new(PipelineSetup {
            rules: Arc::clone(&rules),
            registry: Arc::clone(&registry),
            telemetry: Arc::clone(&telemetry),
            health_counters: Arc::new(HealthCounters::default()),
            spans,
            passthrough: None,
            resource: Arc::new(config.resource.clone()),
            line_bytes_max: config.line_bytes_max,
            zone: compose::zone(&config.time_zone),
        });
        let resource = config.resource.clone();
        Stand { pipeline, registry, telemetry, resource, outbox, rules }
    }

    /// Flushes and closes the pipeline, and returns all spans.
    pub(crate) fn spans(&mut self, now: UnixNanos) -> Chunk {
        self.pipeline.flush(now);
        self.outbox.close();
        let most = BatchSize { items_max: usize::MAX, bytes_max: usize::MAX };
        let mut all = Chunk::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let take = self.outbox.take(&mut all, most, Duration::ZERO);
        runtime.expect("a runtime").block_on(take);
        all
    }
}

/// Renders the registry's families in a format.
pub(crate) fn render_as(registry: &Registry, encoding: Encoding) -> String {
    let mut text = Vec::new();
    expose::encode(registry, &[], encoding, Options::default(), &mut text);
    String::from_utf8(text).expect("text")
}
