//! `carnet approval get`.

use crate::cli::approval::{client, found, shown};
use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::paint::harmless;
use crate::cli::output::value::Value;
use crate::cli::output::{Output, say};
use crate::cli::shown::{access, record};
use crate::pb::v1;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Which.
    approval: String,
    #[command(flatten)]
    door: OperatorFirst,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let mut client = client(&args.door).await?;
    let request = v1::GetApprovalRequest { approval_id: args.approval };
    let answer = client.get_approval(request).await?.into_inner();
    let approval = found(answer.approval)?;
    let record = answer.record.unwrap_or_default();
    if out.is_table() {
        out.text(&record::story(&record, out.paint()))?;
        let outlook = match &approval.amendment {
            Some(_) => would_amend(answer.would_amend).to_owned(),
            None => would_cover(&answer.would_cover, answer.ttl_max_s),
        };
        out.text(&format!("\n{outlook}"))?;
        if !answer.left_out.is_empty() {
            let left_out = answer.left_out.join(", ");
            say(&format!(
                "too long to be shown whole: {left_out}; `carnet audit explain {}` has it",
                record.decision_id
            ));
        }
    }
    let mut fields = vec![
        ("approval", shown(&approval)),
        ("would_cover", answer.would_cover.iter().map(access).collect()),
        ("ttl_max_s", answer.ttl_max_s.into()),
        ("would_amend", answer.would_amend.into()),
        ("left_out", answer.left_out.iter().map(String::as_str).collect()),
    ];
    if out.is_table() {
        out.record(&shown(&approval))?;
    } else {
        fields.push(("record", record::value(&record)));
        out.record(&Value::Fields(fields))?;
    }
    Ok(Exit::Done)
}

/// What an approval would make of the task.
const fn would_amend(would: bool) -> &'static str {
    if would {
        "Approved, the task has all of that with the orchestrator's next try: every grant of it may then cover as much.\n"
    } else {
        "Approved, it would come to nothing: it is closed, policy has changed since, or its words were erased.\n"
    }
}

/// What an approval would let the agent have.
fn would_cover(access: &[v1::Access], ttl_max_s: u32) -> String {
    if access.is_empty() {
        return "Approved, it would come to nothing: policy has changed since, or its words were erased.\n".to_owned();
    }
    let mut text = String::from("Approved, the agent's next try gets a token for:\n");
    for each in access {
        let list = |what: &str, of: &[String]| {
            if of.is_empty() { String::new() } else { format!("; {what}: {}", of.join(", ")) }
        };
        let (actions, resources) = (list("actions", &each.actions), list("resources", &each.resources));
        let line = format!("  {}{actions}{resources}; arguments: {}", each.tool, each.arguments_json);
        text.push_str(&harmless(&line, false));
        text.push('\n');
    }
    text.push_str(&format!(
        "It lives {ttl_max_s} s at most each time, and is renewed while the task lasts. It holds the call to the values named above as\n\
         coming from somewhere; other arguments, the words of a message for one, are not compared.\n"
    ));
    text
}
