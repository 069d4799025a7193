//! Builds the plan of one pod: which containers get the socket, where the sidecar is inserted, and
//! which warnings and reasons are reported. Unit: one pod.

use super::mounts::{self, Command, Copier};
use super::names::{self, reason};
use super::options::{PodOptions, Tee};
use super::origin::{Namespace, Owner};
use super::plan::{LeftOut, Plan};
use super::pod::{self, Container, Pod};
use super::policy::{ImageVolume, Mode, Policy};
use super::status::{Names, Status};
use super::{identity, mesh, patch, resources, sidecar};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Bytes of keys and values of all annotations of one object (`TotalAnnotationSizeLimitB` of
/// Kubernetes).
const ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;

/// A plan under construction.
pub(super) struct PlanBuilder<'d> {
    pub(super) pod: &'d Pod<'d>,
    pub(super) namespace: &'d Namespace,
    pub(super) policy: &'d Policy,
    pub(super) options: PodOptions,
    pub(super) plan: Plan,
    pub(super) status: Status,
}

impl<'d> PlanBuilder<'d> {
    /// Plans for a pod without a sidecar.
    pub(super) fn first(mut self, owner: Option<&Owner>) -> Plan {
        // the volumes that a copied annotation names may exist nevertheless
        let named = |volume: &&str| self.pod.has_volume(volume);
        let volumes: Vec<String> = self
            .status
            .names(Names::Volumes)
            .into_iter()
            .filter(named)
            .map(str::to_owned)
            .collect();
        self.status = Status::default();
        let connected = self.connected();
        if connected.is_empty() {
            let has_none = self.plan.left_out.is_empty();
            let reason = if has_none { reason::NO_CONTAINER } else { reason::CONFLICT };
            return Plan { warnings: self.plan.warnings, ..Plan::skip(reason) };
        }
        let port = self.port();
        let catches = mesh::catches(self.pod, port);
        let front = self.front();
        let commands = self.commands(&connected, front);
        let copier = if commands.iter().all(|(_, command)| *command == Command::Unknown) {
            Copier::Absent
        } else if self.policy.image_volume == ImageVolume::Always {
            Copier::Mounted
        } else {
            Copier::Installed
        };
        self.explain(port, catches);
        self.begin_status(port, &volumes);
        self.volumes(copier);
        self.connect(&connected, &commands, copier);
        self.wrap(&commands, copier);
        let owners = identity::owners(self.pod, owner);
        let resources = resources::of(self.pod, &self.options.resources, mesh::owns);
        let install = copier == Copier::Installed;
        let shape = sidecar::Shape { port, resources, reachable: !catches, install };
        self.sidecar(&owners, &shape, front);
        self.pull_secrets(owner.is_some());
        let endpoint = self.policy.otlp.endpoint.as_deref();
        self.annotate(port, endpoint.and_then(mesh::collector_port));
        self.fitting()
    }

    /// Returns the plan if the API server's limit on annotations allows it, and an empty plan
    /// otherwise.
    fn fitting(self) -> Plan {
        let added: usize = self.plan.patch.iter().map(|operation| self.more(operation)).sum();
        let bytes = self.pod.annotation_bytes() + added;
        if bytes <= ANNOTATIONS_BYTES_MAX {
            return self.plan;
        }
        let mut plan = Plan::skip(reason::ANNOTATIONS);
        plan.warnings.push(format!(
            "left alone by sidelight: with its annotations the pod would have {bytes} bytes of them, and \
             {ANNOTATIONS_BYTES_MAX} are allowed"
        ));
        plan
    }

    /// Returns the bytes that an operation adds to the annotations.
    fn more(&self, operation: &patch::Operation) -> usize {
        let members = |value: &Value| -> usize {
            let map = value.as_object().into_iter().flatten();
            map.map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum()
        };
        match operation.path.strip_prefix("/metadata") {
            Some("") => members(&operation.value["annotations"]),
            Some("/annotations") => members(&operation.value),
            Some(path) => path.strip_prefix("/annotations/").map_or(0, |key| {
                let key = key.replace("~1", "/").replace("~0", "~");
                let before = self.pod.annotation(&key).map(|value| key.len() + value.len());
                let after = key.len() + operation.value.as_str().map_or(0, str::len);
                after.saturating_sub(before.unwrap_or(0))
            }),
            None => 0,
        }
    }

    /// Plans for a pod with a sidecar: containers that were added since get what they lack.
    pub(super) fn again(mut self, sidecar: &Container<'_>) -> Plan {
        self.options.mode = if sidecar.is_init { Mode::Native } else { Mode::Classic };
        let port = mesh::port_of(sidecar).unwrap_or(self.options.port);
        let connected = self.connected();
        let copier = self.copier_of(sidecar);
        let installer = self.pod.container(names::INSTALL_CONTAINER).unwrap_or(sidecar);
        let front = if installer.is_init { installer.index } else { 0 };
        let commands = match copier {
            Copier::Absent => Vec::new(),
            Copier::Installed | Copier::Mounted => self.commands(&connected, front),
        };
        self.connect(&connected, &commands, copier);
        self.wrap(&commands, copier);
        if sidecar.is_init && !sidecar.is_native_sidecar() {
            // a webhook that decoded the pod without knowing the field has dropped it, and without
            // it the pod would never start
            let path = format!("{}/restartPolicy", sidecar.path());
            patch::add(&mut self.plan.patch, path, json!("Always"));
        }
        let endpoint = sidecar.variable("OTEL_EXPORTER_OTLP_ENDPOINT");
        let endpoint = endpoint.and_then(|variable| variable.get("value")?.as_str());
        self.annotate(port, endpoint.and_then(mesh::collector_port));
        if self.plan.patch.is_empty() {
            return Plan::skip(reason::ALREADY_CONVERGED);
        }
        self.fitting()
    }

    /// Returns where the copier is in a pod with a sidecar.
    fn copier_of(&self, sidecar: &Container<'_>) -> Copier {
        let is_installed = sidecar.variable(names::INSTALL_VARIABLE).is_some()
            || self.pod.container(names::INSTALL_CONTAINER).is_some();
        if is_installed {
            Copier::Installed
        } else if self.pod.has_volume(names::IMAGE_VOLUME) {
            Copier::Mounted
        } else {
            Copier::Absent
        }
    }

    /// Returns the containers that get the socket, and records those that should get it and cannot.
    fn connected(&mut self) -> Vec<Container<'d>> {
        let pod: &'d Pod<'d> = self.pod;
        let mut connected = Vec::new();
        for container in &pod.containers {
            let ours = [names::CONTAINER, names::INSTALL_CONTAINER].contains(&container.name);
            let wanted = match &self.options.containers {
                Some(names) => names.contains(container.name),
                // a mesh's webhook compares its containers with those that it created
                None => !mesh::owns(container.name),
            };
            if ours || !wanted {
                continue;
            }
            match mounts::obstacle(pod, container) {
                None => connected.push(container.clone()),
                Some(reason) => {
                    let name = container.name;
                    self.note(&format!(
                        "container {name}: its own mount is at {}",
                        names::RUN_PATH
                    ));
                    self.plan.warnings.push(format!(
                        "container `{name}` gets no log socket: one of its mounts is in the way of {}",
                        names::RUN_PATH
                    ));
                    self.plan.left_out.push(LeftOut { container: name.to_owned(), reason });
                }
            }
        }
        connected
    }

    /// Returns the requested port, or the next one that no container uses.
    fn port(&mut self) -> u16 {
        let declared: BTreeSet<u64> = self
            .pod
            .containers
            .iter()
            .flat_map(|container| container.list("ports"))
            .flat_map(|port| [port.get("containerPort"), port.get("hostPort")])
            .filter_map(|number| number?.as_u64())
            .collect();
        let wanted = self.options.port;
        let mut candidates = (wanted..=u16::MAX).chain((1024..wanted).rev());
        let port = candidates.find(|port| !declared.contains(&u64::from(*port))).unwrap_or(wanted);
        if port != wanted {
            self.note(&format!("port {wanted} is the pod's own: {port}"));
        }
        port
    }

    /// Returns the index at which our init container is inserted: after those of a mesh, which
    /// therefore outlive it.
    fn front(&self) -> usize {
        let of_mesh = |c: &&Container<'_>| c.is_init && mesh::owns(c.name);
        self.pod.containers.iter().filter(of_mesh).map(|c| c.index + 1).max().unwrap_or(0)
    }

    /// Returns the commands of the containers with copied output. Containers that run before init
    /// container `front` cannot have the binary.
    fn commands(
        &mut self,
        connected: &[Container<'d>],
        front: usize,
    ) -> Vec<(Container<'d>, Command)> {
        let mut found = Vec::new();
        for container in connected {
            let is_wanted = match &self.options.tee {
                Tee::Nobody => false,
                Tee::Everybody => !container.is_init,
                Tee::Named(names) => names.contains(container.name),
            };
            if is_wanted && container.is_init && container.index < front {
                self.uncopied(
                    container.name,
                    reason::STARTS_EARLIER,
                    "it starts before the sidecar",
                );
            } else if is_wanted {
                found.push((container.clone(), mounts::command(container, self.policy)));
            }
        }
        if let Tee::Named(names) = self.options.tee.clone() {
            let connected = connected.iter().map(|container| container.name);
            let left_out = self.plan.left_out.iter().map(|left_out| left_out.container.as_str());
            let known: BTreeSet<&str> = connected.chain(left_out).collect();
            let missing = names.into_iter().filter(|name| !known.contains(name.as_str()));
            let missing: Vec<String> = missing.collect();
            for name in missing {
                let message = format!("there is no container `{name}` with a log socket");
                self.plan.warnings.push(format!("annotation {}tee: {message}", names::CONFIG));
            }
        }
        found
    }

    /// Adds warnings about problems that people would otherwise notice late.
    fn explain(&mut self, port: u16, catches: bool) {
        if catches {
            let message = "no liveness probe: the mesh's redirection does not leave out port";
            self.note(&format!("{message} {port}"));
        }
        let defaults = self.policy.defaults.as_deref().map_or(0, str::len);
        if defaults > sidecar::DEFAULTS_BYTES_MAX {
            let most = sidecar::DEFAULTS_BYTES_MAX;
            let message = "the cluster's defaults are larger than a variable can be";
            self.plan.warnings.push(format!("{message} ({defaults} of {most} bytes): left out"));
        }
        let metrics = &self.options.metrics;
        if metrics.prefix.is_none() && metrics.groups_off.is_empty() && has_metrics(self.pod) {
            self.plan.warnings.push(format!(
                "the pod exposes metrics already: sidelight's may have the same names; see \
                 {0}metrics-prefix and {0}metrics-groups-off",
                names::CONFIG
            ));
        }
    }

    fn begin_status(&mut self, port: u16, volumes: &[String]) {
        let notes: Vec<String> =
            self.status.names(Names::Notes).into_iter().map(str::to_owned).collect();
        self.status = Status::default();
        self.status.set("rev", self.policy.revision.as_str());
        self.status.set("version", env!("CARGO_PKG_VERSION"));
        self.status.set("mode", self.options.mode.word());
        self.status.set("port", port);
        self.status.set("configHash", self.policy.hash());
        for note in notes {
            self.status.name(Names::Notes, &note);
        }
        for volume in volumes {
            self.status.name(Names::Volumes, volume);
        }
    }

    fn volumes(&mut self, copier: Copier) {
        let volumes = sidecar::volumes(self.pod, self.policy, &self.options, copier);
        for volume in &volumes {
            self.status.name(Names::Volumes, volume["name"].as_str().unwrap_or_default());
        }
        patch::append(&mut self.plan.patch, (self.pod.spec, "/spec"), "volumes", volumes);
    }

    /// Adds the mounts and variables to the containers.
    fn connect(
        &mut self,
        connected: &[Container<'_>],
        commands: &[(Container<'_>, Command)],
        copier: Copier,
    ) {
        let copied: BTreeSet<&str> = commands
            .iter()
            .filter(|(_, command)| matches!(command, Command::Own(_) | Command::Known(_)))
            .map(|(container, _)| container.name)
            .collect();
        for container in connected {
            let needs_image = copier == Copier::Mounted && copied.contains(container.name);
            for kept in mounts::connect(&mut self.plan.patch, container, needs_image) {
                self.status.name(kept, container.name);
            }
        }
    }

    /// Wraps the commands, and records those that cannot be wrapped.
    fn wrap(&mut self, commands: &[(Container<'_>, Command)], copier: Copier) {
        let in_place = self.options.in_place;
        for (container, command) in commands {
            let is_known = matches!(command, Command::Known(_));
            match command {
                Command::Own(command) | Command::Known(command) if copier != Copier::Absent => {
                    let patch = &mut self.plan.patch;
                    mounts::wrap(patch, container, copier, in_place, command.clone());
                    self.status.name(Names::Tee, container.name);
                    if is_known {
                        self.status.name(Names::Entrypoints, container.name);
                    }
                }
                Command::Wrapped | Command::Own(_) | Command::Known(_) => {}
                Command::Unknown => self.uncopied(
                    container.name,
                    reason::NO_COMMAND,
                    "it has no `command`; write it, run `sidelight inject --resolve-entrypoints`, or \
                     map its image in the injector's `entrypoints`",
                ),
            }
        }
    }

    /// Records that a container's output is not copied, and why.
    fn uncopied(&mut self, container: &str, reason: &'static str, why: &str) {
        self.note(&format!("container {container}: {reason}, its output is not copied"));
        self.plan
            .warnings
            .push(format!("the output of container `{container}` is not copied: {why}"));
        self.plan.left_out.push(LeftOut { container: container.to_owned(), reason });
    }

    /// Inserts the sidecar so that it starts before and ends after the containers that send it
    /// lines.
    fn sidecar(&mut self, owners: &[Owner], shape: &sidecar::Shape, front: usize) {
        let container = sidecar::container(self.pod, owners, self.policy, &self.options, shape);
        let spec = (self.pod.spec, "/spec");
        let patch = &mut self.plan.patch;
        match self.options.mode {
            Mode::Native => {
                patch::insert(patch, spec, "initContainers", front, container);
                self.status.name(Names::InitContainers, names::CONTAINER);
            }
            Mode::Classic => {
                if shape.install {
                    let installer =
                        sidecar::installer(self.policy, &self.options, &shape.resources);
                    patch::insert(patch, spec, "initContainers", front, installer);
                    self.status.name(Names::InitContainers, names::INSTALL_CONTAINER);
                }
                // kubelet starts containers one after the other: the socket then exists for their
                // first lines
                patch::insert(patch, spec, "containers", 0, container);
                self.status.name(Names::Containers, names::CONTAINER);
            }
        }
    }

    /// Adds the pull secrets of the image. The API server adds those of the service account only to
    /// pods without any: they are in a pod already, but not in a template.
    fn pull_secrets(&mut self, is_template: bool) {
        let none = pod::list_of(self.pod.spec, "imagePullSecrets").is_empty();
        if is_template && none && !self.policy.image_pull_secrets.is_empty() {
            self.plan.warnings.push(
                "imagePullSecrets of the service account no longer reach the pod: name them here, too"
                    .to_owned(),
            );
        }
        let mut secrets = Vec::new();
        for name in &self.policy.image_pull_secrets {
            if !pod::has_named(self.pod.spec, "imagePullSecrets", name) {
                secrets.push(json!({"name": name}));
                self.status.name(Names::ImagePullSecrets, name);
            }
        }
        patch::append(&mut self.plan.patch, (self.pod.spec, "/spec"), "imagePullSecrets", secrets);
    }

    /// Sets labels and annotations, including the status of everything that was added.
    fn annotate(&mut self, port: u16, collector: Option<u16>) {
        let mut annotations = Map::new();
        let mut entries = mesh::entries(self.pod, self.namespace, self.policy, port, collector);
        entries.extend(mesh::evictable(self.pod, names::RUN_VOLUME));
        if self.options.mode == Mode::Classic
            && self.pod.annotation(names::DEFAULT_CONTAINER).is_none()
        {
            let is_application = |c: &&Container<'_>| {
                !c.is_init && c.name != names::CONTAINER && !mesh::owns(c.name)
            };
            entries.extend(self.pod.containers.iter().find(is_application).map(|first| {
                mesh::ListEntry {
                    key: names::DEFAULT_CONTAINER,
                    added: first.name.to_owned(),
                    list: first.name.to_owned(),
                }
            }));
        }
        for entry in entries {
            self.status.entry(&entry);
            annotations.insert(entry.key.to_owned(), json!(entry.list));
        }
        let mut labels = Map::new();
        if self.pod.label(names::INJECTED_LABEL) != Some("true") {
            labels.insert(names::INJECTED_LABEL.to_owned(), json!("true"));
        }
        if !self.plan.patch.is_empty() || !annotations.is_empty() || !labels.is_empty() {
            annotations.insert(names::STATUS.to_owned(), json!(self.status.text()));
        }
        let entries = vec![("labels", labels), ("annotations", annotations)];
        patch::members(&mut self.plan.patch, self.pod.metadata(), entries);
    }

    fn note(&mut self, note: &str) {
        self.status.name(Names::Notes, note);
    }
}

/// Returns whether the pod already advertises metrics.
fn has_metrics(pod: &Pod<'_>) -> bool {
    let named = |port: &Value| {
        let name = port.get("name").and_then(Value::as_str);
        name.is_some_and(|name| ["metrics", "prometheus", "http-metrics"].contains(&name))
    };
    pod.annotation("prometheus.io/scrape") == Some("true")
        || pod.containers.iter().any(|container| container.list("ports").iter().any(named))
}
