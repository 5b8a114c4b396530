//! File descriptors: every connection takes one, and so does every file of the journal. Connections must not take those of the
//! journal, for what cannot be written ends the process.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::identity::listen::HANDSHAKES_MAX;
use crate::server::doors::{BEARER_CONNECTIONS_MAX, HTTPS_CONNECTIONS_MAX};
use crate::server::error::ServerError;

/// Descriptors that are kept for what is no connection: segments, index, snapshots, keys, sockets, the Workload API.
const FILES: u64 = 512;

/// Which doors are open besides that of workloads.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::server) struct Doors {
    pub(in crate::server) https: bool,
    pub(in crate::server) bearer: bool,
    pub(in crate::server) people: bool,
}

/// What so many connections of workloads need, with those of the other doors when they are open, and everything else.
fn needed(connections_max: usize, doors: Doors) -> u64 {
    let workloads = (connections_max + HANDSHAKES_MAX) as u64;
    let of = |open, max| if open { (max + HANDSHAKES_MAX) as u64 } else { 0 };
    let others = [
        of(doors.https, HTTPS_CONNECTIONS_MAX),
        of(doors.bearer, BEARER_CONNECTIONS_MAX),
        of(doors.people, BEARER_CONNECTIONS_MAX),
    ];
    others.into_iter().fold(workloads.saturating_add(FILES), u64::saturating_add)
}

/// Looks whether the system allows so many.
///
/// # Errors
/// When it does not.
pub(in crate::server) fn check(connections_max: usize, doors: Doors) -> Result<(), ServerError> {
    // A system that tells no limit refuses by itself.
    let allowed = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(_, hard)| hard);
    suffices(needed(connections_max, doors), allowed)
}

fn suffices(needed: u64, allowed: u64) -> Result<(), ServerError> {
    if needed > allowed { Err(ServerError::Descriptors { needed, allowed }) } else { Ok(()) }
}

/// Takes as many as the system allows: the usual soft limit is that of programs that cannot handle more.
pub(in crate::server) fn raise() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(soft, hard)| if soft < hard { setrlimit(Resource::RLIMIT_NOFILE, hard, hard) } else { Ok(()) });
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit on open files cannot be raised");
    }
}

#[cfg(test)]
mod tests;
