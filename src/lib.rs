//! sidelight stands beside an application in its pod, takes its log lines over a Unix socket, and makes of
//! every line up to four things: a metric, a span, a health verdict, a forwarded record.
//!
//! # The way of a line
//!
//! ```text
//!  application            data thread (one runs all of this; nothing is queued, locked or allocated a line)
//!  +---------+ write()  +-----------------------------------------------------------------------------+
//!  | stdout, |--------->| receive -> frame -> decode -> rules/plan -> pipeline --+-> metrics (shard)   |--+
//!  | socket  |          |  bytes     lines    positions  what matters  the life  |                     |  |
//!  +---------+          |                     of fields                of a line +-> health (pulse)    |--+
//!                       |                                                        +-> spans    --batch--+  |
//!                       |                                                        +-> forward  --batch--|  |
//!                       +----------------------------------------------------------------------|------+  |
//!                                                                                              v         |
//!  collector  <--- OTLP --- export <------------------------------------------------------- outbox       |
//!  Prometheus, kubelet <--- serve (admin thread) <------ a scrape adds the shards up --------------------+
//! ```
//!
//! Where a line goes, in the order in which it meets the rooms:
//!
//! | room | what it is |
//! |---|---|
//! | [`receive`] | where bytes come in: two sockets, standard input; binding; how wake-ups are coalesced |
//! | [`frame`] | bytes -> frames; which lines belong together (tracebacks) |
//! | [`decode`] | one frame -> where the wanted fields lie: json, logfmt, access, text, syslog; times |
//! | [`record`] | a borrowed line in OpenTelemetry's log data model; fields, severity, numbers |
//! | [`rules`] | which records matter and what each does: conditions, captures, standard rules |
//! | [`pipeline`] | THE WHOLE LIFE OF ONE LINE in order, and the memo that finds its series |
//! | [`metrics`] | effect 1: families, series, shards of cells, limits, exemplars; `expose` writes them |
//! | [`spans`] | effect 2: ids of any form, phrases, pairs of lines, OTLP spans |
//! | [`health`] | effect 3: a verdict on the application from its logs |
//! | [`forward`] | effect 4: the copy of every line to standard output |
//! | [`otlp`], [`outbox`], [`export`] | protobuf; the only queue; batches to a collector, HTTP or gRPC |
//! | [`serve`] | the admin port: `/metrics`, `/health`, `/livez`, `/readyz`, `/startupz` |
//! | [`telemetry`] | every metric that sidelight keeps about itself; the ledger; our own log lines |
//! | [`config`] | as written -> as used: YAML in layers, environment, flags; errors with their places |
//! | [`app`] | doors bound, threads started, the phases of leaving ([`phase`]) |
//! | [`replay`] | a file of lines through the rules: what would have happened |
//! | [`console`] | standard error and standard output, without a panic and without a wait |
//! | [`cli`] | run, demo, check, replay, explain, healthcheck, install; finds the other two programs |
//! | [`clock`], [`resource`] | time as a value; who we speak for |
//!
//! Two more programs are crates of the same workspace: `crates/injector` puts the sidecar into pods
//! (admission webhook, manifests, check of a cluster), `crates/tee` copies a command's output to the socket.
//!
//! # What must never be
//!
//! Each has a test; the rules of the house (who may import whom, sizes, headers) are in `tests/tidy.rs`.
//!
//! 1. Between a byte read and its metric there is no queue, no lock and no allocation, except when a series
//!    is met for the first time. (`tests/alloc.rs`)
//! 2. The pure parts (decode, rules, pipeline, metrics, spans, health) do no I/O and read no clock but the
//!    one handed in. (`tests/tidy.rs`, `.clippy.toml`)
//! 3. Nothing below `config` knows YAML or the environment: each part owns a plain `Settings` type.
//! 4. Nothing waits for the collector except `export`. Nothing waits for a disk on a data thread.
//! 5. Every dropped thing is counted with a stage and a reason, and the ledger closes:
//!    received = decoded + refused, offered = sent + dropped + held. (`tests/ledger.rs`)
//! 6. `pipeline`, `metrics` and `rules` use no type of HTTP, OTLP or Kubernetes.
//! 7. Nothing an application can send makes memory grow past a stated bound, panics, or runs code.
//! 8. The application always starts: whatever is wrong with us, its socket is bound and read.
#![forbid(unsafe_code)]
// a write that fails or waits must not end or hold up a process: `console` writes
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod console;
pub mod decode;
pub mod export;
pub mod forward;
pub mod frame;
pub mod health;
pub mod metrics;
pub mod otlp;
pub mod outbox;
pub mod phase;
pub mod pipeline;
pub mod receive;
pub mod record;
pub mod replay;
pub mod resource;
pub mod rules;
pub mod serve;
pub mod spans;
pub mod telemetry;
