//! The orchestrator revokes grants one by one; each call returns when the revocation is durable.

use tonic::transport::Channel;

use super::drive::{Askers, Problem, Slot};
use super::error::BenchError;
use super::site::Site;
use super::steps::RequestSlot;
use crate::pb::v1;
use crate::pb::v1::revocation_service_client::RevocationServiceClient;
use crate::pb::v1::target;

/// Grants that each slot has ready before it begins to revoke.
pub(in crate::bench) const GRANTS_READY: usize = 64;

/// A slot that makes grants and then revokes them.
#[derive(Debug)]
pub(in crate::bench) struct RevokeSlot {
    making: RequestSlot,
    revocations: RevocationServiceClient<Channel>,
    ready: Vec<String>,
}

impl RevokeSlot {
    /// One slot for each request in flight, over as many connections of the orchestrator as there are agents.
    pub(in crate::bench) async fn all(
        site: &Site,
        askers: &Askers,
        making: Vec<(usize, RequestSlot)>,
    ) -> Result<Vec<(usize, Self)>, BenchError> {
        let mut clients = Vec::new();
        for n in 0..site.agents.len() {
            clients.push(RevocationServiceClient::new(site.dial(n, &site.orchestrator, askers).await?));
        }
        let paired = making.into_iter().zip(clients.iter().cycle());
        let slots = paired.map(|((n, making), revocations)| {
            (n, Self { making, revocations: revocations.clone(), ready: Vec::new() })
        });
        Ok(slots.collect())
    }
}

impl Slot for RevokeSlot {
    async fn prepare(&mut self) -> Result<(), Problem> {
        self.making.prepare().await?;
        self.making.fire().await?;
        let (grant, _token) = self.making.granted.take().ok_or_else(|| Problem("no grant".to_owned()))?;
        self.ready.push(grant.grant_id);
        Ok(())
    }

    async fn fire(&mut self) -> Result<(), Problem> {
        let grant = self.ready.pop().ok_or_else(|| Problem("no grant is left".to_owned()))?;
        let answer = self.revocations.revoke(revocation(grant)).await?.into_inner();
        if answer.grants_revoked == 1 { Ok(()) } else { Err(Problem("the grant was not live".to_owned())) }
    }
}

/// Revokes one grant.
pub(in crate::bench) fn revocation(grant: String) -> v1::RevokeRequest {
    let target = v1::Target { target: Some(target::Target::GrantId(grant)) };
    v1::RevokeRequest { target: Some(target), reason: "The step was taken back.".to_owned() }
}
