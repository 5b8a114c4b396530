//! What a task family has seen: a bounded fold of reported calls. It keeps where values were seen, so that sinks can be
//! traced, and whether untrusted input and sensitive classes were read. What does not fit is not forgotten silently: the
//! session says that it overflowed, and policy asks a person from then on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::echo::Sent;
use super::leaves::{Leaves, Standing};
use super::task::Intent;
use super::told;
use super::trace::{self, By, Ground};
use super::walk;
use crate::catalogue::tool::Tool;
use crate::model::ceiling::Ceiling;
use crate::model::facts::{LetInBy, SessionFacts};
use crate::model::id::{DataClass, ToolName};
use crate::model::json::Json;
use crate::model::limits::SINK_VALUES_MAX;
use crate::model::provenance::Provenance;
use crate::model::sink::{SinkKind, SinkSpec};
use crate::model::spiffe_id::SpiffeId;

pub mod digested;

/// Most text that a session keeps, in bytes: two results of the longest kind, or a long task of small ones.
pub const SESSION_BYTES_MAX: usize = 512 << 10;
/// Most calls whose values a session keeps.
pub const SESSION_CALLS_MAX: usize = 4096;
/// Most different tools that a session counts calls of: more than any catalogue.
const TOOLS_MAX: usize = u16::MAX as usize;
/// Different tools beyond which none is counted that the catalogue does not know: whoever reports may make names up.
const TOOLS_WITH_UNKNOWN_MAX: usize = 64;

/// Most agents of a family whose own reports of one tool are counted.
const AGENTS_MAX: usize = 16;

/// Who reported a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reporter {
    /// The resource server that the grant was for.
    Audience,
    /// The gateway through which the call went.
    Gateway,
    /// The resource server that offers the tool, of a call that was never granted: evidence, never ground.
    Server,
    /// The agent itself: evidence, never ground.
    Agent,
}

impl Reporter {
    /// True when what it reports is ground.
    const fn is_believed(self) -> bool {
        matches!(self, Self::Audience | Self::Gateway)
    }
}

/// A call that was made, as it was reported.
#[derive(Debug, Clone, Copy)]
pub struct ReportedCall<'a> {
    /// The tool.
    pub tool: &'a ToolName,
    /// What the catalogue says of it; `None` when it knows no such tool.
    pub spec: Option<&'a Tool>,
    /// The arguments.
    pub arguments: &'a Json,
    /// What came back.
    pub result: &'a Json,
    /// Who says so.
    pub reporter: Reporter,
    /// Position of the event that reports it; 0 when there is none.
    pub position: u64,
    /// True when the call failed: what came back is an error, and grounds nothing.
    pub failed: bool,
}

impl ReportedCall<'_> {
    /// As what a value of the result stands that came at that path; `sent` says what it is when it may be no more than what the agent
    /// had sent.
    fn standing(&self, path: &str, sent: impl FnOnce() -> Option<Standing>) -> Standing {
        match self.spec {
            None => Standing::UnknownTool,
            Some(_) if self.failed => Standing::Failed,
            Some(_) if self.reporter == Reporter::Agent => Standing::Said,
            Some(_) if !self.reporter.is_believed() => Standing::Ungranted,
            Some(spec) if spec.outsider_fields.covers(path) => Standing::Outsider,
            Some(spec) => match sent() {
                Some(standing) => standing,
                None if spec.effect.is_effectful() => Standing::Done,
                None => Standing::Field,
            },
        }
    }
}

/// What a task family has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    leaves: Leaves,
    calls: Vec<Call>,
    tools: Vec<Seen>,
    // What the agent sent without ground.
    sent: Sent,
    // What let the first of each in.
    carries: BTreeMap<DataClass, LetInBy>,
    untrusted: Option<LetInBy>,
    reported: u32,
    overflowed: bool,
    // Something was sent of which nobody knows what it was, so that whatever comes back may be no more than that.
    sent_unread: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Call {
    position: u64,
    tool: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    tool: ToolName,
    // Those that somebody else than the agent reported.
    calls: Counted,
    // Those that agents reported themselves, each its own: nobody else answers for what it says.
    own: Vec<(SpiffeId, Counted)>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counted {
    calls: u32,
    /// Position of the event that reported the first.
    first: u64,
}

impl Counted {
    fn add(&mut self, position: u64) {
        if self.calls == 0 {
            self.first = position;
        }
        self.calls = self.calls.saturating_add(1);
    }
}

impl Session {
    /// A session that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a call that somebody else than an agent reported: what an agent says by itself counts against nobody here.
    pub fn report(&mut self, call: &ReportedCall<'_>, intent: &Intent, declared: &[&Ceiling]) {
        self.report_by(call, None, intent, declared);
    }

    /// Takes in a reported call; `agent` made it, and reported it where nobody else did. `intent` and `declared` are the root's: the
    /// ceiling as far as an orchestrator wrote it. An argument that it lists at this moment is ground later; one that merely a pattern
    /// or a set of accounts of it lets in is not.
    pub fn report_by(
        &mut self,
        call: &ReportedCall<'_>,
        agent: Option<&SpiffeId>,
        intent: &Intent,
        declared: &[&Ceiling],
    ) {
        self.reported = self.reported.saturating_add(1);
        let at = u32::try_from(self.calls.len()).ok().filter(|_| self.calls.len() < SESSION_CALLS_MAX);
        self.taint(call.spec, &[], (at, call.position), call.failed);
        let Some(tool) = self.count(call, agent) else { return };
        let Ok(index) = u16::try_from(self.calls.len()) else { return };
        if self.calls.len() >= SESSION_CALLS_MAX {
            self.overflowed = true;
            return;
        }
        self.calls.push(Call { position: call.position, tool });
        let spoken = spoken(
            By::new(call.tool, call.spec),
            call.spec,
            call.arguments,
            &Ground { intent, declared, session: self, catalogue: None },
        );
        let fits = self.keep(call, index, &spoken);
        self.overflowed |= !fits;
        self.leaves.tighten();
        self.calls.shrink_to(self.calls.len() + 8);
    }

    /// Takes in that a call was granted. From now on its result counts as read, and what it carries as sent: a call is made
    /// before it is reported, and of some nobody ever reports. `named` are the sensitive classes that the request named
    /// (`Catalogue::carries_named`), `sent` is what [`Session::sent`] gave for it.
    pub fn grant(&mut self, spec: Option<&Tool>, named: &[DataClass], sent: &Sent, position: u64) {
        self.taint(spec, named, (None, position), false);
        self.overflowed |= !self.sent.merge(sent);
    }

    /// Takes in that something was taken back that calls could rely on which were reported after `position`. They were made, so what
    /// came back stays known, but neither that nor what they said is ground any more; reported anew, it is judged anew. `named` are
    /// values that were ground until now and are so no longer: a result that repeats one grounds nothing.
    pub fn take_back(&mut self, position: u64, named: &[String], intent: &Intent) {
        let first = self.calls.iter().position(|call| call.position > position);
        let amounts = match first.and_then(|first| u16::try_from(first).ok()) {
            Some(first) => self.leaves.take_back(first),
            None => Vec::new(),
        };
        let mut sent = Sent::default();
        named.iter().chain(&amounts).for_each(|value| sent.add(value, intent.own_words()));
        sent.settle();
        self.overflowed |= !self.sent.merge(&sent);
    }

    /// True when [`Session::grant`] would change nothing.
    #[must_use]
    pub fn knows_grant(&self, spec: Option<&Tool>, named: &[DataClass], sent: &Sent) -> bool {
        let reads_outsiders = spec.is_none_or(Tool::reads_outsiders);
        let mut sensitive = spec.into_iter().flat_map(Tool::carries).chain(named);
        sent.is_empty()
            && (self.untrusted.is_some() || !reads_outsiders)
            && sensitive.all(|class| self.carries.contains_key(class))
    }

    /// What a call would send without ground, as far as it was not sent before. `intent` and `declared` as for
    /// [`Session::report`].
    #[must_use]
    pub fn sent(
        &self,
        tool: &ToolName,
        spec: Option<&Tool>,
        arguments: &Json,
        intent: &Intent,
        declared: &[&Ceiling],
    ) -> Sent {
        spoken(By::new(tool, spec), spec, arguments, &Ground { intent, declared, session: self, catalogue: None })
            .sent
            .without(&self.sent)
    }

    /// What policy is told of it.
    #[must_use]
    pub fn facts(&self) -> SessionFacts {
        SessionFacts {
            calls: self.reported,
            untrusted_input: self.untrusted.is_some(),
            carries: self.carries.keys().cloned().collect(),
            overflowed: self.overflowed,
            untrusted_by: self.untrusted.clone(),
            carries_by: self.carries.clone(),
        }
    }

    /// Calls of that tool that were reported, of those that an agent reported by itself only that agent's.
    #[must_use]
    pub fn calls_of(&self, tool: &ToolName, agent: Option<&SpiffeId>) -> u32 {
        self.counted(tool, agent).map(|counted| counted.calls).fold(0, u32::saturating_add)
    }

    /// Position of the event that reported the first of them; 0 when it is not known.
    #[must_use]
    pub fn first_call_of(&self, tool: &ToolName, agent: Option<&SpiffeId>) -> u64 {
        self.counted(tool, agent).map(|counted| counted.first).min().unwrap_or(0)
    }

    fn counted<'a>(
        &'a self,
        tool: &'a ToolName,
        agent: Option<&'a SpiffeId>,
    ) -> impl Iterator<Item = &'a Counted> + 'a {
        let seen = self.tools.iter().find(|seen| seen.tool == *tool);
        let own =
            move |seen: &'a Seen| seen.own.iter().filter(move |(by, _)| Some(by) == agent).map(|(_, counted)| counted);
        seen.into_iter()
            .flat_map(move |seen| [&seen.calls].into_iter().chain(own(seen)))
            .filter(|counted| counted.calls > 0)
    }

    /// Bytes of memory that it holds, apart from the allocator's own.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.leaves.memory_bytes()
            + self.calls.capacity() * size_of::<Call>()
            + self.tools.capacity() * size_of::<Seen>()
            + self.tools.iter().map(|t| t.tool.as_str().len() + own_bytes(&t.own)).sum::<usize>()
            + self.sent.memory_bytes()
    }

    pub(super) const fn leaves(&self) -> &Leaves {
        &self.leaves
    }

    /// Tool and position of a call.
    pub(super) fn call(&self, index: u16) -> Option<(&ToolName, u64)> {
        let call = self.calls.get(usize::from(index))?;
        Some((&self.tools.get(usize::from(call.tool))?.tool, call.position))
    }

    fn taint(&mut self, spec: Option<&Tool>, named: &[DataClass], (call, position): (Option<u32>, u64), failed: bool) {
        let by = LetInBy { tool: spec.map(|spec| spec.name.clone()), call, position };
        // Nobody answers for what an unknown tool returns.
        if spec.is_none_or(Tool::reads_outsiders) {
            first(self.untrusted.get_or_insert_with(|| by.clone()), &by);
        }
        if !failed {
            for class in spec.into_iter().flat_map(Tool::carries).chain(named) {
                first(self.carries.entry(class.clone()).or_insert_with(|| by.clone()), &by);
            }
        }
    }

    fn count(&mut self, call: &ReportedCall<'_>, agent: Option<&SpiffeId>) -> Option<u16> {
        let max = if call.spec.is_some() { TOOLS_MAX } else { TOOLS_WITH_UNKNOWN_MAX };
        let index = match self.tools.iter().position(|t| t.tool == *call.tool) {
            Some(index) => index,
            None if self.tools.len() < max => {
                self.tools.push(Seen { tool: call.tool.clone(), calls: Counted::default(), own: Vec::new() });
                self.tools.len() - 1
            }
            None => {
                self.overflowed = true;
                return None;
            }
        };
        let seen = self.tools.get_mut(index)?;
        let agents = seen.own.len();
        match (call.reporter, agent) {
            (Reporter::Agent, Some(agent)) => match seen.own.iter_mut().find(|(by, _)| by == agent) {
                Some((_, counted)) => counted.add(call.position),
                None if agents < AGENTS_MAX => {
                    seen.own.push((agent.clone(), Counted { calls: 1, first: call.position }));
                }
                None => self.overflowed = true,
            },
            (Reporter::Agent, None) => {}
            _ => seen.calls.add(call.position),
        }
        u16::try_from(index).ok()
    }

    /// Keeps what was sent and what came back; false when there was no room for all of it.
    fn keep(&mut self, call: &ReportedCall<'_>, index: u16, spoken: &Spoken) -> bool {
        let mut fits = self.sent.merge(&spoken.sent);
        let (calls, sent, sent_unread) = (&self.calls, &self.sent, self.sent_unread);
        let tool_of = |call: u16| calls.get(usize::from(call)).map_or(u16::MAX, |c| c.tool);
        let mut adding = self.leaves.adding(&tool_of);
        let believed = call.reporter.is_believed();
        for (sink, value) in spoken.grounded.iter().filter(|_| believed) {
            fits &= adding.keep(&sink.name, value, index, Standing::Argument(sink.kind), SESSION_BYTES_MAX);
        }
        walk::leaves(call.result, &mut |path, text| {
            let standing = call.standing(path, || sent_back(sent.is_echoed_by(text), sent_unread));
            let path = told::field(call, believed, path);
            fits = fits && adding.keep(path, text, index, standing, SESSION_BYTES_MAX);
        });
        fits
    }
}

/// As what a value stands that the agent had sent, or may have sent.
fn sent_back(was_sent: bool, sent_unread: bool) -> Option<Standing> {
    if was_sent { Some(Standing::Echo) } else { sent_unread.then_some(Standing::Unread) }
}

/// The first call of what was granted first is told, as soon as it is known.
fn first(known: &mut LetInBy, by: &LetInBy) {
    if known.call.is_none() && known.tool == by.tool {
        known.call = by.call;
    }
}

fn own_bytes(own: &Vec<(SpiffeId, Counted)>) -> usize {
    own.capacity() * size_of::<(SpiffeId, Counted)>() + own.iter().map(|(by, _)| by.as_str().len()).sum::<usize>()
}

/// What a call says: the values of sinks that are grounded as what they are, and what nothing grounds.
struct Spoken {
    grounded: Vec<(SinkSpec, String)>,
    sent: Sent,
}

/// Only a sink makes ground of what it carries, because only sinks are judged. An argument that is none is left out of what
/// was sent when the intent holds it or a ceiling lists it, and is known whole when a field does: repeating it makes it no more than
/// it was.
fn spoken(by: By<'_>, spec: Option<&Tool>, arguments: &Json, ground: &Ground<'_>) -> Spoken {
    let mut out = Spoken { grounded: Vec::new(), sent: Sent::default() };
    for sink in spec.map_or(&[][..], |s| s.sinks.as_slice()) {
        // What can't be read was refused, or is judged as no sink below.
        for value in sink.values(arguments).unwrap_or_default() {
            if out.grounded.len() < SINK_VALUES_MAX && trace::lasting(sink, &value, by, ground).is_some() {
                out.grounded.push((sink.clone(), value));
            } else {
                out.sent.add(&value, ground.intent.own_words());
            }
        }
    }
    let mut looked_at = 0_usize;
    walk::leaves(arguments, &mut |path, text| {
        let same = |(sink, value): &(SinkSpec, String)| sink.canonical_text(text).is_ok_and(|t| t == *value);
        if out.grounded.iter().any(same) {
            return;
        }
        looked_at += 1;
        let other = SinkSpec { name: path.to_owned(), kind: SinkKind::Other };
        // Beyond what a request may be judged for, nothing is ground.
        let value = other.canonical_text(text).ok().filter(|_| looked_at <= SINK_VALUES_MAX);
        match value.and_then(|value| trace::lasting(&other, &value, by, ground)) {
            Some(Provenance::Intent | Provenance::Ceiling) => {}
            Some(_) => out.sent.add_whole(text),
            None => out.sent.add(text, ground.intent.own_words()),
        }
    });
    out.sent.know(ground.session.known_by_digest(arguments).into_iter());
    out.sent.settle();
    out
}

#[cfg(test)]
mod tests;
