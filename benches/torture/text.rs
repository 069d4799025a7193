//! Attacks by the content of lines: bytes that control a terminal or break a parser (promise R26),
//! and secrets (promise R28). Neither may appear in what sidelight says: metrics, health, log.
//! Unit: one case, bounded in lines.

use super::abuse::{launch, said};
use super::collector::Capture;
use crate::sidecar::{Launch, Sidecar};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Interval between two checks of what has arrived.
const SETTLE: Duration = Duration::from_millis(300);

/// Characters and strings that are trouble somewhere.
const NAUGHTY: [&str; 24] = [
    "\u{0}",
    "\u{1}",
    "\u{7}",
    "\u{8}",
    "\t",
    "\r",
    "\u{b}",
    "\u{c}",
    "\u{1b}[31m",
    "\u{1b}]0;t\u{7}",
    "\u{7f}",
    "\u{85}",
    "\u{9b}2J",
    "\u{9f}",
    "\u{200e}",
    "\u{202e}",
    "\u{2028}",
    "\u{2029}",
    "\u{2066}",
    "\u{feff}",
    "\\",
    "\"",
    "'\"><",
    "${jndi:ldap://x}",
];

/// Returns the characters of `text` that no page or log line may contain raw.
fn control_characters(text: &str) -> usize {
    let is_control = |letter: char| {
        let is_bidirectional = matches!(
            letter,
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        );
        let is_separator = matches!(letter, '\u{2028}' | '\u{2029}' | '\u{feff}');
        (letter.is_control() && letter != '\n') || is_bidirectional || is_separator
    };
    text.chars().filter(|letter| is_control(*letter)).count()
}

/// Everything that a sidecar says to others, by name.
fn pages(child: &Sidecar) -> Result<Vec<(&'static str, String)>, String> {
    let get = |path: &str, headers: &str| child.get_as(path, headers).map(|(_, body)| body);
    let openmetrics = "Accept: application/openmetrics-text;version=1.0.0\r\n";
    Ok(vec![
        ("/metrics", get("/metrics", "").map_err(said)?),
        ("/metrics in OpenMetrics", get("/metrics", openmetrics).map_err(said)?),
        ("/health", get("/health", "").map_err(said)?),
        ("/health as text", get("/health", "Accept: text/plain\r\n").map_err(said)?),
    ])
}

/// A million random lines with control characters in every field that becomes a label.
pub(crate) fn control_bytes(binary: &Path) -> Result<String, String> {
    const LINES: u64 = 1_000_000;
    let mut child = super::abuse::start(binary)?;
    let mut stream = child.connect()?;
    let mut state = 7;
    let mut block = Vec::new();
    for number in 0..LINES {
        let mut naughty = || {
            let one = NAUGHTY[super::random(&mut state) as usize % NAUGHTY.len()];
            format!("a{one}b{}", super::random(&mut state) % 7)
        };
        let fields = [
            ("service", naughty()),
            ("method", naughty()),
            ("path", format!("/{}/{}", naughty(), naughty())),
            ("error_type", naughty()),
            ("level", "ERROR".to_owned()),
            ("message", naughty()),
        ];
        let line = if number % 3 == 0 { json(&fields) } else { logfmt(&fields) };
        // a newline would end the line, so none of the texts contains one
        block.extend_from_slice(line.as_bytes());
        block.push(b'\n');
        if block.len() > 1 << 18 || number + 1 == LINES {
            stream.write_all(&block).map_err(said)?;
            block.clear();
        }
    }
    drop(stream);
    std::thread::sleep(SETTLE);
    let mut found = Vec::new();
    let pages = pages(&child)?;
    let series = pages[0].1.lines().count();
    for (name, text) in &pages {
        found.push((*name, control_characters(text)));
    }
    let now = Instant::now();
    child.terminate();
    let stop = child.stopped(now);
    found.push(("the log", control_characters(&stop.stderr)));
    if stop.ledger("received") != Some(LINES) {
        return Err(format!("{LINES} lines written, received {:?}", stop.ledger("received")));
    }
    let total: usize = found.iter().map(|(_, count)| count).sum();
    let report =
        format!("{LINES} lines, {series} lines of metrics, raw control characters {found:?}");
    if total > 0 { Err(report) } else { Ok(report) }
}

fn json(fields: &[(&str, String)]) -> String {
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| {
            let mut text = String::new();
            for letter in value.chars() {
                match letter {
                    '"' | '\\' => {
                        text.push('\\');
                        text.push(letter);
                    }
                    letter if letter < ' ' => {
                        let _ = write!(text, "\\u{:04x}", u32::from(letter));
                    }
                    letter => text.push(letter),
                }
            }
            format!("\"{name}\":\"{text}\"")
        })
        .collect();
    format!("{{{},\"status\":500,\"duration_ms\":1}}", pairs.join(","))
}

fn logfmt(fields: &[(&str, String)]) -> String {
    let pairs = fields.iter().map(|(name, value)| {
        format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
    });
    let pairs: Vec<String> = pairs.collect();
    format!("{} status=500 duration=1ms", pairs.join(" "))
}

/// A thousand secrets in lines, fields, the environment and headers: none may appear in metrics,
/// health or log. Counts those that leave with spans.
pub(crate) fn secrets(binary: &Path) -> Result<String, String> {
    const SECRETS: usize = 1_000;
    let collector = Capture::start().map_err(said)?;
    let mut state = 11;
    let secrets: Vec<String> = (0..SECRETS).map(|number| secret(number, &mut state)).collect();
    let header = format!("authorization=Bearer%20{}", secrets[0]);
    let url = format!("http://{}", collector.address);
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", header.as_str()),
        ("DATABASE_PASSWORD", secrets[1].as_str()),
        ("SIDELIGHT_NO_SUCH_SETTING", secrets[2].as_str()),
    ];
    let mut child = launch(binary, Launch { environment: &environment, ..Launch::default() })?;
    let mut stream = child.connect()?;
    for (number, secret) in secrets.iter().enumerate() {
        stream.write_all(leaking_line(number, secret).as_bytes()).map_err(said)?;
    }
    drop(stream);
    std::thread::sleep(SETTLE * 10);
    let pages = pages(&child)?;
    let now = Instant::now();
    child.terminate();
    let stop = child.stopped(now);
    let sent = String::from_utf8_lossy(&collector.bodies()).into_owned();
    let count = |text: &str| secrets.iter().filter(|one| text.contains(one.as_str())).count();
    let mut found: Vec<(&str, usize)> =
        pages.iter().map(|(name, text)| (*name, count(text))).collect();
    found.push(("the log", count(&stop.stderr)));
    let shown: usize = found.iter().map(|(_, count)| count).sum();
    let report = format!(
        "{SECRETS} secrets, found in {found:?}; in {} bytes of exported spans: {}",
        sent.len(),
        count(&sent)
    );
    if shown > 0 { Err(report) } else { Ok(report) }
}

/// Returns a token in one of the usual forms.
fn secret(number: usize, state: &mut u64) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut letters = |count: usize, of: usize| -> String {
        let one = |_| char::from(ALPHABET[super::random(state) as usize % of]);
        (0..count).map(one).collect()
    };
    match number % 8 {
        0 => format!("AKIA{}", letters(16, 26)),
        1 => format!("sk-{}", letters(48, 62)),
        2 => format!("ghp_{}", letters(36, 62)),
        3 => format!("eyJ{}.eyJ{}.{}", letters(20, 62), letters(40, 62), letters(43, 62)),
        4 => format!("xoxb-{}", letters(24, 62)),
        5 => format!("{}==", letters(22, 62)),
        6 => letters(16, 62),
        _ => letters(8, 62),
    }
}

/// Returns a line that carries a secret in one of the places where applications leak them.
fn leaking_line(number: usize, secret: &str) -> String {
    let request = |path: String| {
        format!(
            "{{\"level\":\"INFO\",\"method\":\"GET\",\"path\":\"{path}\",\"status\":200,\
             \"duration_ms\":5,\"trace_id\":\"{:032x}\"}}\n",
            number + 1
        )
    };
    match number % 7 {
        0 => request(format!("/reset/{secret}")),
        1 => request(format!("/api/v1/files/{secret}/download")),
        2 => request(format!("/login?token={secret}")),
        3 => format!("{{\"level\":\"ERROR\",\"message\":\"login failed: password={secret}\"}}\n"),
        4 => format!("ERROR:auth:Authorization: Bearer {secret}\n"),
        5 => format!("level=error authorization=\"Bearer {secret}\" msg=denied\n"),
        _ => {
            format!("{{\"level\":\"ERROR\",\"error_type\":\"AuthError\",\"token\":\"{secret}\"}}\n")
        }
    }
}
