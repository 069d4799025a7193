//! `sidelight inject`: adds the sidecar to manifests, as the webhook would, or removes it. The
//! manifests are written to standard output in their order, and one line per pod to standard error.
//! Documents without pods pass through. Exit code 0: the manifests were written; 1: an error, and
//! nothing was written; 3, with `--exit-code`: nothing changed. Unit: one call.

mod apply;
mod entrypoints;
mod files;
mod pod;
pub mod policy;

#[cfg(test)]
mod tests;

use crate::cli::output::{self, say};
use crate::config;
use crate::inject::names::reason::ALREADY_CONVERGED;
use crate::inject::policy::{ImageVolume, Mode, Policy};
use crate::inject::{Namespace, Plan, plan_for, uninject};
use crate::manifest::read::Document;
use crate::manifest::workload::{Workload, passed_over, workloads};
use crate::manifest::write;
use entrypoints::Entrypoints;
use std::path::PathBuf;
use std::process::ExitCode;

/// Exit code for scripts that pass `--exit-code` if nothing changed. `set -o pipefail` treats it as
/// a failure.
const UNCHANGED: u8 = 3;

/// Arguments of `inject`.
#[derive(Clone, PartialEq, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Arguments {
    /// Something else than injecting into files.
    #[command(subcommand)]
    pub instead: Option<Instead>,
    /// A file or a directory of manifests, - for standard input; may be said several times
    #[arg(short = 'f', long = "filename", value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// The injector's configuration
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The namespace of manifests that name none
    #[arg(short = 'n', long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// How the sidecar stands in the pod; classic is for Kubernetes below 1.29
    #[arg(long, value_name = "MODE", value_parser = mode)]
    pub mode: Option<Mode>,
    /// The image of the sidecar, instead of the configuration's
    #[arg(long, value_name = "IMAGE", conflicts_with = "uninject")]
    pub image: Option<String>,
    /// Mount the image as a volume for containers with copied output, instead of copying the binary.
    /// always needs Kubernetes 1.36 and containerd 2.1 or CRI-O 1.36 on all nodes
    #[arg(long, value_name = "WHEN", value_parser = image_volume, conflicts_with = "uninject")]
    pub image_volume: Option<ImageVolume>,
    /// End with exit code 3 when nothing changed
    #[arg(long)]
    pub exit_code: bool,
    /// Take the sidecar out again
    #[arg(long)]
    pub uninject: bool,
    /// Ask registries for ENTRYPOINT and CMD of images if their output is to be copied and the container
    /// names no command, and write them into the manifest
    #[arg(long, conflicts_with = "uninject")]
    pub resolve_entrypoints: bool,
    /// The platform to look up the image for
    #[arg(
        long,
        value_name = "OS/ARCHITECTURE",
        default_value = "linux/amd64",
        requires = "resolve_entrypoints"
    )]
    pub platform: String,
    /// The form of what comes out
    #[arg(short = 'o', long, value_name = "FORM", default_value = "yaml", value_parser = ["yaml", "json"])]
    pub output: String,
}

/// What `inject` can do besides.
#[derive(Clone, PartialEq, Debug, clap::Subcommand)]
pub enum Instead {
    /// Print a MutatingAdmissionPolicy that injects without a webhook (Kubernetes 1.36 and later)
    Policy(policy::Arguments),
}

fn mode(text: &str) -> Result<Mode, String> {
    let found = [Mode::Native, Mode::Classic].into_iter().find(|mode| mode.word() == text);
    found.ok_or_else(|| "native or classic is expected".to_owned())
}

fn image_volume(text: &str) -> Result<ImageVolume, String> {
    let found = [ImageVolume::Always, ImageVolume::Never].into_iter().find(|w| w.word() == text);
    found.ok_or_else(|| "always or never is expected".to_owned())
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> ExitCode {
    if let Some(Instead::Policy(arguments)) = &arguments.instead {
        return policy::run(arguments);
    }
    match injected(arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) if arguments.exit_code => ExitCode::from(UNCHANGED),
        Ok(false) => ExitCode::SUCCESS,
        Err(message) => {
            say(message.trim_end_matches('\n'));
            ExitCode::FAILURE
        }
    }
}

/// The result for one pod.
#[derive(Clone, PartialEq, Debug)]
enum Done {
    Injected,
    Removed,
    Unchanged,
    Skipped(&'static str),
}

/// Loads the configuration and applies the options of the command line, which hold in every
/// namespace.
fn effective_policy(arguments: &Arguments) -> Result<Policy, String> {
    let mut policy = policy::load(arguments.config.as_deref())?;
    if let Some(mode) = arguments.mode {
        policy.mode = mode;
        policy.namespaces.values_mut().for_each(|namespace| namespace.mode = None);
    }
    if let Some(image) = &arguments.image {
        policy.image =
            config::image(image).map_err(|refused| format!("error: --image: {refused}"))?;
    }
    if let Some(image_volume) = arguments.image_volume {
        policy.image_volume = image_volume;
    }
    Ok(policy)
}

/// Processes all files and writes the result. Returns whether anything changed.
fn injected(arguments: &Arguments) -> Result<bool, String> {
    let policy = effective_policy(arguments)?;
    let files = files::read(&arguments.files)?;
    let resolves = arguments.resolve_entrypoints;
    let mut entrypoints = resolves.then(|| Entrypoints::new(&arguments.platform)).transpose()?;
    let mut changed = false;
    let mut out = String::new();
    for (name, documents) in files {
        for mut document in documents {
            let found = workloads(&document.value);
            if let (true, Some(why)) = (found.is_empty(), passed_over(&document.value)) {
                let metadata = &document.value["metadata"];
                let kind = document.value["kind"].as_str().unwrap_or_default().to_lowercase();
                let object = metadata["name"].as_str().or(metadata["generateName"].as_str());
                let object = object.unwrap_or("(no name)");
                say(&format!("{name}:{}: {kind}/{object}: not injected: {why}", document.line));
            }
            for workload in found {
                let place = place(&name, document.line, &workload);
                let done = one(arguments, &policy, &mut document, &workload, entrypoints.as_mut());
                let (done, warnings) =
                    done.map_err(|message| format!("error: {place}: {message}"))?;
                for warning in warnings {
                    say(&format!("{place}: warning: {warning}"));
                }
                changed |= matches!(done, Done::Injected | Done::Removed);
                say(&format!("{place}: {done}"));
            }
            put(&mut out, &document, arguments.output == "json");
        }
    }
    output::write(&out)
        .map_err(|error| format!("error: the manifests cannot be written: {error}"))?;
    Ok(changed)
}

/// Describes a workload as in `web.yaml:12: deployment/web`.
fn place(file: &str, line: usize, workload: &Workload) -> String {
    let name = if workload.name.is_empty() { "(no name)" } else { &workload.name };
    format!("{file}:{line}: {}/{name}", workload.kind.to_lowercase())
}

fn put(out: &mut String, document: &Document, json: bool) {
    if json {
        out.push_str(&write::json(&document.value));
        return;
    }
    if !out.is_empty() {
        out.push_str("---\n");
    }
    out.push_str(&write::yaml(&document.value));
}

/// Processes one pod of a document.
fn one(
    arguments: &Arguments,
    policy: &Policy,
    document: &mut Document,
    workload: &Workload,
    entrypoints: Option<&mut Entrypoints>,
) -> Result<(Done, Vec<String>), String> {
    if arguments.uninject {
        let mut pod = pod::pod_of(&document.value, workload);
        if !uninject(&mut pod) {
            return Ok((Done::Unchanged, Vec::new()));
        }
        pod::put_back(&mut document.value, workload, pod)?;
        return Ok((Done::Removed, Vec::new()));
    }
    let name = match (workload.namespace.as_str(), &arguments.namespace) {
        ("", Some(given)) => given.clone(),
        (own, _) => own.to_owned(),
    };
    let namespace = Namespace { name, ..Namespace::default() };
    let mut pod = pod::pod_of(&document.value, workload);
    let mut warnings = Vec::new();
    let mut changed = false;
    if let Some(entrypoints) = entrypoints {
        changed |= entrypoints.write(&mut pod, &policy.within(&namespace.name), &mut warnings);
    }
    let Plan { patch, skipped, warnings: planned, .. } =
        plan_for(&pod, &namespace, policy, pod::owner(workload).as_ref());
    warnings.extend(planned);
    for operation in &patch {
        apply::apply(&mut pod, operation)?;
    }
    changed |= !patch.is_empty();
    if changed {
        pod::put_back(&mut document.value, workload, pod)?;
    }
    let done = match skipped {
        _ if changed => Done::Injected,
        Some(ALREADY_CONVERGED) | None => Done::Unchanged,
        Some(reason) => Done::Skipped(reason),
    };
    Ok((done, warnings))
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Done::Injected => f.write_str("injected"),
            Done::Removed => f.write_str("taken out"),
            Done::Unchanged => f.write_str("unchanged"),
            Done::Skipped(reason) => write!(f, "skipped: {reason}"),
        }
    }
}
