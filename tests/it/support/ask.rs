//! What tests ask for, with everything filled in that a test does not care about: the tools and policies are those that
//! Carnet ships.

use carnet::broker::approvals::ApprovalSettings;
use carnet::pb::v1;
use carnet::pb::v1::target::Target as Named;
use serde_json::Value;

use super::caller::{Caller, Refused, unique};

/// The agent that tasks are for.
pub const AGENT: &str = "/agent/triage";
/// Another agent.
pub const SECOND_AGENT: &str = "/agent/helper";
/// Who registers tasks.
pub const ORCHESTRATOR: &str = "/orchestrator/desk";
/// Another orchestrator.
pub const OTHER_ORCHESTRATOR: &str = "/orchestrator/other";
/// The resource server of every shipped audience.
pub const RESOURCE_SERVER: &str = "/resource/all";
/// A resource server of tickets alone.
pub const TICKETS_SERVER: &str = "/resource-of/tickets";
/// A gateway.
pub const GATEWAY: &str = "/gateway/mcp";
/// Who reports signals.
pub const SCORER: &str = "/scorer/siem";
/// An SVID that no pattern matches.
pub const STRANGER: &str = "/nobody/knows";
/// Who wants the tasks.
pub const INITIATOR: &str = "user:ann@example.org";

/// The intent that most tests register: it names a ticket, a person, a file and a payee.
pub const INTENT: &str = "Read ticket T-1000, write what it says to /reports/t-1000.md, and send a summary to \
     bob@example.org. Then pay 12.50 to DE89370400440532013000.";

/// As much may wait for people as a test asks for.
pub const MANY_WAIT: ApprovalSettings = ApprovalSettings {
    pending_per_agent_max: usize::MAX,
    pending_per_initiator_max: usize::MAX,
    ..ApprovalSettings::DEFAULT
};

/// The audience of a shipped tool.
pub fn audience_of(tool: &str) -> String {
    let name = match tool.split('.').next().unwrap() {
        "calendar" => "mail",
        "secrets" => "vault",
        "shell" => "deploy",
        other => other,
    };
    format!("https://{name}.dev.carnet.test")
}

/// A registered task, with its handle.
#[derive(Debug, Clone)]
pub struct OpenTask {
    pub id: String,
    pub handle: String,
}

/// One access of a tool.
pub fn access(tool: &str, arguments: &Value) -> v1::Access {
    v1::Access { tool: tool.to_owned(), arguments_json: arguments.to_string(), ..v1::Access::default() }
}

impl OpenTask {
    /// Asks for one call of a tool.
    pub fn step(&self, tool: &str, arguments: &Value) -> v1::RequestCredentialRequest {
        self.steps(&audience_of(tool), vec![access(tool, arguments)])
    }

    /// Asks for several calls at once.
    pub fn steps(&self, audience: &str, access: Vec<v1::Access>) -> v1::RequestCredentialRequest {
        v1::RequestCredentialRequest {
            request_id: unique("step"),
            task_id: self.id.clone(),
            task_handle: self.handle.clone(),
            audience: audience.to_owned(),
            access,
            purpose: "the next step".to_owned(),
            ..v1::RequestCredentialRequest::default()
        }
    }

    /// Asks to read the ticket that the intent names.
    pub fn reading(&self) -> v1::RequestCredentialRequest {
        self.step("tickets.read", &serde_json::json!({ "ticket_id": "T-1000" }))
    }

    /// Asks to send the mail that the intent asks for.
    pub fn sending(&self) -> v1::RequestCredentialRequest {
        let mail = serde_json::json!({ "to": ["bob@example.org"], "subject": "T-1000", "body": "It is solved." });
        self.step("mail.send", &mail)
    }

    /// Asks to write the file that the intent names: no way out, so nothing that is read puts it in doubt.
    pub fn writing(&self) -> v1::RequestCredentialRequest {
        let file = serde_json::json!({ "path": "/reports/t-1000.md", "content": "It is solved." });
        self.step("files.write", &file)
    }

    pub fn renewal(&self, grant_id: &str) -> v1::RenewCredentialRequest {
        v1::RenewCredentialRequest {
            request_id: unique("renewal"),
            task_id: self.id.clone(),
            task_handle: self.handle.clone(),
            grant_id: grant_id.to_owned(),
            ..v1::RenewCredentialRequest::default()
        }
    }

    pub fn release(&self, grant_id: &str) -> v1::ReleaseCredentialRequest {
        v1::ReleaseCredentialRequest {
            task_id: self.id.clone(),
            task_handle: self.handle.clone(),
            grant_id: grant_id.to_owned(),
        }
    }

    /// A call that was made under a grant, as its resource server reports it.
    pub fn report(&self, grant_id: &str, tool: &str, arguments: &Value, result: &Value) -> v1::ReportToolCallRequest {
        v1::ReportToolCallRequest {
            request_id: unique("call"),
            task_id: self.id.clone(),
            grant_id: grant_id.to_owned(),
            tool: tool.to_owned(),
            arguments_json: arguments.to_string(),
            result_json: result.to_string(),
            ..v1::ReportToolCallRequest::default()
        }
    }

    /// A signal about the task.
    pub fn signal(&self, name: &str, points: u32) -> v1::ReportSignalRequest {
        v1::ReportSignalRequest {
            request_id: unique("signal"),
            task_id: self.id.clone(),
            name: name.to_owned(),
            points,
            explanation: "seen by a test".to_owned(),
            scorer: "test 1.0".to_owned(),
            ..v1::ReportSignalRequest::default()
        }
    }

    pub fn pause(&self) -> v1::PauseTaskRequest {
        v1::PauseTaskRequest { task_id: self.id.clone(), reason: "to look at it".to_owned() }
    }

    pub fn resume(&self) -> v1::ResumeTaskRequest {
        v1::ResumeTaskRequest { task_id: self.id.clone() }
    }

    pub fn complete(&self) -> v1::CompleteTaskRequest {
        v1::CompleteTaskRequest { task_id: self.id.clone(), task_handle: String::new() }
    }

    pub fn cancel(&self) -> v1::CancelTaskRequest {
        v1::CancelTaskRequest { task_id: self.id.clone(), reason: "not needed".to_owned(), task_handle: String::new() }
    }
}

/// Revokes what is named.
pub fn revocation(target: Named) -> v1::RevokeRequest {
    v1::RevokeRequest { target: Some(v1::Target { target: Some(target) }), reason: "by a test".to_owned() }
}

/// Lifts the block of what is named.
pub fn lifting(target: Named) -> v1::LiftBlockRequest {
    v1::LiftBlockRequest { target: Some(v1::Target { target: Some(target) }), reason: "by a test".to_owned() }
}

/// A ceiling of these tools, without further limits.
pub fn ceiling(tools: &[&str]) -> v1::Ceiling {
    let tool = |name: &&str| v1::ToolCeiling { tool: (*name).to_owned(), ..v1::ToolCeiling::default() };
    v1::Ceiling { tools: tools.iter().map(tool).collect(), ..v1::Ceiling::default() }
}

impl Caller {
    /// Registers a task that policy grants.
    pub async fn open(&self, registration: v1::RegisterTaskRequest) -> OpenTask {
        let answer = self.register_task(registration).await.unwrap();
        let Some(task) = answer.task else { panic!("no task: {:?}", answer.decision) };
        assert!(!answer.task_handle.is_empty());
        OpenTask { id: task.task_id, handle: answer.task_handle }
    }

    /// Asks for a credential that policy grants.
    pub async fn granted(&self, request: v1::RequestCredentialRequest) -> Granted {
        let answer = self.request_credential(request).await.unwrap();
        Granted::of(answer)
    }

    /// Asks for a credential that policy does not grant, and says how and why.
    pub async fn withheld(&self, request: v1::RequestCredentialRequest) -> (v1::Outcome, Vec<String>) {
        let answer = self.request_credential(request).await.unwrap();
        assert!(answer.token.is_empty() && answer.grant.is_none(), "granted: {:?}", answer.decision);
        let decision = answer.decision.unwrap();
        (decision.outcome(), codes(&decision))
    }

    /// The standing of a grant, as its resource server sees it.
    pub async fn standing(&self, grant_id: &str) -> Result<v1::GrantState, Refused> {
        Ok(self.grant(grant_id, "").await?.state())
    }
}

/// A grant that came with a token.
#[derive(Debug, Clone)]
pub struct Granted {
    pub decision: v1::Decision,
    pub grant: v1::Grant,
    pub token: String,
    pub position: u64,
}

impl Granted {
    pub fn of(answer: v1::RequestCredentialResponse) -> Self {
        let Some(grant) = answer.grant else { panic!("not granted: {:?}", answer.decision) };
        assert!(!answer.token.is_empty());
        Self { decision: answer.decision.unwrap(), grant, token: answer.token, position: answer.position }
    }

    pub fn renewed(answer: v1::RenewCredentialResponse) -> Self {
        let v1::RenewCredentialResponse { decision, grant, token, position } = answer;
        Self::of(v1::RequestCredentialResponse { decision, grant, token, position })
    }

    pub fn id(&self) -> &str {
        &self.grant.grant_id
    }

    /// The claims of the token, as they stand in it.
    pub fn claims(&self) -> Value {
        part(&self.token, 1)
    }

    /// The header of the token.
    pub fn header(&self) -> Value {
        part(&self.token, 0)
    }
}

fn part(token: &str, n: usize) -> Value {
    use base64::Engine as _;
    let part = token.split('.').nth(n).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// The reason codes of a decision.
pub fn codes(decision: &v1::Decision) -> Vec<String> {
    decision.reasons.iter().map(|reason| reason.code.clone()).collect()
}
