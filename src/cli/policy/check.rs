//! `carnet policy check`.

use std::path::{Path, PathBuf};

use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::given;
use crate::cli::output::value::Value;
use crate::cli::output::{Output, say};
use crate::cli::policy::{load, read, returns_to, say_problems, signers, wire};
use crate::cli::shown;
use crate::clock::Clock;
use crate::model::time::Timestamp;
use crate::pb::v1;
use crate::pb::v1::policy_service_client::PolicyServiceClient;
use crate::policy::bundle::{BundleFiles, OBSERVE, PolicyBundle};
use crate::policy::manifest::{MANIFEST, Manifest};
use crate::policy::observe::Observe;
use crate::policy::signers::{SignerKey, Signers, endorsement};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The bundle.
    folder: PathBuf,
    /// A public key that must have signed it; one for each that must have.
    #[arg(long, value_name = "FILE", conflicts_with = "remote")]
    public_key: Vec<PathBuf>,
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
    revision: u64,
    owner: String,
    signatures: Value,
    returns_to: Value,
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
        ("revision", if checked.revision > 0 { checked.revision.into() } else { Value::Nothing }),
        ("owner", checked.owner.into()),
        ("signatures", checked.signatures),
        ("returns_to", checked.returns_to),
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
    let answer = client.check_policy(v1::CheckPolicyRequest { bundle }).await?.into_inner();
    let sound = say_problems(&answer.problems);
    Ok(Checked {
        digest: answer.digest,
        passed: u64::from(answer.tests_passed),
        failed: u64::from(answer.tests_failed),
        never_fired: answer.never_fired,
        revision: answer.revision,
        owner: answer.owner,
        signatures: signers(&answer.signed_by),
        returns_to: returns_to(answer.returns_to.as_ref()),
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
    let mut checked = Checked {
        digest: bundle.digest().to_string(),
        passed: count(report.passed()),
        failed: count(report.failures().len()),
        never_fired: report.never_fired().iter().map(ToString::to_string).collect(),
        revision: 0,
        owner: String::new(),
        signatures: Value::List(Vec::new()),
        returns_to: Value::Nothing,
        observing: bundle.observe().map(|observe| observing(observe, now)),
        sound: too_long.is_none(),
    };
    if let Err(problem) = look_at_signatures(&mut checked, &bundle, &args.public_key)? {
        say(&problem);
        checked.sound = false;
    }
    Ok(checked)
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

/// Tells who has signed, and whether all of those whose keys were given have; `Err` says what is amiss with the bundle.
fn look_at_signatures(
    checked: &mut Checked,
    bundle: &PolicyBundle,
    public_keys: &[PathBuf],
) -> Result<Result<(), String>, CliError> {
    let files = bundle.files();
    // Each is a signer by itself, whatever its file is called.
    let keys = public_keys.iter().enumerate().map(|(n, path)| public_key(&n.to_string(), path));
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    let known: Vec<String> = keys.iter().map(|key| key.signer().key_id.clone()).collect();
    let needed = keys.len();
    let signers = (needed > 0).then(|| Signers::new(keys, needed)).transpose();
    let signers = signers.map_err(|error| CliError::because("`--public-key`", error))?;
    let Some(written) = files.manifest() else {
        say(if signers.is_some() {
            "nobody has signed it"
        } else {
            "nobody has signed it, and no `--public-key` asks for it"
        });
        return Ok(endorsement(files, signers.as_ref()).map(drop).map_err(|error| error.to_string()));
    };
    let manifest = match Manifest::parse(written) {
        Ok(manifest) => manifest,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let claimed = manifest.claimed();
    (checked.revision, checked.owner) = (claimed.revision, claimed.owner.to_string());
    let holds = endorsement(files, signers.as_ref());
    let verified = signers.is_some() && holds.is_ok();
    let key_ids = match manifest.claimed_keys() {
        Ok(ids) => ids,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let signature = |id: &String| {
        Value::Fields(vec![("key", id.as_str().into()), ("verified", (verified && known.contains(id)).into())])
    };
    checked.signatures = key_ids.iter().map(signature).collect();
    if signers.is_none() {
        say("the signatures are not verified: no `--public-key` was given");
    }
    Ok(match holds {
        Err(error) => Err(error.to_string()),
        Ok(_) if claimed.digest != checked.digest => Err(of_other_files(files)),
        Ok(_) => Ok(()),
    })
}

/// Without keys nothing is verified, but what is signed can be seen to be something else.
fn of_other_files(files: &BundleFiles) -> String {
    let count = files.iter().count();
    format!("`{MANIFEST}` is not for these {count} files: some were changed, added or taken away since it was signed")
}

fn public_key(name: &str, path: &Path) -> Result<SignerKey, CliError> {
    let refused = |error: Box<dyn std::error::Error + Send + Sync>| {
        CliError::because(format!("`{}` is no public key", path.display()), error)
    };
    let text = std::fs::read_to_string(path).map_err(|error| refused(error.into()))?;
    SignerKey::parse(name, &text).map_err(|error| refused(error.into()))
}
