//! The people's door, and initiators who are verified: whose token is taken, for what, and what stands in the record.

use std::collections::BTreeSet;
use std::time::Duration;

use carnet::clock::Clock;
use carnet::identity::people::issuer::{ATTEMPTS_APART, KEYS_AGE_MAX, KEYS_RENEWED_EVERY};
use carnet::identity::people::{IssuerOptions, PersonOptions};
use carnet::model::person::Right;
use carnet::pb::journal::event::Payload;
use carnet::pb::v1;
use carnet::pb::v1::target::Target;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::support::ask::{AGENT, INTENT, ORCHESTRATOR, revocation};
use super::support::broker::{FRESH_WITHIN, Setup, TestBroker, activate, shipped_policy};
use super::support::caller::{Caller, Refused};
use super::support::issuer::{ACTING, INITIATING, Issuer};
use super::support::pki::{id, soon};

const KEYS: &str = "/keys";

/// Ann has accounts with both issuers and may do everything; Bob may read, Rita revoke, Paul activate policy, Rae and Sam review,
/// Gus open break-glass, Lea label; nobody has heard of anybody else.
pub struct World {
    pub corp: Issuer,
    pub partner: Issuer,
    pub broker: TestBroker,
}

impl World {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// One whose issuers are configured otherwise.
    pub async fn with(change: impl Fn(&mut IssuerOptions)) -> Self {
        Self::set_up(change, Setup::default()).await
    }

    /// One whose broker is set up otherwise.
    pub async fn set_up(change: impl Fn(&mut IssuerOptions), setup: Setup) -> Self {
        let clock = Clock::manual(Clock::system().now());
        let corp = Issuer::start("corp", &clock).await;
        let partner = Issuer::start("partner", &clock).await;
        let person = |name: &str, accounts: &[(&Issuer, &str)], may: &[Right]| PersonOptions {
            name: name.parse().unwrap(),
            accounts: accounts.iter().map(|(issuer, sub)| (issuer.url.clone(), (*sub).to_owned())).collect(),
            may: may.iter().copied().collect::<BTreeSet<_>>(),
        };
        let persons = vec![
            person("ann@example.org", &[(&corp, "1001"), (&partner, "ann")], &Right::ALL),
            person("bob@example.org", &[(&corp, "1002")], &[Right::Read]),
            person("rita@example.org", &[(&corp, "1003")], &[Right::Revoke]),
            person("paul@example.org", &[(&corp, "1004")], &[Right::ActivatePolicy]),
            person("rae@example.org", &[(&corp, "1005"), (&partner, "rae")], &[Right::Approve]),
            person("sam@example.org", &[(&corp, "1006")], &[Right::Approve]),
            person("gus@example.org", &[(&corp, "1007")], &[Right::BreakGlass]),
            person("lea@example.org", &[(&corp, "1008")], &[Right::Label]),
        ];
        let mut people = vec![corp.options(), partner.options()];
        people.iter_mut().for_each(change);
        let broker = TestBroker::with(Setup { people, persons, clock: Some(clock), ..setup }).await;
        Self { corp, partner, broker }
    }

    pub async fn ann(&self) -> Caller {
        self.broker.person(&self.corp.token("1001", ACTING)).await
    }

    /// What becomes of that token at the people's door.
    async fn shown(&self, token: &str) -> Result<(), Refused> {
        looked(&self.broker.person(token).await).await
    }

    pub fn initiated_by(&self, token: String) -> v1::RegisterTaskRequest {
        v1::RegisterTaskRequest { initiator: String::new(), initiator_token: token, ..self.broker.task(INTENT) }
    }
}

async fn looked(caller: &Caller) -> Result<(), Refused> {
    caller.tasks().list_tasks(v1::ListTasksRequest::default()).await.map(drop).map_err(Refused::from)
}

fn code(refused: Result<(), Refused>) -> (Code, String) {
    refused.map_err(|refused| (refused.code, refused.reason)).unwrap_err()
}

#[tokio::test]
async fn a_person_reads_revokes_and_activates_and_the_record_says_who_and_how() {
    let world = World::new().await;
    let ann = world.ann().await;
    let (_, agent, task) = world.broker.at_work().await;
    let granted = agent.granted(task.reading()).await;
    assert_eq!(ann.task(&task.id, "").await.unwrap().task_id, task.id);
    ann.audit().search_events(v1::SearchEventsRequest::default()).await.unwrap();
    let done = ann.revoke(revocation(Target::GrantId(granted.id().to_owned()))).await.unwrap();
    assert_eq!(done.grants_revoked, 1);
    activate(&ann, &shipped_policy()).await;

    let events = world.broker.record.since(0).await;
    let actor = events.iter().find(|event| matches!(event.payload, Payload::Revoked(_))).unwrap().actor.clone();
    assert_eq!((actor.id.as_str(), actor.class.as_str()), ("ann@example.org", "human"));
    assert_eq!(actor.authentication, "oidc");
    let said = actor.person.unwrap();
    assert_eq!((said.issuer.as_str(), said.subject.as_str()), (world.corp.url.as_str(), "1001"));
    assert_eq!((said.acr.as_str(), said.amr.join("+")), ("urn:mfa", "pwd+otp".to_owned()));
    assert_eq!(said.auth_time_s, Some(world.broker.pki.now().as_secs()));
    assert_eq!(said.token, "access_token");
}

#[tokio::test]
async fn accounts_of_several_issuers_are_one_person_and_the_same_account_elsewhere_is_not() {
    let world = World::new().await;
    let orchestrator = world.broker.orchestrator().await;
    for (issuer, subject, name) in [
        (&world.corp, "1001", "ann@example.org"),
        (&world.partner, "ann", "ann@example.org"),
        (&world.partner, "1001", "partner:1001"),
        (&world.corp, "ann", "corp:ann"),
    ] {
        let answer = orchestrator.register_task(world.initiated_by(issuer.token(subject, INITIATING))).await.unwrap();
        let task = answer.task.unwrap();
        assert_eq!((task.initiator.as_str(), task.initiator_verified), (name, true));
    }
}

#[tokio::test]
async fn a_verified_initiator_is_the_subject_and_one_who_is_merely_named_is_not() {
    let world = World::new().await;
    let (orchestrator, agent) = (world.broker.orchestrator().await, world.broker.agent().await);
    let verified = orchestrator.open(world.initiated_by(world.corp.token("1001", INITIATING))).await;
    assert_eq!(agent.granted(verified.reading()).await.claims()["sub"], "ann@example.org");
    let named = v1::RegisterTaskRequest { initiator: "ann@example.org".to_owned(), ..world.broker.task(INTENT) };
    let asserted = orchestrator.open(named).await;
    let orchestrator_id = id(ORCHESTRATOR).to_string();
    assert_eq!(agent.granted(asserted.reading()).await.claims()["sub"], orchestrator_id.as_str());

    let events = world.broker.record.since(0).await;
    let said: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.payload {
            Payload::TaskDecided(decided) => Some(decided.initiator_evidence.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(said.len(), 2);
    let evidence = said[0].clone().unwrap();
    assert_eq!((evidence.subject.as_str(), evidence.acr.as_str()), ("1001", "urn:mfa"));
    assert!(said[1].is_none(), "of who is merely named there is no evidence");
    // A reviewer reads it with each decision of the task.
    let operator = world.broker.operator().await;
    let granted = agent.granted(verified.reading()).await;
    let told = operator.decision(&granted.decision.decision_id).await.unwrap().initiator_evidence.unwrap();
    assert_eq!((told.issuer.as_str(), told.subject.as_str()), (world.corp.url.as_str(), "1001"));
    let granted = agent.granted(asserted.reading()).await;
    let told = operator.decision(&granted.decision.decision_id).await.unwrap();
    assert!(told.initiator_evidence.is_none());
    // What the person initiated is the person's own; what somebody calls it is not.
    let own = world.broker.person(&world.corp.token("1001", ACTING)).await;
    assert_eq!(own.task(&verified.id, "").await.unwrap().initiator, "ann@example.org");
}

#[tokio::test]
async fn a_token_of_an_initiator_is_refused_when_it_is_of_somebody_else_or_does_not_hold() {
    let world = World::new().await;
    let orchestrator = world.broker.orchestrator().await;
    let good = world.corp.token("1001", INITIATING);
    let task = orchestrator.open(world.initiated_by(good.clone())).await;
    let other = v1::RegisterTaskRequest { initiator: "eve".to_owned(), ..world.initiated_by(good.clone()) };
    let below = v1::RegisterTaskRequest { parent_task_id: task.id.clone(), ..world.initiated_by(good.clone()) };
    for (name, request) in [
        ("of another than is named", other),
        ("for a sub-task", below),
        ("for the people's door", world.initiated_by(world.corp.token("1001", ACTING))),
        ("no token", world.initiated_by("eyJhbGciOiJub25lIn0.e30.".to_owned())),
        ("another signature", world.initiated_by(format!("{}AAAA", &good[..good.len() - 4]))),
    ] {
        let refused = orchestrator.register_task(request).await.unwrap_err();
        assert_eq!((refused.code, refused.reason.as_str()), (Code::InvalidArgument, "TOKEN_INVALID"), "{name}");
        assert!(!refused.message.contains("eyJ"), "{name}: {}", refused.message);
    }
}

#[tokio::test]
async fn a_registration_is_repeated_with_a_newer_token_of_the_same_person_and_no_other() {
    let world = World::new().await;
    let orchestrator = world.broker.orchestrator().await;
    let first = world.initiated_by(world.corp.token("1001", INITIATING));
    let task = orchestrator.register_task(first.clone()).await.unwrap().task.unwrap();
    world.broker.advance(Duration::from_secs(30));
    let newer = world.partner.token("ann", INITIATING);
    let again = v1::RegisterTaskRequest { initiator_token: newer, ..first.clone() };
    assert_eq!(orchestrator.again().register_task(again).await.unwrap().task.unwrap().task_id, task.task_id);
    let bobs = v1::RegisterTaskRequest { initiator_token: world.corp.token("1002", INITIATING), ..first };
    assert_eq!(orchestrator.register_task(bobs).await.unwrap_err().reason, "REQUEST_ID_REUSED");
}

#[tokio::test]
async fn an_orchestrator_cannot_act_as_the_person_whose_token_it_was_given() {
    let world = World::new().await;
    assert_eq!(world.shown(&world.corp.token("1001", ACTING)).await, Ok(()));
    let handed_over = world.corp.token("1001", INITIATING);
    assert_eq!(code(world.shown(&handed_over).await), (Code::Unauthenticated, "TOKEN_INVALID".to_owned()));
}

#[tokio::test]
async fn a_person_may_do_what_the_configuration_says_and_what_is_their_own() {
    let world = World::new().await;
    let orchestrator = world.broker.orchestrator().await;
    let of_ann = orchestrator.open(world.initiated_by(world.corp.token("1001", INITIATING))).await;
    let of_eve = orchestrator.open(world.initiated_by(world.corp.token("eve", INITIATING))).await;
    let bob = world.broker.person(&world.corp.token("1002", ACTING)).await;
    let eve = world.broker.person(&world.corp.token("eve", ACTING)).await;
    let reason = |refused: Refused| (refused.code, refused.reason);
    let lacks = (Code::PermissionDenied, "RIGHT_MISSING".to_owned());

    // Who may read sees all and ends nothing of others'.
    assert_eq!(bob.task(&of_eve.id, "").await.unwrap().task_id, of_eve.id);
    let ends = |id: &str| revocation(Target::TaskId(id.to_owned()));
    assert_eq!(reason(bob.revoke(ends(&of_ann.id)).await.unwrap_err()), lacks);
    assert_eq!(reason(bob.revoke(revocation(Target::Initiator("corp:eve".to_owned()))).await.unwrap_err()), lacks);
    let lift = v1::LiftBlockRequest { target: None, reason: String::new() };
    assert_eq!(reason(bob.lift_block(lift).await.unwrap_err()), lacks);
    // Who has no right sees and ends what is their own; what is another's does not exist.
    assert_eq!(eve.task(&of_eve.id, "").await.unwrap().task_id, of_eve.id);
    assert_eq!(eve.task(&of_ann.id, "").await.unwrap_err().code, Code::NotFound);
    let listed = eve.tasks().list_tasks(v1::ListTasksRequest::default()).await.unwrap().into_inner().tasks;
    assert_eq!(listed.iter().map(|task| task.task_id.as_str()).collect::<Vec<_>>(), [of_eve.id.as_str()]);
    assert_eq!(
        reason(Refused::from(eve.audit().search_events(v1::SearchEventsRequest::default()).await.unwrap_err())),
        lacks
    );
    assert_eq!(eve.revoke(ends(&of_ann.id)).await.unwrap_err().code, Code::NotFound);
    eve.revoke(ends(&of_eve.id)).await.unwrap();
}

#[tokio::test]
async fn what_an_orchestrator_merely_says_makes_no_task_a_persons_own() {
    let world = World::new().await;
    let orchestrator = world.broker.orchestrator().await;
    let named = v1::RegisterTaskRequest { initiator: "corp:eve".to_owned(), ..world.broker.task(INTENT) };
    let task = orchestrator.open(named).await;
    let eve = world.broker.person(&world.corp.token("eve", ACTING)).await;
    assert_eq!(eve.task(&task.id, "").await.unwrap_err().code, Code::NotFound);
}

#[tokio::test]
async fn what_reaches_far_takes_a_fresh_login_and_what_does_not_takes_none() {
    let world = World::new().await;
    let stale = FRESH_WITHIN + Duration::from_secs(1);
    let old = world.broker.person(&world.corp.stale_token("1001", ACTING, stale)).await;
    let mut silent = world.corp.claims("1001", ACTING);
    silent.as_object_mut().unwrap().remove("auth_time");
    let silent = world.broker.person(&world.corp.token_of(&silent)).await;
    let young =
        world.broker.person(&world.corp.stale_token("1001", ACTING, FRESH_WITHIN - Duration::from_secs(1))).await;
    let (_, agent, task) = world.broker.at_work().await;
    let everything = || revocation(Target::Agent(id("/agent/other").to_string()));
    for caller in [&old, &silent] {
        looked(caller).await.unwrap();
        let refused = caller.revoke(everything()).await.unwrap_err();
        assert_eq!((refused.code, refused.reason.as_str()), (Code::Unauthenticated, "AUTHENTICATION_STALE"));
        let activation = v1::ActivatePolicyRequest {
            bundle: Some(v1::PolicyBundle::default()),
            ..v1::ActivatePolicyRequest::default()
        };
        assert_eq!(caller.activate_policy(activation).await.unwrap_err().reason, "AUTHENTICATION_STALE");
        let granted = agent.granted(task.reading()).await;
        caller.revoke(revocation(Target::GrantId(granted.id().to_owned()))).await.unwrap();
    }
    young.revoke(everything()).await.unwrap();
    let lift = || v1::LiftBlockRequest { target: everything().target, reason: "over".to_owned() };
    assert_eq!(old.lift_block(lift()).await.unwrap_err().reason, "AUTHENTICATION_STALE");
    young.lift_block(lift()).await.unwrap();
}

#[tokio::test]
async fn nobody_comes_in_without_a_token_or_with_that_of_another_door() {
    let world = World::new().await;
    let person = world.ann().await;
    looked(&person).await.unwrap();
    for (name, shown) in [
        ("nothing after the scheme", "Bearer "),
        ("another scheme", "Basic YW5uOmFubg=="),
        ("two tokens", "Bearer a b"),
        ("no JWT", "Bearer a"),
    ] {
        let refused = looked(&person.showing(shown)).await.unwrap_err();
        assert_eq!(refused.code, Code::Unauthenticated, "{name}: {refused:?}");
    }
    let svid =
        world.broker.jwt_svid(&world.broker.pki.ca, id("/agent/triage").as_str(), ACTING, Duration::from_secs(60));
    assert_eq!(code(world.shown(&svid).await).0, Code::Unauthenticated);
    // Nor when the issuer of people vouches for workloads as well, and says all that a person's token says.
    let workload = world.corp.token(id("/agent/triage").as_str(), ACTING);
    assert_eq!(code(world.shown(&workload).await).1, "TOKEN_INVALID");
    // A person's token makes nobody a person at the door of workloads.
    let agent = world.broker.agent().await.showing(&format!("Bearer {}", world.corp.token("1001", ACTING)));
    let search = agent.audit().search_events(v1::SearchEventsRequest::default()).await;
    assert_eq!(Refused::from(search.unwrap_err()).reason, "METHOD_NOT_ALLOWED");
}

#[tokio::test]
async fn a_new_key_is_found_and_one_that_was_taken_back_is_gone() {
    let world = World::new().await;
    let before = world.corp.token("1001", ACTING);
    assert_eq!(world.shown(&before).await, Ok(()));
    assert_eq!(world.corp.asked(KEYS), 1);
    world.broker.advance(ATTEMPTS_APART);
    world.corp.rotate("k2");
    world.corp.publish();
    assert_eq!(world.shown(&world.corp.token("1001", ACTING)).await, Ok(()));
    assert_eq!(world.corp.asked(KEYS), 2);
    assert_eq!(world.shown(&before).await, Ok(()), "the old key still stands in the set");
    world.corp.withdraw_others();
    assert_eq!(world.shown(&before).await, Ok(()), "what was got a moment ago is not got again");
    world.broker.advance(KEYS_RENEWED_EVERY);
    assert_eq!(code(world.shown(&before).await).1, "TOKEN_INVALID");
    assert_eq!(world.shown(&world.corp.token("1001", ACTING)).await, Ok(()));
}

#[tokio::test]
async fn keys_that_there_are_not_make_nobody_ask_for_more_than_once_in_a_while() {
    let world = World::new().await;
    assert_eq!(world.shown(&world.corp.token("1001", ACTING)).await, Ok(()));
    world.broker.advance(ATTEMPTS_APART);
    world.corp.rotate("unpublished");
    assert_eq!(code(world.shown(&world.corp.token("1001", ACTING)).await).1, "TOKEN_INVALID");
    for _ in 0..20 {
        // It may have been published since, so the answer is that nobody knows.
        assert_eq!(code(world.shown(&world.corp.token("1001", ACTING)).await).1, "UNAVAILABLE");
    }
    assert_eq!(world.corp.asked(KEYS), 2, "one attempt for all of them");
    world.broker.advance(ATTEMPTS_APART);
    assert_eq!(code(world.shown(&world.corp.token("1001", ACTING)).await).1, "TOKEN_INVALID");
    assert_eq!(world.corp.asked(KEYS), 3);
}

#[tokio::test]
async fn a_request_that_is_cancelled_uses_up_no_attempt() {
    let world = World::new().await;
    world.corp.hold(KEYS);
    let token = world.corp.token("1001", ACTING);
    tokio::select! {
        _ = world.shown(&token) => panic!("the keys are not there yet"),
        () = soon(world.corp.is_asked(KEYS)) => {}
    }
    // Until the broker has heard of it.
    tokio::time::sleep(Duration::from_millis(200)).await;
    world.corp.release(KEYS);
    assert_eq!(world.shown(&token).await, Ok(()));
    assert_eq!(world.corp.asked(KEYS), 1);
}

#[tokio::test]
async fn an_issuer_that_cannot_be_reached_is_trusted_for_a_while_and_no_longer() {
    let world = World::new().await;
    let _renews_the_brokers_own_svid = world.broker.for_long(AGENT).await;
    assert_eq!(world.shown(&world.corp.token("1001", ACTING)).await, Ok(()));
    world.corp.answer(KEYS, 503, "");
    world.broker.advance(KEYS_AGE_MAX - Duration::from_secs(1));
    assert_eq!(world.shown(&world.corp.token("1001", ACTING)).await, Ok(()), "what it said before still stands");
    world.broker.advance(Duration::from_secs(1) + ATTEMPTS_APART);
    let refused = code(world.shown(&world.corp.token("1001", ACTING)).await);
    assert_eq!(refused, (Code::Unavailable, "UNAVAILABLE".to_owned()));
    // The other issuer is no worse off, and the first is back by itself.
    assert_eq!(world.shown(&world.partner.token("ann", ACTING)).await, Ok(()));
    world.corp.withdraw_others();
    world.broker.advance(ATTEMPTS_APART);
    assert_eq!(world.shown(&world.corp.token("1001", ACTING)).await, Ok(()));
}

#[tokio::test]
async fn discovery_that_is_another_issuers_or_leads_nowhere_is_not_followed() {
    for (name, path, body) in [
        ("another issuer", "", "https://idp.example.org".to_owned()),
        ("no document", "/.well-known/openid-configuration", "<html>".to_owned()),
        ("keys over plain http", "/.well-known/openid-configuration", "http://127.0.0.1/keys".to_owned()),
        ("a key set that is none", KEYS, "{}".to_owned()),
    ] {
        let world = World::new().await;
        match (path, body.strip_prefix("http://")) {
            ("", _) => world.corp.discover_as(&body),
            (path, Some(_)) => {
                let document = serde_json::json!({ "issuer": world.corp.url, "jwks_uri": body });
                world.corp.answer(path, 200, &document.to_string());
            }
            (path, None) => world.corp.answer(path, 200, &body),
        }
        let token = world.corp.token("1001", ACTING);
        assert_eq!(code(world.shown(&token).await).0, Code::Unavailable, "{name}");
        world.corp.discover_as(&world.corp.url);
        world.corp.withdraw_others();
        world.broker.advance(ATTEMPTS_APART);
        assert_eq!(world.shown(&token).await, Ok(()), "{name}: and without the defect");
    }
}

#[tokio::test]
async fn an_issuer_whose_key_id_is_also_anothers_signs_for_itself_alone() {
    let world = World::new().await;
    let mut claims = world.partner.claims("1001", ACTING);
    claims["iss"] = serde_json::json!(world.corp.url);
    // Both call their keys `k1`.
    assert_eq!(code(world.shown(&world.partner.token_of(&claims)).await).1, "TOKEN_INVALID");
    let unknown = Issuer::start("unknown", &world.broker.pki.clock).await;
    assert_eq!(code(world.shown(&unknown.token("1001", ACTING)).await).1, "TOKEN_INVALID");
    assert_eq!(unknown.asked(KEYS), 0, "nobody asks an issuer that is not configured");
}

#[tokio::test]
async fn an_issuer_may_give_id_tokens_for_clients_of_our_own() {
    let clock = Clock::manual(Clock::system().now());
    let corp = Issuer::start("corp", &clock).await;
    let people = vec![corp.options_for_id_tokens("carnet-cli", "carnet-desk")];
    let broker = TestBroker::with(Setup { people, clock: Some(clock), ..Setup::default() }).await;
    let shown = async |token: &str| looked(&broker.person(token).await).await;
    let initiated = async |token: String| {
        let task = v1::RegisterTaskRequest { initiator: String::new(), initiator_token: token, ..broker.task(INTENT) };
        let answer = broker.orchestrator().await.register_task(task).await;
        answer.map(|answer| answer.task.unwrap().initiator).map_err(|refused| refused.reason)
    };
    let (acting, initiating) = (corp.id_token("1001", "carnet-cli"), corp.id_token("1001", "carnet-desk"));
    assert_eq!(shown(&acting).await, Ok(()));
    assert_eq!(initiated(initiating.clone()).await, Ok("corp:1001".to_owned()));
    // Neither for the other, and no access token for either.
    assert_eq!(code(shown(&initiating).await).1, "TOKEN_INVALID");
    assert_eq!(initiated(acting).await, Err("TOKEN_INVALID".to_owned()));
    assert_eq!(code(shown(&corp.token("1001", "carnet-cli")).await).1, "TOKEN_INVALID");
    assert_eq!(initiated(corp.token("1001", "carnet-desk")).await, Err("TOKEN_INVALID".to_owned()));
}

#[tokio::test]
async fn a_stream_ends_with_the_token_that_it_was_opened_with() {
    let world = World::new().await;
    let ann = world.ann().await;
    let watch = HealthClient::new(ann.service()).watch(HealthCheckRequest { service: String::new() }).await;
    let mut watch = watch.unwrap().into_inner();
    assert!(soon(watch.message()).await.unwrap().is_some());
    world.broker.advance(Duration::from_secs(599));
    let open = tokio::time::timeout(Duration::from_millis(100), watch.message()).await;
    assert!(open.is_err(), "the token still holds: {open:?}");
    world.broker.advance(Duration::from_secs(1));
    let ended = Refused::from(soon(watch.message()).await.unwrap_err());
    assert_eq!((ended.code, ended.reason.as_str()), (Code::Unauthenticated, "TOKEN_EXPIRED"));
}

#[tokio::test]
async fn an_issuer_that_is_away_is_told_to_whoever_looks_after_the_broker() {
    let world = World::new().await;
    let told = || world.broker.running().broker().remarks();
    assert!(told().is_empty(), "{:?}", told());
    world.corp.answer(KEYS, 503, "");
    assert_eq!(code(world.shown(&world.corp.token("1001", ACTING)).await).0, Code::Unavailable);
    assert_eq!(told(), ["the keys of issuer `corp` cannot be got, and nobody of it is known"]);
}
