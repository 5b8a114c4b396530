//! What a snapshot holds of people's and agents' words, and that it is under the seal of its family.

use super::snapshots::{activate, asked, said};
use super::*;
use crate::broker::denials::{RecordedShape, Shape};

#[test]
fn what_was_denied_is_sealed_in_a_snapshot_and_goes_with_its_family() {
    let mut world = family();
    asked(&mut world, 2, task(2), 1, None);
    let mut shape = Shape::exact([1; 32]);
    shape.add_amount([2; 32], "31337.5".parse().unwrap());
    let denied = pb::approval_answered::Verdict::Denied;
    said(&mut world, 3, task(2), (1, denied), &vec![RecordedShape::from(shape)]);
    let saved = world.known.save().unwrap();
    let before = Known::new(world.means.clone());
    before.load(&saved).unwrap();
    assert_eq!(before.look().approvals.denials(), world.known.look().approvals.denials());
    assert!(before.look().approvals.denials().any());
    assert!(!saved.windows(7).any(|bytes| bytes == b"31337.5"), "what it is about stands in clear");
    world.means.sealer.erase(task(1)).unwrap();
    let after = Known::new(world.means.clone());
    after.load(&saved).unwrap();
    assert!(!after.look().approvals.denials().any(), "as when the log is read");
    after.load(&world.known.save().unwrap()).unwrap();
    assert!(!after.look().approvals.denials().any());
}

#[test]
fn what_two_families_were_denied_stays_with_the_one_when_the_other_is_erased() {
    let mut world = family();
    world.register(task(7), None);
    let shapes = vec![RecordedShape::from(Shape::exact([1; 32]))];
    let denied = pb::approval_answered::Verdict::Denied;
    for (at_s, of, n) in [(2, task(7), 1), (2, task(1), 2)] {
        asked(&mut world, at_s, of, n, None);
    }
    for (at_s, of, n) in [(3, task(7), 1), (4, task(1), 2)] {
        said(&mut world, at_s, of, (n, denied), &shapes);
    }
    let told = |known: &Known| {
        let known = known.look();
        let last = known.approvals.denials().last(&[Shape::exact([1; 32])], Timestamp::from_millis(START + 5000));
        let roots: Vec<_> = known.approvals.denials().all().map(|denial| denial.root).collect();
        (roots, last.map(|denial| denial.root))
    };
    let saved = world.known.save().unwrap();
    let loaded = || {
        let known = Known::new(world.means.clone());
        known.load(&saved).unwrap();
        known
    };
    assert_eq!(told(&world.known), (vec![task(7), task(1)], Some(task(1))), "in their order");
    assert_eq!(told(&loaded()), told(&world.known));
    world.means.sealer.erase(task(1)).unwrap();
    let replayed = Known::new(world.means.clone());
    world.log.iter().for_each(|event| replayed.apply(event).unwrap());
    assert_eq!(told(&replayed), (vec![task(7)], Some(task(7))));
    assert_eq!(told(&loaded()), told(&replayed), "a snapshot says the same as the log");
}

#[test]
fn classes_that_were_named_for_a_live_grant_count_as_the_bundle_has_them_that_comes() {
    let carries = |known: &Known| {
        let facts = known.look().families[&task(1)].session.facts();
        facts.carries.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let named = |known: &Known, n: u8| known.look().grants[&grant(n)].named.clone();
    let mut world = World::new();
    world.register(task(1), None);
    world.register(task(2), Some(task(1)));
    // Under no bundle nothing is sensitive.
    reading(&mut world, task(2), grant(5), 5, None);
    reading(&mut world, task(2), grant(5), 6, Some(5));
    assert_eq!(carries(&world.known), Vec::<String>::new());
    assert_eq!(named(&world.known, 5).len(), 1, "a renewal keeps what was named");
    let loaded = Known::new(world.means.clone());
    let saved = world.known.save().unwrap();
    loaded.load(&saved).unwrap();
    assert_eq!(named(&loaded, 5), named(&world.known, 5));
    let plain = b"classified-by-the-agent";
    assert!(!saved.windows(plain.len()).any(|bytes| bytes == plain), "words of the agent stand sealed");
    activate(&mut world, 5);
    assert_eq!(carries(&world.known), ["pii", "undeclared"]);
    let last = world.log.last().unwrap();
    loaded.apply(last).unwrap();
    assert_eq!(carries(&loaded), ["pii", "undeclared"], "after a restart, too");
}

/// A grant of a tool that reads, for which the agent named classes of data.
fn reading(world: &mut World, of: TaskId, id: GrantId, jti: u8, renews: Option<u8>) {
    let text = |n: u8| Jti::new([n; 16]).to_string();
    let classes = ["pii", "classified-by-the-agent"].map(|class| class.parse().unwrap());
    let draws = Draws { named: vec![classes.to_vec()], ..Draws::default() };
    let context = Context { kind: "draws", id: &text(jti) };
    let sealed = seal(&world.means.sealer, task(1), context, &draws).unwrap();
    let granted = pb::Grant {
        grant_id: id.to_string(),
        jti: text(jti),
        issued_s: START / 1000,
        expires_s: START / 1000 + 400,
        tools: vec!["tickets.search".into()],
        renews_jti: renews.map(text).unwrap_or_default(),
        sealed_draws: if renews.is_some() { Default::default() } else { sealed },
        ..Default::default()
    };
    let decided = pb::CredentialDecided {
        task_id: of.to_string(),
        request_id: format!("read-{jti}"),
        audience: "https://tickets.test".into(),
        decision: Some(decision(v1::Outcome::Granted)),
        grant: Some(granted),
        ..Default::default()
    };
    world.event(4, Payload::CredentialDecided(decided));
}
