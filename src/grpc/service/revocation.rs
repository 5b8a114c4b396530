//! `RevocationService`, and the stream by which receivers follow it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, async_trait};

use crate::broker::answer::WatchEvent;
use crate::broker::caller::{Caller, WorkloadCaller};
use crate::broker::error::BrokerError;
use crate::grpc::codec::field::{ids, text};
use crate::grpc::codec::revocation::{block, target, watched};
use crate::grpc::service::Edge;
use crate::metrics::InFlight;
use crate::model::limits::{ACCESS_LIST_MAX, MESSAGE_BYTES_MAX, REASON_BYTES_MAX};
use crate::model::reason::ReasonCode;
use crate::pb::v1::revocation_service_server::{RevocationService, RevocationServiceServer};
use crate::pb::v1::{
    LiftBlockRequest, LiftBlockResponse, ListBlocksRequest, ListBlocksResponse, RevokeRequest, RevokeResponse,
    WatchRequest, WatchResponse,
};

/// The service, to be put behind a door.
pub(in crate::grpc) fn server(edge: &Edge) -> RevocationServiceServer<Revocations> {
    RevocationServiceServer::new(Revocations(edge.clone())).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

pub(in crate::grpc) struct Revocations(Edge);

#[async_trait]
impl RevocationService for Revocations {
    async fn revoke(&self, request: Request<RevokeRequest>) -> Result<Response<RevokeResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let request = request.into_inner();
        let target = target(request.target).map_err(|e| edge.refuse(e))?;
        let reason = text("reason", request.reason, REASON_BYTES_MAX).map_err(|e| edge.refuse(e))?;
        let done = edge.broker.revoke(&caller, target, reason).await.map_err(|e| edge.refuse(e))?;
        Ok(Response::new(RevokeResponse {
            grants_revoked: done.grants_revoked,
            position: done.position,
            blocked: done.blocked,
        }))
    }

    async fn lift_block(&self, request: Request<LiftBlockRequest>) -> Result<Response<LiftBlockResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let request = request.into_inner();
        let target = target(request.target).map_err(|e| edge.refuse(e))?;
        let reason = text("reason", request.reason, REASON_BYTES_MAX).map_err(|e| edge.refuse(e))?;
        let position = edge.broker.lift_block(&caller, target, reason).await.map_err(|e| edge.refuse(e))?;
        Ok(Response::new(LiftBlockResponse { position }))
    }

    async fn list_blocks(&self, request: Request<ListBlocksRequest>) -> Result<Response<ListBlocksResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let blocks = edge.broker.list_blocks(&caller).map_err(|e| edge.refuse(e))?;
        Ok(Response::new(ListBlocksResponse { blocks: blocks.into_iter().map(block).collect() }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let request = request.into_inner();
        let audiences = ids("audiences", &request.audiences, ACCESS_LIST_MAX).map_err(|e| edge.refuse(e))?;
        let events = edge.broker.watch(&caller, request.after, audiences).map_err(|e| edge.refuse(e))?;
        let edge = edge.clone();
        let counted = edge.metrics.watch_began();
        let told = events.map(move |event| edge.still_may(&caller, &event).map(|()| watched(event)));
        Ok(Response::new(Box::pin(UntilRefused { stream: Some(told), _counted: counted })))
    }
}

impl Edge {
    /// What the policy bundle says of a receiver may change while its stream is open, so that this is looked at again with each
    /// heartbeat. That its identity holds the door looks at itself.
    fn still_may(&self, caller: &Arc<Caller>, event: &WatchEvent) -> Result<(), Status> {
        let (WatchEvent::Heartbeat { .. }, Caller::Workload(opened)) = (event, caller.as_ref()) else { return Ok(()) };
        match self.broker.authenticate(&opened.peer) {
            Ok(Caller::Workload(now)) if may_follow_as_before(&now, opened) => Ok(()),
            Err(error @ BrokerError::NotPermitted { .. }) => Err(self.refuse(error)),
            Err(_) => Ok(()),
            Ok(_) => Err(self.refuse(BrokerError::NotPermitted { code: ReasonCode::MethodNotAllowed })),
        }
    }
}

fn may_follow_as_before(now: &WorkloadCaller, opened: &WorkloadCaller) -> bool {
    (now.class, &now.audiences, now.gateway) == (opened.class, &opened.audiences, opened.gateway)
}

/// A stream of results that is over with its first error.
struct UntilRefused<S> {
    stream: Option<S>,
    _counted: InFlight,
}

impl<T, S: Stream<Item = Result<T, Status>> + Unpin> Stream for UntilRefused<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(None) };
        let next = Pin::new(stream).poll_next(cx);
        if matches!(next, Poll::Ready(Some(Err(_)) | None)) {
            self.stream = None;
        }
        next
    }
}
