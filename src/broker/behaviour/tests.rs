//! Who is remembered, and who gives way.

use std::time::Duration;

use super::*;

const START: Timestamp = Timestamp::from_secs(1_793_610_000);

fn agent(n: usize) -> SpiffeId {
    format!("spiffe://td.test/agent/a{n}").parse().unwrap()
}

fn root(n: u8) -> TaskId {
    TaskId::new(START, [n; 10])
}

/// Grants to an agent, a second each.
fn learn(behaviour: &mut Behaviour, agent: &SpiffeId, root: TaskId, second: u64) {
    let (audience, tool) = ("https://mail.test".parse().unwrap(), "read".parse().unwrap());
    behaviour.learn((agent, root), (&audience, &[tool], &[]), START.after(Duration::from_secs(second)));
}

fn sessions(behaviour: &Behaviour, agent: &SpiffeId, root: TaskId) -> u32 {
    let (audience, tool) = ("https://mail.test".parse().unwrap(), "read".parse().unwrap());
    behaviour.look(agent, root, &Step { at: START, audience: &audience, tools: &[&tool], resources: &[] }).sessions
}

#[test]
fn who_was_granted_nothing_for_the_longest_gives_way() {
    let mut behaviour = Behaviour::default();
    for n in 0..IDENTITIES_KNOWN_MAX {
        learn(&mut behaviour, &agent(n), root(1), n as u64);
    }
    // The oldest is back at work, so the next is the longest away.
    learn(&mut behaviour, &agent(0), root(2), 10_000);
    learn(&mut behaviour, &agent(IDENTITIES_KNOWN_MAX), root(1), 10_001);
    let known = |n: usize| sessions(&behaviour, &agent(n), root(9));
    assert_eq!((known(0), known(1), known(2), known(IDENTITIES_KNOWN_MAX)), (2, 0, 1, 1));
    assert_eq!((behaviour.known.len(), behaviour.order.len()), (IDENTITIES_KNOWN_MAX, IDENTITIES_KNOWN_MAX));
    // Its session goes on, and is the first of what is known from here on.
    learn(&mut behaviour, &agent(1), root(1), 10_002);
    assert_eq!(sessions(&behaviour, &agent(1), root(9)), 1);
    assert_eq!(sessions(&behaviour, &agent(1), root(1)), 0, "its own is left out");
}

#[test]
fn a_family_is_one_session_of_each_of_its_agents_and_is_forgotten_when_it_is_over() {
    let mut behaviour = Behaviour::default();
    for n in 0..10 {
        learn(&mut behaviour, &agent(1), root(1), n);
        learn(&mut behaviour, &agent(2), root(1), n);
    }
    learn(&mut behaviour, &agent(1), root(2), 11);
    assert_eq!((sessions(&behaviour, &agent(1), root(9)), sessions(&behaviour, &agent(2), root(9))), (2, 1));
    assert_eq!(behaviour.trails.len(), 2);
    behaviour.forget(root(1));
    assert_eq!(behaviour.trails.len(), 1);
    assert_eq!(sessions(&behaviour, &agent(1), root(1)), 2, "what it taught stays");
}
