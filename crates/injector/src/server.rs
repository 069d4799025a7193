//! The admission webhook around `inject`: TLS, certificates, reviews, and the duties of the leader.
//! The answer is "allowed" whatever fails: injection never prevents the admission of a pod. There
//! are two threads: the webhook thread, which makes no request of any kind, and the keeper thread,
//! which runs everything that may wait for an API server. Unit: one process.

pub mod admin;
pub mod certificate;
pub mod cluster;
mod cost;
pub mod error;
pub mod events;
pub mod files;
pub mod lease;
pub mod log;
pub mod metrics;
pub mod missing;
pub mod readiness;
pub mod reload;
pub mod review;
pub mod rotation;
pub mod serving;
pub mod settings;
pub mod trust;
pub mod webhook;

use crate::apiserver::access::Access;
use crate::apiserver::client::Client;
use crate::inject::policy::Policy;
use admin::Admin;
use cluster::Cluster;
use error::Error;
use events::{Event, Events};
use lease::{Leader, Named};
use metrics::Metrics;
use missing::Counting;
use readiness::Readiness;
use reload::Reload;
use serving::Serving;
use settings::TlsSettings;
use sidelight::clock::Clock;
use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use trust::CertificateManager;
use webhook::{Hook, Leaving};

/// How often the webhook thread reports that it is alive.
const ROUND: Duration = Duration::from_secs(1);

/// How long the keeper thread may take to release the lease after the webhook's port closed.
const KEEPER_CLOSING_MAX: Duration = Duration::from_secs(3);

/// Everything that the injector runs with; the listeners are bound already.
#[derive(Debug)]
pub struct ServerSetup {
    /// The clock of all tasks.
    pub clock: Clock,
    /// The metrics of the injector.
    pub metrics: Arc<Metrics>,
    /// The listener of the webhook, in non-blocking mode.
    pub listener: TcpListener,
    /// The listener of the admin port, in non-blocking mode.
    pub admin: TcpListener,
    /// How to reach the API server; `None` without a cluster.
    pub access: Option<Access>,
    /// How the certificate is managed.
    pub tls: TlsSettings,
    /// The lease for which the replicas compete.
    pub lease: Named,
    /// Whether Events are written.
    pub events: bool,
    /// The initial policy.
    pub policy: Policy,
    /// The source of later policies.
    pub reload: Reload,
    /// Which pods are counted, and how often; zero disables the count.
    pub counting: Counting,
    /// How long the webhook lingers and drains when it stops.
    pub leaving: Leaving,
}

/// The running threads.
#[derive(Debug)]
pub struct Running {
    readiness: Arc<Readiness>,
    stop: watch::Sender<bool>,
    closed: watch::Sender<bool>,
    webhook: JoinHandle<()>,
    keeper: JoinHandle<()>,
}

/// State that the tasks share.
struct Shared {
    clock: Clock,
    metrics: Arc<Metrics>,
    client: Option<Client>,
    cluster: Arc<Cluster>,
    hook: Arc<Hook>,
    leader: Arc<Leader>,
    readiness: Arc<Readiness>,
    serving: Arc<Serving>,
}

impl ServerSetup {
    /// Starts all threads and tasks.
    ///
    /// # Errors
    /// Fails if there are no credentials for the API server, if the kernel refuses a thread or a
    /// runtime, or if a listener cannot be registered.
    pub fn spawn(self) -> Result<Running, Error> {
        let (keepers, admin) = runtime(self.admin)?;
        let client = {
            // its connections belong to the runtime that never answers a review
            let _inside = keepers.enter();
            self.access.map(|access| access.client()).transpose()?
        };
        let (events, queue) = match client.as_ref().filter(|_| self.events) {
            Some(_) => Some(Events::queue(&self.metrics)).unzip(),
            None => (None, None),
        };
        let cluster = Arc::new(Cluster::default());
        let (clock, metrics) = (self.clock.clone(), Arc::clone(&self.metrics));
        let hook = Hook::new(clock, metrics, Arc::clone(&cluster), events, self.policy);
        let shared = Shared {
            leader: Arc::new(Leader::new(self.clock.clone())),
            readiness: Arc::new(Readiness::new(self.clock.clone())),
            serving: Arc::new(Serving::default()),
            hook: Arc::new(hook),
            clock: self.clock,
            metrics: self.metrics,
            client,
            cluster,
        };
        let (stop, stopped) = watch::channel(false);
        let (closed, closing) = watch::channel(false);
        let webhook = shared.webhook(self.listener, self.leaving, stopped)?;
        let mut tasks = JoinSet::new();
        let inside = keepers.enter();
        tasks.spawn(admin::serve(admin, shared.admin(), closing.clone()));
        tasks.spawn(reload::watch(self.reload, Arc::clone(&shared.hook), closing.clone()));
        tasks.spawn(shared.certificates(self.tls).keep(closing.clone()));
        match &shared.client {
            Some(client) => {
                shared.lead(client, &self.lease, self.counting, &mut tasks, &closing);
                // these two tasks end with the process; nothing is lost
                tokio::spawn(shared.follow_cluster(client));
                if let Some(queue) = queue {
                    tokio::spawn(shared.write_events(client, queue, self.lease.identity));
                }
            }
            None => shared.readiness.set_platform_known(),
        }
        drop(inside);
        let keeper = thread::Builder::new().name("keeper".to_owned()).spawn(move || {
            keepers.block_on(async { while tasks.join_next().await.is_some() {} });
        })?;
        Ok(Running { readiness: shared.readiness, stop, closed, webhook, keeper })
    }
}

impl Shared {
    /// Starts the thread that answers reviews.
    fn webhook(
        &self,
        listener: TcpListener,
        leaving: Leaving,
        stopped: watch::Receiver<bool>,
    ) -> Result<JoinHandle<()>, Error> {
        let tls = serving::tls(Arc::clone(&self.serving))?;
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let (hook, readiness) = (Arc::clone(&self.hook), Arc::clone(&self.readiness));
        let (runtime, listener) = runtime(listener)?;
        let thread = thread::Builder::new().name("webhook".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::spawn(report_progress(readiness));
                webhook::serve(listener, acceptor, hook, leaving, stopped).await;
            });
        });
        Ok(thread?)
    }

    fn admin(&self) -> Admin {
        Admin { metrics: Arc::clone(&self.metrics), readiness: Arc::clone(&self.readiness) }
    }

    fn certificates(&self, settings: TlsSettings) -> CertificateManager {
        CertificateManager {
            settings,
            client: self.client.clone(),
            clock: self.clock.clone(),
            serving: Arc::clone(&self.serving),
            leader: Arc::clone(&self.leader),
            metrics: Arc::clone(&self.metrics),
            readiness: Arc::clone(&self.readiness),
            published: None,
            last: None,
        }
    }

    /// Starts the task that holds the lease, and the tasks that only its holder performs.
    fn lead(
        &self,
        client: &Client,
        lease: &Named,
        counting: Counting,
        tasks: &mut JoinSet<()>,
        closing: &watch::Receiver<bool>,
    ) {
        let shared = || (client.clone(), Arc::clone(&self.leader), Arc::clone(&self.metrics));
        let (own, leader, metrics) = shared();
        tasks.spawn(lease::hold(own, lease.clone(), leader, metrics, closing.clone()));
        if !counting.every.is_zero() {
            let (own, leader, metrics) = shared();
            tasks.spawn(missing::count(own, counting, leader, metrics, closing.clone()));
        }
    }

    fn write_events(
        &self,
        client: &Client,
        queue: mpsc::Receiver<Event>,
        instance: String,
    ) -> impl Future<Output = ()> + use<> {
        let metrics = Arc::clone(&self.metrics);
        events::write(queue, client.clone(), self.clock.clone(), metrics, instance)
    }

    /// Detects the platform of the cluster, then watches its namespaces.
    fn follow_cluster(&self, client: &Client) -> impl Future<Output = ()> + use<> {
        let (client, cluster) = (client.clone(), Arc::clone(&self.cluster));
        let (hook, readiness) = (Arc::clone(&self.hook), Arc::clone(&self.readiness));
        async move {
            cluster::platform(&client, &cluster).await;
            // apply the current policy again, because it was read before the platform was known
            hook.put(Policy::clone(&hook.policy()));
            readiness.set_platform_known();
            cluster::follow(&client, &cluster).await;
        }
    }
}

impl Running {
    /// Stops: becomes unready at once, keeps serving until Services have removed this pod, then
    /// drains.
    pub fn stop(self) {
        self.readiness.leave();
        // if the receiver is gone, the webhook has stopped already
        let _ = self.stop.send(true);
        let _ = self.webhook.join();
        let _ = self.closed.send(true);
        // a call to an unreachable API server must not delay the end
        let (done, ended) = std::sync::mpsc::channel();
        let keeper = self.keeper;
        let waiter = thread::Builder::new().name("closing".to_owned()).spawn(move || {
            let _ = keeper.join();
            let _ = done.send(());
        });
        if waiter.is_ok() {
            let _ = ended.recv_timeout(KEEPER_CLOSING_MAX);
        }
    }
}

/// Creates a runtime with one thread, and registers a listener with it.
fn runtime(listener: TcpListener) -> io::Result<(Runtime, tokio::net::TcpListener)> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _inside = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    Ok((runtime, listener))
}

async fn report_progress(readiness: Arc<Readiness>) {
    loop {
        readiness.record_progress();
        sleep(ROUND).await;
    }
}
