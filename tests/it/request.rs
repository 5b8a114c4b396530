//! Asking for a credential: what is refused and why, what is granted, and what stands in the token.

use std::time::Duration;

use carnet::pb::v1::target::Target as Named;
use carnet::pb::v1::{Outcome, ToolCeiling};
use serde_json::json;
use tonic::Code;

use super::support::ask::{
    AGENT, Granted, ORCHESTRATOR, SECOND_AGENT, access, audience_of, ceiling, codes, revocation,
};
use super::support::broker::{ISSUER, Setup, TestBroker, policy_with};
use super::support::pki::id;

#[tokio::test]
async fn what_no_policy_cures_is_denied() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let rows = [
        (
            "an unknown tool",
            task.steps("https://tickets.dev.carnet.test", vec![access("no.such", &json!({}))]),
            "TOOL_UNKNOWN",
        ),
        (
            "a tool of another audience",
            task.steps("https://mail.dev.carnet.test", vec![access("tickets.read", &json!({ "ticket_id": "T-1000" }))]),
            "AUDIENCE_MISMATCH",
        ),
        (
            "an action that the tool does not have",
            {
                let mut step = task.reading();
                step.access[0].actions = vec!["tools/delete".to_owned()];
                step
            },
            "ACTION_UNKNOWN",
        ),
    ];
    for (name, request, code) in rows {
        let (outcome, reasons) = agent.withheld(request).await;
        assert_eq!(outcome, Outcome::Denied, "{name}");
        assert!(reasons.contains(&code.to_owned()), "{name}: {reasons:?}");
    }
    agent.granted(task.reading()).await;
}

#[tokio::test]
async fn a_denial_is_an_answer_with_a_decision_on_record() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let answer = agent.request_credential(task.step("tickets.drop", &json!({}))).await;
    let decision = answer.unwrap().decision.unwrap();
    let recorded = broker.operator().await.decision(&decision.decision_id).await.unwrap();
    assert_eq!(recorded.outcome(), Outcome::Denied);
    assert_eq!(recorded.task_id, task.id);
    assert_eq!(recorded.agent, id(AGENT).to_string());
    assert!(recorded.grant_id.is_empty() && recorded.jti.is_empty());
}

#[tokio::test]
async fn a_value_is_asked_about_unless_it_is_grounded() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let mail = |to: &str| task.step("mail.send", &json!({ "to": [to], "subject": "s", "body": "b" }));

    let (outcome, reasons) = agent.withheld(mail("eve@evil.test")).await;

    assert_eq!(outcome, Outcome::Review);
    assert!(reasons.contains(&"SINK_UNSEEN".to_owned()), "{reasons:?}");
    agent.granted(mail("bob@example.org")).await;
}

#[tokio::test]
async fn the_ceiling_is_the_most_that_is_granted() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
    let mut registration = broker.task("Read ticket T-1000 and send a summary to bob@example.org.");
    registration.ceiling = Some(ceiling(&["tickets.read"]));
    let task = orchestrator.open(registration).await;

    let (outcome, reasons) = agent.withheld(task.sending()).await;
    assert_eq!(
        (outcome, reasons.contains(&"CEILING_EXCEEDED".to_owned())),
        (Outcome::Denied, true),
        "it acts: {reasons:?}"
    );
    let (outcome, reasons) = agent.withheld(task.step("tickets.search", &json!({ "query": "late" }))).await;
    assert_eq!(outcome, Outcome::Review, "nothing would remain: {reasons:?}");

    let both = vec![access("tickets.read", &json!({ "ticket_id": "T-1000" })), access("tickets.search", &json!({}))];
    let narrowed = agent.granted(task.steps(&audience_of("tickets.read"), both)).await;
    assert_eq!(narrowed.decision.outcome(), Outcome::Narrowed);
    assert_eq!(codes(&narrowed.decision), ["CEILING_EXCEEDED"]);
    assert_eq!(narrowed.decision.differences.len(), 1, "{:?}", narrowed.decision.differences);
    assert_eq!(narrowed.decision.differences[0].access, Some(1));
    let details = narrowed.claims()["authorization_details"].as_array().unwrap().clone();
    assert_eq!(details.len(), 1, "the token covers what was granted: {details:?}");
    assert_eq!(agent.granted(task.reading()).await.decision.outcome(), Outcome::Granted);
}

#[tokio::test]
async fn a_budget_of_calls_and_amounts_is_drawn_on_by_every_grant() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
    let mut registration = broker.task("Pay 12.50 and 30.00 to DE89370400440532013000.");
    let mut pay = ToolCeiling { tool: "payments.pay".to_owned(), calls_max: Some(2), ..ToolCeiling::default() };
    pay.sinks = vec![carnet::pb::v1::SinkCeiling {
        sink: "amount".to_owned(),
        total_max: "40.00".to_owned(),
        ..carnet::pb::v1::SinkCeiling::default()
    }];
    registration.ceiling = Some(carnet::pb::v1::Ceiling { tools: vec![pay], ..carnet::pb::v1::Ceiling::default() });
    let task = orchestrator.open(registration).await;
    let pay = |amount: &str| {
        let json = format!(r#"{{"payee":"DE89370400440532013000","amount":{amount}}}"#);
        task.step("payments.pay", &serde_json::from_str(&json).unwrap())
    };

    let first = agent.granted(pay("12.5")).await;
    let (outcome, reasons) = agent.withheld(pay("30")).await;
    assert_eq!(outcome, Outcome::Denied, "12.50 + 30.00 > 40.00");
    assert_eq!(reasons.first().map(String::as_str), Some("CEILING_EXCEEDED"), "{reasons:?}");

    // Given back before it was used, or used: a reserved amount stays reserved until then.
    agent.granted(pay("12.5")).await;
    let (outcome, _) = agent.withheld(pay("12.5")).await;
    assert_eq!(outcome, Outcome::Denied, "two calls were made");
    assert_eq!(first.claims()["authorization_details"][0]["constraints"]["max_calls"], json!(1));
}

#[tokio::test]
async fn a_token_says_who_what_for_and_with_which_key() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;

    let granted = agent.granted(task.sending()).await;

    let (header, claims) = (granted.header(), granted.claims());
    assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("ES256")));
    assert_eq!(claims["iss"], json!(ISSUER));
    assert_eq!(claims["sub"], json!(id("/orchestrator/desk").to_string()), "an asserted initiator is no subject");
    assert_eq!(claims["client_id"], json!(id(AGENT).to_string()));
    assert_eq!(claims["act"]["sub"], json!(id(AGENT).to_string()));
    assert_eq!(claims["aud"], json!("https://mail.dev.carnet.test"));
    assert_eq!(claims["jti"], json!(granted.grant.jti));
    let detail = &claims["authorization_details"][0];
    assert_eq!(detail["identifier"], json!("mail.send"));
    let sinks = &detail["constraints"]["sinks"];
    assert_eq!(sinks["to"]["eq"], json!(["bob@example.org"]));
    for absent in ["cc", "bcc", "attachments.file_id"] {
        assert_eq!(sinks[absent]["eq"], json!([]), "{absent} must stay absent");
    }
    assert_eq!(detail["constraints"]["max_calls"], json!(1), "what acts is for one use");
    assert!(claims["cnf"]["x5t#S256"].as_str().unwrap().len() == 43, "{claims}");
    let text = claims.to_string();
    assert!(!text.contains("summary"), "the intent stays out of the token");
}

#[tokio::test]
async fn a_token_lives_no_longer_than_anything_that_it_rests_on() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
    let life = |granted: &Granted| {
        let claims = granted.claims();
        claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap()
    };
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });

    let task = orchestrator.open(broker.task("Read ticket T-1000.")).await;
    let mut long = task.reading();
    long.ttl = seconds(100_000);
    let cut = agent.granted(long).await;
    assert_eq!(cut.decision.outcome(), Outcome::Narrowed);
    assert!(codes(&cut.decision).contains(&"TTL_SHORTENED".to_owned()));
    assert!(life(&cut) <= 300, "policy says 300 s for reads");
    let mut short = task.reading();
    short.ttl = seconds(7);
    assert_eq!(life(&agent.granted(short).await), 7);

    let mut soon_over = broker.task("Read ticket T-1000.");
    soon_over.deadline = Some(broker.at(Duration::from_secs(42)));
    let task = orchestrator.open(soon_over).await;
    assert!(life(&agent.granted(task.reading()).await) <= 42, "the task's deadline");

    let mut capped = broker.task("Read ticket T-1000.");
    capped.ceiling = Some(carnet::pb::v1::Ceiling { ttl_max: seconds(11), ..ceiling(&["tickets.read"]) });
    let task = orchestrator.open(capped).await;
    assert!(life(&agent.granted(task.reading()).await) <= 11, "the ceiling's ttl");
}

#[tokio::test]
async fn a_request_for_somebody_elses_task_looks_like_one_for_no_task() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let stranger = broker.caller(SECOND_AGENT).await;
    let mut wrong_handle = task.reading();
    wrong_handle.task_handle = task.handle.chars().rev().collect();
    let mut no_task = task.reading();
    no_task.task_id = format!("{}{}", &task.id[..task.id.len() - 4], "0000");

    let refusals = [
        stranger.request_credential(task.reading()).await.unwrap_err(),
        agent.request_credential(wrong_handle).await.unwrap_err(),
        agent.request_credential(no_task).await.unwrap_err(),
    ];

    for refused in &refusals {
        assert_eq!((refused.code, refused.reason.as_str()), (Code::NotFound, "NOT_FOUND"));
        assert_eq!(refused.message, refusals[0].message);
    }
    agent.granted(task.reading()).await;
}

#[tokio::test]
async fn invariant_6_a_retry_gets_the_same_answer() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let request = task.reading();
    let first = agent.granted(request.clone()).await;
    broker.advance(Duration::from_secs(5));

    let again = agent.again().granted(request.clone()).await;

    assert_eq!(again.claims(), first.claims(), "jti, times and key");
    assert_eq!(again.header(), first.header());
    assert_eq!(again.decision.decision_id, first.decision.decision_id);
    assert_eq!(again.grant.grant_id, first.grant.grant_id);
    assert_eq!(again.position, first.position);

    let denied = task.step("tickets.drop", &json!({}));
    let before = agent.request_credential(denied.clone()).await.unwrap().decision.unwrap();
    let after = agent.again().request_credential(denied).await.unwrap().decision.unwrap();
    assert_eq!(after, before);
}

#[tokio::test]
async fn a_denial_is_the_answer_to_its_own_request_id_and_to_no_other() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    orchestrator.pause_task(task.pause()).await.unwrap();
    let (first, second) = (task.reading(), task.reading());
    let answers = [
        agent.request_credential(first.clone()).await.unwrap().decision.unwrap(),
        agent.request_credential(second.clone()).await.unwrap().decision.unwrap(),
    ];
    assert_ne!(answers[0].decision_id, answers[1].decision_id, "each is a decision of its own, on record");
    orchestrator.resume_task(task.resume()).await.unwrap();
    broker.advance(Duration::from_secs(31));
    for (request, before) in [first, second].into_iter().zip(answers) {
        let after = agent.again().request_credential(request).await.unwrap();
        assert_eq!((after.decision.unwrap(), after.token), (before, String::new()), "for good");
    }
    agent.granted(task.reading()).await;
}

#[tokio::test]
async fn asking_again_whether_it_was_approved_finds_the_same_question() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let unseen = || task.step("mail.send", &json!({ "to": ["eve@evil.test"], "subject": "s", "body": "b" }));
    let first = agent.request_credential(unseen()).await.unwrap().decision.unwrap();
    assert_eq!(first.outcome(), Outcome::Review);
    let second = agent.again().request_credential(unseen()).await.unwrap().decision.unwrap();
    assert_eq!(second, first, "nothing is written for a question that is open already");
}

#[tokio::test]
async fn a_request_id_stands_for_one_request() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent, task) = broker.at_work().await;
    let request = task.reading();
    agent.granted(request.clone()).await;
    type Change = Box<dyn Fn(&mut carnet::pb::v1::RequestCredentialRequest)>;
    let changes: [(&str, Change); 5] = [
        ("arguments", Box::new(|r| r.access[0].arguments_json = json!({ "ticket_id": "T-1001" }).to_string())),
        ("tool", Box::new(|r| r.access[0].tool = "tickets.search".to_owned())),
        ("audience", Box::new(|r| r.audience = audience_of("mail.read"))),
        ("ttl", Box::new(|r| r.ttl = Some(prost_types::Duration { seconds: 9, nanos: 0 }))),
        ("purpose", Box::new(|r| r.purpose = "another".to_owned())),
    ];
    for (name, change) in changes {
        let mut other = request.clone();
        change(&mut other);
        let refused = agent.request_credential(other).await.unwrap_err();
        assert_eq!((refused.code, refused.reason.as_str()), (Code::InvalidArgument, "REQUEST_ID_REUSED"), "{name}");
    }

    let mut registration = broker.task("Read ticket T-1000.");
    orchestrator.open(registration.clone()).await;
    registration.intent = "Read ticket T-1001.".to_owned();
    let refused = orchestrator.register_task(registration).await.unwrap_err();
    assert_eq!(refused.reason, "REQUEST_ID_REUSED");
}

#[tokio::test]
async fn a_registration_is_answered_again_whatever_time_has_brought() {
    let broker = TestBroker::start().await;
    let orchestrator = broker.for_long(ORCHESTRATOR).await;
    let registration = broker.task("Read ticket T-1000.");
    let before = orchestrator.register_task(registration.clone()).await.unwrap();
    let mut below = broker.task("Read ticket T-1000.");
    below.parent_task_id.clone_from(&before.task.as_ref().unwrap().task_id);
    let child = orchestrator.register_task(below.clone()).await.unwrap();
    broker.advance(Duration::from_secs(1801));
    broker.sweep().await;
    let late = orchestrator.again().register_task(registration.clone()).await.unwrap();
    assert_eq!((late.decision, &late.task_handle), (before.decision.clone(), &before.task_handle), "past its deadline");

    // The family is known for an hour after its end, and its answers for a day after they were given.
    broker.advance(Duration::from_secs(3700));
    broker.operator().await.revoke(revocation(Named::Agent(id(SECOND_AGENT).to_string()))).await.unwrap();
    let id = before.task.as_ref().unwrap().task_id.clone();
    assert_eq!(orchestrator.task(&id, "").await.unwrap_err().code, Code::NotFound, "it is forgotten");
    for (request, before) in [(registration, before), (below, child)] {
        let again = orchestrator.again().register_task(request).await.unwrap();
        assert_eq!((&again.decision, &again.task_handle), (&before.decision, &before.task_handle));
        let (task, then) = (again.task.unwrap(), before.task.unwrap());
        assert_eq!(task.state(), carnet::pb::v1::TaskState::Expired);
        let same = carnet::pb::v1::Task { state: then.state, ..task };
        assert_eq!(same, then, "nothing else has changed");
    }
}

#[tokio::test]
async fn a_registration_that_is_repeated_gives_the_same_task_and_handle() {
    let broker = TestBroker::start().await;
    let orchestrator = broker.orchestrator().await;
    let registration = broker.task("Read ticket T-1000.");
    let first = orchestrator.open(registration.clone()).await;
    let again = orchestrator.again().open(registration).await;
    assert_eq!((again.id, again.handle), (first.id, first.handle));
}

#[tokio::test]
async fn a_released_grant_is_over_and_releasing_it_again_changes_nothing() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let granted = agent.granted(task.reading()).await;
    let released = agent.release_credential(task.release(granted.id())).await.unwrap().grant.unwrap();
    assert_eq!(released.state(), carnet::pb::v1::GrantState::Released);
    let again = agent.again().release_credential(task.release(granted.id())).await.unwrap().grant.unwrap();
    assert_eq!(again.state(), carnet::pb::v1::GrantState::Released);
    let refused = agent.renew_credential(task.renewal(granted.id())).await.unwrap_err();
    assert_eq!(refused.code, Code::FailedPrecondition);
}

#[tokio::test]
async fn an_agent_whose_make_up_changed_is_reviewed() {
    let broker = TestBroker::start().await;
    let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
    let profile = |model: &str| carnet::pb::v1::AgentProfile { model: model.to_owned(), ..Default::default() };
    let mut registration = broker.task("Read ticket T-1000.");
    registration.agent_profile = Some(profile("m-1"));
    let task = orchestrator.open(registration).await;
    let mut changed = task.reading();
    changed.agent_profile = Some(profile("m-2"));
    let (outcome, reasons) = agent.withheld(changed).await;
    assert_eq!((outcome, reasons.contains(&"PROFILE_CHANGED".to_owned())), (Outcome::Review, true), "{reasons:?}");
    let mut same = task.reading();
    same.agent_profile = Some(profile("m-1"));
    agent.granted(same).await;
}

#[tokio::test]
async fn what_was_refused_says_nothing_of_policies_and_values_to_the_agent() {
    let broker = TestBroker::start().await;
    let (_, agent, task) = broker.at_work().await;
    let mail = json!({ "to": ["eve@evil.test"], "subject": "s", "body": "b" });
    let answer = agent.request_credential(task.step("mail.send", &mail)).await.unwrap();
    let told = format!("{:?}", answer.decision.unwrap().reasons);
    for secret in ["eve@evil.test", "sink-unseen", "cedar", "score"] {
        assert!(!told.contains(secret), "{told}");
    }
}

#[tokio::test]
async fn duties_are_kept_apart_over_the_tasks_of_an_initiator() {
    let short = |path: &str, text: String| match path {
        "catalogue.toml" => text.replace("window_s = 86400", "window_s = 60"),
        _ => text,
    };
    let mut broker = TestBroker::with(Setup { policy: policy_with(short), ..Setup::default() }).await;
    let intent = "Add the payee DE89370400440532013000, or pay 12.50 to DE89370400440532013000.";
    let iban = "DE89370400440532013000";
    let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
    let first = orchestrator.open(broker.task(intent)).await;
    agent.granted(first.step("payments.create_payee", &serde_json::json!({ "iban": iban }))).await;
    broker.restart().await;
    let (orchestrator, agent) = (broker.orchestrator().await, broker.agent().await);
    let pay = serde_json::json!({ "payee": iban, "amount": "12.50" });
    let second = orchestrator.open(broker.task(intent)).await;
    let (outcome, reasons) = agent.withheld(second.step("payments.pay", &pay)).await;
    assert_eq!((outcome, reasons.contains(&"DUTY_CONFLICT".to_owned())), (Outcome::Review, true), "{reasons:?}");

    let mut of_another = broker.task(intent);
    of_another.initiator = "user:ben@example.org".to_owned();
    let third = orchestrator.open(of_another).await;
    agent.granted(third.step("payments.pay", &pay)).await;

    broker.advance(Duration::from_secs(60));
    let later = orchestrator.open(broker.task(intent)).await;
    agent.granted(later.step("payments.pay", &pay)).await;
}
