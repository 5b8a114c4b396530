//! `BreakGlassService`: what people open for an agent in an emergency, and what others find of it afterwards.

use std::time::Duration;

use tonic::{Request, Response, Status, async_trait};

use crate::broker::ask::{CloseBreakGlass, ListBreakGlass, OpenBreakGlass, ReviewBreakGlass};
use crate::broker::caller::Caller;
use crate::broker::error::BrokerError;
use crate::grpc::codec::access::accesses;
use crate::grpc::codec::answer::decision;
use crate::grpc::codec::field::{context, handle_if_shown, id, id_if_given, text, words};
use crate::grpc::service::Edge;
use crate::model::glass::GlassVerdict;
use crate::model::limits::{MESSAGE_BYTES_MAX, REASON_BYTES_MAX};
use crate::pb::v1;
use crate::pb::v1::break_glass_service_server::{BreakGlassService, BreakGlassServiceServer};
use crate::pb::v1::{
    CloseBreakGlassRequest, CloseBreakGlassResponse, GetBreakGlassRequest, GetBreakGlassResponse,
    ListBreakGlassRequest, ListBreakGlassResponse, OpenBreakGlassRequest, OpenBreakGlassResponse,
    ReviewBreakGlassRequest, ReviewBreakGlassResponse,
};

/// The service, to be put behind a door.
pub(in crate::grpc) fn server(edge: &Edge) -> BreakGlassServiceServer<BreakGlass> {
    BreakGlassServiceServer::new(BreakGlass(edge.clone())).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

pub(in crate::grpc) struct BreakGlass(Edge);

#[async_trait]
impl BreakGlassService for BreakGlass {
    async fn open_break_glass(
        &self,
        request: Request<OpenBreakGlassRequest>,
    ) -> Result<Response<OpenBreakGlassResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let request = request.into_inner();
        if matches!(*caller, Caller::Workload(_)) {
            // Whatever else it says: that it asks is what counts.
            let task = id("task_id", &request.task_id).ok();
            let handle = handle_if_shown("task_handle", request.task_handle).ok().flatten();
            return Err(edge.refuse(edge.broker.refuse_break_glass(&caller, task, handle.as_ref()).await));
        }
        let ask = opened(request).map_err(|e| edge.refuse(e))?;
        let opened = edge.broker.open_break_glass(&caller, ask).await.map_err(|e| edge.refuse(e))?;
        Ok(Response::new(OpenBreakGlassResponse {
            decision: Some(decision(opened.decided)),
            break_glass: opened.glass,
            position: opened.position,
        }))
    }

    async fn get_break_glass(
        &self,
        request: Request<GetBreakGlassRequest>,
    ) -> Result<Response<GetBreakGlassResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let glass = id("break_glass_id", &request.get_ref().break_glass_id).map_err(|e| edge.refuse(e))?;
        let found = edge.broker.get_break_glass(&caller, glass).await.map_err(|e| edge.refuse(e))?;
        Ok(Response::new(GetBreakGlassResponse { break_glass: Some(found) }))
    }

    async fn list_break_glass(
        &self,
        request: Request<ListBreakGlassRequest>,
    ) -> Result<Response<ListBreakGlassResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let ask = listed(request.get_ref()).map_err(|e| edge.refuse(e))?;
        let (break_glass, next) = edge.broker.list_break_glass(&caller, ask).await.map_err(|e| edge.refuse(e))?;
        let next_page_token = next.map(|id| id.to_string()).unwrap_or_default();
        Ok(Response::new(ListBreakGlassResponse { break_glass, next_page_token }))
    }

    async fn close_break_glass(
        &self,
        request: Request<CloseBreakGlassRequest>,
    ) -> Result<Response<CloseBreakGlassResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let request = request.into_inner();
        let glass = id("break_glass_id", &request.break_glass_id).map_err(|e| edge.refuse(e))?;
        let reason = text("reason", request.reason, REASON_BYTES_MAX).map_err(|e| edge.refuse(e))?;
        let ask = CloseBreakGlass { id: glass, reason };
        let done = edge.broker.close_break_glass(&caller, ask).await.map_err(|e| edge.refuse(e))?;
        let (break_glass, grants_revoked, position) = done;
        Ok(Response::new(CloseBreakGlassResponse { break_glass: Some(break_glass), grants_revoked, position }))
    }

    async fn review_break_glass(
        &self,
        request: Request<ReviewBreakGlassRequest>,
    ) -> Result<Response<ReviewBreakGlassResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let ask = reviewed(request.into_inner()).map_err(|e| edge.refuse(e))?;
        let done = edge.broker.review_break_glass(&caller, ask).await.map_err(|e| edge.refuse(e))?;
        let (break_glass, position) = done;
        Ok(Response::new(ReviewBreakGlassResponse { break_glass: Some(break_glass), position }))
    }
}

fn opened(request: OpenBreakGlassRequest) -> Result<OpenBreakGlass, BrokerError> {
    let mut access = accesses(request.access.into_iter().collect())?;
    Ok(OpenBreakGlass {
        task: id("task_id", &request.task_id)?,
        audience: id("audience", &request.audience)?,
        access: access.pop().ok_or_else(|| BrokerError::invalid("access", "missing"))?,
        justification: words("justification", request.justification, REASON_BYTES_MAX)?,
        life: request.life.map(life).transpose()?,
        uses_max: request.uses_max,
        context: context(request.context)?,
    })
}

fn life(life: prost_types::Duration) -> Result<Duration, BrokerError> {
    let whole = life.nanos == 0;
    let seconds = u64::try_from(life.seconds).ok().filter(|_| whole);
    seconds.map(Duration::from_secs).ok_or_else(|| BrokerError::invalid("life", "is no whole number of seconds"))
}

fn listed(request: &ListBreakGlassRequest) -> Result<ListBreakGlass, BrokerError> {
    Ok(ListBreakGlass {
        review_open: request.review_open,
        task: id_if_given("task_id", &request.task_id)?,
        page_size: request.page_size,
        after: id_if_given("page_token", &request.page_token)?,
    })
}

fn reviewed(request: ReviewBreakGlassRequest) -> Result<ReviewBreakGlass, BrokerError> {
    let verdict = match v1::BreakGlassVerdict::try_from(request.verdict) {
        Ok(v1::BreakGlassVerdict::Justified) => GlassVerdict::Justified,
        Ok(v1::BreakGlassVerdict::Unjustified) => GlassVerdict::Unjustified,
        _ => return Err(BrokerError::invalid("verdict", "is neither justified nor unjustified")),
    };
    Ok(ReviewBreakGlass {
        id: id("break_glass_id", &request.break_glass_id)?,
        verdict,
        note: text("note", request.note, REASON_BYTES_MAX)?,
    })
}
