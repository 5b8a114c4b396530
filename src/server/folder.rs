//! The folder that a broker keeps: journal, signing keys, checkpoint key, and the keys that seal what is stored. All of it is
//! made on first start, for nobody but the broker's user.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::audit::note::SignerKey;
use crate::broker::open;
use crate::clock::Clock;
use crate::disk::untouched::Untouched;
use crate::disk::{Disk, RealDisk};
use crate::entropy::Entropy;
use crate::entropy::secret_file;
use crate::entropy::secret_file::SecretFileError;
use crate::journal;
use crate::journal::open::OpenReport;
use crate::journal::options::Options;
use crate::mint::ring::{KeyRing, KeySettings};
use crate::notify::NotifyFolder;
use crate::seal::handle::HandleKey;
use crate::seal::sealer::{KeyFiles, Sealer};
use crate::server::error::ServerError;

/// The file that marks the folder of a dev broker.
const DEV_MARK: &str = "NOT-FOR-PRODUCTION";
/// Length of the seed of a checkpoint key.
const SEED_BYTES: usize = 32;

/// Where a broker keeps what.
#[derive(Debug, Clone)]
pub struct DataFolder {
    root: PathBuf,
    master_key: PathBuf,
    disk: Arc<dyn Disk>,
}

/// How the folder is used.
#[derive(Debug, Clone)]
pub struct FolderOptions {
    /// The issuer, of which the checkpoints' origin is made.
    pub issuer: String,
    /// What the signing keys are used for.
    pub keys: KeySettings,
    /// Size at which a new segment of the journal is begun.
    pub segment_bytes: u64,
    /// Events between two snapshots.
    pub snapshot_every: u64,
    /// Space that is held back for ends and revocations.
    pub disk_reserve_bytes: u64,
    /// Time between two checkpoints.
    pub checkpoint_interval: Duration,
}

/// What lies in the folder, opened.
#[derive(Debug)]
pub struct Contents {
    /// Keys of the words.
    pub sealer: Arc<Sealer>,
    /// Key of the task handles.
    pub handles: HandleKey,
    /// Keys of the tokens.
    pub keys: Arc<KeyRing>,
    /// How to open the journal.
    pub journal: Options,
}

impl DataFolder {
    /// The folder at `root`, with the master key in it.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), master_key: root.join("master.key"), disk: Arc::new(RealDisk) }
    }

    /// The same with the master key elsewhere, so that a copy of the folder alone opens nothing.
    #[must_use]
    pub fn with_master_key(mut self, path: &Path) -> Self {
        path.clone_into(&mut self.master_key);
        self
    }

    /// The same with what is written for each task and event on another disk: for tests and simulations.
    #[must_use]
    pub fn with_disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = disk;
        self
    }

    /// Where the journal lies.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// True when there is a journal, so that a start is not the first.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        journal::open::is_begun(&*self.disk, &self.journal())
    }

    /// Where the signing keys lie.
    #[must_use]
    pub fn signing_keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// Where it is kept how far receivers of webhooks were told.
    #[must_use]
    pub fn notices(&self) -> NotifyFolder {
        NotifyFolder { dir: self.root.join("notify"), disk: Arc::clone(&self.disk) }
    }

    /// Marks the folder as that of a dev broker, for good. Blocking I/O.
    ///
    /// # Errors
    /// When it cannot be made or written.
    pub fn mark_as_dev(&self) -> Result<(), ServerError> {
        secret_file::folder(&self.root).map_err(ServerError::Folder)?;
        let text = b"Made by `carnet dev`. Its keys protect nothing.\n";
        match secret_file::create(&self.root.join(DEV_MARK), text) {
            Err(error) if !error.is_present() => Err(ServerError::Folder(error)),
            _ => Ok(()),
        }
    }

    /// Refuses the folder of a dev broker.
    ///
    /// # Errors
    /// When it is one.
    pub fn refuse_dev(&self) -> Result<(), ServerError> {
        // What cannot be looked at is refused by what opens it.
        if self.root.join(DEV_MARK).try_exists().unwrap_or(false) {
            return Err(ServerError::DevFolder(self.root.clone()));
        }
        Ok(())
    }

    /// Opens what lies in the folder, or makes it on first start. Blocking I/O.
    ///
    /// # Errors
    /// When others may write in the folder, or a key cannot be made, read or used.
    pub fn open(&self, options: FolderOptions, clock: &Clock, entropy: &Entropy) -> Result<Contents, ServerError> {
        secret_file::folder(&self.root).map_err(ServerError::Folder)?;
        let files = self.key_files();
        self.refuse_loss(&files)?;
        let sealer = Sealer::load(&files, Arc::clone(&self.disk), entropy.clone())?;
        let handles = HandleKey::load_or_create(&self.handle_key(), entropy)?;
        let keys = KeyRing::open(&self.signing_keys(), options.keys, clock.now())?;
        let signer = self.checkpoint_key(&options.issuer, entropy)?;
        let time = clock.clone();
        let mut journal =
            Options::new(self.journal(), Arc::new(move || time.now()), Arc::new(signer), entropy.bytes()?);
        journal.disk = Arc::clone(&self.disk);
        journal.segment_bytes = options.segment_bytes;
        journal.snapshot_every = options.snapshot_every;
        journal.reserve_bytes = options.disk_reserve_bytes;
        journal.checkpoint_every = options.checkpoint_interval;
        Ok(Contents { sealer: Arc::new(sealer), handles, keys: Arc::new(keys), journal })
    }

    /// Keys are made before the journal is begun. One that is gone afterwards must not be made again: another handle key
    /// shuts out every open task, another checkpoint key disowns what was signed, and no other task key opens anything.
    fn refuse_loss(&self, files: &KeyFiles) -> Result<(), ServerError> {
        let journal = self.journal();
        if !journal::open::is_begun(&*self.disk, &journal) {
            return Ok(());
        }
        let there = |path: &Path| path.try_exists().unwrap_or(true);
        let ring = KeyRing::list_path(&self.signing_keys());
        let single = [self.handle_key(), self.checkpoint_key_path(), ring];
        let mut gone: Vec<PathBuf> = single.into_iter().filter(|path| !there(path)).collect();
        if !files.in_use(&*self.disk) {
            gone.push(files.task_keys.clone());
        }
        gone.into_iter().next().map_or(Ok(()), |path| Err(ServerError::KeyGone { path, journal }))
    }

    fn key_files(&self) -> KeyFiles {
        KeyFiles { master_key: self.master_key.clone(), task_keys: self.root.join("task-keys") }
    }

    fn handle_key(&self) -> PathBuf {
        self.root.join("handle.key")
    }

    fn checkpoint_key_path(&self) -> PathBuf {
        self.root.join("checkpoint.key")
    }

    /// Looks whether the folder could be opened, and makes and changes nothing. Blocking I/O.
    ///
    /// # Errors
    /// When others may use it, it is somebody else's or in use, or a key that is there cannot be used.
    pub fn inspect(&self, issuer: &str, entropy: &Entropy) -> Result<(), ServerError> {
        match secret_file::check_folder(&self.root) {
            Err(error) if error.is_absent() => return self.could_be_made(),
            looked => looked.map_err(ServerError::Folder)?,
        }
        let files = self.key_files();
        self.refuse_loss(&files)?;
        files.check_master(&*self.disk)?;
        let is_there = |path: &Path| path.symlink_metadata().is_ok();
        if is_there(&self.handle_key()) {
            HandleKey::load_or_create(&self.handle_key(), entropy)?;
        }
        if is_there(&self.signing_keys()) {
            KeyRing::open_kept(&self.signing_keys())?;
        }
        if is_there(&self.checkpoint_key_path()) {
            self.checkpoint_key(issuer, entropy)?;
        }
        Ok(journal::in_use::check(&self.journal())?)
    }

    /// Reads the journal through as a start would, and changes nothing; `None` when there is none yet. To be asked when
    /// [`DataFolder::inspect`] found nothing amiss. Blocking I/O, for as long as a start takes.
    ///
    /// # Errors
    /// When it would not open, or nothing could be decided with it.
    pub fn inspect_journal(
        &self,
        issuer: &str,
        clock: &Clock,
        entropy: &Entropy,
    ) -> Result<Option<OpenReport>, ServerError> {
        if !journal::open::is_begun(&*self.disk, &self.journal()) {
            return Ok(None);
        }
        let disk = Arc::new(Untouched(Arc::clone(&self.disk)));
        let sealer = Sealer::load(&self.key_files(), disk, entropy.clone())?;
        let (signer, time) = (self.checkpoint_key(issuer, entropy)?, clock.clone());
        let mut options =
            Options::new(self.journal(), Arc::new(move || time.now()), Arc::new(signer), entropy.bytes()?);
        options.disk = Arc::clone(&self.disk);
        Ok(Some(open::inspect(options, Arc::new(sealer))?))
    }

    fn could_be_made(&self) -> Result<(), ServerError> {
        let above = self.root.ancestors().skip(1).find(|above| above.as_os_str().is_empty() || above.exists());
        let above = above.filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let may = nix::unistd::AccessFlags::W_OK | nix::unistd::AccessFlags::X_OK;
        let cause = match nix::unistd::access(above, may) {
            Ok(()) if above.is_dir() => return Ok(()),
            Ok(()) => std::io::ErrorKind::NotADirectory.into(),
            Err(error) => error.into(),
        };
        Err(ServerError::Folder(SecretFileError::Io { path: self.root.clone(), cause }))
    }

    /// The key that signs checkpoints; its name is the log's origin, which is the issuer without its scheme.
    fn checkpoint_key(&self, issuer: &str, entropy: &Entropy) -> Result<SignerKey, ServerError> {
        let path = self.checkpoint_key_path();
        let refuse = |cause: Box<dyn std::error::Error + Send + Sync>| {
            let path = path.clone();
            ServerError::CheckpointKey { path, cause }
        };
        let seed = match secret_file::read(&path, SEED_BYTES as u64) {
            Err(error) if error.is_absent() => {
                let seed = zeroize::Zeroizing::new(entropy.bytes::<SEED_BYTES>()?);
                secret_file::create(&path, seed.as_slice()).map_err(|e| refuse(Box::new(e)))?;
                seed
            }
            read => {
                let bytes = read.map_err(|e| refuse(Box::new(e)))?;
                let seed = <[u8; SEED_BYTES]>::try_from(bytes.as_slice()).map_err(|e| refuse(Box::new(e)))?;
                zeroize::Zeroizing::new(seed)
            }
        };
        let origin = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
        SignerKey::from_seed(origin, &seed).map_err(|e| refuse(Box::new(e)))
    }
}
