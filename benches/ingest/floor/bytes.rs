//! Functions that scan 8, 16 or 32 bytes at a time, in portable safe Rust. Positions are `u32`, so
//! that a position plus a constant cannot wrap and costs one comparison. A buffer must have
//! [`SLACK`] bytes after the last byte that is scanned; their content does not matter.

/// Bytes after the end of a block that loads may read: the longest load is 32 bytes, from the last
/// byte on.
pub(crate) const SLACK: usize = 64;

/// A range of the buffer.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Span {
    pub(crate) at: u32,
    pub(crate) len: u32,
}

impl Span {
    #[inline(always)]
    pub(crate) fn between(at: u32, end: u32) -> Span {
        Span { at, len: end.wrapping_sub(at) }
    }

    pub(crate) fn of(self, buf: &[u8]) -> &[u8] {
        &buf[self.at as usize..(self.at + self.len) as usize]
    }
}

#[inline(always)]
pub(crate) fn load<const N: usize>(buf: &[u8], at: u32) -> [u8; N] {
    let at = at as usize;
    buf[at..at + N].try_into().expect("a slice of N bytes")
}

#[inline(always)]
pub(crate) fn word(buf: &[u8], at: u32) -> u64 {
    u64::from_le_bytes(load(buf, at))
}

#[inline(always)]
pub(crate) fn literal<const N: usize>(buf: &[u8], at: u32, expected: &[u8; N]) -> bool {
    load::<N>(buf, at) == *expected
}

/// Sets the high bit of every quote, backslash and control character; exact up to the first one.
/// Flipping bit 1 (value 2) moves the quote into the range of control characters, and no control
/// character out of it.
#[inline(always)]
fn string_stops(word: u64) -> u64 {
    let quote_or_control = (word ^ (0x02 * ONES)).wrapping_sub(0x21 * ONES);
    let backslash = (word ^ (0x5C * ONES)).wrapping_sub(ONES);
    (quote_or_control | backslash) & !word & HIGH
}

/// The same for 16 bytes at once.
#[inline(always)]
pub(crate) fn string_stops_16(bytes: u128) -> u128 {
    let (low, high) = (string_stops(bytes as u64), string_stops((bytes >> 64) as u64));
    u128::from(low) | u128::from(high) << 64
}

/// The same with the space.
#[inline(always)]
fn token_stops(word: u64) -> u64 {
    let quote_or_control = (word ^ (0x02 * ONES)).wrapping_sub(0x23 * ONES);
    let backslash = (word ^ (0x5C * ONES)).wrapping_sub(ONES);
    (quote_or_control | backslash) & !word & HIGH
}

/// Finds the first quote, backslash or control character from `at` on. A newline is a control
/// character, so the scan ends within the line.
#[inline(always)]
pub(crate) fn string_end(buf: &[u8], at: u32) -> u32 {
    first(buf, at, string_stops)
}

/// Finds the first space, quote, backslash or control character from `at` on.
#[inline(always)]
pub(crate) fn token_end(buf: &[u8], at: u32) -> u32 {
    first(buf, at, token_stops)
}

/// Finds the first `byte` or newline from `at` on.
#[inline(always)]
pub(crate) fn find(buf: &[u8], at: u32, byte: u8) -> u32 {
    first(buf, at, |word| {
        let newline = word ^ (u64::from(b'\n') * ONES);
        let wanted = word ^ (u64::from(byte) * ONES);
        (newline.wrapping_sub(ONES) | wanted.wrapping_sub(ONES)) & !word & HIGH
    })
}

/// Finds the next newline; returns `end` if there is none.
#[inline(always)]
pub(crate) fn newline(buf: &[u8], from: u32, end: u32) -> u32 {
    let rest = &buf[from as usize..end as usize];
    from + memchr::memchr(b'\n', rest).unwrap_or(rest.len()) as u32
}

/// Whether a string (or bare value) has at least `LEN` more bytes.
#[inline(always)]
pub(crate) fn goes_on<const LEN: usize>(buf: &[u8], at: u32, bare: bool) -> bool {
    // no copy: the overlapping load of a copy would wait for both stores below it
    let bytes = &buf[at as usize..at as usize + LEN];
    let mut stops = 0;
    let mut i = 0;
    while i < LEN {
        // the last word overlaps the one before if the length is not a multiple of 8
        let from = if i + 8 <= LEN { i } else { LEN - 8 };
        let word = word(bytes, from as u32);
        stops |= if bare { token_stops(word) } else { string_stops(word) };
        i += 8;
    }
    stops == 0
}

#[inline(always)]
fn first(buf: &[u8], mut at: u32, stops: impl Fn(u64) -> u64) -> u32 {
    loop {
        let hits = stops(word(buf, at));
        if hits != 0 {
            return at + hits.trailing_zeros() / 8;
        }
        at += 8;
    }
}

/// Returns the index of the first space in 8 bytes, or 8: methods and levels end with a space.
#[inline(always)]
pub(crate) fn first_in_word(word: u64, byte: u8) -> u32 {
    let x = word ^ (u64::from(byte) * ONES);
    (x.wrapping_sub(ONES) & !x & HIGH).trailing_zeros() / 8
}

pub(crate) const ONES: u64 = 0x0101_0101_0101_0101;
pub(crate) const HIGH: u64 = 0x8080_8080_8080_8080;

/// `KEEP[n]` keeps the first `n` of 32 bytes.
static KEEP: [[u64; 4]; 33] = {
    let mut keep = [[0u64; 4]; 33];
    let mut n = 0;
    while n <= 32 {
        let mut i = 0;
        while i < n {
            keep[n][i / 8] |= 0xFF << (8 * (i % 8));
            i += 1;
        }
        n += 1;
    }
    keep
};

/// `KEEP_16[n]` keeps the first `n` of 16 bytes.
pub(crate) static KEEP_16: [u128; 17] = {
    let mut keep = [u128::MAX; 17];
    let mut n = 0;
    while n < 16 {
        keep[n] = (1 << (8 * n)) - 1;
        n += 1;
    }
    keep
};

/// Returns the first `len` (at most 32) bytes as words, padded with zeros.
#[inline(always)]
pub(crate) fn words4(buf: &[u8], at: u32, len: u32) -> [u64; 4] {
    let bytes = load::<32>(buf, at);
    let keep = &KEEP[len.min(32) as usize];
    let mut words = [0u64; 4];
    for i in 0..4 {
        let mut eight = [0u8; 8];
        eight.copy_from_slice(&bytes[i * 8..i * 8 + 8]);
        words[i] = u64::from_le_bytes(eight) & keep[i];
    }
    words
}

/// Returns the first `len` (at most 16) bytes as words, padded with zeros.
#[inline(always)]
pub(crate) fn words2(buf: &[u8], at: u32, len: u32) -> [u64; 2] {
    let keep = &KEEP[len.min(16) as usize];
    [word(buf, at) & keep[0], word(buf, at + 8) & keep[1]]
}

/// Returns the first `len` (at most 8) bytes as a word.
#[inline(always)]
pub(crate) fn word1(buf: &[u8], at: u32, len: u32) -> u64 {
    word(buf, at) & KEEP[len.min(8) as usize][0]
}

/// Returns three digits as one word, or 0 if they are not digits.
#[inline(always)]
pub(crate) fn three_digits(word: u64) -> u64 {
    let digits = word & 0xFF_FFFF;
    if non_digits(digits).trailing_zeros() >= 24 { digits } else { 0 }
}

/// Sets a bit in the upper half of every byte that is not a digit; exact up to the first one.
#[inline(always)]
pub(crate) fn non_digits(word: u64) -> u64 {
    let x = word ^ (0x30 * ONES);
    (x.wrapping_add(6 * ONES) | x) & (0xF0 * ONES)
}

/// A decimal number at the start of a word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decimal {
    /// All digits without the point.
    pub(crate) digits: u64,
    /// Number of digits after the point.
    pub(crate) fraction: u32,
    /// Number of bytes that it takes.
    pub(crate) len: u32,
}

/// Reads `digits [ "." digits ]` of at most 7 bytes; returns None for longer and other numbers.
#[inline(always)]
pub(crate) fn decimal(word: u64) -> Option<Decimal> {
    let whole = (non_digits(word).trailing_zeros() / 8).min(8);
    if whole == 0 || whole == 8 {
        return None;
    }
    let below = (1u64 << (8 * whole)) - 1;
    let point = (word >> (8 * whole)) as u8 == b'.';
    // removes the point; the top byte becomes 0, which is not a digit and ends the number
    let packed = if point { (word & below) | ((word >> 8) & !below) } else { word & below };
    let count = non_digits(packed).trailing_zeros() / 8;
    if count == 7 || (point && count == whole) || (word as u8 == b'0' && whole > 1) {
        return None;
    }
    let digits = (packed ^ (0x30 * ONES)) << (64 - 8 * count);
    let pairs = (digits * 10).wrapping_add(digits >> 8) & 0x00FF_00FF_00FF_00FF;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_FFFF_0000_FFFF;
    let value = fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xFFFF_FFFF;
    Some(Decimal { digits: value, fraction: count - whole, len: count + u32::from(point) })
}

/// 10 to the power of the index.
pub(crate) const TENS: [f64; 8] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7];
