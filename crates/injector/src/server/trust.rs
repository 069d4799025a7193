//! Maintains the served certificate and the trust in it: reads the Secret or the files, performs
//! the rotation's steps on the leader, and repairs the caBundle of the webhook configuration, the
//! only field that it ever writes there. Every replica does this every few seconds. A replica that
//! writes too late is refused by the resourceVersion and reads again. Unit: one round.

use super::certificate::{self, Pair, certificates, first, names, validity, verify};
use super::files::{self, FileError};
use super::lease::Leader;
use super::metrics::Metrics;
use super::readiness::Readiness;
use super::rotation::{self, Material, Moment};
use super::serving::Serving;
use super::settings::{Mode, TlsSettings};
use crate::apiserver::client::{Client, call};
use crate::apiserver::error::Error as ApiError;
use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, PatchOperation, TestOperation};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use rustls::pki_types::CertificateDer;
use sidelight::clock::Clock;
use std::fmt;
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
    pub client: Option<Client>,
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

/// Why the certificate or the trust in it is not as it should be.
#[derive(Debug)]
enum Error {
    /// The API server refuses, or does not answer.
    Api(ApiError),
    /// A certificate cannot be created, read or verified.
    Certificate(certificate::Error),
    /// A file of a certificate cannot be read.
    File(FileError),
    /// Self-managed certificates are stored in a cluster, and there is none.
    NoCluster,
    /// The webhook configuration of this name has no webhooks.
    NoWebhooks(String),
    /// An API server that calls the webhook with this index rejects the certificate.
    Bundle(usize, certificate::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Api(error) => write!(f, "{error}"),
            Error::Certificate(error) => write!(f, "{error}"),
            Error::File(error) => write!(f, "{error}"),
            Error::NoCluster => f.write_str("self-managed certificates need a cluster"),
            Error::NoWebhooks(name) => write!(f, "`{name}` has no webhooks"),
            Error::Bundle(index, error) => write!(f, "caBundle of webhook {index}: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Api(error) => Some(error),
            Error::Certificate(error) | Error::Bundle(_, error) => Some(error),
            Error::File(error) => Some(error),
            Error::NoCluster | Error::NoWebhooks(_) => None,
        }
    }
}

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Error {
        Error::Api(error)
    }
}

/// One webhook of the webhook configuration.
struct WebhookEntry {
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
            let ready = self.readiness.distrust().is_none();
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
            return self.report(self.check_served());
        };
        let entries = match self.entries(&client, bundle.as_deref()).await {
            Ok(entries) => entries,
            Err(error) => {
                self.count_failure("webhook_configuration", &error);
                self.published = None;
                // an API server that is briefly unavailable says nothing about what the others
                // trust
                if self.readiness.distrust().is_some() || error.is_not_found() {
                    self.report(Err(error.into()));
                }
                return;
            }
        };
        self.note_published(&entries, bundle);
        if let Some(pair) = &pair {
            let new = self.check_trust(&certificates(&pair.certificate), &entries);
            if new.is_ok() || self.check_trust(&self.serving.chain(), &entries).is_err() {
                self.serve(pair);
            }
        }
        let trust = self.check_trust(&self.serving.chain(), &entries);
        self.report(trust);
    }

    /// Publishes whether API servers trust the served certificate.
    fn report(&self, trust: Result<(), Error>) {
        self.metrics.ca_bundle_matches.set(i64::from(trust.is_ok()));
        if let Err(why) = &trust {
            tracing::warn!(%why, "API servers do not trust the certificate");
        } else if self.readiness.distrust().is_some() {
            tracing::info!("ready: API servers trust the certificate");
        }
        self.readiness.set_distrust(trust.err().map(|why| why.to_string()));
    }

    fn count_failure(&self, reason: &str, error: &dyn std::error::Error) {
        self.metrics.certificate_failures.with_label_values(&[reason]).inc();
        tracing::warn!(reason, %error, "the certificate or the trust in it is not maintained");
    }

    fn serve(&self, pair: &Pair) {
        match self.serving.swap(pair) {
            Ok(false) => {}
            Ok(true) => {
                let of = first(&pair.certificate).and_then(|der| validity(&der));
                let not_after = of.map_or(0, |of| of.not_after);
                self.metrics.cert_not_after.set(not_after as i64);
                self.metrics.cert_swaps.inc();
                tracing::info!(not_after, "another certificate is served");
            }
            Err(error) => self.count_failure("files", &error),
        }
    }

    /// Checks that there is a certificate and that it has not expired; used without a webhook
    /// configuration.
    fn check_served(&self) -> Result<(), Error> {
        let chain = self.serving.chain();
        let leaf = chain.first().ok_or(certificate::Error::Missing).map_err(Error::Certificate)?;
        let unreadable = certificate::Error::NotX509("the serving certificate");
        let of = validity(leaf).ok_or(unreadable).map_err(Error::Certificate)?;
        if of.left(self.clock.now()).is_zero() {
            return Err(Error::Certificate(certificate::Error::Expired));
        }
        Ok(())
    }

    /// Reads the certificate and, if it is published, the bundle from files.
    fn files(&self) -> (Option<Pair>, Option<String>) {
        let file = |name: &str| files::read(&self.settings.directory.join(name), FILE_BYTES_MAX);
        let read_pair =
            || Ok::<_, FileError>(Pair { certificate: file("tls.crt")?, key: file("tls.key")? });
        let count = |error| self.count_failure("files", &Error::File(error));
        let pair = read_pair().map_err(count).ok();
        if self.settings.mode != Mode::Provided || !self.settings.publish {
            return (pair, None);
        }
        let bundle = file("ca.crt").map_err(count).ok();
        (pair, bundle.filter(|bundle| !certificates(bundle).is_empty()))
    }

    async fn secret(&mut self) -> (Option<Pair>, Option<String>) {
        let material = match self.client.clone() {
            Some(client) => self.material(&client).await,
            None => Err(Error::NoCluster),
        };
        match material {
            Ok(Some(material)) => {
                let bundle = material.bundle();
                (Some(material.leaf), Some(bundle))
            }
            Ok(None) => (None, None),
            Err(error) => {
                self.count_failure("secret", &error);
                (None, None)
            }
        }
    }

    /// Returns the contents of the Secret, after the leader's step if one is due.
    async fn material(&mut self, client: &Client) -> Result<Option<Material>, Error> {
        let secrets: Api<Secret> = client.namespaced(&self.settings.namespace)?;
        let secret = call("get the Secret", secrets.get_opt(&self.settings.secret)).await?;
        let read = secret.as_ref().and_then(Material::read);
        let lost = read.is_none();
        let held = read.clone().or_else(|| self.last.clone());
        self.last.clone_from(&held);
        if !self.leader.leads() {
            return Ok(read);
        }
        let Some(created) = self.step(secret.as_ref(), held.as_ref(), lost)? else {
            return Ok(held);
        };
        match self.write(&secrets, secret, &created).await {
            Ok(()) => {
                tracing::info!(lost, "certificates written");
                self.last = Some(created.clone());
                Ok(Some(created))
            }
            // another replica was faster; the next round reads what it wrote
            Err(error) if error.is_conflict() => Ok(read),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the contents that the Secret should have: after the step that is due, or as they were
    /// before they were lost. `None` if the Secret is as it should be.
    fn step(
        &self,
        secret: Option<&Secret>,
        held: Option<&Material>,
        lost: bool,
    ) -> Result<Option<Material>, Error> {
        let names = self.names();
        let moment = Moment {
            now: self.clock.now(),
            published: held.and_then(|held| self.published_for(&held.bundle())),
            names: &names,
            lifetimes: self.settings.lifetimes,
        };
        let Some(step) = rotation::next(held, moment) else {
            return Ok(held.filter(|_| lost).cloned());
        };
        tracing::info!(?step, "a step of the rotation of certificates is due");
        let old = secret.map(rotation::authorities).unwrap_or_default();
        let created = rotation::take(step, held, &old, moment).map_err(Error::Certificate)?;
        Ok(Some(created))
    }

    /// Writes the Secret with the resourceVersion that was read, so that a former leader is
    /// refused.
    async fn write(
        &self,
        secrets: &Api<Secret>,
        secret: Option<Secret>,
        created: &Material,
    ) -> Result<(), ApiError> {
        let params = PostParams::default();
        if let Some(mut secret) = secret {
            // keep the chart's labels and everything else in the Secret
            secret.data.get_or_insert_default().extend(created.data());
            let name = &self.settings.secret;
            return call("write the Secret", secrets.replace(name, &params, &secret))
                .await
                .map(drop);
        }
        let label = ("app.kubernetes.io/name".to_owned(), "sidelight-injector".to_owned());
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(self.settings.secret.clone()),
                namespace: Some(self.settings.namespace.clone()),
                labels: Some([label].into()),
                ..ObjectMeta::default()
            },
            type_: Some("Opaque".to_owned()),
            data: Some(created.data()),
            ..Secret::default()
        };
        call("create the Secret", secrets.create(&params, &secret)).await.map(drop)
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

    fn note_published(&mut self, entries: &[WebhookEntry], bundle: Option<String>) {
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
    fn check_trust(
        &self,
        chain: &[CertificateDer<'static>],
        entries: &[WebhookEntry],
    ) -> Result<(), Error> {
        if entries.is_empty() {
            return Err(Error::NoWebhooks(self.settings.configuration.clone()));
        }
        for entry in entries {
            let bundle = certificates(&entry.bundle);
            let system = self.settings.mode == Mode::Provided && !self.settings.publish;
            if entry.bundle.is_empty() && system {
                // without a bundle the API server uses its system's authorities, which are unknown
                // here
                continue;
            }
            verify(chain, &bundle, &entry.server, self.clock.now())
                .map_err(|why| Error::Bundle(entry.index, why))?;
        }
        Ok(())
    }

    /// Returns the entries of the webhook configuration, after the repair of their bundle if it is
    /// managed here.
    async fn entries(
        &self,
        client: &Client,
        bundle: Option<&str>,
    ) -> Result<Vec<WebhookEntry>, ApiError> {
        let configurations: Api<MutatingWebhookConfiguration> = client.all();
        let name = &self.settings.configuration;
        let read = call("get the webhook configuration", configurations.get(name)).await?;
        let entries = self.read_entries(&read);
        let Some(bundle) = bundle else { return Ok(entries) };
        let changed: Vec<usize> =
            entries.iter().filter(|e| e.bundle != bundle).map(|entry| entry.index).collect();
        if changed.is_empty() {
            return Ok(entries);
        }
        let patch = Patch::Json::<()>(repair(&read, &changed, bundle));
        let params =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let written = configurations.patch(name, &params, &patch);
        match call("write the caBundle", written).await {
            Ok(configuration) => {
                self.metrics.ca_bundle_writes.inc();
                tracing::info!(webhooks = changed.len(), "caBundle written");
                Ok(self.read_entries(&configuration))
            }
            Err(error) if error.is_conflict() => Ok(entries),
            Err(error) => Err(error),
        }
    }

    fn read_entries(&self, configuration: &MutatingWebhookConfiguration) -> Vec<WebhookEntry> {
        let webhooks = configuration.webhooks.as_deref().unwrap_or_default();
        let entries = webhooks.iter().enumerate().map(|(index, webhook)| {
            let client = &webhook.client_config;
            let bundle = client.ca_bundle.as_ref().map(|bundle| bundle.0.as_slice());
            let bundle = String::from_utf8_lossy(bundle.unwrap_or_default()).into_owned();
            WebhookEntry { index, server: server_name(client, &self.settings), bundle }
        });
        entries.collect()
    }
}

/// Returns the patch that replaces the caBundle of these webhooks. It applies only to the version
/// that was read, because an index is valid only as long as the list does not change.
fn repair(
    read: &MutatingWebhookConfiguration,
    webhooks: &[usize],
    bundle: &str,
) -> json_patch::Patch {
    let version = read.metadata.resource_version.clone().unwrap_or_default();
    let test = PatchOperation::Test(TestOperation {
        path: PointerBuf::from_tokens(["metadata", "resourceVersion"]),
        value: version.into(),
    });
    // the type encodes itself as Base64, and cannot fail
    let coded = serde_json::to_value(ByteString(bundle.as_bytes().to_vec())).unwrap_or_default();
    let add = |index: &usize| {
        let index = index.to_string();
        let path = PointerBuf::from_tokens(["webhooks", &index, "clientConfig", "caBundle"]);
        PatchOperation::Add(AddOperation { path, value: coded.clone() })
    };
    json_patch::Patch([test].into_iter().chain(webhooks.iter().map(add)).collect())
}

/// Returns the name under which an API server calls a webhook.
fn server_name(client: &WebhookClientConfig, settings: &TlsSettings) -> String {
    if let Some(url) = &client.url {
        let host = url.parse::<hyper::Uri>().ok().and_then(|url| url.host().map(str::to_owned));
        return host.unwrap_or_default().trim_matches(['[', ']']).to_owned();
    }
    let (name, namespace) = match &client.service {
        Some(service) => (service.name.as_str(), service.namespace.as_str()),
        None => (settings.service.as_str(), settings.namespace.as_str()),
    };
    format!("{name}.{namespace}.svc")
}
