//! Tests with answers of every kind against a separate encoder, hostile answers, and a name server
//! on loopback.

use super::wire::{Answer, answer, is_name, question};
use super::*;
use crate::export::answer::Reason;
use proptest::prelude::*;
use std::fmt::Write as _;
use std::net::UdpSocket as Blocking;
use std::sync::{Arc, Mutex};

/// A record of the answer section: its type and its data.
#[derive(Clone, Debug)]
enum Given {
    V4([u8; 4]),
    V6([u8; 16]),
    /// An alias, or any other record.
    Other(u16, Vec<u8>),
}

/// Encodes an answer as servers do: the owner name as a pointer or in full.
fn written(question: &[u8], code: u8, records: &[(bool, Given)]) -> Vec<u8> {
    let mut message = question.to_vec();
    message[2] |= 0x80;
    message[3] = 0x80 | code;
    message[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
    for (pointer, given) in records {
        message.extend_from_slice(if *pointer { &[0xc0, 12] } else { b"\x04name\x05other\x00" });
        let (kind, data) = match given {
            Given::V4(data) => (1, data.to_vec()),
            Given::V6(data) => (28, data.to_vec()),
            Given::Other(kind, data) => (*kind, data.clone()),
        };
        message.extend_from_slice(&kind.to_be_bytes());
        message.extend_from_slice(&[0, 1, 0, 0, 0, 30]);
        message.extend_from_slice(&(data.len() as u16).to_be_bytes());
        message.extend_from_slice(&data);
    }
    message
}

fn given() -> impl Strategy<Value = Given> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(Given::V4),
        any::<[u8; 16]>().prop_map(Given::V6),
        (2..28u16, prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(k, d)| Given::Other(k, d)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Guarantees: the addresses of the requested type are read in order, whatever records are
    /// between them.
    #[test]
    fn property_addresses_are_read(
        name in "[a-z]{1,63}(\\.[a-z0-9-]{1,20}){0,5}",
        id: u16,
        v6: bool,
        records in prop::collection::vec((any::<bool>(), given()), 0..12),
    ) {
        let query = question(id, &name, if v6 { RecordType::V6 } else { RecordType::V4 });
        let expected: Vec<IpAddr> = records.iter().filter_map(|(_, given)| match given {
            Given::V4(data) if !v6 => Some(IpAddr::from(*data)),
            Given::V6(data) if v6 => Some(IpAddr::from(*data)),
            _ => None,
        }).collect();
        let reply = written(&query, 0, &records);
        let outcome = Some(Lookup::Addresses(expected));
        prop_assert_eq!(answer(&reply, &query), Some(Answer { truncated: false, outcome }));
        // not ours: a different id, a different question, or not an answer
        let mut other = reply.clone();
        other[0] ^= 1;
        prop_assert_eq!(answer(&other, &query), None);
        other.clone_from(&reply);
        other[13] ^= 1;
        prop_assert_eq!(answer(&other, &query), None);
        prop_assert_eq!(answer(&query, &query), None);
        prop_assert_eq!(answer(&written(&query, 2, &[]), &query).map(|a| a.outcome), Some(None));
        let none = answer(&written(&query, 3, &records), &query).and_then(|a| a.outcome);
        prop_assert_eq!(none, Some(Lookup::NoSuchName));
    }

    /// Guarantees: damaged and truncated answers give at most the maximum of addresses, and never a
    /// panic.
    #[test]
    fn property_hostile_answers_are_bounded(
        records in prop::collection::vec((any::<bool>(), given()), 0..40),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
        cut: prop::sample::Index,
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let query = question(7, "otel.infra", RecordType::V4);
        let mut reply = written(&query, 0, &records);
        reply[6] = 0xff;
        for (at, byte) in damage {
            let at = query.len() + at.index(reply.len() - query.len() + 1);
            if let Some(place) = reply.get_mut(at) {
                *place = byte;
            }
        }
        reply.truncate(cut.index(reply.len()) + 1);
        for hostile in [&reply, &noise] {
            if let Some(Answer { outcome: Some(Lookup::Addresses(found)), .. }) = answer(hostile, &query) {
                prop_assert!(found.len() <= 16);
            }
        }
    }
}

#[test]
fn what_can_be_no_name() {
    let long = "x".repeat(64);
    for (name, expected) in [
        ("a.b", true),
        ("", false),
        ("a..b", false),
        (".a", false),
        (&long, false),
        (&"a.".repeat(140), false),
    ] {
        assert_eq!(is_name(name), expected, "{name:?}");
    }
}

/// A name server on loopback that knows some names and records the questions it receives.
struct Server {
    queries: Arc<Mutex<Vec<String>>>,
    resolver: Resolver,
    _home: tempfile::TempDir,
}

/// A server's answer for a name: its return code, its records, and whether it requires TCP.
type Known = (&'static str, u8, Vec<Given>, bool);

/// Binds one port for UDP and TCP. A port that is free for one of them may be taken for the other.
fn port_of_both() -> (Blocking, std::net::TcpListener) {
    for _ in 0..100 {
        let socket = Blocking::bind("127.0.0.1:0").expect("a loopback port");
        if let Ok(listener) = std::net::TcpListener::bind(socket.local_addr().expect("bound")) {
            return (socket, listener);
        }
    }
    panic!("no port is free for UDP and TCP")
}

impl Server {
    fn start(conf: &str, hosts: &str, known: Vec<Known>) -> Server {
        let home = tempfile::tempdir().expect("a temporary directory");
        let (socket, listener) = port_of_both();
        let port = socket.local_addr().expect("bound").port();
        let queries = Arc::new(Mutex::new(Vec::new()));
        let (notes, known) = (Arc::clone(&queries), Arc::new(known));
        let long = Arc::clone(&known);
        std::thread::spawn(move || {
            let mut buffer = [0; 600];
            while let Ok((read, peer)) = socket.recv_from(&mut buffer) {
                let (name, reply) = reply(&buffer[..read], &known, false);
                notes.lock().expect("a test").push(name);
                for message in reply {
                    socket.send_to(&message, peer).expect("it listens");
                }
            }
        });
        std::thread::spawn(move || {
            use std::io::Write;
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                let mut length = [0; 2];
                stream.read_exact(&mut length).expect("a length");
                let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
                stream.read_exact(&mut message).expect("a question");
                for message in reply(&message, &long, true).1 {
                    let length = (message.len() as u16).to_be_bytes();
                    stream.write_all(&[&length, &message[..]].concat()).expect("it reads");
                }
            }
        });
        let resolver = Resolver {
            conf: home.path().join("resolv.conf"),
            hosts: home.path().join("hosts"),
            port,
        };
        std::fs::write(&resolver.conf, conf).expect("a writable directory");
        std::fs::write(&resolver.hosts, hosts).expect("a writable directory");
        Server { queries, resolver, _home: home }
    }

    fn addresses(&self, name: &str) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let found = runtime.expect("a runtime").block_on(self.resolver.addresses(name));
        match found {
            Ok(found) => found.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            Err(error) => Reason::of(&error).what,
        }
    }

    fn queries(&self) -> String {
        let queries = std::mem::take(&mut *self.queries.lock().expect("a test"));
        queries.join(" ")
    }
}

/// Returns the question and the messages that answer it, with unrelated messages first.
fn reply(message: &[u8], known: &[Known], by_connection: bool) -> (String, Vec<Vec<u8>>) {
    let (mut at, mut name) = (12, String::new());
    while message[at] > 0 {
        let length = usize::from(message[at]);
        let label = std::str::from_utf8(&message[at + 1..=at + length]).expect("text");
        write!(name, "{}{label}", if name.is_empty() { "" } else { "." }).expect("a string");
        at += length + 1;
    }
    let kind = if message[at + 2] == 28 { "AAAA" } else { "A" };
    let found = known.iter().find(|(known, ..)| *known == name);
    let (_, code, records, long) = found.cloned().unwrap_or(("", 3, Vec::new(), false));
    let records: Vec<(bool, Given)> = records.into_iter().map(|given| (true, given)).collect();
    let mut answer = written(message, code, &records);
    if long && !by_connection {
        answer = written(message, code, &[]);
        answer[2] |= 2;
    }
    let mut foreign = answer.clone();
    foreign[1] ^= 0xff;
    let messages = if by_connection { vec![answer] } else { vec![b"x".to_vec(), foreign, answer] };
    (format!("{name}/{kind}"), messages)
}

const CLUSTER: &str = "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 127.0.0.1\n\
                       options ndots:5 timeout:1 attempts:1\n";

/// Guarantees: names are looked up in the order of the search list, one type after the other, and
/// the search stops at the first result; a hosts file and addresses need no server.
#[test]
fn names_of_a_cluster() {
    let alias = Given::Other(5, b"\x01x\x00".to_vec());
    let both = vec![alias, Given::V6([0xfd; 16]), Given::V4([10, 96, 3, 7])];
    let many = (0..40).map(|last| Given::V4([10, 0, 0, last])).collect();
    let known = vec![
        ("otel.infra.svc.cluster.local", 0, both, false),
        ("six.shop.svc.cluster.local", 0, vec![Given::V6([0xfd; 16])], false),
        ("headless.shop.svc.cluster.local", 0, many, true),
        ("broken.shop.svc.cluster.local", 2, vec![], false),
    ];
    let server = Server::start(CLUSTER, "10.1.1.1 fixed\n", known);
    let six = "fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd";
    for (name, expected, queries) in [
        ("10.2.3.4", "10.2.3.4", ""),
        ("::1", "::1", ""),
        ("fixed", "10.1.1.1", ""),
        ("localhost", "127.0.0.1 ::1", ""),
        (
            "otel.infra",
            &*format!("10.96.3.7 {six}"),
            "otel.infra.shop.svc.cluster.local/A otel.infra.svc.cluster.local/A otel.infra.svc.cluster.local/AAAA",
        ),
        ("six", six, "six.shop.svc.cluster.local/A six.shop.svc.cluster.local/AAAA"),
        (
            "otel.infra.svc.cluster.local.",
            &*format!("10.96.3.7 {six}"),
            "otel.infra.svc.cluster.local/A otel.infra.svc.cluster.local/AAAA",
        ),
        (
            "gone",
            "no name server knows gone.shop.svc.cluster.local, gone.svc.cluster.local, gone.cluster.local, gone",
            "gone.shop.svc.cluster.local/A gone.svc.cluster.local/A gone.cluster.local/A gone/A",
        ),
        (
            "broken",
            "no name server answers for broken.shop.svc.cluster.local: the server failed or refused",
            "broken.shop.svc.cluster.local/A broken.svc.cluster.local/A broken.cluster.local/A broken/A",
        ),
        ("", "\"\" can be no name of a host", ""),
    ] {
        assert_eq!(server.addresses(name), expected, "{name:?}");
        assert_eq!(server.queries(), queries, "{name:?}");
    }
    let found = server.addresses("headless");
    assert_eq!(
        (found.split(' ').count(), found.starts_with("10.0.0.0 10.0.0.1 ")),
        (16, true),
        "{found}"
    );
}

/// Guarantees: a silent server costs its timeout and no more, and then the next server is queried.
#[test]
fn a_silent_server_is_passed_over() {
    let silent = Blocking::bind("127.0.0.2:0").expect("a loopback port");
    let port = silent.local_addr().expect("bound").port();
    let home = tempfile::tempdir().expect("a temporary directory");
    let conf = home.path().join("resolv.conf");
    std::fs::write(&conf, "nameserver 127.0.0.2\noptions timeout:1 attempts:1\nsearch a b c d\n")
        .expect("writable");
    let resolver = Resolver { conf, hosts: home.path().join("absent"), port };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let found = runtime.expect("a runtime").block_on(resolver.addresses("otel"));
    let error = Reason::of(&found.expect_err("nobody answers")).what;
    assert_eq!(error, "no name server answers for otel.a: timed out");
}
