//! `carnet credential request`.

use std::time::Duration;

use crate::cli::arguments::{ContextArguments, ProfileArguments, TaskArgument};
use crate::cli::credential::{TokenPlace, show};
use crate::cli::door::WorkloadDoor;
use crate::cli::error::{CliError, Exit};
use crate::cli::given;
use crate::cli::output::Output;
use crate::pb::v1;
use crate::pb::v1::credential_service_client::CredentialServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    task: TaskArgument,
    /// The resource server that the token is for.
    #[arg(long, value_name = "URL")]
    audience: String,
    #[command(flatten)]
    access: AccessArguments,
    /// How long the token is to live.
    #[arg(long, value_name = "SPAN", value_parser = given::span)]
    ttl: Option<Duration>,
    /// What this step is for, in the agent's own words.
    #[arg(long, value_name = "TEXT", default_value = "")]
    purpose: String,
    #[command(flatten)]
    profile: ProfileArguments,
    #[command(flatten)]
    context: ContextArguments,
    /// The same id gives the same answer again [default: a random one].
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    #[command(flatten)]
    place: TokenPlace,
    #[command(flatten)]
    door: WorkloadDoor,
}

/// What is asked for: one tool by its own options, or several as JSON.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Access")]
pub(in crate::cli) struct AccessArguments {
    /// The tool.
    #[arg(long, required_unless_present = "access")]
    tool: Option<String>,
    /// What it is to be called with, as a JSON object: in place, `@file` or `@-`.
    #[arg(long, value_name = "JSON", default_value = "{}", requires = "tool")]
    arguments: String,
    /// What is to be done with it [default: all that the tool offers]; may be repeated.
    #[arg(long = "action", value_name = "ACTION", requires = "tool")]
    actions: Vec<String>,
    /// What it is to be done to; may be repeated.
    #[arg(long = "resource", value_name = "RESOURCE", requires = "tool")]
    resources: Vec<String>,
    /// A class of data that the call touches; may be repeated.
    #[arg(long = "data-class", value_name = "CLASS", requires = "tool")]
    data_classes: Vec<String>,
    /// One access as JSON, `{"tool":…,"arguments":{…}}`, in place or `@file`; may be repeated.
    #[arg(long, value_name = "JSON")]
    access: Vec<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct AccessText {
    tool: String,
    #[serde(default)]
    actions: Vec<String>,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    arguments: Option<Box<serde_json::value::RawValue>>,
    #[serde(default)]
    data_classes: Vec<String>,
}

impl AccessArguments {
    /// The accesses, in order.
    ///
    /// # Errors
    /// When one is malformed.
    pub(in crate::cli) fn wire(&self) -> Result<Vec<v1::Access>, CliError> {
        let mut accesses = Vec::new();
        if let Some(tool) = &self.tool {
            accesses.push(v1::Access {
                tool: tool.clone(),
                actions: self.actions.clone(),
                resources: self.resources.clone(),
                arguments_json: given::text(&self.arguments)?,
                data_classes: self.data_classes.clone(),
            });
        }
        for given in &self.access {
            let text = given::text(given)?;
            let access: AccessText =
                serde_json::from_str(&text).map_err(|error| CliError::because("an access is malformed", error))?;
            accesses.push(v1::Access {
                tool: access.tool,
                actions: access.actions,
                resources: access.resources,
                arguments_json: access.arguments.map(|raw| raw.get().to_owned()).unwrap_or_default(),
                data_classes: access.data_classes,
            });
        }
        Ok(accesses)
    }
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let task = args.task.known()?;
    let request = v1::RequestCredentialRequest {
        request_id: given::request_id(args.request_id.as_deref())?,
        task_id: task.id,
        task_handle: task.handle.to_string(),
        audience: args.audience,
        access: args.access.wire()?,
        ttl: args.ttl.map(given::wire_span),
        purpose: args.purpose,
        agent_profile: Some(args.profile.wire()),
        context: Some(args.context.wire()),
    };
    let (way, presented) = args.door.channel_and_presented().await?;
    let mut client = CredentialServiceClient::new(way);
    let answer = client.request_credential(request).await?.into_inner();
    args.place.keep_certificate(&presented)?;
    show(answer.decision, answer.grant.as_ref(), answer.token, &args.place, out)
}
