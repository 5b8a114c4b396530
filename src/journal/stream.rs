//! Streams: the key by which a stream is known, and the version that each has reached.

use std::collections::HashMap;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// 128 bits of the SHA-256 of a stream's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct StreamKey([u8; 16]);

impl StreamKey {
    pub(super) fn of(name: &str) -> Self {
        let digest = digest(&SHA256, name.as_bytes());
        let mut key = [0_u8; 16];
        for (byte, of) in key.iter_mut().zip(digest.as_ref()) {
            *byte = *of;
        }
        Self(key)
    }
}

/// The version that each stream has reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Streams(HashMap<StreamKey, u64>);

impl Streams {
    /// The version of the stream's next event, from 1.
    pub(super) fn next(&mut self, stream: StreamKey) -> u64 {
        let version = self.0.entry(stream).or_insert(0);
        *version += 1;
        *version
    }
}
