//! The export: a file that holds events as stored and the checkpoint that they are checked by, written and read as a stream.
//!
//! The line `carnet-export-1`; the position of the first event (8 bytes), the number of subtrees that stand for the events
//! before it (1) and their roots, largest first (32 each). Then records: a letter, a length (4), that many bytes. `e` holds
//! the stored bytes of the next event; `c` a signed checkpoint of exactly these events, and is the last. Numbers are
//! big-endian.

use std::io::{self, Read, Write};

use bytes::Bytes;

use super::note::NOTE_BYTES_MAX;
use super::tree::{Frontier, TreeHash};

/// Longest stored event that is read, in bytes; the journal writes none that is half as long.
pub const STORED_BYTES_MAX: usize = 16 << 20;

/// Why a file is no export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It cannot be read or written.
    #[error("the export cannot be read or written")]
    Io(#[source] io::Error),
    /// It begins with something else.
    #[error("not an export of a form that is known")]
    Form,
    /// It ends before its checkpoint.
    #[error("the export ends after {events} events without a checkpoint")]
    CutShort {
        /// How many events there were.
        events: u64,
    },
    /// A record that is longer than its limit, or of no known kind.
    #[error("the record after {events} events is malformed")]
    Record {
        /// How many events there were before it.
        events: u64,
    },
    /// Something follows the checkpoint.
    #[error("something follows the checkpoint")]
    Trailing,
}

/// Writes an export.
pub struct ExportWriter<W> {
    out: W,
}

impl<W: Write> ExportWriter<W> {
    /// Begins an export of what follows the events that `before` stands for; of everything when it is the empty tree.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(mut out: W, before: &Frontier) -> io::Result<Self> {
        out.write_all(MAGIC)?;
        out.write_all(&before.size().to_be_bytes())?;
        out.write_all(&[u8::try_from(before.peaks().len()).unwrap_or(u8::MAX)])?;
        for peak in before.peaks() {
            out.write_all(peak.as_bytes())?;
        }
        Ok(Self { out })
    }

    /// Adds the next event.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn event(&mut self, stored: &[u8]) -> io::Result<()> {
        self.record(EVENT, stored)
    }

    /// Adds the checkpoint of exactly these events, and gives back what was written to.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self, checkpoint: &str) -> io::Result<W> {
        self.record(CHECKPOINT, checkpoint.as_bytes())?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn record(&mut self, kind: u8, bytes: &[u8]) -> io::Result<()> {
        let len = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.out.write_all(&[kind])?;
        self.out.write_all(&len.to_be_bytes())?;
        self.out.write_all(bytes)
    }
}

/// One part of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The stored bytes of the next event.
    Event(Bytes),
    /// The checkpoint; the last part.
    Checkpoint(String),
}

/// Reads an export part by part.
pub struct ExportReader<R> {
    input: R,
    before: Frontier,
    events: u64,
    ended: bool,
}

impl<R: Read> ExportReader<R> {
    /// Reads the beginning.
    ///
    /// # Errors
    /// When it is none of an export.
    pub fn new(mut input: R) -> Result<Self, ExportError> {
        let mut start = [0_u8; MAGIC.len() + 9];
        fill(&mut input, &mut start)?.then_some(()).ok_or(ExportError::Form)?;
        let rest = start.strip_prefix(MAGIC).ok_or(ExportError::Form)?;
        let (size, count) = rest.split_first_chunk::<8>().ok_or(ExportError::Form)?;
        let mut peaks = Vec::new();
        for _ in 0..count.first().copied().unwrap_or(0) {
            let mut peak = [0_u8; 32];
            fill(&mut input, &mut peak)?.then_some(()).ok_or(ExportError::Form)?;
            peaks.push(TreeHash::from_bytes(peak));
        }
        let before = Frontier::from_peaks(u64::from_be_bytes(*size), peaks).map_err(|_| ExportError::Form)?;
        Ok(Self { input, before, events: 0, ended: false })
    }

    /// What stands for the events before the first.
    #[must_use]
    pub const fn before(&self) -> &Frontier {
        &self.before
    }

    /// The next part; `None` after the checkpoint.
    ///
    /// # Errors
    /// When the file is cut short, malformed, or goes on after the checkpoint.
    pub fn part(&mut self) -> Result<Option<Part>, ExportError> {
        if self.ended {
            let nothing = read_some(&mut self.input, &mut [0])? == 0;
            return if nothing { Ok(None) } else { Err(ExportError::Trailing) };
        }
        let mut head = [0_u8; 5];
        fill(&mut self.input, &mut head)?.then_some(()).ok_or(ExportError::CutShort { events: self.events })?;
        let [kind, length @ ..] = head;
        let malformed = ExportError::Record { events: self.events };
        let len = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        let len_max = match kind {
            EVENT => STORED_BYTES_MAX,
            CHECKPOINT => NOTE_BYTES_MAX,
            _ => return Err(malformed),
        };
        if len > len_max {
            return Err(malformed);
        }
        let mut bytes = vec![0; len];
        fill(&mut self.input, &mut bytes)?.then_some(()).ok_or(ExportError::CutShort { events: self.events })?;
        if kind == EVENT {
            self.events += 1;
            return Ok(Some(Part::Event(Bytes::from(bytes))));
        }
        self.ended = true;
        Ok(Some(Part::Checkpoint(String::from_utf8(bytes).map_err(|_| malformed)?)))
    }
}

// Fills the buffer; false when the input ends before.
fn fill(input: &mut impl Read, buf: &mut [u8]) -> Result<bool, ExportError> {
    let mut rest = buf;
    while !rest.is_empty() {
        match read_some(input, rest)? {
            0 => return Ok(false),
            n => rest = rest.get_mut(n..).unwrap_or_default(),
        }
    }
    Ok(true)
}

fn read_some(input: &mut impl Read, buf: &mut [u8]) -> Result<usize, ExportError> {
    loop {
        match input.read(buf) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read.map_err(ExportError::Io),
        }
    }
}

const MAGIC: &[u8; 16] = b"carnet-export-1\n";
const EVENT: u8 = b'e';
const CHECKPOINT: u8 = b'c';
