//! Who leads: one replica at a time, by a Lease that it renews. What another wrote counts from when we saw it
//! change, so that clocks that disagree do no harm. Without the lease no duty of a leader is done; that two
//! may think for a moment that they hold it, the resourceVersion of what they write takes care of. Unit: one
//! lease.

use super::metrics::Metrics;
use crate::kube::error::Error;
use crate::kube::{self, Client};
use serde_json::{Value, json};
use sidelight::clock::{Clock, UnixNanos};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How long a lease is good that is not renewed; the values of every controller of Kubernetes.
const LEASE: Duration = Duration::from_secs(15);

/// How long after its last renewal the leader believes in itself.
const RENEW_WITHIN: Duration = Duration::from_secs(10);

/// How often it is renewed, and asked for.
pub const EVERY: Duration = Duration::from_secs(2);

/// Which lease, and who we are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Named {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// This replica.
    pub identity: String,
    /// How often it is renewed, and asked for; [`EVERY`] but in tests.
    pub every: Duration,
}

/// Whether we lead.
#[derive(Debug)]
pub struct Leader {
    clock: Clock,
    /// Until when, monotonic nanoseconds; 0 for not at all.
    until: AtomicU64,
    seen: Mutex<Seen>,
}

/// The lease as it was seen last.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Seen {
    holder: String,
    renewed: String,
    /// When we saw it so first, monotonic.
    since: Duration,
    lasts: Duration,
}

impl Leader {
    /// Nobody yet.
    pub fn new(clock: Clock) -> Leader {
        Leader { clock, until: AtomicU64::new(0), seen: Mutex::default() }
    }

    /// Whether this replica may do what only a leader does, now.
    pub fn leads(&self) -> bool {
        self.clock.monotonic().as_nanos() < u128::from(self.until.load(Ordering::Acquire))
    }

    fn lead_until(&self, until: Duration) {
        self.until.store(until.as_nanos() as u64, Ordering::Release);
    }

    /// Whether the lease of this spec may be taken: it is ours, nobody's, or did not change for its time.
    fn free(&self, spec: &Value, identity: &str) -> bool {
        let now = self.clock.monotonic();
        let text = |name: &str| spec[name].as_str().unwrap_or_default().to_owned();
        let (holder, renewed) = (text("holderIdentity"), text("renewTime"));
        let lasts = spec["leaseDurationSeconds"].as_u64().map_or(LEASE, Duration::from_secs);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.holder != holder || seen.renewed != renewed {
            *seen = Seen { holder, renewed, since: now, lasts };
        }
        seen.holder.is_empty()
            || seen.holder == identity
            || now.saturating_sub(seen.since) >= seen.lasts
    }
}

/// Asks for the lease, holds it, and gives it back when `stop` says so.
pub async fn hold(
    client: Arc<Client>,
    named: Named,
    leader: Arc<Leader>,
    metrics: Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let begun = leader.clock.monotonic();
        match timeout(RENEW_WITHIN, renew(&client, &named, &leader)).await {
            Ok(Ok(true)) => leader.lead_until(begun + RENEW_WITHIN),
            Ok(Ok(false)) => leader.lead_until(Duration::ZERO),
            Ok(Err(error)) => tracing::warn!(%error, lease = named.name, "no word on the lease"),
            Err(_) => tracing::warn!(lease = named.name, "no word on the lease in time"),
        }
        metrics.leader.set(i64::from(leader.leads()));
        tokio::select! {
            () = sleep(named.every) => {}
            _ = stop.wait_for(|stopped| *stopped) => break,
        }
    }
    let led = leader.leads();
    leader.lead_until(Duration::ZERO);
    metrics.leader.set(0);
    if led {
        // the next one waits two seconds instead of fifteen; if it fails, fifteen
        let _ = timeout(EVERY, release(&client, &named)).await;
    }
}

/// Takes or renews the lease; false when another holds it.
async fn renew(client: &Client, named: &Named, leader: &Leader) -> Result<bool, Error> {
    let path = path(named);
    let now = micro_time(leader.clock.now());
    let mut lease = match client.get(&path).await {
        Ok(lease) => lease,
        Err(error) if error.is_not_found() => return create(client, named, &now).await,
        Err(error) => return Err(error),
    };
    if !leader.free(&lease["spec"], &named.identity) {
        return Ok(false);
    }
    if lease["spec"]["holderIdentity"] != named.identity.as_str() {
        let changes = lease["spec"]["leaseTransitions"].as_u64().unwrap_or(0) + 1;
        lease["spec"]["leaseTransitions"] = json!(changes);
        lease["spec"]["acquireTime"] = json!(now);
    }
    lease["spec"]["holderIdentity"] = json!(named.identity);
    lease["spec"]["leaseDurationSeconds"] = json!(LEASE.as_secs());
    lease["spec"]["renewTime"] = json!(now);
    // it carries the resourceVersion that was read: of two that take it at once one is refused
    taken(client.update(&path, &lease).await)
}

async fn create(client: &Client, named: &Named, now: &str) -> Result<bool, Error> {
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": named.name, "namespace": named.namespace},
        "spec": {
            "holderIdentity": named.identity,
            "leaseDurationSeconds": LEASE.as_secs(),
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": 0,
        },
    });
    taken(client.create(&collection(named), &lease).await)
}

async fn release(client: &Client, named: &Named) -> Result<bool, Error> {
    let mut lease = client.get(&path(named)).await?;
    if lease["spec"]["holderIdentity"] != named.identity.as_str() {
        return Ok(false);
    }
    lease["spec"]["holderIdentity"] = json!("");
    lease["spec"]["leaseDurationSeconds"] = json!(1);
    taken(client.update(&path(named), &lease).await)
}

fn taken(written: Result<Value, Error>) -> Result<bool, Error> {
    match written {
        Ok(_) => Ok(true),
        Err(error) if error.is_conflict() => Ok(false),
        Err(error) => Err(error),
    }
}

fn collection(named: &Named) -> String {
    kube::path(&["apis", "coordination.k8s.io", "v1", "namespaces", &named.namespace, "leases"])
}

fn path(named: &Named) -> String {
    kube::child(&collection(named), &named.name)
}

/// A time as Kubernetes writes its MicroTime.
pub(super) fn micro_time(at: UnixNanos) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(at.0))
        .map(|time| format!("{time:.6}"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_free_when_it_is_ours_nobodys_or_stood_still() {
        let (clock, hand) = Clock::wound(UnixNanos(1_000_000_000));
        let leader = Leader::new(clock);
        let spec = |holder: &str, renewed: &str| json!({"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": 15});
        assert!(leader.free(&spec("", "1"), "me"));
        assert!(leader.free(&spec("me", "1"), "me"));
        // a time of long ago by their clock is no reason: only that it does not change
        assert!(!leader.free(&spec("you", "1999"), "me"));
        hand.wind(Duration::from_secs(14));
        assert!(!leader.free(&spec("you", "1999"), "me"));
        assert!(!leader.free(&spec("you", "2000"), "me"), "renewed");
        hand.wind(Duration::from_secs(14));
        assert!(!leader.free(&spec("you", "2000"), "me"));
        hand.wind(Duration::from_secs(1));
        assert!(leader.free(&spec("you", "2000"), "me"));
    }

    #[test]
    fn who_hears_nothing_leads_no_longer() {
        let (clock, hand) = Clock::wound(UnixNanos(1));
        let leader = Leader::new(clock);
        assert!(!leader.leads());
        leader.lead_until(RENEW_WITHIN);
        hand.wind(RENEW_WITHIN.saturating_sub(Duration::from_nanos(1)));
        assert!(leader.leads());
        hand.wind(Duration::from_nanos(1));
        assert!(!leader.leads());
        assert!(RENEW_WITHIN < LEASE, "before another can take it");
    }

    #[test]
    fn times_as_kubernetes_writes_them() {
        let at = UnixNanos(1_790_000_000_123_456_789);
        assert_eq!(micro_time(at), "2026-09-21T14:13:20.123456Z");
    }
}
