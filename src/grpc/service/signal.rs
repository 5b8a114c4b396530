//! `SignalService`, and the stream by which calls are reported one after the other.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Code, Request, Response, Status, Streaming, async_trait};

use crate::broker::caller::Caller;
use crate::broker::error::BrokerError;
use crate::broker::record::wire_band;
use crate::grpc::access::{self, Class};
use crate::grpc::codec::ask;
use crate::grpc::panics::Caught;
use crate::grpc::service::Edge;
use crate::grpc::status;
use crate::model::limits::MESSAGE_BYTES_MAX;
use crate::model::reason::ReasonCode;
use crate::pb::v1::signal_service_server::{SignalService, SignalServiceServer};
use crate::pb::v1::{
    GetReportKeyRequest, GetReportKeyResponse, ReportSignalRequest, ReportSignalResponse, ReportToolCallRequest,
    ReportToolCallResponse, ReportToolCallsResponse,
};

/// The service, to be put behind a door.
pub(in crate::grpc) fn server(edge: &Edge) -> SignalServiceServer<Signals> {
    SignalServiceServer::new(Signals(edge.clone())).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

pub(in crate::grpc) struct Signals(Edge);

/// The row of the access table that a stream of reports stands in.
const STREAMED: &str = "/carnet.v1.SignalService/ReportToolCalls";

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

    type ReportToolCallsStream = Pin<Box<dyn Stream<Item = Result<ReportToolCallsResponse, Status>> + Send>>;

    async fn report_tool_calls(
        &self,
        request: Request<Streaming<ReportToolCallRequest>>,
    ) -> Result<Response<Self::ReportToolCallsStream>, Status> {
        let caller = self.0.caller(&request)?;
        // One answer waits at a time: who does not read them is not read either.
        let (send, receive) = mpsc::channel(1);
        let reporter = Reporter { edge: self.0.clone(), caller };
        tokio::spawn(async move { each(request.into_inner(), send, |report| reporter.answer(report)).await });
        Ok(Response::new(Box::pin(ReceiverStream::new(receive))))
    }

    async fn get_report_key(
        &self,
        request: Request<GetReportKeyRequest>,
    ) -> Result<Response<GetReportKeyResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let ask = ask::report_key(request.get_ref()).map_err(|e| edge.refuse(e))?;
        let key = edge.broker.report_key(&caller, &ask).await.map_err(|e| edge.refuse(e))?;
        Ok(Response::new(GetReportKeyResponse { key: key.expose().to_vec().into(), key_id: key.id() }))
    }
}

/// Who opened a stream of reports.
struct Reporter {
    edge: Edge,
    caller: Arc<Caller>,
}

/// Takes one after the other until the caller has no more, goes, or one is refused. A report is read only when there is room for its
/// answer. That the caller's identity holds the door looks at, and takes the answers away when it does not.
async fn each<Report, Answer, Taken: Future<Output = Result<Answer, Status>>>(
    mut reports: impl Stream<Item = Report> + Unpin,
    send: mpsc::Sender<Result<Answer, Status>>,
    take: impl Fn(Report) -> Taken,
) {
    while let Ok(room) = send.reserve().await {
        let report = tokio::select! {
            report = reports.next() => report,
            () = send.closed() => return,
        };
        let Some(report) = report else { return };
        // Nobody else would see it: without it the caller would take what was left out for an end.
        let answer = match Caught(Box::pin(take(report))).await {
            Ok(answer) => answer,
            Err(panicked) => {
                tracing::error!(method = STREAMED, panic = panicked.message(), "a report failed by a defect");
                Err(status::refusal(Code::Internal, ReasonCode::Internal))
            }
        };
        let refused = answer.is_err();
        room.send(answer);
        if refused {
            return;
        }
    }
}

impl Reporter {
    async fn answer(&self, report: Result<ReportToolCallRequest, Status>) -> Result<ReportToolCallsResponse, Status> {
        match report {
            Ok(report) => self.take(report).await,
            Err(status) => Err(self.edge.unread(&status)),
        }
    }

    async fn take(&self, report: ReportToolCallRequest) -> Result<ReportToolCallsResponse, Status> {
        let edge = &self.edge;
        let caller = self.caller_now().map_err(|e| edge.refuse(e))?;
        let ask = ask::tool_call(report).map_err(|e| edge.refuse(e))?;
        let request_id = ask.request_id.to_string();
        let reported = edge.broker.report_tool_call(&caller, ask).await.map_err(|e| edge.refuse(e))?;
        Ok(ReportToolCallsResponse {
            request_id,
            position: reported.position,
            grants_suspended: reported.grants_suspended,
            grants_revoked: reported.grants_revoked,
        })
    }

    /// Who calls, as the policy bundle has it now: a stream outlives what it said when the stream was opened.
    fn caller_now(&self) -> Result<Caller, BrokerError> {
        let Caller::Workload(opened) = self.caller.as_ref() else { return Ok(Caller::clone(&self.caller)) };
        let now = self.edge.broker.authenticate(&opened.peer)?;
        match access::row(STREAMED).is_some_and(|row| row.admits(Class::of(&now))) {
            true => Ok(now),
            false => Err(BrokerError::NotPermitted { code: ReasonCode::MethodNotAllowed }),
        }
    }
}

impl Edge {
    /// Why a report could not be read, with a reason code: as the door tells it of a request that is one message. Counted as what is
    /// refused otherwise, unless its caller went away.
    fn unread(&self, status: &Status) -> Status {
        let (code, reason) = match status.code() {
            Code::OutOfRange | Code::ResourceExhausted => (Code::ResourceExhausted, ReasonCode::LimitExceeded),
            Code::Internal => (Code::InvalidArgument, ReasonCode::InvalidArgument),
            code => (code, ReasonCode::Unavailable),
        };
        if reason != ReasonCode::Unavailable {
            self.metrics.refused(reason);
        }
        tracing::debug!(code = %reason, "a report could not be read");
        status::refusal(code, reason)
    }
}

#[cfg(test)]
mod tests;
