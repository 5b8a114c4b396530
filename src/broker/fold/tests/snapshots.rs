//! A snapshot and what was recorded after it amount to what the whole log does: for every part of the state, wherever it is cut.

use super::same::assert_same;
use super::*;
use crate::broker::denials::{RecordedShape, Shape};
use crate::broker::words::{AmendWords, CallWords};
use crate::model::ceiling::Ceiling;
use crate::model::digested::DigestedCall;
use crate::model::id::PolicyProposalId;
use crate::model::json::Json;
use crate::pb::journal::grant_reconsidered::Effect;
use crate::policy::bundle::BundleFiles;

/// A tool report, as its resource server makes it.
fn call(world: &mut World, at_s: u64, request: &str, result: &str) {
    let json = |text| Json::parse(text, 1 << 16).unwrap();
    let words = CallWords { arguments: json("{}"), result: json(result), digested: DigestedCall::default() };
    let sealed = world.seal_report("call", request, &words);
    let call = pb::ToolCallReported {
        task_id: task(1).to_string(),
        request_id: request.into(),
        grant_id: grant(1).to_string(),
        tool: "tickets.read".into(),
        reporter: "audience".into(),
        sealed,
        ..Default::default()
    };
    world.event(at_s, Payload::ToolCallReported(call));
}

/// A grant that draws on what its ceiling caps, until `expires_s` after the start.
fn payment(world: &mut World, of: TaskId, id: GrantId, jti: u8, expires_s: u64) {
    let jti = Jti::new([jti; 16]).to_string();
    let amounts = vec![vec![("amount".into(), "12.50".parse().unwrap())]];
    let draws = Draws { amounts, sent: Sent::default(), named: vec![vec!["records".parse().unwrap()]] };
    let context = Context { kind: "draws", id: &jti };
    let granted = pb::Grant {
        grant_id: id.to_string(),
        jti: jti.clone(),
        issued_s: START / 1000,
        expires_s: START / 1000 + expires_s,
        tools: vec!["payments.pay".into()],
        sealed_draws: seal(&world.means.sealer, task(1), context, &draws).unwrap(),
        ..Default::default()
    };
    let decided = pb::CredentialDecided {
        task_id: of.to_string(),
        request_id: format!("pay-{jti}"),
        audience: "https://bank.test".into(),
        decision: Some(decision(v1::Outcome::Granted)),
        grant: Some(granted),
        asked_digest: vec![jti.as_bytes()[0]; 32].into(),
        ..Default::default()
    };
    world.event(4, Payload::CredentialDecided(decided));
}

fn denials(world: &mut World) {
    let refused = pb::TaskDecided {
        request_id: "not-this".into(),
        decision: Some(decision(v1::Outcome::Denied)),
        ..Default::default()
    };
    world.event(5, Payload::TaskDecided(refused));
    let refused = pb::CredentialDecided {
        task_id: task(2).to_string(),
        request_id: "nor-that".into(),
        audience: "https://bank.test".into(),
        decision: Some(decision(v1::Outcome::Denied)),
        ..Default::default()
    };
    world.event(5, Payload::CredentialDecided(refused));
}

/// A request of a task that waits for people, as approval `n`.
pub(super) fn asked(world: &mut World, at_s: u64, of: TaskId, n: u8, replaces: Option<u8>) {
    use crate::model::approval::Cure;
    use crate::model::reason::ReasonCode;
    let id = approval(n).to_string();
    let shown = vec![Cure::new(ReasonCode::SinkUnseen, Some(0), "sink-unseen".parse().ok(), "`to`")];
    let root = root_of(world, of);
    let sealed_doubts = seal(&world.means.sealer, root, Context { kind: "doubts", id: &id }, &shown).unwrap();
    let asked = pb::AskedPeople {
        sealed_doubts,
        covers: vec![n; 32].into(),
        answer_by_ms: START + 1_000_000,
        replaces: replaces.map(|n| approval(n).to_string()).unwrap_or_default(),
        scores: vec![pb::RecordedScore { source: "scorer:judge".to_owned(), points: 30 }],
        owners: vec!["group:finance".to_owned()],
        owners_absent: Vec::new(),
    };
    let decided = pb::CredentialDecided {
        task_id: of.to_string(),
        request_id: format!("asked-{n}"),
        audience: "https://bank.test".into(),
        agent: "spiffe://td.test/agent/a".into(),
        initiator: "ann".into(),
        decision: Some(pb::Decision { band: v1::Band::High.into(), ..decision(v1::Outcome::Review) }),
        approval_id: approval(n).to_string(),
        asked_people: Some(asked),
        ..Default::default()
    };
    world.event(at_s, Payload::CredentialDecided(decided));
}

fn answered(world: &mut World, at_s: u64, of: TaskId, n: u8, verdict: pb::approval_answered::Verdict) {
    let denied = verdict == pb::approval_answered::Verdict::Denied;
    let shapes = if denied { vec![RecordedShape::from(Shape::exact([n; 32]))] } else { Vec::new() };
    said(world, at_s, of, (n, verdict), &shapes);
}

fn root_of(world: &World, task: TaskId) -> TaskId {
    world.known.look().tasks[&task].root
}

/// An answer to approval `n`, by which these shapes are denied.
pub(super) fn said(
    world: &mut World,
    at_s: u64,
    of: TaskId,
    (n, verdict): (u8, pb::approval_answered::Verdict),
    shapes: &Vec<RecordedShape>,
) {
    let id = approval(n).to_string();
    let context = Context { kind: "denied", id: &id };
    let sealed = seal(&world.means.sealer, root_of(world, of), context, shapes).unwrap();
    let answered = pb::ApprovalAnswered {
        approval_id: id,
        task_id: of.to_string(),
        verdict: verdict.into(),
        settles: true,
        until_ms: START + 900_000,
        sealed_shapes: if shapes.is_empty() { Default::default() } else { sealed },
        ..Default::default()
    };
    world.event(at_s, Payload::ApprovalAnswered(answered));
}

fn approval(n: u8) -> crate::model::id::ApprovalId {
    crate::model::id::ApprovalId::new(Timestamp::from_millis(START), [n; 10])
}

/// Approvals in every standing.
fn approvals(world: &mut World) {
    use pb::approval_answered::Verdict;
    for n in 1..=5 {
        asked(world, 3, task(1), n, None);
    }
    asked(world, 3, task(2), 6, Some(5));
    let escalated = pb::ApprovalEscalated {
        approval_id: approval(4).to_string(),
        task_id: task(1).to_string(),
        as_review: true,
        ..Default::default()
    };
    world.event(3, Payload::ApprovalEscalated(escalated));
    answered(world, 3, task(1), 1, Verdict::Approved);
    answered(world, 3, task(1), 2, Verdict::Denied);
    answered(world, 3, task(1), 3, Verdict::Unanswered);
    let withdrawn = pb::ApprovalWithdrawn {
        approval_id: approval(1).to_string(),
        task_id: task(1).to_string(),
        grant_id: grant(9).to_string(),
        ..Default::default()
    };
    world.event(3, Payload::ApprovalWithdrawn(withdrawn));
}

/// A reference that somebody set, and that what was decided since is far from it.
fn drift(world: &mut World) {
    let class = || "ai_agent".to_owned();
    let tools = vec![pb::DriftTool { tool: "read_file".into(), count: 500 }];
    let scores = vec![500, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let reference =
        pb::DriftCounts { samples: 500, from_ms: START, until_ms: START, scores, tools, tools_other: 1, families: 200 };
    let set = pb::DriftReferenceSet { class: class(), cleared: false, reference: Some(reference) };
    world.event(3, Payload::DriftReferenceSet(set));
    for what in ["scores", "tools"] {
        let detected = pb::DriftDetected { class: class(), what: what.into(), ..Default::default() };
        world.event(3, Payload::DriftDetected(detected));
    }
    let ended = pb::DriftEnded { class: class(), what: "tools".into(), ..Default::default() };
    world.event(3, Payload::DriftEnded(ended));
    world.event(3, Payload::DecisionLabelled(pb::DecisionLabelled::default()));
    let given = pb::ReportKeyGiven { task_id: task(1).to_string(), ..Default::default() };
    world.event(3, Payload::ReportKeyGiven(given));
}

/// A grant that was kept because policy only observed, and that it no longer does.
fn observed(world: &mut World) {
    let kept = pb::GrantReconsidered {
        grant_id: grant(1).to_string(),
        effect: Effect::Kept.into(),
        decision: Some(pb::Decision { instead: v1::Outcome::Granted.into(), ..decision(v1::Outcome::Review) }),
        ..Default::default()
    };
    world.event(10, Payload::GrantReconsidered(kept));
    world.event(10, Payload::ObservingEnded(pb::ObservingEnded { policy_revision: 1, ..Default::default() }));
}

fn words(ceiling: Ceiling, by_orchestrator: bool) -> AmendWords {
    AmendWords { ceiling, by_orchestrator, grounds: None, named_no_more: Vec::new() }
}

fn amend(world: &mut World, at_s: u64, of: TaskId) {
    let ceiling = Ceiling { ttl_max: Some(crate::model::time::Ttl::from_secs(60).unwrap()), ..Ceiling::default() };
    let context = Context { kind: "amend", id: "amend-1" };
    let amended = pb::TaskAmended {
        task_id: of.to_string(),
        request_id: "amend-1".into(),
        decision: Some(decision(v1::Outcome::Granted)),
        applied: true,
        deadline_ms: START + 1_800_000,
        sealed: seal(&world.means.sealer, task(1), context, &words(ceiling, true)).unwrap(),
        ..Default::default()
    };
    world.event(at_s, Payload::TaskAmended(amended));
}

/// Amendments that people are asked about: one waits, one is in force by its approval, and one of those is taken back.
fn extended(world: &mut World, at_s: u64, of: TaskId) {
    use pb::approval_answered::Verdict;
    for n in [11, 12, 13] {
        let id = approval(n).to_string();
        let sealed_doubts = seal(
            &world.means.sealer,
            task(1),
            Context { kind: "doubts", id: &id },
            &Vec::<crate::model::approval::Cure>::new(),
        )
        .unwrap();
        let asked = pb::AskedPeople {
            covers: vec![n; 32].into(),
            answer_by_ms: START + 1_000_000,
            sealed_doubts,
            ..Default::default()
        };
        let waits = pb::TaskAmended {
            task_id: of.to_string(),
            request_id: format!("extend-{n}"),
            decision: Some(pb::Decision { band: v1::Band::Low.into(), ..decision(v1::Outcome::Review) }),
            agent: "spiffe://td.test/agent/a".into(),
            initiator: "ann".into(),
            approval_id: id,
            asked_people: Some(asked),
            ..Default::default()
        };
        world.event(at_s, Payload::TaskAmended(waits));
    }
    answered(world, at_s, of, 11, Verdict::Approved);
    let extended_at = world.next;
    let in_force = pb::TaskAmended {
        task_id: of.to_string(),
        request_id: "extend-11".into(),
        decision: Some(decision(v1::Outcome::Granted)),
        applied: true,
        deadline_ms: START + 3_000_000,
        widened: true,
        approval_id: approval(11).to_string(),
        ..Default::default()
    };
    world.event(at_s, Payload::TaskAmended(in_force));
    payment(world, of, grant(10), 10, 2500);
    let id = approval(11).to_string();
    let withdrawn = pb::ApprovalWithdrawn { approval_id: id.clone(), task_id: of.to_string(), ..Default::default() };
    world.event(at_s, Payload::ApprovalWithdrawn(withdrawn));
    call(world, at_s, "c-2", r#"{"title":"under the extension"}"#);
    let (grounds, named_no_more) = (Some(Ceiling::default()), vec!["under the extension".to_owned()]);
    let left = AmendWords { grounds, named_no_more, ..words(Ceiling::default(), false) };
    let context = Context { kind: "taken-back", id: &id };
    let taken_back = pb::ExtensionTakenBack {
        task_id: of.to_string(),
        approval_id: id.clone(),
        extended_at,
        deadline_ms: START + 1_800_000,
        sealed: seal(&world.means.sealer, task(1), context, &left).unwrap(),
    };
    world.event(at_s, Payload::ExtensionTakenBack(taken_back));
}

pub(super) fn activate(world: &mut World, at_s: u64) {
    let shipped = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/policy"));
    let files = BundleFiles::read_dir(shipped).unwrap();
    let digest = files.digest().to_string();
    let files =
        files.iter().map(|(path, content)| pb::BundleFile { path: path.into(), content: content.to_vec().into() });
    let activated =
        pb::PolicyActivated { digest, revision: 1, files: files.collect(), ..pb::PolicyActivated::default() };
    world.event(at_s, Payload::PolicyActivated(activated));
}

/// Policy that is proposed: one stands, one lapses, one is taken back, and what was before the bundle in force is void.
fn proposals(world: &mut World) {
    let id = |n: u8| PolicyProposalId::new(Timestamp::from_millis(START), [n; 10]).to_string();
    let signer = pb::PolicySigner { name: "ada".to_owned(), key_id: "k".to_owned() };
    let mut propose = |n: u8, until_s: u64| {
        let proposed = pb::PolicyProposed {
            proposal_id: id(n),
            digest: n.to_string(),
            revision: 2,
            owner: "group:security".to_owned(),
            signed_by: vec![signer.clone()],
            returns_to: Some(pb::PolicyReturn { revision: 1, position: 0 }),
            until_ms: START + until_s * 1000,
        };
        world.event(0, Payload::PolicyProposed(proposed));
    };
    propose(1, 1_000_000);
    propose(2, 2);
    propose(3, 1_000_000);
    world.event(0, Payload::PolicyProposalWithdrawn(pb::PolicyProposalWithdrawn { proposal_id: id(3) }));
}

/// Break-glass in every standing, two of them for the same access.
fn glasses(world: &mut World) {
    use pb::break_glass_reviewed::Verdict;
    for (n, covers, uses_max) in [(1, 1, 2), (2, 1, 1), (3, 3, 1), (4, 4, 1)] {
        let opened = pb::BreakGlassOpened {
            glass_id: glass(n),
            task_id: task(2).to_string(),
            decision: Some(decision(v1::Outcome::Granted)),
            audience: "https://bank.test".into(),
            agent: "spiffe://td.test/agent/a".into(),
            initiator: "ann".into(),
            covers: vec![covers; 32].into(),
            until_ms: START + 900_000,
            uses_max,
            review_by_ms: START + 1_800_000,
            owners: vec!["group:agents".into(), "rae".into()],
            denied_before: n == 1,
        };
        world.event(4, Payload::BreakGlassOpened(opened));
    }
    let used = pb::BreakGlassUsed {
        glass_id: glass(1),
        task_id: task(2).to_string(),
        grant_id: grant(2).to_string(),
        decision_id: String::new(),
    };
    world.event(4, Payload::BreakGlassUsed(used));
    for n in [2, 3] {
        let closed = pb::BreakGlassClosed { glass_id: glass(n), task_id: task(2).to_string(), ..Default::default() };
        world.event(4, Payload::BreakGlassClosed(closed));
    }
    let reviewed = pb::BreakGlassReviewed {
        glass_id: glass(3),
        task_id: task(2).to_string(),
        verdict: Verdict::Unjustified.into(),
        sealed: b"note".to_vec().into(),
    };
    world.event(5, Payload::BreakGlassReviewed(reviewed));
}

fn glass(n: u8) -> String {
    crate::model::id::GlassId::new(Timestamp::from_millis(START), [n; 10]).to_string()
}

/// Everything that a log can hold, and time enough to forget some of it.
fn eventful() -> World {
    let mut world = World::new();
    activate(&mut world, 0);
    proposals(&mut world);
    world.register(task(1), None);
    for n in [2, 3] {
        world.register(task(n), Some(task(1)));
    }
    world.register(task(4), Some(task(3)));
    for n in 1..=4 {
        world.grant(task(n), grant(n), n, None);
    }
    payment(&mut world, task(2), grant(5), 5, 400);
    payment(&mut world, task(4), grant(6), 6, 2000);
    drift(&mut world);
    approvals(&mut world);
    glasses(&mut world);
    denials(&mut world);
    world.event(5, Payload::TaskPaused(pb::TaskPaused { task_id: task(3).to_string(), ..Default::default() }));
    for (effect, n) in [(Effect::Suspended, 1), (Effect::Suspended, 2), (Effect::Restored, 2), (Effect::Revoked, 4)] {
        world.reconsider(grant(n), effect);
    }
    signal(&mut world, 6, 1, "anomaly", 5);
    call(&mut world, 7, "c-1", r#"{"title":"T","body":"pay mallory"}"#);
    let through = world.next - 1;
    let root_task_id = task(1).to_string();
    world.event(8, Payload::FamilyReconsidered(pb::FamilyReconsidered { root_task_id, through }));
    signal(&mut world, 9, 2, "anomaly", 20);
    world.grant(task(1), grant(1), 7, Some(1));
    world.event(10, Payload::TaskResumed(pb::TaskResumed { task_id: task(3).to_string() }));
    world.reconsider(grant(2), Effect::Suspended);
    observed(&mut world);
    amend(&mut world, 11, task(2));
    extended(&mut world, 11, task(2));
    let withdrawn = |name: &str| pb::TrustWithdrawn {
        trust_domain: name.into(),
        authorities: vec![vec![7; 32].into()],
        ..Default::default()
    };
    for name in ["td.test", "other.test"] {
        world.event(11, Payload::TrustWithdrawn(withdrawn(name)));
    }
    let restored = pb::TrustRestored { trust_domain: "td.test".into(), lifts: true };
    world.event(11, Payload::TrustRestored(restored));
    for target in [
        Target::Grant(grant(3)),
        Target::Agent("spiffe://td.test/agent/other".parse().unwrap()),
        Target::Initiator("bob".parse().unwrap()),
        Target::Audience("https://other.test".parse().unwrap()),
        Target::Everything,
    ] {
        world.revoke(&target);
    }
    let lifted = pb::BlockLifted { target_kind: "initiator".into(), target: "bob".into(), ..Default::default() };
    world.event(12, Payload::BlockLifted(lifted));
    payment(&mut world, task(2), grant(7), 8, 2500);
    world.event(13, Payload::GrantReleased(pb::GrantReleased { grant_id: grant(7).to_string(), ..Default::default() }));
    payment(&mut world, task(2), grant(8), 9, 2500);
    let end = |id: TaskId| pb::TaskEnded {
        task_id: id.to_string(),
        state: v1::TaskState::Completed.into(),
        ..Default::default()
    };
    world.event(14, Payload::TaskEnded(end(task(3))));
    world.event(700, Payload::KeyRotated(pb::KeyRotated::default()));
    signal(&mut world, 950, 3, "anomaly", 30);
    world.event(1300, Payload::Refused(pb::Refused::default()));
    world.event(1400, Payload::TaskEnded(end(task(1))));
    world.event(2000, Payload::BrokerStarted(pb::BrokerStarted::default()));
    world.event(6000, Payload::BrokerStarted(pb::BrokerStarted::default()));
    world.event(25 * 3600, Payload::BrokerStarted(pb::BrokerStarted::default()));
    world
}

#[test]
fn a_snapshot_and_what_follows_say_the_same_as_the_whole_log() {
    let world = eventful();
    let whole = world.known.look();
    let so_far = Known::new(world.means.clone());
    let mut seen = (0, 0, 0);
    for cut in 0..=world.log.len() {
        let loaded = Known::new(world.means.clone());
        loaded.load(&so_far.save().unwrap()).unwrap();
        {
            let state = so_far.look();
            seen.0 += state.by.drifting.len();
            seen.1 += state.by.due.len();
            seen.2 += state.retired.len();
            assert_same(&loaded.look(), &state, &format!("a snapshot of {cut} events"));
        }
        for recorded in world.log.iter().skip(cut) {
            loaded.apply(recorded).unwrap();
        }
        assert_same(&loaded.look(), &whole, &format!("a snapshot of {cut} events, and the others"));
        if let Some(next) = world.log.get(cut) {
            so_far.apply(next).unwrap();
        }
    }
    assert!(seen.0 > 0 && seen.1 > 0 && seen.2 > 0, "there was nothing to lose: {seen:?}");
}

#[test]
fn what_was_erased_is_left_out_of_a_snapshot_and_what_else_is_missing_makes_it_none() {
    let world = family();
    world.means.sealer.erase(task(1)).unwrap();
    let saved = world.known.save().unwrap();
    let loaded = Known::new(world.means.clone());
    loaded.load(&saved).unwrap();
    assert!(loaded.look().tasks.values().all(|task| task.words.is_none()), "nothing is left to judge by");
    let other = World::new();
    other.means.sealer.create(task(1)).unwrap();
    let refused = Known::new(other.means.clone()).load(&saved).unwrap_err();
    assert!(std::error::Error::source(&refused).unwrap().to_string().contains("not erased"), "{refused}");
}

#[test]
fn a_start_with_a_snapshot_reads_no_keys_but_those_of_its_families() {
    let world = family();
    (10..30).for_each(|n| world.means.sealer.create(task(n)).unwrap());
    let saved = world.known.save().unwrap();
    let means = world.means_after_a_restart();
    let loaded = Known::new(means.clone());
    loaded.load(&saved).unwrap();
    assert!(loaded.look().tasks.values().all(|task| task.words.is_some()));
    assert!(!means.sealer.has_read_all(task(1)), "all keys of the hour were read for one");
    assert_eq!(loaded.save().unwrap().len(), saved.len());
    assert!(!means.sealer.has_read_all(task(1)), "nor does the next snapshot look for it");
}
