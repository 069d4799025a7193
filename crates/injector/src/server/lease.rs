//! Elects one replica as the leader, through a Lease that the leader renews. The lease of another
//! replica expires by the time at which we saw it change, so that different clocks do no harm. A
//! replica without the lease performs no duty of the leader. Two replicas may believe for a moment
//! that they hold it; the resourceVersion of their writes prevents damage. Unit: one lease.
//!
//! Decision: the election is ours, because the runtime of `kube` 5.0 has none.

use super::metrics::Metrics;
use crate::apiserver::client::{Client, call};
use crate::apiserver::error::Error;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use sidelight::clock::{Clock, UnixNanos};
use sidelight::sync::lock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How long a lease is valid without a renewal; all three values are those of Kubernetes'
/// controllers.
const LEASE: Duration = Duration::from_secs(LEASE_SECONDS as u64);

/// The same as the field of a lease has it.
const LEASE_SECONDS: i32 = 15;

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
    renewed: Option<MicroTime>,
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
    fn is_free(&self, spec: &LeaseSpec, identity: &str) -> bool {
        let now = self.clock.monotonic();
        let holder = spec.holder_identity.clone().unwrap_or_default();
        let renewed = spec.renew_time.clone();
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let lasts = seconds.map_or(LEASE, Duration::from_secs);
        let mut seen = lock(&self.seen);
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
    client: Client,
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
    let leases: Api<Lease> = client.namespaced(&named.namespace)?;
    let now = micro_time(leader.clock.now());
    let Some(mut lease) = call("get the lease", leases.get_opt(&named.name)).await? else {
        return create(&leases, named, &now).await;
    };
    let spec = lease.spec.get_or_insert_default();
    if !leader.is_free(spec, &named.identity) {
        return Ok(false);
    }
    if spec.holder_identity.as_ref() != Some(&named.identity) {
        spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0).saturating_add(1));
        spec.acquire_time = Some(now.clone());
    }
    spec.holder_identity = Some(named.identity.clone());
    spec.lease_duration_seconds = Some(LEASE_SECONDS);
    spec.renew_time = Some(now);
    // it carries the resourceVersion that was read: of two replicas that take it at once, one is
    // refused
    let params = PostParams::default();
    let written = leases.replace(&named.name, &params, &lease);
    taken(call("renew the lease", written).await)
}

async fn create(leases: &Api<Lease>, named: &Named, now: &MicroTime) -> Result<bool, Error> {
    let lease = Lease {
        metadata: ObjectMeta {
            name: Some(named.name.clone()),
            namespace: Some(named.namespace.clone()),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(named.identity.clone()),
            lease_duration_seconds: Some(LEASE_SECONDS),
            acquire_time: Some(now.clone()),
            renew_time: Some(now.clone()),
            lease_transitions: Some(0),
            ..LeaseSpec::default()
        }),
    };
    taken(call("create the lease", leases.create(&PostParams::default(), &lease)).await)
}

async fn release(client: &Client, named: &Named) -> Result<bool, Error> {
    let leases: Api<Lease> = client.namespaced(&named.namespace)?;
    let mut lease = call("get the lease", leases.get(&named.name)).await?;
    let spec = lease.spec.get_or_insert_default();
    if spec.holder_identity.as_ref() != Some(&named.identity) {
        return Ok(false);
    }
    spec.holder_identity = Some(String::new());
    spec.lease_duration_seconds = Some(1);
    let params = PostParams::default();
    let written = leases.replace(&named.name, &params, &lease);
    taken(call("release the lease", written).await)
}

fn taken(written: Result<Lease, Error>) -> Result<bool, Error> {
    match written {
        Ok(_) => Ok(true),
        Err(error) if error.is_conflict() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Converts a time to the MicroTime of Kubernetes, which has microseconds.
fn micro_time(at: UnixNanos) -> MicroTime {
    let micros = i64::try_from(at.0 / 1000).unwrap_or(i64::MAX);
    MicroTime(jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_free_if_it_is_ours_has_no_holder_or_did_not_change() {
        let (clock, hand) = Clock::wound(UnixNanos(1_000_000_000));
        let leader = Leader::new(clock);
        let spec = |holder: &str, renewed: u64| LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            renew_time: Some(micro_time(UnixNanos(renewed))),
            lease_duration_seconds: Some(15),
            ..LeaseSpec::default()
        };
        assert!(leader.is_free(&spec("", 1000), "me"));
        assert!(leader.is_free(&spec("me", 1000), "me"));
        // an old time by the holder's clock does not count, only the time without a change
        assert!(!leader.is_free(&spec("you", 2000), "me"));
        hand.wind(Duration::from_secs(14));
        assert!(!leader.is_free(&spec("you", 2000), "me"));
        assert!(!leader.is_free(&spec("you", 3000), "me"), "renewed");
        hand.wind(Duration::from_secs(14));
        assert!(!leader.is_free(&spec("you", 3000), "me"));
        hand.wind(Duration::from_secs(1));
        assert!(leader.is_free(&spec("you", 3000), "me"));
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
        let written = serde_json::to_value(micro_time(at)).expect("a text");
        assert_eq!(written, "2026-09-21T14:13:20.123456Z");
    }
}
