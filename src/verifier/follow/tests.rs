//! The follower against a stream over a real channel: it resumes, gives up silence, and comes back.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status};

use super::*;
use crate::clock::Clock;
use crate::model::id::Jti;
use crate::model::time::Timestamp;
use crate::pb::v1::revocation_service_server::{RevocationService, RevocationServiceServer};
use crate::pb::v1::watch_response::Body;
use crate::pb::v1::{
    GrantChange, GrantState, Heartbeat, LiftBlockRequest, LiftBlockResponse, ListBlocksRequest, ListBlocksResponse,
    RevokeRequest, RevokeResponse, WatchResponse,
};

type Messages = mpsc::Sender<Result<WatchResponse, Status>>;

/// A broker that tells the test who watches from where, and sends what the test says.
struct Issuer {
    watchers: mpsc::Sender<(WatchRequest, Messages)>,
}

#[tonic::async_trait]
impl RevocationService for Issuer {
    async fn revoke(&self, _: Request<RevokeRequest>) -> Result<Response<RevokeResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn lift_block(&self, _: Request<LiftBlockRequest>) -> Result<Response<LiftBlockResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_blocks(&self, _: Request<ListBlocksRequest>) -> Result<Response<ListBlocksResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let (send, receive) = mpsc::channel(8);
        let watcher = (request.into_inner(), send);
        self.watchers.send(watcher).await.map_err(|_| Status::unavailable(""))?;
        Ok(Response::new(Box::pin(ReceiverStream::new(receive))))
    }
}

struct Scene {
    watchers: mpsc::Receiver<(WatchRequest, Messages)>,
    view: Arc<RevocationView>,
    clock: Clock,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

impl Scene {
    async fn start(silence_max: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (send, watchers) = mpsc::channel(8);
        let server = Server::builder().add_service(RevocationServiceServer::new(Issuer { watchers: send }));
        let serving =
            tokio::spawn(async move { drop(server.serve_with_incoming(TcpListenerStream::new(listener)).await) });
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
        let clock = Clock::manual(Timestamp::from_secs(1_790_000_000));
        let view = Arc::new(RevocationView::new(Duration::from_secs(15), Duration::from_secs(5), clock.clone()));
        let subscription = Subscription { audiences: vec!["https://rs.test".parse().unwrap()], silence_max };
        let followed = view.clone();
        let following = tokio::spawn(async move { follow(channel, &subscription, &followed).await });
        Self { watchers, view, clock, tasks: vec![serving, following] }
    }

    async fn watcher(&mut self) -> (WatchRequest, Messages) {
        tokio::time::timeout(Duration::from_secs(20), self.watchers.recv()).await.unwrap().unwrap()
    }

    fn message(&self, position: u64, body: Body) -> Result<WatchResponse, Status> {
        let seconds = i64::try_from(self.clock.now().as_secs()).unwrap();
        let time = Some(prost_types::Timestamp { seconds, nanos: 0 });
        Ok(WatchResponse { position, time, body: Some(body) })
    }

    fn beat(&self, position: u64) -> Result<WatchResponse, Status> {
        self.message(position, Body::Heartbeat(Heartbeat {}))
    }

    fn revoked(&self, position: u64, n: u8) -> Result<WatchResponse, Status> {
        let change = GrantChange {
            jti: Jti::new([n; 16]).to_string(),
            state: GrantState::Revoked.into(),
            ..GrantChange::default()
        };
        self.message(position, Body::Change(change))
    }

    async fn until(&self, code: &'static str) {
        let seen = Arc::new(Mutex::new(""));
        let waited = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                let now = self.view.check(&Jti::new([1; 16])).err().map_or("live", |r| r.code());
                *seen.lock().unwrap() = now;
                if now == code {
                    return;
                }
                tokio::task::yield_now().await;
            }
        });
        assert!(waited.await.is_ok(), "{code} never came, but {}", seen.lock().unwrap());
    }
}

#[tokio::test]
async fn revocations_arrive_and_a_broken_stream_is_resumed() {
    let mut scene = Scene::start(Duration::from_secs(30)).await;
    let (request, messages) = scene.watcher().await;
    assert_eq!((request.after, request.audiences), (0, vec!["https://rs.test".to_owned()]));
    messages.send(scene.beat(4)).await.unwrap();
    scene.until("live").await;
    messages.send(scene.revoked(5, 1)).await.unwrap();
    scene.until("TOKEN_REVOKED").await;
    messages.send(Err(Status::unavailable("draining"))).await.unwrap();
    let (request, messages) = scene.watcher().await;
    assert_eq!(request.after, 5);
    drop(messages);
    assert_eq!(scene.watcher().await.0.after, 5, "an end without an error is resumed as well");
    scene.until("TOKEN_REVOKED").await;
}

#[tokio::test]
async fn a_silent_stream_is_given_up() {
    let mut scene = Scene::start(Duration::from_millis(50)).await;
    let (_, silent) = scene.watcher().await;
    let (request, _again) = scene.watcher().await;
    assert_eq!(request.after, 0);
    drop(silent);
}

#[tokio::test]
async fn a_senseless_stream_is_given_up() {
    let mut scene = Scene::start(Duration::from_secs(30)).await;
    let (_, messages) = scene.watcher().await;
    messages.send(Ok(WatchResponse::default())).await.unwrap();
    let (_, messages) = scene.watcher().await;
    messages.send(scene.beat(1)).await.unwrap();
    scene.until("live").await;
}
