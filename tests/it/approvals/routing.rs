//! Reviews for owners of tools: who may answer, what happens where there is no such person, and that who is blocked has said nothing.

use std::sync::Arc;

use carnet::pb::v1::ApprovalRoute;
use carnet::pb::v1::target::Target;
use carnet::policy::bundle::BundleFiles;

use super::*;
use crate::support::ask::{lifting, revocation};
use crate::support::gate::Gate;

const RAE: &str = "rae@example.org";
/// Who owns the tool that sends mail, as the shipped catalogue has it.
const OWNER: &str = "group:workplace";

/// The shipped bundle, in which mail to strangers is reviewed by so many, for the owner of the tool.
fn routed(approvals: u32) -> BundleFiles {
    let more = format!("@id(\"sink-unseen\")\n@approvals(\"{approvals}\")\n@route(\"owner\")");
    let policy = policy_with(|path, text| match path {
        "20-provenance.cedar" => text.replace("@id(\"sink-unseen\")", &more),
        _ => text,
    });
    assert_ne!(policy, shipped_policy());
    policy
}

async fn world(policy: BundleFiles, members: &[&'static str]) -> World {
    let groups = if members.is_empty() { Vec::new() } else { vec![(OWNER, members.to_vec())] };
    World::set_up(|_| {}, Setup { policy, groups, ..Setup::default() }).await
}

async fn shown(person: &Caller, decision: &v1::Decision) -> v1::Approval {
    get(person, &decision.approval_id).await.unwrap().approval.unwrap()
}

/// What the person could approve.
async fn for_me(person: &Caller) -> Vec<String> {
    let request = v1::ListApprovalsRequest { for_me: true, ..v1::ListApprovalsRequest::default() };
    let listed = person.approvals().list_approvals(request).await.unwrap().into_inner().approvals;
    listed.into_iter().map(|approval| approval.approval_id).collect()
}

async fn asked_people(world: &World) -> Vec<carnet::pb::journal::AskedPeople> {
    let events = world.broker.record.of_kind("credential_decided").await;
    let asked = events.into_iter().filter_map(|event| match event.payload {
        Payload::CredentialDecided(decided) => decided.asked_people,
        _ => None,
    });
    asked.collect()
}

#[tokio::test]
async fn who_answers_for_the_tool_approves_and_no_other_reviewer() {
    let world = world(routed(1), &[RAE]).await;
    let (agent, task) = world.anns().await;
    let decision = pending(&agent, to_eve(&task)).await;
    let (rae, sam) = (world.rae().await, world.corp("1006").await);
    let approval = shown(&sam, &decision).await;
    assert_eq!((approval.route(), approval.owners.as_slice()), (ApprovalRoute::Owners, [OWNER.to_owned()].as_slice()));
    assert_eq!((approval.route_note.as_str(), approval.may_approve, approval.may_deny), ("", false, true));
    assert_eq!(refused(&sam, &decision).await, not_permitted("NOT_OWNER"));
    assert_eq!((for_me(&sam).await, for_me(&rae).await), (Vec::new(), vec![decision.approval_id.clone()]));
    assert!(for_me(&world.ann().await).await.is_empty(), "nor what one initiated");
    let asked = asked_people(&world).await.remove(0);
    assert_eq!((asked.owners, asked.owners_absent), (vec![OWNER.to_owned()], Vec::new()));

    assert_eq!(approve(&rae, &decision).await.state(), ApprovalState::Approved);
    assert!(for_me(&rae).await.is_empty());
    assert_eq!(agent.granted(to_eve(&task)).await.decision.approval_id, decision.approval_id);
    let refusals = world.broker.record.of_kind("approval_answered").await;
    assert_eq!(refusals.len(), 1, "what was refused answered nothing");
}

#[tokio::test]
async fn every_reviewer_who_was_asked_may_say_no() {
    let world = world(routed(1), &[RAE]).await;
    let (agent, task) = world.anns().await;
    let decision = pending(&agent, to_eve(&task)).await;
    let approval = answer(&world.corp("1006").await, &decision, Verdict::Deny).await.unwrap();
    assert_eq!(approval.state(), ApprovalState::Denied);
    assert_eq!(agent.withheld(to_eve(&task)).await.1[0], "APPROVAL_DENIED");
}

#[tokio::test]
async fn of_two_who_approve_one_answers_for_the_tool_in_whichever_order() {
    let world = world(routed(2), &[RAE]).await;
    let token = world.corp.token("1002", INITIATING);
    let task = world.broker.orchestrator().await.open(world.initiated_by(token)).await;
    let agent = world.broker.agent().await;
    let (ann, rae, sam) = (world.ann().await, world.rae().await, world.corp("1006").await);
    let decision = pending(&agent, to_eve(&task)).await;
    assert_eq!(approve(&sam, &decision).await.state(), ApprovalState::Pending);
    assert_eq!(refused(&ann, &decision).await, not_permitted("NOT_OWNER"), "the last place is the owner's");
    assert_eq!(approve(&rae, &decision).await.state(), ApprovalState::Approved);
    agent.granted(to_eve(&task)).await;
    let next = pending(&agent, to_eve(&task)).await;
    assert_eq!(approve(&rae, &next).await.state(), ApprovalState::Pending, "an owner alone is one of two");
    assert_eq!(approve(&ann, &next).await.state(), ApprovalState::Approved);
}

#[tokio::test]
async fn an_owner_who_is_a_person_needs_no_group_and_who_owns_the_agent_too_is_not_alone_enough() {
    let policy = policy_with(|path, text| match path {
        "20-provenance.cedar" => text.replace("@id(\"sink-unseen\")", "@id(\"sink-unseen\")\n@route(\"owner\")"),
        "catalogue.toml" => text.replace(OWNER, RAE),
        "identities.toml" => text.replace("owner = \"group:agents\"", &format!("owner = \"{RAE}\"")),
        _ => text,
    });
    let world = world(policy, &[]).await;
    let (agent, task) = world.anns().await;
    let decision = pending(&agent, to_eve(&task)).await;
    let sam = world.corp("1006").await;
    assert_eq!(refused(&sam, &decision).await, not_permitted("NOT_OWNER"));
    assert_eq!(approve(&world.rae().await, &decision).await.state(), ApprovalState::Pending);
    assert_eq!(approve(&sam, &decision).await.state(), ApprovalState::Approved);
}

#[tokio::test]
async fn those_who_answer_for_the_agent_by_their_group_are_not_enough_among_themselves() {
    let groups = vec![("group:agents", vec![RAE, "ann@example.org"])];
    let world = World::set_up(|_| {}, Setup { groups, ..Setup::default() }).await;
    let token = world.corp.token("1002", INITIATING);
    let task = world.broker.orchestrator().await.open(world.initiated_by(token)).await;
    let agent = world.broker.agent().await;
    let decision = pending(&agent, to_eve(&task)).await;
    assert_eq!(approve(&world.rae().await, &decision).await.state(), ApprovalState::Pending);
    assert_eq!(approve(&world.ann().await, &decision).await.state(), ApprovalState::Pending);
    assert_eq!(approve(&world.corp("1006").await, &decision).await.state(), ApprovalState::Approved);
}

#[tokio::test]
async fn where_nobody_can_answer_for_the_tool_whoever_reviews_may_and_is_told_so() {
    let rows: [(&str, &[&'static str]); 3] = [
        ("nobody is known", &[]),
        ("who initiated it", &["ann@example.org"]),
        ("who does not review", &["bob@example.org"]),
    ];
    for (name, members) in rows {
        let world = world(routed(1), members).await;
        let (agent, task) = world.anns().await;
        let decision = pending(&agent, to_eve(&task)).await;
        let sam = world.corp("1006").await;
        let approval = shown(&sam, &decision).await;
        assert_eq!((approval.route(), approval.may_approve), (ApprovalRoute::Reviewers, true), "{name}");
        assert_eq!(approval.route_note, "Nobody can answer for `group:workplace`: whoever reviews may.", "{name}");
        assert_eq!(asked_people(&world).await[0].owners_absent, [OWNER], "{name}");
        assert_eq!(refused(&world.ann().await, &decision).await, not_permitted("NOT_INDEPENDENT"), "{name}");
        assert_eq!(approve(&sam, &decision).await.state(), ApprovalState::Approved, "{name}");
    }
}

#[tokio::test]
async fn an_owner_who_is_blocked_is_not_waited_for() {
    let world = world(routed(1), &[RAE]).await;
    let (agent, task) = world.anns().await;
    let decision = pending(&agent, to_eve(&task)).await;
    let sam = world.corp("1006").await;
    assert_eq!(refused(&sam, &decision).await, not_permitted("NOT_OWNER"));
    world.ann().await.revoke(revocation(Target::Initiator(RAE.to_owned()))).await.unwrap();
    assert_eq!(refused(&world.rae().await, &decision).await, not_permitted("BLOCKED"));
    assert_eq!(approve(&sam, &decision).await.state(), ApprovalState::Approved);
}

#[tokio::test]
async fn whom_a_question_is_for_outlives_a_restart() {
    let mut world = world(routed(1), &[RAE]).await;
    let (agent, task) = world.anns().await;
    let decision = pending(&agent, to_eve(&task)).await;
    world.broker.restart().await;
    assert_eq!(shown(&world.corp("1006").await, &decision).await.route(), ApprovalRoute::Owners);
    // What the configuration says of people counts as it is now.
    world.broker.setup.groups = vec![(OWNER, vec!["sam@example.org"])];
    world.broker.restart().await;
    assert_eq!(refused(&world.rae().await, &decision).await, not_permitted("NOT_OWNER"));
    assert_eq!(approve(&world.corp("1006").await, &decision).await.state(), ApprovalState::Approved);
    world.broker.agent().await.granted(to_eve(&task)).await;
}

#[tokio::test]
async fn what_somebody_said_who_is_blocked_before_it_is_used_does_not_count() {
    let policy = policy_with(|path, text| match path {
        "20-provenance.cedar" => text.replace("@id(\"sink-unseen\")", "@id(\"sink-unseen\")\n@approvals(\"2\")"),
        _ => text,
    });
    let world = world(policy, &[]).await;
    let token = world.corp.token("1002", INITIATING);
    let task = world.broker.orchestrator().await.open(world.initiated_by(token)).await;
    let agent = world.broker.agent().await;
    let (ann, sam) = (world.ann().await, world.corp("1006").await);
    let rae_is = || Target::Initiator(RAE.to_owned());
    // While it waits for the second.
    let decision = pending(&agent, to_eve(&task)).await;
    approve(&world.rae().await, &decision).await;
    ann.revoke(revocation(rae_is())).await.unwrap();
    assert!(shown(&sam, &decision).await.votes.is_empty());
    let event = world.broker.record.of_kind("revoked").await.remove(0);
    let Payload::Revoked(revoked) = event.payload else { panic!("of another kind") };
    assert_eq!((revoked.unsaid, revoked.unsaid_count), (vec![decision.approval_id.clone()], 1), "so that it is told");
    assert_eq!(approve(&sam, &decision).await.state(), ApprovalState::Pending, "one of two");
    ann.lift_block(lifting(rae_is())).await.unwrap();
    assert_eq!(shown(&sam, &decision).await.votes.len(), 1, "it does not come back");
    assert_eq!(approve(&world.rae().await, &decision).await.state(), ApprovalState::Approved, "she may say it again");
    // Once it was given for good, and not used yet.
    ann.revoke(revocation(rae_is())).await.unwrap();
    assert_eq!(shown(&sam, &decision).await.state(), ApprovalState::Closed);
    let next = pending(&agent, to_eve(&task)).await;
    assert_ne!(next.approval_id, decision.approval_id, "people are asked anew");
    ann.lift_block(lifting(rae_is())).await.unwrap();
    assert_eq!(pending(&agent.again(), to_eve(&task)).await.approval_id, next.approval_id);
    // What was used goes on until it is taken back.
    approve(&world.rae().await, &next).await;
    approve(&sam, &next).await;
    let granted = agent.granted(to_eve(&task)).await;
    ann.revoke(revocation(rae_is())).await.unwrap();
    let server = world.broker.resource_server().await;
    assert_eq!(server.standing(granted.id()).await.unwrap(), GrantState::Live);
    assert_eq!(shown(&sam, &next).await.state(), ApprovalState::Used);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_and_the_use_of_what_was_approved_come_one_after_the_other() {
    let gate = Arc::new(Gate::default());
    let world = World::set_up(|_| {}, Setup { journal: Gate::journal(&gate), ..Setup::default() }).await;
    let (agent, task) = world.anns().await;
    let (agent, ann) = (agent.unchecked(), world.ann().await.unchecked());
    for block_first in [true, false] {
        let decision = pending(&agent, to_eve(&task)).await;
        approve(&world.rae().await, &decision).await;
        let (user, request) = (agent.clone(), to_eve(&task));
        let uses = async move { user.request_credential(request).await.unwrap().grant.is_some() };
        let (blocker, target) = (ann.clone(), Target::Initiator(RAE.to_owned()));
        let blocks = async move { blocker.revoke(revocation(target)).await.is_ok() };
        let (orchestrator, filler) =
            (world.broker.orchestrator().await.unchecked(), world.broker.task("hold the writer"));
        let filler = async move { orchestrator.register_task(filler).await };
        let (blocked, used) = if block_first {
            gate.in_order(&world.broker, filler, (blocks, uses)).await
        } else {
            let (used, blocked) = gate.in_order(&world.broker, filler, (uses, blocks)).await;
            (blocked, used)
        };
        assert_eq!((blocked, used), (true, !block_first));
        let granted = world.broker.record.all().await.into_iter().any(|event| match &event.payload {
            Payload::CredentialDecided(e) => {
                e.grant.as_ref().is_some_and(|grant| grant.approval_id == decision.approval_id)
            }
            _ => false,
        });
        assert_eq!(granted, used);
        ann.lift_block(lifting(Target::Initiator(RAE.to_owned()))).await.unwrap();
    }
}

#[tokio::test]
async fn who_is_named_as_initiator_unverified_takes_no_owner_out_of_the_question() {
    let after = Duration::from_secs(30);
    let approvals = ApprovalSettings { escalate_after: Some(after), ..ApprovalSettings::default() };
    let setup = Setup { policy: routed(1), groups: vec![(OWNER, vec![RAE])], approvals, ..Setup::default() };
    let world = World::set_up(|_| {}, setup).await;
    let named = v1::RegisterTaskRequest { initiator: RAE.to_owned(), ..world.broker.task(INTENT) };
    let task = world.broker.orchestrator().await.open(named).await;
    let agent = world.broker.agent().await;
    let decision = pending(&agent, to_eve(&task)).await;
    assert_eq!(asked_people(&world).await[0].owners_absent, Vec::<String>::new());
    let sam = world.corp("1006").await;
    let approval = shown(&sam, &decision).await;
    assert_eq!((approval.route(), approval.may_approve), (ApprovalRoute::Owners, false));
    assert!(approval.route_note.contains("`group:workplace` nobody else answers"), "{}", approval.route_note);
    assert_eq!(refused(&sam, &decision).await, not_permitted("NOT_OWNER"));
    assert_eq!(refused(&world.rae().await, &decision).await, not_permitted("NOT_INDEPENDENT"), "who is named");
    world.broker.advance(after);
    world.broker.sweep().await;
    assert_eq!(refused(&world.rae().await, &decision).await, not_permitted("NOT_INDEPENDENT"));
    assert_eq!(approve(&world.corp("1006").await, &decision).await.state(), ApprovalState::Approved);
}

#[tokio::test]
async fn a_yes_counts_only_while_its_person_may_give_it() {
    let policy = policy_with(|path, text| match path {
        "20-provenance.cedar" => text.replace("@id(\"sink-unseen\")", "@id(\"sink-unseen\")\n@approvals(\"2\")"),
        _ => text,
    });
    let mut world = world(policy, &[]).await;
    let token = world.corp.token("1002", INITIATING);
    let task = world.broker.orchestrator().await.open(world.initiated_by(token)).await;
    let agent = world.broker.agent().await;
    let decision = pending(&agent, to_eve(&task)).await;
    assert_eq!(approve(&world.rae().await, &decision).await.state(), ApprovalState::Pending);
    // She leaves the desk: the configuration takes her right away, and nobody blocked her.
    let rae_may = async |world: &mut World, may: bool| {
        let rae = world.broker.setup.persons.iter_mut().find(|person| person.name.as_str() == RAE).unwrap();
        rae.may = if may { [carnet::model::person::Right::Approve].into() } else { Default::default() };
        world.broker.restart().await;
    };
    rae_may(&mut world, false).await;
    let vote = shown(&world.corp("1006").await, &decision).await.votes.remove(0);
    assert_eq!((vote.person.as_str(), vote.lapsed), (RAE, true));
    let sams = approve(&world.corp("1006").await, &decision).await;
    assert_eq!(sams.state(), ApprovalState::Pending, "his is the first that counts");
    assert_eq!(approve(&world.ann().await, &decision).await.state(), ApprovalState::Approved);
    world.broker.agent().await.granted(to_eve(&task)).await;
    // Where she has it again, what she said counts again.
    rae_may(&mut world, true).await;
    let next = pending(&world.broker.agent().await, to_eve(&task)).await;
    approve(&world.rae().await, &next).await;
    rae_may(&mut world, false).await;
    assert!(shown(&world.corp("1006").await, &next).await.votes[0].lapsed);
    rae_may(&mut world, true).await;
    assert!(!shown(&world.corp("1006").await, &next).await.votes[0].lapsed);
    assert_eq!(approve(&world.corp("1006").await, &next).await.state(), ApprovalState::Approved);
}

#[tokio::test]
async fn the_record_of_a_decision_says_for_whom_the_question_was() {
    let world = world(routed(1), &[RAE]).await;
    let (agent, task) = world.anns().await;
    let decision = pending(&agent, to_eve(&task)).await;
    // Decided anew, because something else was granted meanwhile.
    agent.granted(task.writing()).await;
    let again = pending(&agent, to_eve(&task)).await;
    assert_ne!(again.decision_id, decision.decision_id);
    let operator = world.broker.operator().await;
    for decision in [&decision, &again] {
        let record = operator.decision(&decision.decision_id).await.unwrap();
        assert_eq!((record.owners, record.owners_absent), (vec![OWNER.to_owned()], Vec::<String>::new()));
        assert!(record.escalated_at.is_none() && !record.unattended);
    }
    let record = operator.decision(&decision.decision_id).await.unwrap();
    let shown = shown(&world.rae().await, &decision).await;
    assert_eq!(record.answer_by, shown.until);
}

#[tokio::test]
async fn an_amendment_is_routed_to_the_owners_of_the_tools_that_it_adds() {
    let policy = policy_with(|path, text| match path {
        "60-tasks.cedar" => text.replace("@id(\"widening\")", "@id(\"widening\")\n@route(\"owner\")"),
        _ => text,
    });
    assert_ne!(policy, shipped_policy());
    let world = world(policy, &[RAE]).await;
    let orchestrator = world.broker.orchestrator().await;
    let ceiling = |tools: &[&str]| Some(crate::support::ask::ceiling(tools));
    let token = world.corp.token("1001", INITIATING);
    let registration = v1::RegisterTaskRequest { ceiling: ceiling(&["tickets.read"]), ..world.initiated_by(token) };
    let task = orchestrator.open(registration).await;
    let asked = async |more: v1::AmendTaskRequest| {
        let request_id = crate::support::caller::unique("amend");
        let more = v1::AmendTaskRequest { request_id, task_id: task.id.clone(), ..more };
        orchestrator.amend_task(more).await.unwrap().decision.unwrap()
    };
    let more = v1::AmendTaskRequest { ceiling: ceiling(&["tickets.read", "files.write"]), ..Default::default() };
    let decision = asked(more.clone()).await;
    let sam = world.corp("1006").await;
    let approval = shown(&sam, &decision).await;
    assert_eq!((approval.route(), approval.owners.as_slice()), (ApprovalRoute::Owners, &[OWNER.to_owned()][..]));
    assert_eq!(refused(&sam, &decision).await, not_permitted("NOT_OWNER"));
    let record = world.broker.operator().await.decision(&decision.decision_id).await.unwrap();
    assert_eq!(record.owners, [OWNER]);
    assert_eq!(approve(&world.rae().await, &decision).await.state(), ApprovalState::Approved);
    assert_eq!(asked(more).await.outcome(), Outcome::Granted);
    // That it lives longer is about no tool.
    let longer = v1::AmendTaskRequest {
        deadline: Some(world.broker.at(Duration::from_secs(7200))),
        ..v1::AmendTaskRequest::default()
    };
    let decision = asked(longer).await;
    assert_eq!(shown(&sam, &decision).await.route(), ApprovalRoute::Reviewers);
}

#[tokio::test]
async fn what_merely_bounds_is_made_ground_again_by_its_owner_alone() {
    let policy = policy_with(|path, text| match path {
        "60-tasks.cedar" => text.replace("@id(\"widening\")", "@id(\"widening\")\n@route(\"owner\")"),
        _ => text,
    });
    let world = world(policy, &[RAE]).await;
    let orchestrator = world.broker.orchestrator().await;
    let of = |tools: &[&str], named: &[&str]| {
        let mut ceiling = crate::support::ask::ceiling(tools);
        let mail = ceiling.tools.iter_mut().find(|tool| tool.tool == "mail.send").unwrap();
        if !named.is_empty() {
            let values = named.iter().map(ToString::to_string).collect();
            mail.sinks.push(v1::SinkCeiling { sink: "to".to_owned(), values, ..v1::SinkCeiling::default() });
        }
        ceiling
    };
    let token = world.corp.token("1001", INITIATING);
    let registration = v1::RegisterTaskRequest { ceiling: Some(of(&["mail.send"], &[])), ..world.initiated_by(token) };
    let task = orchestrator.open(registration).await;
    let asked = async |ceiling: &v1::Ceiling| {
        let request_id = crate::support::caller::unique("amend");
        let ceiling = Some(ceiling.clone());
        let more = v1::AmendTaskRequest { request_id, task_id: task.id.clone(), ceiling, ..Default::default() };
        orchestrator.amend_task(more).await.unwrap().decision.unwrap()
    };
    // Nobody answers for tickets here, so whoever reviews is asked.
    let (reads, ops) = (of(&["tickets.read", "mail.send"], &[]), "ops@corp.test");
    let first = asked(&reads).await;
    approve(&world.corp("1006").await, &first).await;
    assert_eq!(asked(&reads).await.outcome(), Outcome::Granted);
    let named = of(&["tickets.read", "mail.send"], &[ops]);
    let decision = asked(&named).await;
    assert_eq!(refused(&world.corp("1006").await, &decision).await, not_permitted("NOT_OWNER"));
    approve(&world.rae().await, &decision).await;
    assert_eq!(asked(&named).await.outcome(), Outcome::Granted);
    let reason = "by mistake".to_owned();
    let back = v1::WithdrawApprovalRequest { approval_id: first.approval_id, reason };
    world.rae().await.withdraw_approval(back).await.unwrap();
    // The list bounds, and grounds nothing: the very same ceiling makes it ground.
    let again = asked(&of(&["mail.send"], &[ops])).await;
    let sam = world.corp("1006").await;
    assert_eq!(shown(&sam, &again).await.owners, [OWNER.to_owned()]);
    assert_eq!(refused(&sam, &again).await, not_permitted("NOT_OWNER"));
    assert_eq!(approve(&world.rae().await, &again).await.state(), ApprovalState::Approved);
}
