//! What was judged before an end and comes to be written behind it: the writer is held until both wait for it, the end first.
//! Each guard that a decision appends with is the only thing in the way of one of these.

use std::future::Future;
use std::sync::Arc;

use carnet::pb::v1;
use carnet::pb::v1::target::Target as Named;
use carnet::pb::v1::{Everything, RegisterTaskRequest};

use super::closed_policy;
use super::order::Order;
use crate::support::ask::{
    AGENT, Granted, INITIATOR, INTENT, ORCHESTRATOR, OpenTask, SECOND_AGENT, ceiling, lifting, revocation,
};
use crate::support::broker::{Setup, TestBroker, activate, policy_with, shipped_policy};
use crate::support::caller::{Caller, Refused, unique};
use crate::support::gate::Gate;
use crate::support::pki::id;

/// A family of two tasks with a live grant in the lower one, and everybody who has to do with it.
struct World {
    broker: TestBroker,
    gate: Arc<Gate>,
    orchestrator: Caller,
    operator: Caller,
    agent: Caller,
    helper: Caller,
    scorer: Caller,
    filler: OpenTask,
}

struct Line {
    root: OpenTask,
    child: OpenTask,
    live: Granted,
}

impl World {
    async fn begin() -> Self {
        let gate = Arc::new(Gate::default());
        let broker = TestBroker::with(Setup { journal: Gate::journal(&gate), ..Setup::default() }).await;
        let orchestrator = broker.orchestrator().await.unchecked();
        let filler = orchestrator.open(broker.task(INTENT)).await;
        Self {
            operator: broker.operator().await.unchecked(),
            agent: broker.agent().await.unchecked(),
            helper: broker.caller(SECOND_AGENT).await.unchecked(),
            scorer: broker.scorer().await.unchecked(),
            gate,
            orchestrator,
            broker,
            filler,
        }
    }

    async fn line(&self, calls_max: Option<u32>) -> Line {
        let mut above = self.broker.task(INTENT);
        above.ceiling = calls_max.map(|calls_max| {
            let mut above = ceiling(&["tickets.read"]);
            above.tools[0].calls_max = Some(calls_max);
            above
        });
        let root = self.orchestrator.open(above).await;
        let child = self.orchestrator.open(self.below(&root)).await;
        let live = self.helper.granted(child.reading()).await;
        Line { root, child, live }
    }

    fn below(&self, parent: &OpenTask) -> RegisterTaskRequest {
        RegisterTaskRequest {
            parent_task_id: parent.id.clone(),
            parent_task_handle: parent.handle.clone(),
            agent: id(SECOND_AGENT).to_string(),
            ..self.broker.task(INTENT)
        }
    }

    /// Sends `first`, then `second` when `first` waits to be written, and lets both be written when `second` waits too.
    async fn in_order<A, B>(&self, first: A, second: B) -> (A::Output, B::Output)
    where
        A: Future<Output: Send> + Send + 'static,
        B: Future<Output: Send> + Send + 'static,
    {
        let (filler, request) = (self.agent.clone(), self.filler.reading());
        let filler = async move { filler.request_credential(request).await };
        self.gate.in_order(&self.broker, filler, (first, second)).await
    }

    /// What an end is raced by. True when it came to something.
    async fn after(&self, end: End, asked: Asked) -> bool {
        let line = self.line(None).await;
        let first = self.end(end, &line);
        let helper = self.helper.clone();
        let orchestrator = self.orchestrator.clone();
        let came_to_something = match asked {
            Asked::Request => {
                let request = line.child.reading();
                self.in_order(first, async move { token(helper.request_credential(request).await) }).await.1
            }
            Asked::Renewal => {
                let request = line.child.renewal(line.live.id());
                let renewed = async move { helper.renew_credential(request).await.is_ok_and(|a| !a.token.is_empty()) };
                self.in_order(first, renewed).await.1
            }
            Asked::SubTask => {
                let request = self.below(&line.child);
                self.in_order(first, async move { opened(helper.register_task(request).await) }).await.1
            }
            Asked::Task => {
                let request = self.broker.task(INTENT);
                self.in_order(first, async move { opened(orchestrator.register_task(request).await) }).await.1
            }
            Asked::Amendment => {
                let request = v1::AmendTaskRequest {
                    request_id: unique("amend"),
                    task_id: line.child.id.clone(),
                    ceiling: Some(ceiling(&["tickets.read"])),
                    ..v1::AmendTaskRequest::default()
                };
                let amended = async move {
                    let answer = orchestrator.amend_task(request).await;
                    answer.is_ok_and(|a| a.decision.unwrap().outcome() == v1::Outcome::Granted)
                };
                self.in_order(first, amended).await.1
            }
        };
        self.undo(end, &line).await;
        came_to_something
    }

    /// Brings it about; fails when it does not come about.
    fn end(&self, end: End, line: &Line) -> impl Future<Output = ()> + Send + use<> {
        let (orchestrator, operator) = (self.orchestrator.clone(), self.operator.clone());
        let (helper, scorer) = (self.helper.clone(), self.scorer.clone());
        let (root, child, live) = (line.root.clone(), line.child.clone(), line.live.clone());
        async move {
            let refused = match end {
                End::Complete => orchestrator.complete_task(root.complete()).await.err(),
                End::CompleteChild => orchestrator.complete_task(child.complete()).await.err(),
                End::Cancel => orchestrator.cancel_task(root.cancel()).await.err(),
                End::Pause => orchestrator.pause_task(root.pause()).await.err(),
                End::RevokeTask => orchestrator.revoke(revocation(Named::TaskId(root.id))).await.err(),
                End::RevokeGrant => orchestrator.revoke(revocation(Named::GrantId(live.id().to_owned()))).await.err(),
                End::Release => helper.release_credential(child.release(live.id())).await.err(),
                End::Compromise => scorer.report_signal(root.signal("compromise_reported", 60)).await.err(),
                End::Policy | End::Identities => {
                    let files = if end == End::Policy { closed_policy() } else { without_the_second_agent() };
                    activate(&operator, &files).await;
                    None
                }
                _ => operator.revoke(revocation(end.blocks().unwrap())).await.err(),
            };
            assert_eq!(refused, None, "{end:?}");
        }
    }

    /// So that the next may begin.
    async fn undo(&self, end: End, line: &Line) {
        if let Some(block) = end.blocks() {
            self.operator.lift_block(lifting(block)).await.unwrap();
        }
        if matches!(end, End::Policy | End::Identities) {
            activate(&self.operator, &shipped_policy()).await;
        }
        self.orchestrator.complete_task(line.root.complete()).await.ok();
    }
}

fn token(answer: Result<v1::RequestCredentialResponse, Refused>) -> bool {
    answer.is_ok_and(|answer| !answer.token.is_empty())
}

fn opened(answer: Result<v1::RegisterTaskResponse, Refused>) -> bool {
    answer.is_ok_and(|answer| answer.task.is_some())
}

/// The shipped policy, to which the second agent is a stranger.
fn without_the_second_agent() -> carnet::policy::bundle::BundleFiles {
    policy_with(|path, text| match path {
        "identities.toml" => text.replace("/agent/*\"", &format!("{AGENT}\"")),
        _ => text,
    })
}

/// What happens first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Complete,
    CompleteChild,
    Cancel,
    Pause,
    RevokeTask,
    RevokeGrant,
    Release,
    Compromise,
    BlockAgent,
    BlockAgentAbove,
    BlockAsker,
    BlockInitiator,
    BlockAudience,
    BlockEverything,
    Policy,
    Identities,
}

impl End {
    fn blocks(self) -> Option<Named> {
        Some(match self {
            Self::BlockAgent => Named::Agent(id(SECOND_AGENT).to_string()),
            Self::BlockAgentAbove => Named::Agent(id(AGENT).to_string()),
            Self::BlockAsker => Named::Agent(id(ORCHESTRATOR).to_string()),
            Self::BlockInitiator => Named::Initiator(INITIATOR.to_owned()),
            Self::BlockAudience => Named::Audience("https://tickets.dev.carnet.test".to_owned()),
            Self::BlockEverything => Named::Everything(Everything {}),
            _ => return None,
        })
    }
}

/// What comes behind it: by the second agent in the lower task, or by the orchestrator for the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Request,
    Renewal,
    SubTask,
    Task,
    Amendment,
}

/// Everything that an end must keep from being granted behind it.
const RACES: [(End, &[Asked]); 16] = [
    (End::Complete, &[Asked::Request, Asked::Renewal, Asked::SubTask, Asked::Amendment]),
    (End::CompleteChild, &[Asked::Request, Asked::Renewal, Asked::SubTask, Asked::Amendment]),
    (End::Cancel, &[Asked::Request, Asked::Renewal, Asked::SubTask]),
    (End::Pause, &[Asked::Request, Asked::Renewal]),
    (End::RevokeTask, &[Asked::Request, Asked::Renewal, Asked::SubTask]),
    (End::RevokeGrant, &[Asked::Renewal]),
    (End::Release, &[Asked::Renewal]),
    (End::Compromise, &[Asked::Request, Asked::Renewal]),
    (End::BlockAgent, &[Asked::Request, Asked::Renewal, Asked::SubTask, Asked::Amendment]),
    (End::BlockAgentAbove, &[Asked::Request, Asked::Renewal, Asked::SubTask, Asked::Task]),
    (End::BlockAsker, &[Asked::Task, Asked::Amendment]),
    (End::BlockInitiator, &[Asked::Request, Asked::Renewal, Asked::SubTask, Asked::Task]),
    (End::BlockAudience, &[Asked::Request, Asked::Renewal]),
    (End::BlockEverything, &[Asked::Request, Asked::Renewal, Asked::SubTask, Asked::Task]),
    (End::Policy, &[Asked::Request, Asked::Renewal, Asked::SubTask, Asked::Task]),
    (End::Identities, &[Asked::Request, Asked::Renewal, Asked::SubTask]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_judged_before_an_end_is_not_granted_behind_it() {
    let world = World::begin().await;
    for (end, all) in RACES {
        for &asked in all {
            assert!(!world.after(end, asked).await, "{asked:?} was granted behind {end:?}");
        }
    }
    Order::of(&world.broker.record.all().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_were_judged_at_once_do_not_share_what_one_may_have() {
    let world = World::begin().await;
    // One call is left.
    let line = world.line(Some(2)).await;
    let ask = |request| {
        let helper = world.helper.clone();
        async move { helper.request_credential(request).await }
    };
    let (first, second) = world.in_order(ask(line.child.reading()), ask(line.child.reading())).await;
    assert!(token(first) && !token(second), "a budget");

    let line = world.line(None).await;
    let request = line.child.reading();
    let (first, second) = world.in_order(ask(request.clone()), ask(request)).await;
    assert_eq!(first.unwrap().grant.unwrap().jti, second.unwrap().grant.unwrap().jti, "a request id");

    let renew = || {
        let (helper, request) = (world.helper.clone(), line.child.renewal(line.live.id()));
        async move { helper.renew_credential(request).await.unwrap().grant.unwrap() }
    };
    let (first, second) = world.in_order(renew(), renew()).await;
    assert_eq!(first.grant_id, second.grant_id);
    Order::of(&world.broker.record.all().await);
}
