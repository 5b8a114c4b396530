//! Who plays: workloads with their SVIDs, and what each asks of the broker.

use std::time::Duration;

use tonic::transport::Channel;

use crate::clock::Clock;
use crate::dev::broker::DevBroker;
use crate::dev::demo::error::DemoError;
use crate::dev::identities::{AGENT, Member, ORCHESTRATOR, SCORER, SECOND_AGENT, STRANGER};
use crate::dev::people::{ACTING, ADA, DevIssuer, DevPerson, INITIATING};
use crate::entropy::Entropy;
use crate::identity::client::{Dialer, ServerIdentity};
use crate::identity::error::IdentityError;
use crate::identity::web::{HttpsUrl, WebRoots};
use crate::identity::workload::Workload;
use crate::pb::v1;
use crate::pb::v1::approval_service_client::ApprovalServiceClient;
use crate::pb::v1::credential_service_client::CredentialServiceClient;
use crate::pb::v1::signal_service_client::SignalServiceClient;
use crate::pb::v1::task_service_client::TaskServiceClient;

/// A second, and a little more.
const A_SECOND: Duration = Duration::from_millis(1010);
/// How long a task of the demo may take.
const TASK_LIFE: Duration = Duration::from_secs(600);

/// A workload that takes part.
pub(in crate::dev::demo) struct Player {
    pub(in crate::dev::demo) id: String,
    pub(in crate::dev::demo) workload: Workload,
    channel: Channel,
}

/// Everybody.
pub(in crate::dev::demo) struct Cast<'b> {
    pub(in crate::dev::demo) agent: Player,
    pub(in crate::dev::demo) second_agent: Player,
    pub(in crate::dev::demo) orchestrator: Player,
    pub(in crate::dev::demo) scorer: Player,
    stranger: Dialer,
    people: &'b DevIssuer,
    people_door: Channel,
    entropy: Entropy,
}

/// A task as its agent holds it.
pub(in crate::dev::demo) struct HeldTask {
    pub(in crate::dev::demo) id: String,
    pub(in crate::dev::demo) handle: String,
}

/// What an agent asks for.
pub(in crate::dev::demo) struct Wish<'w> {
    pub(in crate::dev::demo) audience: &'w str,
    /// Tools, each with its arguments.
    pub(in crate::dev::demo) access: &'w [(&'w str, &'w str)],
    pub(in crate::dev::demo) purpose: &'w str,
}

impl<'b> Cast<'b> {
    /// Gives everybody an identity and a connection; the stranger only tries.
    pub(in crate::dev::demo) async fn assemble(broker: &'b DevBroker) -> Result<Self, DemoError> {
        let expected = ServerIdentity::Exact(broker.spiffe_id().clone());
        let player = |member: Member| {
            let expected = expected.clone();
            async move {
                let workload = Workload::from_socket(&broker.world().socket(&member)).await?;
                let channel = Dialer::new(&broker.address(), &workload, expected)?.channel().await?;
                Ok::<_, DemoError>(Player { id: member.spiffe_id()?.to_string(), workload, channel })
            }
        };
        let stranger = Workload::from_socket(&broker.world().socket(&STRANGER)).await?;
        let stranger = Dialer::new(&broker.address(), &stranger, expected.clone())?;
        let roots = WebRoots::load(Some(broker.people().ca_file()))?;
        let door = HttpsUrl::plain(&broker.people_door()).map_err(|_| DemoError::Incomplete("a door for people"))?;
        Ok(Self {
            people: broker.people(),
            people_door: roots.channel(&door).await?,
            agent: player(AGENT).await?,
            second_agent: player(SECOND_AGENT).await?,
            orchestrator: player(ORCHESTRATOR).await?,
            scorer: player(SCORER).await?,
            stranger,
            entropy: Entropy::system(),
        })
    }

    /// Registers a task for an agent.
    pub(in crate::dev::demo) async fn register(
        &self,
        intent: &str,
        agent: &Player,
        ceiling: &[&str],
    ) -> Result<(v1::Decision, Option<HeldTask>), DemoError> {
        let tools = ceiling.iter().map(|tool| v1::ToolCeiling { tool: (*tool).to_owned(), ..Default::default() });
        let deadline = Clock::system().now().after(TASK_LIFE).as_secs();
        let request = v1::RegisterTaskRequest {
            request_id: self.request_id()?,
            intent: intent.to_owned(),
            initiator_token: self.people.token(&ADA, INITIATING)?,
            agent: agent.id.clone(),
            ceiling: Some(v1::Ceiling { tools: tools.collect(), ..v1::Ceiling::default() }),
            deadline: Some(prost_types::Timestamp { seconds: i64::try_from(deadline).unwrap_or(i64::MAX), nanos: 0 }),
            ..Default::default()
        };
        let mut client = TaskServiceClient::new(self.orchestrator.channel.clone());
        let answer = client.register_task(request).await?.into_inner();
        let decision = answer.decision.ok_or(DemoError::Incomplete("the decision"))?;
        let handle = answer.task_handle;
        Ok((decision, answer.task.map(|task| HeldTask { id: task.task_id, handle })))
    }

    /// Asks for a credential as that agent.
    pub(in crate::dev::demo) async fn request(
        &self,
        agent: &Player,
        task: &HeldTask,
        wish: &Wish<'_>,
    ) -> Result<v1::RequestCredentialResponse, DemoError> {
        let access = wish.access.iter().map(|(tool, arguments)| v1::Access {
            tool: (*tool).to_owned(),
            arguments_json: (*arguments).to_owned(),
            ..Default::default()
        });
        let request = v1::RequestCredentialRequest {
            request_id: self.request_id()?,
            task_id: task.id.clone(),
            task_handle: task.handle.clone(),
            audience: wish.audience.to_owned(),
            access: access.collect(),
            purpose: wish.purpose.to_owned(),
            ..Default::default()
        };
        let mut client = CredentialServiceClient::new(agent.channel.clone());
        Ok(client.request_credential(request).await?.into_inner())
    }

    /// Answers what waits for people as that person, who has logged in just now.
    pub(in crate::dev::demo) async fn answer(
        &self,
        person: &DevPerson,
        decision: &v1::Decision,
        verdict: v1::Verdict,
    ) -> Result<v1::Approval, DemoError> {
        // Tokens say when somebody logged in to the second, and it has to be after the question.
        tokio::time::sleep(A_SECOND).await;
        let shown = format!("Bearer {}", self.people.token(person, ACTING)?);
        let mut request = tonic::Request::new(v1::AnswerApprovalRequest {
            approval_id: decision.approval_id.clone(),
            decision_id: decision.decision_id.clone(),
            verdict: verdict.into(),
            reason: String::new(),
        });
        let shown = shown.parse().map_err(|_| DemoError::Incomplete("a token that can be shown"))?;
        request.metadata_mut().insert("authorization", shown);
        let mut client = ApprovalServiceClient::new(self.people_door.clone());
        let answer = client.answer_approval(request).await?.into_inner();
        answer.approval.ok_or(DemoError::Incomplete("the approval"))
    }

    /// Reports a signal as the scorer.
    pub(in crate::dev::demo) async fn signal(
        &self,
        task: &HeldTask,
        name: &str,
        points: u32,
        explanation: &str,
    ) -> Result<v1::ReportSignalResponse, DemoError> {
        let request = v1::ReportSignalRequest {
            request_id: self.request_id()?,
            task_id: task.id.clone(),
            name: name.to_owned(),
            points,
            explanation: explanation.to_owned(),
            scorer: "watch/1".to_owned(),
            ..Default::default()
        };
        let mut client = SignalServiceClient::new(self.scorer.channel.clone());
        Ok(client.report_signal(request).await?.into_inner())
    }

    /// Completes a task as the orchestrator.
    pub(in crate::dev::demo) async fn complete(&self, task: &HeldTask) -> Result<v1::CompleteTaskResponse, DemoError> {
        let mut client = TaskServiceClient::new(self.orchestrator.channel.clone());
        Ok(client
            .complete_task(v1::CompleteTaskRequest { task_id: task.id.clone(), task_handle: String::new() })
            .await?
            .into_inner())
    }

    /// What becomes of the stranger's attempt to ask for anything at all: why not, if he is refused.
    pub(in crate::dev::demo) async fn stranger_tries(&self) -> Option<String> {
        let channel = match self.stranger.channel().await {
            Ok(channel) => channel,
            Err(error) => return Some(refusal(&error)),
        };
        let asked = TaskServiceClient::new(channel).list_tasks(v1::ListTasksRequest::default()).await;
        asked.err().map(|status| format!("{:?}", status.code()))
    }

    fn request_id(&self) -> Result<String, DemoError> {
        let random: [u8; 8] = self.entropy.bytes()?;
        Ok(format!("demo-{:016x}", u64::from_be_bytes(random)))
    }
}

fn refusal(error: &IdentityError) -> String {
    match error {
        IdentityError::Connect { .. } => "no connection".to_owned(),
        other => other.to_string(),
    }
}
