//! A decision that was made here, over facts of a file or of a test, and one policy: as values, and as a reviewer reads them.

use crate::broker::amend_asking::wire_ceiling;
use crate::cli::output::paint::{Paint, tone_of};
use crate::cli::output::value::Value;
use crate::cli::shown::amendment;
use crate::cli::shown::record::Page;
use crate::model::decision::{Decision, Outcome, Reason};
use crate::model::facts::{EntryFacts, Facts, Question};
use crate::model::reason::ReasonCode;
use crate::model::risk::Contribution;
use crate::policy::cases::{Case, CaseResult};
use crate::policy::explain::{Explanation, Origin};
use crate::policy::rules::{Route, Rule, RuleEffect};
use crate::risk::derive::{dictated_in_words, sink_in_words};

/// Everything, in order.
pub(in crate::cli) fn value(explanation: &Explanation<'_>, case: Option<&Case>) -> Value {
    let (facts, decision) = (explanation.facts, &explanation.decision);
    let risk = &decision.risk;
    Value::Fields(vec![
        ("case", case.map(|case| case.name.as_str()).into()),
        ("file", case.map(|case| case.path.as_str()).into()),
        ("as_expected", case.map(|case| case.failure(decision, &explanation.route).is_none()).into()),
        ("failure", case.and_then(|case| case.failure(decision, &explanation.route)).into()),
        ("question", facts.question.as_str().into()),
        ("outcome", decision.outcome.as_str().into()),
        ("observed_only", decision.observed_only().into()),
        ("cure", explanation.cure().into()),
        ("approvals_needed", decision.approvals_needed.into()),
        ("route", explanation.route.iter().map(|owner| owner.as_str()).collect()),
        ("ttl_max_s", decision.ttl_max.as_secs().into()),
        ("reasons", decision.reasons.iter().map(|reason| reason_value(explanation, reason)).collect()),
        ("permits", explanation.permits.iter().map(|rule| applied(rule)).collect()),
        ("forbids", explanation.forbids.iter().map(|rule| applied(rule)).collect()),
        ("score", u32::from(risk.score.points()).into()),
        ("band", risk.band.as_str().into()),
        ("band_assumed", explanation.assumed.is_some().into()),
        ("floor", asks_something(explanation.floor).map(Outcome::as_str).into()),
        ("contributions", explanation.weighed.contributions.iter().map(contribution).collect()),
        ("score_weighed", u32::from(explanation.weighed.score.points()).into()),
        ("band_weighed", explanation.weighed.band.as_str().into()),
        ("entries", entries(decision)),
        ("facts", serde_json::to_value(facts).map_or(Value::Nothing, Value::Json)),
    ])
}

fn asks_something(floor: Outcome) -> Option<Outcome> {
    Some(floor).filter(|floor| *floor != Outcome::Granted)
}

fn reason_value(explanation: &Explanation<'_>, reason: &Reason) -> Value {
    let origin = explanation.origin(reason);
    let rule = if let Origin::Policy(rule) = origin { Some(rule) } else { None };
    Value::Fields(vec![
        ("code", reason.code.as_str().into()),
        ("access", reason.entry.into()),
        ("origin", origin.in_words().into()),
        ("asks_for", asks(origin).map(Outcome::as_str).into()),
        ("policy", rule.map(|rule| rule.id.to_string()).into()),
        ("description", rule.map(|rule| rule.description.as_str()).into()),
        ("sentence", reason.in_words().into()),
        ("told_to_the_agent", reason.code.for_agent().into()),
    ])
}

/// What a reason asks for, where it is known by itself.
fn asks(origin: Origin<'_>) -> Option<Outcome> {
    match origin {
        Origin::Policy(rule) => of_forbid(rule).1,
        Origin::Band(outcome) => Some(outcome),
        Origin::NoPermit | Origin::Failed => Some(Outcome::Denied),
        Origin::Life => Some(Outcome::Narrowed),
        Origin::Structure => None,
    }
}

fn applied(rule: &Rule) -> Value {
    Value::Fields(vec![
        ("policy", rule.id.to_string().into()),
        ("asks_for", asks(Origin::Policy(rule)).map(Outcome::as_str).into()),
        ("ttl_s", rule.ttl.map(|ttl| ttl.as_secs()).into()),
        ("description", rule.description.as_str().into()),
    ])
}

fn contribution(contribution: &Contribution) -> Value {
    Value::Fields(vec![
        ("signal", contribution.signal.to_string().into()),
        ("source", contribution.source.as_str().into()),
        ("points", contribution.points.into()),
        ("counted", contribution.counted.into()),
        ("explanation", contribution.explanation.as_str().into()),
    ])
}

fn entries(decision: &Decision) -> Value {
    let entry = |entry: &crate::model::decision::EntryDecision| {
        Value::Fields(vec![
            ("tool", entry.tool.to_string().into()),
            ("outcome", entry.outcome.as_str().into()),
            ("included", entry.included.into()),
            ("calls_max", entry.calls_max.into()),
        ])
    };
    decision.entries.iter().map(entry).collect()
}

/// As a reviewer reads it: what was answered and what would cure it, what was asked and known, what added to the score, and which
/// policies said what.
pub(in crate::cli) fn story(explanation: &Explanation<'_>, case: Option<&Case>, paint: Paint) -> String {
    let mut page = Page::new(paint);
    headline(&mut page, explanation, case);
    known(&mut page, explanation.facts);
    risk(&mut page, explanation);
    why(&mut page, explanation);
    page.text
}

fn headline(page: &mut Page, explanation: &Explanation<'_>, case: Option<&Case>) {
    let decision = &explanation.decision;
    if let Some(case) = case {
        page.line("case", &format!("{} (`{}`)", case.name, case.path));
    }
    let word = decision.outcome.as_str();
    let what = match explanation.facts.question {
        Question::Request => "a request for a credential",
        Question::Retain => "whether a live grant may stay",
        Question::Register => "the registration of a task",
        Question::Amend => "the amendment of a task",
        Question::BreakGlass => "the opening of break-glass",
        Question::Approve => "the yes of a person",
    };
    page.painted("outcome", tone_of(word), word, &format!(" on {what}"));
    if decision.observed_only() {
        let instead = decision.in_force().as_str();
        page.painted("instead", tone_of(instead), instead, ": would have been withheld; observed only");
    }
    if let Some(failure) = case.and_then(|case| case.failure(decision, &explanation.route)) {
        page.painted("", tone_of("refused"), "not as the case expects", &format!(": {failure}"));
    }
    page.line("cure", &explanation.cure());
    if explanation.facts.registration.is_none() && decision.outcome != Outcome::Denied {
        page.line("longest life", &decision.ttl_max.to_string());
    }
}

fn known(page: &mut Page, facts: &Facts) {
    page.heading("What was asked, and what was known");
    let (who, initiator) = (&facts.principal, &facts.initiator);
    let owner = who.owner.as_ref().map_or("nobody", |owner| owner.as_str());
    page.line(
        "who",
        &format!("{} ({}, answered for by {owner}, by {})", who.id, who.class, who.authentication.as_str()),
    );
    let changes: Vec<&str> = who.profile_changes.iter().map(|part| part.as_str()).collect();
    if !changes.is_empty() {
        page.line("changed", &format!("{} since the task was registered", changes.join(", ")));
    }
    let verified = if initiator.verified { "verified" } else { "as the orchestrator says" };
    page.line("initiator", &format!("{} ({verified})", initiator.name));
    let task = &facts.task;
    let life = format!("{}, {} s left, depth {}", task.state.as_str(), task.remaining_s, task.depth);
    let blocks = if task.blocks.is_empty() { String::new() } else { format!(", blocked: {}", task.blocks.join(", ")) };
    page.line("task", &format!("{life}{blocks}"));
    let session = &facts.session;
    let mut seen = vec![format!("{} calls", session.calls)];
    seen.extend(session.untrusted_input.then(|| "untrusted input".to_owned()));
    seen.extend(session.carries.iter().map(|class| format!("carries {class}")));
    seen.extend(session.overflowed.then(|| "more than is kept".to_owned()));
    page.line("seen so far", &seen.join(", "));
    if let Some(audience) = &facts.audience {
        page.line("audience", audience.as_str());
    }
    for (number, entry) in facts.entries.iter().enumerate() {
        asked(page, number, entry);
    }
    if let Some(asked) = &facts.registration {
        let class = asked.agent_class.map_or("unknown", |class| class.as_str());
        page.line("asks for", &format!("{} s for an agent of class {class}", asked.life_s));
        page.line("ceiling", &amendment::in_words(asked.ceiling.as_ref().map(wire_ceiling).as_ref()));
        for what in asked.amends.iter().flat_map(|amends| &amends.adds) {
            page.line("adds", what);
        }
    }
}

fn asked(page: &mut Page, number: usize, entry: &EntryFacts) {
    let fit = entry.intent_fit.verdict.as_str().replace('_', " ");
    let line = format!("{}; ceiling: {}; intent: {fit}", entry.tool, entry.ceiling.as_str());
    page.line(&format!("access {number}"), &line);
    for sink in &entry.sinks {
        page.line("", &format!("{} = {}: {}", sink.name, sink.value, sink_in_words(sink)));
    }
    for conflict in &entry.conflicts {
        page.line("", &format!("`{}` was used before by this {}", conflict.with, conflict.within));
    }
    for dictated in &entry.dictated {
        page.line("", &dictated_in_words(dictated));
    }
}

fn risk(page: &mut Page, explanation: &Explanation<'_>) {
    let (risk, weighed) = (&explanation.decision.risk, &explanation.weighed);
    page.heading("Risk");
    let band = risk.band.as_str();
    if explanation.assumed.is_some() {
        page.painted("band", tone_of(band), band, ", as the case assumes");
        let text = format!("weighed, the facts would score {} of 100, {}", weighed.score.points(), weighed.band);
        page.line("", &text);
    } else {
        page.painted("score", tone_of(band), &format!("{} of 100, {band}", risk.score.points()), "");
    }
    for each in &weighed.contributions {
        let capped = if each.counted < each.points { format!(" of {}", each.points) } else { String::new() };
        page.line("", &format!("+{}{capped}  {} ({})  {}", each.counted, each.signal, each.source, each.explanation));
    }
    let floor = asks_something(explanation.floor);
    let floor = floor.map_or_else(|| "nothing".to_owned(), |floor| format!("{floor} at least"));
    page.line("floor", &format!("the band asks for {floor}"));
}

fn why(page: &mut Page, explanation: &Explanation<'_>) {
    page.heading("Why");
    if explanation.decision.reasons.is_empty() {
        page.line("reason", "nothing speaks against it");
    }
    for reason in &explanation.decision.reasons {
        let at = reason.entry.map_or_else(String::new, |at| format!(" (access {at})"));
        let origin = explanation.origin(reason);
        let asks = asks(origin).map_or_else(String::new, |outcome| format!(" → {outcome}"));
        page.line("reason", &format!("{}{at}{asks}, {}", reason.code, origin.in_words()));
        page.line("", &reason.in_words());
        if let Origin::Policy(rule) = origin {
            page.line("", &rule.description);
        }
    }
    let names = |rules: &[&Rule]| {
        let life = |rule: &&Rule| rule.ttl.map_or_else(|| rule.id.to_string(), |ttl| format!("{} ({ttl})", rule.id));
        if rules.is_empty() { "none".to_owned() } else { rules.iter().map(life).collect::<Vec<_>>().join(", ") }
    };
    page.line("permits", &names(&explanation.permits));
    page.line("forbids", &names(&explanation.forbids));
    for entry in &explanation.decision.entries {
        let left_out = explanation.decision.outcome.is_grant() && !entry.included;
        if left_out {
            page.line("left out", entry.tool.as_str());
        }
    }
}

/// One policy, and the cases that make it fire.
pub(in crate::cli) fn policy_value(rule: &Rule, fires: &[&CaseResult]) -> Value {
    let (reason, outcome, approvals) = of_forbid(rule);
    let case = |case: &&CaseResult| {
        Value::Fields(vec![
            ("file", case.path.as_str().into()),
            ("test", case.name.as_str().into()),
            ("outcome", case.outcome.as_str().into()),
        ])
    };
    Value::Fields(vec![
        ("policy", rule.id.to_string().into()),
        ("file", rule.path.as_str().into()),
        ("effect", if reason.is_some() { "forbid" } else { "permit" }.into()),
        ("description", rule.description.as_str().into()),
        ("reason", reason.map(ReasonCode::as_str).into()),
        ("outcome", outcome.map(Outcome::as_str).into()),
        ("approvals", approvals.into()),
        ("route", outcome.filter(|outcome| *outcome == Outcome::Review).map(|_| rule.route.as_str()).into()),
        ("ttl_s", rule.ttl.map(|ttl| ttl.as_secs()).into()),
        ("unbound_s", rule.unbound.map(|ttl| ttl.as_secs()).into()),
        ("controls", rule.controls.iter().map(String::as_str).collect()),
        ("text", rule.text().into()),
        ("cases", fires.iter().map(case).collect()),
    ])
}

fn of_forbid(rule: &Rule) -> (Option<ReasonCode>, Option<Outcome>, Option<u32>) {
    match rule.effect {
        RuleEffect::Permit => (None, None, None),
        RuleEffect::Forbid { reason, outcome, approvals } => {
            (Some(reason), Some(outcome), Some(approvals).filter(|_| outcome == Outcome::Review))
        }
    }
}

/// The same, to be read.
pub(in crate::cli) fn policy_page(rule: &Rule, fires: &[&CaseResult], paint: Paint) -> String {
    let mut page = Page::new(paint);
    let (reason, outcome, approvals) = of_forbid(rule);
    page.line("policy", &format!("{} (`{}`)", rule.id, rule.path));
    page.line("", &rule.description);
    match (reason, outcome) {
        (Some(reason), Some(outcome)) => {
            let word = outcome.as_str();
            let by = approvals.map_or_else(String::new, |n| format!(", approvals: {n}"));
            let owner = if rule.route == Route::Owner { ", one of them for the tool's owner" } else { "" };
            page.painted("asks for", tone_of(word), word, &format!("{by}{owner}"));
            page.line("reason", &format!("{reason}: {}", reason.for_reviewer()));
            page.line("agents hear", reason.for_agent());
        }
        _ => page.line("effect", "permits"),
    }
    page.line("longest life", &rule.ttl.map(|ttl| ttl.to_string()).unwrap_or_default());
    page.line("unbound life", &rule.unbound.map(|ttl| ttl.to_string()).unwrap_or_default());
    page.line("controls", &rule.controls.join(", "));
    page.heading("Text");
    page.line("", &rule.text());
    page.heading("Cases that make it fire");
    if fires.is_empty() {
        page.line("", "none: what it says is not tested");
    }
    for case in fires {
        page.line(case.outcome.as_str(), &format!("{} (`{}`)", case.name, case.path));
    }
    page.text
}
