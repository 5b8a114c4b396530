//! Reason codes: the whole vocabulary, with stable numbers and names. A code that is retired stays reserved.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal, $agent:literal, $reviewer:literal;)*) => {
        /// Why something was escalated, refused or ended.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        #[repr(u16)]
        pub enum ReasonCode {
            $($(#[$doc])* $name = $number,)*
        }

        impl ReasonCode {
            /// Every code, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The stable number.
            #[must_use]
            pub const fn number(self) -> u16 {
                self as u16
            }

            /// A sentence that is safe to tell an agent: it names no value, no policy and no threshold.
            #[must_use]
            pub const fn for_agent(self) -> &'static str {
                match self { $(Self::$name => $agent,)* }
            }

            /// A sentence for a reviewer.
            #[must_use]
            pub const fn for_reviewer(self) -> &'static str {
                match self { $(Self::$name => $reviewer,)* }
            }
        }
    };
}

reasons! {
    // --- structure: 100..
    /// The catalogue knows no such tool.
    ToolUnknown = 100, "TOOL_UNKNOWN", "The tool is not available.", "The catalogue knows no such tool.";
    /// Nobody answers for the tool.
    ToolUnowned = 101, "TOOL_UNOWNED", "The tool is not available.", "The catalogue names no owner for the tool.";
    /// The tool belongs to another audience.
    AudienceMismatch = 102, "AUDIENCE_MISMATCH", "The tool is not offered by this audience.", "The catalogue binds the tool to another audience than the one asked for.";
    /// The tool has no such action.
    ActionUnknown = 103, "ACTION_UNKNOWN", "The tool has no such action.", "The catalogue lists no such action for the tool.";
    /// The task may not ask for this audience.
    AudienceNotInTask = 104, "AUDIENCE_NOT_IN_TASK", "The task does not extend to this audience.", "The audience is not among those that the task was registered for.";

    // --- ceiling: 200..
    /// The access goes beyond the task's ceiling.
    CeilingExceeded = 200, "CEILING_EXCEEDED", "The task's ceiling does not cover this.", "The access goes beyond the ceiling of the task.";
    /// A sub-task would go beyond its parent.
    ParentExceeded = 201, "PARENT_EXCEEDED", "A sub-task may not have more than its parent.", "The sub-task would have more than its parent.";
    /// The life asked for was cut.
    TtlShortened = 202, "TTL_SHORTENED", "The life of the token is shorter than asked.", "The life asked for was above the limit of policy, ceiling, deadline or SVID.";

    // --- provenance, taint, intent: 300..
    /// A sink's value stands only in free text.
    SinkInText = 300, "SINK_IN_TEXT", "A value that decides where this goes needs to be confirmed.", "The value of a sink was seen only where it is no ground.";
    /// A sink's value was never seen.
    SinkUnseen = 301, "SINK_UNSEEN", "A value that decides where this goes needs to be confirmed.", "The value of a sink stands neither in the intent nor in anything that was reported.";
    /// Private data, untrusted input and a way out come together.
    TaintedExit = 302, "TAINTED_EXIT", "This would send data out after untrusted input was read.", "Private data and untrusted input were read in this task, and the tool is a way out.";
    /// The effect is not what the intent's words imply.
    IntentMismatch = 303, "INTENT_MISMATCH", "The step does not follow from the task as it was registered.", "The words of the intent do not imply an effect of this kind.";
    /// Two duties would be combined.
    DutyConflict = 304, "DUTY_CONFLICT", "This may not be combined with an earlier step.", "The tool may not be combined with another that was already used.";
    /// The session was too large to be kept.
    SessionOverflow = 305, "SESSION_OVERFLOW", "The task is too long to be judged without a person.", "The session outgrew what is kept, so the origin of values is not certain.";
    /// The intent names another value of that kind.
    SinkNotNamed = 306, "SINK_NOT_NAMED", "A value that decides where this goes needs to be confirmed.", "The intent itself names an address or a URL, and the value of the sink is another one.";
    /// What is to be written or sent was dictated by something that the agent read.
    ContentDictated = 307, "CONTENT_DICTATED", "The content or the object of this step needs to be confirmed.", "What is to be written or sent, or the object of it, stands in what outsiders can write, or may stand there where a digest alone was reported.";

    // --- risk: 400..
    /// The band asks for a person.
    RiskHigh = 400, "RISK_HIGH", "The step needs to be confirmed.", "The risk score lies in a band that asks for the initiator's confirmation.";
    /// The band asks for a reviewer.
    RiskCritical = 401, "RISK_CRITICAL", "The step needs to be reviewed.", "The risk score lies in a band that asks for an independent review.";
    /// The agent is no longer the one that was registered.
    ProfileChanged = 402, "PROFILE_CHANGED", "The agent changed since the task was registered.", "Model, prompt, corpus or tool definitions differ from those registered with the task, or first shown in it.";
    /// A score was not lifted in the configured time.
    DriftUnanswered = 403, "DRIFT_UNANSWERED", "The grant was suspended and nobody lifted it in time.", "The grant was suspended by its score alone, and nobody lifted it in the configured time.";

    // --- policy: 500..
    /// No permit matches.
    NoPermit = 500, "NO_PERMIT", "Policy does not permit this.", "No permit of the policy bundle matches.";
    /// A policy could not be evaluated.
    PolicyError = 501, "POLICY_ERROR", "Policy could not be evaluated.", "The evaluation of a policy failed, which denies.";
    /// A rule forbids it.
    Forbidden = 502, "FORBIDDEN", "Policy forbids this.", "A policy forbids it without a code of its own.";
    /// The privilege is too high to be granted without a person.
    HighPrivilege = 503, "HIGH_PRIVILEGE", "The step needs to be reviewed.", "The privilege of the tool asks for a review.";
    /// Amending to more needs a person.
    WideningNeedsApproval = 504, "WIDENING_NEEDS_APPROVAL", "Widening a task needs an approval.", "A task's ceiling or deadline grows only with an approval.";
    /// The initiator is only asserted.
    InitiatorUnverified = 505, "INITIATOR_UNVERIFIED", "The initiator needs to be verified.", "The initiator was named by the orchestrator and not verified.";
    /// The agent's class may not be given tasks.
    AgentNotEligible = 506, "AGENT_NOT_ELIGIBLE", "This agent may not be given such a task.", "The identity that is to work on the task is unknown, or of a class that does not work on tasks.";
    /// The caller proved no key.
    KeyNotProven = 507, "KEY_NOT_PROVEN", "A token needs a key that was proven.", "The caller authenticated with a bearer token, so there is no key to bind to.";
    /// Dangerous combination of class and effect.
    EffectNotAllowed = 508, "EFFECT_NOT_ALLOWED", "Such an effect is not allowed here.", "Policy does not allow this effect for the class of the caller or of the data.";

    // --- approvals: 550..
    /// A person denied it.
    ApprovalDenied = 550, "APPROVAL_DENIED", "A person denied this; it is not asked again for a while.", "A person denied this access for this agent a short while ago.";
    /// Nobody answered.
    ApprovalUnanswered = 551, "APPROVAL_UNANSWERED", "Nobody approved this in time.", "Nobody answered in the configured time.";
    /// Too many requests wait for a person.
    TooManyPending = 552, "TOO_MANY_PENDING", "Too many requests wait for a person.", "As many requests of the agent, or on behalf of the initiator, wait for a person as may at a time.";
    /// The approval is no longer open.
    ApprovalClosed = 553, "APPROVAL_CLOSED", "This was answered already.", "The approval was answered, withdrawn or replaced, or its time is over.";
    /// What is to be approved is not what was shown.
    ApprovalChanged = 554, "APPROVAL_CHANGED", "This is not what was shown any more.", "The request was decided anew since it was shown, under other rules or with other doubts.";
    /// The approver is not independent.
    NotIndependent = 555, "NOT_INDEPENDENT", "Somebody else must review this.", "Who initiated a task does not review its requests, and nobody counts twice.";
    /// Only the initiator confirms a step-up.
    NotInitiator = 556, "NOT_INITIATOR", "Only the initiator can confirm this.", "A step-up is confirmed by the verified initiator of the task and by nobody else.";
    /// The places that are left are kept for owners.
    NotOwner = 558, "NOT_OWNER", "Somebody who answers for the tool must review this.", "Policy wants the owner of the tool among those who approve, and nobody else has a place left.";

    // --- break-glass: 570..
    /// An agent asked for break-glass.
    BreakGlassNotForAgents = 570, "BREAK_GLASS_NOT_FOR_AGENTS", "Break-glass is opened by people alone; that it was asked for is recorded.", "An agent asked for break-glass, which people alone open: a signal against its task.";
    /// The glass is over.
    BreakGlassClosed = 571, "BREAK_GLASS_CLOSED", "This is closed already.", "What was opened by break-glass was closed, its time is over, or its task ended.";
    /// The glass is open.
    BreakGlassOpen = 572, "BREAK_GLASS_OPEN", "This is open still.", "For the same access of the task a glass is open; or it is reviewed only when it is over.";
    /// The post-review was closed.
    BreakGlassReviewed = 573, "BREAK_GLASS_REVIEWED", "This was reviewed already.", "Somebody has closed the post-review before.";

    // --- ends and blocks: 600..
    /// The task has ended.
    TaskEnded = 600, "TASK_ENDED", "The task has ended.", "The task was completed, cancelled or had expired.";
    /// The task is paused.
    TaskPaused = 601, "TASK_PAUSED", "The task is paused.", "The task was paused.";
    /// The grant was revoked.
    GrantRevoked = 602, "GRANT_REVOKED", "The grant was revoked.", "The grant had been revoked.";
    /// The agent, initiator or audience is blocked.
    Blocked = 603, "BLOCKED", "Credentials are withheld until a person lifts the block.", "A block stands against the agent, the initiator or the audience.";
    /// The grant is suspended.
    GrantSuspended = 604, "GRANT_SUSPENDED", "The grant is suspended.", "The grant was suspended when it was used.";
    /// The grant is over.
    GrantExpired = 605, "GRANT_EXPIRED", "The grant has expired.", "The grant had expired or was released.";
    /// The deadline has passed.
    DeadlinePassed = 606, "DEADLINE_PASSED", "The deadline of the task has passed.", "The deadline of the task had passed.";
    /// The trust domain of an agent is no longer trusted.
    TrustWithdrawn = 607, "TRUST_WITHDRAWN", "The trust domain is not accepted at present.", "The trust bundle of the agent's trust domain was withdrawn, or the trust domain is no longer accepted.";
    /// The token in hand would outlive the task.
    OutlivesTask = 608, "OUTLIVES_TASK", "The deadline of the task is earlier now; renew the credential.", "The deadline of the task was set earlier than the end of the token.";

    // --- callers: 700..
    /// No identity was proven.
    Unauthenticated = 700, "UNAUTHENTICATED", "An identity must be proven.", "The peer proved no identity.";
    /// The identity matches no pattern.
    IdentityUnknown = 701, "IDENTITY_UNKNOWN", "This identity may do nothing here.", "The SPIFFE ID matches no pattern of the policy bundle.";
    /// The class may not call this.
    MethodNotAllowed = 702, "METHOD_NOT_ALLOWED", "This identity may not call this method.", "The access table does not admit this class to the method.";
    /// The object is not the caller's, or does not exist.
    NotFound = 703, "NOT_FOUND", "There is no such object.", "The object does not exist or is not the caller's.";
    /// The handle is wrong.
    HandleWrong = 704, "HANDLE_WRONG", "There is no such object.", "The task handle that was shown is not the task's.";
    /// The trust domain is not accepted.
    TrustDomainUnknown = 705, "TRUST_DOMAIN_UNKNOWN", "The trust domain is not accepted.", "The trust domain of the SVID is not on the list, or has no trust bundle.";
    /// The SVID does not hold.
    SvidInvalid = 706, "SVID_INVALID", "The SVID is not accepted.", "The SVID did not pass verification.";
    /// The SVID is over.
    SvidExpired = 707, "SVID_EXPIRED", "The SVID has expired.", "The SVID that opened the connection has expired.";
    /// Too many requests.
    RateLimited = 708, "RATE_LIMITED", "Too many requests; try again later.", "The caller was above its rate.";
    /// A person's token does not hold.
    TokenInvalid = 709, "TOKEN_INVALID", "The token is not accepted.", "The token of a person did not pass verification.";
    /// A person's token is over.
    TokenExpired = 710, "TOKEN_EXPIRED", "The token has expired.", "The token of a person had expired.";
    /// The person authenticated too long ago for this.
    AuthenticationStale = 711, "AUTHENTICATION_STALE", "This needs a fresh login.", "The person had authenticated too long ago for this, or the issuer did not say when.";
    /// The person lacks the right.
    RightMissing = 712, "RIGHT_MISSING", "This person may not do this.", "The configuration does not give the person the right to do this.";
    /// It takes two persons.
    TwoPersonsNeeded = 713, "TWO_PERSONS_NEEDED", "Two people must do this, at the people's door.", "The configuration asks for two persons to activate policy, and the operator's socket is none.";

    // --- requests: 800..
    /// A field is malformed.
    InvalidArgument = 800, "INVALID_ARGUMENT", "The request is malformed.", "A field of the request is malformed.";
    /// Something is larger than its limit.
    LimitExceeded = 801, "LIMIT_EXCEEDED", "The request is above a limit.", "A field of the request is above its limit.";
    /// The request id was used for something else.
    RequestIdReused = 802, "REQUEST_ID_REUSED", "The request id was used for a different request.", "The request id stands in the record with other content.";
    /// The task changed under the request too often.
    Conflict = 803, "CONFLICT", "The task changed at the same time; try again.", "The task changed under the request more often than it was tried.";
    /// Carnet cannot decide now.
    Unavailable = 804, "UNAVAILABLE", "No decision can be made now; try again later.", "The journal, a key or a trust bundle was not available.";
    /// Disk space is held back for ends and revocations.
    StorageFull = 805, "STORAGE_FULL", "No decision can be recorded now; try again later.", "What is left of the disk is held back for ends and revocations.";
    /// A defect of Carnet.
    Internal = 806, "INTERNAL", "An internal error occurred.", "An internal error occurred; the log has its cause.";
    /// The candidate bundle is refused.
    PolicyRejected = 807, "POLICY_REJECTED", "The policy bundle is refused.", "The policy bundle does not load, fails its tests, is not signed as it must be, or would go back.";
}

/// A name that is no reason code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no reason code")]
pub struct UnknownReasonError(pub String);

impl FromStr for ReasonCode {
    type Err = UnknownReasonError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|c| c.as_str() == s).ok_or_else(|| UnknownReasonError(s.to_owned()))
    }
}

impl TryFrom<String> for ReasonCode {
    type Error = UnknownReasonError;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<ReasonCode> for String {
    fn from(code: ReasonCode) -> String {
        code.as_str().to_owned()
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
