//! Where a run takes place: a broker's address, and the identities that take part. It opens connections from the threads that
//! ask, so that what TLS costs the clients is counted as theirs.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use tonic::transport::Channel;

use super::drive::Askers;
use super::error::BenchError;
use super::plan::{AGENTS_MAX, Kind, Place, Plan};
use super::{embedded, remote};
use crate::broker::Broker;
use crate::identity::client::{Dialer, ServerIdentity, connect};
use crate::identity::get::get;
use crate::identity::workload::{FIRST_SVID_WITHIN, Workload};
use crate::model::spiffe_id::SpiffeId;
use crate::verifier::keys::{FetchError, FetchKeys};

/// Where the key set lies below the issuer.
const KEYS_PATH: &str = "/jwks.json";

/// Somebody who takes part.
#[derive(Debug, Clone)]
pub(in crate::bench) struct Member {
    pub(in crate::bench) id: SpiffeId,
    pub(in crate::bench) workload: Workload,
}

/// The place of a run.
pub(in crate::bench) struct Site {
    /// The broker's door for workloads.
    pub(in crate::bench) address: String,
    /// Who it must be.
    pub(in crate::bench) broker: ServerIdentity,
    pub(in crate::bench) orchestrator: Member,
    /// At least one.
    pub(in crate::bench) agents: Vec<Member>,
    /// Only for verifying.
    pub(in crate::bench) resource_server: Option<Member>,
    /// The folder in which a sync is timed.
    pub(in crate::bench) folder: PathBuf,
    /// What ends with the run; `None` when the broker runs elsewhere.
    pub(in crate::bench) embedded: Option<embedded::Embedded>,
}

impl Site {
    /// Finds the broker, or starts one.
    pub(in crate::bench) async fn open(plan: &Plan, askers: &Askers) -> Result<Self, BenchError> {
        match &plan.place {
            Place::Embedded { policy, policies, folder } => {
                embedded::start_embedded(plan, policy.as_deref(), *policies, folder.as_deref(), askers).await
            }
            Place::Target { address, sockets, server, .. } => {
                remote::find(plan, address, sockets, server.as_ref(), askers).await
            }
        }
    }

    /// A connection of a member to the broker, on the thread of agent number `n`.
    pub(in crate::bench) async fn dial(
        &self,
        n: usize,
        member: &Member,
        askers: &Askers,
    ) -> Result<Channel, BenchError> {
        let (address, workload, broker) = (self.address.clone(), member.workload.clone(), self.broker.clone());
        let channel = askers.run(n, async move { connect(&address, &workload, broker).await }).await?;
        channel.map_err(BenchError::start("a connection to the broker"))
    }

    /// Where the keys of `issuer` come from: the embedded broker, or its page.
    pub(in crate::bench) fn keys(&self, issuer: &str, as_whom: &Workload) -> Result<KeySource, BenchError> {
        if let Some(embedded) = &self.embedded {
            return Ok(KeySource::Here(embedded.broker()));
        }
        let dialer = Dialer::for_protocol(issuer, as_whom, self.broker.clone(), b"http/1.1");
        Ok(KeySource::There(dialer.map_err(BenchError::start("the issuer's keys"))?))
    }

    /// Ends what was started.
    pub(in crate::bench) async fn close(mut self) {
        if let Some(embedded) = self.embedded.take() {
            embedded.close().await;
        }
    }
}

/// Where an issuer's keys come from.
pub(in crate::bench) enum KeySource {
    Here(Broker),
    There(Dialer),
}

impl FetchKeys for KeySource {
    fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<String, FetchError>> + Send + '_>> {
        Box::pin(async move {
            match self {
                Self::Here(broker) => Ok(broker.jwks()),
                Self::There(dialer) => get(dialer, KEYS_PATH).await.map_err(|error| FetchError(Box::new(error))),
            }
        })
    }
}

/// The identity behind a Workload API socket, kept current on the thread of agent number `n`; `id` says which, where it gives
/// several.
pub(in crate::bench) async fn member(
    n: usize,
    socket: &Path,
    id: Option<&SpiffeId>,
    askers: &Askers,
) -> Result<Member, BenchError> {
    let (path, id) = (socket.to_owned(), id.cloned());
    let workload = askers.run(n, async move {
        match id {
            Some(id) => Workload::from_endpoint_as(&format!("unix://{}", path.display()), FIRST_SVID_WITHIN, &id).await,
            None => Workload::from_socket(&path).await,
        }
    });
    let workload = workload.await?;
    let workload = workload.map_err(BenchError::start("an identity"))?;
    let gone = || BenchError::NoSocket { path: socket.to_owned(), wanted: "a workload that has an identity" };
    let id = workload.spiffe_id().ok_or_else(gone)?;
    Ok(Member { id, workload })
}

/// How many agents a run uses: more than are in flight would sit idle.
pub(in crate::bench) fn agents_used(plan: &Plan) -> usize {
    let agents = plan.agents.unwrap_or(plan.in_flight.min(AGENTS_MAX)).min(plan.in_flight);
    usize::try_from(agents.max(1)).unwrap_or(1)
}

/// True when somebody has to verify.
pub(in crate::bench) const fn needs_resource_server(kind: Kind) -> bool {
    matches!(kind, Kind::Verify)
}
