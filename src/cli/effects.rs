//! What one line becomes: the samples, the span and the verdict that a sidecar would have made of
//! it. Unit: one line.

use crate::clock::UnixNanos;
use crate::config::settings::Config;
use crate::health::verdict::Verdict;
use crate::replay::Replay;
use crate::replay::seen::Seen;

/// What one line became.
#[derive(Debug)]
pub(super) struct LineEffects {
    /// The samples that are not 0, in the text format; without the buckets of histograms.
    pub(super) samples: Vec<String>,
    /// The span, or why there is none.
    pub(super) span: Result<Seen, String>,
    /// The health verdict after this one line.
    pub(super) verdict: Verdict,
}

/// Runs a line through the pipeline of a sidecar.
pub(super) fn effects(line: &str, config: &Config, now: UnixNanos) -> LineEffects {
    let Ok(mut replay) = Replay::new(config, false, now) else {
        let span = Err("the rules cannot be used".to_owned());
        return LineEffects { samples: Vec::new(), span, verdict: Verdict::default() };
    };
    replay.feed(line.as_bytes(), 1);
    let outcome = replay.finish();
    let samples = outcome.metrics.lines().filter(|line| {
        !line.starts_with('#') && !line.ends_with(" 0") && !line.contains("_bucket{")
    });
    let samples = samples.map(str::to_owned).collect();
    let none = "the line reports no request, query or function that ended with a duration";
    let span = outcome.spans.first.into_iter().next().ok_or_else(|| {
        outcome.spans_skipped.first().map_or(none, |reason| skipped(reason)).to_owned()
    });
    LineEffects { samples, span, verdict: outcome.verdict }
}

/// Words a reason of `sidelight_spans_skipped_total`.
fn skipped(reason: &str) -> &str {
    match reason {
        "no_id" => "the line has no id of a trace or a request",
        "already_traced" => {
            "the line has a trace id and a span id, so the application has made the span itself; a \
             rule with `span` makes one all the same"
        }
        "unsampled" => "its trace flags say that the trace is not sampled",
        "bad_duration" => "its duration is negative or longer than 30 days",
        other => other,
    }
}
