//! Checks the pages: the README, `docs`, and the other pages that people read. Links lead
//! somewhere, excerpts are those of the examples, commands do what the page shows.
//!
//! A comment before a `sh` block says how it is checked:
//!
//! - `<!-- run -->`: the test runs it; a `text` block after it is what it prints.
//! - `<!-- run until -->`: the same, repeated until it prints that.
//! - `<!-- run in background -->`: started, and ended at the end of the page.
//! - `<!-- run ends the background -->`: the test ends the block above it, as Ctrl-C does.
//! - `<!-- run by ... -->`, `<!-- needs ... -->`: somewhere else, or not on a test machine.
//!
//! In what a block prints, `...` is any text; numbers are compared as numbers of any value, because
//! times differ. `<!-- file: PATH -->` before a block says that PATH contains it word for word.

use crate::pages::{Block, anchors, blocks, links, page, pages, root};
use crate::programs::built;
use sidelight::cli::check::faults;
use sidelight::config::{Flags, parse};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a command may take until it prints what the page shows, on a busy machine.
const AMPLE: Duration = Duration::from_mins(1);
/// The time between two looks at what a command has printed.
const PAUSE: Duration = Duration::from_millis(50);

/// Guarantees: every link to a file leads to a file, and every anchor to a heading.
#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    let mut count = 0;
    for path in pages() {
        for link in links(&page(&path)) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            count += 1;
            let (target, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let folder = path.parent().expect("a folder");
            let target = if target.is_empty() { path.clone() } else { folder.join(target) };
            let is_there =
                target.exists() && (anchor.is_empty() || anchors(&page(&target)).contains(anchor));
            if !is_there {
                broken.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(count > 50, "the links were found: {count}");
}

/// Guarantees: the book has every page of `docs`.
#[test]
fn the_book_has_every_page() {
    let listed: BTreeSet<String> =
        links(&page(&root().join("docs/SUMMARY.md"))).into_iter().collect();
    let there: BTreeSet<String> = pages()
        .iter()
        .filter(|path| path.parent() == Some(&root().join("docs")))
        .map(|path| path.file_name().expect("a file").to_string_lossy().into_owned())
        .filter(|name| name != "SUMMARY.md")
        .collect();
    assert_eq!(there, listed, "docs/SUMMARY.md lists the pages of docs");
}

/// Guarantees: what a page shows of a file is in the file.
#[test]
fn excerpts_are_those_of_the_files() {
    let mut count = 0;
    for path in pages() {
        for block in blocks(&page(&path)) {
            let Some(name) = block.mark.strip_prefix("file: ") else { continue };
            count += 1;
            let file = fs::read_to_string(root().join(name)).expect("the file of an excerpt");
            let is_there = file.contains(block.text.trim_end());
            assert!(is_there, "{}: not in {name}:\n{}", path.display(), block.text);
        }
    }
    assert!(count > 15, "the excerpts were found: {count}");
}

/// Guarantees: the tag of a release has the section of its version as the message, with lines that
/// begin with `#`; an unreleased section and another version are refused. Needs git.
#[test]
fn a_tag_has_the_section_of_the_changelog() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder.path()).env("HOME", folder.path());
        for name in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{name}_NAME"), "a").env(format!("GIT_{name}_EMAIL"), "a@b");
        }
        let output = command.output().ok()?;
        let said = [output.stdout, output.stderr].concat();
        Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
    };
    let write = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).expect("a writable directory");
    };
    fs::create_dir_all(folder.path().join("deploy/image")).expect("a writable directory");
    let script = "deploy/image/tag";
    fs::copy(root().join(script), folder.path().join(script)).expect("the script");
    write("Cargo.toml", "[workspace.package]\nversion = \"1.2.0\"\n");
    let Some((true, _)) = run("git", &["init", "--quiet", "."]) else { return };
    for (title, version, expected) in [
        ("1.2.0 (unreleased)", "1.2.0", "calls 1.2.0 unreleased"),
        ("1.2.0 (2026-12-01)", "1.3.0", "Cargo.toml has the version 1.2.0"),
        ("1.2.0 (2026-12-01)", "1.2.0", "v1.2.0: push it"),
    ] {
        let older = "## 1.1.0 (2026-11-01)\n\n- Old.\n";
        write("CHANGELOG.md", &format!("# C\n\n## {title}\n\n- New.\n# not a title\n\n{older}"));
        run("git", &["add", "."]);
        run("git", &["commit", "--quiet", "--message", "x"]);
        let (_, said) = run("sh", &[script, version]).expect("a shell");
        assert!(said.contains(expected), "{said}");
    }
    let (_, tag) = run("git", &["tag", "--list", "-n9", "v1.2.0"]).expect("git");
    for line in ["sidelight 1.2.0", "- New.", "# not a title"] {
        assert!(tag.contains(line), "{tag}");
    }
    assert!(!tag.contains("Old"), "{tag}");
}

/// Guarantees: the clients that `docs/clients.md` calls checked are those that the checks run, and
/// every example is mentioned there.
#[test]
fn the_clients_are_those_of_the_checks() {
    let text = page(&root().join("docs/clients.md"));
    let checked: BTreeSet<&str> = text
        .split("*Checked: ")
        .skip(1)
        .flat_map(|rest| rest.split('*').next().unwrap_or_default().split('`').skip(1).step_by(2))
        .filter(|name| !name.contains(' ') && *name != "www-data")
        .collect();
    let checks = page(&root().join("tests/peers/checks/clients.py"));
    let table = checks.split("\nCLIENTS = {\n").nth(1).expect("the table of clients");
    let run: BTreeSet<&str> = table
        .split("\n}\n")
        .next()
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.strip_prefix("    \"")?.split_once("\": {"))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(checked, run, "docs/clients.md and tests/peers/checks/clients.py");
    let format =
        checks.lines().find_map(|line| line.trim().strip_prefix("\"--access-logformat\", "));
    let format = format.and_then(|rest| rest.split('\'').nth(1)).expect("gunicorn's format");
    assert!(text.contains(&format!("--access-logformat '{format}'")), "gunicorn's {format}");
    for folder in fs::read_dir(root().join("examples")).expect("examples").flatten() {
        let name = folder.file_name().to_string_lossy().into_owned();
        let is_file = name.contains('.');
        assert!(is_file || text.contains(&format!("examples/{name}/")), "examples/{name}");
    }
}

/// Guarantees: the configurations on the pages are valid and produce no warnings.
#[test]
fn configurations_on_the_pages_pass_check() {
    let mut count = 0;
    let docs = root().join("docs");
    for path in pages().iter().filter(|path| path.starts_with(&docs)) {
        for block in blocks(&page(path)).iter().filter(|block| block.language == "yaml") {
            // only the platform's layer may have it, and only that one is no file
            if block.text.contains("\nfinal:") {
                continue;
            }
            let name = path.display().to_string();
            let loaded = parse(&name, &block.text, &Flags::default(), &BTreeMap::new());
            let faults: Vec<String> = faults(&loaded).iter().map(ToString::to_string).collect();
            assert!(faults.is_empty(), "{}", faults.concat());
            count += 1;
        }
    }
    assert!(count > 4, "the configurations were found: {count}");
}

/// Guarantees: every alert has a section to which its `runbook_url` leads.
#[test]
fn every_alert_is_explained() {
    let anchors = anchors(&page(&root().join("docs/alerts.md")));
    let rules = page(&root().join("helm/sidelight/rules/sidelight.yaml"));
    let alerts: Vec<&str> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 15, "the alerts were found");
    for alert in alerts {
        assert!(anchors.contains(&alert.to_lowercase()), "docs/alerts.md does not explain {alert}");
    }
}

/// Guarantees: every command block says how it is checked, and those that can run here print what
/// the page shows.
#[test]
fn commands_print_what_the_pages_show() {
    let (tee, _) = (built("sidelight-tee"), built("sidelight-injector"));
    let programs = tee.parent().expect("the folder of the programs");
    let mut count = 0;
    for path in pages() {
        let blocks = blocks(&page(&path));
        let name = path.strip_prefix(root()).expect("a page of ours").display().to_string();
        let is_ours = name.starts_with("docs/") || !name.contains('/');
        for block in blocks.iter().filter(|block| is_ours && block.language == "sh") {
            let known = ["run", "needs ", "file: "].iter().any(|mark| block.mark.starts_with(mark));
            assert!(known, "{name}: how is this checked?\n{}", block.text);
        }
        if blocks.iter().any(Block::is_run) {
            count += Session::new(&name, programs).run(&blocks);
        }
    }
    assert!(count > 10, "commands were run: {count}");
}

/// The run of one page's commands, with separate sockets and a separate port.
struct Session<'a> {
    page: &'a str,
    folder: tempfile::TempDir,
    path: String,
    port: u16,
    background: Option<(Child, String)>,
}

impl<'a> Session<'a> {
    fn new(page: &'a str, programs: &Path) -> Session<'a> {
        let folder = tempfile::tempdir().expect("a temporary directory");
        for name in ["examples", "helm", "deploy"] {
            symlink(root().join(name), folder.path().join(name)).expect("a link");
        }
        let port = TcpListener::bind("127.0.0.1:0").and_then(|bound| bound.local_addr());
        let path = std::env::var("PATH").unwrap_or_default();
        Session {
            page,
            folder,
            path: format!("{}:{path}", programs.display()),
            port: port.expect("a port").port(),
            background: None,
        }
    }

    /// Runs the blocks in their order; returns how many.
    fn run(mut self, blocks: &[Block]) -> usize {
        let mut count = 0;
        for (number, block) in blocks.iter().enumerate().filter(|(_, block)| block.is_run()) {
            let shown = blocks.get(number + 1).filter(|next| next.language == "text");
            let shown = shown.map_or("", |next| next.text.as_str());
            self.step(number, block, shown);
            count += 1;
        }
        self.end_background();
        count
    }

    fn step(&mut self, number: usize, block: &Block, shown: &str) {
        let file = format!("output-{number}");
        if block.mark == "run ends the background" {
            let file = self.end_background().expect("something runs in the background");
            return self.expect(block, &self.printed(&file), shown);
        }
        let deadline = Instant::now() + AMPLE;
        if block.mark == "run in background" {
            self.background = Some((self.start(block, &file), file.clone()));
            while !matches(shown, &self.printed(&file)) && Instant::now() < deadline {
                std::thread::sleep(PAUSE);
            }
            return self.expect(block, &self.printed(&file), shown);
        }
        loop {
            self.start(block, &file).wait().expect("a shell");
            let is_last = block.mark == "run" || Instant::now() > deadline;
            if is_last || matches(shown, &self.printed(&file)) {
                return self.expect(block, &self.printed(&file), shown);
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn start(&self, block: &Block, file: &str) -> Child {
        let output = File::create(self.folder.path().join(file)).expect("a file");
        let text = block.text.replace("19464", &self.port.to_string());
        // a signal reaches the program itself, which the shell would not wait for
        let exec = if block.mark == "run in background" { "exec " } else { "" };
        let mut shell = Command::new("sh");
        // variables of the caller are not on the page, and sidelight warns about unknown ones
        let foreign = |name: &std::ffi::OsStr| {
            ["SIDELIGHT_", "OTEL_"].iter().any(|own| name.to_string_lossy().starts_with(own))
        };
        for (name, _) in std::env::vars_os().filter(|(name, _)| foreign(name)) {
            shell.env_remove(name);
        }
        shell
            .args(["-c", &format!("exec 2>&1\n{exec}{text}")])
            .current_dir(self.folder.path())
            .env("PATH", &self.path)
            .env("SIDELIGHT_SOCKET", self.folder.path().join("log.sock"))
            .env("SIDELIGHT_DATAGRAM_SOCKET", self.folder.path().join("log.dgram.sock"))
            .env("SIDELIGHT_LISTEN", format!("127.0.0.1:{}", self.port))
            .stdin(Stdio::null())
            .stdout(output)
            .process_group(0)
            .spawn()
            .expect("sh")
    }

    /// Returns what a block has printed, with the paths and the port that the page shows.
    fn printed(&self, file: &str) -> String {
        let bytes = fs::read(self.folder.path().join(file)).expect("its output");
        String::from_utf8_lossy(&bytes)
            .replace(&self.folder.path().display().to_string(), "/run/sidelight")
            .replace(&self.port.to_string(), "19464")
    }

    fn expect(&self, block: &Block, found: &str, shown: &str) {
        let command = &block.text;
        assert!(
            matches(shown, found),
            "{}: {command}prints\n{found}and the page shows\n{shown}",
            self.page
        );
    }

    /// Ends the background process as a terminal does; returns the file with its output.
    fn end_background(&mut self) -> Option<String> {
        let (mut child, file) = self.background.take()?;
        let group = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process_group(group, rustix::process::Signal::TERM).ok();
        child.wait().expect("it ends");
        Some(file)
    }
}

/// Returns whether a text is as the page shows it.
fn matches(shown: &str, found: &str) -> bool {
    let (shown, found) = (plain(shown), plain(found));
    let mut rest = found.as_str();
    let parts: Vec<&str> = shown.split("...").map(str::trim).collect();
    for (number, part) in parts.iter().enumerate() {
        let Some(at) = rest.find(part) else { return false };
        if number == 0 && at != 0 {
            return false;
        }
        rest = &rest[at + part.len()..];
    }
    match parts.as_slice() {
        [_] => rest.trim().is_empty(),
        [.., last] => last.is_empty() || found.ends_with(last),
        [] => true,
    }
}

/// Replaces numbers, and blanks by one.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_whitespace() {
        let mut is_number = false;
        for c in word.chars() {
            let digit = c.is_ascii_digit();
            if !digit {
                out.push(c);
            } else if !is_number {
                out.push('0');
            }
            is_number = digit;
        }
        out.push(' ');
    }
    out.trim_end().to_owned()
}

#[test]
fn what_matches() {
    for (shown, found, expected) in [
        ("", "", true),
        ("a 1.5 s", "a 2.25 s", true),
        ("a\n...\nb", "a\nx\nb", true),
        ("...\nb\n...", "a\nb\nc", true),
        ("a\n...\nb", "a\nx", false),
        ("a", "a b", false),
        ("b", "a b", false),
        ("a\n...", "a", true),
        ("a\n...\nb", "a\nx\nb c", false),
        ("a\n...\nb", "a\nb\nx\nb", true),
    ] {
        assert_eq!(matches(shown, found), expected, "{shown:?} {found:?}");
    }
}
