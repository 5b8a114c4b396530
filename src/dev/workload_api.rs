//! A SPIFFE Workload API for development and tests: one Unix socket for one workload, in a folder that nobody else may enter.
//! What it offers can be replaced at any time, and is then pushed to everyone who streams. It attests nobody.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio_stream::wrappers::{UnixListenerStream, WatchStream};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

use super::ca::{CaError, DevCa, IssuedSvid};
use crate::clock::Clock;
use crate::model::spiffe_id::{SpiffeId, TrustDomain};
use crate::pb::workload as pb;
use crate::pb::workload::spiffe_workload_api_server::{SpiffeWorkloadApi, SpiffeWorkloadApiServer};

/// Life of the JWT-SVIDs: what SPIRE gives by default.
pub const JWT_SVID_LIFE: Duration = Duration::from_secs(300);

/// What a workload is offered.
#[derive(Debug, Clone, Default)]
pub struct Offer {
    /// Its SVIDs; the first is the default.
    pub svids: Vec<IssuedSvid>,
    /// X.509 authorities of its own trust domain and of the federated ones, DER.
    pub bundles: BTreeMap<TrustDomain, Vec<Vec<u8>>>,
    /// JWT authorities of its own trust domain and of the federated ones, as JWK sets.
    pub jwt_bundles: BTreeMap<TrustDomain, serde_json::Value>,
    /// What signs its JWT-SVIDs.
    pub issuer: Option<Arc<DevCa>>,
    /// JWT-SVIDs that are given in place of signed ones, whatever was asked for: a SPIFFE ID and a token each.
    pub jwt_svids: Option<Vec<(String, String)>>,
}

impl Offer {
    /// A fresh SVID and the trust bundles of its own trust domain and of `federated`.
    ///
    /// # Errors
    /// When the SVID cannot be made.
    pub fn fresh(
        ca: &Arc<DevCa>,
        spiffe_id: &SpiffeId,
        federated: &[Arc<DevCa>],
        clock: &Clock,
        life: Duration,
    ) -> Result<Self, CaError> {
        Ok(Self::of(ca.issue(spiffe_id, clock.now(), life)?, ca, federated))
    }

    /// An SVID that is at hand, whatever its shape.
    #[must_use]
    pub fn of(svid: IssuedSvid, ca: &Arc<DevCa>, federated: &[Arc<DevCa>]) -> Self {
        let mut offer = Self { svids: vec![svid], issuer: Some(Arc::clone(ca)), ..Self::default() };
        for ca in std::iter::once(ca).chain(federated) {
            offer.bundles.insert(ca.trust_domain().clone(), vec![ca.root().to_vec()]);
            offer.jwt_bundles.insert(ca.trust_domain().clone(), ca.jwt().bundle());
        }
        offer
    }
}

/// A running Workload API. It stops when it is dropped.
pub struct WorkloadApi {
    state: Arc<watch::Sender<State>>,
    socket: PathBuf,
}

#[derive(Debug, Clone)]
enum State {
    Offering(Arc<Offer>),
    Refusing,
    Stopped,
}

impl WorkloadApi {
    /// Serves on a Unix socket (0600), in a folder that is made (0700) when there is none. A socket that a dead process left
    /// there is replaced. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// When the socket cannot be made, for example because its path is longer than 107 bytes.
    pub fn serve(socket: &Path, offer: Offer, clock: Clock) -> io::Result<Self> {
        let listener = bind(socket)?;
        let state = Arc::new(watch::Sender::new(State::Offering(Arc::new(offer))));
        let mut stopped = state.subscribe();
        let service = SpiffeWorkloadApiServer::with_interceptor(Service { state: stopped.clone(), clock }, only_spiffe);
        let server = tonic::transport::Server::builder().add_service(service);
        let served = socket.to_owned();
        tokio::spawn(async move {
            let stop = async {
                let _dropped_is_stopped = stopped.wait_for(|state| matches!(state, State::Stopped)).await;
            };
            if let Err(error) = server.serve_with_incoming_shutdown(UnixListenerStream::new(listener), stop).await {
                tracing::warn!(socket = %served.display(), %error, "the Workload API ended");
            }
        });
        Ok(Self { state, socket: socket.to_owned() })
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What `SPIFFE_ENDPOINT_SOCKET` is set to.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Offers something else from now on, and pushes it to those who stream.
    pub fn offer(&self, offer: Offer) {
        self.state.send_replace(State::Offering(Arc::new(offer)));
    }

    /// Offers nothing any more: everyone who streams or asks is told that no identity is issued.
    pub fn refuse(&self) {
        self.state.send_replace(State::Refusing);
    }

    /// Issues a fresh SVID after half the life of the one before, for as long as it is polled.
    ///
    /// # Errors
    /// When an SVID cannot be made.
    pub async fn rotate(
        &self,
        ca: &Arc<DevCa>,
        spiffe_id: &SpiffeId,
        federated: &[Arc<DevCa>],
        clock: &Clock,
        life: Duration,
    ) -> Result<(), CaError> {
        loop {
            clock.reach(clock.now().after(life / 2)).await;
            self.offer(Offer::fresh(ca, spiffe_id, federated, clock, life)?);
        }
    }

    /// Stops serving and removes the socket; streams end.
    pub fn stop(&self) {
        self.state.send_replace(State::Stopped);
        if let Err(error) = std::fs::remove_file(&self.socket)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::debug!(socket = %self.socket.display(), %error, "the socket stays behind");
        }
    }
}

impl Drop for WorkloadApi {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for WorkloadApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkloadApi").field("socket", &self.socket).finish_non_exhaustive()
    }
}

fn bind(socket: &Path) -> io::Result<UnixListener> {
    if let Some(folder) = socket.parent().filter(|folder| !folder.exists()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    if socket.exists() {
        if std::os::unix::net::UnixStream::connect(socket).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody serves on this socket"));
        }
        std::fs::remove_file(socket)?;
    }
    let listener = UnixListener::bind(socket)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Every call carries `workload.spiffe.io: true` (Workload API §4.1): it keeps away requests that a browser or a proxy was
/// talked into.
fn only_spiffe(request: Request<()>) -> Result<Request<()>, Status> {
    match request.metadata().get("workload.spiffe.io") {
        Some(value) if value == "true" => Ok(request),
        _ => Err(Status::invalid_argument("the metadata `workload.spiffe.io: true` is missing")),
    }
}

struct Service {
    state: watch::Receiver<State>,
    clock: Clock,
}

type Pushed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Service {
    /// The present offer, and every later one.
    fn push<T: Send + 'static>(&self, say: impl Fn(&Offer) -> T + Send + 'static) -> Pushed<T> {
        let states = WatchStream::new(self.state.clone()).take_while(|state| !matches!(state, State::Stopped));
        Box::pin(states.map(move |state| match state {
            State::Offering(offer) => Ok(say(&offer)),
            State::Refusing | State::Stopped => Err(no_identity()),
        }))
    }

    fn offered(&self) -> Result<Arc<Offer>, Status> {
        match &*self.state.borrow() {
            State::Offering(offer) => Ok(Arc::clone(offer)),
            State::Refusing | State::Stopped => Err(no_identity()),
        }
    }
}

#[tonic::async_trait]
impl SpiffeWorkloadApi for Service {
    type FetchX509SVIDStream = Pushed<pb::X509svidResponse>;
    type FetchX509BundlesStream = Pushed<pb::X509BundlesResponse>;
    type FetchJWTBundlesStream = Pushed<pb::JwtBundlesResponse>;

    async fn fetch_x509svid(
        &self,
        _request: Request<pb::X509svidRequest>,
    ) -> Result<Response<Self::FetchX509SVIDStream>, Status> {
        Ok(Response::new(self.push(x509_svids)))
    }

    async fn fetch_x509_bundles(
        &self,
        _request: Request<pb::X509BundlesRequest>,
    ) -> Result<Response<Self::FetchX509BundlesStream>, Status> {
        Ok(Response::new(self.push(|offer| pb::X509BundlesResponse {
            crl: Vec::new(),
            bundles: offer.bundles.iter().map(|(name, ders)| (id_of(name), ders.concat())).collect(),
        })))
    }

    async fn fetch_jwtsvid(
        &self,
        request: Request<pb::JwtsvidRequest>,
    ) -> Result<Response<pb::JwtsvidResponse>, Status> {
        let pb::JwtsvidRequest { audience, spiffe_id } = request.into_inner();
        if audience.is_empty() || audience.iter().any(String::is_empty) {
            return Err(Status::invalid_argument("an audience is needed"));
        }
        let offer = self.offered()?;
        if let Some(given) = &offer.jwt_svids {
            let svids =
                given.iter().cloned().map(|(spiffe_id, svid)| pb::Jwtsvid { spiffe_id, svid, hint: String::new() });
            return Ok(Response::new(pb::JwtsvidResponse { svids: svids.collect() }));
        }
        let issuer = offer.issuer.as_ref().ok_or_else(no_identity)?;
        let mut svids = Vec::new();
        for svid in offer.svids.iter().filter(|svid| spiffe_id.is_empty() || svid.spiffe_id == spiffe_id) {
            let token = issuer
                .jwt()
                .issue(&svid.spiffe_id, &audience, self.clock.now(), JWT_SVID_LIFE)
                .map_err(|error| Status::internal(error.to_string()))?;
            svids.push(pb::Jwtsvid { spiffe_id: svid.spiffe_id.clone(), svid: token, hint: String::new() });
        }
        if svids.is_empty() {
            return Err(no_identity());
        }
        Ok(Response::new(pb::JwtsvidResponse { svids }))
    }

    async fn fetch_jwt_bundles(
        &self,
        _request: Request<pb::JwtBundlesRequest>,
    ) -> Result<Response<Self::FetchJWTBundlesStream>, Status> {
        Ok(Response::new(self.push(|offer| pb::JwtBundlesResponse {
            bundles:
                offer.jwt_bundles.iter().map(|(name, keys)| (id_of(name), keys.to_string().into_bytes())).collect(),
        })))
    }

    async fn validate_jwtsvid(
        &self,
        _request: Request<pb::ValidateJwtsvidRequest>,
    ) -> Result<Response<pb::ValidateJwtsvidResponse>, Status> {
        Err(Status::unimplemented("workloads validate for themselves, with the JWT bundles"))
    }
}

fn x509_svids(offer: &Offer) -> pb::X509svidResponse {
    let own = |svid: &IssuedSvid| svid.spiffe_id.parse::<SpiffeId>().ok().map(|id| id.trust_domain());
    let owned: Vec<_> = offer.svids.iter().filter_map(own).collect();
    let bundle_of = |svid: &IssuedSvid| own(svid).and_then(|name| offer.bundles.get(&name)).map(|ders| ders.concat());
    let entry = |svid: &IssuedSvid| pb::X509svid {
        spiffe_id: svid.spiffe_id.clone(),
        x509_svid: svid.chain.iter().flat_map(|der| der.iter().copied()).collect(),
        x509_svid_key: svid.key.to_vec(),
        bundle: bundle_of(svid).unwrap_or_default(),
        hint: String::new(),
    };
    pb::X509svidResponse {
        svids: offer.svids.iter().map(entry).collect(),
        crl: Vec::new(),
        federated_bundles: offer
            .bundles
            .iter()
            .filter(|(name, _)| !owned.contains(name))
            .map(|(name, ders)| (id_of(name), ders.concat()))
            .collect(),
    }
}

fn id_of(name: &TrustDomain) -> String {
    format!("spiffe://{name}")
}

fn no_identity() -> Status {
    Status::permission_denied("no identity issued")
}
