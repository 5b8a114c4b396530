//! Amendments that policy does not decide alone: by what they are known again, and how those who are asked are shown them.

use std::collections::BTreeSet;

use crate::broker::Broker;
use crate::broker::approvals::Covers;
use crate::broker::ask::AmendTask;
use crate::broker::caller::WorkloadCaller;
use crate::broker::denials::Shape;
use crate::broker::error::BrokerError;
use crate::broker::fitting::in_a_list;
use crate::broker::gather::View;
use crate::broker::record::asked_digest;
use crate::broker::register::ceiling_bytes;
use crate::broker::summary::timestamp;
use crate::intent::compare::{self, Form, Things, holding};
use crate::model::approval::{ApprovalFacts, Verdict};
use crate::model::ceiling::{Ceiling, SinkCeiling, ToolCeiling};
use crate::model::decision::Decision;
use crate::model::facts::Facts;
use crate::model::pattern::SinkPattern;
use crate::model::time::Timestamp;
use crate::pb::v1;
use crate::policy::bundle::PolicyBundle;
use crate::policy::decide::decide;
use crate::seal::sealer::COMMON;

/// Differences that are told one by one, on either side. The ceilings themselves are told whole.
const DIFFERENCES_MAX: usize = 256;
/// Differences that a list of approvals shows, long ones shortened.
const LISTED_MAX: usize = 8;

/// Things that an amendment adds by each of which it is known again.
const SHAPES_MAX: usize = 1024;
/// Wider things, such as a domain for an address, that are looked for among what was denied.
const WIDER_LOOKED_FOR_MAX: usize = 8192;
/// Wider things than what is denied that are remembered: those that would hold it.
const WIDER_REMEMBERED_MAX: usize = 1024;

/// Whose shapes they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) enum Side {
    /// Of what is asked.
    Asked,
    /// Of what is denied from now on.
    Denied,
}

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
        let parts: [&[u8]; 12] = [
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
            &ceiling_bytes(own.and_then(|words| words.grounds.as_ref())),
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
        // What is only observed is done unasked and uses no approval up; what a person refused stays refused.
        let observed = decision.observed_only();
        let counts = |answer: &ApprovalFacts| !observed || answer.verdict == Verdict::Denied;
        let bundle = view.bundle.clone();
        let shapes = || match observed {
            true => self.all_amendment_shapes(Some(&bundle), facts, Side::Asked),
            false => self.amendment_shapes(Some(&bundle), facts, Side::Asked),
        };
        let answer = self.answer_to(view, (covers, observed), shapes)?.filter(counts);
        let Some(answer) = answer else { return Ok(decision) };
        facts.approval = Some(answer);
        Ok(decide(&view.bundle, facts))
    }

    /// How what an amendment adds is known again when it was denied: each thing by itself, by what it comes to, whatever else is asked
    /// for with it, by the same orchestrator for the same agent in every task; and also as what is within it, an address in a domain, or
    /// holds it. That a task is to live longer is known again in that task. What adds more than is looked through is held to be among
    /// whatever was denied.
    pub(in crate::broker) fn amendment_shapes(
        &self,
        bundle: Option<&PolicyBundle>,
        facts: &Facts,
        side: Side,
    ) -> Result<Vec<Shape>, BrokerError> {
        let task = facts.task.id.to_string();
        let shape = |what: &[&str]| self.amendment_shape(facts, what);
        let amends = facts.registration.as_ref().and_then(|asked| asked.amends.as_ref());
        let added = added_by(bundle, facts);
        let mut shapes = Vec::new();
        let named = |how: &'static str, what: &[String]| {
            let parts: Vec<&str> = std::iter::once(how).chain(what.iter().map(String::as_str)).collect();
            shape(&parts)
        };
        for what in added.keys().take(SHAPES_MAX) {
            shapes.push(named("adds", what)?);
        }
        let catalogue = bundle.map(PolicyBundle::catalogue);
        let mut wider = added.iter().take(SHAPES_MAX).flat_map(|(what, form)| holding(what, form, catalogue));
        // Many are within the same.
        let distinct: BTreeSet<Vec<String>> = wider.by_ref().take(WIDER_LOOKED_FOR_MAX).collect();
        let mut too_many = added.len() > SHAPES_MAX;
        match side {
            Side::Denied => {
                for what in distinct.iter().take(WIDER_REMEMBERED_MAX) {
                    shapes.push(named("would hold", what)?);
                }
            }
            Side::Asked => {
                for what in &distinct {
                    // Who was refused all values may ask for one: that is what names it.
                    if what.first().is_none_or(|how| !how.starts_with("any")) {
                        shapes.push(named("adds", what)?);
                    }
                }
                too_many |= wider.next().is_some();
                for (what, _) in added.iter().take(SHAPES_MAX).filter(|(_, form)| holds_others(form)) {
                    shapes.push(named("would hold", what)?);
                }
            }
        }
        if too_many || side == Side::Denied && !added.is_empty() {
            shapes.push(shape(&["more"])?);
        }
        if added.is_empty() || amends.is_some_and(|amends| amends.deadline > amends.deadline_before) {
            shapes.push(shape(&["task", &task])?);
        }
        Ok(shapes)
    }

    /// The same, with each tool of which the ceiling would say something else than before: under these a denial is remembered too, and
    /// they are looked for where policy only observes, so that what a person refused is not to be had in other numbers.
    pub(in crate::broker) fn all_amendment_shapes(
        &self,
        bundle: Option<&PolicyBundle>,
        facts: &Facts,
        side: Side,
    ) -> Result<Vec<Shape>, BrokerError> {
        let mut shapes = self.amendment_shapes(bundle, facts, side)?;
        let asked = facts.registration.as_ref();
        let before = asked.and_then(|asked| asked.amends.as_ref()).and_then(|amends| amends.ceiling_before.as_ref());
        let was = |tool: &ToolCeiling| before.and_then(|before| before.tool(&tool.tool));
        let tools = asked.and_then(|asked| asked.ceiling.as_ref()).map_or(&[][..], |ceiling| ceiling.tools.as_slice());
        for tool in tools.iter().filter(|tool| was(tool) != Some(*tool)) {
            shapes.push(self.amendment_shape(facts, &["tool", tool.tool.as_str()])?);
        }
        Ok(shapes)
    }

    fn amendment_shape(&self, facts: &Facts, what: &[&str]) -> Result<Shape, BrokerError> {
        let (agent, asker) = (facts.task.agent.as_str(), facts.principal.id.as_str());
        let mut parts: Vec<&[u8]> = vec![b"denied-amendment", agent.as_bytes(), asker.as_bytes()];
        parts.extend(what.iter().map(|part| part.as_bytes()));
        self.keyed(COMMON, asked_digest(&parts)).map(Shape::exact)
    }
}

/// What the ceiling of an amendment adds; nothing where only a deadline is asked for.
fn added_by(bundle: Option<&PolicyBundle>, facts: &Facts) -> Things {
    let asked = facts.registration.as_ref();
    let known = asked.and_then(|asked| Some((asked.ceiling.as_ref()?, asked.amends.as_ref()?)));
    let Some((asked, amends)) = known.filter(|(_, amends)| !amends.adds.is_empty()) else { return Things::new() };
    let own = amends.ceiling_before.as_ref();
    let ground = amends.grounds_before.as_ref().or(own).filter(|_| amends.declared_before);
    let ground = (facts.task.id == facts.task.root).then_some(ground);
    let keyed = |ceiling: &Ceiling| match bundle {
        Some(bundle) => compare::keyed(ceiling, bundle.catalogue()),
        None => ceiling.clone(),
    };
    let (asked, own) = (keyed(asked), own.map(keyed));
    compare::added(compare::Added { asked: &asked, own: own.as_ref(), ground })
}

/// True for what may hold what was denied.
const fn holds_others(form: &Form) -> bool {
    matches!(form, Form::Values(_) | Form::Resources(_) | Form::Any)
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
    let in_short = |all: &[String]| shortened(all, LISTED_MAX).iter().map(|what| in_a_list(what)).collect();
    let (adds, takes) = (in_short(&whole.adds), in_short(&whole.takes));
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
