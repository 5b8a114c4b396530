//! What becomes of grants and of new requests when trust comes and goes: a federated trust domain's bundle, the own one, or all.

use std::sync::Arc;
use std::time::Duration;

use carnet::dev::ca::DevCa;
use carnet::dev::workload_api::{Offer, WorkloadApi};
use carnet::pb::journal::event::Payload;
use carnet::pb::v1::{EventSummary, GrantState, RegisterTaskRequest, SearchEventsRequest, SuspensionCause};
use tonic::Code;

use super::support::ask::{AGENT, Granted, INTENT, OpenTask, SECOND_AGENT, codes};
use super::support::broker::{Setup, TestBroker, policy_with};
use super::support::caller::Caller;
use super::support::pki::{DOMAIN, FOREIGN, HOUR, domain, foreign_id, id, soon};

/// A broker that gives agents of the other trust domain a class.
async fn federated() -> TestBroker {
    let policy = policy_with(|path, text| match path {
        "identities.toml" => format!(
            "{text}\n[[identity]]\npattern = \"spiffe://{FOREIGN}/agent/*\"\nclass = \"ai_agent\"\nowner = \
             \"group:partner\"\n"
        ),
        _ => text,
    });
    TestBroker::with(Setup { accepts_foreign: true, policy, ..Setup::default() }).await
}

/// An agent of the other trust domain with a task and a grant of its own.
struct Guest {
    _api: WorkloadApi,
    agent: Caller,
    task: OpenTask,
    granted: Granted,
}

impl Guest {
    async fn at(broker: &TestBroker) -> Self {
        let (_api, agent) = guest_of(broker, &broker.pki.foreign).await;
        let registration = RegisterTaskRequest { agent: foreign_id(AGENT).to_string(), ..broker.task(INTENT) };
        let task = broker.orchestrator().await.open(registration).await;
        let granted = agent.granted(task.reading()).await;
        Self { _api, agent, task, granted }
    }
}

async fn guest_of(broker: &TestBroker, ca: &Arc<DevCa>) -> (WorkloadApi, Caller) {
    let pki = &broker.pki;
    let offer = Offer::fresh(ca, &foreign_id(AGENT), &[Arc::clone(&pki.ca)], &pki.clock, HOUR).unwrap();
    let (api, workload) = pki.workload_offered(offer).await;
    (api, Caller::new(broker.connect(&workload).await, Arc::clone(&broker.record)))
}

/// Waits until a grant stands so; the sweeps of the broker see to it.
async fn comes_to(broker: &TestBroker, grant: &Granted, state: GrantState) {
    let server = broker.resource_server().await;
    soon(async {
        while server.standing(grant.id()).await.unwrap() != state {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

async fn causes(broker: &TestBroker, grant: &Granted) -> Vec<SuspensionCause> {
    broker.resource_server().await.grant(grant.id(), "").await.unwrap().causes().collect()
}

async fn found(broker: &TestBroker, kind: &str) -> Vec<EventSummary> {
    let request = SearchEventsRequest { kind: kind.into(), ..SearchEventsRequest::default() };
    broker.operator().await.audit().search_events(request).await.unwrap().into_inner().events
}

#[tokio::test]
async fn a_withdrawn_trust_domain_has_the_grants_of_its_agents_suspended_and_the_reason_recorded() {
    let broker = federated().await;
    let guest = Guest::at(&broker).await;
    let (_, own_agent, own_task) = broker.at_work().await;
    let own = own_agent.granted(own_task.reading()).await;

    broker.withdraw_foreign();

    comes_to(&broker, &guest.granted, GrantState::Suspended).await;
    assert_eq!(causes(&broker, &guest.granted).await, [SuspensionCause::TrustWithdrawn]);
    assert_eq!(
        broker.resource_server().await.standing(own.id()).await.unwrap(),
        GrantState::Live,
        "it concerns nobody else"
    );
    own_agent.granted(own_task.reading()).await;
    let events = broker.record.of_kind("trust_withdrawn").await;
    let [event] = events.as_slice() else { panic!("{events:?}") };
    let Payload::TrustWithdrawn(withdrawn) = &event.payload else { panic!("{event:?}") };
    assert_eq!((withdrawn.trust_domain.as_str(), withdrawn.code.as_str()), (FOREIGN, "TRUST_WITHDRAWN"));
    assert!(event.by_the_broker() && withdrawn.authorities.len() == 1);
    assert_eq!(found(&broker, "trust_withdrawn").await[0].reasons, ["TRUST_WITHDRAWN"]);
    guest.agent.request_credential(guest.task.reading()).await.unwrap_err();

    // Nobody registers a task for one of its agents either.
    let registration = RegisterTaskRequest { agent: foreign_id(AGENT).to_string(), ..broker.task(INTENT) };
    let answer = broker.orchestrator().await.register_task(registration).await.unwrap();
    assert_eq!(codes(&answer.decision.unwrap()), ["BLOCKED"]);
}

#[tokio::test]
async fn what_was_suspended_by_a_withdrawal_is_live_again_when_the_same_authorities_are_back() {
    let broker = federated().await;
    let guest = Guest::at(&broker).await;
    broker.withdraw_foreign();
    comes_to(&broker, &guest.granted, GrantState::Suspended).await;

    broker.federate_with(&[Arc::clone(&broker.pki.foreign)]);

    comes_to(&broker, &guest.granted, GrantState::Live).await;
    let (_api, agent) = guest_of(&broker, &broker.pki.foreign).await;
    agent.granted(guest.task.reading()).await;
    assert_eq!(broker.record.of_kind("trust_restored").await.len(), 1);
}

#[tokio::test]
async fn what_was_suspended_by_a_withdrawal_waits_for_its_renewal_when_other_authorities_come_back() {
    let broker = federated().await;
    let guest = Guest::at(&broker).await;
    broker.withdraw_foreign();
    comes_to(&broker, &guest.granted, GrantState::Suspended).await;

    let next = Arc::new(DevCa::new(domain(FOREIGN), broker.pki.now(), HOUR).unwrap());
    broker.federate_with(&[Arc::clone(&next)]);
    soon(async {
        while broker.record.of_kind("trust_restored").await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;

    assert_eq!(causes(&broker, &guest.granted).await, [SuspensionCause::TrustWithdrawn]);
    let (_api, agent) = guest_of(&broker, &next).await;
    let renewed = agent.renew_credential(guest.task.renewal(guest.granted.id())).await.unwrap();
    assert!(!renewed.token.is_empty(), "{:?}", renewed.decision);
    assert_eq!(broker.resource_server().await.standing(guest.granted.id()).await.unwrap(), GrantState::Live);
}

#[tokio::test]
async fn a_bundle_that_comes_and_goes_brings_back_nothing_of_authorities_before_it() {
    let broker = federated().await;
    let guest = Guest::at(&broker).await;
    broker.withdraw_foreign();
    comes_to(&broker, &guest.granted, GrantState::Suspended).await;
    let next = Arc::new(DevCa::new(domain(FOREIGN), broker.pki.now(), HOUR).unwrap());
    let back = async |times: usize| {
        broker.federate_with(&[Arc::clone(&next)]);
        soon(async {
            while broker.record.of_kind("trust_restored").await.len() < times {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    };
    back(1).await;
    let (_api, agent) = guest_of(&broker, &next).await;
    let since = agent.granted(guest.task.reading()).await;

    broker.withdraw_foreign();
    comes_to(&broker, &since, GrantState::Suspended).await;
    back(2).await;

    comes_to(&broker, &since, GrantState::Live).await;
    assert_eq!(causes(&broker, &guest.granted).await, [SuspensionCause::TrustWithdrawn]);
}

#[tokio::test]
async fn what_hangs_below_a_task_of_a_withdrawn_trust_domain_is_suspended_with_it() {
    let broker = federated().await;
    let guest = Guest::at(&broker).await;
    let below = RegisterTaskRequest {
        parent_task_id: guest.task.id.clone(),
        parent_task_handle: guest.task.handle.clone(),
        agent: id(SECOND_AGENT).to_string(),
        ..broker.task("Help with it.")
    };
    let child = guest.agent.open(below).await;
    let helper = broker.caller(SECOND_AGENT).await;
    let granted = helper.granted(child.reading()).await;

    broker.withdraw_foreign();
    comes_to(&broker, &granted, GrantState::Suspended).await;
    let (_, reasons) = helper.withheld(child.reading()).await;
    assert_eq!(reasons, ["BLOCKED"]);

    broker.federate_with(&[Arc::clone(&broker.pki.foreign)]);
    comes_to(&broker, &granted, GrantState::Live).await;
    helper.granted(child.reading()).await;
}

#[tokio::test]
async fn a_trust_domain_that_went_while_the_broker_was_down_is_found_withdrawn_at_the_start() {
    let mut broker = federated().await;
    let guest = Guest::at(&broker).await;
    broker.stop().await;
    let before = broker.trust_revision();
    broker.withdraw_foreign();
    soon(async {
        while broker.trust_revision() == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;

    broker.try_start().await.unwrap();

    assert_eq!(causes_after_restart(&broker, &guest.granted).await, [SuspensionCause::TrustWithdrawn]);
    // Which authorities it had is not known any more, so nothing is lifted by itself.
    broker.federate_with(&[Arc::clone(&broker.pki.foreign)]);
    let (_api, agent) = soon(async {
        loop {
            if !broker.record.of_kind("trust_restored").await.is_empty() {
                break guest_of(&broker, &broker.pki.foreign).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(causes_after_restart(&broker, &guest.granted).await, [SuspensionCause::TrustWithdrawn]);
    agent.renew_credential(guest.task.renewal(guest.granted.id())).await.unwrap();
    assert!(causes_after_restart(&broker, &guest.granted).await.is_empty());
}

/// As the operator sees it: everybody else has to connect anew.
async fn causes_after_restart(broker: &TestBroker, grant: &Granted) -> Vec<SuspensionCause> {
    broker.operator().await.grant(grant.id(), "").await.unwrap().causes().collect()
}

#[tokio::test]
async fn without_the_own_trust_bundle_everything_is_refused_until_it_is_back() {
    let broker = federated().await;
    let guest = Guest::at(&broker).await;
    let (_, agent, task) = broker.at_work().await;
    let own = agent.granted(task.reading()).await;

    let mut offer = broker.pki.offer("/carnet", &[Arc::clone(&broker.pki.foreign)]);
    // What is no authority is none: nothing usable is left.
    let leaf = offer.svids[0].chain[0].to_vec();
    offer.bundles.insert(domain(DOMAIN), vec![leaf]);
    broker.offer_itself(offer);

    for caller in [&agent, &guest.agent] {
        let refused = soon(async {
            loop {
                match caller.task(&task.id, &task.handle).await {
                    Err(refused) if refused.code != Code::NotFound => break refused,
                    _ => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        })
        .await;
        assert_eq!((refused.code, refused.reason.as_str()), (Code::Unavailable, "UNAVAILABLE"));
    }
    assert!(!broker.running().broker().problems().is_empty());

    broker.federate_with(&[Arc::clone(&broker.pki.foreign)]);

    let problems = || broker.running().broker().problems();
    super::support::pki::eventually(|| problems().is_empty()).await;
    let (_api, workload) = broker.pki.workload(AGENT).await;
    let agent = Caller::new(broker.connect(&workload).await, Arc::clone(&broker.record));
    soon(async {
        while broker.operator().await.grant(own.id(), "").await.unwrap().state() != GrantState::Live {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    agent.granted(task.reading()).await;
}

/// That everything was taken back says nothing about any one trust domain: nobody is let in, and no grant changes by it.
#[tokio::test]
async fn an_identity_that_was_taken_back_suspends_nobody_and_lets_nobody_in() {
    let broker = federated().await;
    let guest = Guest::at(&broker).await;
    broker.refuse_itself();
    super::support::pki::eventually(|| !broker.running().broker().problems().is_empty()).await;
    broker.sweep().await;
    assert!(guest.agent.request_credential(guest.task.reading()).await.is_err());
    assert!(broker.record.of_kind("trust_withdrawn").await.is_empty());

    broker.federate_with(&[Arc::clone(&broker.pki.foreign)]);
    super::support::pki::eventually(|| broker.running().broker().problems().is_empty()).await;
    let (_api, agent) = guest_of(&broker, &broker.pki.foreign).await;
    agent.granted(guest.task.reading()).await;
}

/// SPIRE's agent gives no identity for a moment between the SVIDs of a tainted authority and their successors.
#[tokio::test]
async fn who_asks_while_the_identity_is_gone_for_a_moment_is_kept_waiting_and_then_answered() {
    let broker = federated().await;
    let (_, agent, task) = broker.at_work().await;
    agent.granted(task.reading()).await;
    broker.refuse_itself();
    super::support::pki::eventually(|| broker.running().broker().settling().is_some()).await;
    assert!(broker.running().broker().problems().is_empty(), "it keeps callers waiting, and sends none away");

    let asks = tokio::spawn(async move { agent.unchecked().request_credential(task.reading()).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!asks.is_finished(), "nobody is trusted while it is gone");
    broker.federate_with(&[Arc::clone(&broker.pki.foreign)]);

    assert!(!soon(asks).await.unwrap().unwrap().token.is_empty());
}
