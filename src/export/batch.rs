//! Encodes a batch of spans as one `ExportTraceServiceRequest`, with one resource for each service.
//! Spans are copied from the outbox as they are. Unit: one request.

use crate::otlp;
use crate::outbox::Chunk;
use crate::resource::Resource;
use crate::spans::encode::Item;

/// The name of sidelight's instrumentation scope and distribution.
const NAME: &str = "sidelight";

/// Encodes requests for one resource.
#[derive(Debug)]
pub struct Encoder {
    resource: Resource,
}

impl Encoder {
    /// Creates an encoder for `resource`.
    pub fn new(resource: Resource) -> Encoder {
        Encoder { resource }
    }

    /// Appends the request with all spans in `chunk` to `out`. Services are in the order of their
    /// first span. Returns how many spans were written, counted one by one: this number, not the
    /// number taken from the queue, is what a collector accepts.
    pub fn request(&self, chunk: &Chunk, out: &mut Vec<u8>) -> u64 {
        let mut written = 0;
        out.reserve(chunk.bytes.len() + 1024);
        let items: Vec<Item<'_>> = chunk.items().filter_map(Item::read).collect();
        let mut services: Vec<&str> = Vec::new();
        for item in &items {
            if !services.contains(&item.service) {
                services.push(item.service);
            }
        }
        for service in services {
            let resource_spans = otlp::open(out, 1);
            self.resource(service, out);
            let scope_spans = otlp::open(out, 2);
            scope(out);
            for item in items.iter().filter(|item| item.service == service) {
                out.extend_from_slice(item.field);
                written += 1;
            }
            otlp::close(out, scope_spans);
            otlp::close(out, resource_spans);
        }
        written
    }

    /// Writes the resource of a service. Another service comes from the same pod, so it keeps the
    /// attributes of the pod, but not those of the resource's own service (`service.version`,
    /// `service.instance.id`).
    fn resource(&self, service: &str, out: &mut Vec<u8>) {
        let own = service.is_empty();
        let resource = otlp::open(out, 1);
        let name = if own { self.resource.service_name.as_str() } else { service };
        otlp::text_attribute(out, 1, "service.name", name);
        for (key, value) in &self.resource.attributes {
            if own || !key.starts_with("service.") || key == "service.namespace" {
                otlp::text_attribute(out, 1, key, value);
            }
        }
        otlp::text_attribute(out, 1, "telemetry.distro.name", NAME);
        otlp::text_attribute(out, 1, "telemetry.distro.version", env!("CARGO_PKG_VERSION"));
        otlp::close(out, resource);
    }
}

fn scope(out: &mut Vec<u8>) {
    let scope = otlp::open(out, 1);
    otlp::bytes(out, 1, NAME.as_bytes());
    otlp::bytes(out, 2, env!("CARGO_PKG_VERSION").as_bytes());
    otlp::close(out, scope);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixNanos;
    use crate::spans::encode::{self, Span};
    use opentelemetry::trace::{SpanId, SpanKind, TraceId};
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use prost::Message;
    use std::collections::BTreeMap;

    /// Guarantees: every span arrives once, under the service that it names, and other services do
    /// not inherit the version of ours.
    #[test]
    fn spans_are_grouped_by_service() {
        let attributes = [("k8s.pod.name", "shop-1"), ("service.version", "7")];
        let resource = Resource {
            service_name: "shop".into(),
            attributes: attributes.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        };
        let mut chunk = Chunk::default();
        for (id, service) in ["", "cart", "", "mail", "cart"].into_iter().enumerate() {
            let span = Span {
                service,
                trace_id: TraceId::from_bytes([1; 16]),
                span_id: SpanId::from_bytes([id as u8 + 1; 8]),
                parent_id: SpanId::INVALID,
                name: ("f", ""),
                kind: SpanKind::Internal,
                start: UnixNanos(1),
                end: UnixNanos(2),
                attributes: &[],
                exception: None,
                failed: false,
            };
            encode::write(&mut chunk, &span);
        }
        let mut out = Vec::new();
        assert_eq!(Encoder::new(resource).request(&chunk, &mut out), 5);
        let request = ExportTraceServiceRequest::decode(out.as_slice()).expect("legal protobuf");
        let mut seen = BTreeMap::new();
        for group in request.resource_spans {
            let resource = group.resource.expect("a resource");
            let attributes: BTreeMap<String, String> = resource
                .attributes
                .into_iter()
                .map(|pair| (pair.key, format!("{:?}", pair.value.and_then(|any| any.value))))
                .collect();
            let service = attributes["service.name"].clone();
            assert!(attributes["k8s.pod.name"].contains("shop-1"));
            assert!(attributes["telemetry.distro.name"].contains("sidelight"));
            assert_eq!(attributes.contains_key("service.version"), service.contains("shop"));
            assert_eq!(group.scope_spans.len(), 1);
            let scope = group.scope_spans[0].scope.as_ref().expect("a scope");
            assert_eq!((&*scope.name, &*scope.version), ("sidelight", env!("CARGO_PKG_VERSION")));
            let ids: Vec<u8> = group.scope_spans[0].spans.iter().map(|s| s.span_id[0]).collect();
            seen.insert(service, ids);
        }
        let expected = [("cart", vec![2, 5]), ("mail", vec![4]), ("shop", vec![1, 3])];
        let expected = expected.map(|(name, ids)| (format!("Some(StringValue({name:?}))"), ids));
        assert_eq!(seen, BTreeMap::from(expected));
    }
}
