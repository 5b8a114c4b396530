//! `carnet policy check`.

use std::path::PathBuf;

use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::given;
use crate::cli::output::value::Value;
use crate::cli::output::{Output, say};
use crate::cli::policy::{load, read, say_problems, wire};
use crate::cli::shown;
use crate::clock::Clock;
use crate::model::time::Timestamp;
use crate::pb::v1;
use crate::pb::v1::CheckPolicyRequest;
use crate::pb::v1::policy_service_client::PolicyServiceClient;
use crate::policy::bundle::OBSERVE;
use crate::policy::observe::Observe;

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

/// What was found out about a bundle.
struct Checked {
    digest: String,
    passed: u64,
    failed: u64,
    never_fired: Vec<String>,
    observing: Option<v1::Observing>,
    sound: bool,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let checked = if args.remote { remotely(&args).await? } else { here(&args)? };
    out.record(&Value::Fields(vec![
        ("digest", checked.digest.into()),
        ("tests_passed", checked.passed.into()),
        ("tests_failed", checked.failed.into()),
        ("never_fired", checked.never_fired.iter().map(String::as_str).collect()),
        ("observing", shown::observing(checked.observing.as_ref())),
    ]))?;
    if let Some(sentence) = shown::observing_in_words(checked.observing.as_ref()) {
        say(&sentence);
    }
    Ok(if checked.sound && checked.failed == 0 { Exit::Done } else { Exit::Unverified })
}

async fn remotely(args: &Args) -> Result<Checked, CliError> {
    let bundle = Some(wire(&read(&args.folder)?));
    let mut client = PolicyServiceClient::new(args.door.channel().await?);
    let answer = client.check_policy(CheckPolicyRequest { bundle }).await?.into_inner();
    let sound = say_problems(&answer.problems);
    Ok(Checked {
        digest: answer.digest,
        passed: u64::from(answer.tests_passed),
        failed: u64::from(answer.tests_failed),
        never_fired: answer.never_fired,
        observing: answer.observing,
        sound,
    })
}

fn here(args: &Args) -> Result<Checked, CliError> {
    let bundle = load(&args.folder)?;
    let unowned: Vec<&str> =
        bundle.catalogue().tools().filter(|tool| tool.owner.is_none()).map(|tool| tool.name.as_str()).collect();
    if !unowned.is_empty() {
        say(&format!("nobody owns these tools, so they are never granted: {}", unowned.join(", ")));
    }
    let now = Clock::system().now();
    let too_long = bundle.observe().and_then(|observe| observe.problem(now));
    if let Some(problem) = &too_long {
        say(&format!("`{OBSERVE}`: {problem}"));
    }
    let report = bundle.run_tests();
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    Ok(Checked {
        digest: bundle.digest().to_string(),
        passed: count(report.passed()),
        failed: count(report.failures().len()),
        never_fired: report.never_fired().iter().map(ToString::to_string).collect(),
        observing: bundle.observe().map(|observe| observing(observe, now)),
        sound: too_long.is_none(),
    })
}

/// For whom it would only observe, were it activated now.
fn observing(observe: &Observe, now: Timestamp) -> v1::Observing {
    let until = observe.ends(now);
    v1::Observing {
        until: Some(given::wire_time(until)),
        classes: observe.classes().map(|class| class.to_string()).collect(),
        over: until <= now,
    }
}
