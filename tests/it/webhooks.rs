//! Webhooks: what receivers are told, that it is signed, that it arrives in the end, and that nobody waits for who does not listen.

pub mod lasting;
pub mod receiver;

use std::time::Duration;

use carnet::broker::approvals::ApprovalSettings;
use carnet::identity::web::post::{PostUrl, Poster};
use carnet::model::limits::PAGE_SIZE_MAX;
use carnet::model::notice::NoticeType;
use carnet::notify::WebhookOptions;
use carnet::pb::v1::{self, DeliveryOutcome, Verdict};
use carnet::server::start::Drained;
use receiver::{Answer, Got, Receiver, SHORT};
use serde_json::json;
use tonic::Code;

use super::people::World;
use super::support::ask::{INTENT, MANY_WAIT, OpenTask};
use super::support::broker::{Setup, TestBroker, shipped_policy};
use super::support::caller::{Caller, Refused};
use super::support::issuer::{ACTING, WebIdentity};
use super::support::pki::{id, soon};

const SECRET: &[u8] = &[7; 32];
const NEXT_SECRET: &[u8] = &[9; 64];
/// Longer than the wait after a first try, shorter than that after a second.
const A_WAIT: Duration = Duration::from_secs(7);
/// How long people have.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
const AN_HOUR: Duration = Duration::from_secs(3600);

/// A broker that tells these receivers.
async fn telling(webhooks: Vec<WebhookOptions>) -> TestBroker {
    TestBroker::with(Setup { webhooks, ..Setup::default() }).await
}

/// What the shipped bundle asks a reviewer about: a mail to somebody whom nothing and nobody has named.
async fn asked(agent: &Caller, task: &OpenTask, to: &str) -> v1::Decision {
    let mail = json!({ "to": [to], "subject": "T-1000", "body": "It is solved." });
    let decision = agent.request_credential(task.step("mail.send", &mail)).await.unwrap().decision.unwrap();
    assert!(!decision.approval_id.is_empty(), "{decision:?}");
    decision
}

async fn listed(caller: &Caller, webhook: &str) -> Result<v1::ListDeliveriesResponse, Refused> {
    let request = v1::ListDeliveriesRequest { webhook: webhook.to_owned(), page_size: PAGE_SIZE_MAX };
    Ok(caller.notifications().list_deliveries(request).await?.into_inner())
}

/// The log, newest first, once so much is in it.
async fn log(broker: &TestBroker, count: usize) -> Vec<v1::Delivery> {
    let operator = broker.operator().await;
    soon(async {
        loop {
            let deliveries = listed(&operator, "").await.unwrap().deliveries;
            if deliveries.len() >= count {
                assert_eq!(deliveries.len(), count, "{deliveries:#?}");
                return deliveries;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

fn outcomes(log: &[v1::Delivery]) -> Vec<(DeliveryOutcome, &str, u32, u32)> {
    log.iter().map(|d| (d.outcome(), d.problem.as_str(), d.status, d.attempt)).collect()
}

#[tokio::test]
async fn what_waits_for_people_is_told_signed_and_without_a_word_of_anybody() {
    let receiver = Receiver::start().await;
    let broker = telling(vec![receiver.options("pager", &[SECRET])]).await;
    let (_, agent, task) = broker.at_work().await;
    let decision = asked(&agent, &task, "eve@evil.test").await;
    let got = receiver.got(1).await.remove(0);

    assert_eq!((got.path.as_str(), got.header("content-type")), ("/in?key=open-sesame", "application/json"));
    assert_eq!(got.signatures_by(SECRET), 1, "{}", got.header("webhook-signature"));
    assert_eq!(got.signatures_by(NEXT_SECRET), 0);
    assert_eq!(got.header("webhook-timestamp"), broker.pki.now().as_secs().to_string());
    let (told, agents_id) = (got.json(), id("/agent/triage").to_string());
    assert_eq!((got.kind().as_str(), got.approval()), ("approval.pending", decision.approval_id.clone()));
    assert_eq!(
        (told["data"]["task_id"].as_str(), told["data"]["agent"].as_str()),
        (Some(&*task.id), Some(&*agents_id))
    );
    assert_eq!(told["data"]["outcome"], "review");
    assert!(told["data"]["reasons"].as_array().unwrap().contains(&json!("SINK_UNSEEN")), "{told}");
    let link = format!("https://carnet.example.org/approvals/{}", decision.approval_id);
    assert_eq!(told["data"]["link"], link.as_str());
    let bytes = String::from_utf8(got.bytes.clone()).unwrap();
    for word in ["evil", "solved", "T-1000", "next step", "ann@", "mail", &task.handle, INTENT] {
        assert!(!bytes.contains(word), "`{word}` left the house: {bytes}");
    }

    let delivered = log(&broker, 1).await.remove(0);
    assert_eq!((delivered.outcome(), delivered.status, delivered.attempt), (DeliveryOutcome::Delivered, 200, 1));
    assert_eq!((delivered.webhook_id.as_str(), delivered.event.as_str()), (got.id(), "approval.pending"));
    assert_eq!(delivered.position, told["data"]["position"].as_u64());
    let figures = broker.metrics().render().unwrap();
    let line = "carnet_webhook_deliveries_total{outcome=\"delivered\",webhook=\"pager\"} 1";
    assert!(figures.contains(line), "{figures}");
}

#[tokio::test]
async fn what_people_answer_and_what_drifts_is_told_to_who_asked_for_it() {
    let (all, some) = (Receiver::start().await, Receiver::start().await);
    let fewer = WebhookOptions { types: vec![NoticeType::ApprovalDecided], ..some.options("some", &[SECRET]) };
    let webhooks = vec![all.options("all", &[SECRET]), fewer];
    let approvals = ApprovalSettings { answer_within: ANSWER_WITHIN, ..MANY_WAIT };
    let world = World::set_up(|_| {}, Setup { webhooks, approvals, ..Setup::default() }).await;
    let (_, agent, task) = world.broker.at_work().await;
    let decision = asked(&agent, &task, "eve@evil.test").await;
    let rae = world.broker.person(&world.corp.token("1005", ACTING)).await;
    let answer = v1::AnswerApprovalRequest {
        approval_id: decision.approval_id.clone(),
        decision_id: decision.decision_id.clone(),
        verdict: Verdict::Deny.into(),
        reason: "it smells of fish".to_owned(),
    };
    rae.answer_approval(answer).await.unwrap();
    let told = some.got(1).await.remove(0);
    assert_eq!((told.kind().as_str(), told.approval()), ("approval.decided", decision.approval_id));
    assert_eq!(told.json()["data"]["verdict"], "denied");

    let unanswered = asked(&agent, &task, "mallory@evil.test").await;
    world.broker.advance(ANSWER_WITHIN + Duration::from_secs(1));
    world.broker.sweep().await;
    let told = all.got(4).await;
    let kinds: Vec<String> = told.iter().map(Got::kind).collect();
    assert_eq!(kinds, ["approval.pending", "approval.decided", "approval.pending", "approval.expired"]);
    assert_eq!(told[3].approval(), unanswered.approval_id);
    assert_eq!(some.count(), 1, "it is told what it asked for");
    assert!(told.iter().all(|got| !got.body.contains("fish") && !got.body.contains("rae@")));
}

#[tokio::test]
async fn a_grant_that_drifts_and_a_policy_that_is_activated_are_told() {
    let receiver = Receiver::start().await;
    let broker = telling(vec![receiver.options("pager", &[SECRET])]).await;
    let (_, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.reading()).await;
    broker.scorer().await.report_signal(task.signal("anomaly", 100)).await.unwrap();
    let told = receiver.got(1).await.remove(0);
    assert_eq!(told.kind(), "grant.suspended");
    assert_eq!(told.json()["data"]["grant_id"], granted.id());
    assert!(!told.body.contains("seen by a test"), "{}", told.body);
    let active = broker.activate(&shipped_policy()).await;
    let activated = receiver.got_of("policy.activated").await;
    assert_eq!(activated.json()["data"]["policy_revision"], active.revision);
    assert!(activated.body.len() < 400, "the bundle is not in it: {}", activated.body);
}

#[tokio::test]
async fn what_is_not_taken_is_tried_again_with_the_same_id_and_no_redirect_is_followed() {
    let receiver = Receiver::start().await;
    let elsewhere = format!("location: {}\r\n", receiver.url.replace("/in", "/elsewhere"));
    receiver.answers([Answer::status(500), Answer::Nothing, Answer::EndlessHead, Answer::Status(307, elsewhere)]);
    let options = WebhookOptions { deadline: SHORT, ..receiver.options("pager", &[SECRET]) };
    let broker = telling(vec![options]).await;
    let (_, agent, task) = broker.at_work().await;
    asked(&agent, &task, "eve@evil.test").await;
    for tries in 1..5 {
        log(&broker, tries).await;
        broker.advance(A_WAIT * 5_u32.pow(u32::try_from(tries).unwrap() - 1));
    }
    let told = log(&broker, 5).await;
    let again = |problem, status, attempt| (DeliveryOutcome::TriedAgain, problem, status, attempt);
    let expected = [
        (DeliveryOutcome::Delivered, "", 200, 5),
        again("status", 307, 4),
        again("timed_out", 0, 3),
        again("timed_out", 0, 2),
        again("status", 500, 1),
    ];
    assert_eq!(outcomes(&told), expected);
    let got = receiver.got(5).await;
    for one in &got {
        assert_eq!((one.id(), one.path.as_str()), (got[0].id(), "/in?key=open-sesame"));
        assert_eq!((one.signatures_by(SECRET), &one.body), (1, &got[0].body));
    }
    let times: Vec<u64> = got.iter().map(|one| one.header("webhook-timestamp").parse().unwrap()).collect();
    assert!(times.is_sorted() && times[0] < times[1], "each try says when it was made: {times:?}");
}

#[tokio::test]
async fn a_receiver_that_does_not_listen_holds_up_no_other_and_no_end() {
    let (dead, live) = (Receiver::start().await, Receiver::start().await);
    dead.always(Some(Answer::Nothing));
    // Far longer than this waits for anything.
    let patient = WebhookOptions { deadline: AN_HOUR, ..dead.options("dead", &[SECRET]) };
    let mut broker = telling(vec![patient, live.options("live", &[SECRET])]).await;
    let (_, agent, task) = broker.at_work().await;
    for to in ["eve@evil.test", "mallory@evil.test"] {
        asked(&agent, &task, to).await;
    }
    dead.got(1).await;
    assert_eq!(live.got(2).await.len(), 2);
    assert_eq!(dead.count(), 1, "it is told one thing at a time");
    assert_eq!(broker.stop().await, Some(Drained::Whole));
}

#[tokio::test]
async fn a_restart_goes_on_where_it_was_and_a_new_receiver_begins_with_what_is_new() {
    let (receiver, late) = (Receiver::start().await, Receiver::start().await);
    let mut broker = telling(vec![receiver.options("pager", &[SECRET])]).await;
    let (_, agent, task) = broker.at_work().await;
    asked(&agent, &task, "eve@evil.test").await;
    log(&broker, 1).await;
    receiver.answers([Answer::status(503)]);
    let second = asked(&agent, &task, "mallory@evil.test").await;
    log(&broker, 2).await;

    broker.setup.webhooks = vec![receiver.options("pager", &[SECRET]), late.options("late", &[SECRET])];
    broker.restart().await;
    log(&broker, 2).await;
    broker.advance(A_WAIT);
    let got = receiver.got(3).await;
    assert_eq!((got[2].approval(), got[2].id()), (second.approval_id, got[1].id()));
    let third = asked(&broker.agent().await, &task, "trudy@evil.test").await;
    assert_eq!(receiver.got(4).await[3].approval(), third.approval_id);
    assert_eq!(late.got(1).await[0].approval(), third.approval_id);
    let listed = listed(&broker.operator().await, "late").await.unwrap();
    assert_eq!((listed.webhooks.len(), listed.webhooks[0].name.as_str()), (1, "late"));
}

#[tokio::test]
async fn who_wants_no_more_is_told_nothing_until_it_is_configured_otherwise() {
    let receiver = Receiver::start().await;
    receiver.answers([Answer::status(410)]);
    let mut broker = telling(vec![receiver.options("pager", &[SECRET])]).await;
    let (_, agent, task) = broker.at_work().await;
    asked(&agent, &task, "eve@evil.test").await;
    assert_eq!(outcomes(&log(&broker, 1).await), [(DeliveryOutcome::SwitchedOff, "status", 410, 1)]);
    asked(&agent, &task, "mallory@evil.test").await;
    broker.restart().await;
    let standing = listed(&broker.operator().await, "").await.unwrap().webhooks.remove(0);
    assert!(standing.switched_off);
    asked(&broker.agent().await, &task, "trudy@evil.test").await;

    let other = WebhookOptions { link_base: None, ..receiver.options("pager", &[SECRET]) };
    broker.setup.webhooks = vec![other];
    broker.restart().await;
    let new = asked(&broker.agent().await, &task, "oscar@evil.test").await;
    let got = receiver.got(2).await;
    assert_eq!(got[1].approval(), new.approval_id, "it begins with what is new");
    assert!(got[1].json()["data"].get("link").is_none());
}

#[tokio::test]
async fn who_asks_for_quiet_gets_it_and_then_everything_in_order_one_at_a_time() {
    let receiver = Receiver::start().await;
    receiver.answers([Answer::Status(429, "retry-after: 120\r\n".to_owned())]);
    let broker = telling(vec![receiver.options("pager", &[SECRET])]).await;
    let (_, agent, task) = broker.at_work().await;
    let mut approvals = vec![asked(&agent, &task, "a0@evil.test").await.approval_id];
    log(&broker, 1).await;
    for n in 1..5 {
        approvals.push(asked(&agent, &task, &format!("a{n}@evil.test")).await.approval_id);
    }
    broker.advance(Duration::from_secs(119));
    let standing = listed(&broker.operator().await, "pager").await.unwrap().webhooks.remove(0);
    assert_eq!((standing.waiting, standing.unread >= 4), (1, true), "{standing:?}");
    assert_eq!(receiver.count(), 1);
    broker.advance(Duration::from_secs(1));
    let got = receiver.got(6).await;
    let told: Vec<String> = got.iter().skip(1).map(Got::approval).collect();
    assert_eq!((told, receiver.most_at_once()), (approvals, 1));
}

#[tokio::test]
async fn one_notice_that_is_never_taken_holds_up_no_other_and_is_given_up_with_age() {
    let receiver = Receiver::start().await;
    receiver.answers([Answer::status(500), Answer::status(200), Answer::status(500)]);
    let options = WebhookOptions { types: vec![NoticeType::ApprovalPending], ..receiver.options("pager", &[SECRET]) };
    let broker = telling(vec![options]).await;
    let (_, agent, task) = broker.at_work().await;
    asked(&agent, &task, "eve@evil.test").await;
    let second = asked(&agent, &task, "mallory@evil.test").await;
    let told = log(&broker, 3).await;
    let again = |attempt| (DeliveryOutcome::TriedAgain, "status", 500, attempt);
    assert_eq!(outcomes(&told), [again(2), (DeliveryOutcome::Delivered, "", 200, 1), again(1)], "once more at once");
    assert_eq!(receiver.got(3).await[1].approval(), second.approval_id);
    broker.advance(AN_HOUR * 25);
    let given_up = log(&broker, 4).await.remove(0);
    assert_eq!(outcomes(&[given_up]), [(DeliveryOutcome::GivenUp, "too_old", 0, 0)]);
    let standing = listed(&broker.operator().await, "").await.unwrap().webhooks.remove(0);
    assert_eq!(standing.waiting, 0);
}

#[tokio::test]
async fn a_receiver_changes_from_one_secret_to_the_next_without_losing_a_notice() {
    let receiver = Receiver::start().await;
    let mut broker = telling(vec![receiver.options("pager", &[SECRET, NEXT_SECRET])]).await;
    let (_, agent, task) = broker.at_work().await;
    asked(&agent, &task, "eve@evil.test").await;
    let got = receiver.got(1).await.remove(0);
    assert_eq!((got.signatures_by(SECRET), got.signatures_by(NEXT_SECRET)), (1, 1));
    assert_eq!(got.header("webhook-signature").split(' ').count(), 2);
    broker.setup.webhooks = vec![receiver.options("pager", &[NEXT_SECRET])];
    broker.restart().await;
    asked(&broker.agent().await, &task, "mallory@evil.test").await;
    let got = receiver.got(2).await.remove(1);
    assert_eq!((got.signatures_by(SECRET), got.signatures_by(NEXT_SECRET)), (0, 1));
}

#[tokio::test]
async fn a_body_that_never_ends_costs_one_deadline_and_nothing_else() {
    let receiver = Receiver::start().await;
    receiver.answers([Answer::EndlessBody(200), Answer::EndlessBody(500)]);
    let options = WebhookOptions { deadline: SHORT, ..receiver.options("pager", &[SECRET]) };
    let broker = telling(vec![options]).await;
    let (_, agent, task) = broker.at_work().await;
    asked(&agent, &task, "eve@evil.test").await;
    asked(&agent, &task, "mallory@evil.test").await;
    let told = log(&broker, 2).await;
    let expected = [(DeliveryOutcome::TriedAgain, "status", 500, 1), (DeliveryOutcome::Delivered, "", 200, 1)];
    assert_eq!(outcomes(&told), expected);
}

#[tokio::test]
async fn a_server_that_is_somebody_else_is_told_nothing() {
    let receiver = Receiver::start().await;
    let url = PostUrl::parse(&receiver.url, false).unwrap();
    let poster = Poster::new(url, Some(&WebIdentity::new().ca_file())).unwrap();
    let broker = telling(vec![WebhookOptions { poster, ..receiver.options("pager", &[SECRET]) }]).await;
    let (_, agent, task) = broker.at_work().await;
    asked(&agent, &task, "eve@evil.test").await;
    assert_eq!(outcomes(&log(&broker, 1).await), [(DeliveryOutcome::TriedAgain, "unreachable", 0, 1)]);
    assert_eq!(receiver.count(), 0);
}

#[tokio::test]
async fn readers_see_the_log_and_the_operator_tries_a_receiver_out() {
    let (receiver, plain) = (Receiver::start().await, Receiver::plain().await);
    let webhooks = vec![receiver.options("pager", &[SECRET]), plain.options("plain", &[SECRET])];
    let world = World::set_up(|_| {}, Setup { webhooks, ..Setup::default() }).await;
    let operator = world.broker.operator().await;
    let tried = async |webhook: &str| {
        let request = v1::TestWebhookRequest { webhook: webhook.to_owned() };
        let answer = operator.notifications().test_webhook(request).await;
        answer.map(|answer| answer.into_inner().delivery.unwrap()).map_err(Refused::from)
    };
    receiver.answers([Answer::status(200), Answer::status(410)]);
    assert_eq!(tried("pager").await.unwrap().outcome(), DeliveryOutcome::Delivered);
    assert_eq!(tried("pager").await.unwrap().outcome(), DeliveryOutcome::GivenUp, "it is not tried again");
    assert_eq!(tried("plain").await.unwrap().outcome(), DeliveryOutcome::Delivered);
    assert_eq!(tried("nobody").await.unwrap_err().code, Code::NotFound);
    let got = receiver.got(2).await;
    assert_eq!((got[0].kind().as_str(), got[0].signatures_by(SECRET)), ("test", 1));
    assert_ne!(got[0].id(), got[1].id());
    assert_eq!(plain.got(1).await[0].signatures_by(SECRET), 1);

    let corp = async |subject: &str| world.broker.person(&world.corp.token(subject, ACTING)).await;
    let seen = listed(&corp("1002").await, "pager").await.unwrap();
    assert_eq!(seen.deliveries.len(), 2);
    assert!(!seen.webhooks[0].switched_off, "a test switches nobody off");
    assert!(!format!("{seen:?}").contains("sesame"), "{seen:?}");
    assert_eq!(listed(&corp("1002").await, "nobody").await.unwrap_err().code, Code::NotFound);
    let reviewer = listed(&corp("1005").await, "").await.unwrap_err();
    assert_eq!((reviewer.code, reviewer.reason.as_str()), (Code::PermissionDenied, "RIGHT_MISSING"));
}
