//! Amendments that policy does not decide alone: by what they are known again, and how those who are asked are shown them.

use crate::broker::Broker;
use crate::broker::approvals::Covers;
use crate::broker::ask::AmendTask;
use crate::broker::caller::WorkloadCaller;
use crate::broker::error::BrokerError;
use crate::broker::gather::View;
use crate::broker::record::asked_digest;
use crate::broker::register::ceiling_bytes;
use crate::broker::summary::timestamp;
use crate::model::approval::{ApprovalFacts, Verdict};
use crate::model::ceiling::{Ceiling, SinkCeiling, ToolCeiling};
use crate::model::decision::Decision;
use crate::model::facts::Facts;
use crate::model::pattern::SinkPattern;
use crate::model::time::Timestamp;
use crate::pb::v1;
use crate::policy::decide::decide;
use crate::seal::sealer::COMMON;

/// Differences that are told one by one, on either side. The ceilings themselves are told whole.
const DIFFERENCES_MAX: usize = 256;
/// Differences that a list of approvals shows.
const LISTED_MAX: usize = 8;

impl Broker {
    /// How an amendment is known again: by the task and what it has, who asks, and what it would have then.
    pub(in crate::broker) fn amendment_covers(
        &self,
        asker: &WorkloadCaller,
        ask: &AmendTask,
        view: &View,
    ) -> Result<Covers, BrokerError> {
        let (task, own) = (ask.task.to_string(), view.words.first());
        let deadline = ask.deadline.map(Timestamp::as_millis).unwrap_or_default();
        let (before, _) = view.deadlines;
        let parts: [&[u8]; 11] = [
            b"approval",
            b"amendment",
            asker.peer.authentication().as_str().as_bytes(),
            task.as_bytes(),
            view.agent.as_str().as_bytes(),
            asker.peer.spiffe_id().as_str().as_bytes(),
            &ceiling_bytes(ask.ceiling.as_ref()),
            &deadline.to_be_bytes(),
            &ceiling_bytes(own.and_then(|words| words.ceiling.as_ref())),
            &[u8::from(own.is_some_and(|words| words.by_orchestrator))],
            &before.as_millis().to_be_bytes(),
        ];
        self.keyed(view.root, asked_digest(&parts))
    }

    /// Decides, with what people answered where policy does not decide alone.
    pub(in crate::broker) fn decide_amendment(
        &self,
        view: &mut View,
        covers: &Covers,
        facts: &mut Facts,
    ) -> Result<Decision, BrokerError> {
        let decision = decide(&view.bundle, facts);
        if !decision.outcome.waits_for_people() && !decision.observed_only() {
            return Ok(decision);
        }
        // Where policy only observes nobody is asked, and no approval is used up; what a person refused stays refused.
        let counts = |answer: &ApprovalFacts| !decision.observed_only() || answer.verdict == Verdict::Denied;
        let answer = self.answer_to(view, covers, || self.amendment_shapes(facts))?.filter(counts);
        let Some(answer) = answer else { return Ok(decision) };
        facts.approval = Some(answer);
        Ok(decide(&view.bundle, facts))
    }

    /// How what an amendment adds is known again when it was denied: each thing by itself, whatever else is asked for with it, by the
    /// same orchestrator for the same agent in every task. That a task is to live longer is known again in that task.
    pub(in crate::broker) fn amendment_shapes(&self, facts: &Facts) -> Result<Vec<Covers>, BrokerError> {
        let (agent, asker) = (facts.task.agent.as_str(), facts.principal.id.as_str());
        let task = facts.task.id.to_string();
        let asked = facts.registration.as_ref();
        let amends = asked.and_then(|asked| asked.amends.as_ref());
        let adds = amends.map_or(&[][..], |amends| amends.adds.as_slice());
        let shape = |what: &[&[u8]]| {
            let parts: Vec<&[u8]> = [b"denied-amendment", agent.as_bytes(), asker.as_bytes()]
                .into_iter()
                .chain(what.iter().copied())
                .collect();
            self.keyed(COMMON, asked_digest(&parts))
        };
        let mut shapes = Vec::new();
        for what in adds.iter().take(DIFFERENCES_MAX) {
            shapes.push(shape(&[b"adds", what.as_bytes()])?);
        }
        if adds.len() > DIFFERENCES_MAX {
            shapes.push(shape(&[b"ceiling", &ceiling_bytes(asked.and_then(|asked| asked.ceiling.as_ref()))])?);
        }
        if shapes.is_empty() || amends.is_some_and(|amends| amends.deadline > amends.deadline_before) {
            shapes.push(shape(&[b"task", task.as_bytes()])?);
        }
        Ok(shapes)
    }
}

/// The first of many, and how many more there are.
pub(in crate::broker) fn in_short(all: Vec<String>) -> Vec<String> {
    shortened(&all, DIFFERENCES_MAX)
}

fn shortened(all: &[String], most: usize) -> Vec<String> {
    let mut short: Vec<String> = all.iter().take(most).cloned().collect();
    if all.len() > most {
        short.push(format!("and {} more", all.len() - most));
    }
    short
}

/// The amendment that facts are about, as those who are asked see it; `None` for other facts, and in older records.
pub(in crate::broker) fn wire_amendment(facts: &Facts) -> Option<v1::Amendment> {
    let asked = facts.registration.as_ref()?;
    let amends = asked.amends.as_ref()?;
    Some(v1::Amendment {
        asked_by: facts.principal.id.to_string(),
        ceiling_before: amends.ceiling_before.as_ref().map(wire_ceiling),
        ceiling: asked.ceiling.as_ref().map(wire_ceiling),
        deadline_before: Some(timestamp(amends.deadline_before)),
        deadline: Some(timestamp(amends.deadline)),
        adds: amends.adds.clone(),
        takes: amends.takes.clone(),
    })
}

/// The same for a list: without the ceilings, which may be long.
pub(in crate::broker) fn listed_amendment(facts: &Facts) -> Option<v1::Amendment> {
    let whole = wire_amendment(facts)?;
    let (adds, takes) = (shortened(&whole.adds, LISTED_MAX), shortened(&whole.takes, LISTED_MAX));
    Some(v1::Amendment { ceiling_before: None, ceiling: None, adds, takes, ..whole })
}

/// A ceiling on the wire.
#[must_use]
pub fn wire_ceiling(ceiling: &Ceiling) -> v1::Ceiling {
    let sink = |s: &SinkCeiling| v1::SinkCeiling {
        sink: s.sink.clone(),
        values: s.values.clone(),
        per_call_max: s.per_call_max.map(|a| a.to_string()).unwrap_or_default(),
        total_max: s.total_max.map(|a| a.to_string()).unwrap_or_default(),
        patterns: s.patterns.iter().map(wire_pattern).collect(),
    };
    let tool = |t: &ToolCeiling| v1::ToolCeiling {
        tool: t.tool.to_string(),
        actions: t.actions.clone(),
        resources: t.resources.clone(),
        sinks: t.sinks.iter().map(sink).collect(),
        calls_max: t.calls_max,
        resource_patterns: t.resource_patterns.iter().map(ToString::to_string).collect(),
    };
    let seconds = |secs: u64| i64::try_from(secs).unwrap_or(i64::MAX);
    v1::Ceiling {
        tools: ceiling.tools.iter().map(tool).collect(),
        ttl_max: ceiling.ttl_max.map(|ttl| prost_types::Duration { seconds: seconds(ttl.as_secs()), nanos: 0 }),
        data_classes: ceiling.data_classes.iter().map(ToString::to_string).collect(),
    }
}

fn wire_pattern(pattern: &SinkPattern) -> v1::SinkPattern {
    use v1::sink_pattern::Pattern;
    let text = pattern.to_string();
    let pattern = match pattern {
        SinkPattern::Domain(_) => Pattern::Domain(text),
        SinkPattern::Host(_) => Pattern::Host(text),
        SinkPattern::PathPrefix(_) => Pattern::PathPrefix(text),
        SinkPattern::AccountSet(_) => Pattern::AccountSet(text),
    };
    v1::SinkPattern { pattern: Some(pattern) }
}
