//! `carnet login`: a person logs in with an issuer from a terminal, and the token is kept in a file (RFC 8628, device flow).

use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::cli::error::{CliError, Exit};
use crate::cli::given;
use crate::cli::output::value::Value;
use crate::cli::output::{Output, say};
use crate::clock::Stopwatch;
use crate::identity::people::issuer::Discovered;
use crate::identity::web::{HttpsUrl, WebRoots};
use crate::model::json::Json;

/// How long to wait between two questions when the issuer does not say (RFC 8628 §3.2), and how much longer when it is asked
/// too often (§3.5).
const INTERVAL_DEFAULT: u64 = 5;
const SLOW_DOWN_BY: Duration = Duration::from_secs(5);
/// Longest interval, and longest life of a code, that we go along with.
const INTERVAL_MAX: u64 = 60;
const CODE_LIFE_MAX: u64 = 1800;
/// Largest answer of an issuer.
const ANSWER_BYTES_MAX: usize = 256 << 10;
/// §3.4
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The issuer, as the broker's configuration names it.
    #[arg(long, env = "CARNET_LOGIN_ISSUER", value_name = "URL")]
    issuer: String,
    /// Who we are to the issuer: a public client that may use the device flow.
    #[arg(long, env = "CARNET_LOGIN_CLIENT", value_name = "CLIENT")]
    client_id: String,
    /// What the token is to be for (RFC 8707): the `audience` of the issuer in the broker's configuration.
    #[arg(long, env = "CARNET_LOGIN_AUDIENCE", value_name = "URL")]
    audience: Option<String>,
    /// What is asked for.
    #[arg(long, value_name = "SCOPES", default_value = "openid")]
    scope: String,
    /// Log in again when the last time was longer ago than this: what reaches far needs a fresh login.
    #[arg(long, value_name = "SPAN", value_parser = given::span)]
    max_age: Option<Duration>,
    /// Keep the ID token, for issuers of which the broker takes that.
    #[arg(long)]
    id_token: bool,
    /// Who vouches for the issuer's certificate, in PEM [default: whom the system trusts].
    #[arg(long, env = "CARNET_LOGIN_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Keep the token in this file, which others may not read.
    #[arg(long, env = "CARNET_TOKEN_FILE", value_name = "FILE")]
    save: PathBuf,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let roots = WebRoots::load(args.ca_file.as_deref())?;
    let issuer = Discovered::of(&args.issuer, &roots).await;
    let issuer = issuer.map_err(|error| CliError::remote(format!("`{}` is of no use", args.issuer), error))?;
    let address = |member| issuer.address(member).map_err(|error| CliError::remote("no device flow is offered", error));
    let (device, token) = (address("device_authorization_endpoint")?, address("token_endpoint")?);

    let begun = begin(&args, &roots, &device).await?;
    say(&format!("open {} and enter the code {}", begun.open, begun.code));
    if let Some(complete) = &begun.open_complete {
        say(&format!("or open {complete}"));
    }
    let answer = wait(&args, &roots, &token, begun).await?;
    let member = if args.id_token { "id_token" } else { "access_token" };
    let Some(Json::String(kept)) = answer.member(member) else {
        return Err(CliError::remote(format!("the issuer gave no `{member}`"), "ask for another scope or audience"));
    };
    let kept = Zeroizing::new(kept.clone());
    given::keep_secret(&args.save, &kept)?;
    say(&format!("the token is kept in `{}`", args.save.display()));
    let expires = if args.id_token { None } else { number(&answer, "expires_in") };
    out.record(&Value::Fields(vec![
        ("issuer", args.issuer.into()),
        ("token", member.into()),
        ("expires_in_s", expires.unwrap_or_default().into()),
    ]))?;
    Ok(Exit::Done)
}

/// A login that was begun.
struct Begun {
    device_code: Zeroizing<String>,
    code: String,
    open: String,
    open_complete: Option<String>,
    life: Duration,
    interval: Duration,
}

async fn begin(args: &Args, roots: &WebRoots, at: &HttpsUrl) -> Result<Begun, CliError> {
    let max_age = args.max_age.map(|span| span.as_secs().to_string());
    let mut form = vec![("client_id", args.client_id.as_str()), ("scope", args.scope.as_str())];
    form.extend(args.audience.as_deref().map(|audience| ("resource", audience)));
    form.extend(max_age.as_deref().map(|seconds| ("max_age", seconds)));
    let (status, answer) = post(roots, at, &form).await?;
    if status != 200 {
        return Err(refused(&answer));
    }
    let required = |member: &str| {
        text(&answer, member).ok_or_else(|| CliError::remote(format!("the issuer gave no `{member}`"), "it must"))
    };
    Ok(Begun {
        device_code: Zeroizing::new(required("device_code")?),
        code: required("user_code")?,
        open: required("verification_uri")?,
        open_complete: text(&answer, "verification_uri_complete"),
        life: Duration::from_secs(number(&answer, "expires_in").unwrap_or(CODE_LIFE_MAX).min(CODE_LIFE_MAX)),
        interval: Duration::from_secs(number(&answer, "interval").unwrap_or(INTERVAL_DEFAULT).min(INTERVAL_MAX)),
    })
}

/// Asks until the person has logged in, or will not.
async fn wait(args: &Args, roots: &WebRoots, at: &HttpsUrl, begun: Begun) -> Result<Json, CliError> {
    let since = Stopwatch::start();
    let mut interval = begun.interval;
    let mut form =
        vec![("grant_type", DEVICE_GRANT), ("device_code", &**begun.device_code), ("client_id", &*args.client_id)];
    form.extend(args.audience.as_deref().map(|audience| ("resource", audience)));
    while since.elapsed() < begun.life {
        tokio::time::sleep(interval).await;
        let (status, answer) = post(roots, at, &form).await?;
        match (status, text(&answer, "error").as_deref()) {
            (200, _) => return Ok(answer),
            (_, Some("authorization_pending")) => {}
            (_, Some("slow_down")) => interval += SLOW_DOWN_BY,
            _ => return Err(refused(&answer)),
        }
    }
    Err(CliError::remote("nobody logged in", "the code has expired"))
}

async fn post(roots: &WebRoots, at: &HttpsUrl, form: &[(&str, &str)]) -> Result<(u16, Json), CliError> {
    let (status, body) =
        roots.post_form(at, form).await.map_err(|error| CliError::remote(format!("`{at}` cannot be asked"), error))?;
    let body = Zeroizing::new(body);
    let answer = Json::parse_object(&body, ANSWER_BYTES_MAX);
    Ok((status, answer.map_err(|error| CliError::remote(format!("`{at}` answers with status {status}"), error))?))
}

/// What the issuer says went wrong (RFC 6749 §5.2).
fn refused(answer: &Json) -> CliError {
    let code = text(answer, "error").unwrap_or_else(|| "no reason was given".to_owned());
    let why = text(answer, "error_description").unwrap_or_default();
    CliError::remote("the issuer refused", if why.is_empty() { code } else { format!("{code}: {why}") })
}

fn text(answer: &Json, member: &str) -> Option<String> {
    match answer.member(member) {
        Some(Json::String(text)) => Some(text.clone()),
        _ => None,
    }
}

fn number(answer: &Json, member: &str) -> Option<u64> {
    match answer.member(member) {
        Some(Json::Number(digits)) => digits.parse().ok(),
        _ => None,
    }
}
