//! sidelight runs next to an application in its pod, receives its log lines over a Unix socket, and
//! turns each line into up to four things: a metric, a span, a health signal, a forwarded record.
//!
//! # The path of a line
//!
//! ```text
//!  application           data thread (runs all of this; no queue, lock or allocation per line)
//!  +---------+ write() +----------------------------------------------------------------------+
//!  | stdout, |-------->| receive --> frame --> decode --> rules --> pipeline -+-> metrics     |--+
//!  | socket  |         | bytes       lines     fields     which     applies   +-> health      |--+
//!  +---------+         |                                  apply     effects   +-> spans    -+ |  |
//!                      |                                                      +-> forward  -+ |  |
//!                      +--------------------------------------------------------------------|-+  |
//!                                                                                   batches v    |
//!  collector <-------- OTLP ------ export <------------------------------------------- outbox    |
//!  Prometheus, kubelet <---------- serve (admin thread) <---- each scrape adds up the shards ----+
//! ```
//!
//! # Modules
//!
//! A line passes through the modules in the order from `receive` to `export`.
//!
//! | module | what it does |
//! |---|---|
//! | [`receive`] | binds and reads two sockets and standard input; coalesces wake-ups |
//! | [`frame`] | splits bytes into frames; joins lines that belong together (tracebacks) |
//! | [`transcode`] | writes frames in other encodings (Python's pickles) as lines of JSON |
//! | [`decode`] | finds the fields of a frame: JSON, logfmt, access, text, syslog; parses times |
//! | [`record`] | a borrowed line in OpenTelemetry's log data model: fields, severity, numbers |
//! | [`rules`] | decides which records matter and what each does; conditions, captures |
//! | [`pipeline`] | processes one line from frame to effects; caches the series of its labels |
//! | [`metrics`] | effect 1: families, series, shards, limits, exemplars; `expose` writes them |
//! | [`spans`] | effect 2: trace and span ids, phrases, pairs of start and end lines, OTLP spans |
//! | [`health`] | effect 3: a verdict on the application from its logs |
//! | [`forward`] | effect 4: a copy of every line on standard output |
//! | [`otlp`], [`outbox`], [`export`] | protobuf; the only queue; batches by HTTP or gRPC |
//! | [`serve`] | the admin port: `/metrics`, `/health`, `/livez`, `/readyz`, `/startupz` |
//! | [`telemetry`] | the metrics that sidelight keeps about itself; the ledger; our own log |
//! | [`config`] | reads YAML layers, environment and flags; reports errors with their position |
//! | [`app`] | binds listeners, starts threads, and drains in phases ([`phase`]) |
//! | [`replay`] | runs a file of lines through the rules and reports what would have happened |
//! | [`console`] | writes to standard error and standard output without panicking or blocking |
//! | [`cli`] | the commands: run, demo, watch, check, replay, explain, ...; finds other programs |
//! | [`clock`], [`resource`] | time as a value; the service that the telemetry describes |
//! | [`encoding`], [`sync`], [`order`] | percent encoding and a stable hash; locks; sorting |
//!
//! Two more programs are crates of the same workspace: `crates/injector` adds the sidecar to pods
//! (admission webhook, manifests, cluster check), `crates/tee` copies a command's output to the
//! socket.
//!
//! # Glossary
//!
//! - frame: one received line that is not empty, or one datagram; the unit of the ledger.
//! - record: a decoded frame with its fields, severity and time. Joined lines, such as a traceback,
//!   are several frames but one record.
//! - ledger: the account of a process: every received frame was decoded or refused, and every item
//!   offered to an output was sent, dropped or is still held.
//! - overflow series: a series with `_other` as the value of labels. It counts what arrives after
//!   the family or the process has reached its limit of series or label values.
//! - outbox: the bounded queue between the data threads and an output (spans, records, lines).
//! - drain: the end of a process: it reads what was written, flushes, exports, and closes the
//!   ledger, within one deadline.
//!
//! # Invariants
//!
//! Each has a test. `tests/tidy.rs` checks which module may import which, file sizes and headers.
//!
//! 1. Between a byte read and its metric there is no queue, no lock and no allocation, except when
//!    a series is new. (`tests/alloc.rs`)
//! 2. The pure parts (decode, rules, pipeline, metrics, spans, health) do no I/O and read no clock
//!    except the one that is passed in. (`tests/tidy.rs`, `.clippy.toml`)
//! 3. Nothing below `config` knows YAML or the environment: each part owns a plain `Settings` type.
//! 4. Only `export` waits for the collector. No data thread waits for a disk.
//! 5. Every loss is counted with a stage and a reason, and the ledger closes:
//!    received = decoded + refused, offered = sent + dropped + held. (`tests/ledger.rs`)
//! 6. `pipeline`, `metrics` and `rules` use no type of HTTP, OTLP or Kubernetes.
//! 7. Nothing that an application can send makes memory grow past a fixed limit, panics, or runs
//!    code.
//! 8. The application always starts: whatever is wrong with sidelight, its socket is bound and
//!    read.
#![forbid(unsafe_code)]
// A write that fails or blocks must not end or delay the process, so only `console` writes.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod console;
pub mod decode;
pub mod encoding;
pub mod export;
pub(crate) mod forward;
pub mod frame;
pub mod health;
pub mod metrics;
pub(crate) mod order;
pub(crate) mod otlp;
pub mod outbox;
pub(crate) mod phase;
pub mod pipeline;
pub mod receive;
pub mod record;
pub mod replay;
pub mod resource;
pub mod rules;
pub mod serve;
pub mod spans;
pub mod sync;
pub mod telemetry;
pub(crate) mod transcode;
