//! Issuers of people's tokens as Carnet asks them: over what, how often, what it makes of their answers, and of none. No broker
//! is needed for that; `people` tells what follows at its doors.

use std::time::Duration;

use carnet::clock::Clock;
use carnet::identity::people::issuer::{ATTEMPTS_APART, KEYS_AGE_MAX, KEYS_RENEWED_EVERY};
use carnet::identity::people::{IssuerOptions, People, PersonError, ShownFor, VerifiedPerson, token_digest};
use carnet::model::spiffe_id::SpiffeId;

use super::support::issuer::{ACTING, CLIENT, INITIATING, Issuer, WebIdentity};
use super::support::pki::soon;

const DISCOVERY: &str = "/.well-known/openid-configuration";
const KEYS: &str = "/keys";

struct World {
    clock: Clock,
    corp: Issuer,
    people: People,
}

impl World {
    async fn new() -> Self {
        Self::with(WebIdentity::new(), |_| {}).await
    }

    async fn with(web: WebIdentity, change: impl FnOnce(&mut IssuerOptions)) -> Self {
        let clock = Clock::manual(Clock::system().now());
        let corp = Issuer::behind(web, "corp", &clock).await;
        let mut options = corp.options();
        change(&mut options);
        let people = People::new(vec![options], Vec::new(), Duration::from_secs(900), &clock);
        Self { clock, corp, people }
    }

    async fn verify(&self, token: &str) -> Result<VerifiedPerson, PersonError> {
        soon(self.people.verify(token, ShownFor::Acting, None)).await
    }

    /// What becomes of a token that is good where its issuer's keys are known.
    async fn outcome(&self) -> &'static str {
        self.outcome_of(&self.corp.token("1001", ACTING)).await
    }

    async fn outcome_of(&self, token: &str) -> &'static str {
        match self.verify(token).await {
            Ok(_) => "known",
            Err(PersonError::Unavailable(_)) => "unavailable",
            Err(PersonError::KeyUnknown) => "no such key",
            Err(error) => panic!("{error}"),
        }
    }

    fn remarks(&self) -> Vec<String> {
        self.people.remarks().collect()
    }
}

#[tokio::test]
async fn who_hangs_up_does_not_keep_others_from_the_keys() {
    for path in [DISCOVERY, KEYS] {
        let world = World::new().await;
        world.corp.hold(path);
        let token = world.corp.token("1001", ACTING);
        tokio::select! {
            _ = world.people.verify(&token, ShownFor::Acting, None) => panic!("nobody has answered yet"),
            () = soon(world.corp.is_asked(path)) => {}
        }
        world.corp.release(path);
        assert_eq!(world.outcome().await, "known", "{path}: what the first asked for serves the others");
        assert_eq!((world.corp.asked(DISCOVERY), world.corp.asked(KEYS)), (1, 1), "{path}: there was one attempt");
    }
}

#[tokio::test]
async fn many_who_wait_for_keys_wait_for_one_attempt() {
    let world = World::new().await;
    world.corp.hold(KEYS);
    let token = world.corp.token("1001", ACTING);
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (people, token) = (world.people.clone(), token.clone());
        waiting.spawn(async move { people.verify(&token, ShownFor::Acting, None).await.is_ok() });
    }
    soon(world.corp.is_asked(KEYS)).await;
    world.corp.release(KEYS);
    assert!(soon(waiting.join_all()).await.into_iter().all(|known| known));
    assert_eq!(world.corp.asked(KEYS), 1);
}

#[tokio::test]
async fn an_issuer_that_takes_back_its_last_key_is_believed() {
    let world = World::new().await;
    assert_eq!(world.outcome().await, "known");
    world.corp.withdraw_all();
    world.clock.advance(KEYS_RENEWED_EVERY);
    assert_eq!(world.outcome().await, "no such key");
    assert_eq!(world.remarks(), ["issuer `corp` has no keys, and so knows nobody"]);
    world.corp.publish();
    world.clock.advance(ATTEMPTS_APART);
    assert_eq!(world.outcome().await, "known", "and is again when it has one");
    assert!(world.remarks().is_empty());
}

#[tokio::test]
async fn a_set_without_a_key_of_use_takes_back_what_was_before() {
    let world = World::new().await;
    assert_eq!(world.outcome().await, "known");
    world.corp.answer(
        KEYS,
        200,
        r#"{"keys":[{"kty":"oct","kid":"k1","k":"AA"},{"kty":"EC","crv":"P-256","kid":"k2"}]}"#,
    );
    world.clock.advance(KEYS_RENEWED_EVERY);
    assert_eq!(world.outcome().await, "no such key");
}

#[tokio::test]
async fn an_issuer_without_keys_from_the_start_knows_nobody() {
    let world = World::new().await;
    world.corp.withdraw_all();
    assert_eq!(world.outcome().await, "no such key", "it was asked after the token was shown");
    assert_eq!(world.corp.asked(KEYS), 1);
}

#[tokio::test]
async fn keys_are_old_when_the_clock_was_set_back() {
    let world = World::new().await;
    assert_eq!(world.outcome().await, "known");
    world.corp.answer(KEYS, 503, "");
    world.clock.set_back(Duration::from_millis(1));
    assert_eq!(world.outcome().await, "unavailable", "nobody knows how old they are");
    world.corp.withdraw_others();
    world.clock.advance(ATTEMPTS_APART);
    assert_eq!(world.outcome().await, "known");
}

#[tokio::test]
async fn a_key_is_none_of_the_issuers_only_when_it_said_so_after_the_token_was_shown() {
    let world = World::new().await;
    assert_eq!(world.outcome().await, "known");
    world.corp.rotate("k2");
    assert_eq!(world.outcome().await, "unavailable", "it may have been published since");
    world.clock.advance(ATTEMPTS_APART);
    assert_eq!(world.outcome().await, "no such key");
    world.corp.publish();
    assert_eq!(world.outcome().await, "unavailable");
    world.clock.advance(ATTEMPTS_APART);
    assert_eq!(world.outcome().await, "known");
    world.corp.rotate("k3");
    world.clock.advance(ATTEMPTS_APART);
    world.corp.answer(KEYS, 503, "");
    assert_eq!(world.outcome().await, "unavailable");
}

#[tokio::test]
async fn what_cannot_be_had_of_an_issuer_is_remarked() {
    let world = World::new().await;
    assert!(world.remarks().is_empty(), "nobody has asked it yet");
    assert_eq!(world.outcome().await, "known");
    world.corp.answer(KEYS, 503, "");
    world.clock.advance(KEYS_RENEWED_EVERY);
    assert_eq!(world.outcome().await, "known");
    let left = (KEYS_AGE_MAX - KEYS_RENEWED_EVERY).as_secs();
    let expected = format!("the keys of issuer `corp` cannot be got; those that are there serve for another {left} s");
    assert_eq!(world.remarks(), [expected]);
    let (name, standing) = world.people.standings().next().unwrap();
    assert_eq!((name, standing.reachable, standing.keys), ("corp", false, 1));
    world.clock.advance(KEYS_AGE_MAX);
    assert_eq!(world.remarks(), ["the keys of issuer `corp` cannot be got, and nobody of it is known"]);
    assert_eq!(world.people.standings().next().unwrap().1.keys, 0);
}

#[tokio::test]
async fn a_server_that_is_not_the_issuers_is_not_asked() {
    let tls13: &[_] = &[&rustls::version::TLS13];
    let elsewhere = World::with(WebIdentity::of("idp.example.org", tls13), |_| {}).await;
    let untrusted = World::with(WebIdentity::new(), |options| options.roots = WebIdentity::new().roots()).await;
    for (name, world) in [("a certificate of another host", elsewhere), ("one of a stranger's authority", untrusted)] {
        assert_eq!(world.outcome().await, "unavailable", "{name}");
        assert_eq!(world.corp.asked(DISCOVERY), 0, "{name}");
    }
}

#[tokio::test]
async fn an_issuer_may_be_older_than_tls_1_3() {
    let world = World::with(WebIdentity::of("127.0.0.1", &[&rustls::version::TLS12]), |_| {}).await;
    assert_eq!(world.outcome().await, "known");
}

#[tokio::test]
async fn keys_may_lie_behind_a_query() {
    let world = World::new().await;
    let at = format!("{KEYS}?p=b2c_1_sign_in");
    world.corp.move_page(KEYS, &at);
    let document = serde_json::json!({ "issuer": world.corp.url, "jwks_uri": format!("{}{at}", world.corp.url) });
    world.corp.answer(DISCOVERY, 200, &document.to_string());
    assert_eq!(world.outcome().await, "known");
    assert_eq!(world.corp.asked(&at), 1);
}

#[tokio::test]
async fn no_redirect_is_followed_and_no_endless_document_is_read() {
    for path in [DISCOVERY, KEYS] {
        let world = World::new().await;
        let elsewhere = format!("{path}-elsewhere");
        world.corp.move_page(path, &elsewhere);
        world.corp.redirect(path, &format!("{}{elsewhere}", world.corp.url));
        assert_eq!(world.outcome().await, "unavailable", "{path}");
        assert_eq!((world.corp.asked(path), world.corp.asked(&elsewhere)), (1, 0), "{path}");

        let world = World::new().await;
        world.corp.answer(path, 200, &" ".repeat((256 << 10) + 1));
        assert_eq!(world.outcome().await, "unavailable", "{path}");
    }
}

#[tokio::test]
async fn a_page_that_never_answers_is_given_up() {
    let world = World::new().await;
    world.corp.hold(KEYS);
    let error = world.verify(&world.corp.token("1001", ACTING)).await.unwrap_err();
    let mut causes = vec![error.to_string()];
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    assert_eq!(causes.last().unwrap(), "no answer within 5 s", "{causes:?}");
}

#[tokio::test]
async fn a_token_may_be_handed_over_by_whom_the_client_is_listed_for() {
    let desk: SpiffeId = "spiffe://a.test/orchestrator/desk".parse().unwrap();
    let other: SpiffeId = "spiffe://a.test/orchestrator/other".parse().unwrap();
    let listed = |options: &mut IssuerOptions| {
        let web = vec![desk.as_str().parse().unwrap()];
        let chat = vec!["spiffe://a.test/orchestrator/*".parse().unwrap()];
        options.initiator_clients = Some([("web".to_owned(), web), ("chat".to_owned(), chat)].into());
    };
    let (open, listed) = (World::new().await, World::with(WebIdentity::new(), listed).await);
    // Which world, for which client and what it is shown for, and whether it is taken, the desk may hand it over, the other may.
    for (world, client, shown_for, taken) in [
        (&open, CLIENT, ShownFor::Initiating, Some((true, true))),
        (&open, CLIENT, ShownFor::Acting, Some((false, false))),
        (&open, "web", ShownFor::Initiating, None),
        (&listed, "web", ShownFor::Initiating, Some((true, false))),
        (&listed, "chat", ShownFor::Initiating, Some((true, true))),
        (&listed, CLIENT, ShownFor::Initiating, None),
        (&listed, CLIENT, ShownFor::Acting, Some((false, false))),
        (&listed, "web", ShownFor::Acting, None),
    ] {
        let mut claims = world.corp.claims("1001", if shown_for == ShownFor::Acting { ACTING } else { INITIATING });
        claims["client_id"] = client.into();
        let token = world.corp.token_of(&claims);
        let person = soon(world.people.verify(&token, shown_for, None)).await;
        let may = |person: &VerifiedPerson| [&desk, &other].map(|id| person.may_be_handed_over_by(id)).into();
        match &person {
            Ok(person) => assert_eq!((person.client(), *person.token_digest()), (client, token_digest(&token))),
            Err(error) => assert!(matches!(error, PersonError::Client), "{error:?}"),
        }
        assert_eq!(person.as_ref().ok().map(may), taken, "{client}, {shown_for:?}");
    }
}

#[tokio::test]
async fn a_token_is_the_same_whatever_its_signature_is_and_another_is_another() {
    let world = World::new().await;
    let (token, again) = (world.corp.token("1001", ACTING), world.corp.token("1001", ACTING));
    assert_ne!(token, again, "it was signed twice");
    assert_eq!(token_digest(&token), token_digest(&again));
    assert_ne!(token_digest(&token), token_digest(&world.corp.token("1002", ACTING)));
}
