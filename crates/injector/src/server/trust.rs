//! Maintains the served certificate and the trust in it: reads the Secret or the files, performs
//! the rotation's steps on the leader, and repairs the caBundle of the webhook configuration, the
//! only field that it ever writes there. Every replica does this every few seconds. A replica that
//! writes too late is refused by the resourceVersion and reads again. Unit: one round.

use super::certificate::{Pair, believed, certificates, first, names, validity};
use super::lease::Leader;
use super::metrics::Metrics;
use super::readiness::Readiness;
use super::rotation::{self, Material, Moment};
use super::serving::Serving;
use super::settings::{Mode, TlsSettings};
use crate::kube;
use crate::kube::error::Error;
use crate::kube::{Client, Patch, base64};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use sidelight::clock::Clock;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// The field manager of the caBundle for server-side apply, so that fields of other managers stay
/// theirs.
const FIELD_MANAGER: &str = "sidelight-injector-ca";

/// Interval between two rounds while API servers do not trust the certificate.
const UNREADY: Duration = Duration::from_millis(500);

/// Bytes of a file of certificates or keys.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The state of the task.
#[derive(Debug)]
pub struct CertificateManager {
    /// The settings of the certificate and its trust.
    pub settings: TlsSettings,
    /// The client of the API server; `None` without a cluster, as on a laptop.
    pub client: Option<Arc<Client>>,
    /// The clock of validity and overlap.
    pub clock: Clock,
    /// The certificate for handshakes.
    pub serving: Arc<Serving>,
    /// Whether this replica creates certificates.
    pub leader: Arc<Leader>,
    /// The metrics of the injector.
    pub metrics: Arc<Metrics>,
    /// Where the task reports whether API servers trust the certificate.
    pub readiness: Arc<Readiness>,
    /// The published bundle, and since when it is published, monotonic.
    pub published: Option<(String, Duration)>,
    /// The last complete contents of the Secret, so that trust survives if somebody deletes it.
    pub last: Option<Material>,
}

/// One webhook of the webhook configuration.
struct Entry {
    /// Its index in the list.
    index: usize,
    /// The name under which the API server calls it.
    server: String,
    /// The certificate authorities with which the API server verifies it.
    bundle: String,
}

impl CertificateManager {
    /// Runs rounds until `stop` is set.
    pub async fn keep(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            self.round().await;
            // check more often while pods are admitted without the sidecar
            let ready = self.readiness.trust().is_ok();
            let wait = if ready { self.settings.every } else { self.settings.every.min(UNREADY) };
            tokio::select! {
                () = sleep(wait) => {}
                _ = stop.wait_for(|stopped| *stopped) => return,
            }
        }
    }

    /// Reads everything once and performs what is due.
    pub async fn round(&mut self) {
        let (pair, bundle) = match self.settings.mode {
            Mode::SelfManaged => self.secret().await,
            Mode::CertManager | Mode::Provided => self.files(),
        };
        if let Some(pair) = pair.as_ref().filter(|_| self.serving.chain().is_empty()) {
            self.serve(pair);
        }
        let Some(client) = self.client.clone() else {
            if let Some(pair) = &pair {
                self.serve(pair);
            }
            return self.told(self.served_now());
        };
        let entries = match self.entries(&client, bundle.as_deref()).await {
            Ok(entries) => entries,
            Err(error) => {
                self.failed("webhook_configuration", &error.to_string());
                self.published = None;
                // an API server that is briefly unavailable says nothing about what the others
                // trust
                if self.readiness.trust().is_err() || error.is_not_found() {
                    self.told(Err(error.to_string()));
                }
                return;
            }
        };
        self.note_published(&entries, bundle);
        if let Some(pair) = &pair {
            let new = self.trusted(&certificates(&pair.certificate), &entries);
            if new.is_ok() || self.trusted(&self.serving.chain(), &entries).is_err() {
                self.serve(pair);
            }
        }
        let trusted = self.trusted(&self.serving.chain(), &entries);
        self.told(trusted);
    }

    fn told(&self, trusted: Result<(), String>) {
        self.metrics.ca_bundle_matches.set(i64::from(trusted.is_ok()));
        if let Err(why) = &trusted {
            tracing::warn!(why, "API servers do not believe the certificate");
        } else if self.readiness.trust().is_err() {
            tracing::info!("ready: API servers believe the certificate");
        }
        self.readiness.set_trust(trusted);
    }

    fn failed(&self, reason: &str, said: &str) {
        self.metrics.certificate_failures.with_label_values(&[reason]).inc();
        tracing::warn!(reason, said, "certificate not looked after");
    }

    fn serve(&self, pair: &Pair) {
        match self.serving.swap(pair) {
            Ok(false) => {}
            Ok(true) => {
                let of = first(&pair.certificate).and_then(|der| validity(&der));
                let not_after = of.map_or(0, |of| of.not_after);
                self.metrics.cert_not_after.set(not_after as i64);
                self.metrics.cert_swaps.inc();
                tracing::info!(not_after, "certificate taken into service");
            }
            Err(why) => self.failed("files", &why),
        }
    }

    /// Checks that there is a certificate and that it has not expired; used without a webhook
    /// configuration.
    fn served_now(&self) -> Result<(), String> {
        let chain = self.serving.chain();
        let leaf = chain.first().ok_or("there is no serving certificate yet")?;
        let of = validity(leaf).ok_or("the serving certificate does not read")?;
        if of.left(self.clock.now()).is_zero() {
            return Err("the serving certificate is over".to_owned());
        }
        Ok(())
    }

    fn files(&self) -> (Option<Pair>, Option<String>) {
        let directory = &self.settings.directory;
        let read_pair = || -> Result<Pair, String> {
            let certificate = read(&directory.join("tls.crt"))?;
            Ok(Pair { certificate, key: read(&directory.join("tls.key"))? })
        };
        let pair = read_pair().map_err(|why| self.failed("files", &why)).ok();
        let publish = self.settings.mode == Mode::Provided && self.settings.publish;
        if !publish {
            return (pair, None);
        }
        let bundle = read(&directory.join("ca.crt")).map_err(|why| self.failed("files", &why)).ok();
        (pair, bundle.filter(|bundle| !certificates(bundle).is_empty()))
    }

    async fn secret(&mut self) -> (Option<Pair>, Option<String>) {
        let Some(client) = self.client.clone() else {
            self.failed("secret", "self-managed certificates need a cluster");
            return (None, None);
        };
        match self.material(&client).await {
            Ok(Some(material)) => {
                let bundle = material.bundle();
                (Some(material.leaf), Some(bundle))
            }
            Ok(None) => (None, None),
            Err(why) => {
                self.failed("secret", &why);
                (None, None)
            }
        }
    }

    /// Returns the contents of the Secret, after the leader's step if one is due.
    async fn material(&mut self, client: &Client) -> Result<Option<Material>, String> {
        let path = self.secrets() + "/" + &self.settings.secret;
        let secret = match client.get(&path).await {
            Ok(secret) => Some(secret),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error.to_string()),
        };
        let read = secret.as_ref().and_then(Material::read);
        let lost = read.is_none();
        let held = read.clone().or_else(|| self.last.clone());
        self.last.clone_from(&held);
        if !self.leader.leads() {
            return Ok(read);
        }
        let names = self.names();
        let moment = Moment {
            now: self.clock.now(),
            published: held.as_ref().and_then(|held| self.published_for(&held.bundle())),
            names: &names,
            lifetimes: self.settings.lifetimes,
        };
        let step = rotation::next(held.as_ref(), moment);
        let made = match (step, held) {
            (None, Some(held)) if lost => held,
            (None, held) => return Ok(held),
            (Some(step), held) => {
                let old = secret.as_ref().map(rotation::authorities).unwrap_or_default();
                rotation::take(step, held.as_ref(), &old, moment)
                    .map_err(|why| format!("{step:?}: {why}"))?
            }
        };
        match self.write(client, &path, secret, &made).await {
            Ok(()) => {
                tracing::info!(?step, lost, "certificates written");
                self.last = Some(made.clone());
                Ok(Some(made))
            }
            // another replica was faster; the next round reads what it wrote
            Err(error) if error.is_conflict() => Ok(read),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Writes the Secret with the resourceVersion that was read, so that a former leader is
    /// refused.
    async fn write(
        &self,
        client: &Client,
        path: &str,
        secret: Option<Value>,
        made: &Material,
    ) -> Result<(), Error> {
        match secret {
            Some(mut secret) => {
                // keep the chart's labels and everything else in the Secret
                if !secret["data"].is_object() {
                    secret["data"] = json!({});
                }
                for (name, value) in made.data().as_object().into_iter().flatten() {
                    secret["data"][name] = value.clone();
                }
                client.update(path, &secret).await.map(drop)
            }
            None => {
                let secret = json!({
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "type": "Opaque",
                    "metadata": {
                        "name": self.settings.secret,
                        "namespace": self.settings.namespace,
                        "labels": {"app.kubernetes.io/name": "sidelight-injector"},
                    },
                    "data": made.data(),
                });
                client.create(&self.secrets(), &secret).await.map(drop)
            }
        }
    }

    fn secrets(&self) -> String {
        kube::path(&["api", "v1", "namespaces", &self.settings.namespace, "secrets"])
    }

    fn names(&self) -> Vec<String> {
        let mut all = names(&self.settings.service, &self.settings.namespace);
        all.extend(self.settings.names.iter().cloned());
        all
    }

    fn published_for(&self, bundle: &str) -> Option<Duration> {
        let (published, since) = self.published.as_ref()?;
        (published == bundle).then(|| self.clock.monotonic().saturating_sub(*since))
    }

    fn note_published(&mut self, entries: &[Entry], bundle: Option<String>) {
        let all =
            |bundle: &String| !entries.is_empty() && entries.iter().all(|e| e.bundle == *bundle);
        let Some(bundle) = bundle.filter(all) else {
            self.published = None;
            return;
        };
        if self.published.as_ref().is_none_or(|(published, _)| *published != bundle) {
            self.published = Some((bundle, self.clock.monotonic()));
        }
    }

    /// Checks that the API server trusts this chain for every entry.
    fn trusted(&self, chain: &[CertificateDer<'static>], entries: &[Entry]) -> Result<(), String> {
        if entries.is_empty() {
            return Err(format!("`{}` has no webhooks", self.settings.configuration));
        }
        for entry in entries {
            let bundle = certificates(&entry.bundle);
            let system = self.settings.mode == Mode::Provided && !self.settings.publish;
            if entry.bundle.is_empty() && system {
                // without a bundle the API server uses its system's authorities, which are unknown
                // here
                continue;
            }
            believed(chain, &bundle, &entry.server, self.clock.now())
                .map_err(|why| format!("caBundle of webhook {}: {why}", entry.index))?;
        }
        Ok(())
    }

    /// Returns the entries of the webhook configuration, after the repair of their bundle if it is
    /// managed here.
    async fn entries(&self, client: &Client, bundle: Option<&str>) -> Result<Vec<Entry>, Error> {
        let path = format!(
            "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{}",
            self.settings.configuration
        );
        let configuration = client.get(&path).await?;
        let entries = self.read_entries(&configuration);
        let Some(bundle) = bundle else { return Ok(entries) };
        let strayed: Vec<usize> =
            entries.iter().filter(|e| e.bundle != bundle).map(|entry| entry.index).collect();
        if strayed.is_empty() {
            return Ok(entries);
        }
        // an index stays valid only as long as the list does not change
        let version = &configuration["metadata"]["resourceVersion"];
        let mut patch =
            vec![json!({"op": "test", "path": "/metadata/resourceVersion", "value": version})];
        let coded = base64::encode(bundle.as_bytes());
        patch.extend(strayed.iter().map(|index| {
            let path = format!("/webhooks/{index}/clientConfig/caBundle");
            json!({"op": "add", "path": path, "value": coded})
        }));
        let path = format!("{path}?fieldManager={FIELD_MANAGER}");
        match client.patch(&path, Patch::Json, &Value::Array(patch)).await {
            Ok(configuration) => {
                self.metrics.ca_bundle_writes.inc();
                tracing::info!(webhooks = strayed.len(), "caBundle written");
                Ok(self.read_entries(&configuration))
            }
            Err(error) if error.is_conflict() => Ok(entries),
            Err(error) => Err(error),
        }
    }

    fn read_entries(&self, configuration: &Value) -> Vec<Entry> {
        let webhooks = configuration["webhooks"].as_array().map(Vec::as_slice).unwrap_or_default();
        let entry = |(index, webhook): (usize, &Value)| {
            let client = &webhook["clientConfig"];
            let coded = client["caBundle"].as_str().unwrap_or_default();
            let bundle = base64::decode(coded).unwrap_or_default();
            let bundle = String::from_utf8_lossy(&bundle).into_owned();
            Entry { index, server: server(client, &self.settings), bundle }
        };
        webhooks.iter().enumerate().map(entry).collect()
    }
}

/// Returns the name under which an API server calls a webhook.
fn server(client: &Value, settings: &TlsSettings) -> String {
    if let Some(url) = client["url"].as_str() {
        let host = url.parse::<hyper::Uri>().ok().and_then(|url| url.host().map(str::to_owned));
        return host.unwrap_or_default().trim_matches(['[', ']']).to_owned();
    }
    let of = |name: &str, otherwise: &str| {
        client["service"][name].as_str().unwrap_or(otherwise).to_owned()
    };
    format!("{}.{}.svc", of("name", &settings.service), of("namespace", &settings.namespace))
}

fn read(path: &Path) -> Result<String, String> {
    let shown = |why: String| format!("{}: {why}", path.display());
    let size = std::fs::metadata(path).map_err(|error| shown(error.to_string()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(shown(format!("larger than {FILE_BYTES_MAX} bytes")));
    }
    std::fs::read_to_string(path).map_err(|error| shown(error.to_string()))
}
