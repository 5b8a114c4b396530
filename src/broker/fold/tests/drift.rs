//! The watch over classes, as events make it: windows under one bundle and the next, crossings, and that a snapshot holds all of it.

use super::*;
use crate::broker::drift::crossings;
use crate::journal::guards::Expect;
use crate::model::identity::IdentityClass;
use crate::risk::drift::counts::What;
use crate::risk::drift::watched::Watched;
use crate::risk::drift::{FAMILIES_MIN, SAMPLES_MIN};

const DAY: u64 = 24 * 3600;

/// A root task of that number.
fn root(n: u64) -> TaskId {
    let [.., a, b] = n.to_be_bytes();
    TaskId::new(Timestamp::from_millis(START), [9, 9, 9, 9, 9, 9, 9, 9, a, b])
}

fn begin(world: &mut World, n: u64) {
    let id = root(n);
    world.means.sealer.create(id).unwrap();
    let words = TaskWords {
        intent: "i".into(),
        ceiling: None,
        by_orchestrator: true,
        grounds: None,
        profile: Default::default(),
    };
    let context = Context { kind: "task", id: &id.to_string() };
    let registered = pb::RegisteredTask {
        task_id: id.to_string(),
        root_task_id: id.to_string(),
        agent: AGENT.into(),
        orchestrator: "spiffe://td.test/orchestrator".into(),
        initiator: "alice".into(),
        deadline_ms: START + 30 * DAY * 1000,
        sealed: seal(&world.means.sealer, id, context, &words).unwrap(),
        ..pb::RegisteredTask::default()
    };
    let decided = pb::TaskDecided {
        request_id: format!("register-{id}"),
        decision: Some(decision(v1::Outcome::Granted)),
        task: Some(registered),
        ..pb::TaskDecided::default()
    };
    world.event(0, Payload::TaskDecided(decided));
}

/// A decision of that family about a tool.
fn decide(world: &mut World, n: u64, tool: &str, day: u64) {
    let conclusion = pb::Conclusion { tool: tool.into(), effect: "read".into(), ..Default::default() };
    let decided = pb::CredentialDecided {
        task_id: root(n).to_string(),
        request_id: format!("r-{}", world.next),
        decision: Some(pb::Decision { conclusions: vec![conclusion], ..decision(v1::Outcome::Denied) }),
        ..Default::default()
    };
    world.event(day * DAY, Payload::CredentialDecided(decided));
}

/// As many decisions as a window takes, of as many families.
fn fill(world: &mut World, tool: &str, day: u64) {
    for n in 0..SAMPLES_MIN {
        decide(world, n % FAMILIES_MIN, tool, day);
    }
}

/// A class that was told to drift.
fn drifting() -> World {
    let mut world = World::new();
    activate(&mut world, "one");
    (0..FAMILIES_MIN).for_each(|n| begin(&mut world, n));
    fill(&mut world, "tickets.read", 1);
    fill(&mut world, "mail.send", 2);
    detect(&mut world);
    world
}

fn activate(world: &mut World, digest: &str) {
    world.event(0, Payload::PolicyActivated(pb::PolicyActivated { digest: digest.into(), ..Default::default() }));
}

fn detect(world: &mut World) {
    let (class, what) = ("ai_agent".to_owned(), "tools".to_owned());
    world.event(0, Payload::DriftDetected(pb::DriftDetected { class, what, ..Default::default() }));
}

fn watched(world: &World) -> Watched {
    world.known.look().drift.0[&IdentityClass::AiAgent].clone()
}

/// Decisions in the reference and in the window, and whether it is known to drift.
fn stands(world: &World) -> (u64, u64, bool) {
    let watched = watched(world);
    let samples = |counts: &crate::risk::drift::counts::Counts| counts.samples;
    let (reference, current) = (samples(&watched.reference().counts), samples(&watched.current().counts));
    (reference, current, watched.is_drifting(What::Tools))
}

#[test]
fn another_bundle_begins_a_new_window_and_the_same_one_does_not() {
    let mut world = drifting();
    let full = (SAMPLES_MIN, SAMPLES_MIN, true);
    assert_eq!(stands(&world), full);
    activate(&mut world, "one");
    assert_eq!(stands(&world), full, "nothing is scored otherwise");
    activate(&mut world, "two");
    assert_eq!(stands(&world), (0, 0, false));
    // A crossing that was looked at before says nothing of these windows.
    detect(&mut world);
    assert!(!watched(&world).is_drifting(What::Tools));
}

#[test]
fn a_reference_that_somebody_set_outlasts_another_bundle() {
    let mut world = drifting();
    let scores = vec![SAMPLES_MIN, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let tools = vec![pb::DriftTool { tool: "mail.send".into(), count: SAMPLES_MIN }];
    let families = FAMILIES_MIN;
    let reference = pb::DriftCounts { samples: SAMPLES_MIN, scores, tools, families, ..Default::default() };
    let class = "ai_agent".to_owned();
    let set = pb::DriftReferenceSet { class, cleared: false, reference: Some(reference) };
    world.event(0, Payload::DriftReferenceSet(set));
    assert_eq!(stands(&world), (SAMPLES_MIN, SAMPLES_MIN, false));
    activate(&mut world, "two");
    assert_eq!(stands(&world), (SAMPLES_MIN, 0, false));
}

#[test]
fn a_crossing_relies_on_the_bundle_and_on_the_reference() {
    let mut world = drifting();
    let over = pb::DriftEnded { class: "ai_agent".into(), what: "tools".into(), ..Default::default() };
    world.event(0, Payload::DriftEnded(over));
    let expects = |world: &World| {
        let entries = crossings(&world.known.look());
        entries.into_iter().flat_map(|entry| entry.expects).collect::<Vec<Expect>>()
    };
    let holds = |world: &World, expects: &[Expect]| {
        expects.iter().all(|expect| world.known.look().marks.at(&expect.key) == expect.at)
    };
    let looked = expects(&world);
    assert!(!looked.is_empty() && holds(&world, &looked));
    // Looked, and then another bundle is in force: the append is refused.
    activate(&mut world, "two");
    assert!(!holds(&world, &looked));
    let class = "ai_agent".to_owned();
    let mut world = drifting();
    world.event(0, Payload::DriftEnded(pb::DriftEnded { class, what: "tools".into(), ..Default::default() }));
    let looked = expects(&world);
    detect(&mut world);
    assert!(!holds(&world, &looked), "nor is it recorded twice");
}

#[test]
fn a_snapshot_holds_windows_with_their_tools_and_what_families_added() {
    let world = drifting();
    let loaded = Known::new(world.means.clone());
    loaded.load(&world.known.save().unwrap()).unwrap();
    let (is, was) = (loaded.look(), world.known.look());
    let current = was.drift.0[&IdentityClass::AiAgent].current();
    assert_eq!(current.counts.tools[&"mail.send".parse().unwrap()], SAMPLES_MIN);
    assert!(was.families.values().all(|family| !family.counted.is_empty()));
    assert_eq!((&is.drift, &is.families), (&was.drift, &was.families));
    assert!(is.drift.0[&IdentityClass::AiAgent].is_drifting(What::Tools));
}
