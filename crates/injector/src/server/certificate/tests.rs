//! Creates certificates, reads them back and verifies them.

use super::*;

const NOW: UnixNanos = UnixNanos(1_790_000_000_000_000_000);
const DAY: Duration = Duration::from_hours(24);

fn made() -> (Pair, Pair) {
    let authority = authority(NOW, 365 * DAY).expect("an authority");
    let leaf = leaf(&names("s", "n"), &authority, NOW, 30 * DAY).expect("a leaf");
    (authority, leaf)
}

#[test]
fn a_leaf_is_verified_for_its_names_while_valid_with_its_authority() {
    let (authority, leaf) = made();
    let other = super::authority(NOW.after(Duration::from_secs(1)), 365 * DAY).expect("another");
    let chain = certificates(&leaf.certificate);
    let own = certificates(&authority.certificate);
    let foreign = certificates(&other.certificate);
    let both = [foreign.clone(), own.clone()].concat();
    for (bundle, name, at, expected) in [
        (&own, "s.n.svc", NOW, true),
        (&own, "s.n.svc.cluster.local", NOW, true),
        (&both, "s.n.svc", NOW, true),
        (&foreign, "s.n.svc", NOW, false),
        (&own, "t.n.svc", NOW, false),
        (&own, "s.n.svc", NOW.before(Duration::from_mins(59)), true),
        (&own, "s.n.svc", NOW.before(Duration::from_mins(61)), false),
        (&own, "s.n.svc", NOW.after(30 * DAY), true),
        (&own, "s.n.svc", NOW.after(30 * DAY + Duration::from_secs(2)), false),
        (&Vec::new(), "s.n.svc", NOW, false),
    ] {
        let answer = verify(&chain, bundle, name, at);
        assert_eq!(answer.is_ok(), expected, "{name} at {at:?}: {answer:?}");
    }
    assert!(verify(&[], &own, "s.n.svc", NOW).is_err());
}

#[test]
fn a_leaf_never_outlives_its_authority() {
    let authority = authority(NOW, 10 * DAY).expect("an authority");
    let leaf = leaf(&names("s", "n"), &authority, NOW, 30 * DAY).expect("a leaf");
    let der = first(&leaf.certificate).expect("PEM");
    let of = validity(&der).expect("X.509");
    assert_eq!(of.not_after, NOW.after(10 * DAY).seconds());
    assert_eq!(of.created(), NOW);
    assert_eq!(of.left(NOW), 10 * DAY);
    assert_eq!(of.left(NOW.after(11 * DAY)), Duration::ZERO);
}

#[test]
fn pem_is_written_as_others_write_it() {
    let (authority, _) = made();
    let der = first(&authority.certificate).expect("PEM");
    assert_eq!(pem(&der), authority.certificate.replace("\r\n", "\n"));
}

/// Guarantees: both types of dates of X.509, UTCTime up to 2049 and GeneralizedTime after it, are
/// read as they were written.
#[test]
fn dates_of_both_types_are_read() {
    for (lifetime, year) in [(365 * DAY, 2027), (12_000 * DAY, 2059)] {
        let authority = super::authority(NOW, lifetime).expect("an authority");
        let read = validity(&first(&authority.certificate).expect("PEM")).expect("X.509");
        assert_eq!(read.not_before, NOW.before(BACKDATED).seconds(), "{year}");
        assert_eq!(read.not_after, NOW.after(lifetime).seconds(), "{year}");
    }
}

/// Guarantees: parsing terminates, whatever bytes are in place of a certificate.
#[test]
fn what_is_no_certificate_has_no_validity() {
    let (authority, _) = made();
    let der = first(&authority.certificate).expect("PEM").to_vec();
    let whole = validity(&der).expect("X.509");
    for length in 0..der.len().min(400) {
        let _ = validity(&der[..length]);
        let mut turned = der.clone();
        turned[length] ^= 0xff;
        let _ = validity(&turned);
    }
    assert_eq!(validity(&der), Some(whole));
    assert!(validity(b"").is_none() && validity(b"-----BEGIN").is_none());
    assert!(leaf(&[], &Pair { certificate: String::new(), key: String::new() }, NOW, DAY).is_err());
}
