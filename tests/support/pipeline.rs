//! A pipeline with the standard rules, without an exporter. Its limits admit every series of the
//! corpora.

use sidelight::decode::time::Zone;
use sidelight::health::HealthCounters;
use sidelight::metrics::expose::{self, Encoding, Options};
use sidelight::metrics::{Limits, Registry};
use sidelight::pipeline::{Pipeline, PipelineSetup};
use sidelight::resource::Resource;
use sidelight::rules::compile::compile_into;
use sidelight::rules::set::Published;
use sidelight::rules::settings::{LabelLimits, RulesSettings};
use sidelight::spans::SpanMaker;
use sidelight::telemetry::Telemetry;
use std::sync::Arc;

/// The number of routes of the corpus that has the most.
const ROUTES_MAX: usize = 5_000;

/// A pipeline and the registry that it feeds.
pub(crate) fn standard_pipeline() -> (Pipeline, Arc<Registry>) {
    let limits = LabelLimits { routes: ROUTES_MAX, ..LabelLimits::default() };
    pipeline_with(&RulesSettings { limits, ..RulesSettings::default() })
}

/// Builds a pipeline with these rules.
pub(crate) fn pipeline_with(rules: &RulesSettings) -> (Pipeline, Arc<Registry>) {
    let limits = Limits { series_max: 200_000, label_sets_max: 100_000, ..Limits::default() };
    let registry = Registry::new(limits);
    let rules = compile_into(rules, &registry).expect("rules that compile");
    let pipeline = Pipeline::new(PipelineSetup {
        rules: Arc::new(Published::new(rules)),
        registry: Arc::clone(&registry),
        telemetry: Arc::new(Telemetry::new()),
        health_counters: Arc::new(HealthCounters::default()),
        spans: SpanMaker::disabled(),
        passthrough: None,
        resource: Arc::new(Resource::default()),
        line_bytes_max: 64 * 1024,
        zone: Zone::default(),
    });
    (pipeline, registry)
}

/// Renders the registry's families in the classic text format.
pub(crate) fn render(registry: &Registry) -> String {
    let mut text = Vec::new();
    expose::encode(registry, &[], Encoding::Classic, Options::default(), &mut text);
    String::from_utf8(text).expect("text")
}
