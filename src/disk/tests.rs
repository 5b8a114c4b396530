//! The real disk.

use super::*;

#[test]
fn files_are_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("a/b");
    RealDisk.create_dir(&dir).unwrap();
    drop(RealDisk.create(&dir.join("f")).unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(&dir.join("f"))), (0o700, 0o600));
}

#[test]
fn a_file_is_replaced_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f");
    assert_eq!(read_all(&RealDisk, &path).unwrap(), None);
    for content in [b"long content".as_slice(), b"short"] {
        replace(&RealDisk, folder.path(), "f", content).unwrap();
        assert_eq!(read_all(&RealDisk, &path).unwrap().unwrap(), content);
    }
    assert_eq!(RealDisk.list(folder.path()).unwrap(), ["f"]);
}

#[test]
fn what_was_written_is_read_at_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = RealDisk.create(&folder.path().join("f")).unwrap();
    file.write_at(b"world", 6).unwrap();
    file.write_at(b"hello", 0).unwrap();
    file.sync().unwrap();
    let mut buf = [0xff; 20];
    assert_eq!(file.read_at(&mut buf, 0).unwrap(), 11);
    assert_eq!(&buf[..11], b"hello\0world");
    file.set_len(3).unwrap();
    assert_eq!((file.size().unwrap(), file.read_at(&mut buf, 5).unwrap()), (3, 0));
}

#[test]
fn a_lock_is_held_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lock");
    let held = RealDisk.lock(&path).unwrap();
    assert_eq!(RealDisk.lock(&path).err().unwrap().kind(), io::ErrorKind::WouldBlock);
    drop(held);
    assert!(RealDisk.lock(&path).is_ok());
}

#[test]
fn a_lock_that_was_given_up_is_free_though_its_descriptor_was_copied() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lock");
    let held = RealDisk.lock(&path).unwrap().downcast::<Held>().unwrap();
    let copy = held.0.try_clone().unwrap();
    assert!(RealDisk.lock(&path).is_err());
    drop(held);
    assert!(RealDisk.lock(&path).is_ok());
    drop(copy);
}

#[test]
fn there_is_free_space() {
    assert!(RealDisk.free_bytes(&std::env::temp_dir()).unwrap() > 0);
}
