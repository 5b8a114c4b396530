//! What agents are sent for: a support ticket that is read. Tool, audience and values are those of the policy bundle that
//! Carnet ships, and the request is of the size that agents send: profile, trace and a sentence of purpose are in it.

use crate::pb::v1;

/// The tool that is asked for.
pub(in crate::bench) const TOOL: &str = "tickets.read";
/// The resource server that offers it.
pub(in crate::bench) const AUDIENCE: &str = "https://tickets.dev.carnet.test";
/// Life of a task in seconds: longer than any run.
const TASK_SECONDS: i64 = 6 * 3600;

/// What one agent is to do.
#[derive(Debug, Clone)]
pub(in crate::bench) struct Errand {
    ticket: String,
    profile: v1::AgentProfile,
}

impl Errand {
    /// The errand of slot number `n`.
    pub(in crate::bench) fn new(n: usize) -> Self {
        let digest = |what: u8| format!("sha-256:{}", format!("{what:02x}").repeat(32));
        let profile = v1::AgentProfile {
            model: "example-model-4.1-2026-10".to_owned(),
            prompt_digest: digest(0x11),
            corpus_digest: digest(0x22),
            tools_digest: digest(0x33),
        };
        Self { ticket: format!("T-{:06}", 100_000 + n), profile }
    }

    /// Registers its task.
    pub(in crate::bench) fn registration(
        &self,
        request_id: String,
        agent: &str,
        now_s: i64,
    ) -> v1::RegisterTaskRequest {
        let tool = |tool: &str, sinks| v1::ToolCeiling { tool: tool.to_owned(), sinks, ..v1::ToolCeiling::default() };
        let ticket = || {
            let values = vec![self.ticket.clone()];
            vec![v1::SinkCeiling { sink: "ticket_id".to_owned(), values, ..v1::SinkCeiling::default() }]
        };
        let tools = vec![tool("tickets.search", Vec::new()), tool(TOOL, ticket()), tool("tickets.comment", ticket())];
        v1::RegisterTaskRequest {
            request_id,
            intent: format!(
                "Read support ticket {} and the tickets that it refers to, find out why the delivery is late, and answer \
                 the customer with a comment on the ticket.",
                self.ticket
            ),
            initiator: "user:bench@example.com".to_owned(),
            agent: agent.to_owned(),
            ceiling: Some(v1::Ceiling { tools, ..v1::Ceiling::default() }),
            deadline: Some(prost_types::Timestamp { seconds: now_s + TASK_SECONDS, nanos: 0 }),
            agent_profile: Some(self.profile.clone()),
            ..v1::RegisterTaskRequest::default()
        }
    }

    /// The arguments of the call.
    pub(in crate::bench) fn arguments(&self) -> String {
        format!(r#"{{"ticket_id":"{}","include_comments":true,"comments_max":50}}"#, self.ticket)
    }

    /// Asks for the credential of one step.
    pub(in crate::bench) fn request(&self, step: u64, task: &str, handle: &str) -> v1::RequestCredentialRequest {
        let access = v1::Access {
            tool: TOOL.to_owned(),
            actions: vec!["tools/call".to_owned()],
            arguments_json: self.arguments(),
            ..v1::Access::default()
        };
        v1::RequestCredentialRequest {
            request_id: format!("step-{step}"),
            task_id: task.to_owned(),
            task_handle: handle.to_owned(),
            audience: AUDIENCE.to_owned(),
            access: vec![access],
            purpose: "Read the ticket with its comments, to see what the customer was told about the delivery so far."
                .to_owned(),
            agent_profile: Some(self.profile.clone()),
            context: Some(v1::RequestContext {
                prompt_id: "prompt-01JF0000000000000000000000".to_owned(),
                tool_call_id: format!("call-{step:012}"),
                traceparent: format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{:016x}-01", step + 1),
            }),
            ..v1::RequestCredentialRequest::default()
        }
    }
}
