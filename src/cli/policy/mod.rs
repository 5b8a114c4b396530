//! `carnet policy`: bundles, checked and tested here, and put in force by a running broker.

mod activate;
pub(in crate::cli) mod active;
mod check;
mod eval;
mod explain;
mod fmt;
mod keygen;
mod proposals;
mod sign;
mod test;
mod whatif;
mod withdraw;

use std::path::Path;

use crate::cli::error::{CliError, Exit};
use crate::cli::output::value::Value;
use crate::cli::output::{Output, say};
use crate::pb::v1;
use crate::policy::bundle::{BundleFiles, PolicyBundle};
use crate::policy::cases::PolicyCoverage;
use crate::policy::error::BundleError;
use crate::policy::rules::RuleEffect;

#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// Which bundle is in force.
    Active(active::Args),
    /// Load a bundle and run its tests, here or at a broker.
    Check(check::Args),
    /// Run a bundle's tests.
    Test(test::Args),
    /// Bring the policies of a bundle into their one form.
    Fmt(fmt::Args),
    /// Tell what a bundle decides in a case and why, or what one of its policies is for.
    Explain(explain::Args),
    /// Decide recorded decisions again under another bundle, and list what would flip.
    Whatif(whatif::Args),
    /// Make a key to sign bundles with.
    Keygen(keygen::Args),
    /// Sign a bundle: its digest, its revision and who answers for it.
    Sign(sign::Args),
    /// Put a bundle in force; every live grant is decided again under it. Where two persons are needed, the first proposes it.
    Activate(activate::Args),
    /// List what was proposed, and waits for a second person.
    Proposals(proposals::Args),
    /// Take back what was proposed.
    Withdraw(withdraw::Args),
    /// Judge a folder of recorded tasks and calls.
    Eval(eval::Args),
}

pub(in crate::cli) async fn run(command: Command, out: Output) -> Result<Exit, CliError> {
    match command {
        Command::Active(args) => active::run(args, out).await,
        Command::Check(args) => check::run(args, out).await,
        Command::Test(args) => test::run(&args, out),
        Command::Fmt(args) => fmt::run(&args, out),
        Command::Explain(args) => explain::run(&args, out),
        Command::Whatif(args) => whatif::run(args, out).await,
        Command::Keygen(args) => keygen::run(&args, out),
        Command::Sign(args) => sign::run(&args, out),
        Command::Activate(args) => activate::run(args, out).await,
        Command::Proposals(args) => proposals::run(args, out).await,
        Command::Withdraw(args) => withdraw::run(args, out).await,
        Command::Eval(args) => eval::run(&args, out),
    }
}

/// The files of a bundle.
fn read(folder: &Path) -> Result<BundleFiles, CliError> {
    BundleFiles::read_dir(folder).map_err(|error| refused(folder, error))
}

/// Loads a bundle from a folder.
///
/// # Errors
/// When it is refused; every problem is said first.
pub(in crate::cli) fn load(folder: &Path) -> Result<PolicyBundle, CliError> {
    PolicyBundle::load(read(folder)?).map_err(|error| refused(folder, error))
}

fn refused(folder: &Path, error: BundleError) -> CliError {
    CliError::because(format!("`{}` is refused", folder.display()), error)
}

fn wire(files: &BundleFiles) -> v1::PolicyBundle {
    let file = |(path, content): (&str, &[u8])| v1::PolicyFile {
        path: path.to_owned(),
        content: bytes::Bytes::copy_from_slice(content),
    };
    v1::PolicyBundle { files: files.iter_with_manifest().map(file).collect() }
}

/// Whose signatures hold.
fn signers(signers: &[v1::PolicySigner]) -> Value {
    let signer = |signer: &v1::PolicySigner| {
        Value::Fields(vec![("name", signer.name.as_str().into()), ("key", signer.key_id.as_str().into())])
    };
    signers.iter().map(signer).collect()
}

/// The revision as which the same files were in force before.
fn returns_to(before: Option<&v1::PolicyReturn>) -> Value {
    before.map_or(Value::Nothing, |before| before.revision.into())
}

/// What a policy does when it applies, by its name.
fn effect(effect: RuleEffect) -> &'static str {
    match effect {
        RuleEffect::Permit => "permit",
        RuleEffect::Forbid { outcome, .. } => outcome.as_str(),
    }
}

fn coverage(policy: &PolicyCoverage) -> Value {
    Value::Fields(vec![
        ("policy", policy.id.to_string().into()),
        ("file", policy.path.as_str().into()),
        ("effect", effect(policy.effect).into()),
        ("fired", policy.fired.into()),
        ("decided", policy.decided.into()),
    ])
}

/// Says every problem, and whether there was none.
fn say_problems(problems: &[v1::PolicyProblem]) -> bool {
    for problem in problems {
        say(&format!("{}: {}", problem.path, problem.message));
    }
    problems.is_empty()
}
