//! What callers ask of the broker, decoded and bounded by an edge, not yet judged.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::model::access::Access;
use crate::model::approval::Verdict;
use crate::model::ceiling::Ceiling;
use crate::model::decision::Outcome;
use crate::model::digested::DigestedCall;
use crate::model::glass::GlassVerdict;
use crate::model::id::{
    ApprovalId, Audience, DecisionId, GlassId, GrantId, InitiatorName, ParseIdError, RequestId, SignalName, TaskId,
    ToolName,
};
use crate::model::identity::IdentityClass;
use crate::model::json::Json;
use crate::model::label::Label;
use crate::model::reason::ReasonCode;
use crate::model::spiffe_id::SpiffeId;
use crate::model::task::{AgentProfile, TaskState};
use crate::model::time::{Timestamp, Ttl};
use crate::pb::v1;

/// Ids that let one timeline be told later. Empty members were not given.
#[derive(Debug, Clone, Default)]
pub struct RequestContext {
    /// Id of the prompt that led to the request.
    pub prompt_id: String,
    /// Id of the model's tool call.
    pub tool_call_id: String,
    /// W3C `traceparent`, checked for its form.
    pub traceparent: String,
}

/// A task handle as it was shown, not yet checked.
#[derive(Clone)]
pub struct ShownHandle(pub Zeroizing<String>);

impl fmt::Debug for ShownHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShownHandle(..)")
    }
}

/// A person's token as it was shown, not yet verified.
#[derive(Clone)]
pub struct ShownToken(pub Zeroizing<String>);

impl fmt::Debug for ShownToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShownToken(..)")
    }
}

/// Registers a task.
#[derive(Debug, Clone)]
pub struct RegisterTask {
    /// Chosen by the caller.
    pub request_id: RequestId,
    /// What the task is for.
    pub intent: String,
    /// Who wants it, as the orchestrator says it. A sub-task has its parent's, and may leave it out.
    pub initiator: Option<InitiatorName>,
    /// A token of the initiator's, handed over as evidence of who that is.
    pub initiator_token: Option<ShownToken>,
    /// The agent that will work on it.
    pub agent: SpiffeId,
    /// Its ceiling; `None` when none is declared.
    pub ceiling: Option<Ceiling>,
    /// When it ends at the latest.
    pub deadline: Timestamp,
    /// The task above.
    pub parent: Option<TaskId>,
    /// The handle of the task above, when an agent opens a sub-task.
    pub parent_handle: Option<ShownHandle>,
    /// What the agent is made of.
    pub profile: AgentProfile,
    /// Audiences that it may ask tokens for; empty leaves it to policy.
    pub audiences: Vec<Audience>,
    /// Nobody attends it.
    pub unattended: bool,
    /// Ids for the timeline.
    pub context: RequestContext,
}

/// Replaces a task's ceiling or deadline.
#[derive(Debug, Clone)]
pub struct AmendTask {
    /// Chosen by the caller.
    pub request_id: RequestId,
    /// The task.
    pub task: TaskId,
    /// `None` leaves it as it is.
    pub ceiling: Option<Ceiling>,
    /// `None` leaves it as it is.
    pub deadline: Option<Timestamp>,
    /// Ids for the timeline.
    pub context: RequestContext,
}

/// Asks for a credential.
#[derive(Debug, Clone)]
pub struct RequestCredential {
    /// Chosen by the caller.
    pub request_id: RequestId,
    /// The task that it is for.
    pub task: TaskId,
    /// Shown to prove that the caller runs this task.
    pub handle: ShownHandle,
    /// The resource server that the token is for.
    pub audience: Audience,
    /// What is asked for; at least one entry.
    pub access: Vec<Access>,
    /// The life asked for.
    pub ttl: Option<Ttl>,
    /// The agent's own words.
    pub purpose: String,
    /// What the agent is made of now.
    pub profile: AgentProfile,
    /// Ids for the timeline.
    pub context: RequestContext,
}

/// Asks for a new token under a grant that it has.
#[derive(Debug, Clone)]
pub struct RenewCredential {
    /// Chosen by the caller.
    pub request_id: RequestId,
    /// The task.
    pub task: TaskId,
    /// Its handle.
    pub handle: ShownHandle,
    /// The grant.
    pub grant: GrantId,
    /// The life asked for.
    pub ttl: Option<Ttl>,
    /// What the agent is made of now.
    pub profile: AgentProfile,
    /// Ids for the timeline.
    pub context: RequestContext,
}

/// What a revocation or a block is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Target {
    /// One grant.
    Grant(GrantId),
    /// A task with all below it.
    Task(TaskId),
    /// Every grant of an agent; leaves a block.
    Agent(SpiffeId),
    /// Every grant on behalf of somebody; leaves a block.
    Initiator(InitiatorName),
    /// Every grant for a resource server; leaves a block.
    Audience(Audience),
    /// Every grant there is; leaves a block.
    Everything,
}

impl Target {
    /// The kind, as records name it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Grant(_) => "grant",
            Self::Task(_) => "task",
            Self::Agent(_) => "agent",
            Self::Initiator(_) => "initiator",
            Self::Audience(_) => "audience",
            Self::Everything => "everything",
        }
    }

    /// What it names; empty for everything.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Grant(id) => id.to_string(),
            Self::Task(id) => id.to_string(),
            Self::Agent(id) => id.to_string(),
            Self::Initiator(name) => name.to_string(),
            Self::Audience(name) => name.to_string(),
            Self::Everything => String::new(),
        }
    }

    /// True when revoking it leaves a block behind.
    #[must_use]
    pub const fn blocks(&self) -> bool {
        matches!(self, Self::Agent(_) | Self::Initiator(_) | Self::Audience(_) | Self::Everything)
    }
}

/// Reports a piece of evidence about a task.
#[derive(Debug, Clone)]
pub struct ReportSignal {
    /// Chosen by the caller.
    pub request_id: RequestId,
    /// The task.
    pub task: TaskId,
    /// Which signal.
    pub name: SignalName,
    /// 0 to 100.
    pub points: u32,
    /// Why, in words.
    pub explanation: String,
    /// Name and version of what made it.
    pub scorer: String,
    /// When it was observed; `None` is now.
    pub observed: Option<Timestamp>,
    /// Ids for the timeline.
    pub context: RequestContext,
}

/// Reports a tool call that was made.
#[derive(Debug, Clone)]
pub struct ReportToolCall {
    /// Chosen by the caller.
    pub request_id: RequestId,
    /// The task.
    pub task: TaskId,
    /// Shown by the agent; the audience need not.
    pub handle: Option<ShownHandle>,
    /// The grant that it was made under.
    pub grant: Option<GrantId>,
    /// The tool.
    pub tool: ToolName,
    /// What it was called with: an object.
    pub arguments: Json,
    /// What came back.
    pub result: Json,
    /// What of both was told by digests.
    pub digested: DigestedCall,
    /// True when the call failed.
    pub failed: bool,
    /// Ids for the timeline.
    pub context: RequestContext,
}

/// Asks for the key under which the values of such calls are digested.
#[derive(Debug, Clone)]
pub struct GetReportKey {
    /// The task.
    pub task: TaskId,
    /// The grant that they are made under.
    pub grant: Option<GrantId>,
    /// The tool.
    pub tool: ToolName,
}

/// Lists tasks, newest first.
#[derive(Debug, Clone, Default)]
pub struct ListTasks {
    /// Only those in this state.
    pub state: Option<TaskState>,
    /// At most so many; 0 takes the default.
    pub page_size: u32,
    /// Where to go on: the last task of the page before.
    pub after: Option<TaskId>,
}

/// Searches the record. Every member that is given must match.
#[derive(Debug, Clone, Default)]
pub struct SearchEvents {
    /// A task.
    pub task: Option<TaskId>,
    /// An agent.
    pub agent: Option<SpiffeId>,
    /// An initiator.
    pub initiator: Option<InitiatorName>,
    /// A tool.
    pub tool: Option<ToolName>,
    /// What was decided.
    pub outcome: Option<Outcome>,
    /// Why.
    pub reason: Option<ReasonCode>,
    /// A W3C trace id.
    pub trace_id: Option<String>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// What happened, e.g. `credential_decided`.
    pub kind: Option<String>,
    /// At most so many; 0 takes the default.
    pub page_size: u32,
    /// Where the page before ended; empty for the first.
    pub page_token: String,
}

/// Lists approvals.
#[derive(Debug, Clone, Copy)]
pub struct ListApprovals {
    /// Those that stand so.
    pub state: v1::ApprovalState,
    /// 0 takes the default.
    pub page_size: u32,
    /// Where the page before ended.
    pub after: Option<ApprovalsPage>,
    /// Only those that the caller could approve now.
    pub for_me: bool,
}

/// Where a page of approvals ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApprovalsPage {
    /// The first event that had not happened when the first page was told: what is escalated by it or later keeps its place.
    pub began: u64,
    /// True when its last was among the escalated ones, which come first.
    pub escalated: bool,
    /// Its last.
    pub last: ApprovalId,
}

impl ApprovalsPage {
    /// True when this place is behind that one.
    #[must_use]
    pub fn is_behind(self, other: Self) -> bool {
        (!self.escalated, Reverse(self.last)) > (!other.escalated, Reverse(other.last))
    }
}

impl fmt::Display for ApprovalsPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.began, if self.escalated { "escalated" } else { "others" }, self.last)
    }
}

impl FromStr for ApprovalsPage {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let none = || ParseIdError { kind: "page of approvals", problem: "no place where a page ended" };
        let (began, rest) = text.split_once('.').ok_or_else(none)?;
        let (part, last) = rest.split_once('.').ok_or_else(none)?;
        let escalated = match part {
            "escalated" => true,
            "others" => false,
            _ => return Err(none()),
        };
        Ok(Self { began: began.parse().map_err(|_| none())?, escalated, last: last.parse()? })
    }
}

/// Says what a decision was about.
#[derive(Debug, Clone)]
pub struct LabelDecision {
    /// Which.
    pub decision: DecisionId,
    /// What it was about.
    pub label: Label,
    /// Why; may be empty.
    pub note: String,
}

/// Lists labels.
#[derive(Debug, Clone, Default)]
pub struct ListLabels {
    /// Of that decision; of all when there is none.
    pub decision: Option<DecisionId>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// At most so many; 0 takes the default.
    pub page_size: u32,
    /// Where the page before ended; empty for the first.
    pub page_token: String,
}

/// Asks what other thresholds would have meant.
#[derive(Debug, Clone, Copy)]
pub struct Calibrate {
    /// For which class.
    pub class: IdentityClass,
    /// Decisions not before.
    pub from: Option<Timestamp>,
    /// Decisions before.
    pub until: Option<Timestamp>,
    /// Most decisions that are counted.
    pub decisions_max: usize,
    /// Most labels that are taken.
    pub labels_max: usize,
}

/// Says what decisions are compared with.
#[derive(Debug, Clone, Copy)]
pub struct SetDriftReference {
    /// Of which class.
    pub class: IdentityClass,
    /// With what comes next, instead of with what was decided of late.
    pub clear: bool,
}

/// Answers an approval.
#[derive(Debug, Clone)]
pub struct AnswerApproval {
    /// Which.
    pub id: ApprovalId,
    /// The decision that was shown.
    pub decision: DecisionId,
    /// `Approved` or `Denied`.
    pub verdict: Verdict,
    /// Why; may be empty.
    pub reason: String,
}

/// Opens break-glass for one access of a task.
#[derive(Debug, Clone)]
pub struct OpenBreakGlass {
    /// The task.
    pub task: TaskId,
    /// The resource server that the access is for.
    pub audience: Audience,
    /// The one access.
    pub access: Access,
    /// Why.
    pub justification: String,
    /// How long it is to stand open; `None` takes the default.
    pub life: Option<Duration>,
    /// How many grants it is to be good for; 0 is one.
    pub uses_max: u32,
    /// Ids for the timeline.
    pub context: RequestContext,
}

/// Lists break-glass, newest first.
#[derive(Debug, Clone, Copy)]
pub struct ListBreakGlass {
    /// Only where the post-review is open.
    pub review_open: bool,
    /// Only of that task.
    pub task: Option<TaskId>,
    /// 0 takes the default.
    pub page_size: u32,
    /// The last of the page before.
    pub after: Option<GlassId>,
}

/// Closes break-glass before its time.
#[derive(Debug, Clone)]
pub struct CloseBreakGlass {
    /// Which.
    pub id: GlassId,
    /// Why; may be empty.
    pub reason: String,
}

/// Closes a post-review.
#[derive(Debug, Clone)]
pub struct ReviewBreakGlass {
    /// Which.
    pub id: GlassId,
    /// What was found.
    pub verdict: GlassVerdict,
    /// Why.
    pub note: String,
}

/// Takes an approval back.
#[derive(Debug, Clone)]
pub struct WithdrawApproval {
    /// Which.
    pub id: ApprovalId,
    /// Why; may be empty.
    pub reason: String,
}
