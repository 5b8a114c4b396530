//! What was judged before an end and comes to be written behind it: nothing is opened, and nothing granted through what was closed.

use std::sync::Arc;

use carnet::pb::journal::event::Payload;
use carnet::pb::v1::Everything;
use carnet::pb::v1::target::Target;

use super::*;
use crate::support::ask::{AGENT, lifting, revocation};
use crate::support::broker::{Setup, activate, policy_with};
use crate::support::gate::Gate;
use crate::support::pki::id;

/// A world whose writer can be held, with everybody who calls at the same time.
struct Race {
    world: World,
    gate: Arc<Gate>,
    operator: Caller,
    orchestrator: Caller,
    gus: Caller,
}

impl Race {
    async fn begin() -> Self {
        let gate = Arc::new(Gate::default());
        let setup = Setup { journal: Gate::journal(&gate), ..Setup::default() };
        let world = World::set_up(|_| {}, setup).await;
        Self {
            operator: world.broker.operator().await.unchecked(),
            orchestrator: world.broker.orchestrator().await.unchecked(),
            gus: world.gus().await.unchecked(),
            gate,
            world,
        }
    }

    /// Lets the second be judged before the first is written, and written behind it.
    async fn in_order<A, B>(&self, first: A, second: B) -> (A::Output, B::Output)
    where
        A: Future<Output: Send> + Send + 'static,
        B: Future<Output: Send> + Send + 'static,
    {
        let (orchestrator, request) = (self.orchestrator.clone(), self.world.broker.task("hold the writer"));
        let filler = async move { orchestrator.register_task(request).await };
        self.gate.in_order(&self.world.broker, filler, (first, second)).await
    }

    fn opens(&self, task: &OpenTask) -> impl Future<Output = bool> + Send + use<> {
        let (gus, request) = (self.gus.clone(), opening(task));
        async move { gus.open_break_glass(request).await.is_ok_and(|answer| answer.break_glass.is_some()) }
    }
}

/// The ids of what was opened. A denial is recorded by the same event, and has none.
async fn opened_in_the_record(race: &Race) -> Vec<String> {
    let events = race.world.broker.record.all().await;
    let id = |payload: &Payload| match payload {
        Payload::BreakGlassOpened(opened) => Some(opened.glass_id.clone()).filter(|id| !id.is_empty()),
        _ => None,
    };
    events.iter().filter_map(|event| id(&event.payload)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_opened_behind_what_would_have_refused_it() {
    let race = Race::begin().await;
    let blocks = [
        Target::Initiator("gus@example.org".to_owned()),
        Target::Initiator("ann@example.org".to_owned()),
        Target::Agent(id(AGENT).to_string()),
        Target::Audience(audience_of("mail.send")),
        Target::Everything(Everything {}),
    ];
    for block in blocks {
        let (_, task) = race.world.of_ann().await;
        let (operator, target) = (race.operator.clone(), block.clone());
        let (blocked, opened) =
            race.in_order(async move { operator.revoke(revocation(target)).await.is_ok() }, race.opens(&task)).await;
        assert!(blocked && !opened, "{block:?}");
        race.operator.lift_block(lifting(block)).await.unwrap();
    }
    let (_, task) = race.world.of_ann().await;
    let (orchestrator, ending) = (race.orchestrator.clone(), task.complete());
    let (ended, opened) =
        race.in_order(async move { orchestrator.complete_task(ending).await.is_ok() }, race.opens(&task)).await;
    assert!(ended && !opened, "the task is over");

    // A bundle that lets nobody open anything.
    let (_, task) = race.world.of_ann().await;
    let closed = policy_with(|path, text| {
        let closes =
            "\n@id(\"closed\") @reason(\"FORBIDDEN\") @outcome(\"denied\")\nforbid (principal, action, resource);\n";
        if path == "10-permits.cedar" { text + closes } else { text }
    });
    let operator = race.operator.clone();
    let (_, opened) = race.in_order(async move { activate(&operator, &closed).await }, race.opens(&task)).await;
    assert!(!opened, "another bundle");
    let opened = opened_in_the_record(&race).await;
    assert!(opened.is_empty(), "{opened:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_open_the_same_at_once_open_it_once_and_what_is_closed_grants_nothing() {
    let race = Race::begin().await;
    let (agent, task) = race.world.of_ann().await;
    let (first, second) = race.in_order(race.opens(&task), race.opens(&task)).await;
    assert!(first && !second);
    let ids = opened_in_the_record(&race).await;
    let [glass] = ids.as_slice() else { panic!("{ids:?}") };
    let close = v1::CloseBreakGlassRequest { break_glass_id: glass.clone(), reason: "no more".to_owned() };
    let (gus, agent, request) = (race.gus.clone(), agent.unchecked(), to_eve(&task));
    let closing = async move { gus.close_break_glass(close).await.is_ok() };
    let asking = async move { agent.request_credential(request).await.is_ok_and(|answer| !answer.token.is_empty()) };
    let (closed, granted) = race.in_order(closing, asking).await;
    assert!(closed && !granted);
    assert!(race.world.broker.record.of_kind("break_glass_used").await.is_empty());
}
