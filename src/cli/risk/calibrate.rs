//! `carnet risk calibrate`.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::given::{self, When};
use crate::cli::output::value::Value;
use crate::cli::output::{Output, say};
use crate::cli::risk::{class, number};
use crate::cli::shown::time;
use crate::model::identity::IdentityClass;
use crate::pb::v1;
use crate::pb::v1::risk_service_client::RiskServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// For this class of identities: `agent` or `service_account`.
    #[arg(long, value_name = "CLASS", value_parser = class)]
    class: IdentityClass,
    /// Decisions not before: a time, or how long ago [default: the whole record].
    #[arg(long, value_name = "WHEN", value_parser = given::when)]
    since: Option<When>,
    /// Decisions before: a time, or how long ago.
    #[arg(long, value_name = "WHEN", value_parser = given::when)]
    until: Option<When>,
    /// Write what is proposed, as a part of `risk.toml`, to this file, which must not exist yet.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    door: OperatorFirst,
}

/// What a reader of the figures has to know.
const CAVEAT: &str = "Labels come mostly from what was escalated, so misses among what was let through are told too low. What \
                      nobody labelled is not counted as benign. Intervals take labels for independent: thirty of one \
                      incident say less than they tell.";
/// What becomes of a proposal.
const PROPOSAL: &str = "For a person to review: nothing changes until a bundle that holds it is activated.";
/// Thresholds that the table shows, besides those in force and those proposed.
const STEP: u32 = 10;

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let request = v1::CalibrateRequest {
        class: args.class.to_string(),
        from: args.since.map(When::wire_ago),
        until: args.until.map(When::wire_ago),
    };
    let found = RiskServiceClient::new(args.door.channel().await?).calibrate(request).await?.into_inner();
    let proposal = found.proposed.as_ref().map(|bands| toml(args.class, &found, bands));
    if out.is_table() {
        let marks = marks(&found);
        let wanted = |row: &&v1::ThresholdRow| row.threshold.is_multiple_of(STEP) || marks.contains_key(&row.threshold);
        let row = |row: &v1::ThresholdRow| line(row, marks.get(&row.threshold).map_or("", String::as_str));
        let columns = ["threshold", "is", "alerts_per_day", "alerts", "misses", "false_alarms"];
        out.rows(&columns, found.rows.iter().filter(wanted).map(row).collect())?;
        if let Some(proposal) = &proposal {
            out.text(&format!("\n{proposal}"))?;
        }
    } else {
        out.record(&document(&found))?;
    }
    told(&found);
    match (&args.out, &proposal) {
        (Some(path), Some(proposal)) => keep(path, proposal)?,
        (Some(path), None) => say(&format!("nothing is proposed, so `{}` is not written", path.display())),
        (None, _) => {}
    }
    Ok(Exit::Done)
}

fn told(found: &v1::CalibrateResponse) {
    let labels = found.labels.unwrap_or_default();
    let v1::LabelCounts { harmful, benign, unsure, contradicted, .. } = labels;
    say(&counted(found));
    if found.bundles > 1 {
        say(&format!(
            "{} policy bundles decided them: where they weigh signals otherwise, scores are not the same measure",
            found.bundles
        ));
    }
    say(&format!(
        "labelled: {harmful} harmful, {benign} benign, {unsure} unsure, of which {contradicted} because persons contradict each \
         other; {} were let through, {} were not",
        labels.let_through, labels.escalated
    ));
    if labels.answered_by_labeller > 0 {
        say(&format!("{} were labelled by nobody but who had answered them", labels.answered_by_labeller));
    }
    if found.stopped_at.is_some() {
        say(&format!(
            "there are more decisions than one run takes: what was decided before {} is in no alert, but its labels count",
            time(found.stopped_at).inline()
        ));
    }
    if found.labels_stopped_at.is_some() {
        say(&format!(
            "there are more labels than one run takes: what was said before {} was not looked at",
            time(found.labels_stopped_at).inline()
        ));
    }
    if found.proposed.is_none() {
        say(&why_nothing(found));
    }
    say(CAVEAT);
}

fn counted(found: &v1::CalibrateResponse) -> String {
    let counted = format!("{} decisions in {:.2} days", found.decisions, found.days);
    if found.rows.iter().any(|row| row.alerts_per_day.is_some()) {
        return counted;
    }
    format!("{counted}, too short to say how many a day; name the span by `--since`")
}

fn why_nothing(found: &v1::CalibrateResponse) -> String {
    let (labels, min) = (found.labels.unwrap_or_default(), found.labels_min);
    if labels.harmful < min || labels.benign < min {
        return format!("too few labels: it takes {min} harmful and {min} benign to propose anything");
    }
    "nothing is proposed: scores do not tell what was labelled harmful from what was labelled benign".to_owned()
}

/// Which thresholds are in force, and which are proposed.
fn marks(found: &v1::CalibrateResponse) -> BTreeMap<u32, String> {
    let mut marks: BTreeMap<u32, String> = BTreeMap::new();
    for (bands, suffix) in [(&found.in_force, ""), (&found.proposed, " (proposed)")] {
        let Some(bands) = bands else { continue };
        for (name, at) in [("elevated", bands.elevated), ("high", bands.high), ("critical", bands.critical)] {
            let mark = marks.entry(at).or_default();
            let comma = if mark.is_empty() { "" } else { ", " };
            mark.push_str(&format!("{comma}{name}{suffix}"));
        }
    }
    marks
}

fn line(row: &v1::ThresholdRow, mark: &str) -> Value {
    Value::Fields(vec![
        ("threshold", row.threshold.into()),
        ("is", mark.into()),
        ("alerts_per_day", row.alerts_per_day.map(|alerts| format!("{alerts:.1}")).into()),
        ("alerts", row.alerts.into()),
        ("misses", words(row.misses.as_ref()).into()),
        ("false_alarms", words(row.false_alarms.as_ref()).into()),
    ])
}

/// A share as people read it.
fn words(share: Option<&v1::Share>) -> String {
    let v1::Share { count, of, low, high } = share.copied().unwrap_or_default();
    if of == 0 {
        return "none labelled".to_owned();
    }
    format!("{count} of {of} ({:.0}-{:.0} %)", low * 100.0, high * 100.0)
}

/// The part of `risk.toml` that is proposed, with what speaks for it.
fn toml(class: IdentityClass, found: &v1::CalibrateResponse, bands: &v1::Thresholds) -> String {
    let labels = found.labels.unwrap_or_default();
    let span = format!("{} to {}", time(found.from).inline(), time(found.until).inline());
    let mut text = format!(
        "# Proposed by `carnet risk calibrate` from {}, {span}.\n# Labelled harmful {}, benign {}, unsure {}; intervals \
         are of 95 %.\n",
        counted(found),
        labels.harmful,
        labels.benign,
        labels.unsure
    );
    if found.stopped_at.is_some() {
        text.push_str("# There were more decisions than one run takes: those before this span are in no alert.\n");
    }
    if found.labels_stopped_at.is_some() {
        text.push_str("# There were more labels than one run takes: the older ones were not looked at.\n");
    }
    for sentence in [CAVEAT, PROPOSAL] {
        text.push_str(&format!("# {sentence}\n"));
    }
    text.push_str(&format!("[bands.{class}]\n"));
    for (name, at) in [("elevated", bands.elevated), ("high", bands.high), ("critical", bands.critical)] {
        if let Some(row) = found.rows.iter().find(|row| row.threshold == at) {
            let (misses, alarms) = (words(row.misses.as_ref()), words(row.false_alarms.as_ref()));
            let alerts = match row.alerts_per_day {
                Some(alerts) => format!("{alerts:.1} a day reach it"),
                None => format!("{} reach it", row.alerts),
            };
            text.push_str(&format!("# {alerts}; misses {misses}, false alarms {alarms}\n"));
        }
        text.push_str(&format!("{name} = {at}\n"));
    }
    text
}

fn keep(path: &Path, text: &str) -> Result<(), CliError> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| CliError::because(format!("`{}` cannot be written", path.display()), error))?;
    say(&format!("what is proposed is kept in `{}`. {PROPOSAL}", path.display()));
    Ok(())
}

fn document(found: &v1::CalibrateResponse) -> Value {
    let labels = found.labels.unwrap_or_default();
    let bands = |bands: &v1::Thresholds| {
        Value::Fields(vec![
            ("elevated", bands.elevated.into()),
            ("high", bands.high.into()),
            ("critical", bands.critical.into()),
        ])
    };
    let share = |share: Option<&v1::Share>| {
        let v1::Share { count, of, low, high } = share.copied().unwrap_or_default();
        Value::Fields(vec![("count", count.into()), ("of", of.into()), ("low", number(low)), ("high", number(high))])
    };
    let row = |row: &v1::ThresholdRow| {
        Value::Fields(vec![
            ("threshold", row.threshold.into()),
            ("alerts", row.alerts.into()),
            ("alerts_per_day", row.alerts_per_day.map(number).into()),
            ("misses", share(row.misses.as_ref())),
            ("false_alarms", share(row.false_alarms.as_ref())),
        ])
    };
    let why = found.proposed.is_none().then(|| why_nothing(found));
    Value::Fields(vec![
        ("class", found.class.as_str().into()),
        ("from", time(found.from)),
        ("until", time(found.until)),
        ("days", number(found.days)),
        ("decisions", found.decisions.into()),
        ("harmful", labels.harmful.into()),
        ("benign", labels.benign.into()),
        ("unsure", labels.unsure.into()),
        ("contradicted", labels.contradicted.into()),
        ("answered_by_labeller", labels.answered_by_labeller.into()),
        ("let_through", labels.let_through.into()),
        ("escalated", labels.escalated.into()),
        ("labels_min", found.labels_min.into()),
        ("in_force", found.in_force.as_ref().map(bands).into()),
        ("proposed", found.proposed.as_ref().map(bands).into()),
        ("nothing_proposed_because", why.into()),
        ("stopped_at", time(found.stopped_at)),
        ("labels_stopped_at", time(found.labels_stopped_at)),
        ("bundles", found.bundles.into()),
        ("rows", found.rows.iter().map(row).collect()),
        ("note", CAVEAT.into()),
    ])
}
