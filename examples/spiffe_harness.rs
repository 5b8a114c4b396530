//! Carnet's own verifiers behind a simple contract, so that black-box suites for SPIFFE verifiers can be pointed at them. It is
//! started once for each case, finds the Workload API by `SPIFFE_ENDPOINT_SOCKET` alone, listens at two ports of the loopback,
//! tells them on stdout, and ends at SIGTERM. Whoever is authenticated is authorized: what a caller may do is not tried here.

use std::error::Error;
use std::io::ErrorKind;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use carnet::clock::Clock;
use carnet::identity::accept::{PeerAcceptor, RefusalHook};
use carnet::identity::client::{Dialer, ServerIdentity, refusal_of_server};
use carnet::identity::jwt_source::{Held, JwtSource, OwnJwtSvid, fetch_jwt_svids};
use carnet::identity::jwt_svid::{JwtAuthorities, JwtSvidRules};
use carnet::identity::trust::{AcceptedDomains, Trust};
use carnet::identity::workload::Workload;
use carnet::jose::jws::Unverified;
use carnet::jose::profile::JWT_SVID;
use carnet::model::spiffe_id::SpiffeId;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Where the Workload API is.
const ENDPOINT_SOCKET: &str = "SPIFFE_ENDPOINT_SOCKET";
/// How long the first SVID may take: a suite may start its Workload API after us.
const FIRST_SVID_WITHIN: Duration = Duration::from_secs(3600);
/// How long a handshake may take, on either side.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// How long a server that shook hands may take to say that it refuses us: in TLS 1.3 it says so afterwards.
const REFUSAL_WITHIN: Duration = Duration::from_millis(500);
/// How long to wait when no connection can be accepted, for want of file descriptors say.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(50);
/// How long the first JWT bundles may take, once somebody asks for what they verify.
const FIRST_BUNDLES_WITHIN: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&*error);
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let endpoint = std::env::var(ENDPOINT_SOCKET)?;
    let serving = async {
        // What is withdrawn is to be refused at once.
        let workload = Workload::from_endpoint(&endpoint, FIRST_SVID_WITHIN).await?.without_patience();
        let trust = Trust::over(workload.clone(), AcceptedDomains::DangerWhoeverIsFederated, Clock::system())?;
        let nobody_counts: RefusalHook = Arc::new(|_| {});
        let acceptor = PeerAcceptor::for_protocol(&trust, nobody_counts, None)?;
        let (x509, control) = (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
        tell("SPIFFE_HARNESS_VERSION=1".to_owned());
        tell(format!("SPIFFE_X509_PORT={}", x509.local_addr()?.port()));
        tell(format!("SPIFFE_CONTROL_PORT={}", control.local_addr()?.port()));
        tell("READY".to_owned());
        let router = router(Control { jwt: JwtSource::follow(&workload), workload });
        tokio::select! {
            () = greet(x509, acceptor) => {}
            ended = axum::serve(control, router) => ended?,
        }
        Ok::<(), Box<dyn Error>>(())
    };
    tokio::select! {
        ended = serving => ended,
        _ = terminate.recv() => Ok(()),
    }
}

#[expect(clippy::print_stdout, reason = "it is how the suite learns of us")]
fn tell(line: String) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "a suite reads four lines from stdout, and nothing else")]
fn complain(error: &dyn Error) {
    eprintln!("{}", in_words(error));
}

/// Tells every authenticated peer who it is. Whoever is refused gets nothing.
async fn greet(listener: TcpListener, acceptor: PeerAcceptor) {
    loop {
        let (tcp, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                complain(&error);
                tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
                continue;
            }
        };
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let shaken = tokio::time::timeout(HANDSHAKE_WITHIN, acceptor.accept(tcp, Some(address))).await;
            let Ok(Some(mut connection)) = shaken else { return };
            let line = format!("{}\n", connection.peer().spiffe_id());
            if connection.write_all(line.as_bytes()).await.is_ok() {
                let _it_may_have_gone = connection.shutdown().await;
            }
        });
    }
}

#[derive(Clone)]
struct Control {
    workload: Workload,
    jwt: JwtSource,
}

fn router(control: Control) -> Router {
    Router::new()
        .route("/v1/info", get(info))
        .route("/v1/jwt/validate", post(validate))
        .route("/v1/jwt/fetch", post(fetch))
        .route("/v1/x509/dial", post(dial))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .with_state(control)
}

/// What an input came to.
enum Verdict {
    /// 200
    Good(Value),
    /// 422: it was judged and refused.
    Rejected(String),
    /// 500: it could not be judged.
    Failed(String),
    /// 501
    Unsupported(String),
}

impl IntoResponse for Verdict {
    fn into_response(self) -> Response {
        let (code, body) = match self {
            Self::Good(mut body) => {
                if let Some(members) = body.as_object_mut() {
                    members.insert("status".to_owned(), "ok".into());
                }
                (StatusCode::OK, body)
            }
            Self::Rejected(why) => (StatusCode::UNPROCESSABLE_ENTITY, json!({ "status": "rejected", "message": why })),
            Self::Failed(why) => (StatusCode::INTERNAL_SERVER_ERROR, json!({ "status": "error", "message": why })),
            Self::Unsupported(why) => (StatusCode::NOT_IMPLEMENTED, json!({ "status": "unsupported", "message": why })),
        };
        answer(code, &body)
    }
}

fn answer(code: StatusCode, body: &Value) -> Response {
    (code, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

async fn info() -> Response {
    answer(StatusCode::OK, &json!({ "sdk": "carnet", "sdk_version": env!("CARGO_PKG_VERSION"), "language": "rust" }))
}

async fn unknown(method: Method, uri: Uri) -> Verdict {
    Verdict::Unsupported(format!("there is no {method} {}", uri.path()))
}

/// A body, or why it could not be had: it is too large, say.
type Body = Result<Bytes, BytesRejection>;

fn read<T: DeserializeOwned>(body: Body) -> Result<T, Verdict> {
    let body = body.map_err(|error| Verdict::Failed(error.body_text()))?;
    serde_json::from_slice(&body).map_err(|error| Verdict::Failed(format!("the request is malformed: {error}")))
}

#[derive(Deserialize)]
struct Validate {
    token: String,
    audience: String,
}

async fn validate(State(control): State<Control>, body: Body) -> Result<Verdict, Verdict> {
    let asked: Validate = read(body)?;
    let authorities = match control.jwt.heard(FIRST_BUNDLES_WITHIN).await {
        Held::Given(authorities) => authorities,
        Held::Withdrawn => JwtAuthorities::default(),
        Held::Nothing => return Err(Verdict::Failed("the Workload API gave no JWT bundles yet".to_owned())),
    };
    let rules = JwtSvidRules { audience: asked.audience, life_max: None };
    let svid = authorities.verify(&asked.token, &rules, Clock::system().now()).map_err(|error| refused(&error))?;
    let claims: Value = serde_json::from_slice(svid.payload()).map_err(|error| Verdict::Failed(error.to_string()))?;
    Ok(Verdict::Good(json!({ "spiffe_id": svid.spiffe_id.as_str(), "claims": claims })))
}

#[derive(Deserialize)]
struct Fetch {
    audience: Vec<String>,
    #[serde(default)]
    spiffe_id: Option<String>,
}

async fn fetch(State(control): State<Control>, body: Body) -> Result<Verdict, Verdict> {
    let Fetch { audience, spiffe_id } = read(body)?;
    if audience.is_empty() || audience.iter().any(String::is_empty) {
        return Err(Verdict::Rejected("an audience is needed".to_owned()));
    }
    let spiffe_id = spiffe_id.unwrap_or_default();
    if !spiffe_id.is_empty() {
        spiffe_id.parse::<SpiffeId>().map_err(|error| refused(&error))?;
    }
    let fetched = fetch_jwt_svids(&control.workload, audience.clone(), spiffe_id.clone()).await;
    let svids = fetched.map_err(|status| match status.code() {
        tonic::Code::PermissionDenied | tonic::Code::InvalidArgument => Verdict::Rejected(status.message().to_owned()),
        tonic::Code::Unimplemented => Verdict::Unsupported(status.message().to_owned()),
        _ => Verdict::Failed(status.message().to_owned()),
    })?;
    if svids.is_empty() {
        return Err(Verdict::Failed("the Workload API gave no JWT-SVID".to_owned()));
    }
    svids.iter().try_for_each(|svid| check_own(svid, &audience, &spiffe_id))?;
    let shown = svids.into_iter().map(|s| json!({ "spiffe_id": s.spiffe_id, "token": s.token, "hint": s.hint }));
    Ok(Verdict::Good(json!({ "svids": shown.collect::<Vec<_>>() })))
}

/// What the Workload API gives us must have the form of a JWT-SVID, name whom it is said to name, and be what was asked for.
fn check_own(svid: &OwnJwtSvid, audience: &[String], spiffe_id: &str) -> Result<(), Verdict> {
    let token = Unverified::parse(&svid.token, &JWT_SVID).map_err(|error| refused(&error))?;
    let claims = token.danger_unverified_claims().map_err(|error| refused(&error))?;
    let named = claims.text("sub").map_err(|error| refused(&error))?;
    if named != Some(&svid.spiffe_id) || !(spiffe_id.is_empty() || svid.spiffe_id == spiffe_id) {
        return Err(Verdict::Rejected("the token of the Workload API names somebody else".to_owned()));
    }
    let given = claims.audiences().map_err(|error| refused(&error))?;
    if audience.iter().any(|asked| !given.contains(&asked.as_str())) {
        return Err(Verdict::Rejected("the token of the Workload API is for another audience".to_owned()));
    }
    Ok(())
}

#[derive(Deserialize)]
struct Dial {
    address: String,
}

async fn dial(State(control): State<Control>, body: Body) -> Result<Verdict, Verdict> {
    let Dial { address } = read(body)?;
    let failed = |error: &dyn Error| Verdict::Failed(in_words(error));
    let dialer = Dialer::for_protocols(&address, &control.workload, ServerIdentity::DangerAnybody, &[]);
    let dialer = dialer.map_err(|error| failed(&error))?;
    let dialled = tokio::time::timeout(HANDSHAKE_WITHIN, dialer.dial()).await.map_err(|error| failed(&error))?;
    let mut connection =
        dialled.map_err(|error| refusal_of_server(&error).map_or_else(|| failed(&error), Verdict::Rejected))?;
    if let Ok(Err(error)) = tokio::time::timeout(REFUSAL_WITHIN, connection.read(&mut [0])).await
        && is_refusal(&error)
    {
        return Err(Verdict::Failed(format!("the server refuses us: {}", in_words(&error))));
    }
    Ok(Verdict::Good(json!({ "spiffe_id": connection.spiffe_id().as_str() })))
}

/// An alert, or what is left of one. A server that merely closes without a word has not refused.
fn is_refusal(error: &std::io::Error) -> bool {
    let alert = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(alert, Some(rustls::Error::AlertReceived(_))) || error.kind() == ErrorKind::ConnectionReset
}

fn refused(error: &dyn Error) -> Verdict {
    Verdict::Rejected(in_words(error))
}

fn in_words(error: &dyn Error) -> String {
    let mut out = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        out.push_str(": ");
        out.push_str(&error.to_string());
        cause = error.source();
    }
    out
}
