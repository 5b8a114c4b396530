//! What an amendment makes of a task: what it has, what it gets, and the difference in words.

use crate::cli::output::value::Value;
use crate::cli::shown::record::Page;
use crate::cli::shown::{ceiling, pattern_in_words, time};
use crate::pb::v1;

/// All of it, in order.
pub(in crate::cli) fn value(amendment: &v1::Amendment) -> Value {
    Value::Fields(vec![
        ("asked_by", amendment.asked_by.as_str().into()),
        ("adds", amendment.adds.iter().map(String::as_str).collect()),
        ("takes", amendment.takes.iter().map(String::as_str).collect()),
        ("deadline_before", time(amendment.deadline_before)),
        ("deadline", time(amendment.deadline)),
        ("ceiling_before", amendment.ceiling_before.as_ref().map(ceiling).into()),
        ("ceiling", amendment.ceiling.as_ref().map(ceiling).into()),
    ])
}

/// What it changes, in short.
pub(in crate::cli) fn in_short(amendment: &v1::Amendment) -> Value {
    let longer = (amendment.deadline_before != amendment.deadline).then(|| format!("ends {}", deadline(amendment)));
    let takes = amendment.takes.iter().map(|what| format!("no longer: {what}"));
    amendment.adds.iter().cloned().chain(takes).chain(longer).map(Value::Text).collect()
}

/// As a reviewer would want to read it.
pub(in crate::cli) fn story(page: &mut Page, amendment: &v1::Amendment) {
    page.heading("What the task has, and what it would have");
    page.line("asked by", &amendment.asked_by);
    for what in &amendment.adds {
        page.line("adds", what);
    }
    for what in &amendment.takes {
        page.line("takes away", what);
    }
    let changes = amendment.deadline_before != amendment.deadline;
    let unchanged = || format!("{}, as before", time(amendment.deadline).inline());
    page.line("deadline", &if changes { deadline(amendment) } else { unchanged() });
    let same = amendment.ceiling_before == amendment.ceiling;
    page.line(if same { "ceiling" } else { "before" }, &in_words(amendment.ceiling_before.as_ref()));
    if !same {
        page.line("after", &in_words(amendment.ceiling.as_ref()));
    }
}

fn deadline(amendment: &v1::Amendment) -> String {
    format!("{} instead of {}", time(amendment.deadline).inline(), time(amendment.deadline_before).inline())
}

/// A ceiling, one tool a line.
pub(in crate::cli) fn in_words(ceiling: Option<&v1::Ceiling>) -> String {
    let Some(ceiling) = ceiling else { return "no ceiling".to_owned() };
    let mut lines: Vec<String> = ceiling.tools.iter().map(tool).collect();
    if lines.is_empty() {
        lines.push("no tool".to_owned());
    }
    if !ceiling.data_classes.is_empty() {
        lines.push(format!("no data but of the classes {}", ceiling.data_classes.join(", ")));
    }
    lines.extend(ceiling.ttl_max.map(|span| format!("no token lives longer than {} s", span.seconds)));
    lines.join("\n")
}

fn tool(tool: &v1::ToolCeiling) -> String {
    let mut parts = Vec::new();
    let mut list = |what: &str, of: &[String]| {
        if !of.is_empty() {
            parts.push(format!("{what} {}", of.join(", ")));
        }
    };
    list("actions", &tool.actions);
    let resources = [tool.resources.as_slice(), tool.resource_patterns.as_slice()].concat();
    list("resources", &resources);
    for sink in &tool.sinks {
        let patterns = sink.patterns.iter().map(|pattern| {
            let (kind, text) = pattern_in_words(pattern);
            format!("{} {text}", kind.replace('_', " "))
        });
        let allowed: Vec<String> = sink.values.iter().cloned().chain(patterns).collect();
        list(&format!("`{}` is", sink.sink), &allowed);
        let caps = [("in one call", &sink.per_call_max), ("in total", &sink.total_max)];
        for (of, most) in caps.into_iter().filter(|(_, most)| !most.is_empty()) {
            list(&format!("`{}`", sink.sink), &[format!("up to {most} {of}")]);
        }
    }
    parts.extend(tool.calls_max.map(|most| format!("{most} calls")));
    if parts.is_empty() { tool.tool.clone() } else { format!("{}: {}", tool.tool, parts.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::paint::Paint;

    fn of_tools(tools: &[&str]) -> Option<v1::Ceiling> {
        let tool = |name: &&str| v1::ToolCeiling { tool: (*name).to_owned(), ..v1::ToolCeiling::default() };
        Some(v1::Ceiling { tools: tools.iter().map(tool).collect(), ..v1::Ceiling::default() })
    }

    #[test]
    fn an_amendment_is_told_as_a_difference_and_whole() {
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let mut after = of_tools(&["tickets.read", "payments.pay"]);
        if let Some(pay) = after.as_mut().and_then(|ceiling| ceiling.tools.last_mut()) {
            pay.calls_max = Some(2);
            pay.sinks = vec![v1::SinkCeiling {
                sink: "amount".to_owned(),
                values: Vec::new(),
                per_call_max: "50".to_owned(),
                total_max: "80".to_owned(),
                patterns: Vec::new(),
            }];
            pay.resource_patterns = vec!["ledgers/2026/*".to_owned()];
            let domain = v1::sink_pattern::Pattern::Domain("*.acme.test".to_owned());
            let patterns = vec![v1::SinkPattern { pattern: Some(domain) }];
            let payee = v1::SinkCeiling { sink: "payee".to_owned(), patterns, ..v1::SinkCeiling::default() };
            pay.sinks.push(payee);
        }
        let amendment = v1::Amendment {
            asked_by: "spiffe://dev.carnet.test/orchestrator/desk".to_owned(),
            ceiling_before: of_tools(&["tickets.read", "mail.send"]),
            ceiling: after,
            deadline_before: at(0),
            deadline: at(60),
            adds: vec!["reaches `payments.pay`".to_owned()],
            takes: vec!["reaches `mail.send`".to_owned()],
        };
        let mut page = Page::new(Paint::NONE);
        story(&mut page, &amendment);
        for part in [
            "spiffe://dev.carnet.test/orchestrator/desk",
            "adds         reaches `payments.pay`",
            "takes away   reaches `mail.send`",
            "deadline     1970-01-01T00:01:00Z instead of 1970-01-01T00:00:00Z",
            "before       tickets.read\n             mail.send",
            "payments.pay: resources ledgers/2026/*; `amount` up to 50 in one call; `amount` up to 80 in total; \
             `payee` is domain *.acme.test; 2 calls",
        ] {
            assert!(page.text.contains(part), "{part}: {}", page.text);
        }
        let short = in_short(&amendment).inline();
        assert!(short.contains("no longer: reaches `mail.send`") && short.contains("ends 1970"), "{short}");
        let same = v1::Amendment { ceiling: amendment.ceiling_before.clone(), deadline: at(0), ..amendment };
        let mut page = Page::new(Paint::NONE);
        story(&mut page, &same);
        assert!(page.text.contains("as before") && !page.text.contains("after "), "{}", page.text);
    }
}
