//! The race of grant against complete, cancel, revoke and policy activation, driven hard. Whoever wins, the record tells one
//! order, and no grant stands in it behind what ended it.

mod in_flight;
mod order;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use carnet::pb::v1::GrantState;
use carnet::pb::v1::target::Target as Named;
use carnet::policy::bundle::BundleFiles;
use tokio::task::JoinSet;

use self::order::Order;
use super::support::ask::{AGENT, Granted, INITIATOR, INTENT, OpenTask, SECOND_AGENT, lifting, revocation};
use super::support::broker::{TestBroker, policy_with, shipped_policy};
use super::support::caller::Caller;
use super::support::pki::{id, soon};

/// Agents that ask at the same time, in each of two tasks of a family.
const ASKING: usize = 6;
/// Races of each kind.
const ROUNDS: usize = 6;
/// Grants that are waited for before the end is sent, in turn: so that it meets requests at every stage.
const HEAD_START: [usize; 3] = [0, 3, 12];

/// What those who ask may be told while an end is under way.
const FINE: [&str; 4] = ["GRANT_REVOKED", "GRANT_SUSPENDED", "CONFLICT", "LIMIT_EXCEEDED"];
/// The audience of what is read.
const TICKETS: &str = "https://tickets.dev.carnet.test";

/// A family of two tasks, with agents that ask until they are refused.
struct Family {
    root: OpenTask,
    child: OpenTask,
    granted: Arc<std::sync::Mutex<Vec<Granted>>>,
    /// Answers and refusals that were not a grant.
    withheld: Arc<AtomicUsize>,
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
        let withheld = Arc::new(AtomicUsize::new(0));
        let over = Arc::new(AtomicBool::new(false));
        let mut asking = JoinSet::new();
        for (task, path) in [(&root, AGENT), (&child, SECOND_AGENT)] {
            let agent = broker.caller(path).await.unchecked();
            for n in 0..ASKING {
                let (agent, task) = (agent.clone(), task.clone());
                let (granted, over, withheld) = (Arc::clone(&granted), Arc::clone(&over), Arc::clone(&withheld));
                asking.spawn(async move {
                    while !over.load(Ordering::SeqCst) {
                        // Neither counts against the other, as reading would against sending.
                        let request = if n % 2 == 0 { task.reading() } else { task.writing() };
                        match agent.request_credential(request).await {
                            Ok(answer) if !answer.token.is_empty() => granted.lock().unwrap().push(Granted::of(answer)),
                            Ok(_) => drop(withheld.fetch_add(1, Ordering::SeqCst)),
                            Err(refused) => {
                                assert!(FINE.contains(&refused.reason.as_str()), "{refused:?}");
                                withheld.fetch_add(1, Ordering::SeqCst);
                            }
                        }
                    }
                });
            }
        }
        Self { root, child, granted, withheld, over, asking }
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

    /// Waits until so many more were not granted.
    async fn withheld(&self, more: usize) {
        let until = self.withheld.load(Ordering::SeqCst) + more;
        soon(async {
            while self.withheld.load(Ordering::SeqCst) < until {
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
    Pause,
    RevokeTask,
    RevokeAgents,
    RevokeAgentAbove,
    RevokeInitiator,
    RevokeAudience,
    RevokeEverything,
}

impl End {
    const ALL: [Self; 9] = [
        Self::Complete,
        Self::Cancel,
        Self::Pause,
        Self::RevokeTask,
        Self::RevokeAgents,
        Self::RevokeAgentAbove,
        Self::RevokeInitiator,
        Self::RevokeAudience,
        Self::RevokeEverything,
    ];

    /// What has become of a grant when it returned.
    fn leaves(self, grant: &Granted) -> GrantState {
        match self {
            Self::Pause => GrantState::Suspended,
            Self::RevokeAudience if grant.grant.audience != TICKETS => GrantState::Live,
            _ => GrantState::Revoked,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_grant_outlives_the_end_that_it_raced() {
    let broker = TestBroker::start().await;
    let (orchestrator, operator) = (broker.orchestrator().await.unchecked(), broker.operator().await.unchecked());
    let server = broker.resource_server().await;
    for end in End::ALL {
        for round in 0..ROUNDS {
            let family = Family::begin(&broker, &orchestrator).await;
            family.had(HEAD_START[round % HEAD_START.len()]).await;
            let blocks = ended(end, &family, &orchestrator, &operator).await;
            // From here on nothing more may be granted, although everybody goes on asking.
            family.withheld(2 * ASKING).await;
            let (root, child) = (family.root.clone(), family.child.clone());
            let granted = family.finish().await;
            let mut open = 0;
            for one in &granted {
                let state = server.standing(one.id()).await.unwrap();
                assert_eq!(state, end.leaves(one), "{end:?}, round {round}: {}", one.id());
                open += u32::from(state != GrantState::Revoked);
            }
            let shown = orchestrator.task(&root.id, "").await.unwrap();
            // One that was paused before its token was let go is suspended and in nobody's hands.
            let fits = if matches!(end, End::Pause) { shown.open_grants >= open } else { shown.open_grants == open };
            assert!(fits, "{end:?}, round {round}: {open} of {shown:?}");
            for block in blocks {
                operator.lift_block(lifting(block)).await.unwrap();
            }
            for task in [&child, &root] {
                orchestrator.complete_task(task.complete()).await.ok();
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
        End::Pause => {
            orchestrator.pause_task(family.root.pause()).await.unwrap();
            Vec::new()
        }
        End::RevokeTask => {
            orchestrator.revoke(revocation(Named::TaskId(family.root.id.clone()))).await.unwrap();
            Vec::new()
        }
        End::RevokeAgents => {
            blocked(operator, [AGENT, SECOND_AGENT].map(|path| Named::Agent(id(path).to_string())).to_vec()).await
        }
        // What the other agent does in the task below it ends too.
        End::RevokeAgentAbove => blocked(operator, vec![Named::Agent(id(AGENT).to_string())]).await,
        End::RevokeInitiator => blocked(operator, vec![Named::Initiator(INITIATOR.to_owned())]).await,
        End::RevokeAudience => blocked(operator, vec![Named::Audience(TICKETS.to_owned())]).await,
        End::RevokeEverything => blocked(operator, vec![Named::Everything(carnet::pb::v1::Everything {})]).await,
    }
}

async fn blocked(operator: &Caller, all: Vec<Named>) -> Vec<Named> {
    for one in &all {
        operator.revoke(revocation(one.clone())).await.unwrap();
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_grant_is_decided_under_a_policy_that_was_replaced() {
    let broker = TestBroker::start().await;
    let orchestrator = broker.orchestrator().await.unchecked();
    let server = broker.resource_server().await;
    for round in 0..ROUNDS {
        let family = Family::begin(&broker, &orchestrator).await;
        family.had(HEAD_START[round % HEAD_START.len()]).await;
        broker.activate(&closed_policy()).await;
        family.withheld(2 * ASKING).await;
        let root = family.root.clone();
        let granted = family.finish().await;
        for one in &granted {
            let state = server.standing(one.id()).await.unwrap();
            assert_eq!(state, GrantState::Revoked, "a rule denies it now");
        }
        broker.activate(&shipped_policy()).await;
        orchestrator.complete_task(root.complete()).await.unwrap();
    }
    Order::of(&broker.record.all().await);
}

/// The shipped policy, and that nothing is granted any more.
fn closed_policy() -> BundleFiles {
    policy_with(|path, text| {
        let closes =
            "\n@id(\"closed\") @reason(\"FORBIDDEN\") @outcome(\"denied\")\nforbid (principal, action, resource);\n";
        if path == "10-permits.cedar" { text + closes } else { text }
    })
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
