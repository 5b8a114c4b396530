//! `carnet policy activate`.

use std::path::PathBuf;

use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::value::Value;
use crate::cli::output::{Output, say};
use crate::cli::policy::{read, say_problems, wire};
use crate::cli::shown;
use crate::pb::v1;
use crate::pb::v1::policy_service_client::PolicyServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The bundle.
    folder: PathBuf,
    /// Its revision, above the one in force [default: the next].
    #[arg(long, value_name = "N")]
    revision: Option<u64>,
    #[command(flatten)]
    door: OperatorFirst,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let bundle = wire(&read(&args.folder)?);
    let mut client = PolicyServiceClient::new(args.door.channel().await?);
    let checked = client.check_policy(v1::CheckPolicyRequest { bundle: Some(bundle.clone()) }).await?.into_inner();
    if !say_problems(&checked.problems) || checked.tests_failed > 0 {
        return Err(CliError::unverified(
            "the bundle is not activated",
            format!("{} tests fail", checked.tests_failed),
        ));
    }
    let revision = match args.revision {
        Some(revision) => revision,
        None => {
            let request = v1::GetActivePolicyRequest { include_files: false };
            client.get_active_policy(request).await?.into_inner().revision + 1
        }
    };
    let request = v1::ActivatePolicyRequest { bundle: Some(bundle), revision, digest: checked.digest };
    let answer = client.activate_policy(request).await?.into_inner();
    out.record(&Value::Fields(vec![
        ("digest", answer.digest.into()),
        ("revision", answer.revision.into()),
        ("position", answer.position.into()),
        ("grants_suspended", answer.grants_suspended.into()),
        ("grants_revoked", answer.grants_revoked.into()),
        ("families_owed", answer.families_owed.into()),
        ("observing", shown::observing(answer.observing.as_ref())),
    ]))?;
    if let Some(sentence) = shown::observing_in_words(answer.observing.as_ref()) {
        say(&sentence);
    }
    if answer.families_owed > 0 {
        say(
            "the bundle is in force; the live grants of some tasks have yet to be decided under it: see the broker's log",
        );
    }
    Ok(Exit::Done)
}
