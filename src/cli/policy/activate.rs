//! `carnet policy activate`.

use std::path::PathBuf;

use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::value::Value;
use crate::cli::output::{Output, say};
use crate::cli::policy::{proposals, read, returns_to, say_problems, signers, wire};
use crate::cli::shown;
use crate::pb::v1;
use crate::pb::v1::policy_service_client::PolicyServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The bundle.
    folder: PathBuf,
    /// Its revision, above the one in force [default: the one that is signed, or the next].
    #[arg(long, value_name = "N")]
    revision: Option<u64>,
    /// Go back to files that were in force before others were.
    #[arg(long)]
    going_back: bool,
    #[command(flatten)]
    door: OperatorFirst,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let bundle = wire(&read(&args.folder)?);
    let mut client = PolicyServiceClient::new(args.door.channel().await?);
    let checked = client.check_policy(v1::CheckPolicyRequest { bundle: Some(bundle.clone()) }).await?.into_inner();
    if !say_problems(&checked.problems) || checked.tests_failed > 0 {
        let problems = checked.problems.len();
        return Err(CliError::unverified("the bundle is not activated", format!("it has {problems} problems")));
    }
    if let Some(before) = &checked.returns_to {
        let v1::PolicyReturn { revision, position } = before;
        say(&format!("GOING BACK: these files were in force before, as revision {revision} (position {position})"));
        if !args.going_back {
            let how = "say `--going-back` when that is what you want";
            return Err(CliError::unverified("the bundle is not activated", how));
        }
    }
    let revision = match args.revision {
        Some(revision) => revision,
        None if checked.revision > 0 => checked.revision,
        None => {
            let request = v1::GetActivePolicyRequest { include_files: false };
            client.get_active_policy(request).await?.into_inner().revision.saturating_add(1)
        }
    };
    let (digest, going_back) = (checked.digest, args.going_back);
    let request = v1::ActivatePolicyRequest { bundle: Some(bundle), revision, digest, going_back };
    let answer = client.activate_policy(request).await?.into_inner();
    if let Some(proposal) = &answer.proposal {
        out.record(&proposals::shown(proposal))?;
        say("NOT in force yet: another person must activate the same bundle as the same revision before it lapses");
        return Ok(Exit::Pending);
    }
    out.record(&Value::Fields(vec![
        ("digest", answer.digest.into()),
        ("revision", answer.revision.into()),
        ("owner", answer.owner.as_str().into()),
        ("signed_by", signers(&answer.signed_by)),
        ("proposed_by", answer.proposed_by.as_str().into()),
        ("returns_to", returns_to(answer.returns_to.as_ref())),
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
