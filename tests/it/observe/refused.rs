//! What a person refused stays refused while policy only observes, in whatever company, parts or order it is asked for: nobody is
//! asked again who could say no to it. What nobody refused is granted.

use std::sync::Arc;

use carnet::pb::v1;
use carnet::pb::v1::{Outcome, Verdict};
use carnet::policy::bundle::BundleFiles;
use serde_json::{Value, json};

use super::{LASTS, observed, with_file, written};
use crate::people::World;
use crate::support::ask::{OpenTask, access, audience_of, ceiling, codes};
use crate::support::broker::{Setup, policy_with};
use crate::support::caller::{Caller, Refused, unique};
use crate::support::gate::Gate;
use crate::support::issuer::{ACTING, INITIATING};

const SEARCH: &str = "tickets.search";
const READ: &str = "tickets.read";

/// The shipped bundle with a rule for each of these tools, of that outcome.
fn ruled(rules: &[(&str, &str)]) -> BundleFiles {
    let rule = |(tool, outcome): &(&str, &str)| {
        format!(
            "@id(\"{}\") @reason(\"HIGH_PRIVILEGE\") @outcome(\"{outcome}\")\nforbid (principal, action, resource == \
             Carnet::Tool::\"{tool}\");\n",
            tool.replace('.', "-")
        )
    };
    let rules: String = rules.iter().map(rule).collect();
    policy_with(|path, text| if path == "50-risk.cedar" { text + &rules } else { text })
}

fn read() -> v1::Access {
    access(READ, &json!({ "ticket_id": "T-1000" }))
}

fn search() -> v1::Access {
    access(SEARCH, &json!({}))
}

/// A task that Ann wants, and its agent.
struct Desk {
    world: World,
    ann: Caller,
    agent: Caller,
    task: OpenTask,
}

impl Desk {
    async fn at(setup: Setup) -> Self {
        let world = World::set_up(|_| {}, setup).await;
        let ann = world.broker.person(&world.corp.token("1001", ACTING)).await;
        let agent = world.broker.agent().await;
        let task = Self::task(&world).await;
        Self { world, ann, agent, task }
    }

    async fn with(rules: &[(&str, &str)]) -> Self {
        Self::at(Setup { policy: ruled(rules), ..Setup::default() }).await
    }

    async fn task(world: &World) -> OpenTask {
        let token = world.corp.token("1001", INITIATING);
        world.broker.orchestrator().await.open(world.initiated_by(token)).await
    }

    /// Makes the risk so high that whatever the task asks for is confirmed, with no entry in doubt by itself.
    async fn doubted(&self, task: &OpenTask) {
        let scorer = self.world.broker.scorer().await.unchecked();
        for (name, points) in [("anomaly", 45), ("injection_suspected", 20)] {
            scorer.report_signal(task.signal(name, points)).await.unwrap();
        }
    }

    /// From now on those rules, which are only observed.
    async fn observes(&self, rules: &[(&str, &str)]) {
        let until = written(self.world.broker.pki.now().after(LASTS));
        let files = with_file(&ruled(rules), "observe.toml", &format!("until = {until}\n"));
        self.world.broker.activate(&files).await;
    }

    fn tickets(&self, access: Vec<v1::Access>) -> v1::RequestCredentialRequest {
        self.task.steps(&audience_of(READ), access)
    }

    /// Has people asked about that.
    async fn asked(&self, request: v1::RequestCredentialRequest) -> v1::AnswerApprovalRequest {
        let asked = self.agent.request_credential(request).await.unwrap().decision.unwrap();
        assert!(!asked.approval_id.is_empty(), "{asked:?}");
        v1::AnswerApprovalRequest {
            approval_id: asked.approval_id,
            decision_id: asked.decision_id,
            verdict: Verdict::Deny.into(),
            reason: "no".to_owned(),
        }
    }

    async fn denied(&self, request: v1::RequestCredentialRequest) {
        let answer = self.asked(request).await;
        self.ann.answer_approval(answer).await.unwrap();
    }

    async fn refuses(&self, name: &str, request: v1::RequestCredentialRequest) {
        let (outcome, codes) = self.agent.withheld(request).await;
        assert_eq!(
            (outcome, codes.contains(&"APPROVAL_DENIED".to_owned())),
            (Outcome::Denied, true),
            "{name}: {codes:?}"
        );
    }
}

#[tokio::test]
async fn what_was_refused_of_several_is_not_granted_for_a_rule_that_only_narrows_since() {
    let desk = Desk::with(&[(SEARCH, "step_up")]).await;
    desk.denied(desk.tickets(vec![read(), search()])).await;
    for outcome in ["narrowed", "step_up", "review", "denied"] {
        desk.observes(&[(SEARCH, outcome)]).await;
        desk.refuses(outcome, desk.tickets(vec![read(), search()])).await;
        desk.refuses(outcome, desk.tickets(vec![search()])).await;
        desk.refuses(outcome, desk.tickets(vec![search(), read()])).await;
    }
    // Nothing is lifted of what policy has no doubt of, so nobody's answer is in the way.
    let usual = desk.agent.granted(desk.tickets(vec![read()])).await;
    assert!(!usual.decision.observed_only);
}

#[tokio::test]
async fn what_was_refused_by_itself_is_not_granted_beside_something_else_of_which_there_is_more_doubt() {
    let desk = Desk::with(&[(SEARCH, "step_up")]).await;
    desk.denied(desk.tickets(vec![search()])).await;
    desk.observes(&[(SEARCH, "narrowed"), (READ, "denied")]).await;
    desk.refuses("beside a denied one", desk.tickets(vec![search(), read()])).await;
    let (_, would_be) = observed(&desk.agent, desk.tickets(vec![read()])).await;
    assert_eq!(would_be, Outcome::Denied, "what nobody refused is granted");
    // Nor where all together are in doubt, in another task.
    desk.observes(&[]).await;
    let other = Desk::task(&desk.world).await;
    desk.doubted(&other).await;
    desk.refuses("in another task", other.steps(&audience_of(READ), vec![read(), search()])).await;
}

#[tokio::test]
async fn what_was_refused_together_is_granted_in_no_part_while_observing_and_asked_about_otherwise() {
    let desk = Desk::with(&[]).await;
    desk.doubted(&desk.task).await;
    desk.denied(desk.tickets(vec![read(), search()])).await;
    desk.observes(&[]).await;
    desk.refuses("as it was", desk.tickets(vec![read(), search()])).await;
    desk.refuses("in another order", desk.tickets(vec![search(), read()])).await;
    desk.refuses("the one", desk.tickets(vec![read()])).await;
    desk.refuses("the other", desk.tickets(vec![search()])).await;
    let another = || access(READ, &json!({ "ticket_id": "T-2000" }));
    let (granted, _) = observed(&desk.agent, desk.tickets(vec![another()])).await;
    assert_eq!(granted.grant.access.len(), 1, "another ticket was refused by nobody");
    desk.refuses("beside another", desk.tickets(vec![another(), read()])).await;
    // Where people are asked, each part is a question of its own.
    desk.world.broker.activate(&ruled(&[])).await;
    for part in [read(), search()] {
        let (outcome, codes) = desk.agent.withheld(desk.tickets(vec![part])).await;
        assert_eq!((outcome, codes.contains(&"APPROVAL_DENIED".to_owned())), (Outcome::StepUp, false), "{codes:?}");
    }
}

#[tokio::test]
async fn a_place_that_was_refused_is_not_to_be_had_among_others_nor_under_another_name() {
    let desk = Desk::with(&[]).await;
    let mail = |to: &[&str], cc: &[&str]| {
        let text: Value = json!({ "to": to, "cc": cc, "subject": "T-1000", "body": "It is solved." });
        desk.task.step("mail.send", &text)
    };
    let (bob, eve, mallory) = ("bob@example.org", "eve@example.org", "mallory@example.org");
    desk.denied(mail(&[eve], &[])).await;
    desk.observes(&[]).await;
    desk.refuses("as it was", mail(&[eve], &[])).await;
    desk.refuses("among others", mail(&[bob, eve], &[])).await;
    desk.refuses("as a copy", mail(&[bob], &[eve])).await;
    let (_, would_be) = observed(&desk.agent, mail(&[mallory], &[])).await;
    assert_eq!(would_be, Outcome::Review, "where nobody refused it, it is granted");
}

#[tokio::test]
async fn a_place_that_was_refused_is_not_to_be_had_in_another_spelling() {
    let desk = Desk::with(&[]).await;
    let fetch = |url: &str| access("web.fetch", &json!({ "url": url }));
    let asked = |urls: &[&str]| {
        let all = urls.iter().map(|url| fetch(url)).collect();
        desk.task.steps(&audience_of("web.fetch"), all)
    };
    desk.denied(asked(&["https://evil.test/x", "https://evil.test/y"])).await;
    desk.observes(&[]).await;
    for url in ["https://evil.test/x", "HTTPS://EVIL.test/x", "https://evil.test:443/x"] {
        desk.refuses(url, asked(&[url])).await;
        desk.refuses(url, asked(&["https://news.test/", url])).await;
    }
    observed(&desk.agent, asked(&["https://evil.test/z"])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_while_it_is_on_its_way_in_another_task_is_not_granted() {
    let gate = Arc::new(Gate::default());
    let policy = ruled(&[(SEARCH, "step_up")]);
    let desk = Desk::at(Setup { policy, journal: Gate::journal(&gate), ..Setup::default() }).await;
    desk.observes(&[(SEARCH, "step_up")]).await;
    let (other, filler) = (Desk::task(&desk.world).await, Desk::task(&desk.world).await);
    // What goes beyond a ceiling is asked about all the same.
    let token = desk.world.corp.token("1001", INITIATING);
    let bounded = v1::RegisterTaskRequest { ceiling: Some(ceiling(&[READ])), ..desk.world.initiated_by(token) };
    let bounded = desk.world.broker.orchestrator().await.open(bounded).await;
    let denial = desk.asked(bounded.steps(&audience_of(READ), vec![search()])).await;
    let (agent, ann) = (desk.agent.unchecked(), desk.ann.unchecked());
    let filler = {
        let (agent, request) = (agent.clone(), filler.reading());
        async move { agent.request_credential(request).await }
    };
    let request = other.steps(&audience_of(SEARCH), vec![search()]);
    let asks = async move { agent.request_credential(request).await };
    let denies = async move { ann.answer_approval(denial).await };
    let (denied, asked) = gate.in_order(&desk.world.broker, filler, (denies, asks)).await;
    denied.unwrap();
    let decision = withheld(asked);
    assert_eq!(decision.outcome(), Outcome::Denied, "{decision:?}");
}

#[tokio::test]
async fn an_amendment_that_was_refused_is_not_to_be_had_in_other_numbers() {
    let desk = Desk::with(&[]).await;
    let orchestrator = desk.world.broker.orchestrator().await;
    let calls = |calls_max: u32, more: &[&str]| {
        let mut limits = ceiling(&[&[READ], more].concat());
        limits.tools[0].calls_max = Some(calls_max);
        limits
    };
    let token = desk.world.corp.token("1001", INITIATING);
    let registration = v1::RegisterTaskRequest { ceiling: Some(calls(1, &[])), ..desk.world.initiated_by(token) };
    let task = orchestrator.open(registration).await;
    let amended = async |ceiling: v1::Ceiling| {
        let request = v1::AmendTaskRequest {
            request_id: unique("amend"),
            task_id: task.id.clone(),
            ceiling: Some(ceiling),
            ..v1::AmendTaskRequest::default()
        };
        orchestrator.amend_task(request).await.unwrap().decision.unwrap()
    };
    let asked = amended(calls(5, &[])).await;
    let answer = v1::AnswerApprovalRequest {
        approval_id: asked.approval_id,
        decision_id: asked.decision_id,
        verdict: Verdict::Deny.into(),
        reason: "no".to_owned(),
    };
    desk.ann.answer_approval(answer).await.unwrap();
    let until = written(desk.world.broker.pki.now().after(LASTS));
    let observe = format!("until = {until}\nclasses = [\"orchestrator\"]\n");
    desk.world.broker.activate(&with_file(&ruled(&[]), "observe.toml", &observe)).await;
    for calls_max in [5, 4, 50] {
        let decision = amended(calls(calls_max, &[])).await;
        let refused = codes(&decision).contains(&"APPROVAL_DENIED".to_owned());
        assert_eq!((decision.outcome(), refused), (Outcome::Denied, true), "{calls_max}: {decision:?}");
    }
    let other = amended(calls(1, &[SEARCH])).await;
    assert_eq!((other.outcome(), other.observed_only), (Outcome::Granted, true), "nobody refused another tool");
}

fn withheld(answer: Result<v1::RequestCredentialResponse, Refused>) -> v1::Decision {
    let answer = answer.unwrap();
    assert!(answer.token.is_empty() && answer.grant.is_none(), "granted: {:?}", answer.decision);
    answer.decision.unwrap()
}
