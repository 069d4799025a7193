//! Tests the real binary with clients that do not write lines: what their records become, and that
//! the ledger closes over what is torn or damaged.

use crate::process::{Setup, Sidecar};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// Records that CPython pickled; the columns are described in `tests/oracles/pickles.py`.
const RECORDS: &str = include_str!("../src/transcode/python/records.txt");

/// Returns a pickled record with its length in front, as `SocketHandler` sends it.
pub(crate) fn pickled(name: &str) -> Vec<u8> {
    let case = RECORDS.lines().find(|line| line.starts_with(&format!("{name}\t1\t")));
    let hex = case.and_then(|case| case.split('\t').nth(2)).expect("there is such a record");
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("hexadecimal") as u8;
    let pairs = hex.as_bytes().chunks_exact(2);
    let pickle: Vec<u8> = pairs.map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect();
    [&(pickle.len() as u32).to_be_bytes()[..], &pickle].concat()
}

/// Returns a message of Fluent Forward with two errors, for which the client awaits an answer.
pub(crate) fn forwarded() -> Vec<u8> {
    let entry = b"\x92\xce\x69\x57\x35\xa4\x82\xa5level\xa5error\xa7message\xa8no stock";
    let options = b"\x81\xa5chunk\xa2c1";
    [&b"\x93\xabshop.orders\x92"[..], entry, entry, options].concat()
}

/// Scenario: one application writes pickled records and tears one; another uses NUL, a third octet
/// counting, a fourth Fluent Forward; datagrams are pickled, come from a client of journald, or are compressed.
/// Guarantees: each record counts with its level and its error, what is torn or damaged is counted,
/// and the ledger closes.
#[test]
fn one_socket_takes_every_protocol() {
    let sidecar = Sidecar::start(Setup::default());
    let connect = || UnixStream::connect(&sidecar.stream).expect("it listens");
    let mut python = connect();
    let record = pickled("exception");
    python.write_all(&record[..90]).expect("it reads");
    python.write_all(&pickled("trace_context")).expect("it reads");
    python.write_all(&pickled("exception")).expect("it reads");
    let mut nul = connect();
    nul.write_all(b"<11>first\nTraceback (most recent call last):\n  x\nOSError: y\0<14>b\0")
        .expect("it reads");
    let mut counted = connect();
    counted.write_all(b"7 <12>one10 <14>a\nb\nc\n").expect("it reads");
    let mut fluent = connect();
    fluent.write_all(&forwarded()).expect("it reads");
    let mut answer = [0; 9];
    fluent.read_exact(&mut answer).expect("the chunk is acknowledged");
    assert_eq!(&answer, b"\x81\xa3ack\xd9\x02c1");
    sidecar.send(&pickled("plain"));
    sidecar.send(b"MESSAGE=no stock\nPRIORITY=4\n");
    sidecar.send(&[0x1f, 0x8b, 8, 0, 1, 2, 3]);
    sidecar.send(b"\0\0\0\x10}q\0.............");
    for line in [
        "sidelight_frames_decoded_total{format=\"pickle\"} 3",
        "sidelight_frames_decoded_total{format=\"journal\"} 1",
        "sidelight_frames_decoded_total{format=\"forward\"} 2",
        "sidelight_frames_refused_total{reason=\"undecodable\"} 2",
        "sidelight_frames_torn_total 1",
        "log_records_total{service=\"unknown_service\",level=\"ERROR\"} 6",
        "log_records_total{service=\"unknown_service\",level=\"WARN\"} 2",
        "log_records_total{service=\"unknown_service\",level=\"INFO\"} 2",
        "log_errors_total{error_type=\"ValueError\",kind=\"unexpected\"} 1",
        "log_errors_total{error_type=\"OSError\",kind=\"unexpected\"} 1",
    ] {
        sidecar.wait_metric(line);
    }
    drop((python, nul, counted, fluent));
    let ending = sidecar.stop();
    let ledger = ending.ledger();
    assert_eq!((ledger["received"], ledger["decoded"], ledger["refused"]), (12, 10, 2));
    assert_eq!((ledger["lost"], ending.code), (0, Some(0)));
}
