//! A collector with answers that the test chooses. It speaks HTTP/1 and HTTP/2 and keeps what it
//! received. It decodes the protocol with separate types (prost), not with sidelight's. It runs on
//! a separate thread until it is dropped.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use sidelight::export::endpoint::Protocol;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// Returns a loopback address where nothing listens and nothing else can bind: connections to it
/// are refused while the first value lives. Another test could bind a port that is merely free.
pub(crate) fn refusing_port() -> (OwnedFd, SocketAddr) {
    let kinds = (rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM);
    let socket = rustix::net::socket(kinds.0, kinds.1, None).expect("a socket");
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    rustix::net::bind(&socket, &any).expect("a free port");
    let bound = rustix::net::getsockname(&socket).expect("it is bound");
    (socket, bound.try_into().expect("an address of the Internet"))
}

/// How the collector answers one request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Accepts all spans.
    Ok,
    /// Accepts all but this number of spans.
    Partial(i64),
    /// Answers with an HTTP status and a Retry-After header.
    Status(u16, Option<&'static str>),
    /// Answers with a gRPC status without a message.
    Grpc(u32),
    /// Never answers.
    Hang,
    /// Sends a success status and then an endless body, as fast as the client reads it.
    Endless,
    /// Sends a success status and then nothing.
    Stuck,
    /// Closes the connection without an answer.
    Reset,
    /// Sends these bytes, whatever the protocol is, then nothing more, and keeps the connection
    /// open. Applies only to the first request of a connection.
    Raw(&'static [u8]),
    /// Sends the first bytes, then repeats the second for as long as the client reads. Otherwise
    /// like [`Reply::Raw`].
    Flood(&'static [u8], &'static [u8]),
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Reply>,
    requests: Vec<ExportTraceServiceRequest>,
    headers: Vec<HeaderMap>,
    paths: Vec<String>,
    connections: usize,
    flooded: usize,
}

/// A fake collector.
#[derive(Debug)]
pub(crate) struct FakeCollector {
    /// Address of the collector, as an endpoint.
    pub(crate) endpoint: String,
    state: Arc<Mutex<State>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl FakeCollector {
    /// Starts a collector that answers as `script` says, and then accepts everything.
    pub(crate) fn start(protocol: Protocol, script: &[Reply]) -> FakeCollector {
        let state = State { script: script.iter().cloned().collect(), ..State::default() };
        let state = Arc::new(Mutex::new(state));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket of our own");
        let address = listener.local_addr().expect("it is bound");
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    _ = stopped => {}
                    () = accept(listener, protocol, shared) => {}
                }
            });
        });
        let endpoint = format!("http://{address}/v1/traces");
        FakeCollector { endpoint, state, stop: Some(stop), thread: Some(thread) }
    }

    /// Returns all spans that it accepted or recorded, with their service, in order of arrival.
    pub(crate) fn spans(&self) -> Vec<(String, Span)> {
        let state = self.state.lock().expect("nobody panicked");
        let groups = state.requests.iter().flat_map(|request| &request.resource_spans);
        groups
            .flat_map(|group| {
                let attributes = &group.resource.as_ref().expect("a resource").attributes;
                let service = attributes.iter().find(|pair| pair.key == "service.name");
                let service = format!("{:?}", service.and_then(|s| s.value.clone()?.value));
                group
                    .scope_spans
                    .iter()
                    .flat_map(|scope| &scope.spans)
                    .map(move |span| (service.clone(), span.clone()))
            })
            .collect()
    }

    /// Returns the headers of all requests.
    pub(crate) fn headers(&self) -> Vec<HeaderMap> {
        self.state.lock().expect("nobody panicked").headers.clone()
    }

    /// Returns the paths of all requests.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.state.lock().expect("nobody panicked").paths.clone()
    }

    /// Returns the number of bytes written by floods.
    pub(crate) fn flooded(&self) -> usize {
        self.state.lock().expect("nobody panicked").flooded
    }

    /// Returns the number of connections that were made.
    pub(crate) fn connections(&self) -> usize {
        self.state.lock().expect("nobody panicked").connections
    }
}

impl Drop for FakeCollector {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

async fn accept(listener: TcpListener, protocol: Protocol, state: Arc<Mutex<State>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let raw = {
            let mut state = state.lock().expect("nobody panicked");
            state.connections += 1;
            match state.script.front() {
                Some(Reply::Raw(_) | Reply::Flood(..)) => state.script.pop_front(),
                _ => None,
            }
        };
        let state = Arc::clone(&state);
        match raw {
            Some(Reply::Raw(bytes)) => drop(tokio::spawn(babble(stream, bytes))),
            Some(Reply::Flood(first, then)) => {
                drop(tokio::spawn(flood(stream, first, then, state)));
            }
            _ => drop(tokio::spawn(serve(stream, protocol, state))),
        }
    }
}

/// Reads a little, writes the bytes, and keeps the connection open until the client closes it.
async fn babble(mut stream: TcpStream, bytes: &'static [u8]) {
    let mut seen = [0; 4096];
    let _some = stream.read(&mut seen).await;
    stream.write_all(bytes).await.ok();
    while stream.read(&mut seen).await.is_ok_and(|count| count > 0) {}
}

/// Reads a little, and writes for as long as the client reads.
async fn flood(
    mut stream: TcpStream,
    first: &'static [u8],
    then: &'static [u8],
    state: Arc<Mutex<State>>,
) {
    let mut seen = [0; 4096];
    let _some = stream.read(&mut seen).await;
    stream.write_all(first).await.ok();
    let block = then.repeat(1024);
    while stream.write_all(&block).await.is_ok() {
        state.lock().expect("nobody panicked").flooded += block.len();
    }
}

async fn serve(stream: TcpStream, protocol: Protocol, state: Arc<Mutex<State>>) {
    let io = TokioIo::new(stream);
    let service = service_fn(move |request| answer(request, protocol, Arc::clone(&state)));
    match protocol {
        Protocol::Http => {
            let server = hyper::server::conn::http1::Builder::new();
            server.serve_connection(io, service).await.ok();
        }
        Protocol::Grpc => {
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            server.serve_connection(io, service).await.ok();
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    protocol: Protocol,
    state: Arc<Mutex<State>>,
) -> Result<Response<Answered>, std::io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let reply = {
        let mut state = state.lock().expect("nobody panicked");
        state.headers.push(head.headers);
        state.paths.push(head.uri.path().to_owned());
        let message = match protocol {
            Protocol::Http => &body[..],
            Protocol::Grpc => {
                assert_eq!(body[..5], [&[0][..], &(body.len() as u32 - 5).to_be_bytes()].concat());
                &body[5..]
            }
        };
        let reply = state.script.pop_front().unwrap_or(Reply::Ok);
        if matches!(reply, Reply::Ok | Reply::Partial(_) | Reply::Endless | Reply::Stuck) {
            let request = ExportTraceServiceRequest::decode(message).expect("legal protobuf");
            state.requests.push(request);
        }
        reply
    };
    respond(reply, protocol).await
}

async fn respond(reply: Reply, protocol: Protocol) -> Result<Response<Answered>, std::io::Error> {
    let response = match reply {
        Reply::Ok => typed(protocol, Answered::message(protocol, 0)),
        Reply::Partial(rejected) => typed(protocol, Answered::message(protocol, rejected)),
        Reply::Status(status, retry_after) => {
            let mut response = Response::builder().status(status);
            if let Some(value) = retry_after {
                response = response.header("retry-after", value);
            }
            response.body(Answered::text("try later")).expect("a response")
        }
        Reply::Grpc(code) => Response::builder()
            .header("grpc-status", code)
            .header("content-type", "application/grpc")
            .body(Answered::text(""))
            .expect("a response"),
        Reply::Endless => typed(protocol, Answered { end: End::More, ..Answered::text("") }),
        Reply::Stuck => typed(protocol, Answered { end: End::Never, ..Answered::text("") }),
        Reply::Hang => std::future::pending().await,
        Reply::Reset | Reply::Raw(_) | Reply::Flood(..) => {
            return Err(std::io::Error::other("the script says so"));
        }
    };
    Ok(response)
}

/// Builds a success response with the content type that the protocol requires.
fn typed(protocol: Protocol, body: Answered) -> Response<Answered> {
    let kind = match protocol {
        Protocol::Http => "application/x-protobuf",
        Protocol::Grpc => "application/grpc",
    };
    Response::builder().header("content-type", kind).body(body).expect("a response")
}

/// Builds the body of a response.
#[derive(Debug)]
pub(crate) struct Answered {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
    end: End,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Here,
    More,
    Never,
}

impl Answered {
    fn text(text: &'static str) -> Answered {
        Answered { data: Some(Bytes::from_static(text.as_bytes())), trailers: None, end: End::Here }
    }

    fn message(protocol: Protocol, rejected: i64) -> Answered {
        let partial_success = (rejected != 0).then(|| ExportTracePartialSuccess {
            rejected_spans: rejected,
            error_message: "too old".to_owned(),
        });
        let message = ExportTraceServiceResponse { partial_success }.encode_to_vec();
        let (data, trailers) = match protocol {
            Protocol::Http => (message, None),
            Protocol::Grpc => {
                let mut framed = vec![0];
                framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
                framed.extend_from_slice(&message);
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                (framed, Some(trailers))
            }
        };
        Answered { data: Some(Bytes::from(data)), trailers, end: End::Here }
    }
}

impl Body for Answered {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if let Some(trailers) = self.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        match self.end {
            End::Here => Poll::Ready(None),
            End::More => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 1024]))))),
            End::Never => Poll::Pending,
        }
    }
}
