//! What events amount to: causes of suspension, cascades, renewals, blocks, and that a snapshot says the same as the log.

use super::*;
use crate::broker::changes::Followed;
use crate::broker::known::Known;
use crate::broker::words::{Sentence, TaskWords, seal};
use crate::entropy::Entropy;
use crate::journal::guards::GuardKey;
use crate::journal::projection::Projection as _;
use crate::model::id::Jti;
use crate::model::time::Timestamp;
use crate::pb::v1;
use crate::seal::sealer::KeyFiles;

mod drift;
mod same;
mod sealed;
mod snapshots;
mod trust;

struct World {
    known: Known,
    means: Means,
    next: u64,
    log: Vec<Recorded>,
    dir: tempfile::TempDir,
}

/// Who does everything here, reports included.
const REPORTER: &str = "spiffe://td.test/orchestrator";
const AGENT: &str = "spiffe://td.test/agent/a";
const START: u64 = 1_800_000_000_000;

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let means = means(dir.path());
        Self { known: Known::new(means.clone()), means, next: 0, log: Vec::new(), dir }
    }

    fn means_after_a_restart(&self) -> Means {
        means(self.dir.path())
    }

    fn event(&mut self, at_s: u64, payload: Payload) {
        let actor = pb::Actor { id: REPORTER.into(), class: "ai_agent".into(), ..pb::Actor::default() };
        let event = pb::Event {
            stream: format!("task/{}", task(1)),
            actor: Some(actor),
            payload: Some(payload),
            ..pb::Event::default()
        };
        let recorded = Recorded {
            position: self.next,
            stream_version: self.next + 1,
            time: Timestamp::from_millis(START + at_s * 1000),
            event,
            stored: bytes::Bytes::new(),
        };
        self.next += 1;
        self.known.apply(&recorded).unwrap();
        self.log.push(recorded);
    }

    fn register(&mut self, id: TaskId, parent: Option<TaskId>) {
        self.register_for(AGENT, id, parent);
    }

    fn register_for(&mut self, agent: &str, id: TaskId, parent: Option<TaskId>) {
        // Whatever is below another is of the first family.
        let root = if parent.is_some() { task(1) } else { id };
        if parent.is_none() {
            self.means.sealer.create(id).unwrap();
        }
        let words = TaskWords {
            intent: "tidy up".into(),
            ceiling: None,
            by_orchestrator: true,
            grounds: None,
            profile: Default::default(),
        };
        let context = Context { kind: "task", id: &id.to_string() };
        let registered = pb::RegisteredTask {
            task_id: id.to_string(),
            parent_task_id: parent.map(|p| p.to_string()).unwrap_or_default(),
            root_task_id: root.to_string(),
            agent: agent.into(),
            orchestrator: "spiffe://td.test/orchestrator".into(),
            initiator: "alice".into(),
            deadline_ms: START + 3_600_000,
            sealed: seal(&self.means.sealer, root, context, &words).unwrap(),
            ..pb::RegisteredTask::default()
        };
        let decided = pb::TaskDecided {
            request_id: format!("register-{id}"),
            decision: Some(decision(v1::Outcome::Granted)),
            task: Some(registered),
            ..pb::TaskDecided::default()
        };
        self.event(0, Payload::TaskDecided(decided));
    }

    fn grant(&mut self, task: TaskId, grant: GrantId, jti: u8, renews: Option<u8>) {
        let text = |n: u8| Jti::new([n; 16]).to_string();
        let granted = pb::Grant {
            grant_id: grant.to_string(),
            jti: text(jti),
            issued_s: START / 1000,
            expires_s: START / 1000 + 300,
            renews_jti: renews.map(text).unwrap_or_default(),
            tools: vec!["read_file".into()],
            ..pb::Grant::default()
        };
        let decided = pb::CredentialDecided {
            task_id: task.to_string(),
            request_id: format!("request-{jti}"),
            audience: "https://files.test".into(),
            decision: Some(decision(v1::Outcome::Granted)),
            grant: Some(granted),
            ..pb::CredentialDecided::default()
        };
        self.event(1, Payload::CredentialDecided(decided));
    }

    fn seal_report<W: serde::Serialize + serde::de::DeserializeOwned>(
        &self,
        kind: &'static str,
        request: &str,
        words: &W,
    ) -> bytes::Bytes {
        let key = GuardKey::report(&task(1), REPORTER, &request.parse().unwrap());
        seal(&self.means.sealer, task(1), Context { kind, id: &key.to_string() }, words).unwrap()
    }

    fn reconsider(&mut self, grant: GrantId, effect: pb::grant_reconsidered::Effect) {
        let reconsidered = pb::GrantReconsidered {
            grant_id: grant.to_string(),
            effect: effect.into(),
            ..pb::GrantReconsidered::default()
        };
        self.event(2, Payload::GrantReconsidered(reconsidered));
    }

    fn revoke(&mut self, target: &Target) {
        let revoked = pb::Revoked {
            target_kind: target.kind().into(),
            target: target.name(),
            blocks: target.blocks(),
            ..pb::Revoked::default()
        };
        self.event(3, Payload::Revoked(revoked));
    }

    fn standing(&self, grant: GrantId) -> GrantStanding {
        self.known.look().grants[&grant].standing.clone()
    }

    fn causes(&self, grant: GrantId) -> Vec<SuspensionCause> {
        crate::broker::answer::causes(&self.standing(grant))
    }
}

fn means(dir: &std::path::Path) -> Means {
    let files = KeyFiles { master_key: dir.join("master"), task_keys: dir.join("task-keys") };
    let sealer = Sealer::load(&files, Arc::new(crate::disk::RealDisk), Entropy::danger_seeded(1)).unwrap();
    Means { sealer: Arc::new(sealer), bundles: Bundles::default() }
}

fn task(n: u8) -> TaskId {
    TaskId::new(Timestamp::from_millis(START), [n; 10])
}

fn grant(n: u8) -> GrantId {
    GrantId::new(Timestamp::from_millis(START), [n; 10])
}

fn decision(outcome: v1::Outcome) -> pb::Decision {
    let id = crate::model::id::DecisionId::new(Timestamp::from_millis(START), [9; 10]);
    pb::Decision { decision_id: id.to_string(), outcome: outcome.into(), ..pb::Decision::default() }
}

fn family() -> World {
    let mut world = World::new();
    world.register(task(1), None);
    world.register(task(2), Some(task(1)));
    world.grant(task(1), grant(1), 1, None);
    world.grant(task(2), grant(2), 2, None);
    world
}

#[test]
fn resuming_lifts_the_pause_and_nothing_else() {
    use pb::grant_reconsidered::Effect;
    let mut world = family();
    world.event(2, Payload::TaskPaused(pb::TaskPaused { task_id: task(1).to_string(), ..Default::default() }));
    world.reconsider(grant(2), Effect::Suspended);
    assert_eq!(world.causes(grant(1)), [SuspensionCause::Paused]);
    assert_eq!(world.causes(grant(2)), [SuspensionCause::Paused, SuspensionCause::Drift]);
    world.event(3, Payload::TaskResumed(pb::TaskResumed { task_id: task(1).to_string() }));
    assert!(world.standing(grant(1)).is_live());
    assert_eq!(world.causes(grant(2)), [SuspensionCause::Drift]);
}

#[test]
fn a_sub_task_that_is_paused_for_itself_stays_so() {
    let mut world = family();
    for id in [task(2), task(1)] {
        world.event(2, Payload::TaskPaused(pb::TaskPaused { task_id: id.to_string(), ..Default::default() }));
    }
    world.event(3, Payload::TaskResumed(pb::TaskResumed { task_id: task(1).to_string() }));
    assert!(world.standing(grant(1)).is_live());
    assert_eq!(world.causes(grant(2)), [SuspensionCause::Paused]);
}

#[test]
fn one_end_ends_every_grant_below_and_nothing_brings_one_back() {
    use pb::grant_reconsidered::Effect;
    let mut world = family();
    let end =
        pb::TaskEnded { task_id: task(1).to_string(), state: v1::TaskState::Completed.into(), ..Default::default() };
    world.event(2, Payload::TaskEnded(end));
    assert_eq!(world.known.look().tallies.back().unwrap().1, Tally { revoked: 2, suspended: 0 });
    world.reconsider(grant(1), Effect::Restored);
    world.grant(task(2), grant(2), 3, Some(2));
    for id in [grant(1), grant(2)] {
        assert_eq!(world.standing(id), GrantStanding::Revoked);
    }
    assert_eq!(world.known.look().effective_state(task(2)), Some(TaskState::Completed));
}

#[test]
fn a_renewal_kills_the_old_token_and_cures_drift_alone() {
    use pb::grant_reconsidered::Effect;
    let mut world = family();
    world.reconsider(grant(1), Effect::Suspended);
    world.grant(task(1), grant(1), 3, Some(1));
    let state = world.known.look();
    assert!(state.grants[&grant(1)].standing.is_live());
    assert_eq!(state.retired.len(), 1);
    assert_eq!(state.retired[0].jti, Jti::new([1; 16]));
    assert_eq!(state.families[&task(1)].usage.grants_of(&"read_file".parse().unwrap()), 2, "a renewal is no new use");
}

#[test]
fn revoking_an_agent_blocks_it_until_the_block_is_lifted() {
    let mut world = family();
    let target = Target::Agent(AGENT.parse().unwrap());
    world.revoke(&target);
    assert_eq!(world.standing(grant(2)), GrantStanding::Revoked);
    let against = |w: &World| {
        let state = w.known.look();
        state.blocks_against([&AGENT.parse().unwrap()], &"alice".parse().unwrap(), None)
    };
    assert_eq!(against(&world), ["agent"]);
    let lifted = pb::BlockLifted { target_kind: "agent".into(), target: AGENT.into(), ..Default::default() };
    world.event(4, Payload::BlockLifted(lifted));
    assert!(against(&world).is_empty());
    assert_eq!(world.standing(grant(2)), GrantStanding::Revoked, "lifting brings nothing back");
}

fn signal(world: &mut World, at_s: u64, n: usize, name: &str, points: u32) {
    let request_id = format!("s-{n}");
    let sealed = world.seal_report("signal", &request_id, &Sentence { text: "seen".into() });
    let signal = pb::SignalReported {
        task_id: task(1).to_string(),
        request_id,
        sealed,
        name: name.into(),
        source: "spiffe://td.test/scorer".into(),
        points,
        ..pb::SignalReported::default()
    };
    world.event(at_s, Payload::SignalReported(signal));
}

#[test]
fn signals_are_never_dropped() {
    let mut world = family();
    signal(&mut world, 2, 0, "compromise_reported", 20);
    for n in 1..3000 {
        signal(&mut world, 2, n, &format!("noise-{n}"), 21);
    }
    let state = world.known.look();
    let signals = &state.families[&task(1)].signals;
    assert!(signals.iter().any(|s| s.name.as_str() == "compromise_reported"));
    assert_eq!(signals.len(), 3000, "what was recorded once is kept; a verb refuses what is too much");
}

#[test]
fn reports_take_no_lasting_room() {
    let mut world = family();
    let (answers, marks) = {
        let state = world.known.look();
        (state.tasks[&task(1)].answers.len(), state.marks.len())
    };
    for n in 0..10_000 {
        signal(&mut world, 2 + n as u64 / 100, n, "anomaly", 1);
    }
    assert_eq!(world.known.look().tasks[&task(1)].answers.len(), answers, "requests have their answers for themselves");
    for after in [1000, 2000, 3000] {
        world.event(after, Payload::BrokerStarted(pb::BrokerStarted::default()));
    }
    let state = world.known.look();
    assert!(state.families[&task(1)].reports.oldest().is_none() && state.by.reported.is_empty());
    assert!(state.marks.len() <= marks + 1, "{} guards", state.marks.len());
}

#[test]
fn a_family_owes_another_look_until_the_event_says_that_it_was_had() {
    let mut world = family();
    let due = |world: &World| world.known.look().families[&task(1)].due.as_ref().map(|due| due.position);
    let done = |world: &mut World, through: u64| {
        let root_task_id = task(1).to_string();
        world.event(3, Payload::FamilyReconsidered(pb::FamilyReconsidered { root_task_id, through }));
    };
    assert_eq!(due(&world), None);
    signal(&mut world, 2, 0, "anomaly", 10);
    let first = due(&world).unwrap();
    signal(&mut world, 2, 1, "anomaly", 5);
    assert_eq!(due(&world), Some(first), "weaker evidence of the same kind changes nothing");
    signal(&mut world, 2, 2, "anomaly", 20);
    let second = due(&world).unwrap();
    let loaded = Known::new(world.means.clone());
    loaded.load(&world.known.save().unwrap()).unwrap();
    assert_eq!(loaded.look().by.due, world.known.look().by.due);
    assert_eq!(loaded.look().families[&task(1)].due, world.known.look().families[&task(1)].due);
    done(&mut world, first);
    assert_eq!(due(&world), Some(second), "one that came meanwhile is owed still");
    done(&mut world, second);
    assert_eq!((due(&world), world.known.look().by.due.len()), (None, 0));
    let digest = |n: u8| pb::PolicyActivated { digest: n.to_string(), ..pb::PolicyActivated::default() };
    world.event(4, Payload::PolicyActivated(digest(1)));
    assert!(due(&world).is_some(), "a policy concerns every live grant");
    let through = world.next - 1;
    done(&mut world, through);
    for id in [grant(1), grant(2)] {
        world.revoke(&Target::Grant(id));
    }
    signal(&mut world, 5, 3, "anomaly", 30);
    world.event(5, Payload::PolicyActivated(digest(2)));
    assert_eq!(due(&world), None, "nothing is live");
}

#[test]
fn what_the_clock_has_ended_here_is_suspended_and_ended_all_the_same() {
    let mut world = family();
    let told = |w: &World| w.known.look().changes.since(0, &Followed::All).unwrap().len();
    world.event(400, Payload::TaskPaused(pb::TaskPaused { task_id: task(2).to_string(), ..Default::default() }));
    assert_eq!(world.causes(grant(2)), [SuspensionCause::Paused]);
    assert_eq!(told(&world), 1);
    let end =
        pb::TaskEnded { task_id: task(1).to_string(), state: v1::TaskState::Completed.into(), ..Default::default() };
    world.event(401, Payload::TaskEnded(end));
    for id in [grant(1), grant(2)] {
        assert_eq!(world.standing(id), GrantStanding::Revoked);
    }
    assert_eq!(told(&world), 3, "receivers whose clocks are behind must know");
    assert!(world.known.look().tallies.is_empty(), "and yet none was live by the time of the log");
}

#[test]
fn grants_and_answers_are_counted_over_the_family() {
    use crate::model::limits::OPEN_GRANTS_PER_FAMILY_MAX as MOST;
    let mut world = World::new();
    world.register(task(1), None);
    world.register(task(2), Some(task(1)));
    let id = |n: usize| {
        GrantId::new(Timestamp::from_millis(START), [0, 0, 0, 0, (n % 256) as u8, (n / 256) as u8, 0, 0, 0, 0])
    };
    let full =
        |world: &World, at_s: u64| world.known.look().has_no_room(task(1), Timestamp::from_millis(START + at_s * 1000));
    for n in 0..MOST {
        assert!(!full(&world, 1), "{n}");
        world.grant(task(1 + (n % 2) as u8), id(n), (n / 2 % 256) as u8, None);
    }
    assert!(full(&world, 1), "neither task has as many by itself");
    assert!(!full(&world, 300), "the clock has ended them");
    {
        let state = world.known.look();
        let answers = state.tasks.values().map(|task| task.answers.len()).sum::<usize>();
        let family = &state.families[&task(1)];
        assert_eq!((family.open, family.answers), (MOST, answers));
    }
    world.revoke(&Target::Grant(id(0)));
    assert!(!full(&world, 1));
    world.event(
        2,
        Payload::TaskEnded(pb::TaskEnded {
            task_id: task(2).to_string(),
            state: v1::TaskState::Completed.into(),
            ..Default::default()
        }),
    );
    assert_eq!(world.known.look().families[&task(1)].open, MOST / 2 - 1);
}

#[test]
fn an_event_that_is_not_understood_is_an_error() {
    use pb::grant_reconsidered::Effect;
    let world = family();
    let apply = |payload: Option<Payload>| {
        let event = pb::Event { stream: format!("task/{}", task(1)), payload, ..pb::Event::default() };
        let time = Timestamp::from_millis(START + 5000);
        let stored = bytes::Bytes::new();
        world.known.apply(&Recorded { position: world.next, stream_version: 1, time, event, stored })
    };
    let end = pb::TaskEnded { task_id: task(1).to_string(), state: 99, ..Default::default() };
    let effect = pb::GrantReconsidered { grant_id: grant(1).to_string(), effect: 99, ..Default::default() };
    let revoked = pb::Revoked { target_kind: "planet".into(), ..Default::default() };
    let lost = pb::SignalReported {
        task_id: task(1).to_string(),
        request_id: "s-1".into(),
        name: "n".into(),
        ..Default::default()
    };
    for (what, payload) in [
        ("another kind", None),
        ("an unknown end", Some(Payload::TaskEnded(end))),
        ("an unknown effect", Some(Payload::GrantReconsidered(effect.clone()))),
        ("an unknown target", Some(Payload::Revoked(revoked))),
        ("words that do not open", Some(Payload::SignalReported(lost))),
    ] {
        assert!(apply(payload).is_err(), "{what}");
    }
    let known = pb::GrantReconsidered { effect: Effect::Suspended.into(), ..effect };
    apply(Some(Payload::GrantReconsidered(known))).unwrap();
}

#[test]
fn what_cannot_matter_any_more_is_forgotten() {
    let mut world = family();
    let end =
        pb::TaskEnded { task_id: task(1).to_string(), state: v1::TaskState::Cancelled.into(), ..Default::default() };
    world.event(2, Payload::TaskEnded(end));
    world.event(25 * 3600, Payload::BrokerStarted(pb::BrokerStarted::default()));
    let state = world.known.look();
    assert!(state.tasks.is_empty() && state.grants.is_empty() && state.families.is_empty());
    assert!(state.registrations.is_empty() && state.retired.is_empty());
    assert!(state.by.tasks_of_agent.is_empty() && state.by.grants_of_audience.is_empty());
}

#[test]
fn a_decision_counts_for_its_class_once_and_by_the_tools_that_are_known() {
    use crate::model::identity::IdentityClass;
    use crate::risk::drift::FAMILY_DAY_MAX;
    let mut world = family();
    let counts = |world: &World| {
        let state = world.known.look();
        let watched = state.drift.0.get(&IdentityClass::AiAgent);
        watched.map(|w| (w.reference().counts.clone(), w.current().counts.clone())).unwrap_or_default()
    };
    let before = counts(&world).0.samples;
    let conclusion =
        |tool: &str, effect: &str| pb::Conclusion { tool: tool.into(), effect: effect.into(), ..Default::default() };
    let asked = |approval: &str| pb::CredentialDecided {
        task_id: task(1).to_string(),
        decision: Some(pb::Decision {
            risk: 42,
            conclusions: vec![conclusion("tickets.read", "read"), conclusion("made-up", "")],
            ..decision(v1::Outcome::Denied)
        }),
        approval_id: approval.into(),
        ..Default::default()
    };
    world.event(5, Payload::CredentialDecided(asked("")));
    let (reference, _) = counts(&world);
    assert_eq!((reference.samples, reference.scores[4]), (before + 1, 1));
    assert_eq!((reference.tools[&"tickets.read".parse().unwrap()], reference.tools_other), (1, 1));
    // Asked again while it waits, renewed, and what goes on from another: no more than before.
    world.event(5, Payload::CredentialDecided(asked("approval_that_waits")));
    world.grant(task(1), grant(1), 9, Some(1));
    let again = pb::CredentialDecided { goes_on_from: "decision_that_denied_it".into(), ..asked("") };
    world.event(5, Payload::CredentialDecided(again));
    assert_eq!(counts(&world).0.samples, before + 1);
    for _ in 0..20 {
        world.event(6, Payload::CredentialDecided(asked("")));
    }
    let (reference, _) = counts(&world);
    assert_eq!(
        (reference.samples, reference.families),
        (u64::from(FAMILY_DAY_MAX), 1),
        "as many as one family may add"
    );
}
