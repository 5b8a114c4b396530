//! `carnet policy explain`: without a broker, over a bundle in a folder.

use std::path::PathBuf;

use serde_json::Value as Json;

use crate::cli::error::{CliError, Exit};
use crate::cli::given;
use crate::cli::output::Output;
use crate::cli::policy::{load, refused};
use crate::cli::shown::explained;
use crate::model::facts::Facts;
use crate::policy::bundle::PolicyBundle;
use crate::policy::cases::{self, Case};
use crate::policy::explain::Explanation;

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["case", "facts", "policy_id"]))]
pub(in crate::cli) struct Args {
    /// The bundle.
    folder: PathBuf,
    /// A case of its tests, by its name.
    #[arg(long, value_name = "NAME", conflicts_with = "policy_id")]
    case: Option<String>,
    /// The file that the case stands in, such as `tests/use.toml`, where several have one of that name.
    #[arg(long, value_name = "PATH", requires = "case", conflicts_with = "facts")]
    file: Option<String>,
    /// Facts: as the record keeps them, in JSON or TOML, or cases in the form of tests, of which `--case` picks one; `-` reads
    /// standard input as JSON.
    #[arg(long, value_name = "FILE", conflicts_with = "policy_id")]
    facts: Option<PathBuf>,
    /// One policy: its text, what it asks for, and the cases that make it fire.
    #[arg(long, value_name = "ID")]
    policy_id: Option<String>,
}

pub(in crate::cli) fn run(args: &Args, out: Output) -> Result<Exit, CliError> {
    let bundle = load(&args.folder)?;
    if let Some(id) = &args.policy_id {
        return policy(&bundle, id, out);
    }
    let Some(path) = &args.facts else {
        let name = args.case.as_deref().unwrap_or_default();
        let wanted = |case: &&Case| args.file.as_ref().is_none_or(|file| case.path == *file);
        let case = the_case(bundle.cases().iter().filter(wanted), name)?;
        return told_case(&bundle, case, out);
    };
    let shown = path.display().to_string();
    let text = given::text(&format!("@{shown}"))?;
    let malformed = |error: String| CliError::because(format!("`{shown}` holds no facts"), error);
    if path.extension().is_none_or(|extension| extension != "toml") {
        let facts = facts_of_json(&text).map_err(malformed)?;
        return told(&Explanation::of_facts(&bundle, &facts), None, out);
    }
    let table: toml::Table = toml::from_str(&text).map_err(|error| malformed(error.to_string()))?;
    if !table.contains_key("case") {
        let facts: Facts = toml::from_str(&text).map_err(|error| malformed(error.to_string()))?;
        return told(&Explanation::of_facts(&bundle, &facts), None, out);
    }
    let found = cases::read(&bundle, &shown, &text).map_err(|error| refused(path, error))?;
    match (&args.case, found.as_slice()) {
        (None, [one]) => told_case(&bundle, one, out),
        (None, _) => Err(CliError::local(format!("`{shown}` holds {} cases: `--case` says which", found.len()))),
        (Some(name), _) => told_case(&bundle, the_case(found.iter(), name)?, out),
    }
}

/// Facts as the record keeps them; also where they stand inside of what `audit explain` prints.
fn facts_of_json(text: &str) -> Result<Facts, String> {
    let explained: Option<Json> =
        serde_json::from_str(text).ok().and_then(|mut whole: Json| whole.get_mut("facts").map(Json::take));
    match explained {
        Some(facts) => serde_json::from_value(facts).map_err(|error| error.to_string()),
        None => serde_json::from_str(text).map_err(|error| error.to_string()),
    }
}

/// The one case of that name.
fn the_case<'a>(cases: impl Iterator<Item = &'a Case>, name: &str) -> Result<&'a Case, CliError> {
    let found: Vec<&Case> = cases.filter(|case| case.name == name).collect();
    match found.as_slice() {
        [one] => Ok(one),
        [] => Err(CliError::local(format!("there is no case `{name}`; `carnet policy test` lists them"))),
        several => {
            let files: Vec<&str> = several.iter().map(|case| case.path.as_str()).collect();
            Err(CliError::local(format!(
                "several files have a case `{name}`: `--file` says which of {}",
                files.join(", ")
            )))
        }
    }
}

fn told_case(bundle: &PolicyBundle, case: &Case, out: Output) -> Result<Exit, CliError> {
    told(&Explanation::of_case(bundle, case), Some(case), out)
}

fn told(explanation: &Explanation<'_>, case: Option<&Case>, out: Output) -> Result<Exit, CliError> {
    if out.is_table() {
        out.text(&explained::story(explanation, case, out.paint()))?;
    } else {
        out.record(&explained::value(explanation, case))?;
    }
    Ok(Exit::Done)
}

fn policy(bundle: &PolicyBundle, id: &str, out: Output) -> Result<Exit, CliError> {
    let Some(rule) = bundle.rule(id) else {
        let mut known: Vec<&str> = bundle.rules().map(|rule| rule.id.as_str()).collect();
        known.truncate(NAMED_MAX);
        return Err(CliError::local(format!("there is no policy `{id}`; some that are: {}", known.join(", "))));
    };
    let report = bundle.run_tests();
    let fires = report.results.iter().filter(|result| result.fired.contains(&rule.id)).collect::<Vec<_>>();
    if out.is_table() {
        out.text(&explained::policy_page(rule, &fires, out.paint()))?;
    } else {
        out.record(&explained::policy_value(rule, &fires))?;
    }
    Ok(Exit::Done)
}

/// Most policies that are named to somebody who misspelt one.
const NAMED_MAX: usize = 40;
