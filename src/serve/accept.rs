//! Accepts the connections of an HTTP port, for the admin port and for the injector's webhook.
//! Unit: one connection.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// Pause after a failed `accept`, which usually means that no descriptors are left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Waits for the next connection; returns `None` when `until` has completed.
///
/// An error of `accept` never ends the loop: the connection that failed is gone, and without
/// descriptors the next attempt waits, instead of using a whole core.
pub async fn next_connection(
    listener: &TcpListener,
    mut until: Pin<&mut impl Future<Output = ()>>,
) -> Option<(TcpStream, SocketAddr)> {
    loop {
        tokio::select! {
            biased;
            () = &mut until => return None,
            accepted = listener.accept() => match accepted {
                Ok(connection) => return Some(connection),
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use std::pin::pin;

    #[tokio::test]
    async fn the_end_wins_over_a_waiting_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let _client = TcpStream::connect(address).await.expect("a listener");
        assert!(next_connection(&listener, pin!(ready(()))).await.is_none());
        assert!(next_connection(&listener, pin!(pending())).await.is_some());
    }
}
