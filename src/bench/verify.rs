//! A resource server that verifies the token of every call, and agents that call it: what a tool pays for being protected.
//! Tokens come from the broker, and its `Watch` stream is followed meanwhile.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Context, Poll, Service, http};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use super::drive::{Askers, Measured, Problem, Slot};
use super::errand::{AUDIENCE, TOOL};
use super::error::BenchError;
use super::site::Site;
use super::steps::RequestSlot;
use crate::clock::{Clock, Stopwatch};
use crate::identity::accept::PeerAcceptor;
use crate::identity::client::{ServerIdentity, connect};
use crate::identity::listen::{ListenLimits, listen};
use crate::identity::peer::VerifiedPeer;
use crate::identity::trust::{AcceptedDomains, Trust};
use crate::model::id::ToolName;
use crate::model::json::Json;
use crate::model::limits::ARGUMENTS_BYTES_MAX;
use crate::token::check::Call;
use crate::token::claims::Issuer;
use crate::verifier::bearer::bearer;
use crate::verifier::check::{Peer, Verifier};
use crate::verifier::follow::{Subscription, follow};
use crate::verifier::settings::Settings;

/// The one method.
const METHOD: &str = "/carnet.bench.Desk/Call";
/// A token is asked for anew when it is so old: less than half of what policies give.
const TOKEN_AGE_MAX: Duration = Duration::from_secs(100);
/// What the resource server answers.
const ANSWER: &[u8] = b"{\"status\":\"done\"}";
/// How long a silent stream of revocations is borne.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// How long the first view of revocations may take.
const FIRST_VIEW_WITHIN: Duration = Duration::from_secs(10);

/// A running resource server with agents at its desk.
pub(in crate::bench) struct Desk {
    slots: Vec<(usize, CallSlot)>,
    request_bytes: usize,
}

impl Desk {
    /// Starts the resource server on the runtime that this is called on, and gives every slot a token.
    pub(in crate::bench) async fn open(
        site: &Site,
        askers: &Askers,
        making: Vec<(usize, RequestSlot)>,
    ) -> Result<Self, BenchError> {
        let own = site.resource_server.as_ref().ok_or(BenchError::Ended)?;
        let clock = Clock::system();
        let trust = Trust::over(own.workload.clone(), AcceptedDomains::Own, clock.clone());
        let trust = trust.map_err(BenchError::start("the resource server"))?;
        let issuer = issuer(&making)?;
        let keys = site.keys(issuer.as_str(), &own.workload)?;
        let settings = Settings::new(issuer, AUDIENCE.parse().map_err(BenchError::start("the audience"))?);
        let verifier = Arc::new(Verifier::new(settings, clock, Box::new(|_| {})));
        verifier.keys().refresh(&keys).await.map_err(BenchError::start("the issuer's keys"))?;
        // A run may last longer than a copy of the keys is good for.
        let issuer_keys = Arc::clone(verifier.keys());
        tokio::spawn(async move { issuer_keys.keep_fresh(&keys).await });
        let watching = connect(&site.address, &own.workload, site.broker.clone());
        let watching = watching.await.map_err(BenchError::start("the stream of revocations"))?;
        follow_from(watching, &verifier).await?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(BenchError::start("the resource server"))?;
        let address = listener.local_addr().map_err(BenchError::start("the resource server"))?.to_string();
        let acceptor = PeerAcceptor::new(&trust, Arc::new(|_| {})).map_err(BenchError::start("the resource server"))?;
        let tool = TOOL.parse().map_err(BenchError::start("the tool"))?;
        let service = DeskService { verifier, tool: Arc::new(tool) };
        tokio::spawn(async move {
            let incoming = listen(listener, acceptor, ListenLimits::default());
            let served = tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await;
            if let Err(error) = served {
                tracing::warn!(error = &error as &dyn std::error::Error, "the resource server ended");
            }
        });
        let mut channels = Vec::new();
        for (n, agent) in site.agents.iter().enumerate() {
            let (address, workload, id) = (address.clone(), agent.workload.clone(), own.id.clone());
            let dial = async move { connect(&address, &workload, ServerIdentity::Exact(id)).await };
            channels
                .push(askers.run(n, dial).await?.map_err(BenchError::start("a connection to the resource server"))?);
        }
        let mut slots = Vec::new();
        for (n, making) in making {
            let channel = channels.get(n).cloned().ok_or(BenchError::Ended)?;
            slots.push((n, CallSlot::new(making, channel)));
        }
        let arguments = slots.first().map_or(0, |(_, slot)| slot.arguments.len());
        let token = slots.first().and_then(|(_, slot)| slot.making.granted.as_ref()).map_or(0, |(_, t)| t.len());
        Ok(Self { slots, request_bytes: arguments + token })
    }

    /// Bytes of its requests, token included, and of its answers.
    pub(in crate::bench) const fn sizes(&self) -> (usize, usize) {
        (self.request_bytes, ANSWER.len())
    }

    /// Keeps the desk busy for so long, each slot with a call in every so long.
    pub(in crate::bench) async fn measure(
        self,
        askers: &Askers,
        time: Duration,
        every: Option<Duration>,
    ) -> Result<Measured, BenchError> {
        Ok(askers.steadily(self.slots, time, every).await?.1)
    }
}

/// The issuer, as the first token names it: the run trusts the broker that it drives.
fn issuer(making: &[(usize, RequestSlot)]) -> Result<Issuer, BenchError> {
    use base64::Engine as _;
    let token = making.first().and_then(|(_, slot)| slot.granted.as_ref()).map(|(_, token)| token.as_str());
    let payload = token.and_then(|token| token.split('.').nth(1)).ok_or(BenchError::Nothing)?;
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let payload = engine.decode(payload).map_err(BenchError::start("the token"))?;
    let claims: serde_json::Value = serde_json::from_slice(&payload).map_err(BenchError::start("the token"))?;
    let issuer = claims.get("iss").and_then(serde_json::Value::as_str).unwrap_or_default();
    issuer.parse().map_err(BenchError::start("the issuer"))
}

/// Follows revocations, and waits until they are known once.
async fn follow_from(channel: Channel, verifier: &Arc<Verifier>) -> Result<(), BenchError> {
    let view = Arc::clone(verifier.revocations());
    let followed = Arc::clone(&view);
    tokio::spawn(async move {
        let subscription = Subscription { audiences: Vec::new(), silence_max: SILENCE_MAX };
        follow(channel, &subscription, &followed).await;
    });
    let waiting = Stopwatch::start();
    while view.age().is_none() {
        if waiting.elapsed() > FIRST_VIEW_WITHIN {
            return Err(BenchError::Refused { what: "following revocations", problem: "nothing came".to_owned() });
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// A slot that calls with a token that it has.
struct CallSlot {
    making: RequestSlot,
    arguments: Bytes,
    client: tonic::client::Grpc<Channel>,
    bearer: Option<(MetadataValue<Ascii>, Stopwatch)>,
}

impl CallSlot {
    fn new(making: RequestSlot, channel: Channel) -> Self {
        let arguments = Bytes::from(making.arguments());
        Self { making, arguments, client: tonic::client::Grpc::new(channel), bearer: None }
    }
}

impl Slot for CallSlot {
    async fn prepare(&mut self) -> Result<(), Problem> {
        if self.bearer.as_ref().is_some_and(|(_, made)| made.elapsed() < TOKEN_AGE_MAX) {
            return Ok(());
        }
        self.making.prepare().await?;
        self.making.fire().await?;
        let (_, token) = self.making.granted.as_ref().ok_or_else(|| Problem("no token".to_owned()))?;
        let value = format!("Bearer {token}").parse().map_err(|_| Problem("no token".to_owned()))?;
        self.bearer = Some((value, Stopwatch::start()));
        Ok(())
    }

    async fn fire(&mut self) -> Result<(), Problem> {
        let (bearer, _) = self.bearer.as_ref().ok_or_else(|| Problem("no token".to_owned()))?;
        let mut request = Request::new(self.arguments.clone());
        request.metadata_mut().insert("authorization", bearer.clone());
        self.client.ready().await.map_err(|error| Problem(error.to_string()))?;
        let codec = ProstCodec::<Bytes, Bytes>::default();
        let path = http::uri::PathAndQuery::from_static(METHOD);
        let answer = self.client.unary(request, path, codec).await?.into_inner();
        if answer == ANSWER { Ok(()) } else { Err(Problem("the call was answered otherwise".to_owned())) }
    }
}

/// The resource server: it verifies, and does nothing else.
#[derive(Clone)]
struct DeskService {
    verifier: Arc<Verifier>,
    tool: Arc<ToolName>,
}

impl DeskService {
    fn answer(&self, request: &Request<Bytes>) -> Result<Bytes, Status> {
        let refuse = |refusal: crate::verifier::refusal::Refusal| Status::unauthenticated(refusal.code());
        let headers = request.metadata().get_all("authorization");
        let token = bearer(headers.iter().map(MetadataValue::as_bytes)).map_err(refuse)?;
        let peer = request.extensions().get::<Arc<VerifiedPeer>>();
        let peer = peer.ok_or_else(|| Status::unauthenticated("no peer"))?;
        let spiffe_id = peer.spiffe_id();
        let peer = peer.certificate_thumbprint().map(|certificate| Peer { certificate: *certificate, spiffe_id });
        let text = std::str::from_utf8(request.get_ref()).map_err(|_| Status::invalid_argument("not text"))?;
        let arguments = Json::parse_object(text, ARGUMENTS_BYTES_MAX);
        let arguments = arguments.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let call = Call { tool: &self.tool, actions: &["tools/call"], resources: &[], arguments: &arguments };
        self.verifier.verify(token, peer, &call).map_err(refuse)?;
        Ok(Bytes::from_static(ANSWER))
    }
}

impl tonic::server::NamedService for DeskService {
    const NAME: &'static str = "carnet.bench.Desk";
}

impl Service<http::Request<Body>> for DeskService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let desk = Answering(self.clone());
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<Bytes, Bytes>::default());
            Ok(grpc.unary(desk, request).await)
        })
    }
}

struct Answering(DeskService);

impl tonic::server::UnaryService<Bytes> for Answering {
    type Response = Bytes;
    type Future = std::future::Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        std::future::ready(self.0.answer(&request).map(Response::new))
    }
}
