//! Live grants while policy only observes: what is no answer of policy takes from them what it would take anyway.

use carnet::clock::Clock;
use carnet::pb::v1;
use carnet::pb::v1::{GrantState, Outcome};
use carnet::policy::bundle::BundleFiles;
use serde_json::json;

use super::{LASTS, broker_observing, enforcing, observed, observing, task_for};
use crate::support::ask::{AGENT, INTENT, RESOURCE_SERVER, ceiling};
use crate::support::broker::{Setup, TestBroker};
use crate::support::caller::unique;
use crate::support::scorer::{Does, Fake, inline};

/// Asks for longer than any token lives, so that what is granted is narrowed from its beginning.
fn long(mut request: v1::RequestCredentialRequest) -> v1::RequestCredentialRequest {
    request.ttl = Some(prost_types::Duration { seconds: 900, nanos: 0 });
    request
}

/// Searching these mailboxes, and listing calendars.
fn mailboxes(resources: &[&str], more: &[&str]) -> v1::Ceiling {
    let mut limits = ceiling(&[&["mail.search"], more].concat());
    limits.tools[0].resources = resources.iter().map(|r| (*r).to_owned()).collect();
    limits
}

#[tokio::test]
async fn amending_to_less_takes_what_it_takes_though_a_rule_is_observed_and_the_grant_was_narrowed_before() {
    let broker = broker_observing("").await;
    let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
    let registration = v1::RegisterTaskRequest {
        ceiling: Some(mailboxes(&["box/a", "box/b"], &["calendar.list"])),
        ..broker.task(INTENT)
    };
    let task = orchestrator.open(registration).await;
    let mut request = long(task.step("mail.search", &json!({})));
    request.access[0].resources = vec!["box/a".to_owned(), "box/b".to_owned()];
    let (granted, would_be) = observed(&agent, request).await;
    assert_eq!((granted.decision.outcome(), would_be), (Outcome::Narrowed, Outcome::Review));
    let server = broker.caller(RESOURCE_SERVER).await;
    let amended = async |ceiling: v1::Ceiling| {
        let request = v1::AmendTaskRequest {
            request_id: unique("amend"),
            task_id: task.id.clone(),
            ceiling: Some(ceiling),
            ..v1::AmendTaskRequest::default()
        };
        let decision = orchestrator.amend_task(request).await.unwrap().decision.unwrap();
        assert_eq!(decision.outcome(), Outcome::Granted);
        server.standing(granted.id()).await.unwrap()
    };
    let takes_nothing = mailboxes(&["box/a", "box/b"], &[]);
    assert_eq!(amended(takes_nothing).await, GrantState::Live, "what is taken is none of its own");
    assert_eq!(amended(mailboxes(&["box/a"], &[])).await, GrantState::Suspended);
}

/// The same rules, with a tool of these actions.
fn searching_by(broker: &TestBroker, actions: &str) -> BundleFiles {
    let files = observing(broker.pki.now().after(LASTS), "");
    let own = "[tools.\"mail.search\"]\n";
    let files = files.iter().map(|(path, content)| {
        let text = String::from_utf8(content.to_vec()).unwrap();
        assert!(path != "catalogue.toml" || text.contains(own));
        (path.to_owned(), text.replace(own, &format!("{own}actions = {actions}\n")).into_bytes())
    });
    BundleFiles::new(files).unwrap()
}

#[tokio::test]
async fn an_action_that_the_catalogue_has_no_more_is_taken_from_what_was_narrowed_before() {
    let broker = broker_observing("").await;
    broker.activate(&searching_by(&broker, "[\"find\", \"count\"]")).await;
    let (agent, task) = task_for(&broker, AGENT).await;
    let (granted, would_be) = observed(&agent, long(task.step("mail.search", &json!({})))).await;
    assert_eq!((granted.decision.outcome(), would_be), (Outcome::Narrowed, Outcome::Review));
    let (small, _) = {
        let mut request = long(task.step("mail.search", &json!({})));
        request.access[0].actions = vec!["find".to_owned()];
        observed(&agent, request).await
    };
    let activated = broker.activate(&searching_by(&broker, "[\"find\"]")).await;
    assert_eq!((activated.grants_suspended, activated.grants_revoked), (1, 0));
    let server = broker.caller(RESOURCE_SERVER).await;
    assert_eq!(server.standing(granted.id()).await.unwrap(), GrantState::Suspended);
    assert_eq!(server.standing(small.id()).await.unwrap(), GrantState::Live, "it has all that it had");
}

#[tokio::test]
async fn a_scorer_is_asked_about_what_policy_would_deny_and_what_it_says_stands_with_the_grant() {
    let fake = Fake::new(Does::score(0.25));
    let clock = Clock::manual(Clock::system().now());
    let policy = observing(clock.now().after(LASTS), "");
    let setup = Setup { policy, clock: Some(clock), scorers: fake.alone(inline()), ..Setup::default() };
    let broker = TestBroker::with(setup).await;
    let (agent, task) = task_for(&broker, AGENT).await;
    let (granted, would_be) = observed(&agent, task.writing()).await;
    assert_eq!((would_be, fake.asked().len()), (Outcome::Denied, 1));
    let record = broker.operator().await.decision(&granted.decision.decision_id).await.unwrap();
    let scored = record.contributions.iter().find(|c| c.signal == "external_score").unwrap();
    assert_eq!((scored.source.as_str(), scored.counted), ("scorer:judge", 15));
    // Of what is denied and withheld there is nothing to be asked.
    broker.activate(&enforcing()).await;
    assert_eq!(agent.withheld(task.writing()).await.0, Outcome::Denied);
    assert_eq!(fake.asked().len(), 1);
}
