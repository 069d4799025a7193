//! Tests the real binary with layers in volumes as kubelet mounts them: replaced under load,
//! broken, switched off. Tests wait for conditions, never for a fixed time.

use crate::process::{AMPLE, Setup, Sidecar};
use crate::stand::Stand;
use crate::volume::swap;
use proptest::prelude::*;
use sidelight::clock::UnixNanos;
use sidelight::config::settings::Config;
use sidelight::frame::encoding::{Encoding, Frame};
use sidelight::pipeline::input::{FrameSink, Input, Source};
use sidelight::telemetry::sum;
use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const LINE: &[u8] = b"{\"level\":\"info\",\"service\":\"shop\"}\n";
const A: &str = "rules: [{name: a, counter: {name: a_total, help: A.}}]\n";

/// A mounted ConfigMap.
struct Volume(TempDir);

impl Volume {
    fn new(text: &str) -> Volume {
        let volume = Volume(tempfile::tempdir().expect("a temporary directory"));
        volume.swap(text);
        volume
    }

    fn path(&self) -> String {
        self.0.path().display().to_string()
    }

    /// Updates the volume as kubelet does when a ConfigMap changes: a new directory per version,
    /// one rename, and removal of the old directory.
    fn swap(&self, text: &str) {
        let volume = self.0.path();
        let data = volume.join("..data");
        let old = fs::read_link(&data).ok();
        let number =
            old.as_ref().and_then(|old| old.to_str()?.strip_prefix("..")?.parse::<u32>().ok());
        let version = format!("..{}", number.unwrap_or(0) + 1);
        swap(volume, &version, &[("rules.yaml", text)]);
        if let Some(old) = old {
            fs::remove_dir_all(volume.join(old)).expect("a directory that an earlier swap made");
        }
    }
}

fn layered(volumes: &[&Volume], cluster: &str) -> Setup {
    let layers: Vec<String> = volumes.iter().map(|volume| volume.path()).collect();
    let environment =
        [("SIDELIGHT_CONFIG_LAYERS", layers.join(":")), ("SIDELIGHT_DEFAULTS", cluster.to_owned())];
    Setup { environment: environment.into(), ..Setup::default() }
}

/// Scenario: an application writes as fast as it can while the namespace's rules change three
/// times.
/// Guarantees: each change takes effect without a signal, no line is lost, and no counter restarts
/// from zero.
#[test]
fn rules_change_under_load() {
    let volume = Volume::new(A);
    let sidecar = Sidecar::start(layered(&[&volume], ""));
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (stop, socket) = (Arc::clone(&stop), sidecar.stream.clone());
        std::thread::spawn(move || {
            let mut stream = UnixStream::connect(socket).expect("the stream socket");
            let block = LINE.repeat(100);
            let mut written = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                stream.write_all(&block).expect("it reads");
                written += 100;
            }
            written
        })
    };
    for change in 1..=3 {
        let name = format!("b{change}_total");
        volume.swap(&format!(
            "rules: [{{name: a, counter: {{name: a_total}}}}, {{counter: {{name: {name}}}}}]"
        ));
        sidecar
            .wait_metric(&format!("sidelight_config_reloads_total{{outcome=\"loaded\"}} {change}"));
        sidecar.wait_metrics(&format!("\n{name} "));
    }
    stop.store(true, Ordering::Relaxed);
    let written = writer.join().expect("it wrote");
    assert!(written > 0);
    sidecar.wait_metric(&format!("a_total {written}"));
    let ending = sidecar.stop();
    let ledger = ending.ledger();
    assert_eq!((ledger["received"], ledger["decoded"], ledger["lost"]), (written, written, 0));
    assert_eq!(ending.code, Some(0));
}

/// Scenario: the namespace's ConfigMap gets an error while the pod's changes, then a rule changes
/// the labels of a metric family, then everything is repaired.
/// Guarantees: the broken layer keeps its old rules, the other layer takes effect, and metrics, log
/// and `/health` report where the error is.
#[test]
fn a_broken_layer_keeps_its_old_rules() {
    let (namespace, pod) = (Volume::new(A), Volume::new("rules: []\n"));
    let mut sidecar = Sidecar::start(layered(&[&namespace, &pod], "service: team\n"));
    sidecar.wait_metric("sidelight_config_last_load_successful 1");
    let hash = |sidecar: &Sidecar| {
        let metrics = sidecar.metrics();
        let line = metrics.lines().find(|line| line.starts_with("sidelight_config_info{"));
        line.expect("the configuration in force").to_owned()
    };
    let first = hash(&sidecar);
    namespace.swap("rules:\n  - name: a\n    whne: x == 1\n    counter: {name: a_total}\n");
    sidecar.wait_metric("sidelight_config_reloads_total{outcome=\"partial\"} 1");
    assert_eq!(hash(&sidecar), first, "what is in force did not change");
    sidecar.wait_said("did you mean `when`?");
    pod.swap("rules: [{name: b, counter: {name: b_total}}]\n");
    sidecar.wait_metric("sidelight_config_reloads_total{outcome=\"partial\"} 2");
    sidecar.wait_metric("sidelight_config_last_load_successful 0");
    assert_ne!(hash(&sidecar), first);
    sidecar.write(LINE);
    sidecar.wait_metric("a_total 1");
    sidecar.wait_metric("b_total 1");
    let (status, health) = sidecar.get("/health", "text/plain");
    assert_eq!(status, 200, "{health}");
    let at = format!("{}/rules.yaml:3:5: rules[0].whne", namespace.path());
    assert!(
        health.contains(&at) && health.contains("its previous contents stay in force"),
        "{health}"
    );
    namespace.swap("rules: [{name: a, counter: {name: a_total, labels: {shop: shop}}}]\n");
    sidecar.wait_metric("sidelight_config_reloads_total{outcome=\"partial\"} 3");
    sidecar.wait_said("`a_total` has labels [], not [shop]");
    sidecar.write(LINE);
    sidecar.wait_metric("a_total 2");
    namespace.swap(A);
    sidecar.wait_metric("sidelight_config_last_load_successful 1");
    assert!(!sidecar.get("/health", "text/plain").1.contains("rules.yaml"), "all is well");
    assert_eq!(sidecar.stop().code, Some(0));
}

/// Scenario: a layer has errors when the process starts.
/// Guarantees: the process starts with the rules of the other layers, reports the errors, and
/// applies the layer once it is repaired.
#[test]
fn a_broken_layer_does_not_keep_it_from_starting() {
    let (namespace, pod) = (Volume::new("rules: [{name: a\n"), Volume::new(A));
    let mut sidecar = Sidecar::start(layered(&[&namespace, &pod], "rules: 5"));
    assert!(
        sidecar.said.iter().any(|line| line.contains("SIDELIGHT_DEFAULTS:1:8")),
        "{:?}",
        sidecar.said
    );
    sidecar.wait_metric("sidelight_config_last_load_successful 0");
    sidecar.write(LINE);
    sidecar.wait_metric("a_total 1");
    namespace.swap("rules: [{name: c, counter: {name: c_total}}]\n");
    sidecar.wait_said("configuration loaded again");
    for lines in 2..4 {
        sidecar.write(LINE);
        sidecar.wait_metric(&format!("a_total {lines}"));
    }
    sidecar.wait_metrics("\nc_total ");
    assert_eq!(sidecar.stop().code, Some(0));
}

/// Scenario: the pod's layer switches the sidecar off, on and off again, while a heartbeat is
/// overdue.
/// Guarantees: while it is off, every line is counted as refused and nothing else, the probes
/// succeed, and `/health` explains why there is no verdict. When it is on again, lines are counted
/// again, and the ledger closes.
#[test]
fn switched_off_it_only_counts() {
    let off = "enabled: false\nhealth: {heartbeat: 1s}\n";
    let volume = Volume::new("enabled: true\n");
    let sidecar = Sidecar::start(layered(&[&volume], A));
    sidecar.write(LINE);
    sidecar.wait_metric("a_total 1");
    for round in 1..=2_u64 {
        let loads = round * 2 - 1;
        volume.swap(off);
        sidecar
            .wait_metric(&format!("sidelight_config_reloads_total{{outcome=\"loaded\"}} {loads}"));
        sidecar.write(
            &[LINE, b"\n\r\n", LINE, b"Traceback (most recent call last):\n  File\n"].concat(),
        );
        sidecar.send(b"<14>text\0");
        sidecar.wait_metric(&format!(
            "sidelight_frames_refused_total{{reason=\"disabled\"}} {}",
            round * 5
        ));
        for path in ["/livez", "/readyz", "/startupz", "/health"] {
            let (status, body) = sidecar.get(path, "text/plain");
            assert_eq!(status, 200, "{path}: {body}");
            let judged = body.contains("heartbeat") || body.contains("errors");
            assert!(path != "/health" || (body.contains("switched off") && !judged), "{body}");
        }
        let metrics = sidecar.metrics();
        assert!(metrics.lines().any(|line| line == format!("a_total {round}")), "{metrics}");
        volume.swap("enabled: true\n");
        sidecar.wait_metric(&format!(
            "sidelight_config_reloads_total{{outcome=\"loaded\"}} {}",
            loads + 1
        ));
        sidecar.write(LINE);
        sidecar.wait_metric(&format!("a_total {}", round + 1));
    }
    volume.swap(off);
    sidecar.wait_metric("sidelight_config_reloads_total{outcome=\"loaded\"} 5");
    sidecar.write(&LINE.repeat(1_000));
    let ending = sidecar.stop();
    let ledger = ending.ledger();
    let terms = ["received", "decoded", "refused", "lost"].map(|term| ledger[term]);
    assert_eq!((terms, ending.code), ([1_013, 3, 1_010, 0], Some(0)));
}

/// Scenario: some changed settings can take effect at run time, and some cannot.
/// Guarantees: prefix, groups, health policy and log level take effect. Log and `/health` report
/// that the others need a restart, and their running values do not change.
#[test]
fn what_cannot_change_is_reported() {
    let volume = Volume::new("health: {heartbeat: 1s}\n");
    let mut sidecar = Sidecar::start(layered(&[&volume], A));
    sidecar.write(LINE);
    sidecar.wait_metric("a_total 1");
    volume.swap(
        "grace_seconds: 31\nmetrics: {prefix: shop_, groups: {http: false}, limits: {series: 10, routes: 7}}\n\
         log_level: warn\nhealth: {heartbeat: 1h}\n",
    );
    let said = sidecar.wait_said("take effect at a restart");
    let waiting = "grace_seconds, metrics.limits.series, metrics.limits.routes";
    assert!(said.contains(waiting), "{said}");
    sidecar.wait_metric("sidelight_config_reloads_total{outcome=\"loaded\"} 1");
    let until = Instant::now() + AMPLE;
    loop {
        let (status, health) = sidecar.get("/health", "text/plain");
        assert!(health.contains(&format!("take effect at a restart: {waiting}")), "{health}");
        if status == 200 && health.contains("heartbeat ok") {
            break;
        }
        assert!(Instant::now() < until, "{health}");
        std::thread::sleep(Duration::from_millis(5));
    }
    let metrics = sidecar.metrics();
    assert!(metrics.contains("\na_total 1\n"), "what was counted stays: {metrics}");
    assert!(metrics.contains("\nsidelight_series_limit 5000\n"), "{metrics}");
    for lines in 1..3 {
        sidecar.write(LINE);
        sidecar.wait_metric(&format!("shop_a_total {lines}"));
    }
    let ending = sidecar.stop();
    assert!(
        !ending.said.iter().any(|line| line.contains("configuration loaded again")),
        "{:?}",
        ending.said
    );
    assert_eq!(ending.code, Some(0));
}

/// The counts of a pipeline: decoded and refused frames, spans and derived series.
fn counted(blocks: &[Vec<u8>], enabled: bool) -> [u64; 4] {
    let mut stand = Stand::new(&Config::default());
    stand.rules.switch(enabled);
    let mut source = Source::with_id(1, Input::Stream);
    let now = UnixNanos(1_800_000_000_000_000_000);
    for block in blocks {
        stand.pipeline.lines(&mut source, block, now);
        stand.pipeline.frame(&mut source, Frame::whole(Encoding::Text, block), now);
        stand.pipeline.oversized(&mut source, block, block.len() as u64, now);
    }
    stand.pipeline.flush(now);
    let t = &stand.telemetry;
    let series = stand.registry.series_count() as u64;
    [sum(&t.decoded), sum(&t.refused), sum(&t.offered), series]
}

proptest! {
    /// Guarantees: a pipeline that is switched off counts exactly the frames that it would
    /// otherwise have decoded, all as refused, and derives nothing from them.
    #[test]
    fn property_switched_off_counts_the_same_frames(
        blocks in prop::collection::vec(prop::collection::vec(prop::sample::select(vec![
            &b"{\"level\":\"info\",\"trace_id\":\"5b8efff798038103d269b633813fc60c\"}\n"[..],
            b"\n", b"\r\n", b"ERROR:shop:boom\n", b"Traceback (most recent call last):\n",
            b"  File \"a.py\", line 1, in f\n", b"ValueError: x\n", b"caf\xe9\n", b"\tat x\n", b" \n", b"tail",
        ]), 0..12), 0..4),
    ) {
        let blocks: Vec<Vec<u8>> = blocks.into_iter().map(|pieces| pieces.concat()).collect();
        let frames = counted(&blocks, true)[0];
        let series = counted(&[], false)[3];
        prop_assert_eq!(counted(&blocks, false), [0, frames, 0, series]);
    }
}
