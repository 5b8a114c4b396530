//! One decision with all that is known of it, as a value and as a reviewer would want to read it.

use std::fmt::Write as _;

use crate::cli::output::paint::{Paint, Tone, harmless, tone_of};
use crate::cli::output::value::Value;
use crate::cli::shown::{access, amendment, band, event, outcome, provenance, time};
use crate::pb::v1;

/// Everything, in order.
pub(in crate::cli) fn value(record: &v1::DecisionRecord) -> Value {
    let context = record.context.clone().unwrap_or_default();
    Value::Fields(vec![
        ("decision_id", record.decision_id.as_str().into()),
        ("position", record.position.into()),
        ("time", time(record.time)),
        ("question", record.question.as_str().into()),
        ("outcome", outcome(record.outcome).into()),
        ("observed_only", record.observed_only.into()),
        ("instead", Value::text_if_any(outcome(record.instead))),
        ("reasons", record.reasons.iter().map(reason).collect()),
        ("policies", record.policies.iter().map(String::as_str).collect()),
        ("policy_digest", record.policy_digest.as_str().into()),
        ("policy_revision", record.policy_revision.into()),
        ("code_version", record.code_version.as_str().into()),
        ("agent", record.agent.as_str().into()),
        ("agent_class", record.agent_class.as_str().into()),
        ("agent_owner", record.agent_owner.as_str().into()),
        ("orchestrator", record.orchestrator.as_str().into()),
        ("initiator", record.initiator.as_str().into()),
        ("initiator_verified", record.initiator_verified.into()),
        ("initiator_evidence", record.initiator_evidence.as_ref().map_or(Value::Nothing, person)),
        ("task_id", record.task_id.as_str().into()),
        ("unattended", record.unattended.into()),
        ("request_id", record.request_id.as_str().into()),
        ("intent", record.intent.as_str().into()),
        ("purpose", record.purpose.as_str().into()),
        ("erased", record.erased.into()),
        ("audience", record.audience.as_str().into()),
        ("access", record.access.iter().map(recorded_access).collect()),
        ("amendment", record.amendment.as_ref().map_or(Value::Nothing, amendment::value)),
        ("risk", record.risk.into()),
        ("band", band(record.band).into()),
        ("approval_id", Value::text_if_any(&record.approval_id)),
        ("owners", record.owners.iter().map(String::as_str).collect()),
        ("owners_absent", record.owners_absent.iter().map(String::as_str).collect()),
        ("answer_by", time(record.answer_by)),
        ("escalated_at", time(record.escalated_at)),
        ("escalated_to", record.escalated_to.iter().map(String::as_str).collect()),
        ("break_glass_id", Value::text_if_any(&record.break_glass_id)),
        ("break_glass_by", Value::text_if_any(&record.break_glass_by)),
        ("approved_by", record.approved_by.iter().map(String::as_str).collect()),
        ("contributions", record.contributions.iter().map(contribution).collect()),
        ("grant_id", Value::text_if_any(&record.grant_id)),
        ("jti", Value::text_if_any(&record.jti)),
        ("expires", time(record.expires)),
        ("aftermath", record.aftermath.iter().map(event).collect()),
        ("prompt_id", Value::text_if_any(&context.prompt_id)),
        ("tool_call_id", Value::text_if_any(&context.tool_call_id)),
        ("traceparent", Value::text_if_any(&context.traceparent)),
        ("facts", Value::json(&record.facts_json)),
    ])
}

fn person(said: &v1::PersonEvidence) -> Value {
    Value::Fields(vec![
        ("issuer", said.issuer.as_str().into()),
        ("subject", said.subject.as_str().into()),
        ("acr", Value::text_if_any(&said.acr)),
        ("amr", said.amr.iter().map(String::as_str).collect()),
        ("authenticated", time(said.authenticated)),
        ("token", said.token.as_str().into()),
        ("client", said.client.as_str().into()),
        ("token_digest", said.token_digest.as_str().into()),
    ])
}

fn reason(reason: &v1::RecordedReason) -> Value {
    Value::Fields(vec![
        ("code", reason.code.as_str().into()),
        ("access", reason.access.into()),
        ("policy", Value::text_if_any(&reason.policy)),
        ("controls", reason.controls.iter().map(String::as_str).collect()),
        ("message", reason.message.as_str().into()),
    ])
}

fn recorded_access(recorded: &v1::RecordedAccess) -> Value {
    let sink = |sink: &v1::RecordedSink| {
        Value::Fields(vec![
            ("name", sink.name.as_str().into()),
            ("value", sink.value.as_str().into()),
            ("provenance", provenance(sink.provenance).into()),
            ("evidence", sink.evidence.as_str().into()),
            ("evidence_position", sink.evidence_position.into()),
        ])
    };
    let Value::Fields(mut fields) = recorded.access.as_ref().map_or(Value::Fields(Vec::new()), access) else {
        return Value::Nothing;
    };
    fields.extend([
        ("effect", recorded.effect.as_str().into()),
        ("ceiling", recorded.ceiling.as_str().into()),
        ("intent_fit", recorded.intent_fit.as_str().into()),
        ("sinks", recorded.sinks.iter().map(sink).collect()),
    ]);
    Value::Fields(fields)
}

fn contribution(contribution: &v1::Contribution) -> Value {
    Value::Fields(vec![
        ("signal", contribution.signal.as_str().into()),
        ("source", contribution.source.as_str().into()),
        ("points", contribution.points.into()),
        ("counted", contribution.counted.into()),
        ("explanation", contribution.explanation.as_str().into()),
    ])
}

/// As a reviewer would want to read it: who asked, for whom and why, what was known, what added to the risk, who decided, and
/// what became of it.
pub(in crate::cli) fn story(record: &v1::DecisionRecord, paint: Paint) -> String {
    let mut page = Page::new(paint);
    page.headline(record);
    page.who(record);
    page.asked(record);
    if let Some(changes) = &record.amendment {
        amendment::story(&mut page, changes);
    }
    page.risk(record);
    page.decided(record);
    page.aftermath(record);
    page.text
}

/// Width of the labels on the left.
const LABEL_CHARS: usize = 13;

/// A page of labelled lines under headings.
pub(in crate::cli) struct Page {
    pub(in crate::cli) text: String,
    paint: Paint,
}

impl Page {
    pub(in crate::cli) const fn new(paint: Paint) -> Self {
        Self { text: String::new(), paint }
    }

    pub(in crate::cli) fn line(&mut self, label: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        let label = self.paint.tone(Tone::Faint, &format!("{label:<LABEL_CHARS$}")).into_owned();
        let mut lines = text.lines();
        let _infallible = writeln!(self.text, "{label}{}", harmless(lines.next().unwrap_or_default(), false));
        for more in lines {
            let _infallible = writeln!(self.text, "{}{}", " ".repeat(LABEL_CHARS), harmless(more, false));
        }
    }

    pub(in crate::cli) fn painted(&mut self, label: &str, tone: Option<Tone>, word: &str, rest: &str) {
        let label = self.paint.tone(Tone::Faint, &format!("{label:<LABEL_CHARS$}")).into_owned();
        let word = harmless(word, false);
        let word = tone.map_or_else(|| word.clone(), |tone| self.paint.tone(tone, &word));
        let _infallible = writeln!(self.text, "{label}{word}{}", harmless(rest, false));
    }

    pub(in crate::cli) fn heading(&mut self, text: &str) {
        let text = self.paint.tone(Tone::Strong, text).into_owned();
        let _infallible = writeln!(self.text, "\n{text}");
    }

    fn headline(&mut self, record: &v1::DecisionRecord) {
        let word = outcome(record.outcome);
        let what = match record.question.as_str() {
            "request" => "a request for a credential",
            "retain" => "whether a live grant may stay",
            "register" => "the registration of a task",
            "amend" => "the amendment of a task",
            other => other,
        };
        self.painted("decision", None, &record.decision_id, "");
        self.painted("outcome", tone_of(word), word, &format!(" on {what}"));
        if record.observed_only {
            let instead = outcome(record.instead);
            self.painted("instead", tone_of(instead), instead, ": would have been withheld; observed only");
        }
        let at = time(record.time).inline();
        self.line("time", &format!("{at}, position {} of the journal", record.position));
    }

    fn who(&mut self, record: &v1::DecisionRecord) {
        self.heading("Who asked, for whom, and why");
        let owner = if record.agent_owner.is_empty() { "nobody" } else { &record.agent_owner };
        self.line("agent", &format!("{} ({}, answered for by {owner})", record.agent, record.agent_class));
        self.line("orchestrator", &record.orchestrator);
        let verified = if record.initiator_verified { "verified" } else { "as the orchestrator says" };
        if !record.initiator.is_empty() {
            self.line("initiator", &format!("{} ({verified})", record.initiator));
        }
        if let Some(said) = &record.initiator_evidence {
            let of =
                |what: &str, value: &str| if value.is_empty() { String::new() } else { format!(", {what} {value}") };
            let (acr, amr) = (of("acr", &said.acr), of("amr", &said.amr.join(" ")));
            let at = of("authenticated at", &time(said.authenticated).inline());
            self.line("by", &format!("account {} of {}{acr}{amr}{at}", said.subject, said.issuer));
        }
        let unattended = if record.unattended { " (nobody attends it)" } else { "" };
        self.line("task", &format!("{}{unattended}", record.task_id));
        if record.erased {
            self.line("words", "erased; what was concluded from them stands");
        }
        self.line("intent", &record.intent);
        if !record.purpose.is_empty() {
            self.line("purpose", &format!("{} (the agent's own words)", record.purpose));
        }
        let context = record.context.clone().unwrap_or_default();
        self.line("prompt", &context.prompt_id);
        self.line("tool call", &context.tool_call_id);
        self.line("trace", &context.traceparent);
    }

    fn asked(&mut self, record: &v1::DecisionRecord) {
        if record.access.is_empty() {
            return;
        }
        self.heading("What was asked, and what was known");
        self.line("audience", &record.audience);
        for (at, recorded) in record.access.iter().enumerate() {
            let access = recorded.access.clone().unwrap_or_default();
            let fit = |words: &str| words.replace('_', " ");
            self.line(
                &format!("access {at}"),
                &format!(
                    "{} ({}); ceiling: {}; intent: {}",
                    access.tool,
                    recorded.effect,
                    fit(&recorded.ceiling),
                    fit(&recorded.intent_fit)
                ),
            );
            if access.arguments_json.len() > 2 {
                self.line("", &access.arguments_json);
            }
            for sink in &recorded.sinks {
                let from = provenance(sink.provenance);
                let tone = if matches!(from, "text" | "none") { Tone::Caution } else { Tone::Good };
                let seen = if sink.evidence.is_empty() { String::new() } else { format!(", {}", sink.evidence) };
                let at = match sink.evidence_position {
                    0 => String::new(),
                    position => format!(" (position {position})"),
                };
                self.painted("", None, &format!("{} = {} ", sink.name, sink.value), "");
                self.text.pop();
                let from = self.paint.tone(tone, from).into_owned();
                let _infallible = writeln!(self.text, "from {from}{}{at}", harmless(&seen, false));
            }
        }
    }

    fn risk(&mut self, record: &v1::DecisionRecord) {
        self.heading("Risk");
        let word = band(record.band);
        self.painted("score", tone_of(word), &format!("{} of 100, {word}", record.risk), "");
        for each in &record.contributions {
            let capped = if each.counted < each.points { format!(" of {}", each.points) } else { String::new() };
            self.line(
                "",
                &format!("+{}{capped}  {} ({})  {}", each.counted, each.signal, each.source, each.explanation),
            );
        }
    }

    fn decided(&mut self, record: &v1::DecisionRecord) {
        self.heading("Why");
        for reason in &record.reasons {
            let at = reason.access.map_or_else(String::new, |at| format!(" (access {at})"));
            let by = if reason.policy.is_empty() { String::new() } else { format!(" by policy `{}`", reason.policy) };
            self.line("reason", &format!("{}{at}{by}: {}", reason.code, reason.message));
            if !reason.controls.is_empty() {
                self.line("", &format!("controls: {}", reason.controls.join(", ")));
            }
        }
        let by = record.approved_by.join(", ");
        let said = if by.is_empty() { "people were asked".to_owned() } else { format!("approved by {by}") };
        if !record.approval_id.is_empty() {
            self.line("people", &format!("{said} ({})", record.approval_id));
            self.whom_asked(record);
        }
        if !record.break_glass_id.is_empty() {
            self.line("glass", &format!("opened by {} ({})", record.break_glass_by, record.break_glass_id));
        }
        self.line("policies", &record.policies.join(", "));
        let digest: String = record.policy_digest.chars().take(16).collect();
        self.line("bundle", &format!("revision {}, {digest}…, Carnet {}", record.policy_revision, record.code_version));
    }

    /// For whom it was, and that they did not answer in time.
    fn whom_asked(&mut self, record: &v1::DecisionRecord) {
        let whom = match v1::Outcome::try_from(record.outcome) {
            _ if !record.owners.is_empty() => format!("owners: {}", record.owners.join(", ")),
            Ok(v1::Outcome::StepUp) => "the initiator".to_owned(),
            Ok(v1::Outcome::Review) => "whoever reviews".to_owned(),
            _ => String::new(),
        };
        let absent = match record.owners_absent.as_slice() {
            [] => String::new(),
            absent => format!("; nobody could answer for {}", absent.join(", ")),
        };
        self.line("for", &format!("{whom}{absent}"));
        if record.answer_by.is_some() {
            self.line("until", &time(record.answer_by).inline());
        }
        if record.escalated_at.is_some() {
            let to = match record.escalated_to.as_slice() {
                [] => String::new(),
                to => format!(", told to {}", to.join(", ")),
            };
            self.line("escalated", &format!("{}{to}", time(record.escalated_at).inline()));
        }
    }

    fn aftermath(&mut self, record: &v1::DecisionRecord) {
        if record.grant_id.is_empty() && record.aftermath.is_empty() {
            return;
        }
        self.heading("What became of it");
        self.line("grant", &record.grant_id);
        self.line("token", &record.jti);
        self.line("expires", &time(record.expires).inline());
        for event in &record.aftermath {
            let word = outcome(event.outcome);
            let word = if word.is_empty() { String::new() } else { format!(" [{word}]") };
            self.line(
                &format!("at {}", event.position),
                &format!("{}  {}{word}  {}", time(event.time).inline(), event.kind, event.summary),
            );
        }
    }
}
