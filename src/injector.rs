//! The admission webhook around `inject`: TLS, certificates, reviews, the leader's duties. Whatever goes wrong
//! the answer is "allowed": injection never keeps a pod from being admitted. Two threads: the webhook's, which
//! calls nobody, and the keeper's, on which everything runs that may wait for an API server. Unit: one process.

pub mod admin;
pub mod certificate;
pub mod events;
pub mod lease;
pub mod metrics;
pub mod readiness;
pub mod reload;
pub mod review;
pub mod rotation;
pub mod serving;
pub mod settings;
pub mod trust;
pub mod webhook;

use crate::clock::Clock;
use crate::kube::Client;
use admin::Admin;
use events::Events;
use lease::{Leader, Named};
use metrics::Metrics;
use readiness::Readiness;
use reload::Reload;
use serving::Serving;
use settings::TlsSettings;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use trust::Keeper;
use webhook::{Hook, Leaving};

/// How often the webhook's thread shows that it comes round.
const ROUND: Duration = Duration::from_secs(1);

/// After the webhook's port closed, the keeper gives the lease back; so long it may take.
const KEEPER_CLOSING_MAX: Duration = Duration::from_secs(3);

/// Everything that runs, as it was asked for; listeners are bound before.
#[derive(Debug)]
pub struct Parts {
    /// Time.
    pub clock: Clock,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The webhook's port; it does not block.
    pub listener: TcpListener,
    /// The admin port; it does not block.
    pub admin: TcpListener,
    /// The API; None where there is no cluster.
    pub client: Option<Client>,
    /// How the certificate is kept.
    pub tls: TlsSettings,
    /// The lease, where a leader has something to do.
    pub lease: Named,
    /// Whether Events are written.
    pub events: bool,
    /// Where the policy comes from.
    pub reload: Reload,
    /// How it leaves.
    pub leaving: Leaving,
}

/// The threads that run.
#[derive(Debug)]
pub struct Running {
    readiness: Arc<Readiness>,
    stop: watch::Sender<bool>,
    closed: watch::Sender<bool>,
    webhook: JoinHandle<()>,
    keeper: JoinHandle<()>,
}

impl Parts {
    /// Starts everything. A configuration that cannot be read leaves the policy's defaults in force.
    ///
    /// # Errors
    /// When the kernel gives no thread or no runtime, or refuses to watch a listener.
    pub fn spawn(mut self) -> io::Result<Running> {
        let policy = self.reload.look().unwrap_or_default();
        let serving = Arc::new(Serving::default());
        let tls = serving::tls(Arc::clone(&serving)).map_err(io::Error::other)?;
        let readiness = Arc::new(Readiness::new(self.clock.clone()));
        let leader = Arc::new(Leader::new(self.clock.clone()));
        let client = self.client.map(Arc::new);
        let (events, queue) = match client.as_ref().filter(|_| self.events) {
            Some(_) => Some(Events::queue(&self.metrics)).unzip(),
            None => (None, None),
        };
        let hook = Hook::new(self.clock.clone(), Arc::clone(&self.metrics), events, policy);
        let hook = Arc::new(hook);
        let (stop, stopped) = watch::channel(false);
        let (closed, closing) = watch::channel(false);

        let (webhooks, listener) = runtime(self.listener)?;
        let webhook = {
            let (hook, readiness) = (Arc::clone(&hook), Arc::clone(&readiness));
            let (acceptor, stopped) = (TlsAcceptor::from(Arc::new(tls)), stopped.clone());
            let leaving = self.leaving;
            thread::Builder::new().name("webhook".to_owned()).spawn(move || {
                webhooks.block_on(async {
                    tokio::spawn(rounds(readiness));
                    webhook::serve(listener, acceptor, hook, leaving, stopped).await;
                });
            })?
        };

        let (keepers, listener) = runtime(self.admin)?;
        let mut tasks = JoinSet::new();
        let handle = keepers.handle();
        let admin =
            Admin { metrics: Arc::clone(&self.metrics), readiness: Arc::clone(&readiness) };
        tasks.spawn_on(admin::serve(listener, admin, closing.clone()), handle);
        tasks.spawn_on(reload::watch(self.reload, hook, closing.clone()), handle);
        if let Some(client) = &client {
            let (leader, metrics) = (Arc::clone(&leader), Arc::clone(&self.metrics));
            let holding =
                lease::hold(Arc::clone(client), self.lease.clone(), leader, metrics, closing.clone());
            tasks.spawn_on(holding, handle);
            if let Some(queue) = queue {
                let (client, clock) = (Arc::clone(client), self.clock.clone());
                let metrics = Arc::clone(&self.metrics);
                let instance = self.lease.identity.clone();
                handle.spawn(events::write(queue, client, clock, metrics, instance));
            }
        }
        let keeper = Keeper {
            settings: self.tls,
            client,
            clock: self.clock,
            serving,
            leader,
            metrics: self.metrics,
            readiness: Arc::clone(&readiness),
            published: None,
        };
        tasks.spawn_on(keeper.keep(closing), handle);
        let keeper = thread::Builder::new().name("keeper".to_owned()).spawn(move || {
            keepers.block_on(async { while tasks.join_next().await.is_some() {} });
        })?;
        Ok(Running { readiness, stop, closed, webhook, keeper })
    }
}

impl Running {
    /// Leaves: not ready at once, serving on until Services have taken us out, then drained.
    pub fn stop(self) {
        self.readiness.leave();
        // a receiver that is gone has left before us
        let _ = self.stop.send(true);
        let _ = self.webhook.join();
        let _ = self.closed.send(true);
        // a call to an API server that is away must not hold the end up
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

/// A runtime of one thread and a listener that it watches.
fn runtime(listener: TcpListener) -> io::Result<(Runtime, tokio::net::TcpListener)> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _inside = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    Ok((runtime, listener))
}

async fn rounds(readiness: Arc<Readiness>) {
    loop {
        readiness.came_round();
        sleep(ROUND).await;
    }
}
