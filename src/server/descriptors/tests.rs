//! The sum, and what it is held against.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use super::*;

#[test]
fn connections_leave_room_for_files() {
    let only = |https, bearer, people| Doors { https, bearer, people };
    let both = needed(4096, only(true, false, false));
    assert_eq!(both, 4096 + 512 + 1024 + 512 + FILES);
    assert!(suffices(both, both).is_ok());
    assert!(matches!(suffices(both, both - 1), Err(ServerError::Descriptors { .. })));
    assert_eq!(both - needed(4096, only(false, false, false)), 1024 + 512);
    assert_eq!(needed(4096, only(true, true, false)) - both, 1024 + 512);
    assert_eq!(needed(4096, only(true, true, true)) - both, 2 * (1024 + 512));
}

#[test]
fn the_soft_limit_is_raised() {
    raise();
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    assert_eq!(soft, hard);
}
