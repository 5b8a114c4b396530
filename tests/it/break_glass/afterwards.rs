//! What ends it and what comes of it, and the review that stays open until somebody else closes it.

use std::sync::Arc;

use carnet::disk::RealDisk;
use carnet::entropy::Entropy;
use carnet::pb::v1::target::Target;
use carnet::seal::sealer::{KeyFiles, Sealer};

use super::*;
use crate::support::ask::{AGENT, SECOND_AGENT, lifting, revocation};
use crate::support::broker::{Setup, policy_with};
use crate::support::pki::id;

async fn granted_through(world: &World) -> (Caller, OpenTask, v1::BreakGlass, String) {
    let (agent, task) = world.of_ann().await;
    let glass = opened(&world.gus().await, v1::OpenBreakGlassRequest { uses_max: 2, ..opening(&task) }).await;
    let grant = agent.granted(to_eve(&task)).await.id().to_owned();
    (agent, task, glass, grant)
}

/// One whose workloads need no new SVIDs for days.
async fn lasting() -> World {
    World::set_up(|_| {}, Setup { svid_life: Duration::from_secs(72 * 3600), ..Setup::default() }).await
}

async fn standing(world: &World, grant: &str) -> GrantState {
    world.broker.resource_server().await.standing(grant).await.unwrap()
}

#[tokio::test]
async fn who_opened_it_or_may_revoke_closes_it_and_what_came_of_it_is_revoked() {
    let world = World::new().await;
    for by in ["1007", "1003"] {
        let (agent, task, glass, grant) = granted_through(&world).await;
        for (who, subject) in [("who reads", "1002"), ("who approves", "1005")] {
            let refused = code(world.person(subject).await.close_break_glass(closing(&glass)).await);
            assert_eq!(refused, not_permitted("RIGHT_MISSING"), "{who}");
        }
        let stranger = code(world.person("1004").await.close_break_glass(closing(&glass)).await);
        assert_eq!(stranger.0, Code::NotFound, "who may not even see it");
        let person = world.person(by).await;
        let done = person.close_break_glass(closing(&glass)).await.unwrap();
        assert_eq!((done.grants_revoked, done.break_glass.unwrap().state()), (1, BreakGlassState::Closed));
        assert_eq!(standing(&world, &grant).await, GrantState::Revoked);
        assert_eq!(agent.withheld(to_eve(&task)).await.0, Outcome::Review, "the use that was left is gone");
        let twice = (Code::FailedPrecondition, "BREAK_GLASS_CLOSED".to_owned());
        assert_eq!(code(person.close_break_glass(closing(&glass)).await), twice);
        let record = world.broker.operator().await;
        let found = v1::SearchEventsRequest { task_id: task.id, ..v1::SearchEventsRequest::default() };
        let found = record.audit().search_events(found).await.unwrap().into_inner().events;
        let closed = found.iter().find(|event| event.kind == "break_glass_closed").unwrap();
        assert!(closed.summary.contains("it is over"), "{}", closed.summary);
    }
}

#[tokio::test]
async fn a_block_of_who_opened_it_ends_it_with_all_that_came_of_it() {
    let world = World::new().await;
    let (agent, task, glass, grant) = granted_through(&world).await;
    let ann = world.ann().await;
    let decision_id = ann.grant(&grant, "").await.unwrap().decision_id;
    let gus = Target::Initiator("gus@example.org".to_owned());
    let done = ann.revoke(revocation(gus.clone())).await.unwrap();
    assert_eq!(done.grants_revoked, 1);
    assert_eq!(standing(&world, &grant).await, GrantState::Revoked);
    assert_eq!(code(agent.renew_credential(task.renewal(&grant)).await).1, "GRANT_REVOKED");
    assert_eq!(agent.withheld(to_eve(&task)).await.0, Outcome::Review);
    assert_eq!(code(world.gus().await.open_break_glass(opening(&task)).await), not_permitted("BLOCKED"));
    ann.lift_block(lifting(gus)).await.unwrap();
    // Nothing has changed for it, so it is told the same again, and nothing is recorded.
    assert_eq!(agent.again().withheld(to_eve(&task)).await.0, Outcome::Review, "it does not come back");
    let shown = get(&ann, &glass.break_glass_id).await.unwrap();
    assert_eq!((shown.state(), shown.review_open), (BreakGlassState::Closed, true));
    // The record tells what ended the grant.
    let record = ann.decision(&decision_id).await.unwrap();
    let end = record.aftermath.iter().find(|event| event.kind == "revoked").unwrap();
    assert!(end.summary.contains("gus@example.org"), "{}", end.summary);
}

#[tokio::test]
async fn the_end_of_the_task_ends_it_and_its_review_stays_open_across_a_restart() {
    let mut world = lasting().await;
    let (_, task, glass, grant) = granted_through(&world).await;
    world.broker.orchestrator().await.complete_task(task.complete()).await.unwrap();
    assert_eq!(standing(&world, &grant).await, GrantState::Revoked);
    world.broker.advance(Duration::from_secs(2 * 3600));
    // The task is forgotten an hour after its end, with the next event; its review is not.
    world.broker.at_work().await;
    world.broker.restart().await;
    let rae = world.reviewer().await;
    let request = v1::ListBreakGlassRequest { review_open: true, ..v1::ListBreakGlassRequest::default() };
    let listed = rae.break_glass().list_break_glass(request.clone()).await.unwrap().into_inner().break_glass;
    assert_eq!(listed.iter().map(|g| g.break_glass_id.as_str()).collect::<Vec<_>>(), [glass.break_glass_id.as_str()]);
    assert_eq!(listed[0].justification, glass.justification, "who reviews is shown why");
    let done = rae.review_break_glass(reviewing(&glass)).await.unwrap().break_glass.unwrap();
    assert_eq!((done.verdict(), done.review_open), (BreakGlassVerdict::Justified, false));
    assert_eq!((done.reviewed_by.as_str(), done.note.as_str()), ("rae@example.org", "the pager was down indeed"));
    assert!(rae.break_glass().list_break_glass(request).await.unwrap().into_inner().break_glass.is_empty());
}

#[tokio::test]
async fn somebody_else_closes_the_review_once_it_is_over() {
    let world = World::new().await;
    let (_, _, other) = world.broker.at_work().await;
    let ann = world.ann().await;
    let own = opened(&ann, opening(&other)).await;
    let (_, _, glass, _) = granted_through(&world).await;
    let rae = world.reviewer().await;
    let open = (Code::FailedPrecondition, "BREAK_GLASS_OPEN".to_owned());
    assert_eq!(code(rae.review_break_glass(reviewing(&glass)).await), open);
    for glass in [&own, &glass] {
        ann.close_break_glass(closing(glass)).await.unwrap();
    }
    assert_eq!(code(ann.review_break_glass(reviewing(&own)).await), not_permitted("NOT_INDEPENDENT"), "she opened it");
    let theirs = code(ann.review_break_glass(reviewing(&glass)).await);
    assert_eq!(theirs, not_permitted("NOT_INDEPENDENT"), "it is her task");
    let gus = code(world.gus().await.review_break_glass(reviewing(&glass)).await);
    assert_eq!(gus, not_permitted("RIGHT_MISSING"));
    let stale = world.corp.stale_token("1005", ACTING, Duration::from_secs(3600));
    let stale = world.broker.person(&stale).await;
    assert_eq!(code(stale.review_break_glass(reviewing(&glass)).await).0, Code::Unauthenticated);
    let operator = world.broker.operator().await;
    assert_eq!(code(operator.review_break_glass(reviewing(&glass)).await), not_permitted("METHOD_NOT_ALLOWED"));
    assert!(get(&operator, &glass.break_glass_id).await.is_ok(), "the operator reads it");
    let unsaid = v1::ReviewBreakGlassRequest { note: " ".to_owned(), ..reviewing(&glass) };
    assert_eq!(code(rae.review_break_glass(unsaid).await).0, Code::InvalidArgument);
    let neither = v1::ReviewBreakGlassRequest { verdict: 0, ..reviewing(&glass) };
    assert_eq!(code(rae.review_break_glass(neither).await).0, Code::InvalidArgument);

    let unjustified =
        v1::ReviewBreakGlassRequest { verdict: BreakGlassVerdict::Unjustified.into(), ..reviewing(&glass) };
    let done = rae.review_break_glass(unjustified).await.unwrap().break_glass.unwrap();
    assert_eq!(done.verdict(), BreakGlassVerdict::Unjustified);
    let twice = (Code::FailedPrecondition, "BREAK_GLASS_REVIEWED".to_owned());
    assert_eq!(code(world.person("1006").await.review_break_glass(reviewing(&glass)).await), twice);
}

#[tokio::test]
async fn who_opened_it_closes_it_though_his_rights_were_taken_away() {
    let mut world = World::new().await;
    let (_, _, glass, grant) = granted_through(&world).await;
    let gus = world.broker.setup.persons.iter_mut().find(|person| person.name.as_str() == "gus@example.org").unwrap();
    gus.may.clear();
    world.broker.restart().await;
    let gus = world.gus().await;
    assert_eq!(code(get(&gus, &glass.break_glass_id).await).0, Code::PermissionDenied, "he sees none of it");
    assert_eq!(gus.close_break_glass(closing(&glass)).await.unwrap().grants_revoked, 1);
    assert_eq!(standing(&world, &grant).await, GrantState::Revoked);
}

#[tokio::test]
async fn who_answered_for_an_agent_above_reviews_nothing_though_the_tasks_are_forgotten() {
    // Rae answers for the agent of the task above, and for no other.
    let policy = policy_with(|path, text| match path {
        "identities.toml" => {
            let above = id(AGENT);
            format!("{text}\n[[identity]]\npattern = \"{above}\"\nclass = \"ai_agent\"\nowner = \"rae@example.org\"\n")
        }
        _ => text,
    });
    let setup = Setup { policy, svid_life: Duration::from_secs(72 * 3600), ..Setup::default() };
    let world = World::set_up(|_| {}, setup).await;
    let (agent, task) = world.of_ann().await;
    let below = v1::RegisterTaskRequest {
        parent_task_id: task.id.clone(),
        parent_task_handle: task.handle.clone(),
        agent: id(SECOND_AGENT).to_string(),
        initiator: String::new(),
        ..world.broker.task("send a mail")
    };
    let below = agent.open(below).await;
    let glass = opened(&world.gus().await, opening(&below)).await;
    world.broker.orchestrator().await.complete_task(task.complete()).await.unwrap();
    let not_hers = not_permitted("NOT_INDEPENDENT");
    assert_eq!(code(world.reviewer().await.review_break_glass(reviewing(&glass)).await), not_hers);
    world.broker.advance(Duration::from_secs(2 * 3600));
    world.broker.at_work().await;
    assert_eq!(code(world.reviewer().await.review_break_glass(reviewing(&glass)).await), not_hers, "forgotten");
    world.person("1006").await.review_break_glass(reviewing(&glass)).await.unwrap();
}

/// The words of a task go with its key; who reviews it then still says what was found, and that is no secret of the task's.
#[tokio::test]
async fn what_a_review_found_is_kept_and_sealed_though_the_tasks_words_were_erased() {
    let mut world = World::new().await;
    let (_, task, glass, _) = granted_through(&world).await;
    world.gus().await.close_break_glass(closing(&glass)).await.unwrap();
    let root = task.id.parse().unwrap();
    world
        .broker
        .restart_after(|folder| {
            let data = folder.join("data");
            let files = KeyFiles { master_key: data.join("master.key"), task_keys: data.join("task-keys") };
            Sealer::load(&files, Arc::new(RealDisk), Entropy::system()).unwrap().erase(root).unwrap();
        })
        .await;
    let rae = world.reviewer().await;
    let erased = get(&rae, &glass.break_glass_id).await.unwrap();
    assert!(erased.erased && erased.justification.is_empty() && erased.review_open, "{erased:?}");
    let reviewed = rae.review_break_glass(reviewing(&glass)).await.unwrap().break_glass.unwrap();
    assert_eq!((reviewed.note.as_str(), reviewed.review_open), ("the pager was down indeed", false));
    let event = &world.broker.record.of_kind("break_glass_reviewed").await[0];
    assert!(!String::from_utf8_lossy(&event.stored).contains("indeed"), "it is sealed all the same");
    world.broker.restart().await;
    let kept = get(&world.reviewer().await, &glass.break_glass_id).await.unwrap();
    assert_eq!((kept.note.as_str(), kept.erased), ("the pager was down indeed", true));
}

#[tokio::test]
async fn two_reviews_at_the_same_time_are_one() {
    let world = World::new().await;
    let (_, _, glass, _) = granted_through(&world).await;
    world.gus().await.close_break_glass(closing(&glass)).await.unwrap();
    let (rae, sam) = (world.reviewer().await.unchecked(), world.person("1006").await.unchecked());
    let (rae, sam) = tokio::join!(rae.review_break_glass(reviewing(&glass)), sam.review_break_glass(reviewing(&glass)));
    assert!(rae.is_ok() != sam.is_ok(), "{rae:?} {sam:?}");
    assert_eq!(world.broker.record.of_kind("break_glass_reviewed").await.len(), 1);
}

#[tokio::test]
async fn what_is_open_and_what_nobody_has_reviewed_is_counted() {
    let mut world = lasting().await;
    let figures = |world: &World| {
        let figures = world.broker.running().broker().figures();
        (figures.glasses_open, figures.glass_reviews_open, figures.glass_reviews_overdue)
    };
    assert_eq!(figures(&world), (0, 0, 0));
    let (_, _, glass, _) = granted_through(&world).await;
    assert_eq!(figures(&world), (1, 1, 0));
    let text = world.broker.metrics().render().unwrap();
    for what in ["opened", "used"] {
        assert!(text.contains(&format!("carnet_break_glass_total{{what=\"{what}\"}} 1")), "{text}");
    }
    world.broker.advance(Duration::from_secs(3600));
    assert_eq!(figures(&world), (0, 1, 0));
    world.broker.advance(Duration::from_secs(24 * 3600));
    assert_eq!(figures(&world), (0, 1, 1));
    for _ in 0..2 {
        world.broker.sweep().await;
        assert_eq!(world.broker.record.of_kind("break_glass_review_overdue").await.len(), 1, "once");
    }
    world.broker.restart().await;
    world.broker.sweep().await;
    assert_eq!(world.broker.record.of_kind("break_glass_review_overdue").await.len(), 1, "after a restart, too");
    world.reviewer().await.review_break_glass(reviewing(&glass)).await.unwrap();
    assert_eq!(figures(&world), (0, 0, 0));
}
