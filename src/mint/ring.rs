//! The signing keys: a folder of PKCS#8 files (0600) and a list of what each is for. The next key is published before it
//! signs, a retired one until its last token has expired, and a distrusted one not at all from that moment on. Several
//! processes may change the folder (the broker, and an operator's command): a lock file orders them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::error::{KeyRingError, MintError};
use super::pem;
use super::ring_state::{KeyRecord, RingState};
use super::signing_key::SigningKey;
use crate::entropy::secret_file;
use crate::model::id::Audience;
use crate::model::time::Timestamp;
use crate::token::header::{SigningAlgorithm, TokenType};
use crate::token::jwks::{self, KeyId};

/// How long a key is published before it signs, unless configured: longer than any verifier should keep its copy.
pub const LEAD_DEFAULT: Duration = Duration::from_secs(3600);

/// What the keys are used for.
#[derive(Debug, Clone)]
pub struct KeySettings {
    /// How long a key is published before it signs.
    pub lead: Duration,
    /// Audiences that want tokens of another form than ES256 and `at+jwt`.
    pub formats: BTreeMap<Audience, TokenFormat>,
}

impl Default for KeySettings {
    fn default() -> Self {
        Self { lead: LEAD_DEFAULT, formats: BTreeMap::new() }
    }
}

/// The form of the tokens for one audience.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenFormat {
    /// What they are signed with.
    pub algorithm: SigningAlgorithm,
    /// What they say that they are.
    pub kind: TokenType,
}

/// A key that takes over, as the record tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// Its algorithm.
    pub algorithm: SigningAlgorithm,
    /// The key that takes over.
    pub key_id: KeyId,
    /// The key that signed until then; `None` when there was none.
    pub previous: Option<KeyId>,
    /// From when on it signs.
    pub signs_from: Timestamp,
}

/// The keys. Reading is cheap and for every request; opening, rotating, distrusting and reloading do blocking I/O.
pub struct KeyRing {
    folder: PathBuf,
    settings: KeySettings,
    loaded: RwLock<Arc<Loaded>>,
}

struct Loaded {
    state: RingState,
    keys: HashMap<KeyId, Arc<SigningKey>>,
}

/// What a token is to be signed with.
#[derive(Debug)]
pub(super) struct Signer {
    pub(super) key: Arc<SigningKey>,
    pub(super) kind: TokenType,
}

impl KeyRing {
    /// Opens the folder; on first start makes it, with a key that signs at once and the next one.
    ///
    /// # Errors
    /// When a file may be used by others, is missing, or holds something else than the list says.
    pub fn open(folder: &Path, settings: KeySettings, now: Timestamp) -> Result<Self, KeyRingError> {
        secret_file::folder(folder)?;
        let empty = Loaded { state: RingState::new(), keys: HashMap::new() };
        let ring = Self { folder: folder.to_owned(), settings, loaded: RwLock::new(Arc::new(empty)) };
        ring.change(now, |ring, loaded| {
            loaded.state.lead_ms = u64::try_from(ring.settings.lead.as_millis()).ok();
            for algorithm in ring.algorithms() {
                if loaded.state.current(algorithm, now).is_none() && loaded.state.scheduled(algorithm, now).is_none() {
                    // Nobody has a copy of a key set without any: the first key need not wait.
                    let mut first = ring.make(loaded, algorithm, now)?;
                    first.signs_from_ms = Some(now);
                    loaded.state.keys.push(first);
                }
                ring.make_next(loaded, algorithm, now)?;
            }
            Ok(())
        })?;
        Ok(ring)
    }

    /// The list of the keys in a folder: the file without which there are none.
    #[must_use]
    pub fn list_path(folder: &Path) -> PathBuf {
        folder.join("keyring.json")
    }

    /// Opens the keys that a broker keeps in the folder, for work beside it: with the lead that the broker was told, and without
    /// making or changing anything.
    ///
    /// # Errors
    /// As [`KeyRing::open`], and when there are none.
    pub fn open_kept(folder: &Path) -> Result<Self, KeyRingError> {
        secret_file::check_folder(folder)?;
        let empty = Loaded { state: RingState::new(), keys: HashMap::new() };
        let (settings, loaded) = (KeySettings::default(), RwLock::new(Arc::new(empty)));
        let mut ring = Self { folder: folder.to_owned(), settings, loaded };
        let state = ring.read_list()?;
        let keys = ring.load_keys(&state)?;
        ring.settings.lead = state.lead_ms.map_or(LEAD_DEFAULT, Duration::from_millis);
        ring.swap(Loaded { state, keys });
        Ok(ring)
    }

    /// The algorithms in use: ES256, and those that audiences are configured for.
    #[must_use]
    pub fn algorithms(&self) -> Vec<SigningAlgorithm> {
        let used = |a: &SigningAlgorithm| {
            *a == SigningAlgorithm::default() || self.settings.formats.values().any(|f| f.algorithm == *a)
        };
        SigningAlgorithm::ALL.into_iter().filter(used).collect()
    }

    /// The document for `/jwks.json`.
    #[must_use]
    pub fn jwks(&self, now: Timestamp) -> String {
        let loaded = self.loaded();
        let published = loaded.state.keys.iter().filter(|k| loaded.state.is_published(k, now));
        jwks::document(published.filter_map(|k| loaded.keys.get(&k.kid)).map(|key| key.published()))
    }

    /// The key that signs now for that algorithm.
    #[must_use]
    pub fn current(&self, algorithm: SigningAlgorithm, now: Timestamp) -> Option<KeyId> {
        self.loaded().state.current(algorithm, now).map(|k| k.kid.clone())
    }

    /// Lets the waiting key take over, as soon as it has been published for the configured time, and publishes another one.
    /// While a rotation is under way, that one is told again.
    ///
    /// # Errors
    /// When no key can be made, or a file can't be written.
    pub fn rotate(&self, algorithm: SigningAlgorithm, now: Timestamp) -> Result<Rotation, KeyRingError> {
        self.change(now, |ring, loaded| {
            let previous = loaded.state.current(algorithm, now).map(|k| k.kid.clone());
            if let Some(key) = loaded.state.scheduled(algorithm, now) {
                let signs_from = key.signs_from_ms.unwrap_or(now);
                return Ok(Rotation { algorithm, key_id: key.kid.clone(), previous, signs_from });
            }
            let (key_id, signs_from) = ring.promote(loaded, algorithm, now, ring.settings.lead)?;
            ring.make_next(loaded, algorithm, now)?;
            Ok(Rotation { algorithm, key_id, previous, signs_from })
        })
    }

    /// Distrusts a key from now on: it signs nothing, is published no more, and its file is removed. If it was the one that
    /// signs, the next takes over at once, published long enough or not; verifiers fetch a key that they don't know.
    ///
    /// # Errors
    /// When there is no such key, no other can be made, or a file can't be written.
    pub fn distrust(&self, key_id: &KeyId, now: Timestamp) -> Result<Option<Rotation>, KeyRingError> {
        self.change(now, |ring, loaded| {
            let record = loaded.state.find(key_id).ok_or_else(|| KeyRingError::Unknown(key_id.clone()))?;
            let algorithm = record.algorithm;
            let was_current = loaded.state.current(algorithm, now).is_some_and(|k| k.kid == *key_id);
            for record in loaded.state.keys.iter_mut().filter(|k| k.kid == *key_id) {
                record.distrusted_ms.get_or_insert(now);
            }
            let rotation = if was_current {
                // One that was to take over later takes over now.
                for record in loaded.state.keys.iter_mut().filter(|k| k.algorithm == algorithm) {
                    record.signs_from_ms = record.signs_from_ms.filter(|from| *from <= now);
                }
                let (next, signs_from) = ring.promote(loaded, algorithm, now, Duration::ZERO)?;
                Some(Rotation { algorithm, key_id: next, previous: Some(key_id.clone()), signs_from })
            } else {
                None
            };
            ring.make_next(loaded, algorithm, now)?;
            Ok(rotation)
        })
    }

    /// Takes in what another process changed in the folder. True when something had changed.
    ///
    /// # Errors
    /// As [`KeyRing::open`]; the keys stay as they were.
    pub fn reload(&self) -> Result<bool, KeyRingError> {
        let state = self.read_list()?;
        if self.loaded().state == state {
            return Ok(false);
        }
        let keys = self.load_keys(&state)?;
        self.swap(Loaded { state, keys });
        Ok(true)
    }

    pub(super) fn signer(&self, audience: &Audience, now: Timestamp) -> Result<Signer, MintError> {
        let TokenFormat { algorithm, kind } = self.settings.formats.get(audience).copied().unwrap_or_default();
        let loaded = self.loaded();
        let current = loaded.state.current(algorithm, now);
        let key = current.and_then(|k| loaded.keys.get(&k.kid)).ok_or(MintError::NoKey(algorithm))?;
        Ok(Signer { key: key.clone(), kind })
    }

    /// The key of that name, unless it is distrusted or gone.
    pub(super) fn find(&self, key_id: &str) -> Result<Arc<SigningKey>, MintError> {
        let gone = || MintError::KeyGone(key_id.chars().take(TOLD_CHARS_MAX).collect());
        let key_id: KeyId = key_id.parse().map_err(|_| gone())?;
        let loaded = self.loaded();
        match loaded.state.find(&key_id) {
            Some(record) if record.distrusted_ms.is_some() => Err(MintError::Distrusted(key_id)),
            _ => loaded.keys.get(&key_id).cloned().ok_or_else(gone),
        }
    }

    /// Looks at the list.
    pub(super) fn with_state<R>(&self, look: impl FnOnce(&RingState) -> R) -> R {
        look(&self.loaded().state)
    }

    fn loaded(&self) -> Arc<Loaded> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn swap(&self, loaded: Loaded) {
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded);
    }

    /// Changes the folder under its lock: reads the list as it is there, lets `f` change it, writes it, and only then lets
    /// requests see it.
    fn change<R>(
        &self,
        now: Timestamp,
        f: impl FnOnce(&Self, &mut Loaded) -> Result<R, KeyRingError>,
    ) -> Result<R, KeyRingError> {
        let _lock = self.lock()?;
        let state = match self.read_list() {
            Err(KeyRingError::SecretFile(e)) if e.is_absent() => RingState::new(),
            read => read?,
        };
        let before = state.clone();
        let keys = self.load_keys(&state)?;
        let mut loaded = Loaded { state, keys };
        loaded.state.prune(now);
        let result = f(self, &mut loaded)?;
        if loaded.state != before {
            let text = serde_json::to_vec_pretty(&loaded.state).map_err(|_| self.format_error())?;
            secret_file::replace(&Self::list_path(&self.folder), &text)?;
        }
        // What the list no longer names, or names as distrusted, need not exist any more.
        for record in &before.keys {
            if loaded.state.find(&record.kid).is_none_or(|k| k.distrusted_ms.is_some()) {
                loaded.keys.remove(&record.kid);
                drop(fs::remove_file(self.key_path(&record.kid)));
            }
        }
        self.swap(loaded);
        Ok(result)
    }

    fn promote(
        &self,
        loaded: &mut Loaded,
        algorithm: SigningAlgorithm,
        now: Timestamp,
        lead: Duration,
    ) -> Result<(KeyId, Timestamp), KeyRingError> {
        self.make_next(loaded, algorithm, now)?;
        let begun = loaded.state.keys.iter().filter(|k| k.algorithm == algorithm).filter_map(|k| k.signs_from_ms).max();
        let after_last = begun.map_or(Timestamp::EPOCH, |at| at.after(Duration::from_millis(1)));
        let at = loaded.state.waiting(algorithm).ok_or(KeyRingError::Generate)?;
        let record = loaded.state.keys.get_mut(at).ok_or(KeyRingError::Generate)?;
        let signs_from = now.max(record.published_ms.after(lead)).max(after_last);
        record.signs_from_ms = Some(signs_from);
        Ok((record.kid.clone(), signs_from))
    }

    fn make_next(&self, loaded: &mut Loaded, algorithm: SigningAlgorithm, now: Timestamp) -> Result<(), KeyRingError> {
        if loaded.state.waiting(algorithm).is_none() {
            let next = self.make(loaded, algorithm, now)?;
            loaded.state.keys.push(next);
        }
        Ok(())
    }

    /// Makes a key; its file is durable before the list names it.
    fn make(
        &self,
        loaded: &mut Loaded,
        algorithm: SigningAlgorithm,
        now: Timestamp,
    ) -> Result<KeyRecord, KeyRingError> {
        let pkcs8 = SigningKey::generate(algorithm).map_err(|_| KeyRingError::Generate)?;
        let key = SigningKey::parse(algorithm, &pkcs8).map_err(|_| KeyRingError::Generate)?;
        let kid = key.published().id().clone();
        secret_file::create(&self.key_path(&kid), pem::encode(&pkcs8).as_bytes())?;
        loaded.keys.insert(kid.clone(), Arc::new(key));
        Ok(KeyRecord { kid, algorithm, published_ms: now, signs_from_ms: None, distrusted_ms: None })
    }

    fn read_list(&self) -> Result<RingState, KeyRingError> {
        let text = secret_file::read(&Self::list_path(&self.folder), LIST_BYTES_MAX)?;
        let state: RingState = serde_json::from_slice(&text).map_err(|_| self.format_error())?;
        if state.version == RingState::VERSION { Ok(state) } else { Err(self.format_error()) }
    }

    fn load_keys(&self, state: &RingState) -> Result<HashMap<KeyId, Arc<SigningKey>>, KeyRingError> {
        let loaded = self.loaded();
        let mut keys = HashMap::new();
        for record in state.keys.iter().filter(|k| k.distrusted_ms.is_none()) {
            let key = match loaded.keys.get(&record.kid) {
                Some(known) => known.clone(),
                None => Arc::new(self.load_key(record)?),
            };
            keys.insert(record.kid.clone(), key);
        }
        Ok(keys)
    }

    fn load_key(&self, record: &KeyRecord) -> Result<SigningKey, KeyRingError> {
        let path = self.key_path(&record.kid);
        let text = secret_file::read(&path, KEY_BYTES_MAX)?;
        let key = pem::decode(&text).and_then(|der| SigningKey::parse(record.algorithm, &der).ok());
        key.filter(|k| *k.published().id() == record.kid).ok_or(KeyRingError::KeyFile { path })
    }

    fn lock(&self) -> Result<File, KeyRingError> {
        let path = self.folder.join("lock");
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let locked = file.and_then(|file| file.lock().map(|()| file));
        locked.map_err(|cause| KeyRingError::Lock { path, cause })
    }

    fn key_path(&self, kid: &KeyId) -> PathBuf {
        self.folder.join(format!("{kid}.pem"))
    }

    fn format_error(&self) -> KeyRingError {
        KeyRingError::Format { path: Self::list_path(&self.folder) }
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("folder", &self.folder).field("state", &self.loaded().state).finish()
    }
}

/// Characters of an unknown key's name that are told.
const TOLD_CHARS_MAX: usize = 64;
/// A list of some dozens of keys.
const LIST_BYTES_MAX: u64 = 64 << 10;
/// An RSA key of 8192 bits in PEM.
const KEY_BYTES_MAX: u64 = 16 << 10;

#[cfg(test)]
mod tests;
