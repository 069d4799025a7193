//! The fields that sidelight knows, under OpenTelemetry's names, and the keys under which loggers
//! write them. A `FieldTable` lists what decoding looks for: the standard fields and the fields
//! that a user's rules name. It is built once when rules are compiled, and only read while lines
//! are processed.

use super::dictionary::{DICTIONARY, DictionaryKey, Framework, WRAPPERS};
use foldhash::fast::RandomState;
use std::collections::{HashMap, HashSet};

/// The number of a field. Fields below 64 have a bit in [`super::slots::Slots::present`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct FieldId(pub u16);

impl FieldId {
    /// No field.
    pub const NONE: FieldId = FieldId(u16::MAX);

    /// Returns the bit of a masked field; 0 for the others.
    #[inline]
    pub const fn bit(self) -> u64 {
        if self.0 < 64 { 1 << self.0 } else { 0 }
    }
}

/// The unit of a number, if the key or the format defines one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Unit {
    /// No unit is defined: the number is not a duration.
    None,
    /// `duration_s`, nginx' `request_time`.
    Seconds,
    /// `duration_ms`.
    Milliseconds,
    /// `duration_us`.
    Microseconds,
    /// `duration_ns`, ECS `event.duration`.
    Nanoseconds,
}

impl Unit {
    /// Returns how many of this unit make a second.
    #[inline]
    pub fn per_second(self) -> Option<f64> {
        match self {
            Unit::None => None,
            Unit::Seconds => Some(1.0),
            Unit::Milliseconds => Some(1e3),
            Unit::Microseconds => Some(1e6),
            Unit::Nanoseconds => Some(1e9),
        }
    }

    /// Returns the unit with this symbol: `s`, `ms`, `us`, `ns`.
    pub fn of_symbol(symbol: &str) -> Unit {
        match symbol {
            "s" => Unit::Seconds,
            "ms" => Unit::Milliseconds,
            "us" => Unit::Microseconds,
            "ns" => Unit::Nanoseconds,
            _ => Unit::None,
        }
    }

    /// Returns the unit that the suffix of a key names: `_ms`, `Ms`, `_seconds`, ...
    pub fn of_suffix(key: &str) -> Unit {
        let ends = |all: &[&str]| all.iter().any(|end| key.ends_with(end));
        if ends(&["_ms", ".ms", "Ms", "_millis", "Millis", "_msec", "_milliseconds"]) {
            Unit::Milliseconds
        } else if ends(&["_us", "Us", "_micros", "_usec", "_microseconds"]) {
            Unit::Microseconds
        } else if ends(&["_ns", "Ns", "_nanos", "_nanoseconds"]) {
            Unit::Nanoseconds
        } else if ends(&["_s", "_sec", "_secs", "_seconds", "Seconds"]) {
            Unit::Seconds
        } else {
            Unit::None
        }
    }
}

macro_rules! fields {
    ($( $(#[$doc:meta])* $constant:ident = $number:literal, $name:literal, [$($key:literal),* $(,)?]; )*) => {
        $( $(#[$doc])* pub const $constant: FieldId = FieldId($number); )*
        /// Name and keys of every standard field; the index is the number of the field. The first
        /// key has the best rank.
        pub const STANDARD: &[(&str, &[&str])] = &[$( ($name, &[$($key),*]) ),*];
    };
}

fields! {
    /// When the event occurred.
    TIMESTAMP = 0, "timestamp", [
        "timestamp", "time", "@timestamp", "ts", "Timestamp", "datetime", "asctime",
        "time_iso8601", "eventTime", "date", "t", "fluent.time",
    ];
    /// The level as text or as a logger's number.
    SEVERITY = 1, "severity_text", [
        "severity_text", "severityText", "SeverityText", "level", "severity", "levelname",
        "log.level", "lvl", "loglevel", "log_level", "Level", "L",
    ];
    /// OpenTelemetry's SeverityNumber.
    SEVERITY_NUMBER = 2, "severity_number", ["severity_number", "severityNumber", "SeverityNumber"];
    /// The message.
    BODY = 3, "body", ["body", "Body", "message", "msg", "event", "@message", "short_message", "@m", "M"];
    /// The trace that the line belongs to.
    TRACE_ID = 4, "trace_id", [
        "trace_id", "traceId", "TraceId", "trace.id", "traceid", "traceID", "otelTraceID",
        "dd.trace_id", "trace",
    ];
    /// The span that the line belongs to.
    SPAN_ID = 5, "span_id", [
        "span_id", "spanId", "SpanId", "span.id", "spanid", "spanID", "otelSpanID", "dd.span_id",
    ];
    /// W3C trace flags.
    TRACE_FLAGS = 6, "trace_flags", ["trace_flags", "traceFlags", "TraceFlags", "otelTraceSampled"];
    /// A whole W3C traceparent header.
    TRACEPARENT = 7, "traceparent", ["traceparent", "trace_parent", "traceParent"];
    /// The parent of the span.
    PARENT_SPAN_ID = 8, "parent_span_id", ["parent_span_id", "parentSpanId", "parent_id", "parent.id"];
    /// An id that groups the lines of one request.
    REQUEST_ID = 9, "request_id", [
        "request_id", "requestId", "req_id", "reqId", "requestID", "x_request_id",
        "http.request.id", "correlation_id", "correlationId", "req.id", "rid",
    ];
    /// The service that wrote the line.
    SERVICE = 10, "service.name", [
        "service.name", "service", "service_name", "serviceName", "Resource.service.name",
        "resource.service.name", "app", "application", "app_name",
    ];
    /// The logger's name.
    LOGGER = 11, "logger.name", [
        "logger", "logger_name", "log.logger", "loggerName", "logger.name", "name", "N",
    ];
    /// The function that wrote the line.
    FUNCTION = 12, "code.function.name", [
        "code.function.name", "code.function", "function", "funcName", "func", "func_name",
    ];
    /// The file that wrote the line.
    CODE_FILE = 13, "code.file.path", [
        "code.file.path", "code.filepath", "filename", "pathname", "file", "caller", "C",
        "log.origin.file.name",
    ];
    /// Its line number.
    CODE_LINE = 14, "code.line.number", [
        "code.line.number", "code.lineno", "lineno", "line", "log.origin.file.line",
    ];
    /// The request's method.
    HTTP_METHOD = 15, "http.request.method", [
        "http.request.method", "method", "http.method", "http_method", "request_method",
        "req.method", "httpMethod", "verb", "httpRequest.requestMethod", "request.method",
    ];
    /// The route, already a template.
    HTTP_ROUTE = 16, "http.route", [
        "http.route", "route", "endpoint", "url.template", "path_template", "route_path",
    ];
    /// The path of the request, possibly with a query.
    URL_PATH = 17, "url.path", [
        "url.path", "path", "http.target", "uri", "request_uri", "req.url", "url", "http.url",
        "url.original", "url.full", "request_path", "requestPath", "request.path",
        "httpRequest.requestUrl",
    ];
    /// The response's status code.
    HTTP_STATUS = 18, "http.response.status_code", [
        "http.response.status_code", "status_code", "status", "http.status_code", "http_status",
        "statusCode", "res.statusCode", "response_status", "response.status", "httpRequest.status",
    ];
    /// The duration of the operation; used only if its unit is known.
    DURATION = 19, "duration", [
        "duration_ms", "duration_seconds", "duration_s", "duration", "elapsed_ms",
        "elapsed_seconds", "elapsed", "latency_ms", "latency_seconds", "latency",
        "response_time_ms", "responseTime", "request_time", "request_duration_ms",
        "request_duration_seconds", "took_ms", "durationMs", "elapsedMs", "latencyMs",
        "duration_us", "duration_ns", "event.duration", "execution_time_ms", "process_time_ms",
        "query_time_ms", "response_time", "took", "httpRequest.latency",
    ];
    /// The text of a database query.
    DB_QUERY = 20, "db.query.text", ["db.query.text", "query", "sql", "db.statement", "statement"];
    /// The operation of a database query.
    DB_OPERATION = 21, "db.operation.name", ["db.operation.name", "db.operation", "db_operation"];
    /// The table of a database query.
    DB_TABLE = 22, "db.collection.name", ["db.collection.name", "db.sql.table", "table", "db_table"];
    /// The kind of database.
    DB_SYSTEM = 23, "db.system.name", ["db.system.name", "db.system", "db_system"];
    /// The type of the error.
    ERROR_TYPE = 24, "error.type", [
        "error.type", "error_type", "errorType", "err.type", "error.name", "err.name",
    ];
    /// The class of the exception.
    EXCEPTION_TYPE = 25, "exception.type", [
        "exception.type", "exception_type", "exc_type", "exception.class", "error.class",
    ];
    /// The message of the exception.
    EXCEPTION_MESSAGE = 26, "exception.message", [
        "exception.message", "exception_message", "error.message", "err.message", "exc_message",
        "error", "err",
    ];
    /// The traceback.
    EXCEPTION_STACKTRACE = 27, "exception.stacktrace", [
        "exception.stacktrace", "stacktrace", "stack_trace", "error.stack_trace", "err.stack",
        "stack", "traceback", "exception", "exc_info", "exc_text", "error.stack", "S",
    ];
    /// The client's address.
    CLIENT_ADDRESS = 28, "client.address", [
        "client.address", "client_ip", "remote_addr", "client.ip", "remote_ip", "remoteAddress",
        "ip",
    ];
    /// The user agent.
    USER_AGENT = 29, "user_agent.original", [
        "user_agent.original", "user_agent", "http_user_agent", "userAgent",
    ];
    /// A numeric level of Python's logging.
    PYTHON_LEVEL = 30, "levelno", ["levelno"];
    /// The thread that wrote the line.
    THREAD = 31, "thread.name", [
        "thread.name", "thread_name", "threadName", "thread", "log.thread.name",
    ];
    /// A method and a path in one text, `GET /orders HTTP/1.1`. Decoding splits it.
    REQUEST_LINE = 32, "request_line", ["request_line", "request", "requestLine", "http_request"];
    /// A key that identifies the framework; its rank is its number. Decoding removes it.
    FRAMEWORK = 33, "framework", [];
    /// The kind of span that the line describes.
    SPAN_KIND = 34, "span.kind", ["span.kind", "span_kind", "spanKind", "kind", "direction"];
    /// What shows that the line describes a call to another service. Decoding sets it.
    CLIENT_CALL = 35, "client_call", [];
}

/// Added to the rank of a key inside a wrapper.
const WRAPPED: u8 = 128;

/// The first number of the fields that rules name.
pub const FIRST_OWN: u16 = STANDARD.len() as u16;

/// The meaning of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Binding {
    /// The standard field, or a field of a rule; [`FieldId::NONE`] if only `also` applies.
    pub field: FieldId,
    /// A second field that gets the same value as it is written, because a rule names this key.
    pub also: FieldId,
    /// The rank of the key for `field`; 0 is best. Ranks of flat keys are even: the odd rank after
    /// a key belongs to the nested spelling of the same name, because a flat key wins over a nested
    /// one.
    pub rank: u8,
    /// The unit that the key defines.
    pub unit: Unit,
}

/// What decoding looks for: keys, as dotted paths, and their meanings.
#[derive(Debug)]
pub struct FieldTable {
    names: Vec<Box<str>>,
    // every unknown key of every line is looked up here, twice: a hash takes 2 ns, not 20
    keys: HashMap<Box<str>, Binding, RandomState>,
    prefixes: HashSet<Box<str>, RandomState>,
    aliases: Vec<(FieldId, FieldId)>,
    framed: Vec<Framed>,
    /// The keys that are valid only in lines of one framework, and the bits of their fields.
    private: Vec<Framed>,
    private_fields: u64,
    marks: Vec<(FieldId, u8, u8)>,
}

/// A key of the dictionary, identified by its field and rank.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Framed {
    /// The framework's number in the dictionary.
    pub framework: u8,
    /// The field of the key in lines of other frameworks.
    pub field: FieldId,
    /// The rank of the key.
    pub rank: u8,
    /// The field of the key in lines of this framework.
    pub to: FieldId,
    /// The unit that the framework defines for it.
    pub unit: Unit,
    /// The key is valid only in lines of this framework.
    pub is_private: bool,
}

impl FieldTable {
    /// Creates a table of the standard fields.
    pub fn standard() -> FieldTable {
        let mut table = FieldTable {
            names: STANDARD.iter().map(|(name, _)| Box::from(*name)).collect(),
            keys: HashMap::default(),
            prefixes: HashSet::default(),
            aliases: Vec::new(),
            framed: Vec::new(),
            private: Vec::new(),
            private_fields: 0,
            marks: Vec::new(),
        };
        let mut counts = [0_u8; STANDARD.len()];
        for (number, (_, keys)) in STANDARD.iter().enumerate() {
            for key in *keys {
                table.bind_standard(FieldId(number as u16), key, &mut counts);
            }
        }
        for (number, framework) in DICTIONARY.iter().enumerate() {
            table.bind_framework(number, framework, &mut counts);
        }
        table
    }

    /// Binds a key to a standard field, with a rank after the keys that the field already has.
    fn bind_standard(&mut self, field: FieldId, key: &str, counts: &mut [u8]) {
        if self.keys.contains_key(key) {
            return;
        }
        let unit = if field == DURATION { duration_unit(key) } else { Unit::None };
        let count = &mut counts[field.0 as usize];
        self.bind(key, Binding { field, also: FieldId::NONE, rank: *count * 2, unit });
        *count += 1;
    }

    /// Binds the keys of a framework. A key that is already bound keeps its meaning. If the
    /// framework defines a unit for a bare number, the table records that for lines of the
    /// framework.
    fn bind_framework(&mut self, number: usize, framework: &'static Framework, counts: &mut [u8]) {
        for DictionaryKey { field: name, path, unit, is_private } in &framework.keys {
            let Some(place) = STANDARD.iter().position(|(known, _)| known == name) else {
                debug_assert!(false, "{}: `{name}` is no standard field", framework.name);
                continue;
            };
            let field = FieldId(place as u16);
            let unit = Unit::of_symbol(unit);
            let is_known = self.keys.contains_key(*path);
            self.bind_standard(field, path, counts);
            let Some(binding) = self.keys.get_mut(*path) else { continue };
            if binding.unit == Unit::None && unit != Unit::None && !is_known && !is_private {
                binding.unit = unit;
            }
            let of = Framed {
                framework: number as u8,
                field: binding.field,
                rank: binding.rank,
                to: field,
                unit,
                is_private: *is_private,
            };
            self.framed.push(of);
            if *is_private {
                self.private.push(of);
                self.private_fields |= binding.field.bit();
            }
        }
        for key in &framework.marks {
            let rank = (number * 2) as u8;
            match self.keys.get(*key) {
                // a key that has a meaning identifies the framework by its rank in the slot of the
                // field
                Some(&Binding { field, rank, .. }) => {
                    self.marks.push((field, rank, number as u8));
                }
                None => {
                    let (field, also, unit) = (FRAMEWORK, FieldId::NONE, Unit::None);
                    self.bind(key, Binding { field, also, rank, unit });
                }
            }
        }
    }

    /// Returns the fields that have a key which identifies a framework: (field, rank of the key,
    /// number in the dictionary).
    pub fn marks(&self) -> &[(FieldId, u8, u8)] {
        &self.marks
    }

    /// Returns what the frameworks define for the key of this field and rank.
    pub fn framed(&self, field: FieldId, rank: u8) -> impl Iterator<Item = &Framed> {
        // the lowest bit says that the key was written as a path of objects
        self.framed.iter().filter(move |of| of.field == field && of.rank == rank & !1)
    }

    /// Returns whether the key of this field and rank is valid only in lines of some framework other
    /// than `framework`.
    #[inline]
    pub fn is_foreign(&self, field: FieldId, rank: u8, framework: Option<u8>) -> bool {
        self.private_fields & field.bit() != 0
            && self.private.iter().any(|of| {
                of.field == field && of.rank == rank & !1 && Some(of.framework) != framework
            })
    }

    /// Returns the keys that have a special meaning in lines of a framework.
    pub fn framework_keys(&self, framework: u8) -> impl Iterator<Item = &Framed> {
        self.framed.iter().filter(move |of| of.framework == framework)
    }

    /// Returns the number of a field that a rule names. OpenTelemetry's name of a standard field
    /// means that field under any of its keys. Any other name means the key as it is written in the
    /// line; dots reach into objects. If a line has no such key, but the name is a key of a
    /// standard field, the name means that field.
    pub fn intern(&mut self, name: &str) -> FieldId {
        if let Some(number) = self.names.iter().position(|known| &**known == name) {
            return FieldId(number as u16);
        }
        let field = FieldId(self.names.len() as u16);
        self.names.push(Box::from(name));
        let unit = Unit::of_suffix(name);
        if !self.keys.contains_key(name)
            && let Some(wrapped) = self.binding(name)
        {
            self.bind(name, wrapped);
        }
        match self.keys.get_mut(name) {
            Some(binding) => {
                binding.also = field;
                let standard = binding.field;
                self.aliases.push((field, standard));
            }
            None => self.bind(name, Binding { field, also: FieldId::NONE, rank: 0, unit }),
        }
        field
    }

    /// Returns the meaning of a key: a dotted path from the top of the line.
    #[inline]
    pub fn binding(&self, path: &str) -> Option<Binding> {
        self.keys.get(path).copied().or_else(|| {
            let key = unwrapped(path)?;
            // a key of one letter has no meaning inside an object of the application
            let binding = self.keys.get(key).filter(|_| key.len() > 1)?;
            let is_standard = binding.field.0 < FIRST_OWN && binding.field != FRAMEWORK;
            let rank = binding.rank + WRAPPED;
            is_standard.then_some(Binding { also: FieldId::NONE, rank, ..*binding })
        })
    }

    /// Returns all keys of lines that have a meaning, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(|key| &**key)
    }

    /// Returns whether some key lies below this path, so that decoding must look into an object
    /// there.
    #[inline]
    pub fn is_prefix(&self, path: &str) -> bool {
        self.prefixes.contains(path)
            || WRAPPERS.contains(&path)
            || unwrapped(path).is_some_and(|key| self.prefixes.contains(key))
    }

    /// Returns the name of a field.
    pub fn name(&self, field: FieldId) -> &str {
        self.names.get(field.0 as usize).map_or("", |name| name)
    }

    /// Returns the number of fields.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Returns false: the standard fields are always in the table.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Returns the fields of rules that fall back to a standard field: (rule's field, standard
    /// field).
    pub fn aliases(&self) -> &[(FieldId, FieldId)] {
        &self.aliases
    }

    /// Returns the standard field to which a rule's field falls back, or the field itself if there
    /// is none.
    pub fn standard_of(&self, own: FieldId) -> FieldId {
        self.aliases.iter().find(|(of, _)| *of == own).map_or(own, |(_, standard)| *standard)
    }

    fn bind(&mut self, path: &str, binding: Binding) {
        if self.keys.contains_key(path) {
            return;
        }
        for (at, byte) in path.bytes().enumerate() {
            if byte == b'.' {
                self.prefixes.insert(Box::from(&path[..at]));
            }
        }
        self.keys.insert(Box::from(path), binding);
    }
}

/// Returns the path below a wrapper.
fn unwrapped(path: &str) -> Option<&str> {
    let (wrapper, key) = path.split_once('.')?;
    WRAPPERS.contains(&wrapper).then_some(key)
}

/// Returns the units of the duration keys that have no suffix for it.
fn duration_unit(key: &str) -> Unit {
    match key {
        "event.duration" => Unit::Nanoseconds, // Elastic Common Schema
        "responseTime" => Unit::Milliseconds,  // pino-http, express-winston
        "request_time" => Unit::Seconds,       // nginx ngx_http_log_module
        _ => Unit::of_suffix(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_standard_field_has_a_bit_and_its_name_is_a_key_or_a_concept() {
        assert!(STANDARD.len() <= 48, "bits for rules' own fields in the mask");
        let table = FieldTable::standard();
        for (number, (name, keys)) in STANDARD.iter().enumerate() {
            assert_eq!(table.name(FieldId(number as u16)), *name);
            for key in *keys {
                assert_eq!(table.binding(key).map(|b| b.field.0), Some(number as u16), "{key}");
            }
        }
    }

    #[test]
    fn a_key_of_its_own_and_one_that_is_standard_too() {
        let mut table = FieldTable::standard();
        let own = table.intern("data.shop");
        assert_eq!(own.0, FIRST_OWN);
        assert_eq!(table.binding("data.shop").map(|b| b.field), Some(own));
        assert!(table.is_prefix("data") && !table.is_prefix("data.shop"));
        assert_eq!(table.intern("data.shop"), own);
        assert_eq!(table.intern("http.route"), HTTP_ROUTE);
        let status = table.intern("status");
        let binding = table.binding("status").expect("a standard key");
        assert_eq!((binding.field, binding.also), (HTTP_STATUS, status));
        assert_eq!(table.aliases(), [(status, HTTP_STATUS)]);
    }

    #[test]
    fn units() {
        let table = FieldTable::standard();
        let unit = |key: &str| table.binding(key).map(|b| b.unit);
        assert_eq!(unit("data.duration_ms"), Some(Unit::Milliseconds));
        assert_eq!(unit("event.duration"), Some(Unit::Nanoseconds));
        assert_eq!(unit("duration"), Some(Unit::None));
        assert_eq!(unit("request_time"), Some(Unit::Seconds));
        assert_eq!(unit("status"), Some(Unit::None));
    }
}
