//! `carnet login`: a person logs in with an issuer from a terminal, and the token is kept in a file (RFC 8628, device flow).

mod device;

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::error::{CliError, Exit};
use crate::cli::given;
use crate::cli::login::device::{Answer, Begun, DEVICE_GRANT, Step, hold_fresh};
use crate::cli::output::value::Value;
use crate::cli::output::{Output, say};
use crate::clock::{Clock, Stopwatch};
use crate::identity::get::GetError;
use crate::identity::people::issuer::Discovered;
use crate::identity::web::{HttpsUrl, WebRoots};
use crate::model::person::PersonTokenKind;

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

    let began = Clock::system().now();
    let begun = begin(&args, &roots, &device).await?;
    begun.told().iter().for_each(|line| say(line));
    let answer = wait(&args, &roots, &token, begun).await?;
    let kind = if args.id_token { PersonTokenKind::IdToken } else { PersonTokenKind::AccessToken };
    let kept = answer.token(kind)?;
    if let Some(max_age) = args.max_age {
        hold_fresh(&kept, kind, began, max_age)?;
    }
    given::keep_secret(&args.save, &kept)?;
    say(&format!("the token is kept in `{}`", args.save.display()));
    let mut fields = vec![("issuer", args.issuer.into()), ("token", kind.as_str().into())];
    // Of an ID token it says nothing.
    if let (PersonTokenKind::AccessToken, Some(seconds)) = (kind, answer.expires_in()) {
        fields.push(("expires_in_s", seconds.into()));
    }
    out.record(&Value::Fields(fields))?;
    Ok(Exit::Done)
}

async fn begin(args: &Args, roots: &WebRoots, at: &HttpsUrl) -> Result<Begun, CliError> {
    let max_age = args.max_age.map(|span| span.as_secs().to_string());
    let mut form = vec![("client_id", args.client_id.as_str()), ("scope", args.scope.as_str())];
    form.extend(args.audience.as_deref().map(|audience| ("resource", audience)));
    form.extend(max_age.as_deref().map(|seconds| ("max_age", seconds)));
    let answer = post(roots, at, &form).await;
    Begun::read(&answer.map_err(|error| CliError::remote(format!("`{at}` cannot be asked"), error))?)
}

/// Asks until the person has logged in, or will not.
async fn wait(args: &Args, roots: &WebRoots, at: &HttpsUrl, begun: Begun) -> Result<Answer, CliError> {
    let since = Stopwatch::start();
    let Begun { device_code, life, mut pace, .. } = begun;
    let mut form = vec![("grant_type", DEVICE_GRANT), ("device_code", &**device_code), ("client_id", &*args.client_id)];
    form.extend(args.audience.as_deref().map(|audience| ("resource", audience)));
    let mut unasked = None;
    loop {
        let left = life.saturating_sub(since.elapsed());
        if left.is_zero() {
            break;
        }
        tokio::time::sleep(pace.interval().min(left)).await;
        let answer = post(roots, at, &form).await;
        let step = pace.step(answer.as_ref().ok());
        match (step, answer) {
            (Step::Refused(error), _) => return Err(error),
            (Step::Done, Ok(answer)) => return Ok(answer),
            (_, answer) => unasked = answer.err(),
        }
    }
    Err(match unasked {
        Some(error) => CliError::remote(format!("`{at}` could not be asked until the code expired"), error),
        None => CliError::remote("nobody logged in", "the code has expired"),
    })
}

async fn post(roots: &WebRoots, at: &HttpsUrl, form: &[(&str, &str)]) -> Result<Answer, GetError> {
    let (status, body) = roots.post_form(at, form).await?;
    Ok(Answer::new(status, &body))
}
