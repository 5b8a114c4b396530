//! A disk in memory that keeps what was not synced aside, and loses any part of it when the power is cut. For tests and
//! simulations; a seed repeats the loss. Space, failing syncs and a disk that lies about them can be had too.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskFile};

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Default)]
pub struct SimulatedDisk(Arc<Mutex<World>>);

#[derive(Clone, Default)]
struct World {
    inodes: Vec<Inode>,
    // As the running process sees them, and as they are durable.
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    unsynced_names: Vec<NameChange>,
    dirs: BTreeSet<PathBuf>,
    locked: BTreeSet<PathBuf>,
    operations: u64,
    cut_at: Option<u64>,
    dead: bool,
    syncs: Syncs,
    space: Option<u64>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Syncs {
    #[default]
    Honest,
    Failing,
    Forgotten,
}

#[derive(Clone, Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Clone)]
enum NameChange {
    Set { path: PathBuf, inode: usize },
    Remove { path: PathBuf },
    Rename { from: PathBuf, to: PathBuf, inode: usize },
}

impl std::fmt::Debug for SimulatedDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SimulatedDisk")
    }
}

impl SimulatedDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many operations changed the disk so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.world().operations
    }

    /// Cuts the power during the operation of that number: it fails, and so does all that comes after.
    pub fn cut_power_at(&self, operation: u64) {
        self.world().cut_at = Some(operation);
    }

    /// Cuts the power now.
    pub fn cut_power(&self) {
        self.world().dead = true;
    }

    /// Lets every sync fail from now on.
    pub fn fail_syncs(&self) {
        self.world().syncs = Syncs::Failing;
    }

    /// Lets every sync of a file succeed from now on without doing anything: what a log without syncs would be.
    pub fn forget_syncs(&self) {
        self.world().syncs = Syncs::Forgotten;
    }

    /// Bytes of all files.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.world().used()
    }

    /// Leaves room for so many bytes in all.
    pub fn limit_space(&self, bytes: u64) {
        self.world().space = Some(bytes);
    }

    /// The disk after the power came back: of what was not synced, an arbitrary part is there.
    #[must_use]
    pub fn after_power_cut(&self, seed: u64) -> Self {
        let mut world = self.world().clone();
        let mut dice = Dice::new(seed);
        for inode in &mut world.inodes {
            inode.settle(&mut dice);
        }
        for change in mem::take(&mut world.unsynced_names) {
            if dice.keeps() {
                change.apply(&mut world.durable_names);
            }
        }
        world.names = world.durable_names.clone();
        Self::restarted(world)
    }

    /// The disk as the next process finds it when this one was killed: nothing is lost, nothing more is durable.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        Self::restarted(self.world().clone())
    }

    fn restarted(world: World) -> Self {
        let locked = BTreeSet::new();
        let world = World { locked, operations: 0, cut_at: None, dead: false, syncs: Syncs::Honest, ..world };
        Self(Arc::new(Mutex::new(world)))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    // Counts an operation that changes the disk; false when the power is cut during it.
    fn operate(&mut self) -> io::Result<bool> {
        if self.dead {
            return Err(power());
        }
        self.operations += 1;
        self.dead = self.cut_at.is_some_and(|at| self.operations >= at);
        Ok(!self.dead)
    }

    // Does something to names, which may or may not be there if the power is cut during it.
    fn change_names(&mut self, change: NameChange) -> io::Result<()> {
        let alive = self.operate()?;
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
        if alive { Ok(()) } else { Err(power()) }
    }

    fn change(&mut self, inode: usize, change: Change) -> io::Result<()> {
        let alive = self.operate()?;
        let used = self.used();
        let file = self.inodes.get_mut(inode).ok_or(io::ErrorKind::NotFound)?;
        let grows = change.end().saturating_sub(file.live.len());
        if grows > 0 && self.space.is_some_and(|space| used + grows as u64 > space) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        change.apply(&mut file.live);
        file.unsynced.push(change);
        if alive { Ok(()) } else { Err(power()) }
    }

    fn used(&self) -> u64 {
        let named = self.names.values().filter_map(|inode| self.inodes.get(*inode));
        named.map(|inode| inode.live.len() as u64).sum()
    }

    fn sync(&mut self, inode: usize) -> io::Result<()> {
        if !self.operate()? {
            return Err(power());
        }
        let file = self.inodes.get_mut(inode).ok_or(io::ErrorKind::NotFound)?;
        match self.syncs {
            Syncs::Failing => Err(io::Error::other("simulated failure of a sync")),
            Syncs::Forgotten => Ok(()),
            Syncs::Honest => {
                for change in mem::take(&mut file.unsynced) {
                    change.apply(&mut file.durable);
                }
                Ok(())
            }
        }
    }
}

impl Inode {
    // Keeps an arbitrary part of what was not synced, sector by sector.
    fn settle(&mut self, dice: &mut Dice) {
        for change in mem::take(&mut self.unsynced) {
            match change {
                Change::Length(_) if dice.keeps() => change.apply(&mut self.durable),
                Change::Length(_) => {}
                Change::Write { at, bytes } => {
                    let mut at = at;
                    let mut rest = bytes.as_slice();
                    while !rest.is_empty() {
                        let (sector, after) = rest.split_at(rest.len().min(SECTOR - at % SECTOR));
                        if dice.keeps() {
                            Change::Write { at, bytes: sector.to_vec() }.apply(&mut self.durable);
                        }
                        at += sector.len();
                        rest = after;
                    }
                }
            }
        }
        self.live = self.durable.clone();
    }
}

impl Change {
    fn end(&self) -> usize {
        match self {
            Self::Write { at, bytes } => at + bytes.len(),
            Self::Length(len) => *len,
        }
    }

    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Length(len) => content.resize(*len, 0),
            Self::Write { at, bytes } => {
                if content.len() < self.end() {
                    content.resize(self.end(), 0);
                }
                if let Some(place) = content.get_mut(*at..self.end()) {
                    place.copy_from_slice(bytes);
                }
            }
        }
    }
}

impl NameChange {
    fn path(&self) -> &Path {
        match self {
            Self::Set { path, .. } | Self::Remove { path } | Self::Rename { to: path, .. } => path,
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Set { path, inode } => drop(names.insert(path.clone(), *inode)),
            Self::Remove { path } => drop(names.remove(path)),
            Self::Rename { from, to, inode } => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
        }
    }
}

impl Disk for SimulatedDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.operate()?;
        world.dirs.extend(dir.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let world = self.world();
        let inside = world.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect())
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let inode = *self.world().names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(SimulatedFile { disk: self.clone(), inode }))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut world = self.world();
        let inode = match world.names.get(path).copied() {
            Some(inode) => {
                world.change(inode, Change::Length(0))?;
                inode
            }
            None => {
                let inode = world.inodes.len();
                world.inodes.push(Inode::default());
                world.change_names(NameChange::Set { path: path.to_owned(), inode })?;
                inode
            }
        };
        Ok(Arc::new(SimulatedFile { disk: self.clone(), inode }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        let inode = *world.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        world.change_names(NameChange::Rename { from: from.to_owned(), to: to.to_owned(), inode })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        world.change_names(NameChange::Remove { path: path.to_owned() })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.world();
        if !world.operate()? {
            return Err(power());
        }
        let (synced, left): (Vec<_>, Vec<_>) =
            mem::take(&mut world.unsynced_names).into_iter().partition(|change| change.path().parent() == Some(dir));
        world.unsynced_names = left;
        for change in synced {
            change.apply(&mut world.durable_names);
        }
        Ok(())
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        let world = self.world();
        Ok(world.space.map_or(u64::MAX, |space| space.saturating_sub(world.used())))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        if !self.world().locked.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(Held { disk: self.clone(), path: path.to_owned() }))
    }
}

struct Held {
    disk: SimulatedDisk,
    path: PathBuf,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.disk.world().locked.remove(&self.path);
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    inode: usize,
}

impl DiskFile for SimulatedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let world = self.disk.world();
        let file = world.inodes.get(self.inode).ok_or(io::ErrorKind::NotFound)?;
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        let rest = file.live.get(offset..).unwrap_or_default();
        let len = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..len), rest.get(..len)) {
            to.copy_from_slice(from);
        }
        Ok(len)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let at = usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.disk.world().change(self.inode, Change::Write { at, bytes: bytes.to_vec() })
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.world().sync(self.inode)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.disk.world().change(self.inode, Change::Length(len))
    }

    fn size(&self) -> io::Result<u64> {
        let world = self.disk.world();
        Ok(world.inodes.get(self.inode).ok_or(io::ErrorKind::NotFound)?.live.len() as u64)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }
}

// What is kept and what is lost: a stream of random numbers from a seed (SplitMix64).
struct Dice {
    state: u64,
    // Of 256, how many are kept.
    kept: u64,
}

impl Dice {
    fn new(seed: u64) -> Self {
        let mut dice = Self { state: seed, kept: 0 };
        // Sometimes nothing is kept, sometimes nearly all.
        dice.kept = dice.roll() % 257;
        dice
    }

    fn keeps(&mut self) -> bool {
        self.roll() % 256 < self.kept
    }

    fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn power() -> io::Error {
    io::Error::other("the power is cut")
}

// What a disk writes whole or not at all.
const SECTOR: usize = 512;

#[cfg(test)]
mod tests;
