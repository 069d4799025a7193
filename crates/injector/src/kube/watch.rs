//! The stream of a watch: one JSON object per line, for as long as the API server likes. Unit: one
//! change.

use super::error::Error;
use bytes::BytesMut;
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes};
use serde_json::Value;
use std::fmt::Display;
use std::time::Duration;
use tokio::time::timeout;

/// The requested duration of a watch; API servers end it themselves after 5 to 10 minutes.
pub const LASTS: Duration = Duration::from_mins(5);

/// The longest silence of a watch that works, because a bookmark comes every minute.
const SILENT_MAX: Duration = Duration::from_mins(3);

/// Bytes of one change; etcd holds objects of 1.5 MiB.
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Reads changes until the stream ends.
///
/// # Errors
/// Fails if the stream breaks, becomes silent, or reports that the version is gone.
pub(super) async fn follow<B>(mut body: B, mut each: impl FnMut(&str, Value)) -> Result<(), Error>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Display,
{
    let mut held = BytesMut::new();
    loop {
        let frame = timeout(SILENT_MAX, body.frame()).await;
        let frame = frame.map_err(|_| Error::Timeout("a watch fell silent".to_owned()))?;
        let Some(frame) = frame else { return Ok(()) };
        let frame = frame.map_err(|error| Error::Connection(format!("a watch broke: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        held.extend_from_slice(&data);
        while let Some(end) = memchr::memchr(b'\n', &held) {
            change(&held.split_to(end + 1), &mut each)?;
        }
        if held.len() > LINE_BYTES_MAX {
            return Err(Error::Answer(format!("a change longer than {LINE_BYTES_MAX} bytes")));
        }
    }
}

fn change(line: &[u8], each: &mut impl FnMut(&str, Value)) -> Result<(), Error> {
    let mut change: Value = serde_json::from_slice(line)
        .map_err(|error| Error::Answer(format!("a change that is no JSON: {error}")))?;
    let object = change["object"].take();
    match change["type"].as_str() {
        Some("ERROR") => Err(Error::Status {
            code: object["code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(500),
            reason: object["reason"].as_str().unwrap_or_default().to_owned(),
            message: object["message"].as_str().unwrap_or_default().to_owned(),
        }),
        Some(kind) => {
            each(kind, object);
            Ok(())
        }
        None => Err(Error::Answer("a change without a type".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::body::Frame;
    use std::convert::Infallible;

    const CHANGES: &str = concat!(
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\"}}}\n",
        "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"name\":\"b\"}}}\n",
        "{\"type\":\"DELETED\",\"object\":{\"metadata\":{\"name\":\"c\"}}}\n",
    );

    async fn followed(text: &str, cut: usize) -> (Vec<String>, Result<(), Error>) {
        let chunks: Vec<Result<Frame<Bytes>, Infallible>> = text
            .as_bytes()
            .chunks(cut)
            .map(|chunk| Ok(Frame::data(Bytes::copy_from_slice(chunk))))
            .collect();

        let stream = Stream(chunks);
        let mut seen = Vec::new();
        let each = |kind: &str, object: Value| {
            seen.push(format!("{kind} {}", object["metadata"]["name"].as_str().unwrap_or("?")));
        };
        let ended = follow(stream, each).await;
        (seen, ended)
    }

    /// A body with prepared frames.
    struct Stream(Vec<Result<Frame<Bytes>, Infallible>>);

    impl Body for Stream {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let none = self.0.is_empty();
            std::task::Poll::Ready((!none).then(|| self.0.remove(0)))
        }
    }

    #[tokio::test]
    async fn changes_come_whole_however_the_stream_is_cut() {
        for cut in 1..CHANGES.len() {
            let (seen, ended) = followed(CHANGES, cut).await;
            assert_eq!(seen, ["ADDED a", "BOOKMARK b", "DELETED c"], "cut every {cut}");
            assert_eq!(ended, Ok(()));
        }
    }

    #[tokio::test]
    async fn an_error_in_the_stream_ends_it() {
        let gone = "{\"type\":\"ERROR\",\"object\":{\"code\":410,\"reason\":\"Expired\"}}\n";
        let (_, ended) = followed(gone, 1000).await;
        assert_eq!(ended.expect_err("gone").code(), Some(410));
        for wrong in ["text\n", "{}\n"] {
            assert!(matches!(followed(wrong, 1000).await.1, Err(Error::Answer(_))), "{wrong}");
        }
        let long = "x".repeat(LINE_BYTES_MAX + 1);
        assert!(matches!(followed(&long, 1 << 20).await.1, Err(Error::Answer(_))));
    }
}
