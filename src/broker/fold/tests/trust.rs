//! Trust domains that come and go more than once, and more than one of them.

use super::*;

const GUEST: &str = "spiffe://evil.test/agent/g";

/// A task of an agent of the other trust domain, with one of the own below it; each with a grant.
fn guests() -> World {
    let mut world = World::new();
    world.register_for(GUEST, task(1), None);
    world.register(task(2), Some(task(1)));
    world.grant(task(1), grant(1), 1, None);
    world.grant(task(2), grant(2), 2, None);
    world
}

fn withdraw(world: &mut World, name: &str, authority: u8) {
    let authorities = vec![vec![authority; 32].into()];
    let withdrawn = pb::TrustWithdrawn { trust_domain: name.into(), authorities, ..Default::default() };
    world.event(2, Payload::TrustWithdrawn(withdrawn));
}

fn restore(world: &mut World, name: &str, lifts: bool) {
    world.event(3, Payload::TrustRestored(pb::TrustRestored { trust_domain: name.into(), lifts }));
}

#[test]
fn a_second_withdrawal_brings_back_nothing_that_the_first_is_to_keep_suspended() {
    let mut world = guests();
    withdraw(&mut world, "evil.test", 1);
    restore(&mut world, "evil.test", false);
    world.grant(task(1), grant(3), 3, None);
    for _ in 0..2 {
        withdraw(&mut world, "evil.test", 2);
        assert_eq!(world.causes(grant(3)), [SuspensionCause::TrustWithdrawn]);
        restore(&mut world, "evil.test", true);
        assert!(world.standing(grant(3)).is_live(), "it was granted since");
        for id in [grant(1), grant(2)] {
            assert_eq!(world.causes(id), [SuspensionCause::TrustWithdrawn], "its authorities are not back");
        }
    }
    world.grant(task(1), grant(1), 4, Some(1));
    assert!(world.standing(grant(1)).is_live(), "renewed");
    withdraw(&mut world, "evil.test", 2);
    restore(&mut world, "evil.test", true);
    assert!(world.standing(grant(1)).is_live(), "and of the authorities that are back");
}

#[test]
fn what_is_suspended_for_one_trust_domain_is_not_lifted_with_another() {
    let mut world = guests();
    withdraw(&mut world, "evil.test", 1);
    restore(&mut world, "evil.test", false);
    withdraw(&mut world, "td.test", 7);
    restore(&mut world, "td.test", true);
    assert_eq!(world.causes(grant(2)), [SuspensionCause::TrustWithdrawn], "the agent above is of the other");
    let mut world = guests();
    withdraw(&mut world, "evil.test", 1);
    withdraw(&mut world, "td.test", 7);
    restore(&mut world, "td.test", true);
    assert_eq!(world.causes(grant(2)), [SuspensionCause::TrustWithdrawn]);
    restore(&mut world, "evil.test", true);
    assert!(world.standing(grant(2)).is_live() && world.standing(grant(1)).is_live());
}
