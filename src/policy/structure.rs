//! What is checked before any policy is asked, because no policy may waive it: proof of a key, the task's standing,
//! blocks, what the catalogue knows, and the ceiling.

use std::collections::HashSet;

use super::combine::{Finding, Offer};
use crate::catalogue::tool::{Catalogue, Tool};
use crate::model::ceiling::{Breach, Ceiling, CeilingFit};
use crate::model::decision::Outcome::{Denied, Narrowed};
use crate::model::facts::{EntryFacts, FACTS_VERSION, Facts, Question, RegistrationFacts};
use crate::model::glass::names_break_glass;
use crate::model::identity::{Authentication, IdentityClass};
use crate::model::pattern::{Pattern as _, SinkPattern, is_misplaced_in};
use crate::model::reason::ReasonCode;
use crate::model::sink::SinkKind;
use crate::model::task::TaskState;

/// What concerns the whole question.
pub(in crate::policy) fn whole(facts: &Facts) -> Vec<Finding> {
    let mut out = Vec::new();
    let mut deny = |holds: bool, code: ReasonCode, detail: &str| {
        if holds {
            out.push(Finding::whole(Denied, code, detail));
        }
    };
    let task = &facts.task;
    let of_use = matches!(facts.question, Question::Request | Question::Retain | Question::BreakGlass);
    let later = facts.version > FACTS_VERSION;
    deny(later, ReasonCode::PolicyError, "the facts are of a later version");
    deny(!facts.principal.known, ReasonCode::IdentityUnknown, "");
    // A token that proves no key is enough for everything but a token; whether for that, `decide` asks the permits.
    let shown = facts.principal.authentication;
    let workload = matches!(shown, Authentication::X509Svid | Authentication::JwtSvid);
    deny(!workload, ReasonCode::KeyNotProven, shown.as_str());
    deny(task.state.is_ended(), ReasonCode::TaskEnded, task.state.as_str());
    // A pause suspends by a cause of its own; to deny the staying of a live grant would end it. Below a paused task nothing is
    // arranged either.
    let begins = matches!(facts.question, Question::Request | Question::Register | Question::BreakGlass);
    let paused = task.state == TaskState::Paused && begins;
    deny(paused, ReasonCode::TaskPaused, "");
    deny(task.remaining_s == 0 && !task.state.is_ended(), ReasonCode::DeadlinePassed, "");
    deny(!task.blocks.is_empty(), ReasonCode::Blocked, &task.blocks.join(", "));
    deny(of_use && !task.audience_allowed, ReasonCode::AudienceNotInTask, "");
    deny(of_use && facts.entries.is_empty(), ReasonCode::NoPermit, "nothing is asked for");
    if facts.question == Question::Retain && task.outlived {
        // A renewal gives it the life that is left.
        out.push(Finding::whole(Narrowed, ReasonCode::OutlivesTask, ""));
    }
    out
}

/// What concerns a registration or an amendment.
pub(in crate::policy) fn registration(asked: &RegistrationFacts, catalogue: &Catalogue) -> Vec<Finding> {
    let mut out = Vec::new();
    if !asked.agent_class.is_some_and(IdentityClass::works_on_tasks) {
        let class = asked.agent_class.map_or("unknown", IdentityClass::as_str);
        out.push(Finding::whole(Denied, ReasonCode::AgentNotEligible, class));
    }
    if !asked.beyond_parent.is_empty() {
        out.push(Finding::whole(Denied, ReasonCode::ParentExceeded, asked.beyond_parent.join(", ")));
    }
    let before = asked.amends.as_ref().and_then(|amends| amends.ceiling_before.as_ref());
    out.extend(asked.ceiling.iter().flat_map(|ceiling| misplaced(ceiling, before, catalogue)));
    out
}

/// What a ceiling says that the catalogue does not have, or that means nothing there: who declares it means something else. What the task
/// had said before is no reason against amending it, to less above all: the catalogue may be another one since.
fn misplaced(ceiling: &Ceiling, before: Option<&Ceiling>, catalogue: &Catalogue) -> Vec<Finding> {
    let (mut unknown, mut wrong) = (Vec::new(), Vec::new());
    for limits in &ceiling.tools {
        let had = before.and_then(|before| before.tool(&limits.tool));
        let tool = catalogue.tool(&limits.tool);
        if tool.is_none() && had.is_none() {
            unknown.push(limits.tool.as_str());
        }
        for sink in &limits.sinks {
            let had = had.and_then(|had| had.sink(&sink.sink));
            let kind = tool.and_then(|t| t.sink(&sink.sink)).map(|spec| spec.kind);
            let at = format!("`{}` of `{}`", sink.sink, limits.tool);
            let uncounted = tool.is_some() && kind != Some(SinkKind::Amount);
            if uncounted && sink.total_max.is_some() && had.is_none_or(|had| had.total_max.is_none()) {
                wrong.push(format!("a total of {at}, which the catalogue does not call an amount"));
            }
            let kind = kind.unwrap_or(SinkKind::Other);
            let had_values: HashSet<&String> = had.iter().flat_map(|had| &had.values).collect();
            let mut news = sink.values.iter().filter(|value| !had_values.contains(value));
            if news.any(|value| is_misplaced_in(kind, value)) {
                let hint = "values are compared as they stand, and patterns go into `patterns`";
                wrong.push(format!("a `*` in a value for {at}: {hint}"));
            }
            let news = sink.patterns.iter().filter(|pattern| had.is_none_or(|had| !had.patterns.contains(pattern)));
            wrong.extend(news.filter_map(|pattern| of_nothing(pattern, kind, &at, catalogue)));
        }
    }
    let mut out = Vec::new();
    if !unknown.is_empty() {
        out.push(Finding::whole(Denied, ReasonCode::ToolUnknown, unknown.join(", ")));
    }
    if !wrong.is_empty() {
        out.push(Finding::whole(Denied, ReasonCode::InvalidArgument, wrong.join(", ")));
    }
    out
}

/// What is wrong with a pattern that no value of its sink can be in, or a set that nobody names.
fn of_nothing(pattern: &SinkPattern, kind: SinkKind, at: &str, catalogue: &Catalogue) -> Option<String> {
    match pattern {
        _ if !pattern.suits(kind) => {
            Some(format!("a pattern of kind {} for {at}, which the catalogue calls {kind}", pattern.noun()))
        }
        SinkPattern::AccountSet(set) if catalogue.accounts_of(set).is_none() => {
            Some(format!("account set `{set}`, which the catalogue does not have"))
        }
        _ => None,
    }
}

/// What the catalogue says of an entry.
///
/// # Errors
/// The finding by which it is denied, when there is nothing to ask policies about.
pub(in crate::policy) fn tool<'a>(
    number: u32,
    entry: &EntryFacts,
    facts: &Facts,
    catalogue: &'a Catalogue,
) -> Result<&'a Tool, Finding> {
    let deny = |code, detail: &str| Err(Finding::at(number, Denied, code, detail));
    // It is no tool, whatever a catalogue says: people open it, at their door.
    if names_break_glass(entry.tool.as_str()) || entry.actions.iter().any(|action| names_break_glass(action)) {
        return deny(ReasonCode::BreakGlassNotForAgents, "");
    }
    let Some(tool) = catalogue.tool(&entry.tool) else { return deny(ReasonCode::ToolUnknown, "") };
    if tool.owner.is_none() {
        return deny(ReasonCode::ToolUnowned, "");
    }
    match (&tool.audience, &facts.audience) {
        (Some(own), asked) if asked.as_ref() != Some(own) => deny(ReasonCode::AudienceMismatch, own.as_str()),
        (_, None) => deny(ReasonCode::AudienceMismatch, "no audience is named"),
        _ => Ok(tool),
    }
}

/// What an entry can be offered: known actions within the ceiling. Findings say what was taken away.
pub(in crate::policy) fn offer(number: u32, entry: &EntryFacts, tool: &Tool, findings: &mut Vec<Finding>) -> Offer {
    let mut actions = if entry.actions.is_empty() { tool.actions.clone() } else { entry.actions.clone() };
    let mut resources = entry.resources.clone();
    let asked = actions.len();
    actions.retain(|a| tool.actions.contains(a));
    if actions.len() < asked {
        let outcome = if actions.is_empty() { Denied } else { Narrowed };
        let finding = Finding::at(number, outcome, ReasonCode::ActionUnknown, "");
        findings.push(Finding { keeps_entry: true, ..finding });
    }
    if let CeilingFit::Outside { breaches } = &entry.ceiling {
        let outcome = if tool.effect.is_effectful() { Denied } else { Narrowed };
        let whole = (actions.clone(), resources.clone());
        let trimmed = !breaches.is_empty() && breaches.iter().all(|breach| trim(breach, &mut actions, &mut resources));
        let remains = (!actions.is_empty() || whole.0.is_empty()) && (!resources.is_empty() || whole.1.is_empty());
        if !(trimmed && remains) {
            // It is left out, unless a person lets it in: as it was asked for then, and not what happens to be left of it.
            (actions, resources) = whole;
        }
        let detail = breaches.iter().map(what).collect::<Vec<_>>().join(", ");
        let finding = Finding::at(number, outcome, ReasonCode::CeilingExceeded, detail);
        findings.push(Finding { keeps_entry: trimmed && remains, ..finding });
    }
    Offer { actions, resources, calls_max: tool.calls_max }
}

/// Takes away what goes beyond the ceiling, where that can be taken away.
fn trim(breach: &Breach, actions: &mut Vec<String>, resources: &mut Vec<String>) -> bool {
    match breach {
        Breach::Action { action } => actions.retain(|a| a != action),
        Breach::Resource { resource } => resources.retain(|r| r != resource),
        // Nothing is named that could be taken away.
        Breach::AnyResource => return false,
        Breach::Tool
        | Breach::SinkValue { .. }
        | Breach::Amount { .. }
        | Breach::DataClass { .. }
        | Breach::Calls { .. } => return false,
    }
    true
}

/// Names of the kind and the sink, no values: those are what people and agents wrote.
fn what(breach: &Breach) -> String {
    match breach {
        Breach::Tool => "the tool is not listed".to_owned(),
        Breach::Action { .. } => "an action is not listed".to_owned(),
        Breach::Resource { .. } => "a resource is not listed".to_owned(),
        Breach::AnyResource => "no resource is named, and only some are listed".to_owned(),
        Breach::SinkValue { sink, .. } => format!("a value of `{sink}` is not listed"),
        Breach::Amount { sink, .. } => format!("`{sink}` is above its cap"),
        Breach::DataClass { .. } => "it touches a class of data that is not listed".to_owned(),
        Breach::Calls { calls_max } => format!("all {calls_max} calls are used"),
    }
}
