//! Layers over each other: keys, rules by their names, what is final, and what happens to a layer with
//! errors.

use super::super::part::LayerState;
use super::super::{Flags, Good, Loaded, load, load_again};
use super::*;
use crate::metrics::Registry;
use crate::rules::compile::compile_into;
use crate::rules::settings::RulesSettings;
use tempfile::TempDir;

/// The mounted volumes of a pod, and the cluster's text.
struct Pod {
    folder: TempDir,
    environment: Environment,
}

impl Pod {
    fn new(cluster: &str) -> Pod {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        for name in ["namespace", "pod"] {
            std::fs::create_dir(path(name)).expect("a volume");
        }
        let layers = format!("{}:{}:{}", path("namespace"), path("pod"), path("absent"));
        let pairs = [("SIDELIGHT_DEFAULTS", cluster), ("SIDELIGHT_CONFIG_LAYERS", layers.as_str())];
        Pod { environment: environment(&pairs), folder }
    }

    fn put(&self, file: &str, text: &str) -> &Pod {
        std::fs::write(self.folder.path().join(file), text).expect("written");
        self
    }

    fn load(&self) -> Loaded {
        load(&Flags::default(), &self.environment)
    }

    fn again(&self, good: &Good) -> Loaded {
        load_again(&Flags::default(), &self.environment, good)
    }
}

fn counter(name: &str, metric: &str) -> String {
    format!("- {{name: {name}, counter: {{name: {metric}}}}}\n")
}

/// Names and metrics of the rules.
fn rules(loaded: &Loaded) -> Vec<(String, String)> {
    let metric = |rule: &crate::rules::settings::RuleSettings| {
        rule.metrics.first().map(|metric| metric.name.clone()).unwrap_or_default()
    };
    loaded.config.rules.own.iter().map(|rule| (rule.name.clone(), metric(rule))).collect()
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(name, metric)| ((*name).to_owned(), (*metric).to_owned())).collect()
}

/// Guarantees: a key that a later layer does not say keeps the value of an earlier one, within maps, too.
#[test]
fn layers_are_merged_key_by_key() {
    let pod = Pod::new(
        "log_level: warn\nmetrics: {prefix: cluster_, limits: {series: 900}}\n\
         export: {headers: {a: \"1\", b: \"2\"}}\nhealth: {heartbeat: 30s}\n",
    );
    pod.put("namespace/a.yaml", "metrics: {limits: {label_sets: 90}, groups: {http: false}}\n");
    pod.put("namespace/b.yaml", "service: team\nmetrics: {prefix: team_}\n");
    pod.put("pod/a.yml", "service: shop\nexport: {headers: {B: \"3\"}}\n");
    pod.put("pod/notes.txt", "service: [");
    let loaded = pod.load();
    let notes = pod.folder.path().join("pod/notes.txt").display().to_string();
    assert_eq!(summary(&loaded.faults), [(Level::Warning, notes.as_str())], "it is not read");
    let config = &loaded.config;
    assert_eq!(config.log_level, LogLevel::Warn);
    assert_eq!((config.limits.series_max, config.limits.label_sets_max), (900, 90));
    let groups = Groups { http: false, ..Groups::default() };
    assert_eq!((config.rules.prefix.as_str(), config.rules.groups), ("team_", groups));
    assert_eq!(config.resource.service_name, "shop");
    let headers = [("a", "1"), ("b", "3")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(config.export.headers, headers);
    assert!(config.health.heartbeat.is_some());
    assert_eq!(loaded.layers().count(), 4);
    let file = pod.folder.path().join("f.yaml");
    std::fs::write(&file, "service: file\n").expect("written");
    let flags = Flags { config: Some(file), ..Flags::default() };
    let over = load(&flags, &pod.environment).config;
    assert_eq!(over.resource.service_name, "file");
    let mut environment = pod.environment.clone();
    environment.insert("SIDELIGHT_METRICS_PREFIX".to_owned(), "variable_".to_owned());
    assert_eq!(load(&flags, &environment).config.rules.prefix, "variable_");
}

/// Guarantees: a rule takes the place of the one with its name in an earlier layer, `enabled: false` switches
/// it off, and a switch for nothing is a warning; within one file a name stands once.
#[test]
fn rules_are_merged_by_name() {
    let cluster = format!(
        "rules:\n{}{}{}",
        counter("a", "a1"),
        counter("b", "b1"),
        "- counter: {name: unnamed}\n- {when: x == 1, health: heartbeat}\n"
    );
    let pod = Pod::new(&cluster);
    pod.put("namespace/0.yaml", &format!("rules:\n{}", counter("b", "b2")));
    pod.put("namespace/a.yaml", &format!("rules:\n{}{}", counter("b", "b3"), counter("c", "c1")));
    let last = "rules:\n- {name: a, enabled: false}\n- {name: c, enabled: off, counter: {name: c2}}\n\
                - {counter: {name: unnamed, by: n}}\n- {when: y == 1, health: heartbeat}\n\
                - {name: bb, enabled: false}\n";
    pod.put("pod/a.yaml", last);
    let loaded = pod.load();
    assert_eq!(summary(&loaded.faults), [(Level::Warning, "rules[4].name")]);
    let warning = loaded.faults[0].to_string();
    assert!(warning.contains("pod/a.yaml:6:10"), "{warning}");
    assert!(warning.contains("did you mean `b`?"), "{warning}");
    let expected = [("b", "b3"), ("unnamed", "unnamed"), ("rule 4", ""), ("rule 4", "")];
    assert_eq!(rules(&loaded), pairs(&expected));
    let by = &loaded.config.rules.own[1].metrics[0].kind;
    assert!(matches!(by, MetricKind::Counter { by: Some(_) }), "the later one counts");
    let of = |text: &str| summary(&super::of(text, &[]).faults).len();
    assert_eq!(of("rules: [{enabled: false}]\n"), 1, "which rule is not said");
    assert_eq!(of("rules: [{name: x, enabled: true}]\n"), 1, "it does nothing");
    let twice = format!("rules:\n{}{}", counter("b", "b1"), counter("b", "b2"));
    let faults = super::of(&twice, &[]).faults;
    assert_eq!(summary(&faults), [(Level::Error, "rules[1].name")]);
    assert!(faults[0].message.contains("line 2"), "{}", faults[0]);
    let unnamed =
        "rules: [{counter: {name: n}, when: x == 1}, {counter: {name: n}, when: x == 2}]\n";
    assert_eq!(of(unnamed), 0, "two rules may feed one metric");
}

/// Guarantees: an error of compiling is reported at its place in its own layer, whatever its number in the whole.
#[test]
fn errors_of_compiling_find_their_layer() {
    let pod = Pod::new(&format!("rules:\n{}{}", counter("a", "a1"), counter("b", "b1")));
    pod.put(
        "pod/a.yaml",
        "rules:\n- {name: a, enabled: false}\n- name: c\n  counter: {name: c1}\n",
    );
    let loaded = pod.load();
    let error = |path: &str| RuleError {
        path: path.to_owned(),
        offset: 0,
        message: "m".to_owned(),
        hint: None,
    };
    let fault = loaded.locate(&error("[1].metrics[0].name"));
    let at = fault.located.expect("a place");
    assert!(at.file.ends_with("pod/a.yaml"), "{}", at.file);
    assert_eq!((fault.path.as_str(), at.line, at.column), ("rules[1].counter.name", 4, 19));
    let at = loaded.locate(&error("[0].name")).located.expect("a place");
    assert_eq!((at.file.as_str(), at.line), ("SIDELIGHT_DEFAULTS", 3));
}

/// Guarantees: a final number can be lowered and not raised, anything else final not changed; the platform's
/// value stays with a warning that names both places, whoever tries; what is not final is free.
#[test]
fn what_is_final_stays() {
    let pod = Pod::new(
        "metrics: {limits: {series: 900}, prefix: all_}\n\
         final: [metrics.limits, metrics.prefix, export.endpoint, final_scrape]\n",
    );
    pod.put("namespace/a.yaml", "metrics: {limits: {series: 300, label_sets: 501}}\n");
    pod.put("pod/a.yaml", "service: x\nmetrics:\n  limits:\n    series: 901\n    routes: 40\n");
    let loaded = pod.load();
    let paths = ["metrics.limits.label_sets", "metrics.limits.series"];
    assert_eq!(summary(&loaded.faults), paths.map(|path| (Level::Warning, path)));
    assert_eq!((loaded.config.limits.series_max, loaded.config.limits.label_sets_max), (900, 500));
    let warning = loaded.faults[1].to_string();
    for part in ["pod/a.yaml:4:13", "SIDELIGHT_DEFAULTS:2:9", "901 is more than 900"] {
        assert!(warning.contains(part), "{part} in {warning}");
    }
    let mut loud = Pod { environment: pod.environment.clone(), ..Pod::new("") };
    for (name, value) in [
        ("SIDELIGHT_METRICS_PREFIX", "mine_"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://elsewhere:4318"),
        ("SIDELIGHT_SCRAPERS", "1"),
        ("SIDELIGHT_LOG_LEVEL", "debug"),
    ] {
        loud.environment.insert(name.to_owned(), value.to_owned());
    }
    pod.put("namespace/a.yaml", "").put("pod/a.yaml", "");
    let loaded = loud.load();
    let paths = ["metrics.prefix", "export.endpoint"];
    assert_eq!(summary(&loaded.faults), paths.map(|path| (Level::Warning, path)));
    let config = loaded.config;
    assert_eq!((config.rules.prefix.as_str(), config.export.endpoint), ("all_", None));
    assert_eq!(config.log_level, LogLevel::Debug);
}

#[test]
fn only_the_cluster_says_what_is_final() {
    let pod = Pod::new("final: [metrics.limits.sereis]\n");
    pod.put("pod/a.yaml", "final: [log_level]\nlog_level: debug\n");
    let loaded = pod.load();
    assert_eq!(summary(&loaded.faults), [(Level::Error, "final[0]"), (Level::Warning, "final")]);
    assert_eq!(loaded.faults[0].hint.as_deref(), Some("did you mean `metrics.limits.series`?"));
    assert_eq!(loaded.config.log_level, LogLevel::Debug);
}

/// Guarantees: at the start a layer with errors loses its rules and nothing else is lost; later what it said
/// before stays whole, while the others change; repaired it counts again.
#[test]
fn a_layer_with_errors_takes_no_other_with_it() {
    let pod = Pod::new(&format!("rules:\n{}", counter("a", "a1")));
    let broken = format!("service: x\nmode: clasic\nrules:\n{}", counter("a", "a2"));
    pod.put("namespace/a.yaml", &broken);
    pod.put("pod/a.yaml", &format!("rules:\n{}", counter("b", "b1")));
    let namespace = pod.folder.path().join("namespace/a.yaml").display().to_string();
    let state = |loaded: &Loaded| -> Vec<LayerState> {
        loaded.broken().map(|(name, state)| (name == namespace, state)).map(|(_, s)| s).collect()
    };
    let first = pod.load().in_use();
    assert_eq!(state(&first), [LayerState::LeftOut]);
    assert_eq!(rules(&first), pairs(&[("a", "a1"), ("b", "b1")]));
    assert_eq!(first.config.resource.service_name, "x", "what could be read of it counts");
    pod.put("namespace/a.yaml", &broken.replace("clasic", "classic"));
    let good = pod.again(&first.good()).in_use();
    assert_eq!(state(&good), []);
    assert_eq!(rules(&good), pairs(&[("a", "a2"), ("b", "b1")]));
    pod.put("namespace/a.yaml", "service: [\n");
    pod.put("pod/a.yaml", &format!("rules:\n{}", counter("b", "b2")));
    let kept = pod.again(&good.good()).in_use();
    assert_eq!(state(&kept), [LayerState::Kept]);
    assert_eq!(rules(&kept), pairs(&[("a", "a2"), ("b", "b2")]));
    assert_eq!(
        (kept.config.resource.service_name.as_str(), kept.config.mode),
        ("x", Mode::Classic)
    );
    assert!(!kept.is_valid());
    std::fs::remove_file(&namespace).expect("there");
    let gone = pod.again(&kept.good()).in_use();
    assert_eq!(rules(&gone), pairs(&[("a", "a1"), ("b", "b2")]));
    assert_eq!(gone.faults, []);
}

/// Guarantees: of a directory that cannot be read any more every file stays as it was.
#[test]
fn a_directory_that_cannot_be_read_keeps_its_files() {
    let pod = Pod::new("");
    pod.put("pod/a.yaml", &format!("rules:\n{}", counter("a", "a1")))
        .put("pod/b.yaml", "service: x\n");
    let good = pod.load().good();
    let directory = pod.folder.path().join("pod");
    std::fs::remove_dir_all(&directory).expect("ours");
    // a link to itself: there, and no way in, even for root
    std::os::unix::fs::symlink("pod", &directory).expect("a link");
    let kept = pod.again(&good).in_use();
    assert_eq!(rules(&kept), pairs(&[("a", "a1")]));
    assert_eq!((kept.config.resource.service_name.as_str(), kept.faults.len()), ("x", 2));
    let first = pod.load();
    assert_eq!((first.faults.len(), first.config), (1, Config::default()));
}

fn refused(rules: &RulesSettings) -> Vec<RuleError> {
    let registry = Registry::new(crate::metrics::Limits::default());
    compile_into(rules, &registry).err().unwrap_or_default()
}

/// Guarantees: rules that do not compile are an error of their layer alone; an error that lies in no layer is
/// given back.
#[test]
fn rules_that_do_not_compile_are_left_out() {
    let pod = Pod::new(&format!("rules:\n{}", counter("a", "a1")));
    pod.put("namespace/a.yaml", "rules:\n- {name: b, when: a ==, counter: {name: b1}}\n");
    pod.put("pod/a.yaml", "rules:\n- {name: c, counter: {name: a1, labels: {x: y}}}\n");
    let (loaded, errors) = pod.load().in_use().settled(refused);
    assert_eq!(errors, []);
    assert_eq!(rules(&loaded), pairs(&[("a", "a1")]));
    let paths = ["rules[0].when", "rules[0].counter.name"].map(|path| (Level::Error, path));
    assert_eq!(summary(&loaded.faults), paths);
    assert_eq!(loaded.broken().count(), 2);
    pod.put("namespace/a.yaml", "rules:\n- {name: b, when: a == 1, counter: {name: b1}}\n");
    let (good, errors) = pod.again(&loaded.good()).in_use().settled(refused);
    assert_eq!((errors.len(), rules(&good)), (0, pairs(&[("a", "a1"), ("b", "b1")])));
    pod.put("namespace/a.yaml", "rules:\n- {name: b, when: 'a =~ 1', counter: {name: b2}}\n");
    let (kept, errors) = pod.again(&good.good()).in_use().settled(refused);
    assert_eq!((errors.len(), rules(&kept)), (0, pairs(&[("a", "a1"), ("b", "b1")])));
    let nowhere = |_: &RulesSettings| {
        vec![RuleError {
            path: "metrics.prefix".to_owned(),
            offset: 0,
            message: "m".to_owned(),
            hint: None,
        }]
    };
    let (same, errors) = pod.load().in_use().settled(nowhere);
    assert_eq!((errors.len(), same.broken().count()), (1, 0));
}

/// Guarantees: the same texts have the same number wherever they lie, another text or order has another; what
/// is not in force does not count.
#[test]
fn a_hash_of_what_is_in_force() {
    let hashes: Vec<String> = ["service: a\n", "service: b\n", "service: ["]
        .map(|text| {
            let (one, other) = (Pod::new("mode: native\n"), Pod::new("mode: native\n"));
            one.put("pod/a.yaml", text);
            other.put("namespace/z.yaml", text);
            assert_eq!(one.load().hash(), other.load().hash());
            one.load().hash()
        })
        .into();
    assert_ne!(hashes[0], hashes[1]);
    assert_eq!(hashes[2], Pod::new("mode: native\n").load().hash());
    assert_eq!(Pod::new("").load().hash(), "cbf29ce484222325", "the offset basis of FNV-1a");
    let one = Pod::new("service: a\n");
    assert_eq!(one.load().hash(), "bc89826133e403ef", "as another program reckons it");
}
