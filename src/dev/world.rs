//! The world of development: two certificate authorities that know nothing of each other, and a Workload API socket for
//! every member, kept fresh. It ends when it is dropped.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::dev::ca::DevCa;
use crate::dev::error::DevError;
use crate::dev::identities::{BROKER, FOREIGN_TRUST_DOMAIN, MEMBERS, Member, TRUST_DOMAIN};
use crate::dev::workload_api::{Offer, WorkloadApi};
use crate::entropy::secret_file;

/// Life of an SVID: what SPIRE gives by default.
const SVID_LIFE: Duration = Duration::from_secs(3600);
/// Life of an authority.
const CA_LIFE: Duration = Duration::from_secs(90 * 24 * 3600);
/// The folder of the members' sockets. The broker's own lies elsewhere, so that no client takes it by mistake.
const SOCKETS: &str = "sockets";

/// A running world.
#[derive(Debug)]
pub struct World {
    sockets: PathBuf,
    broker: Arc<WorkloadApi>,
    _members: Vec<Arc<WorkloadApi>>,
    _rotations: JoinSet<()>,
}

impl World {
    /// Opens a world in that folder; its authorities are those of last time, if there was one. Must be called within a Tokio
    /// runtime.
    ///
    /// # Errors
    /// When the authorities cannot be found or made, or a socket cannot be served.
    pub fn open(folder: &Path, clock: &Clock) -> Result<Self, DevError> {
        secret_file::folder(folder)?;
        let authority = |file: &str, name: &str| -> Result<Arc<DevCa>, DevError> {
            let ca = DevCa::load_or_create(&folder.join(file), &name.parse()?, clock.now(), CA_LIFE)?;
            Ok(Arc::new(ca))
        };
        let own = authority("dev-ca.json", TRUST_DOMAIN)?;
        let foreign = authority("foreign-ca.json", FOREIGN_TRUST_DOMAIN)?;
        let sockets = folder.join(SOCKETS);
        let mut rotations = JoinSet::new();
        let mut serve = |member: &Member, socket: PathBuf| -> Result<Arc<WorkloadApi>, DevError> {
            // The stranger knows our trust bundle, so that it gets as far as being refused. Nobody knows his.
            let (ca, federated) = if member.foreign { (&foreign, vec![Arc::clone(&own)]) } else { (&own, Vec::new()) };
            let (id, ca) = (member.spiffe_id()?, Arc::clone(ca));
            let offer = Offer::fresh(&ca, &id, &federated, clock, SVID_LIFE)?;
            let api = WorkloadApi::serve(&socket, offer, clock.clone());
            let api = Arc::new(api.map_err(|cause| DevError::Socket { path: socket, cause })?);
            let (rotated, clock) = (Arc::clone(&api), clock.clone());
            rotations.spawn(async move {
                if let Err(error) = rotated.rotate(&ca, &id, &federated, &clock, SVID_LIFE).await {
                    tracing::warn!(%id, error = &error as &dyn std::error::Error, "the SVID is not renewed any more");
                }
            });
            Ok(api)
        };
        let broker = serve(&BROKER, folder.join("broker-identity").join("agent.sock"))?;
        let members = MEMBERS.iter().map(|member| serve(member, socket_in(&sockets, member)));
        let members = members.collect::<Result<Vec<_>, _>>()?;
        Ok(Self { sockets, broker, _members: members, _rotations: rotations })
    }

    /// The folder of the members' sockets.
    #[must_use]
    pub fn sockets(&self) -> &Path {
        &self.sockets
    }

    /// A member's socket.
    #[must_use]
    pub fn socket(&self, member: &Member) -> PathBuf {
        socket_in(&self.sockets, member)
    }

    /// The address of the broker's own Workload API.
    #[must_use]
    pub fn broker_endpoint(&self) -> String {
        self.broker.endpoint()
    }
}

fn socket_in(folder: &Path, member: &Member) -> PathBuf {
    folder.join(format!("{}.sock", member.name))
}
