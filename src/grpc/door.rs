//! The door that every RPC comes through: it finds the row of the access table, says who calls, admits or refuses, and passes
//! the request to its service. What a service or the transport answers goes out with a reason code, counted and timed.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::HeaderMap;
use http::header::AUTHORIZATION;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::server::UdsConnectInfo;
use tonic::{Code, Status};
use tonic_health::pb::health_server::{Health, HealthServer};
use tracing::Instrument as _;
use zeroize::Zeroizing;

use crate::broker::Broker;
use crate::broker::caller::{Caller, Refusal};
use crate::broker::error::BrokerError;
use crate::broker::open_calls::OpenCall;
use crate::clock::Stopwatch;
use crate::grpc::access::{self, Class, Row, Stream};
use crate::grpc::held::{Ends, holding, until};
use crate::grpc::line::{Call, Line};
use crate::grpc::panics::Caught;
use crate::grpc::service::{self, Edge};
use crate::grpc::status;
use crate::identity::https::Remote;
use crate::identity::jwt_svid::JwtSvidRules;
use crate::identity::peer::VerifiedPeer;
use crate::metrics::Metrics;
use crate::model::reason::ReasonCode;
use crate::pb;

/// Who may come through a door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entrance {
    /// Workloads, whose identity the connection proved.
    Workloads,
    /// Whoever shows a token with each request: workloads a JWT-SVID, held against these rules.
    Bearers(JwtSvidRules),
    /// People, who show a token of an issuer that is configured.
    People,
    /// Whoever may open the operator's socket.
    Operator,
}

/// The services behind one entrance, for one connection. Clones share them.
#[derive(Clone)]
pub struct Door {
    entrance: Arc<Entrance>,
    services: Arc<Services>,
    line: Line,
}

/// The services that all doors share.
pub struct Services {
    broker: Broker,
    metrics: Metrics,
    by_name: HashMap<&'static str, Box<dyn Answers>>,
}

/// Reflection could not be set up: a defect that a test would find.
#[derive(Debug, thiserror::Error)]
#[error("the descriptors cannot be read")]
pub struct ReflectionError(#[source] Box<tonic_reflection::server::Error>);

impl Services {
    /// The services over this broker.
    ///
    /// # Errors
    /// When the compiled descriptors cannot be read.
    pub fn new<H: Health>(
        broker: Broker,
        metrics: Metrics,
        health: HealthServer<H>,
    ) -> Result<Arc<Self>, ReflectionError> {
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(pb::WIRE_DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()
            .map_err(|e| ReflectionError(Box::new(e)))?;
        let edge = Edge::new(broker.clone(), metrics.clone());
        let mut by_name = HashMap::new();
        insert(&mut by_name, service::task::server(&edge));
        insert(&mut by_name, service::credential::server(&edge));
        insert(&mut by_name, service::revocation::server(&edge));
        insert(&mut by_name, service::signal::server(&edge));
        insert(&mut by_name, service::approval::server(&edge));
        insert(&mut by_name, service::break_glass::server(&edge));
        insert(&mut by_name, service::notification::server(&edge));
        insert(&mut by_name, service::audit::server(&edge));
        insert(&mut by_name, service::policy::server(&edge));
        insert(&mut by_name, service::risk::server(&edge));
        insert(&mut by_name, health);
        insert(&mut by_name, reflection);
        Ok(Arc::new(Self { broker, metrics, by_name }))
    }

    /// These services behind an entrance.
    #[must_use]
    pub fn door(self: &Arc<Self>, entrance: Entrance) -> Door {
        Door { entrance: Arc::new(entrance), services: Arc::clone(self), line: Line::default() }
    }
}

fn insert<S: NamedService + Answers + 'static>(by_name: &mut HashMap<&'static str, Box<dyn Answers>>, service: S) {
    by_name.insert(S::NAME, Box::new(service));
}

type Answer = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

/// A service of any kind.
trait Answers: Send + Sync {
    fn answer(&self, request: http::Request<Body>) -> Answer;
}

impl<S> Answers for S
where
    S: tower::Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync,
    S::Future: Send + 'static,
{
    fn answer(&self, request: http::Request<Body>) -> Answer {
        // Generated services are always ready.
        Box::pin(self.clone().call(request))
    }
}

impl tower::Service<http::Request<Body>> for Door {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Answer {
        let call = self.line.begin();
        if *self.entrance == Entrance::People {
            let door = self.clone();
            let token = bearer(request.headers()).map(|token| Zeroizing::new(token.to_owned()));
            let (address, method) = (remote(&request).map(Remote::address), method(&request));
            // The keys of an issuer may have to be got first.
            return Box::pin(async move {
                let caller = match token {
                    Some(token) => door.services.broker.authenticate_person(&token, address, method).await,
                    None => Err(unauthenticated()),
                };
                tell(&request, &caller);
                door.answer(request, caller, call).await
            });
        }
        let caller = self.identify(&mut request);
        // Whoever cannot be judged for a moment is judged after it.
        match caller.as_ref().err().and_then(|_| self.settling()) {
            None => {
                tell(&request, &caller);
                self.answer(request, caller, call)
            }
            Some(settling) => {
                let door = self.clone();
                Box::pin(async move {
                    settling.await;
                    let caller = door.identify(&mut request);
                    tell(&request, &caller);
                    door.answer(request, caller, call).await
                })
            }
        }
    }
}

impl Door {
    /// The same entrance for one connection.
    #[must_use]
    pub fn over(&self, line: Line) -> Self {
        Self { line, ..self.clone() }
    }

    /// Says who calls, by what this entrance goes by and nothing else: a token shown over a workload's connection changes nothing.
    fn identify(&self, request: &mut http::Request<Body>) -> Result<Caller, BrokerError> {
        match &*self.entrance {
            Entrance::Workloads => {
                let peer = request.extensions().get::<Arc<VerifiedPeer>>().ok_or_else(unauthenticated)?;
                self.services.broker.authenticate(peer)
            }
            Entrance::Bearers(rules) => {
                let token = bearer(request.headers()).ok_or_else(unauthenticated)?;
                let (address, method) = (remote(request).map(Remote::address), method(request));
                let peer = self.services.broker.authenticate_token(token, rules, address, method)?;
                let caller = self.services.broker.authenticate(&peer);
                // As the connection of one that proved its key does.
                request.extensions_mut().insert(peer);
                caller
            }
            Entrance::People => Err(unauthenticated()),
            Entrance::Operator => {
                let socket = request.extensions().get::<UdsConnectInfo>();
                let uid = socket.and_then(|s| s.peer_cred).map(|cred| cred.uid());
                Ok(Caller::Operator { uid: uid.ok_or_else(unauthenticated)? })
            }
        }
    }

    fn settling(&self) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        let broker = &self.services.broker;
        match &*self.entrance {
            Entrance::Bearers(_) => broker.settling_for_tokens().map(|settling| Box::pin(settling) as Pin<Box<_>>),
            _ => broker.settling().map(|settling| Box::pin(settling) as Pin<Box<_>>),
        }
    }

    /// What ends the stream of an answer: the caller is no longer who it was, or the connection is being wound down.
    fn ends(&self, row: &'static Row, caller: &Arc<Caller>) -> Option<Ends> {
        let stream = row.stream()?;
        let (line, services, caller) = (self.line.clone(), Arc::clone(&self.services), Arc::clone(caller));
        Some(Box::pin(async move {
            let wound_down = async {
                match stream {
                    Stream::Endless => {
                        line.wound_down().await;
                        Status::new(Code::Ok, "")
                    }
                    Stream::Fed => {
                        line.wound_down().await;
                        status::refusal(Code::Unavailable, ReasonCode::Unavailable)
                    }
                    Stream::Finite => std::future::pending().await,
                }
            };
            tokio::select! {
                status = wound_down => status,
                error = services.broker.outlived(&caller) => {
                    services.metrics.refused(error.code());
                    status::log(&error);
                    status::of(&error)
                }
            }
        }))
    }

    fn answer(&self, mut request: http::Request<Body>, caller: Result<Caller, BrokerError>, call: Call) -> Answer {
        let began = Stopwatch::start();
        let services = Arc::clone(&self.services);
        let Some(row) = access::row(request.uri().path()) else {
            let refused = self.unlisted(&request, caller.as_ref().ok());
            return Box::pin(async move { Ok(refused.into_http()) });
        };
        let lasting = remote(&request).filter(|_| row.stream() == Some(Stream::Finite)).map(Remote::lasting);
        // It has done its work; nothing behind the door has a use for it.
        request.headers_mut().remove(AUTHORIZATION);
        let admitted = self.admit(row, &request, caller).map(|(caller, open)| {
            let caller = Arc::new(caller);
            let ends = self.ends(row, &caller);
            (caller, open, ends)
        });
        let span = match &admitted {
            Ok((caller, ..)) if tracing::enabled!(tracing::Level::DEBUG) => {
                tracing::debug_span!("rpc", method = row.path, caller = caller.id())
            }
            _ => tracing::Span::none(),
        };
        let answer = async move {
            let in_flight = services.metrics.rpc_began();
            let response = match admitted {
                Ok((caller, open, ends)) => {
                    request.extensions_mut().insert(caller);
                    let response = services.answer(row, request).await;
                    let response = match ends {
                        Some(ends) => until(response, ends),
                        None => response,
                    };
                    match row.stream() {
                        // Its messages are still to come.
                        Some(Stream::Finite) => holding(response, (open, call, lasting)),
                        // A stream that goes on for ever keeps no connection that is wound down, whether it is read or not.
                        Some(Stream::Endless | Stream::Fed) => {
                            call.let_go();
                            holding(response, open)
                        }
                        // It is whole; who does not read it keeps no connection either.
                        None => holding(response, open),
                    }
                }
                Err(refused) => refused.into_http(),
            };
            let (response, code) = explained(response, row);
            drop(in_flight);
            services.metrics.rpc_answered(row.path, status::code_name(code), began.elapsed());
            Ok(response)
        };
        Box::pin(answer.instrument(span))
    }

    /// Refuses what stands in no row. Asking for it costs of the caller's rate all the same.
    fn unlisted(&self, request: &http::Request<Body>, caller: Option<&Caller>) -> Status {
        let Services { broker, metrics, .. } = &*self.services;
        // Also of one that proved an identity and is nobody to the policy bundle.
        let peer = request.extensions().get::<Arc<VerifiedPeer>>().map(Proven::by);
        let proven = peer.or_else(|| caller.and_then(Proven::caller));
        let above_rate = proven.as_ref().and_then(|proven| broker.charge(&proven.subject).err());
        if let Some(Proven { subject, address }) = proven.filter(|_| above_rate.is_none()) {
            let code = ReasonCode::MethodNotAllowed;
            broker.note_refusal(Refusal { subject, rpc: UNLISTED, code, peer_address: address, task: None });
        }
        let error = above_rate.unwrap_or(BrokerError::NotPermitted { code: ReasonCode::MethodNotAllowed });
        metrics.refused(error.code());
        status::of(&error)
    }

    /// Holds who calls against the row and against what the caller has open already: its message is not read yet.
    fn admit(
        &self,
        row: &'static Row,
        request: &http::Request<Body>,
        caller: Result<Caller, BrokerError>,
    ) -> Result<(Caller, OpenCall), Status> {
        let peer = request.extensions().get::<Arc<VerifiedPeer>>();
        let services = &self.services;
        let caller = caller.map_err(|error| services.refuse(row, peer.map(Proven::by).as_ref(), &error))?;
        let proven = Proven::caller(&caller);
        let code = match &caller {
            _ if !row.admits(Class::of(&caller)) => Some(ReasonCode::MethodNotAllowed),
            Caller::Person(person) if !row.satisfied_by(|right| person.may(right)) => Some(ReasonCode::RightMissing),
            _ => None,
        };
        if let Some(code) = code {
            return Err(services.refuse(row, proven.as_ref(), &BrokerError::NotPermitted { code }));
        }
        let broker = &services.broker;
        let open = if row.ends() { broker.open_end(&caller) } else { broker.open_call(&caller) };
        let open = open.and_then(|open| {
            // Verbs look at the rate themselves.
            let is_ours = row.path.starts_with(OURS);
            if is_ours { Ok(()) } else { broker.charge(&caller.id()) }.map(|()| open)
        });
        let open = open.map_err(|error| services.refuse(row, proven.as_ref(), &error))?;
        Ok((caller, open))
    }
}

impl Services {
    /// Answers with the service that the path names. A panic is answered too.
    async fn answer(&self, row: &'static Row, request: http::Request<Body>) -> http::Response<Body> {
        let name = row.path.trim_start_matches('/').split('/').next().unwrap_or_default();
        let Some(service) = self.by_name.get(name) else {
            return status::refusal(Code::Unimplemented, ReasonCode::MethodNotAllowed).into_http();
        };
        match Caught(service.answer(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(panicked) => {
                tracing::error!(method = row.path, panic = panicked.message(), "a request failed by a defect");
                status::refusal(Code::Internal, ReasonCode::Internal).into_http()
            }
        }
    }

    /// A refusal at the door. What it says about an identity goes on record, counted.
    fn refuse(&self, row: &'static Row, proven: Option<&Proven>, error: &BrokerError) -> Status {
        let above_rate = proven.and_then(|proven| self.broker.charge(&proven.subject).err());
        let error = above_rate.as_ref().unwrap_or(error);
        self.metrics.refused(error.code());
        // Anybody can have a request refused before anything is proven, as often as they like.
        if proven.is_some() || matches!(error, BrokerError::Internal(_)) {
            status::log(error);
        } else {
            tracing::debug!(%error, "a request of somebody unproven was refused");
        }
        if let Some(proven) = proven
            && matches!(error, BrokerError::Unauthenticated { .. } | BrokerError::NotPermitted { .. })
        {
            self.broker.note_refusal(Refusal {
                subject: proven.subject.clone(),
                rpc: row.path,
                code: error.code(),
                peer_address: proven.address,
                task: None,
            });
        }
        status::of(error)
    }
}

/// Whose refusal goes on record: whoever proved an identity, whatever it may do.
struct Proven {
    subject: String,
    address: Option<SocketAddr>,
}

impl Proven {
    fn by(peer: &Arc<VerifiedPeer>) -> Self {
        Self { subject: peer.spiffe_id().to_string(), address: peer.address() }
    }

    fn caller(caller: &Caller) -> Option<Self> {
        match caller {
            Caller::Workload(workload) => Some(Self::by(&workload.peer)),
            Caller::Person(person) => Some(Self { subject: caller.id(), address: person.address() }),
            Caller::Operator { .. } => None,
        }
    }
}

/// The token of the one `authorization` that a request has (RFC 6750 §2.1); `None` when there is none, or anything else.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (scheme, token) = values.next()?.to_str().ok()?.split_once(' ')?;
    let one = values.next().is_none() && !token.is_empty() && !token.contains([' ', ',']);
    (one && scheme.eq_ignore_ascii_case("Bearer")).then_some(token)
}

/// Where a connection came from that proved nothing by itself.
fn remote(request: &http::Request<Body>) -> Option<&Remote> {
    request.extensions().get()
}

/// Tells the connection, where it proved nothing by itself, what came of what was shown by it.
fn tell(request: &http::Request<Body>, caller: &Result<Caller, BrokerError>) {
    let Some(remote) = remote(request) else { return };
    match caller {
        Ok(_) | Err(BrokerError::NotPermitted { .. }) => remote.proved(),
        Err(BrokerError::Unauthenticated { .. }) => remote.refused(),
        // It says nothing about whoever is there.
        Err(_) => {}
    }
}

/// The method that is called, as records name it.
fn method(request: &http::Request<Body>) -> &'static str {
    access::row(request.uri().path()).map_or(UNLISTED, |row| row.path)
}

/// What records call a method that stands in no row: what was asked for is the caller's to choose, and no part of a record.
const UNLISTED: &str = "unlisted";
/// How the paths of our own services begin.
const OURS: &str = "/carnet.";

const fn unauthenticated() -> BrokerError {
    BrokerError::Unauthenticated { code: ReasonCode::Unauthenticated }
}

/// Gives a reason code to what the transport refused by itself: a message that does not decode, or is too large. The code that
/// went out, for the count; a stream counts by how it began.
fn explained(response: http::Response<Body>, row: &Row) -> (http::Response<Body>, Code) {
    let Some(said) = Status::from_header_map(response.headers()) else { return (response, Code::Ok) };
    if said.code() == Code::Ok || !said.details().is_empty() || !row.path.starts_with(OURS) {
        let code = said.code();
        return (response, code);
    }
    let (code, reason) = match said.code() {
        Code::Internal => (Code::InvalidArgument, ReasonCode::InvalidArgument),
        Code::OutOfRange | Code::ResourceExhausted => (Code::ResourceExhausted, ReasonCode::LimitExceeded),
        code @ Code::Unimplemented => (code, ReasonCode::InvalidArgument),
        code @ (Code::Cancelled | Code::DeadlineExceeded | Code::Unavailable) => (code, ReasonCode::Unavailable),
        code => (code, ReasonCode::Internal),
    };
    (status::refusal(code, reason).into_http(), code)
}
