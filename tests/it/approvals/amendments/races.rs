//! What happens to an amendment and its approval at the same time comes one after the other, and the later finds what the earlier did.

use std::future::Future;
use std::sync::Arc;

use super::*;
use crate::support::gate::Gate;

/// A world whose writer can be held.
struct Race {
    world: World,
    gate: Arc<Gate>,
}

impl Race {
    async fn begin() -> Self {
        let gate = Arc::new(Gate::default());
        let setup = Setup { journal: Gate::journal(&gate), ..Setup::default() };
        Self { world: World::set_up(|_| {}, setup).await, gate }
    }

    /// Lets the second be judged before the first is written, and written behind it.
    async fn in_order<A, B>(&self, first: A, second: B) -> (A::Output, B::Output)
    where
        A: Future<Output: Send> + Send + 'static,
        B: Future<Output: Send> + Send + 'static,
    {
        let orchestrator = self.world.broker.orchestrator().await.unchecked();
        let request = self.world.broker.task("hold the writer");
        let filler = async move { orchestrator.register_task(request).await };
        self.gate.in_order(&self.world.broker, filler, (first, second)).await
    }

    /// An amendment that was approved: who asks, the task, the request, and the decision.
    async fn approved(&self) -> (Caller, OpenTask, v1::AmendTaskRequest, v1::Decision) {
        let (orchestrator, _, task) = self.world.under(&["tickets.read"]).await;
        let more = to_tools(&task, &["tickets.read", "files.write"]);
        let decision = asked(&orchestrator, more.clone()).await;
        approve(&self.world.rae().await, &decision).await;
        (orchestrator.unchecked(), task, more, decision)
    }

    async fn withdraws(&self, decision: &v1::Decision) -> impl Future<Output = v1::WithdrawApprovalResponse> + use<> {
        let (rae, request) = (self.world.rae().await.unchecked(), back(decision));
        async move { rae.withdraw_approval(request).await.unwrap() }
    }
}

fn amends(orchestrator: &Caller, request: &v1::AmendTaskRequest) -> impl Future<Output = v1::Decision> + use<> {
    let (orchestrator, request) = (orchestrator.clone(), request.clone());
    async move { orchestrator.amend_task(request).await.unwrap().decision.unwrap() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_that_is_taken_back_just_before_it_is_used_amends_nothing() {
    let race = Race::begin().await;
    let (orchestrator, task, more, decision) = race.approved().await;
    let (taken, tried) = race.in_order(race.withdraws(&decision).await, amends(&orchestrator, &more)).await;
    assert_eq!(taken.approval.unwrap().state(), ApprovalState::Withdrawn);
    assert_eq!(tried.outcome(), Outcome::Review, "people are asked anew");
    assert_ne!(tried.approval_id, decision.approval_id);
    assert!(in_force(&race.world).await.is_empty());
    assert_eq!(tools(&orchestrator.task(&task.id, "").await.unwrap()), ["tickets.read"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_that_is_taken_back_just_after_it_was_used_takes_the_extension_back() {
    let race = Race::begin().await;
    let (orchestrator, task, more, decision) = race.approved().await;
    let (tried, taken) = race.in_order(amends(&orchestrator, &more), race.withdraws(&decision).await).await;
    assert_eq!((tried.outcome(), tried.approval_id), (Outcome::Granted, decision.approval_id));
    assert_eq!(taken.approval.unwrap().state(), ApprovalState::Withdrawn);
    assert_eq!(in_force(&race.world).await.len(), 1);
    assert_eq!(race.world.broker.record.of_kind("extension_taken_back").await.len(), 1);
    assert_eq!(tools(&orchestrator.task(&task.id, "").await.unwrap()), ["tickets.read"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_granted_while_the_extension_is_taken_back_is_granted_by_what_is_left() {
    let race = Race::begin().await;
    let (orchestrator, task, more, decision) = race.approved().await;
    assert_eq!(amends(&orchestrator, &more).await.outcome(), Outcome::Granted);
    let (agent, request) = (race.world.broker.agent().await.unchecked(), task.writing());
    let asks = async move { agent.request_credential(request).await.unwrap() };
    let (taken, tried) = race.in_order(race.withdraws(&decision).await, asks).await;
    assert_eq!(taken.approval.unwrap().state(), ApprovalState::Withdrawn);
    assert!(tried.token.is_empty() && tried.grant.is_none(), "{tried:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_say_while_another_amendment_is_applied_is_about_what_is_no_more() {
    let race = Race::begin().await;
    let (orchestrator, task, more, _) = race.approved().await;
    let other = asked(&orchestrator, to_tools(&task, &["tickets.read", "tickets.search"])).await;
    let (rae, shown) = (race.world.rae().await, other.clone());
    let answers = async move { answer(&rae.unchecked(), &shown, Verdict::Approve).await.map(|_| ()) };
    let (tried, answered) = race.in_order(amends(&orchestrator, &more), answers).await;
    assert_eq!(tried.outcome(), Outcome::Granted);
    assert_eq!(answered.unwrap_err().reason, "APPROVAL_CLOSED");
    assert_eq!(state(&race.world.rae().await, &other.approval_id).await, ApprovalState::Closed);
}
