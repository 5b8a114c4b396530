//! Who may call what: one row for each RPC, one column for each class of caller. What is not listed is refused. Whether an
//! object is the caller's is judged by the broker's verbs, after this.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::broker::caller::Caller;
use crate::model::identity::IdentityClass;
use crate::model::person::Right;

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// A workload of that class, by its SVID over mutual TLS or by the JWT-SVID that it shows; `human` is a person, through the
    /// people's door.
    Identity(IdentityClass),
    /// Whoever may open the operator's socket.
    Operator,
}

impl Class {
    /// Every column, in order.
    pub const ALL: [Self; 7] = [
        Self::Identity(IdentityClass::ServiceAccount),
        Self::Identity(IdentityClass::AiAgent),
        Self::Identity(IdentityClass::Orchestrator),
        Self::Identity(IdentityClass::Scorer),
        Self::Identity(IdentityClass::ResourceServer),
        Self::Identity(IdentityClass::Human),
        Self::Operator,
    ];

    /// The column that a caller stands in.
    #[must_use]
    pub const fn of(caller: &Caller) -> Self {
        match caller {
            Caller::Workload(workload) => Self::Identity(workload.class),
            Caller::Person(_) => Self::Identity(IdentityClass::Human),
            Caller::Operator { .. } => Self::Operator,
        }
    }

    /// Its name in the golden table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Identity(class) => class.as_str(),
            Self::Operator => "operator",
        }
    }
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The path of the RPC, as HTTP/2 carries it.
    pub path: &'static str,
    admitted: &'static [Class],
    needs: &'static [Right],
    ends: bool,
    stream: Option<Stream>,
}

/// What becomes of an answer that comes in several messages, when its connection is wound down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// It has no end of its own, and is ended.
    Endless,
    /// The same, but its caller waits for an end: it is told that it did not come to it.
    Fed,
    /// It is let come to its end.
    Finite,
}

impl Row {
    /// True when that class may call it.
    #[must_use]
    pub fn admits(&self, class: Class) -> bool {
        self.admitted.contains(&class)
    }

    /// The rights of which a person needs one for it. Where there are none, what a person may do is judged by the object: what it
    /// initiated is its own.
    #[must_use]
    pub const fn needs(&self) -> &'static [Right] {
        self.needs
    }

    /// True when somebody who has these rights may call it, as far as rights decide.
    #[must_use]
    pub fn satisfied_by(&self, has: impl Fn(Right) -> bool) -> bool {
        self.needs.is_empty() || self.needs.iter().any(|right| has(*right))
    }

    /// True when the RPC ends or holds up something. Such calls have limits of their own.
    #[must_use]
    pub const fn ends(&self) -> bool {
        self.ends
    }

    /// How it streams, when it does.
    #[must_use]
    pub const fn stream(&self) -> Option<Stream> {
        self.stream
    }

    const fn ending(self) -> Self {
        Self { ends: true, ..self }
    }

    const fn streaming(self, stream: Stream) -> Self {
        Self { stream: Some(stream), ..self }
    }
}

/// The row of that path; `None` refuses everybody.
#[must_use]
pub fn row(path: &str) -> Option<&'static Row> {
    static BY_PATH: LazyLock<HashMap<&'static str, &'static Row>> =
        LazyLock::new(|| ROWS.iter().map(|row| (row.path, row)).collect());
    BY_PATH.get(path).copied()
}

const SERVICE_ACCOUNT: Class = Class::Identity(IdentityClass::ServiceAccount);
const AI_AGENT: Class = Class::Identity(IdentityClass::AiAgent);
const ORCHESTRATOR: Class = Class::Identity(IdentityClass::Orchestrator);
const SCORER: Class = Class::Identity(IdentityClass::Scorer);
const RESOURCE_SERVER: Class = Class::Identity(IdentityClass::ResourceServer);
const HUMAN: Class = Class::Identity(IdentityClass::Human);
const OPERATOR: Class = Class::Operator;

/// Those that ask for credentials.
const AGENTS: &[Class] = &[SERVICE_ACCOUNT, AI_AGENT];
/// Those that register tasks, agents for their sub-tasks. What they registered they may also end.
const REGISTRARS: &[Class] = &[SERVICE_ACCOUNT, AI_AGENT, ORCHESTRATOR];
/// The broker's own state of health and its contract are no secret from anybody it knows.
const KNOWN: &[Class] = &[SERVICE_ACCOUNT, AI_AGENT, ORCHESTRATOR, SCORER, RESOURCE_SERVER, HUMAN, OPERATOR];
/// Those that look after the whole.
const OVERSEERS: &[Class] = &[HUMAN, OPERATOR];

/// Whoever may have something to do about break-glass.
const SEES_BREAK_GLASS: &[Right] = &[Right::Read, Right::Revoke, Right::Approve, Right::BreakGlass];

const fn rpc(path: &'static str, admitted: &'static [Class]) -> Row {
    Row { path, admitted, needs: &[], ends: false, stream: None }
}

/// For overseers, of whom people need one of these rights.
const fn overseen(path: &'static str, needs: &'static [Right]) -> Row {
    Row { path, admitted: OVERSEERS, needs, ends: false, stream: None }
}

/// The table.
pub const ROWS: &[Row] = &[
    rpc("/carnet.v1.TaskService/RegisterTask", REGISTRARS),
    rpc("/carnet.v1.TaskService/GetTask", &[SERVICE_ACCOUNT, AI_AGENT, ORCHESTRATOR, HUMAN, OPERATOR]),
    rpc("/carnet.v1.TaskService/ListTasks", &[ORCHESTRATOR, HUMAN, OPERATOR]),
    rpc("/carnet.v1.TaskService/AmendTask", &[ORCHESTRATOR]),
    rpc("/carnet.v1.TaskService/PauseTask", &[ORCHESTRATOR]).ending(),
    rpc("/carnet.v1.TaskService/ResumeTask", &[ORCHESTRATOR]),
    rpc("/carnet.v1.TaskService/CompleteTask", REGISTRARS).ending(),
    rpc("/carnet.v1.TaskService/CancelTask", REGISTRARS).ending(),
    rpc("/carnet.v1.CredentialService/RequestCredential", AGENTS),
    rpc("/carnet.v1.CredentialService/RenewCredential", AGENTS),
    rpc("/carnet.v1.CredentialService/ReleaseCredential", AGENTS).ending(),
    rpc(
        "/carnet.v1.CredentialService/GetGrant",
        &[SERVICE_ACCOUNT, AI_AGENT, ORCHESTRATOR, RESOURCE_SERVER, HUMAN, OPERATOR],
    ),
    rpc("/carnet.v1.RevocationService/Revoke", &[ORCHESTRATOR, HUMAN, OPERATOR]).ending(),
    overseen("/carnet.v1.RevocationService/LiftBlock", &[Right::Revoke]),
    overseen("/carnet.v1.RevocationService/ListBlocks", &[Right::Read, Right::Revoke]),
    rpc("/carnet.v1.RevocationService/Watch", &[RESOURCE_SERVER]).streaming(Stream::Endless),
    rpc("/carnet.v1.SignalService/ReportSignal", &[SCORER]),
    rpc("/carnet.v1.SignalService/ReportToolCall", &[SERVICE_ACCOUNT, AI_AGENT, RESOURCE_SERVER]),
    rpc("/carnet.v1.SignalService/ReportToolCalls", &[SERVICE_ACCOUNT, AI_AGENT, RESOURCE_SERVER])
        .streaming(Stream::Fed),
    rpc("/carnet.v1.SignalService/GetReportKey", &[RESOURCE_SERVER]),
    // Which approvals are whose, the verbs judge: a person needs no right for those of what it initiated.
    rpc("/carnet.v1.ApprovalService/ListApprovals", OVERSEERS),
    rpc("/carnet.v1.ApprovalService/GetApproval", OVERSEERS),
    rpc("/carnet.v1.ApprovalService/AnswerApproval", &[HUMAN]),
    rpc("/carnet.v1.ApprovalService/WithdrawApproval", &[HUMAN]).ending(),
    rpc("/carnet.v1.ApprovalService/WatchApprovals", OVERSEERS).streaming(Stream::Endless),
    // An agent gets as far as being refused: which of its tasks it asked for is against it.
    rpc("/carnet.v1.BreakGlassService/OpenBreakGlass", &[SERVICE_ACCOUNT, AI_AGENT, HUMAN]),
    overseen("/carnet.v1.BreakGlassService/GetBreakGlass", SEES_BREAK_GLASS),
    overseen("/carnet.v1.BreakGlassService/ListBreakGlass", SEES_BREAK_GLASS),
    // Who opened it may close it, whatever right it has still.
    rpc("/carnet.v1.BreakGlassService/CloseBreakGlass", &[HUMAN]).ending(),
    rpc("/carnet.v1.BreakGlassService/ReviewBreakGlass", &[HUMAN]),
    overseen("/carnet.v1.NotificationService/ListDeliveries", &[Right::Read]),
    rpc("/carnet.v1.NotificationService/TestWebhook", &[OPERATOR]),
    overseen("/carnet.v1.AuditService/SearchEvents", &[Right::Read]),
    overseen("/carnet.v1.AuditService/GetDecision", &[Right::Read]),
    overseen("/carnet.v1.AuditService/ExportEvents", &[Right::Read]).streaming(Stream::Finite),
    overseen("/carnet.v1.AuditService/GetCheckpoint", &[Right::Read]),
    overseen("/carnet.v1.PolicyService/GetActivePolicy", &[Right::Read, Right::ActivatePolicy]),
    overseen("/carnet.v1.PolicyService/CheckPolicy", &[Right::ActivatePolicy]),
    overseen("/carnet.v1.PolicyService/ActivatePolicy", &[Right::ActivatePolicy]),
    overseen("/carnet.v1.PolicyService/ListPolicyProposals", &[Right::Read, Right::ActivatePolicy]),
    overseen("/carnet.v1.PolicyService/WithdrawPolicyProposal", &[Right::ActivatePolicy]),
    // It reads the record, whatever bundle it is asked about.
    // It takes the right to read as well, which the verb sees to.
    overseen("/carnet.v1.PolicyService/WhatIf", &[Right::ActivatePolicy]).streaming(Stream::Finite),
    // What people say of decisions, people say, and not whoever may open a socket.
    Row { needs: &[Right::Label, Right::Approve], ..rpc("/carnet.v1.RiskService/LabelDecision", &[HUMAN]) },
    overseen("/carnet.v1.RiskService/ListLabels", &[Right::Read]),
    overseen("/carnet.v1.RiskService/Calibrate", &[Right::Read]),
    overseen("/carnet.v1.RiskService/GetDrift", &[Right::Read]),
    overseen("/carnet.v1.RiskService/SetDriftReference", &[Right::ActivatePolicy]),
    rpc("/grpc.health.v1.Health/Check", KNOWN),
    rpc("/grpc.health.v1.Health/Watch", KNOWN).streaming(Stream::Endless),
    rpc("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", KNOWN).streaming(Stream::Endless),
];
