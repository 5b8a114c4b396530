//! The folder of task keys: a file for each hour in which task families began, which the id of a family tells. A file is
//! opened when a key of its hour is wanted, so that a start costs what still matters and not the whole history.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::SealError;
use super::store::{self, KeyStore};
use crate::disk::Disk;
use crate::model::id::TaskId;

pub(super) struct KeyFolder {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    check: [u8; 32],
    poisoned: Arc<AtomicBool>,
    open: Mutex<Open>,
}

// The files that were used lately.
#[derive(Default)]
struct Open {
    files: HashMap<u64, (Arc<KeyStore>, u64)>,
    // Counts uses, so that the file that was not used for longest is known.
    uses: u64,
}

impl KeyFolder {
    /// The folder, made when there is none. `check` proves the master key without telling anything about it.
    pub(super) fn new(dir: PathBuf, disk: Arc<dyn Disk>, check: [u8; 32]) -> Result<Self, SealError> {
        let made = disk.create_dir(&dir).and_then(|()| disk.sync_dir(store::folder_of(&dir)));
        made.map_err(|cause| SealError::Io { path: dir.clone(), cause })?;
        Ok(Self { dir, disk, check, poisoned: Arc::default(), open: Mutex::default() })
    }

    /// The file that holds or would hold the key of that family; `None` when there is no such file.
    pub(super) fn find(&self, root: TaskId) -> Result<Option<Arc<KeyStore>>, SealError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = open.recall(hour(root)) {
            return Ok(Some(store));
        }
        let path = path(&self.dir, root);
        let found = KeyStore::open(&*self.disk, &path, &self.check, &self.poisoned)?;
        Ok(found.map(|store| open.keep(hour(root), store)))
    }

    /// The same file, made when there is none.
    pub(super) fn find_or_create(&self, root: TaskId) -> Result<Arc<KeyStore>, SealError> {
        loop {
            if let Some(store) = self.find(root)? {
                return Ok(store);
            }
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            // Somebody may have made it since.
            if open.recall(hour(root)).is_none() && !self.exists(root)? {
                let made = KeyStore::create(&*self.disk, &path(&self.dir, root), &self.check, &self.poisoned)?;
                return Ok(open.keep(hour(root), made));
            }
        }
    }

    fn exists(&self, root: TaskId) -> Result<bool, SealError> {
        let path = path(&self.dir, root);
        match self.disk.open(&path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(cause) => Err(SealError::Io { path, cause }),
        }
    }
}

impl Open {
    fn recall(&mut self, hour: u64) -> Option<Arc<KeyStore>> {
        self.uses += 1;
        let (store, used) = self.files.get_mut(&hour)?;
        *used = self.uses;
        Some(Arc::clone(store))
    }

    fn keep(&mut self, hour: u64, store: KeyStore) -> Arc<KeyStore> {
        if self.files.len() >= FILES_MAX {
            // INVARIANT: a file is open once, or two would number their records alike. One that is in use is not let go of.
            let idle = self.files.iter().filter(|(_, (store, _))| Arc::strong_count(store) == 1);
            if let Some(oldest) = idle.min_by_key(|(_, (_, used))| *used).map(|(hour, _)| *hour) {
                self.files.remove(&oldest);
            }
        }
        let store = Arc::new(store);
        self.files.insert(hour, (Arc::clone(&store), self.uses));
        store
    }
}

/// True when the folder has the file in which the family's key would be, with something in it.
pub(super) fn in_use(dir: &std::path::Path, disk: &dyn Disk, root: TaskId) -> bool {
    store::in_use(disk, &path(dir, root))
}

/// The file in which the key of that family is.
pub(super) fn path(dir: &std::path::Path, root: TaskId) -> PathBuf {
    dir.join(format!("{:012}", hour(root)))
}

fn hour(root: TaskId) -> u64 {
    root.timestamp().as_millis() / HOUR_MS
}

const HOUR_MS: u64 = 3_600_000;
/// Files that are kept open; those of a week fit, which is as long as a task lives under the policy that ships.
const FILES_MAX: usize = 192;
