//! Tests of the spans that lines become, decoded with prost.

use super::*;
use crate::clock::UnixNanos;
use crate::outbox::{BatchSize, Capacity};
use crate::record::field::FieldId;
use crate::record::slots::SlotValue;
use crate::record::{Decoded, Envelope};
use encode::Item;
use opentelemetry_proto::tonic::trace::v1 as proto;
use prost::Message;
use std::time::Duration;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
const END: UnixNanos = UnixNanos(1_700_000_000_500_000_000);

const REQUEST: EndedWork<'static> = EndedWork {
    operation: Operation::Request,
    seconds: 0.25,
    end: END,
    subject: "/orders/{id}",
    verb: "GET",
    status_code: 200,
    failed: false,
    is_requested: false,
};
const QUERY: EndedWork<'static> = EndedWork {
    operation: Operation::Query,
    subject: "orders",
    verb: "SELECT",
    status_code: 0,
    ..REQUEST
};
const INTERNAL: EndedWork<'static> = EndedWork {
    operation: Operation::Internal,
    subject: "shop.pay",
    verb: "",
    status_code: 0,
    ..REQUEST
};

struct Bench {
    maker: SpanMaker,
    outbox: Arc<Outbox>,
    telemetry: Telemetry,
}

fn bench(settings: Settings) -> Bench {
    let resource = Resource { service_name: "shop".to_owned(), attributes: Vec::new() };
    let telemetry = Telemetry::new();
    let outbox = Outbox::new(Capacity::SPANS);
    let maker = SpanMaker::new(settings, &resource, Arc::clone(&outbox), &telemetry);
    Bench { maker, outbox, telemetry }
}

impl Bench {
    fn finish(&mut self, fields: &[(FieldId, &str)], work: &EndedWork<'_>) -> Option<SpanRef> {
        with_record(fields, |record| self.maker.finished(record, 1, work))
    }

    /// Returns all spans that reached the outbox, with their service.
    fn spans(&mut self) -> Vec<(String, proto::Span)> {
        self.maker.flush();
        if self.outbox.held() == 0 {
            return Vec::new();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let mut chunk = Chunk::default();
        let most = BatchSize { items_max: 1000, bytes_max: 1 << 20 };
        let taken = self.outbox.take(&mut chunk, most, Duration::ZERO);
        assert!(runtime.expect("a runtime").block_on(taken));
        let read = |item| {
            let Item { service, field, .. } = Item::read(item).expect("what was written");
            let mut spans = proto::ScopeSpans::decode(field).expect("legal protobuf").spans;
            (service.to_owned(), spans.remove(0))
        };
        chunk.items().map(read).collect()
    }

    fn one(&mut self, fields: &[(FieldId, &str)], work: &EndedWork<'_>) -> proto::Span {
        let made = self.finish(fields, work).expect("a span");
        let (_, span) = self.spans().pop().expect("it reached the outbox");
        assert_eq!(span.trace_id, made.trace_id);
        assert_eq!(span.span_id, made.span_id);
        span
    }

    fn skipped(&mut self, reason: &str) -> u64 {
        self.maker.flush();
        self.telemetry.spans_skipped.with_label_values(&[reason]).get()
    }
}

fn with_record<T>(fields: &[(FieldId, &str)], then: impl FnOnce(&Record<'_>) -> T) -> T {
    let mut line = String::from("{\"card\":\"4111111111111111\"} ");
    let mut decoded = Decoded::new();
    for (field, text) in fields {
        let start = line.len();
        line.push_str(text);
        decoded.slots.put(*field, SlotValue::text(start, line.len()));
    }
    then(&Record::new(&line, &decoded, END, Envelope::default()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Returns attributes as `key=value`, in order.
fn attributes(pairs: &[opentelemetry_proto::tonic::common::v1::KeyValue]) -> Vec<String> {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    pairs
        .iter()
        .map(|pair| match pair.value.as_ref().and_then(|any| any.value.as_ref()) {
            Some(Value::StringValue(text)) => format!("{}={text}", pair.key),
            Some(Value::IntValue(number)) => format!("{}={number}", pair.key),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn names_kinds_and_attributes() {
    let none = [];
    let db = [(field::DB_SYSTEM, "postgresql")];
    let error = [(field::ERROR_TYPE, "ValueError")];
    let sentence =
        [(field::ERROR_TYPE, "card 4111111111111111 refused"), (field::DB_SYSTEM, "a b")];
    let failed = EndedWork { status_code: 503, ..REQUEST };
    let broken = EndedWork { failed: true, ..INTERNAL };
    for (fields, work, name, kind, expected) in [
        (
            &none[..],
            REQUEST,
            "GET /orders/{id}",
            2,
            "http.request.method=GET http.route=/orders/{id} http.response.status_code=200",
        ),
        (
            &none,
            EndedWork { verb: "get", status_code: 0, ..REQUEST },
            "GET /orders/{id}",
            2,
            "http.request.method=GET http.route=/orders/{id}",
        ),
        (
            &none,
            EndedWork { verb: "BREW tea", ..REQUEST },
            "HTTP /orders/{id}",
            2,
            "http.request.method=_OTHER http.route=/orders/{id} http.response.status_code=200",
        ),
        (
            &none,
            failed,
            "GET /orders/{id}",
            2,
            "http.request.method=GET http.route=/orders/{id} http.response.status_code=503 \
             error.type=503",
        ),
        (
            &error,
            failed,
            "GET /orders/{id}",
            2,
            "http.request.method=GET http.route=/orders/{id} http.response.status_code=503 \
             error.type=ValueError",
        ),
        (
            &none,
            EndedWork { status_code: 404, ..REQUEST },
            "GET /orders/{id}",
            2,
            "http.request.method=GET http.route=/orders/{id} http.response.status_code=404",
        ),
        (
            &db,
            QUERY,
            "SELECT orders",
            3,
            "db.operation.name=SELECT db.collection.name=orders db.system.name=postgresql",
        ),
        (&none, EndedWork { verb: "", subject: "", ..QUERY }, "query", 3, ""),
        (&error, INTERNAL, "shop.pay", 1, "code.function.name=shop.pay"),
        (&error, broken, "shop.pay", 1, "code.function.name=shop.pay error.type=ValueError"),
        (&sentence, broken, "shop.pay", 1, "code.function.name=shop.pay error.type=_OTHER"),
        (
            &sentence,
            QUERY,
            "SELECT orders",
            3,
            "db.operation.name=SELECT db.collection.name=orders",
        ),
    ] {
        let mut all = vec![(field::REQUEST_ID, "REQ123")];
        all.extend_from_slice(fields);
        let span = bench(Settings::default()).one(&all, &work);
        assert_eq!((&*span.name, span.kind), (name, kind), "{work:?}");
        assert_eq!(attributes(&span.attributes).join(" "), expected, "{work:?}");
        assert_eq!(span.end_time_unix_nano, END.0);
        assert_eq!(span.start_time_unix_nano, END.0 - 250_000_000);
        let is_error = work.failed || work.status_code >= 500;
        assert_eq!(span.status.map(|status| status.code), is_error.then_some(2), "{work:?}");
    }
}

/// Scenario: a request and its queries carry only a request id. Guarantees: they form one trace
/// with the hash of the request id as its id, and the queries are children of the request, whichever
/// line comes first.
#[test]
fn a_request_id_makes_a_tree() {
    let mut bench = bench(Settings::default());
    let id = [(field::REQUEST_ID, "REQ123"), (field::TRACE_ID, "no_trace"), (field::SPAN_ID, "-")];
    let query = bench.one(&id, &QUERY);
    let again = bench.one(&id, &QUERY);
    let request = bench.one(&id, &REQUEST);
    assert_eq!(hex(&request.trace_id), "00b45680cdd4a41c31931e2d556854d0");
    assert_eq!(query.trace_id, request.trace_id);
    assert_eq!(query.parent_span_id, request.span_id);
    assert!(request.parent_span_id.is_empty());
    assert_ne!(query.span_id, again.span_id, "equal lines are different work");
    let trace = TraceId::from_bytes(request.trace_id.try_into().expect("16 bytes"));
    assert_eq!(request.span_id, server_span_id(trace, "shop").to_bytes());
    assert_ne!(server_span_id(trace, "cart"), server_span_id(trace, "shop"));
}

/// Guarantees: the same lines give the same ids in another process, so `replay` shows the ids of
/// `run`.
#[test]
fn ids_are_the_same_in_every_process() {
    let made = || bench(Settings::default()).finish(&[(field::TRACE_ID, TRACE)], &QUERY);
    assert_eq!(made(), made());
    assert_eq!(hex(&made().expect("a span").span_id), "8f799e42bcdffd5e");
}

#[test]
fn where_a_span_belongs() {
    let requested = EndedWork { is_requested: true, ..REQUEST };
    let header = format!("00-{TRACE}-{SPAN}-01");
    let dashed = "4bf92f35-77b3-4da6-a3ce-929d0e0e4736";
    for (fields, work, parent) in [
        (&[(field::TRACE_ID, TRACE)][..], REQUEST, ""),
        (&[(field::TRACE_ID, TRACE)], QUERY, ""),
        (&[(field::TRACE_ID, TRACE), (field::PARENT_SPAN_ID, SPAN)], QUERY, SPAN),
        (&[(field::TRACE_ID, TRACE), (field::SPAN_ID, SPAN)], requested, SPAN),
        (&[(field::TRACE_ID, TRACE), (field::SPAN_ID, "no_span")], REQUEST, ""),
        (&[(field::TRACEPARENT, &*header)], REQUEST, SPAN),
        (&[(field::REQUEST_ID, dashed), (field::SPAN_ID, SPAN)], QUERY, SPAN),
        (&[(field::TRACE_ID, dashed), (field::SPAN_ID, dashed)], QUERY, "4bf92f3577b34da6"),
        (&[(field::TRACE_ID, TRACE), (field::TRACE_FLAGS, "01")], REQUEST, ""),
    ] {
        let span = bench(Settings::default()).one(fields, &work);
        assert_eq!((hex(&span.trace_id), hex(&span.parent_span_id)), (TRACE.into(), parent.into()));
        assert_ne!(hex(&span.span_id), SPAN, "{fields:?}");
    }
}

#[test]
fn lines_that_become_no_span() {
    let ids = [(field::TRACE_ID, TRACE), (field::SPAN_ID, SPAN)];
    let off = [(field::TRACE_ID, TRACE), (field::TRACE_FLAGS, "00")];
    let header = format!("00-{TRACE}-{SPAN}-00");
    let requested = EndedWork { is_requested: true, ..REQUEST };
    for (fields, work, reason) in [
        (&ids[..], REQUEST, "already_traced"),
        (
            &[(field::TRACE_ID, "11803532876627986230"), (field::SPAN_ID, "1234567890123456789")],
            REQUEST,
            "already_traced",
        ),
        (&off, requested, "unsampled"),
        (&[(field::TRACEPARENT, &*header)], REQUEST, "unsampled"),
        (&[(field::REQUEST_ID, "NO_REQUEST")], REQUEST, "no_id"),
        (&[], REQUEST, "no_id"),
        (&[(field::REQUEST_ID, "r")], EndedWork { seconds: f64::NAN, ..REQUEST }, "bad_duration"),
        (&[(field::REQUEST_ID, "r")], EndedWork { seconds: -1.0, ..REQUEST }, "bad_duration"),
        (&[(field::REQUEST_ID, "r")], EndedWork { seconds: 1e300, ..REQUEST }, "bad_duration"),
    ] {
        let mut bench = bench(Settings::default());
        assert_eq!(bench.finish(fields, &work), None, "{fields:?}");
        assert_eq!(bench.skipped(reason), 1, "{reason}");
        assert!(bench.spans().is_empty());
    }
    let own = with_record(&ids, own_ids).expect("its own ids");
    assert_eq!((hex(&own.trace_id), hex(&own.span_id)), (TRACE.into(), SPAN.into()));
    assert_eq!(with_record(&off, own_ids), None);
}

/// Guarantees: the text of an exception leaves only if the setting allows it; its class always
/// leaves if it is a valid name.
#[test]
fn exceptions_keep_their_text() {
    let fields = [
        (field::REQUEST_ID, "r"),
        (field::EXCEPTION_TYPE, "shop.PaymentError"),
        (field::EXCEPTION_MESSAGE, "card 4111"),
        (field::EXCEPTION_STACKTRACE, "Traceback: 4111"),
    ];
    let failed = EndedWork { failed: true, ..REQUEST };
    let span = bench(Settings::default()).one(&fields, &failed);
    assert_eq!(span.events.len(), 1);
    assert_eq!((&*span.events[0].name, span.events[0].time_unix_nano), ("exception", END.0));
    assert_eq!(attributes(&span.events[0].attributes), ["exception.type=shop.PaymentError"]);
    assert!(attributes(&span.attributes).contains(&"error.type=shop.PaymentError".to_owned()));
    let span =
        bench(Settings { exception_text: true, ..Settings::default() }).one(&fields, &failed);
    let expected = [
        "exception.type=shop.PaymentError",
        "exception.message=card 4111",
        "exception.stacktrace=Traceback: 4111",
    ];
    assert_eq!(attributes(&span.events[0].attributes), expected);
}

/// Scenario: a thousand secrets in all fields of a line. Guarantees: no span contains one.
#[test]
fn canaries_stay_here() {
    let mut bench = bench(Settings::default());
    for number in 0..1000 {
        let canary = format!("sk-canary {number} 4111111111111111");
        let every = (0..field::FIRST_OWN).map(|field| (FieldId(field), canary.as_str()));
        let fields: Vec<_> = every.chain([(field::SPAN_ID, ""), (field::TRACE_ID, "")]).collect();
        for work in [REQUEST, QUERY, INTERNAL] {
            let subject = match work.operation {
                Operation::Request => work.subject,
                Operation::Query | Operation::Internal => &canary,
            };
            let work = EndedWork { failed: true, verb: &canary, subject, ..work };
            bench.finish(&fields, &work).expect("a span");
        }
        bench.maker.flush();
    }
    let text = format!("{:?}", bench.spans());
    assert!(text.contains("_OTHER") && !text.contains("canary"));
}

#[test]
fn services_of_their_own() {
    for (service, expected) in [("cart", "cart"), ("shop", ""), ("a b", ""), ("", "")] {
        let mut bench = bench(Settings::default());
        bench.finish(&[(field::REQUEST_ID, "r"), (field::SERVICE, service)], &REQUEST);
        assert_eq!(bench.spans()[0].0, expected);
    }
}

/// Guarantees: offered spans are counted, spans that do not fit are dropped with their reason, and
/// no span is created without an exporter.
#[test]
fn the_ledger_of_spans() {
    let mut bench = bench(Settings::default());
    for _ in 0..Capacity::SPANS.items_max + 5 {
        bench.finish(&[(field::REQUEST_ID, "r")], &QUERY);
    }
    bench.maker.flush();
    assert_eq!(bench.telemetry.offered.with_label_values(&["spans"]).get(), 8_197);
    assert_eq!(bench.telemetry.dropped.with_label_values(&["spans", "queue_full"]).get(), 5);
    let mut off = SpanMaker::disabled();
    assert!(!off.enabled());
    assert_eq!(with_record(&[(field::REQUEST_ID, "r")], |r| off.finished(r, 1, &REQUEST)), None);
    off.flush();
}
