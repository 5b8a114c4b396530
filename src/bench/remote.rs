//! A broker that runs elsewhere: the identities come from Workload APIs, and are told apart by what the names of their sockets
//! or their SPIFFE IDs say.

use std::path::{Path, PathBuf};

use super::drive::Askers;
use super::error::BenchError;
use super::plan::Plan;
use super::site::{Member, Site, agents_used, member, needs_resource_server};
use crate::identity::client::ServerIdentity;
use crate::model::spiffe_id::SpiffeId;

/// Most sockets of one folder that are tried.
const SOCKETS_MAX: usize = 4096;

/// An identity that may take part.
struct Candidate {
    socket: PathBuf,
    /// Which, where the socket gives several.
    id: Option<SpiffeId>,
    /// What tells what it is.
    names: Vec<String>,
}

/// Finds who takes part.
pub(in crate::bench) async fn find(
    plan: &Plan,
    address: &str,
    sockets: &Path,
    server: Option<&SpiffeId>,
    askers: &Askers,
) -> Result<Site, BenchError> {
    let candidates = candidates(sockets, askers).await?;
    let missing = |wanted| BenchError::NoSocket { path: sockets.to_owned(), wanted };
    let orchestrator = first(&candidates, "orchestrator", askers).await?.ok_or_else(|| missing("an orchestrator"))?;
    let domain = orchestrator.id.trust_domain();
    let mut agents = Vec::new();
    for candidate in candidates.iter().filter(|candidate| candidate.is("agent")) {
        if agents.len() == agents_used(plan) {
            break;
        }
        let found = candidate.member(agents.len(), askers).await?;
        if found.id.trust_domain() == domain && found.id.as_str().contains("agent") {
            agents.push(found);
        }
    }
    if agents.is_empty() {
        return Err(missing("an agent"));
    }
    let resource_server = if needs_resource_server(plan.kind) {
        Some(first(&candidates, "resource", askers).await?.ok_or_else(|| missing("a resource server"))?)
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

impl Candidate {
    fn is(&self, what: &str) -> bool {
        self.names.iter().any(|name| name.contains(what))
    }

    async fn member(&self, n: usize, askers: &Askers) -> Result<Member, BenchError> {
        member(n, &self.socket, self.id.as_ref(), askers).await
    }
}

async fn first(candidates: &[Candidate], what: &str, askers: &Askers) -> Result<Option<Member>, BenchError> {
    match candidates.iter().find(|candidate| candidate.is(what)) {
        Some(candidate) => Ok(Some(candidate.member(0, askers).await?)),
        None => Ok(None),
    }
}

/// The identities that a single Workload API gives to this process, told apart by their SPIFFE IDs; or those behind the
/// sockets of a folder, one each, told apart by the names of the socket and, in the layout of one folder a workload, its folder.
async fn candidates(path: &Path, askers: &Askers) -> Result<Vec<Candidate>, BenchError> {
    if is_socket(path) {
        let all = member(0, path, None, askers).await?.workload.spiffe_ids();
        let candidate =
            |id: SpiffeId| Candidate { socket: path.to_owned(), names: vec![id.as_str().to_owned()], id: Some(id) };
        return Ok(all.into_iter().map(candidate).collect());
    }
    let name = |part: Option<&std::ffi::OsStr>| part.map(|name| name.to_string_lossy().into_owned());
    let candidate = |socket: PathBuf| {
        let names = [name(socket.file_name()), name(socket.parent().and_then(Path::file_name))];
        Candidate { names: names.into_iter().flatten().collect(), id: None, socket }
    };
    Ok(sockets_in(path)?.into_iter().map(candidate).collect())
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
