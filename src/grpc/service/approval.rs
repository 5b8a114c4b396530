//! `ApprovalService`: people, and what agents asked for that policy would not decide alone.

use std::pin::Pin;

use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, async_trait};

use crate::broker::ask::{AnswerApproval, ListApprovals, WithdrawApproval};
use crate::broker::error::BrokerError;
use crate::grpc::codec::field::{id, id_if_given, text};
use crate::grpc::service::Edge;
use crate::model::approval::Verdict;
use crate::model::limits::{MESSAGE_BYTES_MAX, REASON_BYTES_MAX};
use crate::pb::v1;
use crate::pb::v1::approval_service_server::{ApprovalService, ApprovalServiceServer};
use crate::pb::v1::{
    AnswerApprovalRequest, AnswerApprovalResponse, GetApprovalRequest, GetApprovalResponse, ListApprovalsRequest,
    ListApprovalsResponse, WatchApprovalsRequest, WatchApprovalsResponse, WithdrawApprovalRequest,
    WithdrawApprovalResponse,
};

/// The service, to be put behind a door.
pub(in crate::grpc) fn server(edge: &Edge) -> ApprovalServiceServer<Approvals> {
    ApprovalServiceServer::new(Approvals(edge.clone())).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

pub(in crate::grpc) struct Approvals(Edge);

#[async_trait]
impl ApprovalService for Approvals {
    async fn list_approvals(
        &self,
        request: Request<ListApprovalsRequest>,
    ) -> Result<Response<ListApprovalsResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let ask = listed(request.get_ref()).map_err(|e| edge.refuse(e))?;
        let (approvals, next) = edge.broker.list_approvals(&caller, ask).await.map_err(|e| edge.refuse(e))?;
        let next_page_token = next.map(|page| page.to_string()).unwrap_or_default();
        Ok(Response::new(ListApprovalsResponse { approvals, next_page_token }))
    }

    async fn get_approval(
        &self,
        request: Request<GetApprovalRequest>,
    ) -> Result<Response<GetApprovalResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let approval = id("approval_id", &request.get_ref().approval_id).map_err(|e| edge.refuse(e))?;
        let found = edge.broker.get_approval(&caller, approval).await.map_err(|e| edge.refuse(e))?;
        Ok(Response::new(found))
    }

    async fn answer_approval(
        &self,
        request: Request<AnswerApprovalRequest>,
    ) -> Result<Response<AnswerApprovalResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let ask = answered(request.into_inner()).map_err(|e| edge.refuse(e))?;
        let (approval, position) = edge.broker.answer_approval(&caller, ask).await.map_err(|e| edge.refuse(e))?;
        Ok(Response::new(AnswerApprovalResponse { approval: Some(approval), position }))
    }

    async fn withdraw_approval(
        &self,
        request: Request<WithdrawApprovalRequest>,
    ) -> Result<Response<WithdrawApprovalResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let request = request.into_inner();
        let approval = id("approval_id", &request.approval_id).map_err(|e| edge.refuse(e))?;
        let reason = text("reason", request.reason, REASON_BYTES_MAX).map_err(|e| edge.refuse(e))?;
        let ask = WithdrawApproval { id: approval, reason };
        let done = edge.broker.withdraw_approval(&caller, ask).await.map_err(|e| edge.refuse(e))?;
        let (approval, grants_revoked, position) = done;
        Ok(Response::new(WithdrawApprovalResponse { approval: Some(approval), grants_revoked, position }))
    }

    type WatchApprovalsStream = Pin<Box<dyn Stream<Item = Result<WatchApprovalsResponse, Status>> + Send>>;

    async fn watch_approvals(
        &self,
        request: Request<WatchApprovalsRequest>,
    ) -> Result<Response<Self::WatchApprovalsStream>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let after = request.get_ref().after;
        let events = edge.broker.watch_approvals(&caller, after).map_err(|e| edge.refuse(e))?;
        Ok(Response::new(Box::pin(events.map(Ok))))
    }
}

fn listed(request: &ListApprovalsRequest) -> Result<ListApprovals, BrokerError> {
    let state = match v1::ApprovalState::try_from(request.state) {
        Ok(v1::ApprovalState::Unspecified) => v1::ApprovalState::Pending,
        Ok(state) => state,
        Err(_) => return Err(BrokerError::invalid("state", "is none that is known")),
    };
    let after = id_if_given("page_token", &request.page_token)?;
    Ok(ListApprovals { state, page_size: request.page_size, after, for_me: request.for_me })
}

fn answered(request: AnswerApprovalRequest) -> Result<AnswerApproval, BrokerError> {
    let verdict = match v1::Verdict::try_from(request.verdict) {
        Ok(v1::Verdict::Approve) => Verdict::Approved,
        Ok(v1::Verdict::Deny) => Verdict::Denied,
        _ => return Err(BrokerError::invalid("verdict", "is neither to approve nor to deny")),
    };
    Ok(AnswerApproval {
        id: id("approval_id", &request.approval_id)?,
        decision: id("decision_id", &request.decision_id)?,
        verdict,
        reason: text("reason", request.reason, REASON_BYTES_MAX)?,
    })
}
