//! `SignalService`.

use tonic::{Request, Response, Status, async_trait};

use crate::broker::record::wire_band;
use crate::grpc::codec::ask;
use crate::grpc::service::Edge;
use crate::model::limits::MESSAGE_BYTES_MAX;
use crate::pb::v1::signal_service_server::{SignalService, SignalServiceServer};
use crate::pb::v1::{ReportSignalRequest, ReportSignalResponse, ReportToolCallRequest, ReportToolCallResponse};

/// The service, to be put behind a door.
pub(in crate::grpc) fn server(edge: &Edge) -> SignalServiceServer<Signals> {
    SignalServiceServer::new(Signals(edge.clone())).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

pub(in crate::grpc) struct Signals(Edge);

#[async_trait]
impl SignalService for Signals {
    async fn report_signal(
        &self,
        request: Request<ReportSignalRequest>,
    ) -> Result<Response<ReportSignalResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let ask = ask::signal(request.into_inner()).map_err(|e| edge.refuse(e))?;
        let reported = edge.broker.report_signal(&caller, ask).await.map_err(|e| edge.refuse(e))?;
        Ok(Response::new(ReportSignalResponse {
            position: reported.position,
            risk: reported.risk.into(),
            band: wire_band(reported.band).into(),
            grants_suspended: reported.grants_suspended,
            grants_revoked: reported.grants_revoked,
        }))
    }

    async fn report_tool_call(
        &self,
        request: Request<ReportToolCallRequest>,
    ) -> Result<Response<ReportToolCallResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let ask = ask::tool_call(request.into_inner()).map_err(|e| edge.refuse(e))?;
        let reported = edge.broker.report_tool_call(&caller, ask).await.map_err(|e| edge.refuse(e))?;
        Ok(Response::new(ReportToolCallResponse {
            position: reported.position,
            grants_suspended: reported.grants_suspended,
            grants_revoked: reported.grants_revoked,
        }))
    }
}
