//! A small resource server, run as a process of its own: it knows the issuer's address, the trust bundle of its Workload API
//! and the `Watch` stream, and of tokens only what `verifier` knows. Agents call its tools over mutual TLS.

pub(in crate::dev) mod answer;
mod fetch;
pub mod tools;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::StreamExt as _;
use tonic::transport::Channel;

use crate::clock::{Clock, Stopwatch};
use crate::dev::resource_server::answer::Desk;
use crate::dev::resource_server::fetch::JwksOverTls;
use crate::identity::accept::PeerAcceptor;
use crate::identity::client::{Dialer, ServerIdentity};
use crate::identity::connection::PeerConnection;
use crate::identity::error::IdentityError;
use crate::identity::listen::{ListenLimits, listen};
use crate::identity::trust::{AcceptedDomains, Trust, TrustOptions};
use crate::identity::workload::FIRST_SVID_WITHIN;
use crate::model::id::Audience;
use crate::model::spiffe_id::SpiffeId;
use crate::token::claims::{Issuer, ParseIssuerError};
use crate::verifier::audit::Checked;
use crate::verifier::check::Verifier;
use crate::verifier::follow::{Subscription, follow};
use crate::verifier::settings::Settings;

/// Oldest view of revocations that is good enough: the dev broker says every second that nothing happened.
const VIEW_AGE_MAX: Duration = Duration::from_secs(5);
/// A `Watch` stream that is silent for so long is given up.
const SILENCE_MAX: Duration = Duration::from_secs(4);
/// How long the first keys and revocations may take.
const READY_WITHIN: Duration = Duration::from_secs(15);
/// How often it is looked whether they have come.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Lines of its own log that may wait to be written.
const LOG_LINES_MAX: usize = 1024;

/// What the resource server is told.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its Workload API, e.g. `unix:///path`.
    pub endpoint: String,
    /// The issuer of tokens, whose keys lie at `<issuer>/jwks.json`.
    pub issuer: String,
    /// Where the broker listens for workloads.
    pub broker: String,
    /// Who the broker is.
    pub broker_id: SpiffeId,
    /// The audiences that are its own.
    pub audiences: Vec<Audience>,
    /// Where it listens.
    pub listen: SocketAddr,
}

/// Why the resource server ended.
#[derive(Debug, thiserror::Error)]
pub enum ResourceServerError {
    /// There is no identity, or the broker cannot be reached with it.
    #[error("no identity to serve with")]
    Identity(#[from] IdentityError),
    /// The issuer is malformed.
    #[error(transparent)]
    Issuer(#[from] ParseIssuerError),
    /// It cannot listen, or its output is gone.
    #[error("cannot serve")]
    Io(#[from] io::Error),
    /// The issuer's keys or revocations did not come.
    #[error("the issuer's keys and revocations did not come within {} s", READY_WITHIN.as_secs())]
    NotReady,
}

/// Serves until standard input ends. The first line on standard output says where it listens; each further one tells a check
/// of a token.
///
/// # Errors
/// When there is no identity, or the issuer cannot be followed.
pub async fn run(options: Options) -> Result<(), ResourceServerError> {
    let trust = Trust::connect(TrustOptions {
        endpoint: options.endpoint.clone(),
        accepted: AcceptedDomains::Own,
        first_svid_within: FIRST_SVID_WITHIN,
        clock: Clock::system(),
    })
    .await?;
    let broker = ServerIdentity::Exact(options.broker_id.clone());
    let channel = Dialer::new(&options.broker, trust.workload(), broker.clone())?.channel().await?;
    let keys = Dialer::for_protocol(&options.issuer, trust.workload(), broker, b"http/1.1")?;
    let (log, mut lines) = mpsc::channel(LOG_LINES_MAX);
    let mut following = JoinSet::new();
    let mut verifiers = BTreeMap::new();
    for audience in &options.audiences {
        let verifier = verifier(&options.issuer, audience, log.clone())?;
        follow_issuer(&mut following, &verifier, audience, channel.clone(), keys.clone());
        ready(&verifier).await?;
        verifiers.insert(audience.clone(), verifier);
    }
    let listener = TcpListener::bind(options.listen).await?;
    println_to_stdout(&format!("{{\"listening\":\"{}\"}}", listener.local_addr()?)).await?;
    let desk = Arc::new(Desk::new(verifiers, channel));
    let acceptor = PeerAcceptor::new(&trust, Arc::new(|_refused| {}))?;
    let mut connections = listen(listener, acceptor, ListenLimits::default());
    let mut stdin = BufReader::new(tokio::io::stdin());
    let mut ignored = String::new();
    loop {
        tokio::select! {
            Some(line) = lines.recv() => println_to_stdout(&line).await?,
            next = connections.next() => match next {
                Some(Ok(connection)) => drop(following.spawn(serve(connection, Arc::clone(&desk)))),
                Some(Err(_)) => {}
                None => return Ok(()),
            },
            // Whoever started it holds the other end; when that is gone, so is the reason to be.
            read = stdin.read_line(&mut ignored) => if read? == 0 { return Ok(()) },
            Some(_) = following.join_next() => {}
        }
    }
}

async fn println_to_stdout(line: &str) -> io::Result<()> {
    let mut out = tokio::io::stdout();
    out.write_all(format!("{line}\n").as_bytes()).await?;
    out.flush().await
}

fn verifier(
    issuer: &str,
    audience: &Audience,
    log: mpsc::Sender<String>,
) -> Result<Arc<Verifier>, ResourceServerError> {
    let mut settings = Settings::new(issuer.parse::<Issuer>()?, audience.clone());
    settings.view_age_max = VIEW_AGE_MAX;
    let told = Box::new(move |checked: &Checked<'_>| {
        // A log that nobody reads must not hold up the check.
        drop(log.try_send(line(checked)));
    });
    Ok(Arc::new(Verifier::new(settings, Clock::system(), told)))
}

fn line(checked: &Checked<'_>) -> String {
    let named = checked.named.as_ref();
    serde_json::json!({
        "code": checked.code,
        "tool": checked.tool.map(ToString::to_string),
        "jti": named.map(|n| n.jti.to_string()),
        "task": named.map(|n| n.task.to_string()),
        "grant": named.map(|n| n.grant.to_string()),
        "agent": named.map(|n| n.agent.to_string()),
        "subject": named.map(|n| n.subject.to_owned()),
    })
    .to_string()
}

fn follow_issuer(
    tasks: &mut JoinSet<()>,
    verifier: &Arc<Verifier>,
    audience: &Audience,
    channel: Channel,
    keys: Dialer,
) {
    let issuer_keys = Arc::clone(verifier.keys());
    tasks.spawn(async move { issuer_keys.keep_fresh(&JwksOverTls(keys)).await });
    let view = Arc::clone(verifier.revocations());
    let subscription = Subscription { audiences: vec![audience.clone()], silence_max: SILENCE_MAX };
    tasks.spawn(async move { follow(channel, &subscription, &view).await });
}

/// Waits until keys and revocations are known for the first time.
async fn ready(verifier: &Verifier) -> Result<(), ResourceServerError> {
    let waited = Stopwatch::start();
    while verifier.keys().age().is_none() || verifier.revocations().age().is_none() {
        if waited.elapsed() > READY_WITHIN {
            return Err(ResourceServerError::NotReady);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

async fn serve(connection: PeerConnection, desk: Arc<Desk>) {
    let peer = Arc::clone(connection.peer());
    let service = service_fn(move |request| {
        let (desk, peer) = (Arc::clone(&desk), Arc::clone(&peer));
        async move { Ok::<_, std::convert::Infallible>(desk.answer(&peer, request).await) }
    });
    let served = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(connection), service).await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}
