//! The exposition as shared pages. A page is rendered and compressed once for all clients that wait
//! for it together, within bounded memory and a bounded share of the admin thread. Unit: one page.
//!
//! Decision: every client gets values that were read after its request arrived, never older ones,
//! and all clients that wait at that time share them. A pause after each rendering bounds the cost:
//! [`PAUSE_FACTOR`] times as long as the rendering took and at most [`PAUSE_MAX`]. Many scrapers
//! together take a fifth of the thread, and with a small page the wait is not noticeable. Serving
//! one page per second to all would show the same numbers to a person who asks twice in a second.

use crate::metrics::expose::{Encoding, Options};
use crate::serve::state::Exposition;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

/// The pause after a rendering, in multiples of its duration, so that rendering takes at most a
/// fifth of the thread.
const PAUSE_FACTOR: u32 = 4;

/// The longest pause; a scraper's timeout is ten times as long.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Maximum number of bytes of all live pages, including those that are still being sent. A page of
/// 5,000 series takes a tenth of it. A page larger than half of it may exist twice.
pub(crate) const PAGE_BYTES_MAX: usize = 12 << 20;

/// When memory for pages is short, a page of up to this age is still served. Clients that keep
/// pages alive without reading them are closed sooner.
const REUSE_AGE_MAX: Duration = Duration::from_secs(5);

/// Bodies up to this size are sent uncompressed: gzip would save less than a packet.
const PLAIN_BYTES_MAX: usize = 1024;

/// Number of bytes compressed before other tasks of the thread run: about 0.5 ms.
const CHUNK_BYTES: usize = 64 << 10;

/// The variant of a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Variant {
    /// The exposition format.
    pub encoding: Encoding,
    /// Options besides the format.
    pub options: Options,
    /// Compressed with gzip, where that saves something.
    pub gzip: bool,
    /// Whether the values are final. A page from before that never answers a request after it.
    pub is_final: bool,
}

/// A rendered page; it lives until the last answer that contains it is sent.
#[derive(Debug)]
pub struct Page {
    bytes: Vec<u8>,
    /// Whether the bytes are compressed.
    pub is_gzip: bool,
    variant: Variant,
    /// The time at which the values were read.
    read_at: Instant,
    bytes_alive: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Page {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.bytes_alive.fetch_sub(self.bytes.capacity(), Ordering::Relaxed);
    }
}

/// Renders pages, one at a time.
pub struct Pages {
    exposition: Exposition,
    bytes_alive: Arc<AtomicUsize>,
    recent: Mutex<Recent>,
}

#[derive(Debug)]
struct Recent {
    /// The newest page of each variant that was requested since the last pause ended.
    pages: Vec<Arc<Page>>,
    /// The earliest time of the next rendering.
    earliest: Instant,
    /// Size in bytes of the largest page so far.
    largest: usize,
}

impl Pages {
    /// Creates the pages of an exposition.
    pub fn new(exposition: Exposition) -> Pages {
        let recent = Recent { pages: Vec::new(), earliest: Instant::now(), largest: 0 };
        Pages { exposition, bytes_alive: Arc::default(), recent: Mutex::new(recent) }
    }

    /// Returns a page with values that were read after this call began; waits for the pause after
    /// the last rendering. Returns None if clients that do not read their pages use up the memory
    /// for them.
    pub async fn get(&self, variant: Variant) -> Option<Arc<Page>> {
        let called_at = Instant::now();
        // in the order of arrival; waiting clients get the page that the first of them renders
        let mut recent = self.recent.lock().await;
        if let Some(page) = recent.find(variant, called_at) {
            return Some(page);
        }
        // a rendering that begins now serves every client that waits by then
        sleep_until(recent.earliest).await;
        recent.forget(Instant::now());
        let bytes_max = PAGE_BYTES_MAX.max(2 * recent.largest);
        if self.bytes_alive.load(Ordering::Relaxed) + recent.largest > bytes_max {
            let reused = called_at.checked_sub(REUSE_AGE_MAX).unwrap_or(called_at);
            return recent.find(variant, reused);
        }
        let begun_at = Instant::now();
        let page = self.render(variant, begun_at).await;
        let pause = begun_at.elapsed().saturating_mul(PAUSE_FACTOR).min(PAUSE_MAX);
        recent.earliest = Instant::now() + pause;
        recent.largest = recent.largest.max(page.bytes.capacity());
        recent.pages.retain(|other| other.variant != variant);
        recent.pages.push(Arc::clone(&page));
        Some(page)
    }

    /// Returns the number of bytes of all live pages.
    pub fn bytes_alive(&self) -> usize {
        self.bytes_alive.load(Ordering::Relaxed)
    }

    async fn render(&self, variant: Variant, read_at: Instant) -> Arc<Page> {
        let mut body = Vec::new();
        (self.exposition)(variant.encoding, variant.options, &mut body);
        let is_worth_it = variant.gzip && body.len() > PLAIN_BYTES_MAX;
        let packed = if is_worth_it { pack(&body).await } else { None };
        let is_gzip = packed.is_some();
        let mut bytes = packed.unwrap_or(body);
        bytes.shrink_to_fit();
        self.bytes_alive.fetch_add(bytes.capacity(), Ordering::Relaxed);
        let bytes_alive = Arc::clone(&self.bytes_alive);
        Arc::new(Page { bytes, is_gzip, variant, read_at, bytes_alive })
    }
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pages").field("bytes_alive", &self.bytes_alive).finish_non_exhaustive()
    }
}

impl Recent {
    /// Returns the page of this variant if its values were read at `since` or later.
    fn find(&self, variant: Variant, since: Instant) -> Option<Arc<Page>> {
        let known = self.pages.iter().find(|page| page.variant == variant);
        known.filter(|page| page.read_at >= since).map(Arc::clone)
    }

    /// Drops pages that can no longer answer a request.
    fn forget(&mut self, now: Instant) {
        self.pages.retain(|page| now.duration_since(page.read_at) < REUSE_AGE_MAX);
    }
}

/// Compresses at level 1, because pages are compressed often and read only once. Returns None on
/// failure, which writing into a Vec never causes.
async fn pack(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
    for chunk in body.chunks(CHUNK_BYTES) {
        encoder.write_all(chunk).ok()?;
        // other tasks, such as probes, run between two chunks
        yield_now().await;
    }
    encoder.finish().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    /// Creates pages of `bytes` bytes that begin with the number of renderings so far.
    fn pages(bytes: usize) -> (Arc<Pages>, Arc<AtomicU64>) {
        let rendered = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&rendered);
        let exposition: Exposition = Box::new(move |_, _, out| {
            let number = counted.fetch_add(1, Ordering::Relaxed) + 1;
            out.extend_from_slice(format!("{number:8}").as_bytes());
            out.resize(bytes, b'#');
        });
        (Arc::new(Pages::new(exposition)), rendered)
    }

    fn variant(encoding: Encoding) -> Variant {
        Variant { encoding, options: Options::default(), gzip: false, is_final: false }
    }

    /// Guarantees: one rendering serves all clients that ask at the same time; a later request gets
    /// a later rendering; another variant and the final values get separate ones.
    #[tokio::test(start_paused = true)]
    async fn clients_that_wait_together_share_a_page() {
        let (pages, rendered) = pages(4096);
        // a pause, so that all clients wait before the next rendering
        pages.recent.lock().await.earliest = Instant::now() + Duration::from_millis(10);
        let classic = variant(Encoding::Classic);
        let mut crowd = Vec::new();
        for _ in 0..300 {
            let pages = Arc::clone(&pages);
            crowd.push(tokio::spawn(async move { pages.get(classic).await }));
        }
        for one in crowd {
            assert!(one.await.expect("no panic").is_some());
        }
        assert_eq!(rendered.load(Ordering::Relaxed), 1);
        tokio::time::advance(Duration::from_millis(1)).await;
        let later = pages.get(classic).await.expect("below the limit");
        assert!(later.as_ref().as_ref().starts_with(b"       2"), "values from before the call");
        let is_final = Variant { is_final: true, ..classic };
        pages.get(is_final).await.expect("below the limit");
        pages.get(variant(Encoding::OpenMetrics)).await.expect("below the limit");
        assert_eq!(rendered.load(Ordering::Relaxed), 4);
    }

    /// Scenario: clients keep every page they get. Guarantees: the live bytes stay under the limit;
    /// at the limit a recent page is the answer, and without one there is no answer; dropped pages
    /// free memory for new ones.
    #[tokio::test(start_paused = true)]
    async fn pages_that_nobody_reads_are_bounded() {
        let (pages, _) = pages(1 << 20);
        let mut kept = Vec::new();
        for _ in 0..50 {
            tokio::time::advance(Duration::from_millis(1)).await;
            kept.push(pages.get(variant(Encoding::Classic)).await.expect("a recent page"));
            assert!(pages.bytes_alive() <= PAGE_BYTES_MAX, "{}", pages.bytes_alive());
        }
        tokio::time::advance(REUSE_AGE_MAX * 2).await;
        assert!(pages.get(variant(Encoding::Classic)).await.is_none(), "an old page answered");
        drop(kept);
        assert!(pages.get(variant(Encoding::Classic)).await.is_some());
    }
}
