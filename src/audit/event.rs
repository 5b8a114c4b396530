//! The stored form of an event: a `StoredEvent` whose body comes first, so that the encoding and most of the hashing are
//! done before the event has its place in the log. Stored bytes are never encoded again.

use aws_lc_rs::digest::{Context, SHA256};
use bytes::{BufMut, Bytes};

use super::tree::{LEAF_PREFIX, TreeHash};
use crate::model::time::Timestamp;
use crate::pb::journal::{Event, StoredEvent};
use crate::pb::wire::{self, DecodeError, VARINT_BYTES_MAX, put_varint};

/// The place of an event in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its position, from 0 without gaps.
    pub position: u64,
    /// Its version within its stream, from 1.
    pub stream_version: u64,
    /// When it was written; never decreasing.
    pub time: Timestamp,
}

/// An encoded event that waits for its place.
pub struct Unplaced {
    // Key and length of `body`, then the body.
    head: Vec<u8>,
    // Has seen the leaf prefix and `head`.
    hash: Context,
}

impl Unplaced {
    /// Encodes an event and hashes what does not depend on its place.
    #[must_use]
    pub fn new(event: &Event) -> Self {
        let len = wire::encoded_len(event);
        let mut head = Vec::with_capacity(1 + VARINT_BYTES_MAX + len);
        head.push(BODY_KEY);
        put_varint(len as u64, &mut head);
        wire::encode(event, &mut head);
        let mut hash = Context::new(&SHA256);
        hash.update(&[LEAF_PREFIX]);
        hash.update(&head);
        Self { head, hash }
    }

    /// An upper bound of the stored length, in bytes.
    #[must_use]
    pub fn len_max(&self) -> usize {
        self.head.len() + PLACE_MAX
    }

    /// Writes the stored form to `out` and gives its length and the hash of its leaf.
    pub fn place(self, place: Place, out: &mut impl BufMut) -> (usize, TreeHash) {
        let Self { head, mut hash } = self;
        let mut tail = [0_u8; PLACE_MAX];
        let mut rest = tail.as_mut_slice();
        for (key, value) in
            [(POSITION_KEY, place.position), (VERSION_KEY, place.stream_version), (TIME_KEY, place.time.as_millis())]
        {
            rest.put_u8(key);
            put_varint(value, &mut rest);
        }
        let unused = rest.len();
        let tail = tail.get(..PLACE_MAX - unused).unwrap_or_default();
        hash.update(tail);
        out.put_slice(&head);
        out.put_slice(tail);
        (head.len() + tail.len(), TreeHash::of(hash.finish()))
    }
}

/// Stored bytes that are no event.
#[derive(Debug, thiserror::Error)]
#[error("not a stored event")]
pub struct DecodeEventError(#[source] DecodeError);

/// The place and the encoded event inside stored bytes.
///
/// # Errors
/// When the bytes are no `StoredEvent`.
pub fn open(stored: Bytes) -> Result<(Place, Bytes), DecodeEventError> {
    let StoredEvent { position, stream_version, time_ms, body } = wire::decode(stored).map_err(DecodeEventError)?;
    Ok((Place { position, stream_version, time: Timestamp::from_millis(time_ms) }, body))
}

/// The place and the event inside stored bytes.
///
/// # Errors
/// When the bytes are no `StoredEvent`, or its body no `Event`.
pub fn decode(stored: Bytes) -> Result<(Place, Event), DecodeEventError> {
    let (place, body) = open(stored)?;
    Ok((place, wire::decode(body).map_err(DecodeEventError)?))
}

// Field keys of `StoredEvent`: number and wire type.
const POSITION_KEY: u8 = 1 << 3;
const VERSION_KEY: u8 = 2 << 3;
const TIME_KEY: u8 = 3 << 3;
const BODY_KEY: u8 = 4 << 3 | 2;
// Longest encoding of a place.
const PLACE_MAX: usize = 3 * (1 + VARINT_BYTES_MAX);

#[cfg(test)]
mod tests;
