//! `carnet catalogue list`.

use std::path::PathBuf;

use crate::catalogue::tool::{OutsiderFields, Tool};
use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::output::value::Value;
use crate::cli::policy;
use crate::policy::bundle::PolicyBundle;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// A policy bundle, instead of the one in force.
    #[arg(long, value_name = "DIR")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    door: OperatorFirst,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let bundle = match &args.policy {
        Some(folder) => policy::load(folder)?,
        None => {
            let active = policy::active::active(&args.door, true).await?;
            let files = policy::active::files(active.bundle.unwrap_or_default())?;
            PolicyBundle::load(files).map_err(|error| CliError::because("the bundle in force cannot be read", error))?
        }
    };
    let columns = ["tool", "effect", "privilege", "owner", "audience", "sinks", "calls_max"];
    out.rows(&columns, bundle.catalogue().tools().map(tool).collect())?;
    Ok(Exit::Done)
}

/// A tool with all that the catalogue says of it.
pub(super) fn tool(tool: &Tool) -> Value {
    let outsider_fields = match &tool.outsider_fields {
        OutsiderFields::None => Value::List(Vec::new()),
        OutsiderFields::All => "all".into(),
        OutsiderFields::Paths(paths) => paths.iter().map(String::as_str).collect(),
    };
    Value::Fields(vec![
        ("tool", tool.name.to_string().into()),
        ("description", tool.description.as_str().into()),
        ("effect", tool.effect.as_str().into()),
        ("privilege", u32::from(tool.privilege).into()),
        ("owner", tool.owner.as_ref().map(ToString::to_string).into()),
        ("audience", tool.audience.as_ref().map(ToString::to_string).into()),
        ("actions", tool.actions.iter().map(String::as_str).collect()),
        ("sinks", tool.sinks.iter().map(|sink| sink.name.as_str()).collect()),
        ("data_classes", tool.data_classes.iter().map(ToString::to_string).collect()),
        ("outsider_fields", outsider_fields),
        ("conflicts", tool.conflicts.iter().map(|conflict| conflict.with.to_string()).collect()),
        ("calls_max", tool.calls_max.into()),
        ("definition_digest", tool.definition_digest.as_deref().into()),
    ])
}
