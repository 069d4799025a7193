//! Sends a thousand secrets in lines, in every kind of field and position, and checks that none
//! leaves the pod. The lines go through the real binary. The test looks at all of its output:
//! metrics in both formats, health in its three formats, the bytes that a collector received, and
//! its log at the most verbose level.
//!
//! `spans` and `pipeline::label` name what leaves by design: services, methods, route templates,
//! tables, exception classes, function names. A short word in a path is part of a route; the
//! secrets are tokens.

use crate::collector::FakeCollector;
use crate::process::{Setup, Sidecar};
use sidelight::export::endpoint::Protocol;

/// Line templates for the stream socket; `@C@` is the secret. Each template gives one line per kind
/// of secret and round.
const LINES: &[&str] = &[
    // messages
    r#"{"level":"error","message":"login of @C@ failed","service":"shop"}"#,
    r#"{"level":"info","message":"@C@"}"#,
    r#"{"level":"warn","message":"user @C@ completed in 12ms","request_id":"r1"}"#,
    r#"{"level":"warn","message":"job @C@ failed: no","request_id":"r1"}"#,
    r#"{"level":"warn","message":"@C@ failed - no","request_id":"r1"}"#,
    r#"{"level":"info","message":"@C@ took 12ms","request_id":"r1"}"#,
    r#"{"level":"info","message":"Task @C@ completed in 3s","request_id":"r1"}"#,
    r#"{"level":"fatal","message":"@C@"}"#,
    // paths, queries, whole URLs, routes
    r#"{"level":"info","method":"GET","path":"/reset/@C@","status":200,"duration_ms":5,"request_id":"r1"}"#,
    r#"{"level":"info","method":"GET","path":"/reset/@C@/do","status":500,"duration_ms":5,"request_id":"r1"}"#,
    r#"{"level":"info","method":"GET","path":"/a?token=@C@","status":200,"duration_ms":5,"request_id":"r1"}"#,
    r#"{"level":"info","method":"GET","path":"/a#@C@","status":200,"duration_ms":5,"request_id":"r1"}"#,
    r#"{"level":"info","method":"GET","path":"/a;sid=@C@","status":200,"duration_ms":5,"request_id":"r1"}"#,
    r#"{"level":"info","method":"GET","url":"https://ann:@C@@example.com/a","status":200,"duration_ms":5}"#,
    r#"{"level":"info","method":"GET","url":"https://example.com/u/@C@?x=@C@","status":200,"duration_ms":5}"#,
    r#"{"level":"info","method":"GET","route":"/reset/@C@","status":200,"duration_ms":5,"request_id":"r1"}"#,
    r#"{"level":"info","req":{"method":"GET","url":"/p/@C@","headers":{"cookie":"@C@"}},"res":{"statusCode":200},"responseTime":5}"#,
    // known fields with an unsuitable value
    r#"{"level":"info","method":"@C@","path":"/a","status":200,"duration_ms":5,"request_id":"r1"}"#,
    r#"{"level":"info","method":"GET","path":"/a","status":"@C@","duration_ms":5,"request_id":"r1"}"#,
    r#"{"level":"info","method":"GET","path":"/a","status":200,"duration_ms":"@C@","request_id":"r1"}"#,
    r#"{"level":"@C@","message":"x"}"#,
    r#"{"level":"info","timestamp":"@C@","message":"x"}"#,
    r#"{"level":"info","logger":"@C@","message":"x","duration_ms":5,"request_id":"r1"}"#,
    r#"{"level":"info","message":"x","request_id":"@C@","duration_ms":5}"#,
    r#"{"level":"info","message":"x","client_ip":"@C@","user_agent":"@C@","duration_ms":5,"request_id":"r1"}"#,
    // unknown fields, keys, headers
    r#"{"level":"info","message":"x","password":"@C@","data":{"token":"@C@","deep":[{"a":"@C@"}]}}"#,
    r#"{"level":"info","message":"x","@C@":1}"#,
    r#"{"level":"info","message":"x","headers":{"authorization":"Bearer @C@","cookie":"sid=@C@"}}"#,
    // statements
    r#"{"level":"debug","query":"SELECT * FROM users WHERE mail = '@C@'","duration_ms":5,"request_id":"r1"}"#,
    r#"{"level":"debug","query":"INSERT INTO users (a) VALUES ('@C@')","duration_ms":5,"request_id":"r1"}"#,
    r#"{"level":"debug","query":"SELECT 'FROM @C@' FROM users","duration_ms":5,"request_id":"r1"}"#,
    r#"{"level":"debug","query":"/* FROM @C@ */ SELECT a FROM users","duration_ms":5,"request_id":"r1"}"#,
    r#"{"level":"debug","query":"SELECT a FROM users WHERE t = '@C@","duration_ms":5,"request_id":"r1"}"#,
    r#"{"level":"debug","query":"@C@","duration_ms":5,"request_id":"r1"}"#,
    // exceptions
    r#"{"level":"error","message":"x","exception":"Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    f('@C@')\nValueError: @C@","method":"GET","path":"/a","status":500,"duration_ms":5,"request_id":"r1"}"#,
    r#"{"level":"error","message":"x","exception":"Traceback (most recent call last):\n  File \"a.py\", line 1, in f\nValueError: two\n@C@"}"#,
    r#"{"level":"error","message":"x","exception":"@C@"}"#,
    r#"{"level":"error","message":"x","stack_trace":"@C@: boom\n@C@"}"#,
    r#"{"level":"error","message":"x","error":"@C@","err":{"message":"@C@","stack":"Error: @C@\n    at f (/a.js:1:2)"}}"#,
    r#"{"level":"error","message":"x","exception_type":"ValueError","exception_message":"@C@","duration_ms":5,"request_id":"r1"}"#,
    // logfmt
    r#"level=info msg="hello @C@" token=@C@ method=GET path=/a/@C@ status=200 duration=5ms request_id=r1"#,
    r#"level=error err="@C@" password="@C@" path="/a?x=@C@" method=GET status=500 duration=5ms request_id=r1"#,
    // access logs
    r#"192.0.2.7 - @C@ [02/Jan/2026:03:04:04 +0000] "GET /r/@C@?t=@C@ HTTP/1.1" 200 5 "https://x/@C@" "ua @C@" 0.012"#,
    r#"192.0.2.7 - - [02/Jan/2026:03:04:04 +0000] "@C@ /a HTTP/1.1" 400 5 "-" "-""#,
    r#"INFO:     127.0.0.1:5000 - "GET /u/@C@ HTTP/1.1" 200 OK"#,
    // Python text
    "2026-01-02 03:04:04,123 - shop - ERROR - no user @C@",
    "ERROR:@C@:boom",
    "2026-01-02 03:04:04,123 - [@C@] - INFO - get_user completed in 0.1s",
    "1767323044.123 | ERROR | no @C@ | here | shop | @C@",
    "ERROR:shop:boom\nTraceback (most recent call last):\n  File \"a.py\", line 1, in @C@\n    f(\"@C@\")\nValueError: @C@\nand @C@",
    // lines of unknown content
    r#"{"level":"info","message":"@C@"#,
    "@C@",
];

/// Templates of datagrams.
const DATAGRAMS: &[&str] = &[
    "<11>no user @C@\0",
    "<14>Jan  2 03:04:04 @C@ shop[7]: x",
    "<14>{\"level\":\"error\",\"message\":\"@C@\",\"service\":\"shop\"}\0",
    "<11>boom\nTraceback (most recent call last):\n  File \"a.py\", line 1, in f\nValueError: @C@\0",
];

/// Number of secrets of each kind in each template.
const ROUNDS: u64 = 3;

/// Kinds of secrets.
#[derive(Clone, Copy, Debug)]
enum SecretKind {
    Token,
    Mail,
    Number,
    Uuid,
    Hex,
    Base64,
}

const KINDS: [SecretKind; 6] = [
    SecretKind::Token,
    SecretKind::Mail,
    SecretKind::Number,
    SecretKind::Uuid,
    SecretKind::Hex,
    SecretKind::Base64,
];

/// Returns the secret with this number; all secrets are different.
fn secret(kind: SecretKind, number: u64) -> String {
    // SplitMix64: random enough that no secret is part of another one or of any other text
    let word = |salt: u64| {
        let mut z = (number * 8 + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let spell = |alphabet: &[u8], length: usize| -> String {
        let base = alphabet.len() as u64;
        (0..length)
            .map(|at| {
                alphabet[(word(at as u64 / 8) >> (at % 8 * 7)) as usize % base as usize] as char
            })
            .collect()
    };
    let lower = b"abcdefghijklmnopqrstuvwxyz";
    let mixed = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    match kind {
        SecretKind::Token => format!("sk_live_{}7Q4z", spell(mixed, 16)),
        SecretKind::Mail => format!("{}@{}.example", spell(lower, 8), spell(lower, 5)),
        SecretKind::Number => format!("4{:015}", word(0) % 1_000_000_000_000_000),
        SecretKind::Uuid => {
            let (high, low) = (word(0), word(1));
            format!(
                "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
                high >> 32,
                high >> 16 & 0xffff,
                high & 0xfff,
                low >> 52,
                low & 0xffff_ffff_ffff
            )
        }
        // not as long as a trace id, which is exported unchanged
        SecretKind::Hex => format!("{:016x}{:08x}", word(0), word(1) as u32),
        // at least two digits: from two digits on, a path segment is treated as a token
        SecretKind::Base64 => format!("{}9x7{}Zw==", spell(mixed, 12), spell(mixed, 8)),
    }
}

/// Scenario: every kind of secret in every position of a line.
/// Guarantees: the output contains none of them.
#[test]
fn a_thousand_secrets_stay() {
    let collector = FakeCollector::start(Protocol::Http, &[]);
    let endpoint = collector.endpoint.trim_end_matches("/v1/traces").to_owned();
    let environment =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint), ("OTEL_BSP_SCHEDULE_DELAY", "10".to_owned())];
    let arguments = ["--log-level", "trace"].map(str::to_owned).to_vec();
    let sidecar = Sidecar::start(Setup {
        arguments,
        environment: environment.into(),
        // a limit on values would hide everything after the first forty
        config: Some("metrics: {limits: {series: 100000, label_sets: 10000, routes: 5000}}\n"),
        ..Setup::default()
    });
    let mut secrets = Vec::new();
    let mut block = String::new();
    for _ in 0..ROUNDS {
        for kind in KINDS {
            for (place, line) in LINES.iter().chain(DATAGRAMS).enumerate() {
                let secret = secret(kind, secrets.len() as u64);
                let line = line.replace("@C@", &secret);
                if place < LINES.len() {
                    block.push_str(&line);
                    block.push('\n');
                } else {
                    sidecar.send(line.as_bytes());
                }
                secrets.push((secret, line));
            }
        }
    }
    assert!(secrets.len() >= 1_000, "only {}", secrets.len());
    let received = block.lines().count();
    sidecar.write(block.as_bytes());
    sidecar.wait_metric(&format!("sidelight_frames_received_total{{input=\"stream\"}} {received}"));
    let datagrams = DATAGRAMS.len() as u64 * ROUNDS * KINDS.len() as u64;
    sidecar
        .wait_metric(&format!("sidelight_frames_received_total{{input=\"datagram\"}} {datagrams}"));
    let open = sidecar.get("/metrics", "application/openmetrics-text; version=1.0.0").1;
    assert!(open.contains(" # {trace_id="), "exemplars are among it");
    let mut left = vec![("metrics", sidecar.metrics()), ("exemplars", open)];
    for shape in ["*/*", "application/health+json", "text/plain"] {
        left.push(("health", sidecar.get("/health", shape).1));
    }
    let ending = sidecar.stop();
    assert_eq!(ending.code, Some(0));
    let spans = collector.spans();
    assert!(spans.len() > 100, "only {} spans", spans.len());
    left.push(("spans", format!("{spans:?}")));
    left.push(("headers", format!("{:?}", collector.headers())));
    left.push(("own log", ending.said.join("\n")));
    left.push(("standard output", String::from_utf8_lossy(&ending.stdout).into_owned()));
    let mut leaked = Vec::new();
    for (secret, line) in &secrets {
        for (place, text) in &left {
            if text.contains(secret.as_str()) {
                leaked.push(format!("{place}: {line}"));
            }
        }
    }
    assert!(leaked.is_empty(), "{} leaks:\n{}", leaked.len(), leaked.join("\n"));
}

/// Guarantees: there are a thousand secrets, and the test would find one.
#[test]
fn secrets_are_distinct() {
    let mut all = std::collections::BTreeSet::new();
    for kind in KINDS {
        all.extend((0..200).map(|number| secret(kind, number)));
    }
    assert_eq!(all.len(), 1_200);
}
