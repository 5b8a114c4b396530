//! A broker that runs elsewhere: the identities come from Workload API sockets, which are told apart by what their names and
//! SPIFFE IDs say.

use std::path::{Path, PathBuf};

use super::drive::Askers;
use super::error::BenchError;
use super::plan::Plan;
use super::site::{Member, Site, agents_used, member, needs_resource_server};
use crate::identity::client::ServerIdentity;
use crate::model::spiffe_id::SpiffeId;

/// Most sockets of one folder that are tried.
const SOCKETS_MAX: usize = 4096;

/// Finds who takes part.
pub(in crate::bench) async fn find(
    plan: &Plan,
    address: &str,
    folder: &Path,
    server: Option<&SpiffeId>,
    askers: &Askers,
) -> Result<Site, BenchError> {
    let sockets = sockets_in(folder)?;
    let missing = |wanted| BenchError::NoSocket { path: folder.to_owned(), wanted };
    let orchestrator = first(&sockets, "orchestrator", askers).await?.ok_or_else(|| missing("an orchestrator"))?;
    let domain = orchestrator.id.trust_domain();
    let mut agents = Vec::new();
    for socket in sockets.iter().filter(|s| named(s, "agent")) {
        if agents.len() == agents_used(plan) {
            break;
        }
        let found = member(agents.len(), socket, askers).await?;
        if found.id.trust_domain() == domain && found.id.as_str().contains("agent") {
            agents.push(found);
        }
    }
    if agents.is_empty() {
        return Err(missing("an agent"));
    }
    let resource_server = if needs_resource_server(plan.kind) {
        Some(first(&sockets, "resource", askers).await?.ok_or_else(|| missing("a resource server"))?)
    } else {
        None
    };
    let broker = server.map_or_else(|| ServerIdentity::MemberOf(domain), |id| ServerIdentity::Exact(id.clone()));
    Ok(Site {
        address: address.to_owned(),
        broker,
        orchestrator,
        agents,
        resource_server,
        folder: std::env::temp_dir(),
        embedded: None,
    })
}

async fn first(sockets: &[PathBuf], word: &str, askers: &Askers) -> Result<Option<Member>, BenchError> {
    match sockets.iter().find(|s| named(s, word)) {
        Some(socket) => Ok(Some(member(0, socket, askers).await?)),
        None => Ok(None),
    }
}

/// True when the file's name says so, or that of its folder in the layout of one folder a workload.
fn named(socket: &Path, word: &str) -> bool {
    let says = |part: Option<&std::ffi::OsStr>| part.is_some_and(|name| name.to_string_lossy().contains(word));
    says(socket.file_name()) || says(socket.parent().and_then(Path::file_name))
}

/// The sockets in the folder and one level below, by name.
fn sockets_in(folder: &Path) -> Result<Vec<PathBuf>, BenchError> {
    let unusable = |cause| BenchError::Path { path: folder.to_owned(), cause };
    let mut sockets = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unusable)? {
        let path = entry.map_err(unusable)?.path();
        if path.is_dir() {
            let below = std::fs::read_dir(&path).map_err(unusable)?;
            sockets.extend(below.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_socket(path)));
        } else if is_socket(&path) {
            sockets.push(path);
        }
    }
    sockets.sort();
    sockets.truncate(SOCKETS_MAX);
    Ok(sockets)
}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    std::fs::metadata(path).is_ok_and(|meta| meta.file_type().is_socket())
}
