//! Lines as the usual loggers write them, and the expected value of each field.

use super::super::*;
use crate::clock::UnixNanos;
use crate::record::field::{self, FieldId};
use crate::record::severity::Severity;
use crate::record::{Envelope, Record};

#[track_caller]
fn check(text: &str, expected: &[(FieldId, &str)], severity: Severity, seconds: Option<f64>) {
    // one line, written here as several
    let line: String = text.lines().map(str::trim_start).collect();
    let line = line.as_str();
    let wanted = FieldTable::standard();
    let (mut graph, mut work, mut into) = (LineGraph::new(), Work::default(), Decoded::new());
    for round in 0..2 {
        assert!(read(line, &wanted, &mut graph, &mut work, &mut into), "{line}");
        let record = Record::new(line, &into, UnixNanos(0), Envelope::default());
        for (id, text) in expected {
            assert_eq!(record.text(*id), Some(*text), "{} in round {round}", wanted.name(*id));
        }
        assert_eq!(record.severity(), severity);
        assert_eq!(record.seconds(field::DURATION), seconds);
    }
}

#[test]
fn opentelemetry() {
    check(
        r#"{"Timestamp":"1586960586000000000","TraceId":"f4dbb3edd765f620",
        "SpanId":"43222c2d51a7abe3","TraceFlags":1,"SeverityText":"INFO","SeverityNumber":9,
        "Body":"20200415T072306-0700 INFO I like donuts","Resource":{"service.name":"donut_shop",
        "k8s.pod.uid":"1138528c"},"Attributes":{"http.request.method":"GET",
        "http.route":"/d/{id}","http.response.status_code":200}}"#,
        &[
            (field::TRACE_ID, "f4dbb3edd765f620"),
            (field::SPAN_ID, "43222c2d51a7abe3"),
            (field::TRACE_FLAGS, "1"),
            (field::BODY, "20200415T072306-0700 INFO I like donuts"),
            (field::SERVICE, "donut_shop"),
            (field::HTTP_METHOD, "GET"),
            (field::HTTP_ROUTE, "/d/{id}"),
            (field::HTTP_STATUS, "200"),
        ],
        Severity(9),
        None,
    );
}

#[test]
fn elastic_common_schema_dotted_and_nested() {
    for line in [
        r#"{"@timestamp":"2024-01-15T10:30:00.123Z","log.level":"ERROR","message":"boom",
        "ecs.version":"1.2.0","service.name":"api","event.duration":5000000,
        "trace.id":"0af7651916cd43dd8448eb211c80319c","span.id":"b7ad6b7169203331",
        "log.logger":"app.db","error.type":"java.lang.E","error.message":"no",
        "error.stack_trace":"at a\n\tat b","http.request.method":"POST",
        "http.response.status_code":503,"url.path":"/x"}"#,
        r#"{"@timestamp":"2024-01-15T10:30:00.123Z","log":{"level":"ERROR","logger":"app.db"},
        "message":"boom","ecs":{"version":"1.2.0"},"service":{"name":"api"},
        "event":{"duration":5000000},"trace":{"id":"0af7651916cd43dd8448eb211c80319c"},
        "span":{"id":"b7ad6b7169203331"},"error":{"type":"java.lang.E","message":"no",
        "stack_trace":"at a\n\tat b"},"http":{"request":{"method":"POST"},
        "response":{"status_code":503}},"url":{"path":"/x"}}"#,
    ] {
        check(
            line,
            &[
                (field::TIMESTAMP, "2024-01-15T10:30:00.123Z"),
                (field::BODY, "boom"),
                (field::SERVICE, "api"),
                (field::TRACE_ID, "0af7651916cd43dd8448eb211c80319c"),
                (field::SPAN_ID, "b7ad6b7169203331"),
                (field::LOGGER, "app.db"),
                (field::ERROR_TYPE, "java.lang.E"),
                (field::EXCEPTION_MESSAGE, "no"),
                (field::EXCEPTION_STACKTRACE, "at a\n\tat b"),
                (field::HTTP_METHOD, "POST"),
                (field::HTTP_STATUS, "503"),
                (field::URL_PATH, "/x"),
            ],
            Severity::ERROR,
            Some(0.005),
        );
    }
}

#[test]
fn node_bunyan_and_pino() {
    check(
        r#"{"name":"shop","hostname":"h","pid":7,"level":30,"req":{"method":"GET","url":"/p/1",
        "headers":{"host":"a"}},"res":{"statusCode":200},"latency":15,"msg":"done",
        "time":"2024-01-15T10:30:00.123Z","v":0}"#,
        &[
            (field::LOGGER, "shop"),
            (field::HTTP_METHOD, "GET"),
            (field::URL_PATH, "/p/1"),
            (field::HTTP_STATUS, "200"),
            (field::BODY, "done"),
        ],
        Severity::INFO,
        None,
    );
    check(
        r#"{"level":50,"time":1705314600123,"pid":1,"hostname":"h","reqId":"req-1","req":{"id":3,
        "method":"GET","url":"/"},"res":{"statusCode":500},"err":{"type":"Error","message":"x",
        "stack":"Error: x\n    at y"},"responseTime":12,"msg":"request errored"}"#,
        &[
            (field::TIMESTAMP, "1705314600123"),
            (field::REQUEST_ID, "req-1"),
            (field::ERROR_TYPE, "Error"),
            (field::EXCEPTION_MESSAGE, "x"),
            (field::EXCEPTION_STACKTRACE, "Error: x\n    at y"),
        ],
        Severity::ERROR,
        Some(0.012),
    );
}

#[test]
fn go_zap_logrus_slog() {
    check(
        r#"{"level":"error","ts":1705314600.1234567,"logger":"main","caller":"app/main.go:42",
        "msg":"failed","error":"EOF","stacktrace":"main.main\n\t/app/main.go:42"}"#,
        &[
            (field::TIMESTAMP, "1705314600.1234567"),
            (field::CODE_FILE, "app/main.go:42"),
            (field::EXCEPTION_MESSAGE, "EOF"),
            (field::EXCEPTION_STACKTRACE, "main.main\n\t/app/main.go:42"),
        ],
        Severity::ERROR,
        None,
    );
    check(
        r#"{"animal":"walrus","level":"warning","msg":"The group's number",
        "time":"2014-03-10T19:57:38-04:00"}"#,
        &[(field::TIMESTAMP, "2014-03-10T19:57:38-04:00"), (field::BODY, "The group's number")],
        Severity::WARN,
        None,
    );
    check(
        r#"{"time":"2024-01-15T10:30:00.123456789Z","level":"INFO","msg":"hello","count":3,
        "took_ms":2.5}"#,
        &[(field::BODY, "hello")],
        Severity::INFO,
        Some(0.0025),
    );
}

#[test]
fn python_structlog_and_json_logger() {
    check(
        r#"{"event":"user_logged_in","user_id":7,"level":"info",
        "timestamp":"2024-01-15T10:30:00Z","logger":"auth"}"#,
        &[(field::BODY, "user_logged_in"), (field::LOGGER, "auth")],
        Severity::INFO,
        None,
    );
    check(
        r#"{"asctime": "2024-01-15 10:30:00,123", "levelname": "CRITICAL", "name": "root",
        "message": "x \u00e9", "funcName": "f", "lineno": 7,
        "exc_info": "Traceback (most recent call last):\n  File \"a.py\""}"#,
        &[
            (field::TIMESTAMP, "2024-01-15 10:30:00,123"),
            (field::BODY, "x \u{e9}"),
            (field::FUNCTION, "f"),
            (field::CODE_LINE, "7"),
            (field::EXCEPTION_STACKTRACE, "Traceback (most recent call last):\n  File \"a.py\""),
        ],
        Severity(21),
        None,
    );
}

#[test]
fn the_founding_documents() {
    check(
        r#"{"timestamp": "2024-01-15T10:30:00.123456", "level": "ERROR", "logger": "app",
        "module": "m", "function": "pay", "line": 12, "message": "failed", "user_id": 5,
        "request_id": "r-1", "exception": "Traceback"}"#,
        &[
            (field::FUNCTION, "pay"),
            (field::CODE_LINE, "12"),
            (field::REQUEST_ID, "r-1"),
            (field::EXCEPTION_STACKTRACE, "Traceback"),
        ],
        Severity::ERROR,
        None,
    );
    check(
        r#"{"timestamp": "2024-01-15T10:30:00.123456", "level": "INFO", "logger": "app",
        "message": "HTTP Request", "data": {"method": "GET", "path": "/api/users/7",
        "status_code": 200, "duration_ms": 12.5, "request_id": "r-2"}}"#,
        &[
            (field::BODY, "HTTP Request"),
            (field::HTTP_METHOD, "GET"),
            (field::URL_PATH, "/api/users/7"),
            (field::HTTP_STATUS, "200"),
            (field::REQUEST_ID, "r-2"),
        ],
        Severity::INFO,
        Some(0.0125),
    );
    check(
        r#"{"timestamp":"2024-01-15T10:30:00","level":"DEBUG","message":"Database Query",
        "data":{"query":"SELECT * FROM users","duration_ms":3,"rows_affected":1}}"#,
        &[(field::DB_QUERY, "SELECT * FROM users")],
        Severity::DEBUG,
        Some(0.003),
    );
}
