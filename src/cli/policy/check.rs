//! `carnet policy check`.

use std::path::PathBuf;

use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Output;
use crate::cli::output::value::Value;
use crate::cli::policy::{load, read, say_problems, wire};
use crate::pb::v1::CheckPolicyRequest;
use crate::pb::v1::policy_service_client::PolicyServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The bundle.
    folder: PathBuf,
    /// Let the running broker check it, as it would before activating it.
    #[arg(long)]
    remote: bool,
    #[command(flatten)]
    door: OperatorFirst,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let (digest, passed, failed, sound) = if args.remote {
        let bundle = Some(wire(&read(&args.folder)?));
        let mut client = PolicyServiceClient::new(args.door.channel().await?);
        let answer = client.check_policy(CheckPolicyRequest { bundle }).await?.into_inner();
        let sound = say_problems(&answer.problems);
        (answer.digest, u64::from(answer.tests_passed), u64::from(answer.tests_failed), sound)
    } else {
        let bundle = load(&args.folder)?;
        let report = bundle.run_tests();
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        (bundle.digest().to_string(), count(report.passed()), count(report.failures().len()), true)
    };
    out.record(&Value::Fields(vec![
        ("digest", digest.into()),
        ("tests_passed", passed.into()),
        ("tests_failed", failed.into()),
    ]))?;
    Ok(if sound && failed == 0 { Exit::Done } else { Exit::Unverified })
}
