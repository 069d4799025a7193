//! Simulates years of rotation: at no time is a served certificate untrusted.

use super::*;
use crate::server::certificate::names;

const START: UnixNanos = UnixNanos(1_790_000_000_000_000_000);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

struct World {
    now: UnixNanos,
    material: Option<Material>,
    /// When the current bundle was published.
    since: Option<UnixNanos>,
    names: Vec<String>,
    lifetimes: Lifetimes,
}

impl World {
    fn new() -> World {
        let lifetimes = Lifetimes::default();
        World { now: START, material: None, since: None, names: names("s", "n"), lifetimes }
    }

    fn moment(&self) -> Moment<'_> {
        let published = self.since.map(|since| self.now.since(since));
        Moment { now: self.now, published, names: &self.names, lifetimes: self.lifetimes }
    }

    fn next(&self) -> Option<Step> {
        next(self.material.as_ref(), self.moment())
    }

    fn take(&mut self, step: Step) {
        let taken = take(step, self.material.as_ref(), &[], self.moment()).expect("a step");
        let before = self.material.as_ref().map(Material::bundle);
        if before != Some(taken.bundle()) {
            self.since = None;
        }
        self.material = Some(taken);
    }

    fn held(&self) -> &Material {
        self.material.as_ref().expect("something")
    }
}

/// Guarantees: through three generations of authorities, checked every hour, the bundle before each
/// step and the bundle after it trust the served certificate, also on a replica that is one step
/// behind; and each step happens when it is due.
#[test]
fn three_generations_without_a_moment_of_distrust() {
    let mut world = World::new();
    world.lifetimes = Lifetimes { leaf: 3 * DAY, authority: 12 * DAY, overlap: HOUR };
    let mut steps = Vec::new();
    let mut behind: Option<Material> = None;
    for hour in 0..18 * 24u32 {
        world.now = START.after(hour * HOUR);
        if let Some(step) = world.next() {
            if step != Step::Leaf {
                steps.push((hour, step));
            }
            behind.clone_from(&world.material);
            world.take(step);
        }
        world.since = world.since.or(Some(world.now));
        let held = world.held();
        let replicas = [Some(held), behind.as_ref()];
        for served in replicas.into_iter().flatten() {
            for bundle in replicas.into_iter().flatten() {
                let chain = certificates(&served.leaf.certificate);
                let answer = verify(&chain, &bundle.authorities, "s.n.svc", world.now);
                assert!(answer.is_ok(), "hour {hour}, after {steps:?}: {answer:?}");
            }
        }
        // the replica that was behind has read the Secret by the next hour
        behind = None;
    }
    // after eight of twelve days an authority has a third left; a certificate is due in the same
    // hour and comes first
    let expected = [
        (0, Step::First),
        (8 * 24 + 1, Step::Authority),
        (8 * 24 + 2, Step::Switch),
        (8 * 24 + 3, Step::Drop),
        (16 * 24 + 1, Step::Authority),
        (16 * 24 + 2, Step::Switch),
        (16 * 24 + 3, Step::Drop),
    ];
    assert_eq!(steps, expected);
}

#[test]
fn a_new_authority_signs_only_after_it_was_published_for_the_overlap() {
    let mut world = World::new();
    world.take(Step::First);
    let old = world.held().clone();
    world.take(Step::Authority);
    assert_eq!(world.held().leaf, old.leaf, "the old certificate is served on");
    assert_eq!(world.held().authorities.len(), 2);
    for (published, expected) in [
        (None, None),
        (Some(HOUR.saturating_sub(Duration::from_secs(1))), None),
        (Some(HOUR), Some(Step::Switch)),
    ] {
        let moment = Moment { published, ..world.moment() };
        assert_eq!(next(world.material.as_ref(), moment), expected, "{published:?}");
    }
    world.take(Step::Switch);
    assert_ne!(world.held().leaf, old.leaf);
    world.since = Some(world.now);
    assert_eq!(world.next(), None, "others may serve the old one still");
    world.now = world.now.after(HOUR);
    world.since = None;
    assert_eq!(world.next(), None, "nothing is taken away while nothing is published");
    world.since = Some(world.now);
    assert_eq!(world.next(), Some(Step::Drop));
    world.take(Step::Drop);
    assert_eq!(world.held().authorities.len(), 1);
    assert_eq!(world.next(), None);
}

#[test]
fn a_leaf_is_renewed_when_a_third_is_left_or_a_name_is_new() {
    let mut world = World::new();
    world.take(Step::First);
    world.since = Some(START);
    for (days, expected) in [(19, None), (20, Some(Step::Leaf)), (31, Some(Step::Leaf))] {
        world.now = START.after(days * DAY);
        assert_eq!(world.next(), expected, "day {days}");
    }
    world.now = START;
    world.names.push("10.0.0.1".to_owned());
    assert_eq!(world.next(), Some(Step::Leaf));
    world.take(Step::Leaf);
    assert_eq!(world.next(), None);
}

#[test]
fn what_is_of_no_use_is_made_anew_and_old_trust_stays() {
    let mut world = World::new();
    world.take(Step::First);
    let good = Secret { data: Some(world.held().data()), ..Secret::default() };
    assert_eq!(Material::read(&good).as_ref(), Some(world.held()));
    let other = authority(START, DAY).expect("another");
    for (field, value) in [
        ("tls.crt", ""),
        ("tls.key", &other.key),
        ("ca.crt", "text"),
        ("tls.crt", &other.certificate),
    ] {
        let mut broken = good.clone();
        let data = broken.data.get_or_insert_default();
        data.insert(field.to_owned(), ByteString(value.as_bytes().to_vec()));
        assert_eq!(Material::read(&broken), None, "{field}");
        let old = authorities(&broken);
        let again = take(Step::First, None, &old, world.moment()).expect("new ones");
        assert_eq!(again.authorities.len(), 1 + old.len());
        assert_eq!(next(Some(&again), world.moment()), None);
    }
    let not_text = [("tls.crt".to_owned(), ByteString(vec![0xff]))].into();
    for data in [None, Some(BTreeMap::new()), Some(not_text)] {
        let nothing = Secret { data, ..Secret::default() };
        assert_eq!(Material::read(&nothing), None);
        assert!(authorities(&nothing).is_empty());
    }
    // an authority that did not sign the certificate
    let mut foreign = world.held().clone();
    foreign.authorities = certificates(&other.certificate);
    assert_eq!(next(Some(&foreign), world.moment()), Some(Step::First));
    // a key of another authority, which is only noticed when it signs
    let mut locked = world.held().clone();
    locked.authority_key = other.key;
    let again = take(Step::Leaf, Some(&locked), &[], world.moment()).expect("all anew");
    assert_eq!(again.authorities.len(), 2);
    assert_eq!(again.authorities[1], locked.authorities[0]);
    // everything has expired
    world.now = START.after(400 * DAY);
    assert_eq!(world.next(), Some(Step::First));
}
