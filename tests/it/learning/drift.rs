//! Drift: told from five hundred decisions on, once for each crossing, the same after a restart, and nothing is decided by it.

use std::sync::Arc;
use std::time::Duration;

use carnet::journal::options::Options;
use carnet::pb::journal::event::Payload;
use carnet::pb::v1;
use carnet::risk::drift::SAMPLES_MIN;
use tokio::task::JoinSet;
use tonic::Code;

use super::{corp, in_force};
use crate::people::World;
use crate::serve::get;
use crate::support::ask::{INTENT, OpenTask};
use crate::support::broker::Setup;
use crate::support::caller::Caller;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Requests of one task: five hundred are of as many tasks as a window takes, and more.
const OF_A_TASK: u64 = 2;

/// So many decisions on requests of as many tasks as it takes.
async fn decided(world: &World, times: u64, ask: fn(&OpenTask) -> v1::RequestCredentialRequest) {
    let (orchestrator, agent) = (world.broker.orchestrator().await.unchecked(), world.broker.agent().await.unchecked());
    let (mut left, mut at_work) = (times, JoinSet::new());
    while left > 0 {
        let task = orchestrator.open(world.broker.task(INTENT)).await;
        let (now, agent) = (left.min(OF_A_TASK), agent.clone());
        at_work.spawn(async move {
            for _ in 0..now {
                agent.granted(ask(&task)).await;
            }
        });
        left -= now;
    }
    while let Some(done) = at_work.join_next().await {
        done.unwrap();
    }
}

async fn told(reader: &Caller) -> v1::GetDriftResponse {
    reader.risk().get_drift(v1::GetDriftRequest {}).await.unwrap().into_inner()
}

/// Crossings by the record: what, and whether it began.
async fn crossings(world: &World) -> Vec<(String, bool)> {
    for _ in 0..3 {
        world.broker.sweep().await;
    }
    let crossing = |payload| match payload {
        Payload::DriftDetected(found) => Some((found.what, true)),
        Payload::DriftEnded(ended) => Some((ended.what, false)),
        _ => None,
    };
    world.broker.record.all().await.into_iter().filter_map(|event| crossing(event.payload)).collect()
}

fn of_tools(crossings: &[(String, bool)]) -> Vec<bool> {
    crossings.iter().filter(|(what, _)| what == "tools").map(|(_, begins)| *begins).collect()
}

/// What a scrape over HTTPS is told of the mix of tools: how far it is from its reference.
async fn scraped(world: &World) -> Option<f64> {
    let (head, figures) = get(world.broker.running().addresses().https.unwrap(), "/metrics").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let line = figures.lines().find_map(|l| l.strip_prefix("carnet_drift_psi{class=\"ai_agent\",what=\"tools\"} "));
    line.map(|psi| psi.parse().unwrap())
}

async fn world(snapshot_every: u64) -> World {
    let journal = Arc::new(move |options: &mut Options| options.snapshot_every = snapshot_every);
    World::set_up(|_| {}, Setup { journal, https: true, ..Setup::default() }).await
}

/// What is known of drift does not change from here to there, whatever it was read from.
async fn outlives_a_restart(world: &mut World) {
    let before = (told(&world.broker.operator().await).await, crossings(world).await);
    world.broker.restart().await;
    let after = (told(&world.broker.operator().await).await, crossings(world).await);
    assert_eq!(after, before);
}

#[tokio::test]
async fn drift_is_told_once_from_five_hundred_on_and_outlives_a_restart() {
    // Read again from a snapshot, and from the whole record.
    for snapshot_every in [400, 1_000_000] {
        let mut world = world(snapshot_every).await;
        let before = in_force(&world.broker).await;
        decided(&world, SAMPLES_MIN, OpenTask::reading).await;
        decided(&world, SAMPLES_MIN - 1, OpenTask::writing).await;
        assert_eq!((crossings(&world).await, scraped(&world).await), (vec![], None), "499 are too few");
        let found = told(&corp(&world, "1002").await).await;
        let class = &found.classes[0];
        assert_eq!((class.class.as_str(), &class.indices), ("ai_agent", &vec![]));
        let samples = |window: &Option<v1::DriftWindow>| window.as_ref().unwrap().samples;
        assert_eq!((samples(&class.reference), samples(&class.current)), (500, 499));
        let families = |window: &Option<v1::DriftWindow>| window.as_ref().unwrap().families;
        assert_eq!((families(&class.reference), families(&class.current)), (250, 250));
        assert_eq!((found.samples_min, found.families_min), (500, 200));
        outlives_a_restart(&mut world).await;

        decided(&world, 1, OpenTask::writing).await;
        let first = crossings(&world).await;
        assert_eq!(of_tools(&first), [true]);
        let psi = scraped(&world).await.unwrap();
        assert!((psi - 13.79).abs() < 0.01, "as the event says: {psi}");
        decided(&world, 5, OpenTask::writing).await;
        assert_eq!(of_tools(&crossings(&world).await), [true], "once for each crossing");
        outlives_a_restart(&mut world).await;
        assert_eq!(of_tools(&crossings(&world).await), [true]);
        let events = world.broker.record.of_kind("drift_detected").await;
        assert!(events.iter().all(crate::support::record::Entry::by_the_broker));
        let Payload::DriftDetected(found) = &events.iter().find(|e| is_tools(&e.payload)).unwrap().payload else {
            panic!("of another kind");
        };
        // All of 500 in the other bin: 2 · 500/501 · ln 1001.
        assert_eq!((found.psi_milli, found.threshold_milli), (13_790, 250));
        assert_eq!((found.samples, found.reference_samples), (500, 500));
        assert_eq!(in_force(&world.broker).await, before, "nothing changes policy by itself");
    }
}

fn is_tools(payload: &Payload) -> bool {
    matches!(payload, Payload::DriftDetected(found) if found.what == "tools")
}

#[tokio::test]
async fn drift_is_over_when_a_week_was_as_before() {
    let svid_life = 30 * DAY;
    let world = World::set_up(|_| {}, Setup { svid_life, ..Setup::default() }).await;
    decided(&world, SAMPLES_MIN, OpenTask::reading).await;
    decided(&world, SAMPLES_MIN, OpenTask::writing).await;
    assert_eq!(of_tools(&crossings(&world).await), [true]);
    world.broker.advance(8 * DAY);
    decided(&world, SAMPLES_MIN, OpenTask::reading).await;
    assert_eq!(of_tools(&crossings(&world).await), [true], "half of what counts is of the week before");
    decided(&world, 1, OpenTask::reading).await;
    assert_eq!(of_tools(&crossings(&world).await), [true, false]);
}

#[tokio::test]
async fn a_person_sets_another_reference_and_drift_is_over() {
    let mut world = world(1000).await;
    let set = |clear| v1::SetDriftReferenceRequest { class: "ai_agent".to_owned(), clear };
    let paul = corp(&world, "1004").await;
    let refused = paul.set_drift_reference(set(false)).await.unwrap_err();
    assert_eq!(refused.code, Code::InvalidArgument, "of nothing: {refused:?}");
    decided(&world, SAMPLES_MIN, OpenTask::reading).await;
    decided(&world, SAMPLES_MIN, OpenTask::writing).await;
    assert_eq!(of_tools(&crossings(&world).await), [true]);
    for lacks in ["1002", "1005", "1008"] {
        let refused = corp(&world, lacks).await.set_drift_reference(set(false)).await.unwrap_err();
        assert_eq!(refused.reason, "RIGHT_MISSING", "{lacks}");
    }
    let before = in_force(&world.broker).await;
    let done = paul.set_drift_reference(set(false)).await.unwrap();
    assert_eq!(done.samples, 500);
    let operator = world.broker.operator().await;
    let class = told(&operator).await.classes.remove(0);
    assert_eq!(class.set_by, "paul@example.org");
    assert!(class.indices.iter().all(|index| index.psi.abs() < 1e-9 && !index.drifting), "{:?}", class.indices);
    outlives_a_restart(&mut world).await;
    assert_eq!(
        of_tools(&crossings(&world).await),
        [true],
        "that it is over by another reference is told by that event"
    );
    // Another week of another mix, and it drifts again.
    world.broker.advance(Duration::from_secs(60));
    decided(&world, SAMPLES_MIN, OpenTask::reading).await;
    assert_eq!(of_tools(&crossings(&world).await), [true, true]);

    // Cleared, it begins anew.
    let paul = corp(&world, "1004").await;
    paul.set_drift_reference(set(true)).await.unwrap();
    let class = told(&world.broker.operator().await).await.classes.remove(0);
    assert_eq!((class.reference.unwrap().samples, class.set_by.as_str()), (0, ""));
    assert_eq!(in_force(&world.broker).await, before);
}
