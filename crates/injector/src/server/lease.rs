//! Elects one replica as the leader, through a Lease that the leader renews. The lease of another
//! replica expires by the time at which we saw it change, so that different clocks do no harm. A
//! replica without the lease performs no duty of the leader. Two replicas may believe for a moment
//! that they hold it; the resourceVersion of their writes prevents damage. Unit: one lease.

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

/// How long a lease is valid without a renewal; all three values are those of Kubernetes'
/// controllers.
const LEASE: Duration = Duration::from_secs(15);

/// How long after its last renewal the leader may act.
const RENEW_WITHIN: Duration = Duration::from_secs(10);

/// How often the lease is renewed or requested.
pub const EVERY: Duration = Duration::from_secs(2);

/// The lease and the identity of this replica.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Named {
    /// The namespace of the lease.
    pub namespace: String,
    /// The name of the lease.
    pub name: String,
    /// The identity of this replica.
    pub identity: String,
    /// How often it is renewed or requested; [`EVERY`] except in tests.
    pub every: Duration,
}

/// Whether this replica is the leader.
#[derive(Debug)]
pub struct Leader {
    clock: Clock,
    /// Until when it is the leader, in monotonic nanoseconds; 0 if it is not.
    until: AtomicU64,
    seen: Mutex<Seen>,
}

/// The lease as it was last read.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Seen {
    holder: String,
    renewed: String,
    /// When it was first read in this state, monotonic.
    since: Duration,
    lasts: Duration,
}

impl Leader {
    /// Creates the state of a replica that is not the leader.
    pub fn new(clock: Clock) -> Leader {
        Leader { clock, until: AtomicU64::new(0), seen: Mutex::default() }
    }

    /// Returns whether this replica may perform the leader's duties now.
    pub fn leads(&self) -> bool {
        self.clock.monotonic().as_nanos() < u128::from(self.until.load(Ordering::Acquire))
    }

    fn lead_until(&self, until: Duration) {
        self.until.store(until.as_nanos() as u64, Ordering::Release);
    }

    /// Returns whether the lease may be taken: it is ours, has no holder, or has not changed for
    /// its duration.
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

/// Requests the lease, renews it, and releases it when `stop` is set.
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
        // with this the next leader waits two seconds instead of fifteen; if it fails, fifteen
        let _ = timeout(EVERY, release(&client, &named)).await;
    }
}

/// Takes or renews the lease; returns false if another replica holds it.
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
    // it carries the resourceVersion that was read: of two replicas that take it at once, one is
    // refused
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

/// Formats a time as the MicroTime of Kubernetes.
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
        // an old time by the holder's clock does not count, only the time without a change
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
