//! The socket is private from its first moment, replaces only what is dead, and goes when it is dropped.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fs::{self, File};
use std::os::unix::net::UnixListener as StdListener;

use super::*;

fn problem(error: ServerError) -> &'static str {
    match error {
        ServerError::Operator { problem, .. } => problem,
        other => panic!("another error: {other:?}"),
    }
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
    folder
}

#[tokio::test]
async fn it_is_private_and_goes_when_it_is_dropped() {
    let folder = folder();
    let path = folder.path().join("operator.sock");
    let socket = bind(&path).await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the folder that it was made in is gone");
    UnixStream::connect(&path).await.unwrap();
    drop(socket);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_live_one_is_left_alone_and_a_dead_one_replaced() {
    let folder = folder();
    let path = folder.path().join("operator.sock");
    let live = StdListener::bind(&path).unwrap();
    assert_eq!(problem(bind(&path).await.unwrap_err()), "another broker listens there");
    drop(live);
    assert!(path.exists(), "a listener that dies leaves its file");
    let replaced = bind(&path).await.unwrap();
    let newer = bind_over(&path).await;
    drop(replaced);
    assert!(path.exists(), "what a later broker made is not removed by an earlier one");
    drop(newer);
}

/// Replaces the socket as a broker would that started after this one was killed.
async fn bind_over(path: &Path) -> OperatorSocket {
    fs::remove_file(path).unwrap();
    bind(path).await.unwrap()
}

#[tokio::test]
async fn it_is_made_only_where_nobody_else_may_write_and_over_no_file() {
    let folder = folder();
    let path = folder.path().join("operator.sock");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    assert_eq!(problem(bind(&path).await.unwrap_err()), "its folder may be written by others");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
    File::create(&path).unwrap();
    assert_eq!(problem(bind(&path).await.unwrap_err()), "something that is no socket stands there");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/nowhere", &path).unwrap();
    assert_eq!(problem(bind(&path).await.unwrap_err()), "something that is no socket stands there");
    let absent = folder.path().join("absent/operator.sock");
    assert_eq!(problem(bind(&absent).await.unwrap_err()), "its folder cannot be used");
    let long = folder.path().join("x".repeat(200));
    assert_eq!(problem(bind(&long).await.unwrap_err()), "the path is too long for a socket");
}

#[tokio::test]
async fn a_path_that_is_accepted_can_be_made() {
    let folder = folder();
    let mut accepted = 0;
    for length in 60..110_usize {
        let name = "d".repeat(length.saturating_sub(folder.path().as_os_str().len() + 3));
        let path = folder.path().join(name).join("s");
        DirBuilder::new().recursive(true).mode(0o700).create(path.parent().unwrap()).unwrap();
        if check(&path).await.is_ok() {
            drop(bind(&path).await.unwrap());
            accepted += 1;
        }
    }
    assert!(accepted > 0);
}

#[tokio::test]
async fn nobody_else_may_change_a_folder_above_it() {
    let folder = folder();
    let inner = folder.path().join("shared/own");
    DirBuilder::new().recursive(true).mode(0o700).create(&inner).unwrap();
    let path = inner.join("operator.sock");
    let shared = folder.path().join("shared");
    fs::set_permissions(&shared, Permissions::from_mode(0o777)).unwrap();
    assert_eq!(problem(bind(&path).await.unwrap_err()), "a folder above it may be changed by others");
    fs::set_permissions(&shared, Permissions::from_mode(0o1777)).unwrap();
    bind(&path).await.unwrap();
}
