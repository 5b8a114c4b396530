//! A disk as it stands: what is written to it is forgotten, so that whatever a start would find and mend can be found without
//! being mended.

use std::any::Any;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{Disk, DiskFile};

/// Reads from another disk, and leaves it as it is.
#[derive(Debug, Clone)]
pub struct Untouched(pub Arc<dyn Disk>);

impl Disk for Untouched {
    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        match self.0.list(dir) {
            // It might have been made.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed,
        }
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(UntouchedFile(Some(self.0.open(path)?))))
    }

    fn create(&self, _path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(UntouchedFile(None)))
    }

    fn rename(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.0.free_bytes(dir)
    }

    fn lock(&self, _path: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        Ok(Box::new(()))
    }
}

/// `None` where there is none.
struct UntouchedFile(Option<Arc<dyn DiskFile>>);

impl DiskFile for UntouchedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.as_ref().map_or(Ok(0), |file| file.read_at(buf, offset))
    }

    fn write_at(&self, _bytes: &[u8], _offset: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, _len: u64) -> io::Result<()> {
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        self.0.as_ref().map_or(Ok(0), |file| file.size())
    }

    fn allocate(&self, _len: u64) -> io::Result<()> {
        Ok(())
    }
}
