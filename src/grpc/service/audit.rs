//! `AuditService`. An export is read page by page, so that its size costs no memory.

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, async_trait};

use crate::audit::tree::Frontier;
use crate::broker::Broker;
use crate::broker::error::BrokerError;
use crate::grpc::codec::audit::search;
use crate::grpc::codec::field::id;
use crate::grpc::service::Edge;
use crate::model::limits::MESSAGE_BYTES_MAX;
use crate::pb::v1::audit_service_server::{AuditService, AuditServiceServer};
use crate::pb::v1::export_events_response::Part;
use crate::pb::v1::{
    ExportBeginning, ExportEventsRequest, ExportEventsResponse, ExportedEvent, GetCheckpointRequest,
    GetCheckpointResponse, GetDecisionRequest, GetDecisionResponse, SearchEventsRequest, SearchEventsResponse,
};

/// Events that are read at once for an export.
const EXPORT_PAGE: usize = 256;
/// Messages of an export that wait for a slow receiver.
const EXPORT_QUEUE: usize = 64;

/// The service, to be put behind a door.
pub(in crate::grpc) fn server(edge: &Edge) -> AuditServiceServer<Record> {
    AuditServiceServer::new(Record(edge.clone())).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

pub(in crate::grpc) struct Record(Edge);

#[async_trait]
impl AuditService for Record {
    async fn search_events(
        &self,
        request: Request<SearchEventsRequest>,
    ) -> Result<Response<SearchEventsResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let ask = search(request.into_inner()).map_err(|e| edge.refuse(e))?;
        let broker = edge.broker.clone();
        let found = edge.reading(move || broker.search_events(&caller, &ask)).await;
        let (events, next_page_token) = found.map_err(|e| edge.refuse(e))?;
        Ok(Response::new(SearchEventsResponse { events, next_page_token }))
    }

    async fn get_decision(
        &self,
        request: Request<GetDecisionRequest>,
    ) -> Result<Response<GetDecisionResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let decision = id("decision_id", &request.get_ref().decision_id).map_err(|e| edge.refuse(e))?;
        let broker = edge.broker.clone();
        let record = edge.reading(move || broker.decision_record(&caller, decision)).await;
        Ok(Response::new(GetDecisionResponse { record: Some(record.map_err(|e| edge.refuse(e))?) }))
    }

    type ExportEventsStream = ReceiverStream<Result<ExportEventsResponse, Status>>;

    async fn export_events(
        &self,
        request: Request<ExportEventsRequest>,
    ) -> Result<Response<Self::ExportEventsStream>, Status> {
        let edge = &self.0;
        let _caller = edge.caller(&request)?;
        let ExportEventsRequest { from, size } = request.into_inner();
        let durable = edge.broker.size();
        let size = if size == 0 { durable } else { size };
        if size > durable || from > size {
            let problem = format!("the record holds {durable} events");
            return Err(edge.refuse(BrokerError::invalid("size", problem)));
        }
        let broker = edge.broker.clone();
        let ends = edge.reading(move || Ok((broker.frontier(from)?, broker.checkpoint_of(size)?))).await;
        let (before, checkpoint) = ends.map_err(|e| edge.refuse(e))?;
        let (send, receive) = mpsc::channel(EXPORT_QUEUE);
        let (broker, edge) = (edge.broker.clone(), edge.clone());
        spawn_blocking(move || {
            if let Err(error) = export(&broker, &before, size, checkpoint.note, &send) {
                // A receiver that is gone needs no answer.
                drop(send.blocking_send(Err(edge.refuse(error))));
            }
        });
        Ok(Response::new(ReceiverStream::new(receive)))
    }

    async fn get_checkpoint(
        &self,
        request: Request<GetCheckpointRequest>,
    ) -> Result<Response<GetCheckpointResponse>, Status> {
        let edge = &self.0;
        let _caller = edge.caller(&request)?;
        let broker = edge.broker.clone();
        let checkpoint = edge.reading(move || broker.checkpoint()).await.map_err(|e| edge.refuse(e))?;
        Ok(Response::new(GetCheckpointResponse {
            checkpoint: checkpoint.note,
            size: checkpoint.size,
            root: checkpoint.root.to_vec().into(),
            verifier_key: checkpoint.verifier_key,
        }))
    }
}

impl Edge {
    /// Reads from disk, away from the threads that answer requests.
    async fn reading<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, BrokerError> + Send + 'static,
    ) -> Result<T, BrokerError> {
        spawn_blocking(read).await.map_err(BrokerError::internal)?
    }
}

/// Sends what stands for the events before, the events up to `end`, and the checkpoint, which signs for all of them. Ends early
/// when nobody listens any more.
fn export(
    broker: &Broker,
    before: &Frontier,
    end: u64,
    checkpoint: String,
    send: &mpsc::Sender<Result<ExportEventsResponse, Status>>,
) -> Result<(), BrokerError> {
    let tell = |part| send.blocking_send(Ok(ExportEventsResponse { part: Some(part) }));
    let mut next = before.size();
    let subtrees = before.peaks().iter().map(|peak| peak.as_bytes().to_vec().into()).collect();
    if tell(Part::Beginning(ExportBeginning { size: next, subtrees })).is_err() {
        return Ok(());
    }
    while next < end {
        let page = usize::try_from(end - next).unwrap_or(EXPORT_PAGE).min(EXPORT_PAGE);
        let events = broker.stored(next, page)?;
        if events.is_empty() {
            return Err(BrokerError::internal(ShortReadError { next, end }));
        }
        for (position, stored) in events {
            if tell(Part::Event(ExportedEvent { position, stored })).is_err() {
                return Ok(());
            }
            next = position + 1;
        }
    }
    drop(tell(Part::Checkpoint(checkpoint)));
    Ok(())
}

/// The journal holds fewer events than it said.
#[derive(Debug, thiserror::Error)]
#[error("the journal ends at {next}, before {end}")]
struct ShortReadError {
    next: u64,
    end: u64,
}
