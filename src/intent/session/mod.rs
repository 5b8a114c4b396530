//! What a task family has seen: a bounded fold of reported calls. It keeps where values were seen, so that sinks can be
//! traced, and whether untrusted input and sensitive classes were read. What does not fit is not forgotten silently: the
//! session says that it overflowed, and policy asks a person from then on.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::leaves::{Leaves, Standing};
use super::trace::{self, Ground};
use super::{spelling, walk};
use crate::catalogue::tool::Tool;
use crate::model::ceiling::Ceiling;
use crate::model::facts::SessionFacts;
use crate::model::id::{DataClass, ToolName};
use crate::model::json::Json;
use crate::model::limits::SINK_VALUES_MAX;
use crate::model::sink::{SinkKind, SinkSpec};

/// Most text that a session keeps, in bytes: two results of the longest kind, or a long task of small ones.
pub const SESSION_BYTES_MAX: usize = 512 << 10;
/// Most calls whose values a session keeps.
pub const SESSION_CALLS_MAX: usize = 4096;
/// Most words that a session keeps of what the agent sent without ground.
const SENT_WORDS_MAX: usize = 64 << 10;
/// Most different tools that a session counts calls of: more than any catalogue.
const TOOLS_MAX: usize = u16::MAX as usize;
/// Different tools beyond which none is counted that the catalogue does not know: whoever reports may make names up.
const TOOLS_WITH_UNKNOWN_MAX: usize = 64;
/// Longest value, in bytes, that is checked for being an echo word by word: what is longer is no value of a sink.
const ECHO_BYTES_MAX: usize = 512;

/// Who reported a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reporter {
    /// The resource server that the grant was for.
    Audience,
    /// The gateway through which the call went.
    Gateway,
    /// The agent itself: evidence, never ground.
    Agent,
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

/// What a task family has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    leaves: Leaves,
    calls: Vec<Call>,
    tools: Vec<Seen>,
    // Fingerprints of what the agent sent without ground, whole and word by word; sorted.
    sent: Vec<u32>,
    carries: BTreeSet<DataClass>,
    reported: u32,
    untrusted_input: bool,
    overflowed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Call {
    position: u64,
    tool: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    tool: ToolName,
    calls: u32,
}

impl Session {
    /// A session that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a reported call. `intent` is the root's; `declared` are the ceilings of the task that made the call and of the
    /// tasks above it, as far as an orchestrator wrote them: an argument that they ground at this moment is ground later.
    pub fn report(&mut self, call: &ReportedCall<'_>, intent: &str, declared: &[&Ceiling]) {
        self.reported = self.reported.saturating_add(1);
        self.taint(call);
        let Some(tool) = self.count(call) else { return };
        let Ok(index) = u16::try_from(self.calls.len()) else { return };
        if self.calls.len() >= SESSION_CALLS_MAX {
            self.overflowed = true;
            return;
        }
        self.calls.push(Call { position: call.position, tool });
        let arguments = self.arguments(call, &Ground { intent, declared, session: self });
        let fits = self.keep(call, index, arguments);
        self.overflowed |= !fits;
        self.leaves.tighten();
        self.sent.shrink_to_fit();
        self.calls.shrink_to(self.calls.len() + 8);
    }

    /// What policy is told of it.
    #[must_use]
    pub fn facts(&self) -> SessionFacts {
        SessionFacts {
            calls: self.reported,
            untrusted_input: self.untrusted_input,
            carries: self.carries.iter().cloned().collect(),
            overflowed: self.overflowed,
        }
    }

    /// Calls of that tool that were reported.
    #[must_use]
    pub fn calls_of(&self, tool: &ToolName) -> u32 {
        self.tools.iter().find(|t| t.tool == *tool).map_or(0, |t| t.calls)
    }

    /// Position of the event that reported the first call of that tool; 0 when it is not known.
    #[must_use]
    pub fn first_call_of(&self, tool: &ToolName) -> u64 {
        let index = self.tools.iter().position(|t| t.tool == *tool);
        let first = self.calls.iter().find(|c| Some(usize::from(c.tool)) == index);
        first.map_or(0, |c| c.position)
    }

    /// Bytes of memory that it holds, apart from the allocator's own.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.leaves.memory_bytes()
            + self.calls.capacity() * size_of::<Call>()
            + self.tools.capacity() * size_of::<Seen>()
            + self.tools.iter().map(|t| t.tool.as_str().len()).sum::<usize>()
            + self.sent.capacity() * size_of::<u32>()
    }

    pub(super) const fn leaves(&self) -> &Leaves {
        &self.leaves
    }

    /// Tool and position of a call.
    pub(super) fn call(&self, index: u16) -> Option<(&ToolName, u64)> {
        let call = self.calls.get(usize::from(index))?;
        Some((&self.tools.get(usize::from(call.tool))?.tool, call.position))
    }

    fn taint(&mut self, call: &ReportedCall<'_>) {
        match call.spec {
            // Nobody answers for what an unknown tool returns.
            None => self.untrusted_input = true,
            Some(spec) => {
                self.untrusted_input |= spec.reads_outsiders();
                if !call.failed {
                    self.carries.extend(spec.sensitive.iter().cloned());
                }
            }
        }
    }

    fn count(&mut self, call: &ReportedCall<'_>) -> Option<u16> {
        let max = if call.spec.is_some() { TOOLS_MAX } else { TOOLS_WITH_UNKNOWN_MAX };
        let index = match self.tools.iter().position(|t| t.tool == *call.tool) {
            Some(index) => index,
            None if self.tools.len() < max => {
                self.tools.push(Seen { tool: call.tool.clone(), calls: 0 });
                self.tools.len() - 1
            }
            None => {
                self.overflowed = true;
                return None;
            }
        };
        let seen = self.tools.get_mut(index)?;
        seen.calls = seen.calls.saturating_add(1);
        u16::try_from(index).ok()
    }

    /// The arguments, each with whether it is grounded now.
    fn arguments<'a>(&self, call: &ReportedCall<'a>, ground: &Ground<'_>) -> Vec<(String, &'a str, bool)> {
        let mut out = Vec::new();
        walk::leaves(call.arguments, &mut |path, text| {
            // Beyond what a request may be judged for, nothing is ground.
            let judged = out.len() < SINK_VALUES_MAX;
            let spec = call.spec.and_then(|s| s.sink(path));
            let other = SinkSpec { name: path.to_owned(), kind: SinkKind::Other };
            let sink = spec.unwrap_or(&other);
            let value = sink.canonical_text(text);
            let grounded = judged && value.is_ok_and(|v| trace::ground(sink, &v, call.tool, ground).is_some());
            out.push((path.to_owned(), text, grounded));
        });
        out
    }

    /// Keeps what was sent and what came back; false when there was no room for all of it.
    fn keep(&mut self, call: &ReportedCall<'_>, index: u16, arguments: Vec<(String, &str, bool)>) -> bool {
        let mut fits = true;
        for (_, text, _) in arguments.iter().filter(|(.., grounded)| !grounded) {
            fits &= self.send(text);
        }
        self.sent.sort_unstable();
        self.sent.dedup();
        let (calls, sent) = (&self.calls, &self.sent);
        let tool_of = |call: u16| calls.get(usize::from(call)).map_or(u16::MAX, |c| c.tool);
        let mut adding = self.leaves.adding(&tool_of);
        for (path, text, _) in arguments.iter().filter(|(.., grounded)| *grounded) {
            fits &= adding.keep(path, text, index, Standing::Argument, SESSION_BYTES_MAX);
        }
        let proven = !call.failed && call.reporter != Reporter::Agent;
        walk::leaves(call.result, &mut |path, text| {
            let standing = match call.spec {
                Some(spec) if proven => {
                    // A bare value of such a tool has no field that could be told apart.
                    if spec.outsider_fields.covers(path) || path.is_empty() && spec.reads_outsiders() {
                        Standing::Outsider
                    } else if is_echo(sent, text) {
                        Standing::Echo
                    } else {
                        Standing::Field
                    }
                }
                _ => Standing::Unproven,
            };
            fits = fits && adding.keep(path, text, index, standing, SESSION_BYTES_MAX);
        });
        fits
    }

    fn send(&mut self, text: &str) -> bool {
        self.sent.push(spelling::fingerprint(text));
        for word in spelling::tokens(text) {
            if self.sent.len() >= SENT_WORDS_MAX {
                return false;
            }
            self.sent.push(spelling::fingerprint(word));
        }
        true
    }
}

/// True when a value is what the agent sent without ground, or is made of its words only.
fn is_echo(sent: &[u32], text: &str) -> bool {
    let was_sent = |part: &str| sent.binary_search(&spelling::fingerprint(part)).is_ok();
    if was_sent(text) {
        return true;
    }
    let mut words = spelling::tokens(text).peekable();
    text.len() <= ECHO_BYTES_MAX && words.peek().is_some() && words.all(was_sent)
}

#[cfg(test)]
mod tests;
