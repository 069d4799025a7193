//! Tests what the commands print that people look at: the demo, `watch`, `replay`, completions.

use crate::process::{Setup, Sidecar};
use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidelight"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command.output().expect("the binary")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Guarantees: the demo shows a line and the metric and span that it became, says what to try next,
/// and ends with a ledger without a loss.
#[test]
fn the_demo_shows_a_line_and_what_it_became() {
    let output = run(&["demo", "--for", "3s", "--rate", "60"]);
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    for part in [
        "  a line  ts=",
        "  metric  http_requests_total{method=\"POST\",endpoint=\"/v1/charges\"",
        "  span    SERVER POST /v1/charges ",
        "  verdict healthy",
        "  GET /api/products/{id}",
        " lost=0\n",
        "\nnow try your own:\n",
    ] {
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
    assert!(!shown.contains('\x1b'), "a pipe has no colours: {shown:?}");
}

/// Guarantees: `watch` shows the lines of a sidecar that runs already; where nothing answers, or
/// something else does, it says so and fails.
#[test]
fn watch_shows_a_running_sidecar() {
    let sidecar = Sidecar::start(Setup::default());
    sidecar.write(b"method=GET path=/a/17 status=500 duration=12ms level=error\n");
    sidecar.wait_metrics("http_requests_total{method=\"GET\",endpoint=\"/a/{id}\"");
    let url = format!("http://{}", sidecar.admin());
    let output = run(&["watch", "--url", &url]);
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{shown}{}", text(&output.stderr));
    for part in [&format!("sidelight watch  {}", sidecar.admin()), "1 in all", "GET /a/{id}"] {
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
    assert_eq!(sidecar.stop().code, Some(0));
    let output = run(&["watch", "--url", &url]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("kubectl port-forward"), "{}", text(&output.stderr));
    assert_eq!(run(&["watch", "--url", "https://a"]).status.code(), Some(2));
    // a server that closes every connection
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let other = format!("http://{}", listener.local_addr().expect("an address"));
    let server = std::thread::spawn(move || listener.incoming().take(1).for_each(drop));
    assert_eq!(run(&["watch", "--url", &other, "--for", "1ms"]).status.code(), Some(1));
    server.join().expect("one connection");
}

/// Guarantees: `replay` begins with a summary, which the series follow in a pipe; `--metrics` makes
/// comments of it; and a pipe has no colours even where a variable requests them.
#[test]
fn replay_summarises_a_file() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let log = folder.path().join("app.log");
    fs::write(&log, "method=GET path=/a/17 status=200 duration=12ms\n").expect("space for a file");
    let log = log.display().to_string();
    let plain = text(&run(&["replay", &log]).stdout);
    assert!(plain.starts_with("lines   1 read, 0 refused\n"), "{plain}");
    let (summary, series) = plain.split_once("\n\n#").expect("the series follow");
    assert!(summary.contains("GET /a/{id}") && !summary.contains("http_requests_total"), "{plain}");
    let first = "http_requests_total{method=\"GET\",endpoint=\"/a/{id}\",status_code=\"200\"} 1";
    assert!(series.lines().any(|line| line == first), "{plain}");
    let page = text(&run(&["replay", "--metrics", &log]).stdout);
    assert!(
        page.contains("\nhttp_requests_total{") && page.contains("\n# lines   1 read"),
        "{page}"
    );
    assert!(!plain.contains('\x1b') && !page.contains('\x1b'));
}
