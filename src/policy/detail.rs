//! What a reason is about, in a few words for a reviewer: names of sinks, tools and classes, no values.

use std::collections::BTreeSet;

use crate::catalogue::tool::Tool;
use crate::model::facts::{EntryFacts, Facts, SessionFacts, SinkFacts};
use crate::model::provenance::Provenance;
use crate::model::reason::ReasonCode;
use crate::risk::derive::{dictated_in_words, let_in_in_words, sink_in_words};

/// What a policy's reason is about, where the facts of an entry say it.
pub(in crate::policy) fn of_entry(
    code: ReasonCode,
    (facts, session): (&Facts, &SessionFacts),
    entry: &EntryFacts,
    tool: &Tool,
) -> String {
    match code {
        ReasonCode::SinkInText => sinks(entry, |s| s.provenance == Provenance::Text),
        ReasonCode::SinkUnseen => sinks(entry, |s| s.provenance == Provenance::None),
        ReasonCode::SinkNotNamed => sinks(entry, |s| s.beside_intent),
        ReasonCode::ContentDictated => {
            let phrases: BTreeSet<String> = entry.dictated.iter().map(dictated_in_words).collect();
            join(phrases.into_iter())
        }
        ReasonCode::TaintedExit => join(let_in_in_words(session).into_iter()),
        ReasonCode::IntentMismatch => tool.effect.to_string(),
        ReasonCode::DutyConflict => join(entry.conflicts.iter().map(|c| format!("`{}` by this {}", c.with, c.within))),
        ReasonCode::ProfileChanged => join(facts.principal.profile_changes.iter().map(|p| p.as_str().to_owned())),
        ReasonCode::HighPrivilege | ReasonCode::InitiatorUnverified => format!("privilege {}", tool.privilege),
        ReasonCode::EffectNotAllowed => format!("{} by {}", tool.effect, facts.principal.class),
        ReasonCode::SessionOverflow => format!("after {} calls", facts.session.calls),
        _ => String::new(),
    }
}

/// What a policy's reason is about in a registration or an amendment.
pub(in crate::policy) fn of_registration(code: ReasonCode, facts: &Facts) -> String {
    let Some(asked) = &facts.registration else { return String::new() };
    match code {
        ReasonCode::LimitExceeded => format!("life {}s, depth {}", asked.life_s, facts.task.depth),
        ReasonCode::AgentNotEligible => asked.agent_class.map_or_else(String::new, |c| c.to_string()),
        ReasonCode::ProfileChanged => join(facts.principal.profile_changes.iter().map(|p| p.as_str().to_owned())),
        _ => String::new(),
    }
}

fn sinks(entry: &EntryFacts, meant: impl Fn(&SinkFacts) -> bool) -> String {
    let phrases: BTreeSet<String> = entry.sinks.iter().filter(|s| meant(s)).map(sink_in_words).collect();
    join(phrases.into_iter())
}

/// All of them, though they are rarely many: an approval is bound to what it says.
fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}
