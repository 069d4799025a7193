//! Reads and writes manifests: kubectl must read the output as it read the input.

use super::read::read;
use super::scalar::{plain, resolve};
use super::workload::workloads;
use super::write::{json, yaml};
use proptest::prelude::*;
use serde_json::{Value, json as value};

fn documents(text: &str) -> Vec<Value> {
    let (documents, _) = read("f.yaml", text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    documents.into_iter().map(|document| document.value).collect()
}

fn one(text: &str) -> Value {
    let mut all = documents(text);
    assert_eq!(all.len(), 1, "{text}");
    all.remove(0)
}

/// Guarantees: each scalar has the value that kubectl 1.36 gave it; `tests/manifest/kubectl.py`
/// asks it again.
#[test]
fn plain_scalars_mean_what_they_mean_to_kubectl() {
    for (text, expected) in [
        ("yes", value!(true)),
        ("n", value!(false)),
        ("On", value!(true)),
        ("oN", value!("oN")),
        ("", value!(null)),
        ("0660", value!(432)),
        ("0o17", value!(15)),
        ("0O7", value!(7)),
        ("0889", value!(889)),
        ("0o8", value!("0o8")),
        ("09.5", value!(9.5)),
        ("0x1F", value!(31)),
        ("-0x1f", value!(-31)),
        ("0b11", value!(3)),
        ("0b2", value!("0b2")),
        ("-0b11", value!(-3)),
        ("1_000", value!(1000)),
        ("1__0", value!(10)),
        ("1_0.5", value!(10.5)),
        (".5", value!(0.5)),
        (".5_0", value!(0.5)),
        ("._5", value!("._5")),
        ("1.", value!(1)),
        (".", value!(".")),
        ("-", value!("-")),
        ("+", value!("+")),
        ("1.0", value!(1)),
        ("1e3", value!(1000)),
        ("1e21", value!(1e21)),
        ("1e400", value!("1e400")),
        (".1e400", value!(".1e400")),
        ("12345678901234567890123", value!(1.2345678901234568e22)),
        ("18446744073709551615", value!(18446744073709551615_u64)),
        ("-9223372036854775808", value!(i64::MIN)),
        ("-9223372036854775809", value!(-9223372036854775808.0)),
        ("-0", value!(0)),
        ("2001-01-01", value!("2001-01-01")),
        ("1:30", value!("1:30")),
        ("10m", value!("10m")),
        ("<<", value!("<<")),
    ] {
        assert_eq!(resolve(text), Some(expected), "{text}");
    }
    assert_eq!(resolve("-.inf"), None);
}

#[test]
fn documents_keep_order_and_unknown_fields() {
    let text = "# a comment\nz: 1\na: {q: [], b: {}}\n---\n---\nkind: X\nitems:\n- - 1\n  - b: c\n    \"on\": d\n";
    let all = documents(text);
    assert_eq!(all.len(), 2);
    assert_eq!(yaml(&all[0]), "z: 1\na:\n  q: []\n  b: {}\n");
    assert_eq!(yaml(&all[1]), "kind: X\nitems:\n- - 1\n  - b: c\n    \"on\": d\n");
    let (read, _) = read("f", text).expect("valid");
    assert_eq!(read.iter().map(|document| document.line).collect::<Vec<_>>(), [2, 6]);
}

#[test]
fn anchors_merges_tags_and_keys_as_kubectl_reads_them() {
    let text = "b: &b {k: 1, z: 2}\nr: {k: 7, <<: *b}\ns: {<<: *b, k: 7}\nt: {<<: [{k: 3}, *b]}\n\
                on: 5\n010: x\nu: !!str 12\nv: !!int \"3\"\nw: ! 12\nx: \"yes\"\ny: 4\n";
    let expected = value!({
        "b": {"k": 1, "z": 2}, "r": {"k": 1, "z": 2}, "s": {"k": 7, "z": 2}, "t": {"k": 3, "z": 2},
        "true": 4, "8": "x", "u": "12", "v": 3, "w": "12", "x": "yes",
    });
    let (read, notes) = read("f.yaml", text).expect("valid");
    assert_eq!(read[0].value, expected);
    assert!(
        notes.iter().any(|note| note.text.starts_with("f.yaml:11:1: `true` is there twice")),
        "{notes:?}"
    );
}

#[test]
fn errors_have_their_place() {
    let deep = format!("a: {}", "[".repeat(200));
    let mut laughs = "a: &a [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (name, of) in ["ab", "bc", "cd", "de", "ef", "fg", "gh"]
        .map(|pair| pair.split_at(1))
        .map(|(of, name)| (name, of))
    {
        laughs = format!("{laughs}{name}: &{name} [{}]\n", vec![format!("*{of}"); 10].join(","));
    }
    for (text, place, message) in [
        ("a: 1\nb: [1,\nc: 2\n", "f.yaml:", ""),
        ("a:\n\t- x\n", "f.yaml:2:", "tab"),
        ("a: *x\n", "f.yaml:1:4: ", "anchor"),
        ("a: .inf\n", "f.yaml:1:4: ", "infinite"),
        ("~: 1\n", "f.yaml:1:1: ", "quotes"),
        ("? [a]\n: 1\n", "f.yaml:1:3: ", "must be text"),
        ("a: !!binary aGk=\n", "f.yaml:1:", "!!binary"),
        ("a: {<<: 3}\n", "f.yaml:1:", "merged"),
        ("{\"a\": 1,\n \"b\" 2}", "f.yaml:2:6: ", "expected `:`"),
        (&deep, "f.yaml:1:", ""),
        (&laughs, "f.yaml:", "repeated"),
    ] {
        let error = read("f.yaml", text).expect_err(text).to_string();
        assert!(error.starts_with(place) && error.contains(message), "{error}");
    }
}

#[test]
fn json_is_read_as_json_and_a_flow_mapping_as_yaml() {
    let all = documents("{\"b\": 0.5, \"a\": \"yes\"}\n{\"c\": [1]}\n");
    assert_eq!(all, [value!({"b": 0.5, "a": "yes"}), value!({"c": [1]})]);
    assert_eq!(one("{a: yes}"), value!({"a": true}));
    assert_eq!(json(&value!({"a": []})), "{\n  \"a\": []\n}\n");
}

/// Guarantees: text that some reader of YAML would mistake for another value is quoted.
#[test]
fn what_needs_quotes_has_them() {
    for text in [
        "",
        "yes",
        "No",
        "ON",
        "y",
        "~",
        "null",
        "0660",
        "1_000",
        "1e3",
        "1:30",
        "190:20:30",
        "2001-01-01",
        "0x1F",
        "0b1",
        "-1",
        "+5",
        ".5",
        "1.",
        ".inf",
        "-.INF",
        "- a",
        "-",
        "---",
        "--- a",
        "a: b",
        "a #b",
        "a:",
        " a",
        "a ",
        "#a",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
        "%a",
        "@a",
        "`a",
        "{a",
        "[a",
        "]",
        "}",
        ",",
        "?",
        "? a",
        "=",
        "<<",
        "'a",
        "\"a",
        "a\tb",
        "a\u{85}b",
        "\u{feff}",
        "\u{fc}",
        "\u{7f}",
    ] {
        assert!(!plain(text), "{text:?}");
    }
    for text in [
        "a",
        "10m",
        "64Mi",
        "15s",
        "--flag=x",
        "-c",
        "/bin/sh",
        "http://$(HOST_IP):4318",
        "app:1.25-alpine",
        "$(X)",
        "a b, c",
        "1.25-alpine",
        "sh -c 'x'",
        "kubernetes.io/hostname",
        "_",
    ] {
        assert!(plain(text), "{text:?}");
        assert_eq!(one(&format!("k: {text}\n")), value!({"k": text}));
    }
}

#[test]
fn text_of_several_lines_stands_in_lines_where_nothing_is_lost() {
    for (text, expected) in [
        ("a\nb\n", "k: |\n  a\n  b\n"),
        ("a\n\n  b", "k: |-\n  a\n\n    b\n"),
        ("a\n\n\n", "k: |+\n  a\n\n\n"),
        ("\ta\n", "k: \"\\ta\\n\"\n"),
        ("a \nb", "k: \"a \\nb\"\n"),
        ("\n", "k: \"\\n\"\n"),
        ("a\r\nb", "k: \"a\\r\\nb\"\n"),
        ("a\u{2028}\n", "k: \"a\\u2028\\n\"\n"),
    ] {
        let document = value!({"k": text, "l": 1});
        assert_eq!(yaml(&document), format!("{expected}l: 1\n"));
        assert_eq!(one(&yaml(&document)), document);
    }
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[-+.0-9_eExXobBnNyY:~ tT]{0,12}",
        "[ -~]{0,20}",
        "[a \t\n\r#:-]{0,12}",
        "\\PC{0,12}",
        any::<String>(),
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e300..1e300_f64).prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((any_text(), inner), 0..5)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Guarantees: everything written is read back unchanged, by our reader and by a reader of YAML
    /// 1.2.
    #[test]
    fn property_what_is_written_is_read_again(value in any_value()) {
        let text = yaml(&value);
        let expected = if value.is_null() { vec![] } else { vec![value.clone()] };
        prop_assert_eq!(same(&documents(&text)), same(&expected), "{}", text);
        if text.len() < 1000 && !text.contains("? ") && !value.is_null() {
            let other: Value = serde_yaml::from_str(&text).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
            prop_assert_eq!(same(&[other]), same(&expected), "{}", text);
        }
    }

    #[test]
    fn property_reading_never_panics(text in "[ -~\n\t]{0,80}") {
        let _ = read("f", &text);
    }
}

/// Converts floats without a fraction to integers, as JSON has them.
fn same(values: &[Value]) -> Vec<Value> {
    fn whole(value: &Value) -> Value {
        match value {
            Value::Number(number) => match number.as_f64() {
                Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 9e15 => {
                    Value::from(float as i64)
                }
                _ => value.clone(),
            },
            Value::Array(list) => list.iter().map(whole).collect(),
            Value::Object(map) => {
                Value::Object(map.iter().map(|(key, value)| (key.clone(), whole(value))).collect())
            }
            _ => value.clone(),
        }
    }
    values.iter().map(whole).collect()
}

#[test]
fn pods_are_found_in_every_kind_and_in_lists() {
    let template = value!({"metadata": {}, "spec": {"containers": []}});
    for (version, kind, spec, pointer) in [
        ("v1", "Pod", template["spec"].clone(), Some("")),
        ("apps/v1", "Deployment", value!({"template": template}), Some("/spec/template")),
        ("apps/v1", "StatefulSet", value!({"template": template}), Some("/spec/template")),
        ("apps/v1", "DaemonSet", value!({"template": template}), Some("/spec/template")),
        ("apps/v1", "ReplicaSet", value!({"template": template}), Some("/spec/template")),
        ("v1", "ReplicationController", value!({"template": template}), Some("/spec/template")),
        ("batch/v1", "Job", value!({"template": template}), Some("/spec/template")),
        (
            "batch/v1",
            "CronJob",
            value!({"jobTemplate": {"spec": {"template": template}}}),
            Some("/spec/jobTemplate/spec/template"),
        ),
        ("serving.knative.dev/v1", "Deployment", value!({"template": template}), None),
        ("argoproj.io/v1alpha1", "Rollout", value!({"template": template}), Some("/spec/template")),
        ("v1", "ConfigMap", value!({"template": {"spec": {"containers": "none"}}}), None),
        ("apps/v1", "Deployment", value!({}), None),
    ] {
        let object =
            value!({"apiVersion": version, "kind": kind, "metadata": {"name": "n"}, "spec": spec});
        let found = workloads(&object);
        assert_eq!(found.first().map(|found| found.pointer.as_str()), pointer, "{kind}");
        let list = value!({"kind": "List", "apiVersion": "v1", "items": [{"kind": "List", "items": [null, object]}]});
        let found = workloads(&list);
        let expected = pointer.map(|pointer| format!("/items/0/items/1{pointer}"));
        assert_eq!(found.first().map(|found| found.pointer.clone()), expected, "{kind}");
    }
    let object = value!({"apiVersion": "v1", "kind": "PodTemplate", "template": template,
        "metadata": {"generateName": "n-", "namespace": "s"}});
    let found = &workloads(&object)[0];
    assert_eq!(
        (found.name.as_str(), found.namespace.as_str(), found.pointer.as_str()),
        ("n", "s", "/template")
    );
}
