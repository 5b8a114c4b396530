//! Two persons: what one proposes, another puts in force, and nobody does both.

use std::time::Duration;

use carnet::broker::proposals::{ActivationSettings, Persons};
use carnet::model::person::Right;
use carnet::pb::journal::event::Payload;
use carnet::pb::v1;
use carnet::pb::v1::target::Target;
use carnet::policy::bundle::BundleFiles;
use carnet::token::header::SigningAlgorithm;
use tonic::Code;

use super::{activation, active, going_back, key, noted, rejected, signed, signers};
use crate::people::World;
use crate::support::ask::{lifting, revocation};
use crate::support::broker::{FRESH_WITHIN, Setup};
use crate::support::caller::{Caller, Refused};
use crate::support::issuer::ACTING;

const ANN: &str = "1001";
const BOB: &str = "1002";
const PAUL: &str = "1004";
const STANDS: Duration = Duration::from_secs(60);

/// Ann and Paul may activate policy, and it takes both.
async fn two() -> World {
    let activation =
        ActivationSettings { persons: Persons::Two, proposal_stands: STANDS, ..ActivationSettings::default() };
    World::set_up(|_| {}, Setup { activation, activate: false, ..Setup::default() }).await
}

/// A person whose activations are held against the record here, for they leave one event or another.
async fn person(world: &World, subject: &str) -> Caller {
    world.broker.person(&world.corp.token(subject, ACTING)).await.unchecked()
}

async fn proposed(caller: &Caller, files: &BundleFiles, revision: u64) -> v1::PolicyProposal {
    let answer = caller.activate_policy(activation(files, revision)).await.unwrap();
    assert_eq!((answer.revision, answer.position), (0, 0), "it is not in force: {answer:?}");
    answer.proposal.unwrap()
}

async fn in_force(caller: &Caller, files: &BundleFiles, revision: u64) -> v1::ActivatePolicyResponse {
    let answer = caller.activate_policy(activation(files, revision)).await.unwrap();
    assert_eq!((answer.revision, answer.proposal.as_ref()), (revision, None), "{answer:?}");
    answer
}

async fn listed(caller: &Caller) -> Vec<v1::PolicyProposal> {
    caller.policy().list_policy_proposals(v1::ListPolicyProposalsRequest {}).await.unwrap().into_inner().proposals
}

async fn count(world: &World, kind: &str) -> usize {
    world.broker.record.of_kind(kind).await.len()
}

#[tokio::test]
async fn what_one_person_proposes_another_puts_in_force() {
    let world = two().await;
    let (ann, paul) = (person(&world, ANN).await, person(&world, PAUL).await);
    let files = noted("next");
    let proposal = proposed(&ann, &files, 2).await;
    assert_eq!((proposal.digest.as_str(), proposal.revision), (files.digest().as_str(), 2));
    assert_eq!(proposal.proposed_by, "ann@example.org");
    assert_eq!(proposal.until.unwrap().seconds - proposal.proposed.unwrap().seconds, 60);
    assert_eq!(active(&paul).await.revision, 1, "one person is not enough");
    assert_eq!(listed(&paul).await, std::slice::from_ref(&proposal));
    assert_eq!(world.broker.running().broker().figures().policy_proposals, 1);
    let done = in_force(&paul, &files, 2).await;
    assert_eq!(done.proposed_by, "ann@example.org");
    let told = active(&paul).await;
    assert_eq!((told.revision, told.proposed_by.as_str()), (2, "ann@example.org"));
    assert_eq!(told.activated_by, "paul@example.org");
    assert_eq!((listed(&ann).await.len(), world.broker.running().broker().figures().policy_proposals), (0, 0));
    let events = world.broker.record.of_kind("policy_activated").await;
    let Payload::PolicyActivated(event) = &events.last().unwrap().payload else { panic!("{events:?}") };
    assert_eq!((&event.proposal_id, event.proposed_by.as_str()), (&proposal.proposal_id, "ann@example.org"));
    assert_eq!(events.last().unwrap().actor.id, "paul@example.org");
}

#[tokio::test]
async fn the_same_person_is_not_the_second_with_another_account_nor_by_trying_again() {
    let world = two().await;
    let ann = person(&world, ANN).await;
    let files = noted("next");
    let first = proposed(&ann, &files, 2).await;
    let size = world.broker.record.size().await;
    let elsewhere = world.broker.person(&world.partner.token("ann", ACTING)).await.unchecked();
    for again in [&ann, &elsewhere] {
        assert_eq!(proposed(again, &files, 2).await, first);
    }
    assert_eq!(world.broker.record.size().await, size, "a retry leaves nothing");
    assert_eq!(active(&ann).await.revision, 1);
}

#[tokio::test]
async fn another_digest_or_revision_or_owner_is_another_proposal() {
    let world = two().await;
    let (ann, paul) = (person(&world, ANN).await, person(&world, PAUL).await);
    let (files, eve) = (noted("next"), key(SigningAlgorithm::Ed25519));
    let first = proposed(&ann, &files, 2).await;
    for (name, other, revision) in
        [("digest", noted("other"), 2), ("revision", files.clone(), 3), ("owner", signed(&files, 2, &[&eve]), 2)]
    {
        let second = proposed(&paul, &other, revision).await;
        assert_ne!(second.proposal_id, first.proposal_id, "{name}");
    }
    assert_eq!((active(&ann).await.revision, listed(&ann).await.len()), (1, 4));
    in_force(&paul, &files, 2).await;
}

#[tokio::test]
async fn a_proposal_lapses() {
    let world = two().await;
    let (ann, paul) = (person(&world, ANN).await, person(&world, PAUL).await);
    let files = noted("next");
    proposed(&ann, &files, 2).await;
    world.broker.advance(STANDS);
    assert!(listed(&ann).await.is_empty());
    let anew = proposed(&paul, &files, 2).await;
    assert_eq!(anew.proposed_by, "paul@example.org");
    in_force(&ann, &files, 2).await;
}

#[tokio::test]
async fn another_activation_makes_void_what_was_proposed_before() {
    let world = two().await;
    let (ann, paul) = (person(&world, ANN).await, person(&world, PAUL).await);
    let (files, other) = (noted("next"), noted("other"));
    proposed(&ann, &files, 9).await;
    proposed(&ann, &files, 2).await;
    proposed(&ann, &other, 2).await;
    in_force(&paul, &other, 2).await;
    assert!(listed(&ann).await.is_empty());
    rejected(paul.activate_policy(activation(&files, 2)).await.unwrap_err());
    // It was proposed with another bundle in mind.
    assert_eq!(proposed(&paul, &files, 9).await.proposed_by, "paul@example.org");
    assert_eq!(active(&ann).await.revision, 2);
}

#[tokio::test]
async fn two_that_are_confirmed_at_once_do_not_both_come_into_force() {
    let world = two().await;
    let (ann, paul) = (person(&world, ANN).await, person(&world, PAUL).await);
    let (files, other) = (noted("next"), noted("other"));
    proposed(&ann, &files, 2).await;
    proposed(&ann, &other, 2).await;
    let (one, two) = (activation(&files, 2), activation(&other, 2));
    let (one, two) = tokio::join!(paul.activate_policy(one), paul.activate_policy(two));
    let won = usize::from(one.is_ok()) + usize::from(two.is_ok());
    assert_eq!((won, count(&world, "policy_activated").await), (1, 2), "{one:?} {two:?}");
    rejected(one.err().or(two.err()).unwrap());
}

#[tokio::test]
async fn two_who_propose_the_same_at_once_put_it_in_force_once() {
    let world = two().await;
    let (ann, paul) = (person(&world, ANN).await, person(&world, PAUL).await);
    for revision in 2_u64..8 {
        let files = noted(&revision.to_string());
        let (one, two) = (activation(&files, revision), activation(&files, revision));
        let (one, two) = tokio::join!(ann.activate_policy(one), paul.activate_policy(two));
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!((one.revision.max(two.revision), one.revision.min(two.revision)), (revision, 0));
        assert_ne!(one.proposal.is_some(), two.proposal.is_some());
    }
    assert_eq!((count(&world, "policy_proposed").await, count(&world, "policy_activated").await), (6, 7));
}

#[tokio::test]
async fn a_proposal_is_taken_back_by_whoever_may_activate() {
    let world = two().await;
    let (ann, paul, bob) = (person(&world, ANN).await, person(&world, PAUL).await, person(&world, BOB).await);
    let files = noted("next");
    let withdrawing =
        |proposal: &v1::PolicyProposal| v1::WithdrawPolicyProposalRequest { proposal_id: proposal.proposal_id.clone() };
    let operator = world.broker.operator().await;
    for caller in [&paul, &operator, &ann] {
        let proposal = proposed(&ann, &files, 2).await;
        assert_eq!(bob.withdraw_policy_proposal(withdrawing(&proposal)).await.unwrap_err().reason, "RIGHT_MISSING");
        caller.withdraw_policy_proposal(withdrawing(&proposal)).await.unwrap();
        assert!(listed(&ann).await.is_empty());
        let again = caller.withdraw_policy_proposal(withdrawing(&proposal)).await.unwrap_err();
        assert_eq!(again.code, Code::NotFound);
    }
    assert_eq!(proposed(&paul, &files, 2).await.proposed_by, "paul@example.org");
    assert_eq!(active(&ann).await.revision, 1);
}

#[tokio::test]
async fn who_is_no_person_or_may_not_or_logged_in_long_ago_is_not_the_second() {
    let world = two().await;
    let ann = person(&world, ANN).await;
    let files = noted("next");
    proposed(&ann, &files, 2).await;
    let told = |refused: Refused| (refused.code, refused.reason);
    let operator = world.broker.operator().await.unchecked();
    assert_eq!(
        told(operator.activate_policy(activation(&files, 2)).await.unwrap_err()),
        (Code::PermissionDenied, "TWO_PERSONS_NEEDED".to_owned())
    );
    // Whoever has the socket tried to do it alone: that is on record.
    world.broker.sweep().await;
    let refused = world.broker.record.of_kind("refused").await.into_iter();
    let mut alone = refused.filter_map(|event| match event.payload {
        Payload::Refused(refused) if refused.code == "TWO_PERSONS_NEEDED" => Some(refused),
        _ => None,
    });
    let refused = alone.next().unwrap();
    assert_eq!((refused.subject.starts_with("uid:"), refused.rpc.as_str()), (true, "ActivatePolicy"));
    let bob = person(&world, BOB).await;
    assert_eq!(told(bob.activate_policy(activation(&files, 2)).await.unwrap_err()).1, "RIGHT_MISSING");
    let stale = FRESH_WITHIN + Duration::from_secs(1);
    let paul = world.broker.person(&world.corp.stale_token(PAUL, ACTING, stale)).await;
    assert_eq!(told(paul.activate_policy(activation(&files, 2)).await.unwrap_err()).1, "AUTHENTICATION_STALE");
    assert_eq!(active(&ann).await.revision, 1);
}

#[tokio::test]
async fn a_first_who_is_blocked_or_may_no_longer_counts_for_nothing() {
    let mut world = two().await;
    let (ann, paul) = (person(&world, ANN).await, person(&world, PAUL).await);
    let files = noted("next");
    proposed(&ann, &files, 2).await;
    let itself = || Target::Initiator("ann@example.org".to_owned());
    let operator = world.broker.operator().await;
    operator.revoke(revocation(itself())).await.unwrap();
    let own = proposed(&paul, &files, 2).await;
    assert_eq!(own.proposed_by, "paul@example.org");
    let withdrawing = v1::WithdrawPolicyProposalRequest { proposal_id: own.proposal_id };
    paul.withdraw_policy_proposal(withdrawing).await.unwrap();
    operator.lift_block(lifting(itself())).await.unwrap();
    assert!(listed(&paul).await.is_empty(), "what was proposed before a block does not come back with its end");
    let paul = person(&world, PAUL).await;
    let own = proposed(&paul, &files, 2).await;
    assert_eq!(own.proposed_by, "paul@example.org", "nor is it seconded");
    let withdrawing = v1::WithdrawPolicyProposalRequest { proposal_id: own.proposal_id };
    paul.withdraw_policy_proposal(withdrawing).await.unwrap();
    proposed(&person(&world, ANN).await, &files, 2).await;

    for person in &mut world.broker.setup.persons {
        if person.name.as_str() == "ann@example.org" {
            person.may.remove(&Right::ActivatePolicy);
        }
    }
    world.broker.restart().await;
    let paul = person(&world, PAUL).await;
    assert_eq!(listed(&paul).await.len(), 1, "what was proposed outlives a restart");
    assert_eq!(proposed(&paul, &files, 2).await.proposed_by, "paul@example.org");
    assert_eq!(active(&paul).await.revision, 1);
}

#[tokio::test]
async fn a_proposal_outlives_a_restart() {
    let mut world = two().await;
    let files = noted("next");
    let proposal = proposed(&person(&world, ANN).await, &files, 2).await;
    world.broker.restart().await;
    let (ann, paul) = (person(&world, ANN).await, person(&world, PAUL).await);
    assert_eq!(listed(&ann).await, std::slice::from_ref(&proposal));
    assert_eq!(proposed(&ann, &files, 2).await, proposal);
    in_force(&paul, &files, 2).await;
}

#[tokio::test]
async fn one_person_has_only_so_many_proposals_and_the_other_has_room() {
    let world = two().await;
    let (ann, paul) = (person(&world, ANN).await, person(&world, PAUL).await);
    let mut last = None;
    for n in 0..4 {
        last = Some(proposed(&ann, &noted(&n.to_string()), 2).await);
    }
    let refused = ann.activate_policy(activation(&noted("more"), 2)).await.unwrap_err();
    assert_eq!(refused.reason, "LIMIT_EXCEEDED");
    proposed(&paul, &noted("more"), 2).await;
    let withdrawing = v1::WithdrawPolicyProposalRequest { proposal_id: last.unwrap().proposal_id };
    ann.withdraw_policy_proposal(withdrawing).await.unwrap();
    proposed(&ann, &noted("still more"), 2).await;
}

#[tokio::test]
async fn both_say_that_it_goes_back_and_signatures_are_no_persons() {
    let ada = key(SigningAlgorithm::Es256);
    let settings = ActivationSettings {
        persons: Persons::Two,
        proposal_stands: STANDS,
        ..signers(&[("ann@example.org", &ada)], 1)
    };
    let policy = signed(&noted("one"), 1, &[&ada]);
    let setup = Setup { policy, activation: settings, activate: false, ..Setup::default() };
    let world = World::set_up(|_| {}, setup).await;
    let (ann, paul) = (person(&world, ANN).await, person(&world, PAUL).await);
    // Ann has signed it; that she proposes it too makes her no second person, and what she signed needs two all the same.
    let next = signed(&noted("two"), 2, &[&ada]);
    proposed(&ann, &next, 2).await;
    rejected(paul.activate_policy(activation(&noted("two"), 2)).await.unwrap_err());
    in_force(&paul, &next, 2).await;
    let back = signed(&noted("one"), 3, &[&ada]);
    rejected(ann.activate_policy(activation(&back, 3)).await.unwrap_err());
    let proposal = ann.activate_policy(going_back(&back, 3)).await.unwrap().proposal.unwrap();
    assert_eq!(proposal.returns_to.unwrap().revision, 1);
    rejected(paul.activate_policy(activation(&back, 3)).await.unwrap_err());
    let done = paul.activate_policy(going_back(&back, 3)).await.unwrap();
    assert_eq!((done.revision, done.returns_to.unwrap().revision), (3, 1));
}
