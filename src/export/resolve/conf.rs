//! Parses `/etc/resolv.conf` and `/etc/hosts` as resolv.conf(5) and hosts(5) describe them, and
//! skips what it cannot parse. Pure. Unit: one file.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Maximum number of servers, as in the C library.
const SERVERS_MAX: usize = 3;

/// Maximum number of names in the search list: Kubernetes allows 32.
const SEARCH_MAX: usize = 32;

/// Maximum of `ndots`, as in the C library.
const DOTS_MAX: usize = 15;

/// Maximum of `attempts`, as in the C library.
const ATTEMPTS_MAX: usize = 5;

/// Maximum time for one answer, whatever the file says: the whole exchange with a collector has 10
/// s.
const TIMEOUT_MAX: Duration = Duration::from_secs(2);

/// Maximum number of addresses of one name.
const ADDRESSES_MAX: usize = 16;

/// The name servers, and how to ask them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Conf {
    pub(super) servers: Vec<IpAddr>,
    pub(super) search: Vec<String>,
    pub(super) dots: usize,
    pub(super) attempts: usize,
    pub(super) timeout: Duration,
}

impl Conf {
    pub(super) fn parse(text: &str) -> Conf {
        let mut conf = Conf {
            servers: Vec::new(),
            search: Vec::new(),
            dots: 1,
            attempts: 2,
            timeout: TIMEOUT_MAX,
        };
        for line in text.lines().filter(|line| !line.starts_with(['#', ';'])) {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    // the zone of a link-local address is dropped: the socket address here cannot
                    // express it
                    let server = words.next().and_then(|word| word.split('%').next());
                    let server: Option<IpAddr> = server.and_then(|server| server.parse().ok());
                    let has_place = conf.servers.len() < SERVERS_MAX;
                    conf.servers.extend(server.filter(|_| has_place));
                }
                // the last one of either kind applies
                Some("search") => {
                    conf.search = words.take(SEARCH_MAX).map(str::to_owned).collect();
                }
                Some("domain") => conf.search = words.take(1).map(str::to_owned).collect(),
                Some("options") => words.for_each(|word| conf.option(word)),
                _ => {}
            }
        }
        if conf.servers.is_empty() {
            conf.servers.push(Ipv4Addr::LOCALHOST.into());
        }
        conf
    }

    fn option(&mut self, word: &str) {
        let Some((name, value)) = word.split_once(':') else { return };
        let Ok(value) = value.parse::<usize>() else { return };
        match name {
            "ndots" => self.dots = value.min(DOTS_MAX),
            "attempts" => self.attempts = value.clamp(1, ATTEMPTS_MAX),
            "timeout" => {
                self.timeout = Duration::from_secs(value.max(1) as u64).min(TIMEOUT_MAX);
            }
            _ => {}
        }
    }

    /// Returns the full names that a name may mean, without their last dot, in the order of the
    /// lookups.
    pub(super) fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(whole) = name.strip_suffix('.') {
            return vec![whole.to_owned()];
        }
        let searched = self.search.iter().map(|domain| match domain.trim_matches('.') {
            "" => name.to_owned(),
            domain => format!("{name}.{domain}"),
        });
        let mut candidates: Vec<String> = searched.collect();
        let is_long = name.matches('.').count() >= self.dots;
        candidates.insert(if is_long { 0 } else { candidates.len() }, name.to_owned());
        candidates
    }
}

/// Returns the addresses that a hosts file gives a name.
pub(super) fn hosts(text: &str, name: &str) -> Vec<IpAddr> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_ascii_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse) else { continue };
        if words.any(|word| word.eq_ignore_ascii_case(name)) && found.len() < ADDRESSES_MAX {
            found.push(address);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cluster_writes() {
        let conf = Conf::parse(
            "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\n\
             nameserver fd00::a\noptions ndots:5 timeout:1 attempts:3 rotate\n",
        );
        let servers: Vec<IpAddr> =
            ["10.96.0.10", "fd00::a"].iter().filter_map(|one| one.parse().ok()).collect();
        assert_eq!(conf.servers, servers);
        assert_eq!((conf.dots, conf.attempts, conf.timeout), (5, 3, Duration::from_secs(1)));
        for (name, expected) in [
            (
                "otel.infra",
                "otel.infra.shop.svc.cluster.local otel.infra.svc.cluster.local otel.infra.cluster.local otel.infra",
            ),
            ("otel.infra.", "otel.infra"),
            (
                "a.b.c.d.e.f",
                "a.b.c.d.e.f a.b.c.d.e.f.shop.svc.cluster.local a.b.c.d.e.f.svc.cluster.local a.b.c.d.e.f.cluster.local",
            ),
        ] {
            assert_eq!(conf.candidates(name).join(" "), expected);
        }
    }

    #[test]
    fn bounds_and_nonsense() {
        let text = "#nameserver 1.1.1.1\nnameserver nonsense\nnameserver\noptions ndots:99 attempts:0 timeout:99 x:y\n\
                    search a b\ndomain c d\n";
        let many = text.to_owned() + &"nameserver 9.9.9.9\n".repeat(9);
        let conf = Conf::parse(&many);
        assert_eq!((conf.servers.len(), conf.search.join(" ").as_str()), (SERVERS_MAX, "c"));
        assert_eq!((conf.dots, conf.attempts, conf.timeout), (DOTS_MAX, 1, TIMEOUT_MAX));
        let empty = Conf::parse("");
        assert_eq!(empty.servers, [IpAddr::from(Ipv4Addr::LOCALHOST)]);
        assert_eq!((empty.candidates("a"), empty.dots), (vec!["a".to_owned()], 1));
        let wide = format!("search {}", "a ".repeat(1000));
        assert_eq!(Conf::parse(&wide).search.len(), SEARCH_MAX);
    }

    #[test]
    fn hosts_by_any_name_in_any_case() {
        let text = "127.0.0.1 localhost # otel\nfd00::1\tOtel.shop otel\nnonsense otel\n10.0.0.1 x otel # y\n";
        for (name, expected) in [("OTEL", "fd00::1 10.0.0.1"), ("otel.shop.", "fd00::1"), ("y", "")]
        {
            let found: Vec<String> = hosts(text, name).iter().map(ToString::to_string).collect();
            assert_eq!(found.join(" "), expected, "{name}");
        }
    }
}
