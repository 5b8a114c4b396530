//! The race of grant against complete, cancel, revoke and policy activation, driven hard. Whoever wins, the record tells one
//! order, and no grant stands in it behind what ended it.

mod order;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use carnet::pb::v1::target::Target as Named;
use carnet::pb::v1::{ActivatePolicyRequest, GetActivePolicyRequest, GrantState, PolicyBundle, PolicyFile};
use tokio::task::JoinSet;

use self::order::Order;
use super::support::ask::{AGENT, Granted, INTENT, OpenTask, SECOND_AGENT, lifting, revocation};
use super::support::broker::{TestBroker, policy_with, shipped_policy};
use super::support::caller::Caller;
use super::support::pki::{id, soon};

/// Agents that ask at the same time, in each of two tasks of a family.
const ASKING: usize = 6;
/// Races of each kind.
const ROUNDS: usize = 6;
/// Grants that are waited for before the end is sent, in turn: so that it meets requests at every stage.
const HEAD_START: [usize; 3] = [0, 3, 12];

/// A family of two tasks, with agents that ask until they are refused.
struct Family {
    root: OpenTask,
    child: OpenTask,
    granted: Arc<std::sync::Mutex<Vec<Granted>>>,
    over: Arc<AtomicBool>,
    asking: JoinSet<()>,
}

impl Family {
    async fn begin(broker: &TestBroker, orchestrator: &Caller) -> Self {
        let root = orchestrator.unchecked().open(broker.task(INTENT)).await;
        let mut below = broker.task(INTENT);
        below.parent_task_id.clone_from(&root.id);
        below.agent = id(SECOND_AGENT).to_string();
        let child = orchestrator.unchecked().open(below).await;
        let granted = Arc::new(std::sync::Mutex::new(Vec::new()));
        let over = Arc::new(AtomicBool::new(false));
        let mut asking = JoinSet::new();
        for (task, path) in [(&root, AGENT), (&child, SECOND_AGENT)] {
            let agent = broker.caller(path).await.unchecked();
            for n in 0..ASKING {
                let (agent, task) = (agent.clone(), task.clone());
                let (granted, over) = (Arc::clone(&granted), Arc::clone(&over));
                asking.spawn(async move {
                    while !over.load(Ordering::SeqCst) {
                        let request = if n % 2 == 0 { task.reading() } else { task.sending() };
                        match agent.request_credential(request).await {
                            Ok(answer) if !answer.token.is_empty() => granted.lock().unwrap().push(Granted::of(answer)),
                            Ok(_) => {}
                            Err(refused) => {
                                let fine = ["GRANT_REVOKED", "GRANT_SUSPENDED", "CONFLICT", "LIMIT_EXCEEDED"];
                                assert!(fine.contains(&refused.reason.as_str()), "{refused:?}");
                            }
                        }
                    }
                });
            }
        }
        Self { root, child, granted, over, asking }
    }

    /// Waits until so many were granted.
    async fn had(&self, count: usize) {
        soon(async {
            while self.granted.lock().unwrap().len() < count {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Lets everybody finish; what was granted in all.
    async fn finish(mut self) -> Vec<Granted> {
        self.over.store(true, Ordering::SeqCst);
        soon(async {
            while let Some(asked) = self.asking.join_next().await {
                asked.unwrap();
            }
        })
        .await;
        std::mem::take(&mut *self.granted.lock().unwrap())
    }
}

/// How a family is ended.
#[derive(Debug, Clone, Copy)]
enum End {
    Complete,
    Cancel,
    RevokeTask,
    RevokeAgents,
    RevokeEverything,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_grant_outlives_the_end_that_it_raced() {
    let broker = TestBroker::start().await;
    let (orchestrator, operator) = (broker.orchestrator().await.unchecked(), broker.operator().await.unchecked());
    let server = broker.resource_server().await;
    for end in [End::Complete, End::Cancel, End::RevokeTask, End::RevokeAgents, End::RevokeEverything] {
        for round in 0..ROUNDS {
            let family = Family::begin(&broker, &orchestrator).await;
            family.had(HEAD_START[round % HEAD_START.len()]).await;
            let blocks = ended(end, &family, &orchestrator, &operator).await;
            // From here on nothing more may be granted, although they go on asking.
            let when_ended = family.granted.lock().unwrap().len();
            tokio::task::yield_now().await;
            let root = family.root.id.clone();
            let child = family.child.id.clone();
            let granted = family.finish().await;
            assert!(granted.len() >= when_ended, "{end:?}");
            for one in &granted {
                let state = server.standing(one.id()).await.unwrap();
                assert_eq!(state, GrantState::Revoked, "{end:?}, round {round}: {}", one.id());
            }
            for task in [&root, &child] {
                let shown = orchestrator.task(task, "").await.unwrap();
                assert_eq!(shown.open_grants, 0, "{end:?}, round {round}: {shown:?}");
            }
            for block in blocks {
                operator.lift_block(lifting(block)).await.unwrap();
            }
        }
    }
    let order = Order::of(&broker.record.all().await);
    assert!(order.grants > 0, "nobody won the race against any end");
}

/// Ends it; the blocks that are left.
async fn ended(end: End, family: &Family, orchestrator: &Caller, operator: &Caller) -> Vec<Named> {
    match end {
        End::Complete => {
            orchestrator.complete_task(family.root.complete()).await.unwrap();
            Vec::new()
        }
        End::Cancel => {
            orchestrator.cancel_task(family.root.cancel()).await.unwrap();
            Vec::new()
        }
        End::RevokeTask => {
            orchestrator.revoke(revocation(Named::TaskId(family.root.id.clone()))).await.unwrap();
            // Revoking a task ends its grants and not the task; so that nothing more is asked for, it is completed too.
            orchestrator.complete_task(family.root.complete()).await.ok();
            Vec::new()
        }
        End::RevokeAgents => {
            let agents = [AGENT, SECOND_AGENT].map(|path| Named::Agent(id(path).to_string()));
            for agent in &agents {
                operator.revoke(revocation(agent.clone())).await.unwrap();
            }
            agents.to_vec()
        }
        End::RevokeEverything => {
            let everything = Named::Everything(carnet::pb::v1::Everything {});
            operator.revoke(revocation(everything.clone())).await.unwrap();
            vec![everything]
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_grant_is_decided_under_a_policy_that_was_replaced() {
    let broker = TestBroker::start().await;
    let (orchestrator, operator) = (broker.orchestrator().await.unchecked(), broker.operator().await.unchecked());
    let server = broker.resource_server().await;
    let closed = policy_with(|path, text| {
        let closes = "\n@id(\"closed\") @reason(\"FORBIDDEN\") @outcome(\"denied\")\nforbid (principal, action in \
                      Carnet::Action::\"use\", resource);\n";
        if path == "10-permits.cedar" { text + closes } else { text }
    });
    for round in 0..ROUNDS {
        let family = Family::begin(&broker, &orchestrator).await;
        family.had(HEAD_START[round % HEAD_START.len()]).await;
        activate(&operator, &closed).await;
        family.had(0).await;
        let root = family.root.clone();
        let granted = family.finish().await;
        for one in &granted {
            let state = server.standing(one.id()).await.unwrap();
            assert_eq!(state, GrantState::Revoked, "a rule denies it now");
        }
        activate(&operator, &shipped_policy()).await;
        orchestrator.complete_task(root.complete()).await.unwrap();
    }
    Order::of(&broker.record.all().await);
}

/// Puts a bundle in force.
async fn activate(operator: &Caller, files: &carnet::policy::bundle::BundleFiles) {
    let active = operator.policy().get_active_policy(GetActivePolicyRequest { include_files: false }).await;
    let revision = active.unwrap().into_inner().revision + 1;
    let list =
        files.iter().map(|(path, content)| PolicyFile { path: path.to_owned(), content: content.to_vec().into() });
    let request = ActivatePolicyRequest {
        bundle: Some(PolicyBundle { files: list.collect() }),
        revision,
        digest: files.digest().to_string(),
    };
    operator.activate_policy(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn budgets_hold_against_everybody_who_asks_at_once() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await.unchecked());
    for _ in 0..ROUNDS {
        let mut registration = broker.task(INTENT);
        let mut above = super::support::ask::ceiling(&["tickets.read"]);
        above.tools[0].calls_max = Some(5);
        registration.ceiling = Some(above);
        let task = orchestrator.open(registration).await;
        let mut asking = JoinSet::new();
        for _ in 0..24 {
            let (agent, request) = (agent.clone(), task.reading());
            asking.spawn(async move { !agent.request_credential(request).await.unwrap().token.is_empty() });
        }
        let granted = asking.join_all().await.into_iter().filter(|granted| *granted).count();
        assert_eq!(granted, 5);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_id_is_answered_once_however_often_it_is_sent() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let agent = agent.unchecked();
    for _ in 0..ROUNDS {
        let request = task.reading();
        let mut asking = JoinSet::new();
        for _ in 0..12 {
            let (agent, request) = (agent.clone(), request.clone());
            asking.spawn(async move { Granted::of(agent.request_credential(request).await.unwrap()) });
        }
        let answers = asking.join_all().await;
        for answer in &answers {
            assert_eq!(answer.grant.jti, answers[0].grant.jti);
            assert_eq!(answer.claims(), answers[0].claims());
        }
    }
    let order = Order::of(&broker.record.all().await);
    assert_eq!(order.grants, ROUNDS, "one event for each");
}
