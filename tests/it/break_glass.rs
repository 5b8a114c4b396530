//! Break-glass: what one person opens for an agent, what it is good for, and that somebody else has the last word.

mod afterwards;
mod agents;
mod bounds;
mod races;

use std::time::Duration;

use carnet::pb::v1;
use carnet::pb::v1::{BreakGlassState, BreakGlassVerdict, GrantState, Outcome};
use serde_json::json;
use tonic::Code;

use super::people::World;
use super::support::ask::{OpenTask, access, audience_of, codes};
use super::support::caller::{Caller, Refused};
use super::support::issuer::{ACTING, INITIATING};

/// What the shipped bundle asks a reviewer about: a mail to somebody whom nothing and nobody has named.
fn mail() -> serde_json::Value {
    json!({ "to": ["eve@evil.test"], "subject": "T-1000", "body": "It is solved." })
}

fn to_eve(task: &OpenTask) -> v1::RequestCredentialRequest {
    task.step("mail.send", &mail())
}

fn opening(task: &OpenTask) -> v1::OpenBreakGlassRequest {
    v1::OpenBreakGlassRequest {
        task_id: task.id.clone(),
        audience: audience_of("mail.send"),
        access: Some(access("mail.send", &json!({ "to": ["eve@evil.test"] }))),
        justification: "the pager is down, and Eve is on call".to_owned(),
        ..v1::OpenBreakGlassRequest::default()
    }
}

impl World {
    async fn person(&self, subject: &str) -> Caller {
        self.broker.person(&self.corp.token(subject, ACTING)).await
    }

    /// Who may open break-glass, and nothing else.
    async fn gus(&self) -> Caller {
        self.person("1007").await
    }

    /// Who reviews.
    async fn reviewer(&self) -> Caller {
        self.person("1005").await
    }

    /// A task of Ann's, with its agent.
    async fn of_ann(&self) -> (Caller, OpenTask) {
        let token = self.corp.token("1001", INITIATING);
        let task = self.broker.orchestrator().await.open(self.initiated_by(token)).await;
        (self.broker.agent().await, task)
    }
}

async fn opened(person: &Caller, request: v1::OpenBreakGlassRequest) -> v1::BreakGlass {
    let answer = person.open_break_glass(request).await.unwrap();
    let Some(glass) = answer.break_glass else { panic!("not opened: {:?}", answer.decision) };
    glass
}

async fn get(person: &Caller, id: &str) -> Result<v1::BreakGlass, Refused> {
    let request = v1::GetBreakGlassRequest { break_glass_id: id.to_owned() };
    Ok(person.break_glass().get_break_glass(request).await?.into_inner().break_glass.unwrap())
}

fn closing(glass: &v1::BreakGlass) -> v1::CloseBreakGlassRequest {
    let break_glass_id = glass.break_glass_id.clone();
    v1::CloseBreakGlassRequest { break_glass_id, reason: "it is over".to_owned() }
}

fn reviewing(glass: &v1::BreakGlass) -> v1::ReviewBreakGlassRequest {
    v1::ReviewBreakGlassRequest {
        break_glass_id: glass.break_glass_id.clone(),
        verdict: BreakGlassVerdict::Justified.into(),
        note: "the pager was down indeed".to_owned(),
    }
}

fn code<T: std::fmt::Debug>(answer: Result<T, Refused>) -> (Code, String) {
    let refused = answer.unwrap_err();
    (refused.code, refused.reason)
}

fn not_permitted(code: &str) -> (Code, String) {
    (Code::PermissionDenied, code.to_owned())
}

#[tokio::test]
async fn what_a_person_opens_the_agents_next_try_gets_and_token_and_record_say_so() {
    let world = World::new().await;
    let (agent, task) = world.of_ann().await;
    let request = to_eve(&task);
    assert_eq!(agent.withheld(request.clone()).await.0, Outcome::Review);
    let gus = world.gus().await;
    let glass = opened(&gus, opening(&task)).await;
    assert_eq!((glass.state(), glass.opened_by.as_str()), (BreakGlassState::Open, "gus@example.org"));
    assert_eq!(glass.justification, "the pager is down, and Eve is on call");
    assert!(glass.review_open);

    // The same try as before, with the same id: it finds it, though it was told to wait a moment ago.
    let granted = agent.granted(request).await;
    assert_eq!(granted.decision.break_glass_id, glass.break_glass_id);
    assert!(granted.decision.approval_id.is_empty());
    let claims = granted.claims();
    assert_eq!(claims["https://carnet.dev/claims/task"]["break_glass"], glass.break_glass_id.as_str());
    let sinks = claims["authorization_details"].to_string();
    assert!(sinks.contains("eve@evil.test"), "the token binds the call to what was opened: {sinks}");

    let operator = world.broker.operator().await;
    let record = operator.decision(&granted.decision.decision_id).await.unwrap();
    assert_eq!(record.break_glass_id, glass.break_glass_id);
    assert_eq!(record.break_glass_by, "gus@example.org");
    let opening = operator.decision(&glass.decision_id).await.unwrap();
    assert_eq!((opening.question.as_str(), opening.purpose.as_str()), ("break_glass", glass.justification.as_str()));
    assert_eq!(opening.policies, ["people-break-glass"]);
    let event = &world.broker.record.of_kind("break_glass_opened").await[0];
    assert_eq!(event.actor.id, "gus@example.org");
    assert_eq!(event.actor.person.as_ref().unwrap().acr, "urn:mfa");
    assert!(!String::from_utf8_lossy(&event.stored).contains("pager"), "words are sealed");
    assert_eq!(world.broker.record.of_kind("break_glass_used").await.len(), 1);

    // It is good for one grant, unless it says more.
    let used = get(&gus, &glass.break_glass_id).await.unwrap();
    assert_eq!((used.state(), used.uses), (BreakGlassState::UsedUp, 1));
    assert_eq!(used.grant_ids, [granted.id()]);
    assert_eq!(agent.withheld(to_eve(&task)).await.0, Outcome::Review);
}

#[tokio::test]
async fn only_a_freshly_authenticated_person_with_the_right_opens_it_and_not_for_a_task_of_his_own() {
    let world = World::new().await;
    let (_, task) = world.of_ann().await;
    for (who, subject) in [("who reads", "1002"), ("who revokes", "1003"), ("who approves", "1005")] {
        let person = world.person(subject).await;
        assert_eq!(code(person.open_break_glass(opening(&task)).await), not_permitted("RIGHT_MISSING"), "{who}");
    }
    let long_ago = world.corp.stale_token("1007", ACTING, Duration::from_secs(3600));
    let long_ago = world.broker.person(&long_ago).await;
    let stale = (Code::Unauthenticated, "AUTHENTICATION_STALE".to_owned());
    assert_eq!(code(long_ago.open_break_glass(opening(&task)).await), stale);
    for caller in [world.broker.operator().await, world.broker.orchestrator().await, world.broker.scorer().await] {
        assert_eq!(code(caller.open_break_glass(opening(&task)).await), not_permitted("METHOD_NOT_ALLOWED"));
    }
    // Ann has the right, and the task is hers.
    let answer = world.ann().await.open_break_glass(opening(&task)).await.unwrap();
    let decision = answer.decision.unwrap();
    assert!(answer.break_glass.is_none());
    assert_eq!((decision.outcome(), codes(&decision)), (Outcome::Denied, vec!["NOT_INDEPENDENT".to_owned()]));
    let (_, _, other) = world.broker.at_work().await;
    opened(&world.ann().await, opening(&other)).await;
}

#[tokio::test]
async fn what_is_asked_wrongly_is_told_and_opens_nothing() {
    let world = World::new().await;
    let (_, task) = world.of_ann().await;
    let gus = world.gus().await;
    let good = opening(&task);
    let life = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
    let wrong = [
        ("no justification", v1::OpenBreakGlassRequest { justification: String::new(), ..good.clone() }),
        ("a word", v1::OpenBreakGlassRequest { justification: "  because   ".to_owned(), ..good.clone() }),
        ("a long one", v1::OpenBreakGlassRequest { justification: "x".repeat(3000), ..good.clone() }),
        ("no access", v1::OpenBreakGlassRequest { access: None, ..good.clone() }),
        ("too long a life", v1::OpenBreakGlassRequest { life: life(3601, 0), ..good.clone() }),
        ("no life", v1::OpenBreakGlassRequest { life: life(0, 0), ..good.clone() }),
        ("a life below zero", v1::OpenBreakGlassRequest { life: life(-1, 0), ..good.clone() }),
        ("a part of a second", v1::OpenBreakGlassRequest { life: life(60, 1), ..good.clone() }),
        ("too many uses", v1::OpenBreakGlassRequest { uses_max: 17, ..good.clone() }),
        ("no task", v1::OpenBreakGlassRequest { task_id: "x".to_owned(), ..good.clone() }),
        ("no audience", v1::OpenBreakGlassRequest { audience: String::new(), ..good.clone() }),
    ];
    for (what, request) in wrong {
        assert_eq!(code(gus.open_break_glass(request).await).0, Code::InvalidArgument, "{what}");
    }
    let unknown = v1::OpenBreakGlassRequest { task_id: format!("task_{}", "0".repeat(32)), ..good.clone() };
    assert_eq!(code(gus.open_break_glass(unknown).await).0, Code::NotFound);
    // What policy has no word in, it opens nothing for either.
    let burn = Some(access("tickets.burn", &json!({})));
    let denied = gus.open_break_glass(v1::OpenBreakGlassRequest { access: burn, ..good }).await.unwrap();
    assert_eq!(codes(&denied.decision.unwrap()), ["TOOL_UNKNOWN"]);
    assert!(denied.break_glass.is_none());
    let request = v1::ListBreakGlassRequest::default();
    assert!(gus.break_glass().list_break_glass(request).await.unwrap().into_inner().break_glass.is_empty());
    assert!(world.broker.record.of_kind("break_glass_used").await.is_empty());
}
