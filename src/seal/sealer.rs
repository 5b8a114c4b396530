//! Sealing and opening: AES-256-GCM under one key for each task family, with random nonces. Sealing and opening are for
//! every request and need no file, except that a key which was not used lately is read again; making and erasing a key
//! wait for the disk.
//! Sealed bytes: version (1), nonce (12), ciphertext, tag (16). The task family and the context are authenticated with
//! them, so that bytes of one place can't be passed off as those of another. Where they are stored is not: positions are
//! given after they are sealed.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use super::cache::{DataKey, KeyCache};
use super::error::SealError;
use super::folder::{self, KeyFolder};
use super::master::{KEY_BYTES, MasterKey, derive};
use super::store::{KeyStore, Slot, WRAPPED_BYTES, WrappedKey};
use crate::disk::Disk;
use crate::entropy::Entropy;
use crate::model::id::TaskId;

/// Where the keys are.
#[derive(Debug, Clone)]
pub struct KeyFiles {
    /// The operator's master key (0600), which wraps all others. To be kept apart from the rest, and never lost.
    pub master_key: PathBuf,
    /// The folder of the wrapped keys of the task families, beside the journal. A backup takes the journal first and then this.
    pub task_keys: PathBuf,
}

impl KeyFiles {
    /// True when keys were made there before.
    #[must_use]
    pub fn in_use(&self, disk: &dyn Disk) -> bool {
        folder::in_use(&self.task_keys, disk, COMMON)
    }

    /// Looks whether the master key can be used, and makes none.
    ///
    /// # Errors
    /// When it is damaged, or absent though keys were made under it.
    pub fn check_master(&self, disk: &dyn Disk) -> Result<(), SealError> {
        match self.master(disk) {
            Err(SealError::SecretFile(e)) if e.is_absent() => Ok(()),
            read => read.map(drop),
        }
    }

    fn master(&self, disk: &dyn Disk) -> Result<MasterKey, SealError> {
        MasterKey::load(&self.master_key).map_err(|error| match error {
            SealError::SecretFile(e) if e.is_absent() && self.in_use(disk) => {
                SealError::MasterKeyAbsent { keys: self.task_keys.clone(), master: self.master_key.clone() }
            }
            other => other,
        })
    }
}

/// The family of what is of no task: refusals to register one, reasons that concern an identity. Its key is made first.
pub const COMMON: TaskId = TaskId::from_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

/// Seals and opens what people and agents wrote. Shared by all that need it; no lock is held while encrypting.
pub struct Sealer {
    wrapping: LessSafeKey,
    keys: KeyFolder,
    cache: KeyCache,
    entropy: Entropy,
}

impl Sealer {
    /// Opens the files, or makes them on first start. Blocking I/O.
    ///
    /// # Errors
    /// When a file may be used by others, is of another kind, or can't be used; when the master key is not the one that
    /// wraps the keys, or is absent while there are keys.
    pub fn load(files: &KeyFiles, disk: Arc<dyn Disk>, entropy: Entropy) -> Result<Self, SealError> {
        let master = match files.master(&*disk) {
            Err(SealError::SecretFile(e)) if e.is_absent() => MasterKey::load_or_create(&files.master_key, &entropy)?,
            read => read?,
        };
        let wrapping = aes(&master.derive("carnet task key wrap v1"))?;
        let check = *master.derive("carnet task key check v1");
        let keys = KeyFolder::new(files.task_keys.clone(), disk, check)?;
        let sealer = Self { wrapping, keys, cache: KeyCache::new(), entropy };
        sealer.create(COMMON)?;
        Ok(sealer)
    }

    /// Makes the key of a task family, durable on return: before the event that first uses it. Blocking I/O (one sync, which
    /// callers that come at once share). A key that is there is left alone.
    ///
    /// # Errors
    /// When the key was erased, or can't be made or stored.
    pub fn create(&self, root: TaskId) -> Result<(), SealError> {
        let store = self.keys.find_or_create(root)?;
        match store.slot(root)? {
            Some(Slot::Live(_)) => return Ok(()),
            Some(Slot::Erased) => return Err(SealError::Erased(root)),
            Some(Slot::Damaged) => return Err(SealError::KeyDamaged(root)),
            None => {}
        }
        let key = Zeroizing::new(self.entropy.bytes::<KEY_BYTES>()?);
        store.append(root, &self.wrap(root, &key)?)?;
        self.cache.keep(root, Arc::new(DataKey::of(&key)?));
        Ok(())
    }

    /// A digest of what must be recognised and not be known: it confirms no guess to whoever lacks the key, and to nobody
    /// when the key was erased.
    ///
    /// # Errors
    /// When the task family has no key (any more).
    pub fn digest(&self, root: TaskId, context: &str, plain: &[u8]) -> Result<[u8; 32], SealError> {
        let key = self.key(root)?;
        let mut tag = hmac::Context::with_key(&key.digests);
        for part in [context.as_bytes(), plain] {
            tag.update(&(part.len() as u64).to_be_bytes());
            tag.update(part);
        }
        tag.sign().as_ref().try_into().map_err(|_| SealError::Crypto)
    }

    /// True when the key of that task family was destroyed.
    #[must_use]
    pub fn is_erased(&self, root: TaskId) -> bool {
        matches!(self.keys.find(root), Ok(Some(store)) if matches!(store.slot(root), Ok(Some(Slot::Erased))))
    }

    /// In which record the key of a task family is, for [`Sealer::expect`] after a restart; `None` when there is none that can
    /// be used. Blocking I/O.
    #[must_use]
    pub fn place(&self, root: TaskId) -> Option<u32> {
        live(&*self.keys.find(root).ok()??, root).ok()
    }

    /// Says where the key of a task family was, so that it is found without reading all that were made in its hour. Blocking
    /// I/O.
    pub fn expect(&self, root: TaskId, place: u32) {
        if let Ok(Some(store)) = self.keys.find(root) {
            store.expect(root, place);
        }
    }

    /// Seals `plain` for one place, which `context` names: the kind of event and its field, say.
    ///
    /// # Errors
    /// When the task family has no key (any more), or there is no randomness.
    pub fn seal(&self, root: TaskId, context: &str, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let key = self.key(root)?;
        let nonce = self.entropy.bytes::<NONCE_LEN>()?;
        let mut out = Vec::with_capacity(OVERHEAD_BYTES + plain.len());
        out.push(VERSION);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(plain);
        let body = out.get_mut(1 + NONCE_LEN..).ok_or(SealError::Crypto)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag =
            key.sealing.seal_in_place_separate_tag(nonce, aad(root, context), body).map_err(|_| SealError::Crypto)?;
        out.extend_from_slice(tag.as_ref());
        Ok(out)
    }

    /// Opens what was sealed for that place.
    ///
    /// # Errors
    /// When the key was erased or never was, or the bytes are not what was sealed there.
    pub fn open(&self, root: TaskId, context: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let key = self.key(root)?;
        let altered = || SealError::Altered(root);
        let (version, rest) = sealed.split_first().ok_or_else(altered)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(altered)?;
        if *version != VERSION {
            return Err(altered());
        }
        let mut plain = body.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = key.sealing.open_in_place(nonce, aad(root, context), &mut plain).map_err(|_| altered())?.len();
        plain.truncate(length);
        Ok(plain)
    }

    /// Destroys the key of a task family and with it all that was sealed, durable on return. Blocking I/O.
    ///
    /// # Errors
    /// When there never was such a key, or the file can't be written.
    pub fn erase(&self, root: TaskId) -> Result<(), SealError> {
        let store = self.keys.find(root)?.ok_or(SealError::Unknown(root))?;
        match store.slot(root)? {
            Some(Slot::Live(number)) => {
                let erased = store.erase(root, number);
                self.cache.forget(root);
                erased
            }
            Some(Slot::Erased) => Ok(()),
            Some(Slot::Damaged) => Err(SealError::KeyDamaged(root)),
            None => Err(SealError::Unknown(root)),
        }
    }

    /// True when the file of that family's key was read whole.
    #[cfg(test)]
    pub(crate) fn has_read_all(&self, root: TaskId) -> bool {
        self.keys.find(root).ok().flatten().is_some_and(|store| store.all().is_some())
    }

    fn key(&self, root: TaskId) -> Result<Arc<DataKey>, SealError> {
        if let Some(key) = self.cache.find(root) {
            return Ok(key);
        }
        let store = self.keys.find(root)?.ok_or(SealError::Unknown(root))?;
        let number = live(&store, root)?;
        let unwrapped = store.wrapped(root, number).and_then(|wrapped| self.unwrap(root, &wrapped));
        // Whoever erased it meanwhile has overwritten what was read.
        live(&store, root)?;
        let unwrapped = unwrapped?;
        let key = Arc::new(DataKey::of(&unwrapped)?);
        self.cache.keep(root, key.clone());
        // Erasing marks first and clears the cache afterwards, so one of the two sees the other.
        live(&store, root).inspect_err(|_| self.cache.forget(root))?;
        Ok(key)
    }

    fn wrap(&self, root: TaskId, key: &Zeroizing<[u8; KEY_BYTES]>) -> Result<WrappedKey, SealError> {
        let nonce = self.entropy.bytes::<NONCE_LEN>()?;
        let mut body = Zeroizing::new(**key);
        let tag = self.wrapping.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            aad(root, WRAP_CONTEXT),
            body.as_mut_slice(),
        );
        let tag = tag.map_err(|_| SealError::Crypto)?;
        let mut out = [0; WRAPPED_BYTES];
        for (to, from) in out.iter_mut().zip(nonce.iter().chain(body.iter()).chain(tag.as_ref())) {
            *to = *from;
        }
        Ok(out)
    }

    fn unwrap(&self, root: TaskId, wrapped: &WrappedKey) -> Result<Zeroizing<[u8; KEY_BYTES]>, SealError> {
        let damaged = || SealError::KeyDamaged(root);
        let (nonce, body) = wrapped.split_first_chunk::<NONCE_LEN>().ok_or_else(damaged)?;
        let mut body = Zeroizing::new(body.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self.wrapping.open_in_place(nonce, aad(root, WRAP_CONTEXT), &mut body).map_err(|_| damaged())?;
        Ok(Zeroizing::new(plain.first_chunk().copied().ok_or_else(damaged)?))
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(redacted)")
    }
}

impl DataKey {
    // No key serves two algorithms.
    fn of(key: &[u8; KEY_BYTES]) -> Result<Self, SealError> {
        let digests = hmac::Key::new(hmac::HMAC_SHA256, derive(key, "carnet digest v1").as_slice());
        Ok(Self { sealing: aes(&derive(key, "carnet seal v1"))?, digests })
    }
}

fn live(store: &KeyStore, root: TaskId) -> Result<u32, SealError> {
    match store.slot(root)? {
        Some(Slot::Live(number)) => Ok(number),
        Some(Slot::Erased) => Err(SealError::Erased(root)),
        Some(Slot::Damaged) => Err(SealError::KeyDamaged(root)),
        None => Err(SealError::Unknown(root)),
    }
}

fn aes(key: &[u8; KEY_BYTES]) -> Result<LessSafeKey, SealError> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).map_err(|_| SealError::Crypto)
}

fn aad(root: TaskId, context: &str) -> Aad<Vec<u8>> {
    Aad::from([root.as_bytes(), context.as_bytes()].concat())
}

/// The bytes by which sealed is longer than plain.
pub const OVERHEAD_BYTES: usize = 1 + NONCE_LEN + 16;
const VERSION: u8 = 1;
const WRAP_CONTEXT: &str = "task key";

#[cfg(test)]
mod tests;
