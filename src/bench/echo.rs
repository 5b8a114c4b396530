//! The yardstick: a bare tonic echo over mutual TLS, with messages of the same size, over as many connections, on the same
//! kind of runtime. Nothing of Carnet answers: rustls and its own certificate checks, and no layer between. It is asked as
//! Carnet is, through connections that gather what they write.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper_util::rt::TokioIo;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig, version};
use rustls_pki_types::{PrivatePkcs8KeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Context, Poll, Service, StdError, http};
use tonic::transport::server::Connected;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use super::drive::{Askers, Measured, Problem, Slot};
use super::error::BenchError;
use crate::clock::Clock;
use crate::dev::ca::{DevCa, IssuedSvid, Shape};
use crate::identity::gathered::Gathered;
use crate::model::spiffe_id::{SpiffeId, TrustDomain};

/// What the echo's certificate names it, beside its SPIFFE ID.
const HOST: &str = "localhost";
/// The one method.
const METHOD: &str = "/carnet.bench.Echo/Call";
/// Connections that wait to be served. Whoever opens more waits a moment.
const ACCEPTED_MAX: usize = 64;
/// Longer than any run.
const LIFE: Duration = Duration::from_secs(24 * 3600);

/// How the echo is driven.
#[derive(Debug, Clone, Copy)]
pub(in crate::bench) struct EchoPlan {
    pub(in crate::bench) request_bytes: usize,
    pub(in crate::bench) answer_bytes: usize,
    pub(in crate::bench) connections: usize,
    pub(in crate::bench) in_flight: usize,
}

/// A running echo with its slots.
pub(in crate::bench) struct Echo {
    slots: Vec<(usize, EchoSlot)>,
}

impl Echo {
    /// Starts it on the runtime that answers, and connects from the threads that ask.
    pub(in crate::bench) async fn start(
        plan: EchoPlan,
        answering: &Handle,
        askers: &Askers,
    ) -> Result<Self, BenchError> {
        let wrong = BenchError::start::<StdError>;
        let ca = Credentials::new().map_err(wrong("the authority of the echo"))?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(BenchError::start("the echo"))?;
        let address = listener.local_addr().map_err(BenchError::start("the echo"))?;
        let acceptor = TlsAcceptor::from(Arc::new(ca.server().map_err(wrong("the echo"))?));
        let service = EchoService { answer: Bytes::from(vec![0x5a; plan.answer_bytes]) };
        answering.spawn(serve(listener, acceptor, service));
        let mut channels = Vec::new();
        for n in 0..plan.connections {
            let connector = TlsConnector::from(Arc::new(ca.client(n).map_err(wrong("a client of the echo"))?));
            let connected = askers.run(n, connect(address, connector)).await?;
            channels.push(connected.map_err(BenchError::start("a client of the echo"))?);
        }
        let request = Bytes::from(vec![0xa5; plan.request_bytes]);
        let numbered = channels.into_iter().enumerate().cycle().take(plan.in_flight);
        let slots = numbered.map(|(n, channel)| {
            (
                n,
                EchoSlot {
                    client: tonic::client::Grpc::new(channel),
                    request: request.clone(),
                    wanted: plan.answer_bytes,
                },
            )
        });
        Ok(Self { slots: slots.collect() })
    }

    /// Keeps it busy for so long.
    pub(in crate::bench) async fn measure(&mut self, askers: &Askers, time: Duration) -> Result<Measured, BenchError> {
        let (slots, measured) = askers.steadily(std::mem::take(&mut self.slots), time, None).await?;
        self.slots = slots;
        if measured.tally.answers == 0 {
            let problem = measured.tally.problems.first().cloned().unwrap_or_default();
            return Err(BenchError::Refused { what: "the echo", problem });
        }
        Ok(measured)
    }
}

struct EchoSlot {
    client: tonic::client::Grpc<Channel>,
    request: Bytes,
    wanted: usize,
}

impl Slot for EchoSlot {
    async fn prepare(&mut self) -> Result<(), Problem> {
        Ok(())
    }

    async fn fire(&mut self) -> Result<(), Problem> {
        self.client.ready().await.map_err(|error| Problem(error.to_string()))?;
        let codec = ProstCodec::<Bytes, Bytes>::default();
        let path = http::uri::PathAndQuery::from_static(METHOD);
        let answer = self.client.unary(Request::new(self.request.clone()), path, codec).await?.into_inner();
        if answer.len() == self.wanted { Ok(()) } else { Err(Problem("the echo answered something else".to_owned())) }
    }
}

/// The service, by hand: one method is not worth a protocol file.
#[derive(Clone)]
struct EchoService {
    answer: Bytes,
}

impl tonic::server::NamedService for EchoService {
    const NAME: &'static str = "carnet.bench.Echo";
}

impl Service<http::Request<Body>> for EchoService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answer = Answer(self.answer.clone());
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<Bytes, Bytes>::default());
            Ok(grpc.unary(answer, request).await)
        })
    }
}

struct Answer(Bytes);

impl tonic::server::UnaryService<Bytes> for Answer {
    type Response = Bytes;
    type Future = std::future::Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, _request: Request<Bytes>) -> Self::Future {
        std::future::ready(Ok(Response::new(self.0.clone())))
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, service: EchoService) {
    let (pass, accepted) = mpsc::channel(ACCEPTED_MAX);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (acceptor, pass) = (acceptor.clone(), pass.clone());
            tokio::spawn(async move {
                let _slower = tcp.set_nodelay(true);
                if let Ok(tls) = acceptor.accept(tcp).await {
                    let _nobody_listens = pass.send(tls).await;
                }
            });
        }
    });
    let incoming = ReceiverStream::new(accepted).map(|tls| Ok::<_, io::Error>(Connection(tls)));
    let router = tonic::transport::Server::builder().add_service(service);
    if let Err(error) = router.serve_with_incoming(incoming).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "the echo ended");
    }
}

/// A connection that tells its requests nothing.
struct Connection(TlsStream<TcpStream>);

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) -> Self::ConnectInfo {}
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

async fn connect(address: SocketAddr, connector: TlsConnector) -> Result<Channel, tonic::transport::Error> {
    let dial = tower::service_fn(move |_: Uri| {
        let connector = connector.clone();
        async move {
            let tcp = TcpStream::connect(address).await?;
            tcp.set_nodelay(true)?;
            let tls = connector.connect(ServerName::try_from(HOST).map_err(io::Error::other)?, tcp).await?;
            // As Carnet is asked, so that only what answers differs.
            Ok::<_, io::Error>(TokioIo::new(Gathered::new(tls)))
        }
    });
    Endpoint::from_static("http://localhost").connect_with_connector(dial).await
}

/// The echo's own authority.
struct Credentials {
    ca: DevCa,
    domain: TrustDomain,
    roots: Arc<RootCertStore>,
    clock: Clock,
}

impl Credentials {
    fn new() -> Result<Self, StdError> {
        let clock = Clock::system();
        let domain: TrustDomain = "echo.test".parse()?;
        let ca = DevCa::new(domain.clone(), clock.now(), LIFE)?;
        let mut roots = RootCertStore::empty();
        roots.add(ca.root().clone())?;
        Ok(Self { ca, domain, roots: Arc::new(roots), clock })
    }

    fn issue(&self, name: &str) -> Result<IssuedSvid, StdError> {
        let id: SpiffeId = format!("spiffe://{}/{name}", self.domain).parse()?;
        let mut shape = Shape::svid(&id, self.clock.now(), LIFE);
        shape.dns_names.push(HOST.to_owned());
        Ok(self.ca.issue_shaped(&shape)?)
    }

    fn server(&self) -> Result<ServerConfig, StdError> {
        let own = self.issue("server")?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&self.roots), Arc::clone(&provider)).build()?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13])?
            .with_client_cert_verifier(clients)
            .with_single_cert(own.chain, PrivatePkcs8KeyDer::from(own.key.to_vec()).into())?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }

    fn client(&self, n: usize) -> Result<ClientConfig, StdError> {
        let own = self.issue(&format!("client-{n}"))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13])?
            .with_root_certificates(Arc::clone(&self.roots))
            .with_client_auth_cert(own.chain, PrivatePkcs8KeyDer::from(own.key.to_vec()).into())?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}
