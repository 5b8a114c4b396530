//! Agents that ask for credentials: each slot has a task of its own and one request in flight.

use std::error::Error as _;
use std::sync::Arc;

use tonic::transport::Channel;

use super::drive::{Askers, Problem, Slot};
use super::errand::Errand;
use super::error::BenchError;
use super::record::{Line, Recorder};
use super::site::{Member, Site};
use crate::clock::Clock;
use crate::pb::v1;
use crate::pb::v1::credential_service_client::CredentialServiceClient;
use crate::pb::v1::task_service_client::TaskServiceClient;

/// Grants of one task: then it is completed and the slot takes another, as tasks end in practice and brokers bound them.
const GRANTS_PER_TASK: u64 = 512;

/// Asks; once more when that was not sent.
macro_rules! sent {
    ($ask:expr) => {
        match $ask.await {
            Err(status) if is_unsent(&status) => $ask.await?,
            answer => answer?,
        }
    };
}

/// A slot that asks for one credential after the other.
#[derive(Debug)]
pub(in crate::bench) struct RequestSlot {
    tasks: TaskServiceClient<Channel>,
    credentials: CredentialServiceClient<Channel>,
    agent: Member,
    errand: Errand,
    /// What no other run and no other slot begins its request ids with.
    name: String,
    task: Option<Open>,
    tasks_opened: u64,
    next: Option<v1::RequestCredentialRequest>,
    recorder: Option<Arc<Recorder>>,
    /// The last grant with its token.
    pub(in crate::bench) granted: Option<(v1::Grant, String)>,
}

#[derive(Debug)]
struct Open {
    id: String,
    handle: String,
    grants: u64,
}

impl RequestSlot {
    /// One slot for each request in flight, shared out among the agents.
    pub(in crate::bench) async fn all(
        site: &Site,
        askers: &Askers,
        in_flight: usize,
        recorder: Option<&Arc<Recorder>>,
    ) -> Result<Vec<(usize, Self)>, BenchError> {
        let tasks = TaskServiceClient::new(site.dial(0, &site.orchestrator, askers).await?);
        let mut clients = Vec::new();
        for (n, agent) in site.agents.iter().enumerate() {
            clients.push((n, agent, CredentialServiceClient::new(site.dial(n, agent, askers).await?)));
        }
        let run = Clock::system().now().as_millis();
        let slots = clients.iter().cycle().take(in_flight).enumerate().map(|(slot, (n, agent, credentials))| {
            let made = Self {
                tasks: tasks.clone(),
                credentials: credentials.clone(),
                agent: (*agent).clone(),
                errand: Errand::new(slot),
                name: format!("bench-{run}-{slot}"),
                task: None,
                tasks_opened: 0,
                next: None,
                recorder: recorder.cloned(),
                granted: None,
            };
            (*n, made)
        });
        Ok(slots.collect())
    }

    /// The arguments that its tokens are good for.
    pub(in crate::bench) fn arguments(&self) -> String {
        self.errand.arguments()
    }

    /// The next request, and what came back for it: to learn how large they are.
    pub(in crate::bench) async fn sample(
        &mut self,
    ) -> Result<(v1::RequestCredentialRequest, v1::RequestCredentialResponse), Problem> {
        self.prepare().await?;
        let request = self.next.take().ok_or_else(|| Problem("nothing to ask".to_owned()))?;
        let response = self.credentials.request_credential(request.clone()).await?.into_inner();
        self.keep(response.clone())?;
        Ok((request, response))
    }

    async fn open_task(&mut self) -> Result<Open, Problem> {
        let now_s = i64::try_from(Clock::system().now().as_secs()).unwrap_or(i64::MAX);
        self.tasks_opened += 1;
        let request_id = format!("{}-{}", self.name, self.tasks_opened);
        let registration = self.errand.registration(request_id, self.agent.id.as_str(), now_s);
        let registered = sent!(self.tasks.register_task(registration.clone())).into_inner();
        let task =
            registered.task.ok_or_else(|| Problem(format!("no task: {}", reasons(registered.decision.as_ref()))))?;
        Ok(Open { id: task.task_id, handle: registered.task_handle, grants: 0 })
    }

    fn keep(&mut self, response: v1::RequestCredentialResponse) -> Result<(), Problem> {
        let position = response.position;
        let granted = response.grant.filter(|_| !response.token.is_empty());
        let grant = granted.ok_or_else(|| Problem(format!("no grant: {}", reasons(response.decision.as_ref()))))?;
        if let Some(recorder) = &self.recorder {
            recorder.write(&Line { grant_id: &grant.grant_id, jti: &grant.jti, position })?;
        }
        if let Some(task) = &mut self.task {
            task.grants += 1;
        }
        self.granted = Some((grant, response.token));
        Ok(())
    }
}

impl Slot for RequestSlot {
    async fn prepare(&mut self) -> Result<(), Problem> {
        if let Some(task) = self.task.take_if(|task| task.grants >= GRANTS_PER_TASK) {
            let complete = v1::CompleteTaskRequest { task_id: task.id, task_handle: String::new() };
            sent!(self.tasks.complete_task(complete.clone()));
        }
        let task = match self.task.take() {
            Some(task) => task,
            None => self.open_task().await?,
        };
        self.next = Some(self.errand.request(task.grants, &task.id, &task.handle));
        self.task = Some(task);
        Ok(())
    }

    async fn fire(&mut self) -> Result<(), Problem> {
        let request = self.next.take().ok_or_else(|| Problem("nothing to ask".to_owned()))?;
        let response = sent!(self.credentials.request_credential(request.clone())).into_inner();
        self.keep(response)
    }
}

/// True when the request was never sent: its connection was being wound down, and the channel opens another.
fn is_unsent(status: &tonic::Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// What a decision says, in one line.
fn reasons(decision: Option<&v1::Decision>) -> String {
    let Some(decision) = decision else { return "no decision".to_owned() };
    let codes: Vec<&str> = decision.reasons.iter().map(|reason| reason.code.as_str()).collect();
    format!("{} {}", decision.outcome().as_str_name(), codes.join(", "))
}
