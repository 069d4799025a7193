//! Quantities of resources, as Kubernetes writes them: `100m`, `64Mi`, `1e3`. They are compared,
//! but never used in arithmetic. Unit: one quantity.

/// Parses a quantity into thousandths; `None` if it is invalid.
fn thousandths(text: &str) -> Option<u128> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || whole.len() > 18 || fraction.len() > 9 {
        return None;
    }
    let of = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<u128>().ok() };
    let unit = unit_thousandths(unit)?;
    let places = 10u128.pow(fraction.len() as u32);
    of(whole)?.checked_mul(unit)?.checked_add(of(fraction)?.checked_mul(unit)? / places)
}

fn unit_thousandths(unit: &str) -> Option<u128> {
    let power = match unit {
        "m" => return Some(1),
        "" => 0,
        "k" | "M" | "G" | "T" | "P" | "E" => return Some(1000u128.pow(1 + place(unit, "kMGTPE")?)),
        "Ki" | "Mi" | "Gi" | "Ti" | "Pi" | "Ei" => {
            return Some(1000 * 1024u128.pow(place(&unit[..1], "KMGTPE")?));
        }
        _ => unit.strip_prefix(['e', 'E'])?.parse::<u32>().ok().filter(|power| *power <= 18)?,
    };
    Some(1000 * 10u128.pow(power))
}

/// Returns the index of the unit, from 1.
fn place(unit: &str, of: &str) -> Option<u32> {
    of.find(unit).map(|at| at as u32 + 1)
}

/// Returns whether the first quantity is greater than the second; `false` if one is invalid.
pub fn is_more(one: &str, other: &str) -> bool {
    thousandths(one).zip(thousandths(other)).is_some_and(|(one, other)| one > other)
}

/// Returns whether two quantities are equal; compares the texts if one is invalid.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    match (thousandths(one), thousandths(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

/// Returns whether the API server accepts it for a container: whole millicores, whole bytes, a
/// limit above zero.
pub fn is_usable(resource: &str, text: &str, is_limit: bool) -> bool {
    let Some(amount) = thousandths(text) else { return false };
    let whole = resource == "cpu" || amount % 1000 == 0;
    // a million cores, an exabyte: more than any machine has
    whole && amount <= 1000u128.pow(7) && !(is_limit && amount == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities() {
        for (text, expected) in [
            ("100m", Some(100)),
            ("1", Some(1_000)),
            ("0.5", Some(500)),
            (".5", Some(500)),
            ("1k", Some(1_000_000)),
            ("1M", Some(1_000_000_000)),
            ("64Mi", Some(64 * 1024 * 1024 * 1000)),
            ("1Ki", Some(1_024_000)),
            ("1e3", Some(1_000_000)),
            ("1E", Some(1000u128.pow(7))),
            ("", None),
            ("m", None),
            ("-1", None),
            ("1 Mi", None),
            ("1mi", None),
            ("1e99", None),
            ("9999999999999999999", None),
        ] {
            assert_eq!(thousandths(text), expected, "{text}");
        }
        assert!(is_same("0.1", "100m") && is_same("64Mi", "65536Ki") && !is_same("64Mi", "64M"));
    }

    #[test]
    fn what_a_container_can_have() {
        for (resource, text, is_limit, expected) in [
            ("cpu", "10m", true, true),
            ("cpu", "0", true, false),
            ("cpu", "0", false, true),
            ("memory", "64Mi", true, true),
            ("memory", "500m", true, false),
            ("memory", "99999E", true, false),
            ("memory", "lots", false, false),
        ] {
            assert_eq!(is_usable(resource, text, is_limit), expected, "{resource} {text}");
        }
    }
}
