//! Facts: everything that a decision is made from, as conclusions. They are recorded with the decision, so that it can be
//! made again. What the policy bundle itself knows (a tool's effect, owner, classes) is looked up there and not repeated.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::approval::{ApprovalFacts, ApprovingFacts};
use super::behaviour::BehaviourFacts;
use super::ceiling::{Ceiling, CeilingFit};
use super::glass::{GlassFacts, OpeningFacts};
use super::id::{Audience, DataClass, InitiatorName, Owner, TaskId, ToolName};
use super::identity::{Authentication, IdentityClass};
use super::provenance::{Evidence, Provenance};
use super::risk::Signal;
use super::sink::SinkKind;
use super::spiffe_id::SpiffeId;
use super::task::{ProfilePart, TaskState};
use super::time::{Timestamp, Ttl};

/// Version of the recorded form. Fields are added with a default; a field never changes its meaning.
pub const FACTS_VERSION: u32 = 1;

/// What is being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// May this be granted?
    Request,
    /// May this live grant stay?
    Retain,
    /// May this task be registered?
    Register,
    /// May this task's ceiling or deadline grow?
    Amend,
    /// May this person open a glass for this access of a task?
    BreakGlass,
    /// May this person say yes to what people are asked about? It is put to policies and recorded nowhere: who answered is.
    Approve,
}

impl Question {
    /// The name in records; also the name of the Cedar action for `register` and `amend`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Retain => "retain",
            Self::Register => "register",
            Self::Amend => "amend",
            Self::BreakGlass => "break_glass",
            Self::Approve => "approve",
        }
    }
}

/// Everything that a decision is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// [`FACTS_VERSION`] of the code that gathered them.
    pub version: u32,
    /// What is being asked.
    pub question: Question,
    /// When.
    pub now: Timestamp,
    /// Who asks: the agent; for `register` and `amend` the orchestrator, or the agent that opens a sub-task; for `break_glass`
    /// the agent that it is opened for.
    pub principal: PrincipalFacts,
    /// On whose behalf.
    pub initiator: InitiatorFacts,
    /// The task; for `register` the one to be.
    pub task: TaskFacts,
    /// The resource server that the token is for; `None` for `register` and `amend`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
    /// What is asked for, in the order of the request; empty for `register` and `amend`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<EntryFacts>,
    /// What the task family has seen so far.
    #[serde(default)]
    pub session: SessionFacts,
    /// How the request fits what the agent was granted before; `None` where nothing is asked for anew, and in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behaviour: Option<BehaviourFacts>,
    /// Signals that were reported or derived before this decision.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<Signal>,
    /// The life that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_asked: Option<Ttl>,
    /// What is to be registered or amended; `None` for `request` and `retain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<RegistrationFacts>,
    /// What a person answered when this was asked before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalFacts>,
    /// What a person opened by break-glass for just this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub glass: Option<GlassFacts>,
    /// What is asked of a glass that is to be opened; `None` for every other question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<OpeningFacts>,
    /// The yes that a person would say; `None` for every other question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approving: Option<ApprovingFacts>,
    /// Until when the bundle in force only observes for who asks, counted from its activation too; `None` where its answer holds,
    /// and in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observing: Option<Timestamp>,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrincipalFacts {
    /// Its SPIFFE ID.
    pub id: SpiffeId,
    /// False when the bundle has no such identity any more; then it may keep nothing (`IDENTITY_UNKNOWN`).
    #[serde(default = "yes")]
    pub known: bool,
    /// Its class.
    pub class: IdentityClass,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// How it was proven.
    pub authentication: Authentication,
    /// Age of its SVID, in seconds.
    #[serde(default)]
    pub svid_age_s: u64,
    /// False when networks are declared for it and the peer is in none of them.
    #[serde(default = "yes")]
    pub network_declared: bool,
    /// The parts of the agent profile that changed since the task was registered, or since they were first shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profile_changes: Vec<ProfilePart>,
}

/// On whose behalf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitiatorFacts {
    /// Who it is.
    pub name: InitiatorName,
    /// True when that person was verified.
    #[serde(default)]
    pub verified: bool,
}

/// The task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskFacts {
    /// The task.
    pub id: TaskId,
    /// The task that began the family; itself when it has no parent.
    pub root: TaskId,
    /// Who registered the task that began the family: whoever handed its work on since decides nothing.
    pub orchestrator: SpiffeId,
    /// The agent that works on it.
    pub agent: SpiffeId,
    /// 0 for a task without a parent.
    #[serde(default)]
    pub depth: u32,
    /// True when the task that began the family declares a ceiling.
    #[serde(default)]
    pub ceiling_declared: bool,
    /// Seconds since the task that began the family was registered.
    #[serde(default)]
    pub age_s: u64,
    /// Seconds until its deadline; 0 when it has passed.
    pub remaining_s: u64,
    /// For `retain`: true when the token in hand ends after the deadline, which was set earlier since (`OUTLIVES_TASK`).
    #[serde(default)]
    pub outlived: bool,
    /// Where it stands; anything but active is denied (`TASK_ENDED`, `TASK_PAUSED`).
    #[serde(default)]
    pub state: TaskState,
    /// The blocks that stand against what it needs: `agent`, `initiator`, `audience`, `everything`; and `trust_domain` when that
    /// of an agent is no longer trusted. Any is denied (`BLOCKED`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<String>,
    /// False when the task names its audiences and the one asked for is not among them (`AUDIENCE_NOT_IN_TASK`).
    #[serde(default = "yes")]
    pub audience_allowed: bool,
}

/// One entry of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryFacts {
    /// The tool.
    pub tool: ToolName,
    /// The actions asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<String>,
    /// The resources asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// The classes of data that the agent says the call touches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data_classes: Vec<DataClass>,
    /// How it stands to the ceiling.
    #[serde(default)]
    pub ceiling: CeilingFit,
    /// Every value of every sink, traced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sinks: Vec<SinkFacts>,
    /// Whether the intent's words imply such an effect.
    #[serde(default)]
    pub intent_fit: IntentFit,
    /// Duties that this would combine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<ConflictFacts>,
    /// Grants of this tool that the task family had before, or calls of it that were reported, whichever is more.
    #[serde(default)]
    pub calls_before: u32,
    /// Long arguments that stand word for word in what was read, and not in the intent: content that was dictated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dictated: Vec<DictatedFacts>,
}

/// One value of a sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkFacts {
    /// The sink, as the catalogue names it.
    pub name: String,
    /// What its values are.
    pub kind: SinkKind,
    /// The value in canonical form.
    pub value: String,
    /// Where it came from.
    pub provenance: Provenance,
    /// Where it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// True for an address or a URL when the intent itself names one of that kind, and this is another.
    #[serde(default)]
    pub beside_intent: bool,
}

/// A long argument that stands word for word in what was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DictatedFacts {
    /// The argument, as a path.
    pub name: String,
    /// Where it stands.
    pub evidence: Evidence,
    /// True when outsiders can write what it stands in.
    #[serde(default)]
    pub by_outsiders: bool,
    /// True of a sink, which the catalogue names; names of other arguments are the agent's own words.
    #[serde(default)]
    pub is_sink: bool,
}

/// Whether the intent's words imply an effect of this kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntentFit {
    /// The conclusion.
    #[serde(default)]
    pub verdict: FitVerdict,
    /// The words of the intent that imply it, or that speak against it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<String>,
    /// True when the intent tells the agent to take what it does or writes from something that it reads.
    #[serde(default)]
    pub delegates: bool,
}

/// The conclusion about an intent's fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FitVerdict {
    /// The words imply such an effect.
    Implied,
    /// The words neither imply nor exclude it.
    #[default]
    Silent,
    /// The words imply other effects, and not this one; for a read of sensitive classes: they speak of nothing of the kind.
    NotImplied,
}

impl FitVerdict {
    /// The name in policies and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Implied => "implied",
            Self::Silent => "silent",
            Self::NotImplied => "not_implied",
        }
    }
}

/// A tool that must not be combined with the one asked for, and was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConflictFacts {
    /// The other tool.
    pub with: ToolName,
    /// Whose use of it: `task`, `agent` or `initiator`.
    pub within: String,
    /// Position of the event in which it was granted.
    #[serde(default)]
    pub position: u64,
}

/// What the task family has seen so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionFacts {
    /// Calls that were reported.
    pub calls: u32,
    /// True when something that outsiders can write was read.
    pub untrusted_input: bool,
    /// The sensitive classes that were read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub carries: Vec<DataClass>,
    /// True when the session was too large to be kept whole, so that values may have been forgotten.
    pub overflowed: bool,
    /// What let the first of untrusted input in; `None` in older records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub untrusted_by: Option<LetInBy>,
    /// What let the first of each sensitive class in; empty in older records.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub carries_by: BTreeMap<DataClass, LetInBy>,
}

/// What let something into a session.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LetInBy {
    /// The tool; `None` when the catalogue knew none of its name, which is then whatever somebody made up.
    pub tool: Option<ToolName>,
    /// Which call of the session, from 0 in the order of reports; `None` when it was granted and nobody has reported it.
    pub call: Option<u32>,
    /// Position of the event that let it in; 0 when there is none, as of what is asked for in the same request.
    pub position: u64,
}

/// What is to be registered or amended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistrationFacts {
    /// The class of the agent that is to work on it; `None` when the bundle knows no such identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_class: Option<IdentityClass>,
    /// The ceiling asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<Ceiling>,
    /// The audiences asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<Audience>,
    /// Its life from now, in seconds.
    pub life_s: u64,
    /// True when something would grow beyond what the task has now.
    #[serde(default)]
    pub widens: bool,
    /// True when the task has declared no ceiling before this one.
    #[serde(default)]
    pub first_ceiling: bool,
    /// The ways in which a sub-task would go beyond its parent; never empty is a refusal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beyond_parent: Vec<String>,
    /// What an amendment changes; `None` for a registration, and in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amends: Option<AmendFacts>,
}

/// What an amendment changes: for those who are asked about it, and to take it back by. No policy reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AmendFacts {
    /// The ceiling that the task has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling_before: Option<Ceiling>,
    /// True when an orchestrator wrote that.
    #[serde(default)]
    pub declared_before: bool,
    /// What of it is ground, where that is less than all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grounds_before: Option<Ceiling>,
    /// The deadline that it has.
    pub deadline_before: Timestamp,
    /// The deadline that it gets.
    pub deadline: Timestamp,
    /// What the ceiling adds, one thing each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adds: Vec<String>,
    /// What it takes away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub takes: Vec<String>,
    /// The tools of which the task would have more, or whose values would be ground.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gains: Vec<ToolName>,
}

const fn yes() -> bool {
    true
}
