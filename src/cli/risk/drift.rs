//! `carnet risk drift`.

use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::value::Value;
use crate::cli::output::{Output, say};
use crate::cli::risk::number;
use crate::cli::shown::time;
use crate::pb::v1;
use crate::pb::v1::risk_service_client::RiskServiceClient;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    door: OperatorFirst,
}

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    let mut client = RiskServiceClient::new(args.door.channel().await?);
    let answer = client.get_drift(v1::GetDriftRequest {}).await?.into_inner();
    if out.is_table() {
        let least = (answer.samples_min, answer.families_min);
        let columns = [
            "class",
            "what",
            "psi",
            "drifting",
            "current",
            "current_families",
            "reference",
            "reference_families",
            "set_by",
        ];
        out.rows(&columns, answer.classes.iter().flat_map(|class| rows(class, least)).collect())?;
        let v1::GetDriftResponse { samples_min, families_min, threshold, window_days, .. } = answer;
        say(&format!(
            "drift from an index of {threshold} on; a window takes {samples_min} decisions of {families_min} task families, the \
             current one lasts {window_days} days or until it has them"
        ));
        return Ok(Exit::Done);
    }
    out.record(&Value::Fields(vec![
        ("threshold", number(answer.threshold)),
        ("samples_min", answer.samples_min.into()),
        ("families_min", answer.families_min.into()),
        ("window_days", answer.window_days.into()),
        ("classes", answer.classes.iter().map(class).collect()),
    ]))?;
    Ok(Exit::Done)
}

/// A row for each index; while there is none, one that says what is missing.
fn rows(class: &v1::ClassDrift, (samples_min, families_min): (u64, u64)) -> Vec<Value> {
    let samples = |window: &Option<v1::DriftWindow>| window.as_ref().map_or(0, |window| window.samples);
    let families = |window: &Option<v1::DriftWindow>| window.as_ref().map_or(0, |window| window.families);
    let row = |what: &str, psi: Value, drifting: Value| {
        Value::Fields(vec![
            ("class", class.class.as_str().into()),
            ("what", what.into()),
            ("psi", psi),
            ("drifting", drifting),
            ("current", samples(&class.current).into()),
            ("current_families", families(&class.current).into()),
            ("reference", samples(&class.reference).into()),
            ("reference_families", families(&class.reference).into()),
            ("set_by", Value::text_if_any(&class.set_by)),
        ])
    };
    if class.indices.is_empty() {
        let lacks = |whose: &str, window: &Option<v1::DriftWindow>| {
            let count = |has: u64, min: u64, what: &str| (has < min).then(|| format!("{} {what}", min - has));
            let lacking = [
                count(samples(window), samples_min, "decisions"),
                count(families(window), families_min, "task families"),
            ];
            let lacking: Vec<String> = lacking.into_iter().flatten().collect();
            (!lacking.is_empty()).then(|| format!("{whose} lacks {}", lacking.join(" and ")))
        };
        let lacking = [lacks("the reference", &class.reference), lacks("the current window", &class.current)];
        let lacking: Vec<String> = lacking.into_iter().flatten().collect();
        let what = format!("too few yet: {}", lacking.join(", "));
        return vec![row(&what, Value::Nothing, Value::Nothing)];
    }
    class.indices.iter().map(|index| row(&index.what, number(index.psi), index.drifting.into())).collect()
}

fn class(class: &v1::ClassDrift) -> Value {
    let index = |index: &v1::DriftIndex| {
        Value::Fields(vec![
            ("what", index.what.as_str().into()),
            ("psi", number(index.psi)),
            ("drifting", index.drifting.into()),
        ])
    };
    Value::Fields(vec![
        ("class", class.class.as_str().into()),
        ("indices", class.indices.iter().map(index).collect()),
        ("set_by", Value::text_if_any(&class.set_by)),
        ("set_at", time(class.set_at)),
        ("reference", class.reference.as_ref().map(window).into()),
        ("current", class.current.as_ref().map(window).into()),
    ])
}

fn window(window: &v1::DriftWindow) -> Value {
    let tool =
        |tool: &v1::ToolCount| Value::Fields(vec![("tool", tool.tool.as_str().into()), ("count", tool.count.into())]);
    Value::Fields(vec![
        ("samples", window.samples.into()),
        ("families", window.families.into()),
        ("from", time(window.from)),
        ("until", time(window.until)),
        ("scores", window.scores.iter().copied().collect()),
        ("tools", window.tools.iter().map(tool).collect()),
        ("tools_other", window.tools_other.into()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_of_each_window() {
        let window = |samples, families| Some(v1::DriftWindow { samples, families, ..v1::DriftWindow::default() });
        for (reference, current, told) in [
            (
                None,
                None,
                "the reference lacks 500 decisions and 200 task families, the current window lacks 500 decisions \
                          and 200 task families",
            ),
            (window(500, 40), window(600, 300), "the reference lacks 160 task families"),
            (window(500, 200), window(499, 200), "the current window lacks 1 decisions"),
        ] {
            let class =
                v1::ClassDrift { class: "ai_agent".to_owned(), reference, current, ..v1::ClassDrift::default() };
            let shown = format!("{:?}", rows(&class, (500, 200)));
            assert!(shown.contains(&format!("too few yet: {told}\"")), "{shown}");
        }
    }
}
