//! Inflates text that a client has compressed. Unit: one datagram.

use flate2::bufread::{GzDecoder, ZlibDecoder};
use std::io::Read;

/// Inflates a datagram into `text`, up to `bytes_max` bytes. Returns whether it is longer.
///
/// # Errors
/// It is damaged.
pub(super) fn inflate(
    datagram: &[u8],
    is_gzip: bool,
    bytes_max: usize,
    text: &mut Vec<u8>,
) -> std::io::Result<bool> {
    text.clear();
    let most = bytes_max as u64 + 1;
    if is_gzip {
        GzDecoder::new(datagram).take(most).read_to_end(text)?;
    } else {
        ZlibDecoder::new(datagram).take(most).read_to_end(text)?;
    }
    let is_longer = text.len() > bytes_max;
    text.truncate(bytes_max);
    Ok(is_longer)
}
