//! One connection to the collector. The client opens it when it is needed and keeps it until it
//! fails. Every exchange, connecting included, ends within the timeout. Unit: one exchange.

use super::answer::{Answer, Reason};
use super::endpoint::{Endpoint, Protocol};
use super::intake::{ANSWER_TIME_MAX, Bounded, Expected, Intake};
use super::resolve::Resolver;
use super::{grpc, http};
use crate::clock::Clock;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Maximum number of header lines of an answer; a collector sends a handful.
const HEADERS_MAX: usize = 64;
/// Bytes read ahead of the parser: the smallest value that hyper allows.
const READ_BYTES_MAX: usize = 8 * 1024;
/// Maximum number of header bytes in HTTP/2.
const HEADER_LIST_BYTES_MAX: u32 = 16 * 1024;

/// Why there was no answer. Only its text and the texts of its causes are used.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How one collector is reached.
#[derive(Debug)]
pub(crate) struct Way {
    /// The address.
    pub endpoint: Endpoint,
    /// The transport protocol.
    pub protocol: Protocol,
    /// Resolves the name for each new connection, because its addresses may change.
    pub resolver: Resolver,
}

/// Sends requests to one collector.
#[derive(Debug)]
pub(crate) struct Client {
    way: Way,
    timeout: Duration,
    clock: Clock,
    connection: Option<Connection>,
}

#[derive(Debug)]
struct Connection {
    sender: Sender,
    intake: Arc<Intake>,
    /// Moves the bytes; ends with the connection.
    driver: JoinHandle<()>,
}

#[derive(Debug)]
enum Sender {
    Http(http1::SendRequest<Full<Bytes>>),
    Grpc(http2::SendRequest<Full<Bytes>>),
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Client {
    /// Creates a client without a connection.
    pub(crate) fn new(way: Way, timeout: Duration, clock: Clock) -> Client {
        Client { way, timeout, clock, connection: None }
    }

    /// Sends one request and reads its answer; `body` is a gRPC frame and its message. Closes a
    /// connection that failed or that delivered no complete answer.
    pub(crate) async fn send(&mut self, body: Bytes) -> Answer {
        let answer = match timeout(self.timeout, self.exchange(body)).await {
            Ok(Ok(lost @ Answer::Lost { .. })) => lost,
            Ok(Ok(answer)) => return answer,
            Ok(Err(error)) => Answer::Lost { why: self.explained(&*error) },
            Err(_) => Answer::lost(format!("no answer within {:?}", self.timeout)),
        };
        self.connection = None;
        answer
    }

    /// Describes an error, or says that the peer speaks the other version of HTTP.
    fn explained(&self, error: &(dyn std::error::Error + 'static)) -> Reason {
        let is_foreign = self.connection.as_ref().is_some_and(|one| one.intake.is_foreign());
        match self.way.protocol {
            Protocol::Http if is_foreign => {
                Reason::new("a gRPC port answers: set export.protocol to grpc, or the port to 4318")
            }
            Protocol::Grpc if is_foreign => Reason::new(
                "no gRPC port answers: set export.protocol to http/protobuf, or the port to 4317",
            ),
            Protocol::Http | Protocol::Grpc => Reason::of(error),
        }
    }

    async fn exchange(&mut self, body: Bytes) -> Result<Answer, Failure> {
        let request = match self.way.protocol {
            Protocol::Http => http::request(&self.way.endpoint, body.slice(grpc::FRAME_BYTES..))?,
            Protocol::Grpc => grpc::request(&self.way.endpoint, body, self.timeout)?,
        };
        let (protocol, now) = (self.way.protocol, self.clock.now());
        let connection = self.connected().await?;
        connection.intake.reset();
        let intake = Arc::clone(&connection.intake);
        let answer = connection.sender.send(request);
        match protocol {
            Protocol::Http => tokio::select! {
                biased;
                answer = async { Ok(http::answer(answer.await?, now).await) } => answer,
                () = intake.overdue() => Err("the answer takes too long".into()),
            },
            // an HTTP/2 connection begins with frames of the peer: the answer begins with its head
            Protocol::Grpc => {
                let answer = grpc::answer(answer.await?);
                timeout(ANSWER_TIME_MAX, answer)
                    .await
                    .map_err(|_| "the answer takes too long".into())
            }
        }
    }

    async fn connected(&mut self) -> Result<&mut Connection, Failure> {
        if let Some(mut kept) = self.connection.take()
            && kept.sender.ready().await
        {
            return Ok(self.connection.insert(kept));
        }
        let fresh = connect(&self.way).await?;
        Ok(self.connection.insert(fresh))
    }
}

impl Sender {
    async fn ready(&mut self) -> bool {
        match self {
            Sender::Http(sender) => sender.ready().await.is_ok(),
            Sender::Grpc(sender) => sender.ready().await.is_ok(),
        }
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        match self {
            Sender::Http(sender) => sender.send_request(request).await,
            Sender::Grpc(sender) => sender.send_request(request).await,
        }
    }
}

/// Connects to the first address that accepts.
async fn reach(way: &Way) -> Result<TcpStream, Failure> {
    let mut failed = None;
    for address in way.resolver.addresses(&way.endpoint.host).await? {
        match TcpStream::connect((address, way.endpoint.port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.map_or_else(|| "the name has no address".into(), Failure::from))
}

async fn connect(way: &Way) -> Result<Connection, Failure> {
    let stream = reach(way).await?;
    stream.set_nodelay(true)?;
    let expected = match way.protocol {
        Protocol::Http => Expected::Http1,
        Protocol::Grpc => Expected::Http2,
    };
    let (stream, intake) = Bounded::new(stream, expected);
    let io = TokioIo::new(stream);
    let (sender, driver) = match way.protocol {
        Protocol::Http => {
            let mut builder = http1::Builder::new();
            builder.max_headers(HEADERS_MAX).max_buf_size(READ_BYTES_MAX);
            let (sender, connection) = builder.handshake(io).await?;
            // an error of the connection also fails the request in progress
            (Sender::Http(sender), tokio::spawn(async { drop(connection.await) }))
        }
        Protocol::Grpc => {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.max_header_list_size(HEADER_LIST_BYTES_MAX);
            let (sender, connection) = builder.handshake(io).await?;
            (Sender::Grpc(sender), tokio::spawn(async { drop(connection.await) }))
        }
    };
    Ok(Connection { sender, intake, driver })
}
