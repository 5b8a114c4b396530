//! `carnet audit labels`.

use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::given::{self, When};
use crate::cli::output::Output;
use crate::cli::output::value::Value;
use crate::cli::page::{Page, say_more};
use crate::cli::shown::time;
use crate::pb::v1;
use crate::pb::v1::risk_service_client::RiskServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Of this decision [default: of all].
    #[arg(default_value = "", hide_default_value = true)]
    decision: String,
    /// Not before: a time, or how long ago.
    #[arg(long, value_name = "WHEN", value_parser = given::when)]
    from: Option<When>,
    /// Before: a time, or how long ago.
    #[arg(long, value_name = "WHEN", value_parser = given::when)]
    until: Option<When>,
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    door: OperatorFirst,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let request = v1::ListLabelsRequest {
        decision_id: args.decision,
        from: args.from.map(When::wire_ago),
        until: args.until.map(When::wire_ago),
        page_size: args.page.limit,
        page_token: args.page.page_token,
    };
    let answer = RiskServiceClient::new(args.door.channel().await?).list_labels(request).await?.into_inner();
    let columns = ["time", "decision_id", "label", "person", "answered_it", "replaced", "note"];
    out.rows(&columns, answer.labels.iter().map(shown).collect())?;
    say_more(&answer.next_page_token);
    Ok(Exit::Done)
}

/// A label.
pub(in crate::cli::audit) fn shown(label: &v1::DecisionLabel) -> Value {
    let note = if label.note_erased { "(erased)" } else { &label.note };
    Value::Fields(vec![
        ("label_id", label.label_id.as_str().into()),
        ("time", time(label.time)),
        ("decision_id", label.decision_id.as_str().into()),
        ("task_id", label.task_id.as_str().into()),
        ("label", name(label.label()).into()),
        ("person", label.person.as_str().into()),
        ("answered_it", label.answered_it.into()),
        ("replaced", label.replaced.into()),
        ("note", Value::text_if_any(note)),
        ("position", label.position.into()),
    ])
}

const fn name(label: v1::Label) -> &'static str {
    match label {
        v1::Label::Benign => "benign",
        v1::Label::Harmful => "harmful",
        v1::Label::Unsure => "unsure",
        v1::Label::Unspecified => "",
    }
}

/// The label of that name.
pub(in crate::cli::audit) fn named(text: &str) -> Result<v1::Label, String> {
    let all = [v1::Label::Benign, v1::Label::Harmful, v1::Label::Unsure];
    all.into_iter()
        .find(|label| name(*label) == text)
        .ok_or_else(|| format!("`{text}` is none of benign, harmful, unsure"))
}
