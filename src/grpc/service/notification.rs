//! `NotificationService`: what receivers of webhooks were told.

use tonic::{Request, Response, Status, async_trait};

use crate::grpc::service::Edge;
use crate::model::limits::MESSAGE_BYTES_MAX;
use crate::pb::v1::notification_service_server::{NotificationService, NotificationServiceServer};
use crate::pb::v1::{ListDeliveriesRequest, ListDeliveriesResponse, TestWebhookRequest, TestWebhookResponse};

/// The service, to be put behind a door.
pub(in crate::grpc) fn server(edge: &Edge) -> NotificationServiceServer<Notifications> {
    NotificationServiceServer::new(Notifications(edge.clone())).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

pub(in crate::grpc) struct Notifications(Edge);

#[async_trait]
impl NotificationService for Notifications {
    async fn list_deliveries(
        &self,
        request: Request<ListDeliveriesRequest>,
    ) -> Result<Response<ListDeliveriesResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let request = request.get_ref();
        let found = edge.broker.list_deliveries(&caller, &request.webhook, request.page_size);
        Ok(Response::new(found.map_err(|e| edge.refuse(e))?))
    }

    async fn test_webhook(
        &self,
        request: Request<TestWebhookRequest>,
    ) -> Result<Response<TestWebhookResponse>, Status> {
        let edge = &self.0;
        let caller = edge.caller(&request)?;
        let tried = edge.broker.test_webhook(&caller, &request.get_ref().webhook).await;
        let delivery = tried.map_err(|e| edge.refuse(e))?;
        Ok(Response::new(TestWebhookResponse { delivery: Some(delivery) }))
    }
}
