//! Carnet's own verifiers behind a simple contract, so that black-box suites for SPIFFE verifiers can be pointed at them. It is
//! started once for each case, finds the Workload API by `SPIFFE_ENDPOINT_SOCKET` alone, listens at two ports of the loopback,
//! tells them on stdout, and ends at SIGTERM. Whoever is authenticated is authorized: what a caller may do is not tried here.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
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
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Where the Workload API is.
const ENDPOINT_SOCKET: &str = "SPIFFE_ENDPOINT_SOCKET";
/// How long the first SVID may take: a suite may start its Workload API after us.
const FIRST_SVID_WITHIN: Duration = Duration::from_secs(3600);
/// How long a handshake may take, on either side.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// How long the first JWT bundles may take, once somebody asks for what they verify.
const FIRST_BUNDLES_WITHIN: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(format!("# {error}"));
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
            ended = greet(x509, acceptor) => ended?,
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

/// Tells every authenticated peer who it is. Whoever is refused gets nothing.
async fn greet(listener: TcpListener, acceptor: PeerAcceptor) -> std::io::Result<()> {
    loop {
        let (tcp, address) = listener.accept().await?;
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

fn read<'b, T: Deserialize<'b>>(body: &'b Bytes) -> Result<T, Verdict> {
    serde_json::from_slice(body).map_err(|error| Verdict::Failed(format!("the request is malformed: {error}")))
}

#[derive(Deserialize)]
struct Validate {
    token: String,
    audience: String,
}

async fn validate(State(control): State<Control>, body: Bytes) -> Result<Verdict, Verdict> {
    let asked: Validate = read(&body)?;
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

async fn fetch(State(control): State<Control>, body: Bytes) -> Result<Verdict, Verdict> {
    let Fetch { audience, spiffe_id } = read(&body)?;
    let spiffe_id = spiffe_id.unwrap_or_default();
    if !spiffe_id.is_empty() {
        spiffe_id.parse::<SpiffeId>().map_err(|error| refused(&error))?;
    }
    let fetched = fetch_jwt_svids(&control.workload, audience, spiffe_id).await;
    let svids = fetched.map_err(|status| match status.code() {
        tonic::Code::PermissionDenied | tonic::Code::InvalidArgument => Verdict::Rejected(status.message().to_owned()),
        tonic::Code::Unimplemented => Verdict::Unsupported(status.message().to_owned()),
        _ => Verdict::Failed(status.message().to_owned()),
    })?;
    svids.iter().try_for_each(check_own)?;
    let shown = svids.into_iter().map(|s| json!({ "spiffe_id": s.spiffe_id, "token": s.token, "hint": s.hint }));
    Ok(Verdict::Good(json!({ "svids": shown.collect::<Vec<_>>() })))
}

/// What the Workload API gives us must have the form of a JWT-SVID and name whom it is said to name.
fn check_own(svid: &OwnJwtSvid) -> Result<(), Verdict> {
    let token = Unverified::parse(&svid.token, &JWT_SVID).map_err(|error| refused(&error))?;
    match token.danger_unverified_text("sub") {
        Some(sub) if sub == svid.spiffe_id => Ok(()),
        _ => Err(Verdict::Rejected("the token of the Workload API names somebody else".to_owned())),
    }
}

#[derive(Deserialize)]
struct Dial {
    address: String,
}

async fn dial(State(control): State<Control>, body: Bytes) -> Result<Verdict, Verdict> {
    let Dial { address } = read(&body)?;
    let failed = |error: &dyn Error| Verdict::Failed(in_words(error));
    let dialer = Dialer::for_protocols(&address, &control.workload, ServerIdentity::DangerAnybody, &[]);
    let dialer = dialer.map_err(|error| failed(&error))?;
    let dialled = tokio::time::timeout(HANDSHAKE_WITHIN, dialer.dial()).await.map_err(|error| failed(&error))?;
    match dialled {
        Ok(connection) => Ok(Verdict::Good(json!({ "spiffe_id": connection.spiffe_id().as_str() }))),
        Err(error) => Err(refusal_of_server(&error).map_or_else(|| failed(&error), Verdict::Rejected)),
    }
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
