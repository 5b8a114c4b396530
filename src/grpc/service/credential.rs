//! `CredentialService`. A token passes through here once, from the broker's answer into the response, and nowhere else.

use tonic::{Request, Response, Status, async_trait};

use crate::broker::answer::Answered;
use crate::grpc::codec::field::{handle, handle_if_shown, id};
use crate::grpc::codec::{answer, ask};
use crate::grpc::service::Edge;
use crate::model::limits::MESSAGE_BYTES_MAX;
use crate::pb::v1::credential_service_server::{CredentialService, CredentialServiceServer};
use crate::pb::v1::{
    Decision, GetGrantRequest, GetGrantResponse, Grant, ReleaseCredentialRequest, ReleaseCredentialResponse,
    RenewCredentialRequest, RenewCredentialResponse, RequestCredentialRequest, RequestCredentialResponse,
};

/// The service, to be put behind a door.
pub(in crate::grpc) fn server(edge: &Edge) -> CredentialServiceServer<Credentials> {
    CredentialServiceServer::new(Credentials(edge.clone())).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

pub(in crate::grpc) struct Credentials(Edge);

#[async_trait]
impl CredentialService for Credentials {
    async fn request_credential(
        &self,
        request: Request<RequestCredentialRequest>,
    ) -> Result<Response<RequestCredentialResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let ask = ask::request(request.into_inner()).map_err(|e| edge.refuse(e))?;
        let answered = edge.broker.request_credential(&caller, ask).await.map_err(|e| edge.refuse(e))?;
        let position = answered.position;
        let (decision, grant, token) = parts(answered);
        Ok(Response::new(RequestCredentialResponse { decision, grant, token, position }))
    }

    async fn renew_credential(
        &self,
        request: Request<RenewCredentialRequest>,
    ) -> Result<Response<RenewCredentialResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let ask = ask::renew(request.into_inner()).map_err(|e| edge.refuse(e))?;
        let answered = edge.broker.renew_credential(&caller, ask).await.map_err(|e| edge.refuse(e))?;
        let position = answered.position;
        let (decision, grant, token) = parts(answered);
        Ok(Response::new(RenewCredentialResponse { decision, grant, token, position }))
    }

    async fn release_credential(
        &self,
        request: Request<ReleaseCredentialRequest>,
    ) -> Result<Response<ReleaseCredentialResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let request = request.into_inner();
        let handle = handle("task_handle", request.task_handle).map_err(|e| edge.refuse(e))?;
        let task = id("task_id", &request.task_id).map_err(|e| edge.refuse(e))?;
        let grant = id("grant_id", &request.grant_id).map_err(|e| edge.refuse(e))?;
        let grant = edge.broker.release_credential(&caller, task, handle, grant).await.map_err(|e| edge.refuse(e))?;
        Ok(Response::new(ReleaseCredentialResponse { grant: Some(answer::grant(grant)) }))
    }

    async fn get_grant(&self, request: Request<GetGrantRequest>) -> Result<Response<GetGrantResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let request = request.into_inner();
        let grant = id("grant_id", &request.grant_id).map_err(|e| edge.refuse(e))?;
        let handle = handle_if_shown("task_handle", request.task_handle).map_err(|e| edge.refuse(e))?;
        let grant = edge.broker.get_grant(&caller, grant, handle).await.map_err(|e| edge.refuse(e))?;
        Ok(Response::new(GetGrantResponse { grant: Some(answer::grant(grant)) }))
    }
}

fn parts(answered: Answered) -> (Option<Decision>, Option<Grant>, String) {
    let (grant, token) = answered.grant.unzip();
    let token = token.map(|t| t.expose().to_owned()).unwrap_or_default();
    (Some(answer::decision(answered.decided)), grant.map(answer::grant), token)
}
