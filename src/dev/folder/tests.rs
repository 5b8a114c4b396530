//! Folders of dev brokers are told apart from all others, and temporary ones go away.

use super::*;

#[test]
fn a_folder_of_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("letters"), "dear Ada").unwrap();
    assert!(matches!(DevFolder::kept(folder.path()).unwrap_err(), DevError::NotOurs(_)));
}

#[test]
fn a_folder_is_found_again_and_no_other_broker_takes_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    drop(DevFolder::kept(&path).unwrap());
    assert!(path.exists());
    assert!(!DevFolder::kept(&path).unwrap().is_temporary());
    assert!(DataFolder::new(&path).refuse_dev().is_err());
}

#[test]
fn a_temporary_folder_goes_away() {
    let folder = DevFolder::temporary(&Entropy::system()).unwrap();
    let path = folder.path().to_owned();
    assert!(path.is_dir() && folder.is_temporary());
    drop(folder);
    assert!(!path.exists());
}
