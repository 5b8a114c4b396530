//! `PolicyService`.

use tokio::task::spawn_blocking;
use tonic::{Request, Response, Status, async_trait};

use crate::broker::error::BrokerError;
use crate::grpc::codec::field::line;
use crate::grpc::codec::policy;
use crate::grpc::service::Edge;
use crate::model::limits::{BUNDLE_BYTES_MAX, MESSAGE_BYTES_MAX, NAME_BYTES_MAX};
use crate::pb::v1::policy_service_server::{PolicyService, PolicyServiceServer};
use crate::pb::v1::{
    ActivatePolicyRequest, ActivatePolicyResponse, CheckPolicyRequest, CheckPolicyResponse, GetActivePolicyRequest,
    GetActivePolicyResponse,
};

/// The service, to be put behind a door. A bundle is larger than any other message.
pub(in crate::grpc) fn server(edge: &Edge) -> PolicyServiceServer<Policies> {
    PolicyServiceServer::new(Policies(edge.clone())).max_decoding_message_size(BUNDLE_BYTES_MAX + MESSAGE_BYTES_MAX)
}

pub(in crate::grpc) struct Policies(Edge);

#[async_trait]
impl PolicyService for Policies {
    async fn get_active_policy(
        &self,
        request: Request<GetActivePolicyRequest>,
    ) -> Result<Response<GetActivePolicyResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let view = edge.broker.active_policy(&caller).map_err(|e| edge.refuse(e))?;
        Ok(Response::new(policy::active(&view, request.get_ref().include_files)))
    }

    async fn check_policy(
        &self,
        request: Request<CheckPolicyRequest>,
    ) -> Result<Response<CheckPolicyResponse>, Status> {
        let edge = &self.0;
        let _caller = edge.caller(&request)?;
        let files = policy::files(request.into_inner().bundle).map_err(|e| edge.refuse(e))?;
        let broker = edge.broker.clone();
        // Loading and testing a bundle takes a while, and other requests share this thread.
        let checked = spawn_blocking(move || broker.check_policy(files)).await;
        let checked = checked.map_err(|e| edge.refuse(BrokerError::internal(e)))?;
        Ok(Response::new(policy::checked(checked)))
    }

    async fn activate_policy(
        &self,
        request: Request<ActivatePolicyRequest>,
    ) -> Result<Response<ActivatePolicyResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let request = request.into_inner();
        let files = policy::files(request.bundle).map_err(|e| edge.refuse(e))?;
        let digest = line("digest", request.digest, NAME_BYTES_MAX).map_err(|e| edge.refuse(e))?;

        let done = edge.broker.activate_policy(&caller, files, request.revision, digest).await;
        Ok(Response::new(policy::activated(done.map_err(|e| edge.refuse(e))?)))
    }
}
