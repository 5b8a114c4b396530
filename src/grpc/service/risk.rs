//! `RiskService`: what people say of decisions afterwards, what thresholds would follow from it, and drift.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tonic::{Request, Response, Status, async_trait};

use crate::broker::error::BrokerError;
use crate::grpc::codec::risk;
use crate::grpc::service::Edge;
use crate::model::limits::{CALIBRATIONS_MAX, LABEL_LISTINGS_MAX, MESSAGE_BYTES_MAX};
use crate::pb::v1::risk_service_server::{RiskService, RiskServiceServer};
use crate::pb::v1::{
    CalibrateRequest, CalibrateResponse, GetDriftRequest, GetDriftResponse, LabelDecisionRequest,
    LabelDecisionResponse, ListLabelsRequest, ListLabelsResponse, SetDriftReferenceRequest, SetDriftReferenceResponse,
};

/// The service, to be put behind a door.
pub(in crate::grpc) fn server(edge: &Edge) -> RiskServiceServer<Risks> {
    let places = |most| Arc::new(Semaphore::new(most));
    let (calibrations, listings) = (places(CALIBRATIONS_MAX), places(LABEL_LISTINGS_MAX));
    let risks = Risks { edge: edge.clone(), calibrations, listings };
    RiskServiceServer::new(risks).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

pub(in crate::grpc) struct Risks {
    edge: Edge,
    /// Places for calibrations that run.
    calibrations: Arc<Semaphore>,
    /// Places for listings of labels that run.
    listings: Arc<Semaphore>,
}

#[async_trait]
impl RiskService for Risks {
    async fn label_decision(
        &self,
        request: Request<LabelDecisionRequest>,
    ) -> Result<Response<LabelDecisionResponse>, Status> {
        let edge = &self.edge;
        let caller = edge.caller(&request)?;
        let ask = risk::labelled(request.into_inner()).map_err(|e| edge.refuse(e))?;
        let label = edge.broker.label_decision(&caller, ask).await.map_err(|e| edge.refuse(e))?;
        Ok(Response::new(LabelDecisionResponse { label: Some(label) }))
    }

    async fn list_labels(&self, request: Request<ListLabelsRequest>) -> Result<Response<ListLabelsResponse>, Status> {
        let edge = &self.edge;
        let caller = edge.caller(&request)?;
        let ask = risk::listed(request.into_inner()).map_err(|e| edge.refuse(e))?;
        let place = Arc::clone(&self.listings).try_acquire_owned();
        let place = place.map_err(|_| edge.refuse(BrokerError::RateLimited))?;
        let broker = edge.broker.clone();
        let listed = spawn_blocking(move || (broker.list_labels(&caller, &ask), place)).await;
        let (listed, _place) = listed.map_err(|e| edge.refuse(BrokerError::internal(e)))?;
        let (labels, next_page_token) = listed.map_err(|e| edge.refuse(e))?;
        Ok(Response::new(ListLabelsResponse { labels, next_page_token }))
    }

    async fn calibrate(&self, request: Request<CalibrateRequest>) -> Result<Response<CalibrateResponse>, Status> {
        let edge = &self.edge;
        let caller = edge.caller(&request)?;
        let ask = risk::calibrated(request.get_ref()).map_err(|e| edge.refuse(e))?;
        let place = Arc::clone(&self.calibrations).try_acquire_owned();
        let place = place.map_err(|_| edge.refuse(BrokerError::RateLimited))?;
        let broker = edge.broker.clone();
        // The place is kept until it ends, though the caller may be gone.
        let done = spawn_blocking(move || (broker.calibrate(&caller, &ask), place)).await;
        let (answer, _place) = done.map_err(|e| edge.refuse(BrokerError::internal(e)))?;
        Ok(Response::new(answer.map_err(|e| edge.refuse(e))?))
    }

    async fn get_drift(&self, request: Request<GetDriftRequest>) -> Result<Response<GetDriftResponse>, Status> {
        let edge = &self.edge;
        let caller = edge.caller(&request)?;
        Ok(Response::new(edge.broker.drift(&caller).map_err(|e| edge.refuse(e))?))
    }

    async fn set_drift_reference(
        &self,
        request: Request<SetDriftReferenceRequest>,
    ) -> Result<Response<SetDriftReferenceResponse>, Status> {
        let edge = &self.edge;
        let caller = edge.caller(&request)?;
        let ask = risk::referred(request.get_ref()).map_err(|e| edge.refuse(e))?;
        let set = edge.broker.set_drift_reference(&caller, ask).await;
        let (samples, position) = set.map_err(|e| edge.refuse(e))?;
        Ok(Response::new(SetDriftReferenceResponse { samples, position }))
    }
}
