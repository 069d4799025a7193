//! Remembers the clients that fetch the metrics, so that the drain can wait until each scraper has
//! the final values. Unit: one scrape.
//!
//! Decision: a request changes what the drain waits for only if its client was a scraper before. A
//! client is a scraper if it names itself Prometheus or asks for OpenMetrics and has fetched the
//! metrics before the drain, or if it had come at least twice. An unknown client with Prometheus'
//! headers counts from its second final scrape on; this lets a pod that lived shorter than a scrape
//! interval end in time. A single request of an unknown client changes nothing. A kubelet's probe
//! never counts. Two scrapers with one address and one name (a pair behind a mesh's proxy) count as
//! one; then the wait takes the whole time allowed.

use crate::sync::lock;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard};

/// Maximum number of remembered clients: a pair of Prometheus servers, an agent, and a dozen people
/// with a browser.
const CLIENTS_MAX: usize = 16;

/// Number of scrapes from which a client counts as a regular one.
const REGULAR_FROM: u32 = 2;

/// A client that fetches the metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Client<'a> {
    /// Its IP address.
    pub address: IpAddr,
    /// Its `User-Agent`.
    pub agent: &'a str,
    /// Whether it asks for OpenMetrics by name.
    pub wants_openmetrics: bool,
}

/// All clients that have fetched the metrics.
#[derive(Debug, Default)]
pub struct Scrapers(Mutex<Vec<KnownScraper>>);

#[derive(Debug)]
struct KnownScraper {
    address: IpAddr,
    /// Hash of the `User-Agent`, because a client chooses its length.
    agent: u64,
    /// Scrapes before the values were final.
    scrapes: u32,
    /// Scrapes with Prometheus' headers after the values were final.
    final_scrapes: u32,
    is_scraper: bool,
    has_final: bool,
}

impl Scrapers {
    /// Records that a client has fetched the metrics; `is_final` means that nothing can change any
    /// more.
    pub fn scraped(&self, client: Client<'_>, is_final: bool) {
        if client.agent.starts_with("kube-probe/") {
            return;
        }
        let mut hasher = DefaultHasher::new();
        client.agent.hash(&mut hasher);
        let agent = hasher.finish();
        let by_name = client.wants_openmetrics || client.agent.starts_with("Prometheus/");
        let mut clients = self.lock();
        let known =
            clients.iter().position(|one| (one.address, one.agent) == (client.address, agent));
        let at = known.unwrap_or_else(|| {
            if clients.len() == CLIENTS_MAX {
                // the client with the fewest scrapes is the least likely to return
                let least =
                    clients.iter().enumerate().min_by_key(|(_, one)| (one.is_scraper, one.scrapes));
                let least = least.map_or(0, |(at, _)| at);
                clients.swap_remove(least);
            }
            let address = client.address;
            clients.push(KnownScraper {
                address,
                agent,
                scrapes: 0,
                final_scrapes: 0,
                is_scraper: false,
                has_final: false,
            });
            clients.len() - 1
        });
        let one = &mut clients[at];
        one.has_final |= is_final;
        if is_final {
            one.final_scrapes = one.final_scrapes.saturating_add(u32::from(by_name));
            one.is_scraper |= one.final_scrapes >= REGULAR_FROM;
        } else {
            one.scrapes = one.scrapes.saturating_add(1);
            one.is_scraper |= by_name || one.scrapes >= REGULAR_FROM;
        }
    }

    /// Returns the number of scrapers that have the final values.
    pub fn with_final(&self) -> usize {
        self.lock().iter().filter(|one| one.is_scraper && one.has_final).count()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<KnownScraper>> {
        lock(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8, agent: &str, wants_openmetrics: bool) -> Client<'_> {
        Client { address: IpAddr::from([10, 0, 0, last]), agent, wants_openmetrics }
    }

    #[test]
    fn who_counts() {
        let prometheus = client(1, "Prometheus/3.15.0", true);
        for (before, after, expected) in [
            (&[][..], &[][..], 0),
            (&[prometheus], &[], 0),
            (&[prometheus], &[prometheus, prometheus], 1),
            // a single unknown client with Prometheus' headers does not end the wait
            (&[], &[prometheus], 0),
            (&[prometheus], &[client(2, "Prometheus/3.15.0", true)], 0),
            // a pod that lived shorter than a scrape interval
            (&[], &[prometheus, prometheus], 1),
            // a pair, distinguished by address
            (
                &[prometheus, client(2, "Prometheus/3.15.0", true)],
                &[prometheus, client(2, "Prometheus/3.15.0", true)],
                2,
            ),
            // two agents on one node, distinguished by name
            (
                &[prometheus, client(1, "Prometheus/2.53.0", false)],
                &[prometheus, client(1, "Prometheus/2.53.0", false)],
                2,
            ),
            (&[client(1, "vm_promscrape", true)], &[client(1, "vm_promscrape", true)], 1),
            // no known name or format, but the client came before and returns
            (&[client(3, "agent", false); 2], &[client(3, "agent", false)], 1),
            (&[client(3, "curl/8.5.0", false)], &[client(3, "curl/8.5.0", false); 5], 0),
            (&[client(4, "kube-probe/1.36", true); 5], &[client(4, "kube-probe/1.36", true)], 0),
        ] {
            let scrapers = Scrapers::default();
            for one in before {
                scrapers.scraped(*one, false);
            }
            assert_eq!(scrapers.with_final(), 0);
            for one in after {
                scrapers.scraped(*one, true);
            }
            assert_eq!(scrapers.with_final(), expected, "{before:?} {after:?}");
        }
    }

    /// Guarantees: clients with ever new names use no additional memory and displace no scraper.
    #[test]
    fn unknown_clients_put_no_scraper_out() {
        let scrapers = Scrapers::default();
        scrapers.scraped(client(1, "Prometheus/3.15.0", true), false);
        scrapers.scraped(client(1, "Prometheus/3.15.0", true), true);
        for number in 0..1_000 {
            scrapers.scraped(client(9, &format!("client {number}"), false), false);
        }
        assert_eq!(scrapers.lock().len(), CLIENTS_MAX);
        assert_eq!(scrapers.with_final(), 1);
    }
}
