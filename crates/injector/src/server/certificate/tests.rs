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
fn a_leaf_is_believed_for_its_names_in_its_time_by_those_who_know_its_authority() {
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
        let answer = believed(&chain, bundle, name, at);
        assert_eq!(answer.is_ok(), expected, "{name} at {at:?}: {answer:?}");
    }
    assert!(believed(&[], &own, "s.n.svc", NOW).is_err());
}

#[test]
fn a_leaf_never_outlives_its_authority() {
    let authority = authority(NOW, 10 * DAY).expect("an authority");
    let leaf = leaf(&names("s", "n"), &authority, NOW, 30 * DAY).expect("a leaf");
    let der = first(&leaf.certificate).expect("PEM");
    let of = validity(&der).expect("X.509");
    assert_eq!(of.not_after, NOW.after(10 * DAY).seconds());
    assert_eq!(of.made(), NOW);
    assert_eq!(of.left(NOW), 10 * DAY);
    assert_eq!(of.left(NOW.after(11 * DAY)), Duration::ZERO);
}

#[test]
fn pem_is_written_as_others_write_it() {
    let (authority, _) = made();
    let der = first(&authority.certificate).expect("PEM");
    assert_eq!(pem(&der), authority.certificate.replace("\r\n", "\n"));
}

#[test]
fn dates_as_both_kinds_write_them() {
    for (tag, text, expected) in [
        (0x17, "700101000000Z", Some(0)),
        (0x17, "491231235959Z", Some(2_524_607_999)),
        (0x18, "20500101000000Z", Some(2_524_608_000)),
        (0x18, "20240229120000Z", Some(1_709_208_000)),
        (0x17, "500101000000Z", None),
        (0x18, "2024", None),
        (0x18, "2024022912000Z", None),
        (0x18, "20240229+20000Z", None),
        (0x0c, "20240229120000Z", None),
    ] {
        assert_eq!(seconds(tag, text.as_bytes()), expected, "{text}");
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
