//! The data keys that were used lately, unwrapped. Bounded: two generations, of which the older is dropped as a whole.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::hmac;

use crate::model::id::TaskId;

/// What an unwrapped key is used for. The library overwrites them when they are dropped.
pub(super) struct DataKey {
    pub(super) sealing: LessSafeKey,
    pub(super) digests: hmac::Key,
}

pub(super) struct KeyCache {
    shards: Vec<Mutex<Generations>>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<TaskId, Arc<DataKey>>,
    old: HashMap<TaskId, Arc<DataKey>>,
}

impl KeyCache {
    pub(super) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    pub(super) fn find(&self, root: TaskId) -> Option<Arc<DataKey>> {
        self.with(root, |g| {
            if let Some(key) = g.young.get(&root) {
                return Some(key.clone());
            }
            let key = g.old.remove(&root)?;
            g.keep(root, key.clone());
            Some(key)
        })
    }

    pub(super) fn keep(&self, root: TaskId, key: Arc<DataKey>) {
        self.with(root, |g| g.keep(root, key));
    }

    pub(super) fn forget(&self, root: TaskId) {
        self.with(root, |g| {
            g.young.remove(&root);
            g.old.remove(&root);
        });
    }

    fn with<R>(&self, root: TaskId, f: impl FnOnce(&mut Generations) -> R) -> R {
        // The last byte of a UUIDv7 is random.
        let at = usize::from(root.as_bytes()[15]) % SHARDS;
        #[expect(clippy::indexing_slicing, reason = "INVARIANT: there are SHARDS shards")]
        let shard = &self.shards[at];
        // A cache is whole after every step, so a panic elsewhere has not spoiled it.
        f(&mut shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Generations {
    fn keep(&mut self, root: TaskId, key: Arc<DataKey>) {
        if self.young.len() >= GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(root, key);
    }
}

const SHARDS: usize = 16;
/// Keys of one generation of one shard: 16 thousand keys in all, some ten megabytes.
const GENERATION_MAX: usize = 512;
