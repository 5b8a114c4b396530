//! One request against all that is known of its task family: the facts of each entry. Broker and evaluation call the same
//! function, so their records agree.

// How to call it, for one request, in this order:
// 1. `session` and `usage` are those of the task *family*: every task under one root shares them.
// 2. `intent` is the root's; `bounds` are the ceilings of the task and of every task above it that has one, `declared` that of
//    the root, where an orchestrator wrote it.
// 3. [`entries`] with [`Asked::New`]; for a live grant that is decided again, [`Asked::Live`].
// 4. `Facts.entries` is its answer, `Facts.session` is `session.facts()`, `TaskFacts.ceiling_declared` is
//    `!declared.is_empty()`.
// 5. When an entry is granted: `usage.reserve(&access.tool, &usage::amounts(&access, tool)?, position)`.
// 6. When a call is reported: `session.report_by(&call, Some(agent), intent, declared)`, before the next request is judged. Without
//    its agent what an agent reports by itself counts for nobody, budgets included; [`Session::report`] is for what others report.

use std::time::Duration;

use super::fit::Reading;
use super::session::Session;
use super::task::Intent;
use super::trace::{self, By, Ground};
use super::usage::{self, Usage};
use super::{ceiling, told, walk};
use crate::catalogue::tool::{Catalogue, ConflictScope, DUTY_WINDOW_SECONDS_MAX, Tool};
use crate::model::access::{Access, Effect};
use crate::model::ceiling::Ceiling;
use crate::model::facts::{ConflictFacts, DictatedFacts, EntryFacts, SinkFacts};
use crate::model::id::ToolName;
use crate::model::limits::SINK_VALUES_MAX;
use crate::model::sink::SinkError;
use crate::model::spiffe_id::SpiffeId;
use crate::model::time::Timestamp;

/// Most long arguments of one access that are looked for in what was read.
const DICTATED_ARGUMENTS_MAX: usize = 32;
/// Most sinks of one access that are told to be pointed out by outsiders: one is enough to ask.
const DICTATED_SINKS_MAX: usize = 8;

/// What a request is judged against.
#[derive(Debug, Clone, Copy)]
pub struct Grounds<'a> {
    /// The intent of the task that began the family.
    pub intent: &'a Intent,
    /// The ceilings that hold: the task's own and those of the tasks above it, whoever wrote them.
    pub bounds: &'a [&'a Ceiling],
    /// That of the root, where an orchestrator wrote it. Only this grounds values and answers for effects: what was written for a
    /// sub-task, when the work had begun, can take away, and is no more ground than anything else that an agent says or has read.
    pub declared: &'a [&'a Ceiling],
    /// What the family has seen.
    pub session: &'a Session,
    /// What the family was granted.
    pub usage: &'a Usage,
    /// What its agent and its initiator used in other tasks, of tools that must not be combined with those asked for.
    pub past: &'a [PastUse],
    /// The agent that asks: what it reported by itself counts against it, and against nobody else.
    pub agent: Option<&'a SpiffeId>,
    /// When it is judged.
    pub now: Timestamp,
}

/// The latest use of a tool outside of the family.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PastUse {
    /// The tool.
    pub tool: ToolName,
    /// Whose use it was.
    pub within: ConflictScope,
    /// When it was granted.
    pub at: Timestamp,
    /// Position of the event in which it was.
    pub position: u64,
}

/// What is being judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A request: it is not in the usage yet.
    New,
    /// A live grant: it is in the usage, and does not stand in its own way.
    Live,
}

/// The facts of every entry of a request, in its order. Entries are judged as if those before them had been granted, so
/// that a budget can't be had twice in one request.
///
/// # Errors
/// When a sink holds no amount where one is due, a value that is too long, or too many values.
pub fn entries(
    accesses: &[Access],
    catalogue: &Catalogue,
    grounds: &Grounds<'_>,
    asked: Asked,
) -> Result<Vec<EntryFacts>, SinkError> {
    let reading = grounds.intent.reading();
    let mut usage = grounds.usage.clone();
    if asked == Asked::Live {
        for access in accesses {
            let amounts = catalogue.tool(&access.tool).map_or(Ok(Vec::new()), |t| usage::amounts(access, t))?;
            usage = usage.without(&access.tool, &amounts);
        }
    }
    let mut out = Vec::with_capacity(accesses.len());
    let mut values = 0;
    for access in accesses {
        let tool = catalogue.tool(&access.tool);
        let entry = entry(access, (tool, catalogue), reading, &Grounds { usage: &usage, ..*grounds }, asked)?;
        values += entry.sinks.len();
        if values > SINK_VALUES_MAX {
            return Err(SinkError::TooMany);
        }
        let amounts = tool.map_or(Ok(Vec::new()), |t| usage::amounts(access, t))?;
        usage.reserve(&access.tool, &amounts, 0);
        out.push(told::known_names(entry, catalogue));
    }
    Ok(out)
}

fn entry(
    access: &Access,
    (tool, catalogue): (Option<&Tool>, &Catalogue),
    reading: &Reading,
    grounds: &Grounds<'_>,
    asked: Asked,
) -> Result<EntryFacts, SinkError> {
    let (intent, declared, session) = (grounds.intent, grounds.declared, grounds.session);
    let ground = Ground { intent, declared, session, catalogue: Some(catalogue) };
    let mut sinks = Vec::new();
    for sink in tool.map_or(&[][..], |t| t.sinks.as_slice()) {
        for value in sink.values(&access.arguments)? {
            sinks.push(trace::sink(sink, value, By::new(&access.tool, tool), &ground));
        }
    }
    let dictated = dictated(access, tool, &sinks, &ground);
    let declares = !declared.is_empty();
    let granted = grounds.usage.grants_of(&access.tool);
    // The call that was made under a live grant may have been reported already.
    let own = u32::from(asked == Asked::Live);
    let calls_before = granted.max(grounds.session.calls_of(&access.tool, grounds.agent).saturating_sub(own));
    Ok(EntryFacts {
        tool: access.tool.clone(),
        actions: access.actions.clone(),
        resources: access.resources.clone(),
        data_classes: access.data_classes.clone(),
        ceiling: ceiling::fit(access, tool, (grounds.bounds, catalogue), declares, grounds.usage, calls_before)?,
        sinks,
        intent_fit: reading.fit(tool),
        conflicts: conflicts(tool, grounds),
        calls_before,
        dictated,
    })
}

/// Tools that must not be combined with this one and that were used: by the family, for what a task does, its agent and its
/// initiator do, and any use within it counts, however long ago; or by the same agent or initiator elsewhere, within the
/// window.
fn conflicts(tool: Option<&Tool>, grounds: &Grounds<'_>) -> Vec<ConflictFacts> {
    let mut out: Vec<ConflictFacts> = Vec::new();
    for conflict in tool.map_or(&[][..], |t| t.conflicts.as_slice()) {
        let granted = grounds.usage.grants_of(&conflict.with) > 0;
        let called = grounds.session.calls_of(&conflict.with, grounds.agent) > 0;
        if (granted || called) && out.iter().all(|c| c.with != conflict.with) {
            let position = match granted {
                true => grounds.usage.first_grant_of(&conflict.with),
                false => grounds.session.first_call_of(&conflict.with, grounds.agent),
            };
            let within = conflict.within.as_str().to_owned();
            out.push(ConflictFacts { with: conflict.with.clone(), within, position });
        }
        let window = Duration::from_secs(conflict.window_s.unwrap_or(DUTY_WINDOW_SECONDS_MAX));
        let counts =
            |p: &&PastUse| p.tool == conflict.with && p.within == conflict.within && p.at.after(window) > grounds.now;
        if let Some(past) = grounds.past.iter().find(counts)
            && out.iter().all(|c| c.with != conflict.with)
        {
            let within = conflict.within.as_str().to_owned();
            out.push(ConflictFacts { with: conflict.with.clone(), within, position: past.position });
        }
    }
    out
}

fn dictated(access: &Access, tool: Option<&Tool>, sinks: &[SinkFacts], ground: &Ground<'_>) -> Vec<DictatedFacts> {
    // What a read asks for is no content.
    if tool.is_some_and(|t| !t.effect.is_effectful()) {
        return Vec::new();
    }
    let administers = tool.is_some_and(|t| t.effect == Effect::Administer);
    let pointed_out = sinks.iter().filter_map(|sink| trace::pointed_out(sink, &access.tool, administers, ground));
    let mut out: Vec<DictatedFacts> = pointed_out.take(DICTATED_SINKS_MAX).collect();
    let mut looked_at = 0;
    walk::leaves(&access.arguments, &mut |path, text| {
        let is_sink = tool.is_some_and(|t| t.sink(path).is_some());
        if !is_sink && text.len() >= trace::DICTATED_BYTES_MIN && looked_at < DICTATED_ARGUMENTS_MAX {
            looked_at += 1;
            out.extend(trace::dictated(path, text, ground));
        }
    });
    trace::unsearched::dictated(access, tool, sinks, ground, &mut out);
    out
}

#[cfg(test)]
mod tests;
