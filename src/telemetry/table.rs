//! The schema of the table of self-metrics: what a row contains, and how a row becomes a registered
//! metric. The rows are in `telemetry`; `docs/metrics.md`, registration and the tests of alerts are
//! derived from them. Unit: one metric.

use prometheus::core::Collector;
use prometheus::{
    CounterVec, Gauge, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// The type of a metric.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MetricType {
    /// A value that only grows while the process lives.
    Counter,
    /// A value that goes up and down.
    Gauge,
}

impl MetricType {
    /// Returns Prometheus' name of the type.
    pub fn name(self) -> &'static str {
        match self {
            MetricType::Counter => "counter",
            MetricType::Gauge => "gauge",
        }
    }
}

/// The values that a label can have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Values {
    /// Exactly these values.
    Closed(&'static [&'static str]),
    /// Values from the configuration or the build: few, but not known here.
    Open(&'static str),
}

/// One label of a metric.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its values.
    pub values: Values,
}

/// One metric that sidelight keeps about itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Metric {
    /// Its full name.
    pub name: &'static str,
    /// Counter or gauge.
    pub kind: MetricType,
    /// The unit of its value, as in the name: `seconds`, `bytes`; empty for a count.
    pub unit: &'static str,
    /// Its labels.
    pub labels: &'static [Label],
    /// Its help text.
    pub help: &'static str,
}

impl Metric {
    /// Finds a row by its full name.
    pub fn find(table: &[Metric], name: &str) -> Option<Metric> {
        table.iter().find(|metric| metric.name == name).copied()
    }

    /// Returns whether the metric can have these labels, given in the order of the row.
    pub fn allows(&self, labels: &[(&str, &str)]) -> bool {
        labels.len() == self.labels.len()
            && labels.iter().all(|(name, value)| {
                let label = self.labels.iter().find(|label| label.name == *name);
                label.is_some_and(|label| match label.values {
                    Values::Closed(values) => values.contains(value),
                    Values::Open(_) => true,
                })
            })
    }
}

/// A metric type of the `prometheus` crate that a row can become.
pub trait Own: Collector + Clone + 'static {
    /// The corresponding type in the table.
    const KIND: MetricType;

    /// Creates the metric.
    ///
    /// # Errors
    /// Fails if Prometheus does not allow the name or a label.
    fn make(opts: Opts, labels: &[&str]) -> prometheus::Result<Self>;
}

macro_rules! own {
    ($type:ty, $kind:expr, one) => {
        impl Own for $type {
            const KIND: MetricType = $kind;
            fn make(opts: Opts, _: &[&str]) -> prometheus::Result<Self> {
                <$type>::with_opts(opts)
            }
        }
    };
    ($type:ty, $kind:expr, vec) => {
        impl Own for $type {
            const KIND: MetricType = $kind;
            fn make(opts: Opts, labels: &[&str]) -> prometheus::Result<Self> {
                <$type>::new(opts, labels)
            }
        }
    };
}

own!(IntCounter, MetricType::Counter, one);
own!(IntCounterVec, MetricType::Counter, vec);
own!(CounterVec, MetricType::Counter, vec);
own!(IntGauge, MetricType::Gauge, one);
own!(IntGaugeVec, MetricType::Gauge, vec);
own!(Gauge, MetricType::Gauge, one);

/// Creates the metric of a row and registers it.
///
/// # Panics
/// Never: names are valid and distinct, which a test checks.
pub fn register<M: Own>(registry: &Registry, row: &Metric) -> M {
    let labels: Vec<&str> = row.labels.iter().map(|label| label.name).collect();
    debug_assert_eq!(M::KIND, row.kind, "{}", row.name);
    let made = M::make(Opts::new(row.name, row.help), &labels).expect("a valid name");
    registry.register(Box::new(made.clone())).expect("a name that no other row has");
    made
}

/// Declares a struct of handles and its table: each row becomes one field.
macro_rules! own_metrics {
    ($(
        $field:ident: $type:ty = $name:literal, $unit:literal, [$($label:expr),*], $help:literal;
    )*) => {
        /// Every metric that the process keeps about itself, except those of the kernel.
        pub const TABLE: &[Metric] = &[$(
            Metric {
                name: concat!("sidelight_", $name),
                kind: <$type as Own>::KIND,
                unit: $unit,
                labels: &[$($label),*],
                help: $help,
            },
        )*];

        /// The handles of all self-metrics.
        #[derive(Debug)]
        pub struct Telemetry {
            registry: Registry,
            /// Deliberate losses for tests.
            pub faults: Faults,
            $(#[doc = $help] pub $field: $type,)*
        }

        impl Telemetry {
            /// Registers all rows of the table.
            fn registered() -> Telemetry {
                let registry = Registry::new();
                let mut rows = TABLE.iter();
                let mut row = || rows.next().expect("a row for each field: both come of one list");
                // the fields are initialized in the order of the source, as the rows are
                $(let $field: $type = table::register(&registry, row());)*
                Telemetry { registry, faults: Faults::default(), $($field,)* }
            }
        }
    };
}
pub(super) use own_metrics;
