//! What a scorer is told: conclusions, and the words that they were drawn from. No token, handle or key is among what this can
//! see, and nothing that changes by the clock alone, so that the same step is the same question.

use std::collections::BTreeSet;

use crate::broker::gather::View;
use crate::broker::record::wire_band;
use crate::broker::request::Asking;
use crate::model::access::Effect;
use crate::model::decision::Decision;
use crate::model::facts::{EntryFacts, Facts};
use crate::pb::v1;
use crate::risk::beside::session_of_request;

/// Version of these facts.
const FACTS_VERSION: u32 = 1;

/// The effects of what is asked for, as the catalogue has them.
pub(super) fn effects<'a>(
    view: &View,
    tools: impl Iterator<Item = &'a crate::model::id::ToolName>,
) -> BTreeSet<Effect> {
    tools.filter_map(|tool| view.bundle.catalogue().tool(tool)).map(|tool| tool.effect).collect()
}

/// The question, but for its id. `decision` is what is decided without those who are asked.
pub(super) fn told(asking: &Asking<'_>, view: &View, facts: &Facts, decision: &Decision) -> v1::ScoreRequest {
    let session = session_of_request(view.bundle.catalogue(), facts);
    let counted =
        |c: &crate::model::risk::Contribution| v1::ScoredSignal { name: c.signal.to_string(), points: c.counted };
    v1::ScoreRequest {
        facts_version: FACTS_VERSION,
        question_id: String::new(),
        task_id: facts.task.id.to_string(),
        root_task_id: facts.task.root.to_string(),
        agent: facts.principal.id.to_string(),
        agent_class: facts.principal.class.as_str().to_owned(),
        key_proven: facts.principal.authentication.proves_key(),
        network_declared: facts.principal.network_declared,
        profile_changes: facts.principal.profile_changes.iter().map(|part| part.as_str().to_owned()).collect(),
        initiator_verified: facts.initiator.verified,
        delegation_depth: facts.task.depth,
        ceiling_declared: facts.task.ceiling_declared,
        audience: asking.audience.to_string(),
        renewal: view.renews,
        intent: view.intent().as_str().to_owned(),
        purpose: asking.purpose.to_owned(),
        access: facts.entries.iter().map(|entry| access(view, entry)).collect(),
        session: Some(v1::ScoredSession {
            calls: session.calls,
            untrusted_input: session.untrusted_input,
            carries: session.carries.iter().map(ToString::to_string).collect(),
        }),
        signals: decision.risk.contributions.iter().map(counted).collect(),
        risk: decision.risk.score.points().into(),
        band: wire_band(decision.risk.band).into(),
    }
}

fn access(view: &View, entry: &EntryFacts) -> v1::ScoredAccess {
    let tool = view.bundle.catalogue().tool(&entry.tool);
    let sinks = entry.sinks.iter().map(|sink| v1::ScoredSink {
        name: sink.name.clone(),
        value: sink.value.clone(),
        provenance: sink.provenance.as_str().to_owned(),
        seen_in_tool: sink.evidence.as_ref().map(|seen| seen.tool.clone()).unwrap_or_default(),
        seen_in_field: sink.evidence.as_ref().map(|seen| seen.field.clone()).unwrap_or_default(),
    });
    v1::ScoredAccess {
        tool: entry.tool.to_string(),
        effect: tool.map(|tool| tool.effect.to_string()).unwrap_or_default(),
        privilege: tool.map(|tool| tool.privilege.into()).unwrap_or_default(),
        actions: entry.actions.clone(),
        resources: entry.resources.clone(),
        data_classes: entry.data_classes.iter().map(ToString::to_string).collect(),
        ceiling: entry.ceiling.as_str().to_owned(),
        intent_fit: entry.intent_fit.verdict.as_str().to_owned(),
        sinks: sinks.collect(),
        calls_before: entry.calls_before,
        dictated: entry.dictated.iter().map(|dictated| dictated.name.clone()).collect(),
    }
}
