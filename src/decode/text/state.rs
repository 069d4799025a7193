//! The state of the header parser: what it has read, and how much of it is certain. Unit: one line.

use super::ids;
use crate::record::field::{FieldId, LOGGER, SEVERITY, TIMESTAMP};

/// Limit of a part's length: names of loggers and threads are shorter.
pub(super) const PART_BYTES_MAX: usize = 128;

/// Limit of fields in a header.
const FIELDS_MAX: usize = 16;

/// The parts of a header that were read so far.
#[derive(Debug)]
pub(super) struct Header<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) fields: [(FieldId, u32, u32); FIELDS_MAX],
    pub(super) count: usize,
    /// How many of the fields are certain.
    pub(super) certain: usize,
    /// The start of the message if nothing more is certain.
    pub(super) body: Option<usize>,
    pub(super) has_time: bool,
    pub(super) level: Option<FoundLevel>,
    pub(super) has_logger: bool,
    pub(super) has_place: bool,
    /// A word that is the logger's name if a level follows.
    pub(super) logger_name: Option<(usize, usize)>,
    /// A text in brackets between dashes, which is an id.
    pub(super) bracketed_id: Option<(usize, usize)>,
    /// The separator before the part that is read: `-`, `|` or `:`; 0 for blanks.
    pub(super) separator: u8,
    /// Words of ordinary letters since the last certain part, which may begin a message.
    pub(super) plain_words: usize,
    /// Parts that are not certain, since the last certain one.
    pub(super) waiting: usize,
    /// The message starts at `body`, whatever follows.
    pub(super) is_done: bool,
    /// A level or a tag was searched for in the text after the parts, so that the header depends on
    /// that text.
    pub(super) is_searched: bool,
    /// Where the parser found no further part.
    pub(super) stopped: usize,
}

/// The position of the level.
#[derive(Clone, Copy, Debug)]
pub(super) struct FoundLevel {
    pub(super) from: usize,
    pub(super) to: usize,
    /// The level was in brackets and padded, as structlog's console writes it.
    pub(super) is_padded: bool,
}

impl<'a> Header<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Header<'a> {
        Header {
            bytes,
            fields: [(FieldId::NONE, 0, 0); FIELDS_MAX],
            count: 0,
            certain: 0,
            body: None,
            has_time: false,
            level: None,
            has_logger: false,
            has_place: false,
            logger_name: None,
            bracketed_id: None,
            separator: 0,
            plain_words: 0,
            waiting: 0,
            is_done: false,
            is_searched: false,
            stopped: 0,
        }
    }

    /// Records a field, which becomes certain when [`Header::commit`] follows.
    pub(super) fn put(&mut self, field: FieldId, from: usize, to: usize) {
        if let Some(slot) = self.fields.get_mut(self.count) {
            *slot = (field, from as u32, to as u32);
            self.count += 1;
        }
    }

    /// Marks everything up to `body` as certain.
    pub(super) fn commit(&mut self, body: usize) -> usize {
        let body = self.blanks(body);
        self.certain = self.count;
        self.body = Some(body);
        self.waiting = 0;
        self.plain_words = 0;
        body
    }

    /// Records a part up to `next` that becomes certain if something certain follows.
    pub(super) fn wait(&mut self, next: usize) -> usize {
        self.waiting += 1;
        self.blanks(next)
    }

    pub(super) fn time(&mut self, from: usize, to: usize, next: usize) -> usize {
        self.put(TIMESTAMP, from, to);
        self.has_time = true;
        if self.level.is_none() {
            // a word before the time does not name a logger
            self.logger_name = None;
        }
        self.separator = 0;
        self.commit(next)
    }

    pub(super) fn level(&mut self, from: usize, to: usize, next: usize) -> usize {
        self.put(SEVERITY, from, to);
        self.level = Some(FoundLevel { from, to, is_padded: false });
        if let Some((from, to)) = self.logger_name.take() {
            self.put(LOGGER, from, to);
            self.has_logger = true;
        }
        self.commit(next)
    }

    pub(super) fn logger(&mut self, from: usize, to: usize, next: usize) -> usize {
        self.put(LOGGER, from, to);
        self.has_logger = true;
        self.commit(next)
    }

    pub(super) fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// Returns whether a blank or the end of the line is at `at`.
    pub(super) fn ends(&self, at: usize) -> bool {
        matches!(self.bytes.get(at), None | Some(b' ' | b'\t'))
    }

    /// Returns the position after the blanks at `at`.
    #[inline]
    pub(super) fn blanks(&self, mut at: usize) -> usize {
        while let Some(b' ' | b'\t') = self.bytes.get(at) {
            at += 1;
        }
        at
    }

    /// Reads a location between two positions.
    pub(super) fn place(&mut self, from: usize, to: usize) -> bool {
        let mut fields = [(FieldId::NONE, 0, 0); 3];
        let found = ids::place(self.bytes, from, to, &mut fields);
        for (field, from, to) in fields.into_iter().take(found) {
            self.has_logger |= field == LOGGER;
            self.put(field, from, to);
        }
        found > 0
    }

    /// Records a text in brackets between dashes as an id, whatever it looks like.
    pub(super) fn id(&mut self, from: usize, to: usize) {
        self.bracketed_id = Some((from, to));
    }

    /// Marks the parts before an id between dashes as certain; a level may still follow.
    pub(super) fn certain_id(&mut self, next: usize) -> usize {
        let name = self.logger_name;
        let next = self.commit(next);
        self.logger_name = name;
        next
    }

    /// Records a name that is the logger's if a level follows.
    pub(super) fn name(&mut self, from: usize, to: usize) {
        self.logger_name = Some((from, to));
    }
}
