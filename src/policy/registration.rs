//! Facts as Cedar's context for registering and amending a task.

use std::collections::BTreeSet;

use cedar_policy_core::ast::{Context, EntityUID, Value};

use super::context::{Members, caller, flag, initiator, long, risk_record, text, texts};
use super::names::{Kind, Types};
use super::reads::Reads;
use crate::catalogue::tool::{Catalogue, Tool};
use crate::model::access::Effect;
use crate::model::ceiling::ToolCeiling;
use crate::model::facts::{Facts, RegistrationFacts};
use crate::model::risk::Assessment;
use crate::model::sink::SinkKind;

/// The context of a registration or an amendment.
pub(in crate::policy) fn of(
    facts: &Facts,
    asked: &RegistrationFacts,
    risk: &Assessment,
    catalogue: &Catalogue,
    types: &Types,
    reads: &Reads,
) -> Context {
    Members::of_context(reads)
        .with("caller", || caller(&facts.principal, reads))
        .with("initiator", || initiator(facts, reads))
        .with("depth", || long(u64::from(facts.task.depth)))
        .with("agent", || text(facts.task.agent.as_str()))
        .with("agent_class", || text(asked.agent_class.map_or("", |c| c.as_str())))
        .with("audiences", || texts(asked.audiences.iter().map(|a| a.as_str())))
        .with("life_s", || long(asked.life_s))
        .with("ceiling", || ceiling(asked, catalogue, types, reads))
        .with("widens", || flag(asked.widens))
        .with("risk", || risk_record(risk, reads))
        .context()
}

fn ceiling(registration: &RegistrationFacts, catalogue: &Catalogue, types: &Types, reads: &Reads) -> Value {
    let asked = registration.ceiling.as_ref();
    let grows = asked.is_some() && (registration.first_ceiling || registration.widens);
    let entries = asked.map_or(&[] as &[ToolCeiling], |c| &c.tools);
    // A ceiling with a tool that the catalogue does not know is denied whatever policies say of the others.
    let known: Vec<_> = entries.iter().filter_map(|e| Some((e, catalogue.tool(&e.tool)?))).collect();
    let tools = known.iter().map(|(_, t)| Value::from(EntityUID::from(types.uid(Kind::Tool, t.name.as_str()))));
    let effects: BTreeSet<_> = known.iter().map(|(_, t)| t.effect.as_str()).collect();
    let sensitive: BTreeSet<_> = known.iter().flat_map(|(_, t)| &t.sensitive).map(|c| c.as_str()).collect();
    let privilege_max = known.iter().map(|(_, t)| t.privilege).max().unwrap_or(0);
    Members::of("ceiling", reads)
        .with("declared", || flag(asked.is_some()))
        .with("grows", || flag(grows))
        .with("tools", || Value::set(tools, None))
        .with("effects", || texts(effects))
        .with("sensitive", || texts(sensitive))
        .with("privilege_max", || long(u64::from(privilege_max)))
        .with("spend_uncapped", || flag(known.iter().any(|(e, t)| t.effect == Effect::Spend && !is_capped(e, t))))
        .record()
}

/// True when there is a most that the tool can spend: the total of each of its amounts is capped, or the amounts of one call
/// and the number of calls are; of a tool without amounts, the number of calls.
fn is_capped(entry: &ToolCeiling, tool: &Tool) -> bool {
    let counted = entry.calls_max.is_some();
    let mut amounts = tool.sinks.iter().filter(|s| s.kind == SinkKind::Amount).peekable();
    let capped = |sink: &str| {
        let limits = entry.sink(sink);
        limits.is_some_and(|s| s.total_max.is_some() || (counted && s.per_call_max.is_some()))
    };
    if amounts.peek().is_none() { counted } else { amounts.all(|s| capped(&s.name)) }
}
