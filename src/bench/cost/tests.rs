//! Memory that looks like a disk is told from one.

use super::*;

#[test]
fn a_folder_in_memory_is_known_as_one() {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    let shared = mounts.lines().rfind(|line| line.split(' ').nth(1) == Some("/dev/shm"));
    let in_memory = shared.is_some_and(|line| line.split(' ').nth(2) == Some("tmpfs"));
    assert_eq!(is_in_memory(Path::new("/dev/shm")), in_memory, "{shared:?}");
    for (name, path) in [("no file system for files", "/proc"), ("nothing", "/nowhere")] {
        assert!(!is_in_memory(Path::new(path)), "{name}");
    }
}
