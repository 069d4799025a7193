//! Reads `/metrics` and `/health` as any other client does: over HTTP, with a separate small parser
//! of the text format. Nothing here depends on the internals of sidelight.

use std::collections::{BTreeMap, BTreeSet};

/// One sample of the text exposition format 0.0.4.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: f64,
}

/// Cumulative buckets in ascending order: upper bound and count.
pub(super) type Buckets = Vec<(f64, f64)>;

/// All samples of one scrape.
#[derive(Clone, PartialEq, Default, Debug)]
pub(super) struct Scrape {
    samples: Vec<Sample>,
    /// The names of families by their help.
    names: BTreeMap<String, String>,
}

impl Scrape {
    pub(super) fn parse(text: &str) -> Scrape {
        let help = |line: &str| {
            let (name, help) = line.strip_prefix("# HELP ")?.split_once(' ')?;
            Some((help.to_owned(), name.to_owned()))
        };
        Scrape {
            samples: text
                .lines()
                .filter(|line| !line.starts_with('#'))
                .filter_map(sample)
                .collect(),
            // built-in families come first, and a rule may have the same help
            names: text.lines().rev().filter_map(help).collect(),
        }
    }

    /// Returns the sum of all samples with this name and labels that satisfy `wanted`.
    pub(super) fn sum(
        &self,
        name: &str,
        wanted: impl Fn(&BTreeMap<String, String>) -> bool,
    ) -> f64 {
        let fitting = self.samples.iter().filter(|s| s.name == name && wanted(&s.labels));
        // the sum of no sample is -0.0
        fitting.map(|sample| sample.value).sum::<f64>() + 0.0
    }

    /// Returns the sum of all samples with this name.
    pub(super) fn total(&self, name: &str) -> f64 {
        self.sum(name, |_| true)
    }

    /// Returns whether there is a sample with this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.samples.iter().any(|sample| sample.name == name)
    }

    /// Returns the name that a built-in family has in this process, which may have a prefix or
    /// another name: that of the family with this help, otherwise of the samples with this name and
    /// a prefix, otherwise the name itself.
    pub(super) fn family(&self, name: &str, help: &str) -> String {
        if let Some(found) = self.names.get(help) {
            return found.clone();
        }
        let is_it = |found: &&str| {
            found
                .strip_suffix(name)
                .is_some_and(|prefix| prefix.is_empty() || prefix.ends_with('_'))
        };
        let names = self.samples.iter().map(|sample| {
            // a histogram has no sample of its own name
            sample.name.strip_suffix("_bucket").unwrap_or(&sample.name)
        });
        names.filter(is_it).min_by_key(|found| found.len()).unwrap_or(name).to_owned()
    }

    /// Returns the values of these labels, sorted and each once.
    pub(super) fn label_sets<const N: usize>(&self, name: &str, by: [&str; N]) -> Vec<[String; N]> {
        let samples = self.samples.iter().filter(|sample| sample.name == name);
        let all: BTreeSet<[String; N]> = samples
            .map(|sample| by.map(|label| sample.labels.get(label).cloned().unwrap_or_default()))
            .collect();
        all.into_iter().collect()
    }

    /// Returns the histograms of a family by two of its labels: (labels, cumulative buckets in
    /// ascending order).
    pub(super) fn histograms(&self, family: &str, by: [&str; 2]) -> Vec<([String; 2], Buckets)> {
        let bucket = format!("{family}_bucket");
        let mut found: BTreeMap<[String; 2], Buckets> = BTreeMap::new();
        for sample in self.samples.iter().filter(|sample| sample.name == bucket) {
            let label = |name: &str| sample.labels.get(name).cloned().unwrap_or_default();
            let bound = label("le").parse().unwrap_or(f64::INFINITY);
            found.entry(by.map(label)).or_default().push((bound, sample.value));
        }
        found.into_iter().collect()
    }
}

/// Returns a quantile of cumulative buckets, by linear interpolation within the bucket, as
/// Prometheus' `histogram_quantile` does. Returns `None` without observations.
pub(super) fn quantile(buckets: &[(f64, f64)], q: f64) -> Option<f64> {
    let total = buckets.last().map(|(_, count)| *count).filter(|total| *total > 0.0)?;
    let rank = q * total;
    let at = buckets.iter().position(|(_, count)| *count >= rank)?;
    let (bound, count) = buckets[at];
    let (from, before) = if at == 0 { (0.0, 0.0) } else { buckets[at - 1] };
    if bound.is_infinite() {
        return Some(from);
    }
    Some(from + (bound - from) * (rank - before) / (count - before))
}

/// Reads one line of the text format; returns `None` for a comment or a damaged line.
pub(super) fn sample(line: &str) -> Option<Sample> {
    let (name, rest) = match line.find('{') {
        Some(open) => (&line[..open], &line[open + 1..]),
        None => {
            let (name, value) = line.split_once(' ')?;
            let value = value.trim().parse().ok()?;
            return Some(Sample { name: name.to_owned(), labels: BTreeMap::new(), value });
        }
    };
    let mut labels = BTreeMap::new();
    let mut rest = rest;
    while !rest.starts_with('}') {
        let (label, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next()? {
                (at, '"') => break at,
                (_, '\\') => match characters.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, other) => value.push(other),
            }
        };
        labels.insert(label.to_owned(), value);
        rest = after[end + 1..].trim_start_matches(',');
    }
    let value = rest[1..].split_whitespace().next()?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_and_quantiles() {
        let scrape = Scrape::parse(
            "# HELP x y\nup 1\nx_bucket{r=\"/a\\\"b\",le=\"0.1\"} 50\nx_bucket{r=\"/a\\\"b\",le=\"1\"} 100\n\
             x_bucket{r=\"/a\\\"b\",le=\"+Inf\"} 100\n",
        );
        assert!((scrape.total("up") - 1.0).abs() < f64::EPSILON);
        let histograms = scrape.histograms("x", ["r", "none"]);
        assert_eq!(histograms[0].0[0], "/a\"b");
        let close = |q: f64, expected: f64| {
            let found = quantile(&histograms[0].1, q).expect("observations");
            assert!((found - expected).abs() < 1e-9, "{q}: {found}");
        };
        close(0.5, 0.1);
        close(0.25, 0.05);
        close(0.95, 0.91);
        assert_eq!(quantile(&[(f64::INFINITY, 0.0)], 0.5), None);
        // bug: a screen without samples showed `-0`
        assert_eq!(format!("{:.0}", Scrape::default().total("up")), "0");
    }
}
