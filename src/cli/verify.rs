//! `carnet verify`: a token held against everything that a resource server holds it against, without being one. A use is not
//! counted, and nothing is called.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use crate::cli::door::{self, WorkloadDoor};
use crate::cli::error::{CliError, Exit};
use crate::cli::given::{self, rfc3339};
use crate::cli::output::value::Value;
use crate::cli::output::{Output, say};
use crate::clock::{Clock, Stopwatch};
use crate::identity::client::{Dialer, ServerIdentity};
use crate::identity::get::get;
use crate::identity::svid::read_leaf;
use crate::identity::workload::Workload;
use crate::model::id::{Audience, ToolName};
use crate::model::identity::Thumbprint;
use crate::model::json::Json;
use crate::model::limits::{ARGUMENTS_BYTES_MAX, TOKEN_BYTES_MAX};
use crate::model::spiffe_id::SpiffeId;
use crate::pb::v1;
use crate::token::check::{Call, check_call};
use crate::token::claims::{Claims, Issuer};
use crate::verifier::check::{Peer, Verifier};
use crate::verifier::follow::{Subscription, follow};
use crate::verifier::refusal::Refusal;
use crate::verifier::settings::Settings;

/// How long the revocations may take to come.
const VIEW_WITHIN: Duration = Duration::from_secs(15);
/// How often it is looked whether they have.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// What can be done with a tool when nothing else is said: an MCP tool call.
const ACTION_DEFAULT: &str = "tools/call";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The file that holds the token, as `credential request --save` writes it; `-` reads standard input.
    token: String,
    /// The issuer that the token must be of, byte for byte.
    #[arg(long, value_name = "URL")]
    issuer: Issuer,
    /// The audience that the token must be for, byte for byte.
    #[arg(long, value_name = "URL")]
    audience: Audience,
    #[command(flatten)]
    presenter: Presenter,
    #[command(flatten)]
    call: CallArguments,
    /// The issuer's keys, in a file [default: fetched from the issuer, which is known by its SVID].
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// Do not ask the broker: take the keys from `--jwks`, and leave revocations out.
    #[arg(long, requires = "jwks")]
    offline: bool,
    #[command(flatten)]
    door: WorkloadDoor,
}

/// Who shows the token.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Presenter {
    /// The certificate (PEM) of the connection that the token came over.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// The present certificate of the workload behind this SPIFFE Workload API.
    #[arg(long, value_name = "SOCKET")]
    certificate_of: Option<String>,
    /// Believe that whoever the token names shows it: for looking at tokens, never for serving.
    #[arg(long)]
    danger_any_presenter: bool,
}

/// The call that the token is to be good for; without a tool, that is not asked.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Call")]
struct CallArguments {
    /// The tool.
    #[arg(long)]
    tool: Option<ToolName>,
    /// What it is called with, as a JSON object: in place, `@file` or `@-`.
    #[arg(long, value_name = "JSON", default_value = "{}", requires = "tool")]
    arguments: String,
    /// What is done with it; may be repeated.
    #[arg(long = "action", value_name = "ACTION", default_value = ACTION_DEFAULT)]
    actions: Vec<String>,
    /// What it is done to; may be repeated.
    #[arg(long = "resource", value_name = "RESOURCE")]
    resources: Vec<String>,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let token = token(&args.token)?;
    let (certificate, spiffe_id) = args.presenter.shown(&token).await?;
    let mut settings = Settings::new(args.issuer.clone(), args.audience.clone());
    settings.view_age_max = VIEW_WITHIN * 2;
    let verifier = Verifier::new(settings, Clock::system(), Box::new(|_checked| {}));
    prepare(&args, &verifier).await?;
    let peer = Peer { certificate, spiffe_id: &spiffe_id };
    let checked = verifier.authenticate(&token, Some(peer)).map(|token| token.claims().clone());
    let checked = checked.and_then(|claims| args.call.covered(&claims, &args.audience).map(|()| claims));
    match checked {
        Ok(claims) => {
            out.record(&accepted(&claims, &args))?;
            if claims.task.observed_only {
                say("policy only observed when this was granted: it would have withheld something");
            }
            Ok(Exit::Done)
        }
        Err(refusal) => {
            out.record(&Value::Fields(vec![("verdict", "refused".into()), ("code", refusal.code().into())]))?;
            Err(CliError::unverified("a resource server would refuse the call", refusal))
        }
    }
}

fn token(given: &str) -> Result<Zeroizing<String>, CliError> {
    let token = match given {
        "-" => given::text("@-")?.into(),
        path => given::kept_secret(path.as_ref())?,
    };
    let trimmed = token.trim();
    if trimmed.len() > TOKEN_BYTES_MAX {
        return Err(CliError::local(format!("that is longer than any token: {TOKEN_BYTES_MAX} bytes at most")));
    }
    Ok(Zeroizing::new(trimmed.to_owned()))
}

/// Gives the verifier keys and revocations.
async fn prepare(args: &Args, verifier: &Verifier) -> Result<(), CliError> {
    let file = args.jwks.as_ref().map(|path| given::text(&format!("@{}", path.display()))).transpose()?;
    let keys = match (file, args.offline) {
        (Some(keys), true) => {
            not_looked_at(verifier);
            keys
        }
        (file, _) => {
            let workload = args.door.workload().await?;
            let broker = args.door.target.identity(&workload)?;
            follow_revocations(args, &workload, broker.clone(), verifier).await?;
            match file {
                Some(keys) => keys,
                None => fetched(args, &workload, broker).await?,
            }
        }
    };
    verifier.keys().install(&keys).map_err(|error| CliError::because("the issuer's keys cannot be used", error))
}

async fn fetched(args: &Args, workload: &Workload, broker: SpiffeId) -> Result<String, CliError> {
    // The path of the issuer is part of where its keys lie.
    let address = args.issuer.as_str().strip_prefix("https://").unwrap_or(args.issuer.as_str());
    let (host, path) =
        address.split_once('/').map_or((address, String::new()), |(host, path)| (host, format!("/{path}")));
    let dialer = Dialer::for_protocol(host, workload, ServerIdentity::Exact(broker), b"http/1.1")?;
    let keys = get(&dialer, &format!("{path}/jwks.json")).await;
    keys.map_err(|error| CliError::remote("the issuer's keys cannot be fetched", error))
}

/// Follows the broker's revocations until all that are in force are known.
async fn follow_revocations(
    args: &Args,
    workload: &Workload,
    broker: SpiffeId,
    verifier: &Verifier,
) -> Result<(), CliError> {
    let channel = Dialer::new(&args.door.target.broker, workload, ServerIdentity::Exact(broker))?.channel().await?;
    // A refusal is told at once instead of being waited out.
    let asked = v1::WatchRequest { after: 0, audiences: vec![args.audience.to_string()] };
    drop(v1::revocation_service_client::RevocationServiceClient::new(channel.clone()).watch(asked).await?);
    let view = verifier.revocations().clone();
    let subscription = Subscription { audiences: vec![args.audience.clone()], silence_max: VIEW_WITHIN };
    tokio::spawn(async move { follow(channel, &subscription, &view).await });
    let waited = Stopwatch::start();
    while verifier.revocations().age().is_none() {
        if waited.elapsed() > VIEW_WITHIN {
            return Err(CliError::remote("the broker's revocations are not known", "they did not come in time"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Tells the view that nothing is revoked, which is what leaving revocations out means.
fn not_looked_at(verifier: &Verifier) {
    let time = Some(given::wire_time(Clock::system().now()));
    let body = Some(v1::watch_response::Body::Heartbeat(v1::Heartbeat {}));
    verifier.revocations().begin();
    // A heartbeat with a time is always understood; were it not, everything would be refused.
    let _understood = verifier.revocations().apply(&v1::WatchResponse { position: 1, time, body });
    say("revocations are not looked at");
}

impl Presenter {
    async fn shown(&self, token: &str) -> Result<(Thumbprint, SpiffeId), CliError> {
        if let Some(path) = &self.certificate {
            let unusable = || format!("`{}` holds no SVID", path.display());
            let der = CertificateDer::from_pem_file(path).map_err(|error| CliError::because(unusable(), error))?;
            let leaf = read_leaf(&der).map_err(|error| CliError::because(unusable(), error))?;
            return Ok((Thumbprint::of(&der), leaf.spiffe_id));
        }
        if let Some(socket) = &self.certificate_of {
            let workload = door::workload(socket).await?;
            let shown = workload.certificate_thumbprint().zip(workload.spiffe_id());
            return shown.ok_or_else(|| CliError::local(format!("`{socket}` gives no SVID any more")));
        }
        // The signature is checked over the very same bytes, so what they say of themselves is all that is believed here.
        let claims = unverified(token).ok_or_else(|| CliError::local("that is no token, or it names nobody"))?;
        let bound = claims.cnf.map(|bound| bound.certificate);
        let bound = bound.ok_or_else(|| CliError::local("the token is bound to no certificate"))?;
        Ok((bound, claims.client_id))
    }
}

fn unverified(token: &str) -> Option<Claims> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    Claims::parse(&payload).ok()
}

impl CallArguments {
    fn covered(&self, claims: &Claims, here: &Audience) -> Result<(), Refusal> {
        let Some(tool) = &self.tool else { return Ok(()) };
        let details = claims.authorization_details.entries().map_err(Refusal::Details)?;
        // Arguments that are no object carry no sink that was granted.
        let text = given::text(&self.arguments).unwrap_or_default();
        let arguments = Json::parse_object(&text, ARGUMENTS_BYTES_MAX).unwrap_or(Json::Null);
        let actions: Vec<&str> = self.actions.iter().map(String::as_str).collect();
        let resources: Vec<&str> = self.resources.iter().map(String::as_str).collect();
        let call = Call { tool, actions: &actions, resources: &resources, arguments: &arguments };
        check_call(details, here, &call).map(|_detail| ()).map_err(Refusal::Constraint)
    }
}

fn accepted(claims: &Claims, args: &Args) -> Value {
    let looked_at = |yes: bool, what: &'static str| if yes { what } else { "not looked at" };
    Value::Fields(vec![
        ("verdict", "accepted".into()),
        ("agent", claims.client_id.to_string().into()),
        ("subject", claims.sub.as_str().into()),
        ("task_id", claims.task.id.to_string().into()),
        ("grant_id", claims.task.grant.to_string().into()),
        ("jti", claims.jti.to_string().into()),
        ("issued", rfc3339(claims.iat.timestamp()).into()),
        ("expires", rfc3339(claims.exp.timestamp()).into()),
        ("scope", claims.scope.as_str().into()),
        ("observed_only", claims.task.observed_only.into()),
        ("call", looked_at(args.call.tool.is_some(), "covered").into()),
        ("revocations", looked_at(!args.offline, "none").into()),
        ("uses", "not counted".into()),
    ])
}
