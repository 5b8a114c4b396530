//! What becomes of questions under another bundle, how far a denial reaches, who is asked as whom, and what a bundle says of who approves.

use carnet::policy::bundle::BundleFiles;

use super::*;
use crate::support::ask::MANY_WAIT;

fn first((outcome, codes): (Outcome, Vec<String>)) -> (Outcome, String) {
    (outcome, codes[0].clone())
}

fn denied() -> (Outcome, String) {
    (Outcome::Denied, "APPROVAL_DENIED".to_owned())
}

/// The bundle in force with one more rule.
fn with_rule(rule: &str) -> BundleFiles {
    policy_with(|path, text| if path == "40-people.cedar" { format!("{text}\n{rule}") } else { text })
}

fn forbids_approving(when: &str) -> BundleFiles {
    with_rule(&format!(
        "@id(\"x\") @reason(\"FORBIDDEN\") @outcome(\"denied\") forbid (principal is Carnet::Person, \
         action == Carnet::Action::\"approve\", resource) when {{ {when} }};"
    ))
}

fn made_of(model: &str, request: v1::RequestCredentialRequest) -> v1::RequestCredentialRequest {
    let profile = v1::AgentProfile { model: model.to_owned(), ..v1::AgentProfile::default() };
    v1::RequestCredentialRequest { agent_profile: Some(profile), ..request }
}

fn renewal(task: &OpenTask, grant: &str, model: &str) -> v1::RenewCredentialRequest {
    let profile = v1::AgentProfile { model: model.to_owned(), ..v1::AgentProfile::default() };
    v1::RenewCredentialRequest { agent_profile: Some(profile), ..task.renewal(grant) }
}

#[tokio::test]
async fn what_waits_is_over_when_another_bundle_comes_into_force() {
    let settings = ApprovalSettings { pending_per_agent_max: 2, ..ApprovalSettings::default() };
    let mut world = World::asking(settings).await;
    let (agent, task) = world.anns().await;
    let mail = |to: &str| task.step("mail.send", &json!({ "to": [to], "subject": "T-1000", "body": "It is solved." }));
    let (waits, approved) = (pending(&agent, mail("eve@evil.test")).await, pending(&agent, mail("m@evil.test")).await);
    let rae = world.rae().await;
    approve(&rae, &approved).await;
    world.broker.activate(&with_rule("")).await;
    let sam = world.corp("1006").await;
    for decision in [&waits, &approved] {
        assert_eq!(state(&sam, &decision.approval_id).await, ApprovalState::Closed);
        assert_eq!(refused(&sam, decision).await, (Code::FailedPrecondition, "APPROVAL_CHANGED".to_owned()));
    }
    assert!(listed(&rae, ApprovalState::Pending).await.is_empty());
    // Nor does it hold a place.
    let next = pending(&agent, mail("x@evil.test")).await;
    let again = pending(&agent, mail("eve@evil.test")).await;
    assert_ne!(again.approval_id, waits.approval_id);
    approve(&rae, &next).await;
    agent.granted(mail("x@evil.test")).await;
    world.broker.restart().await;
    assert_eq!(state(&world.rae().await, &waits.approval_id).await, ApprovalState::Closed, "after a restart, too");
}

#[tokio::test]
async fn a_denial_is_not_got_round_by_words_that_mean_nothing() {
    let world = World::new().await;
    let (agent, task) = world.anns().await;
    let rae = world.rae().await;
    answer(&rae, &pending(&agent, to_eve(&task)).await, Verdict::Deny).await.unwrap();
    for resource in ["a", "b"] {
        let mut request = to_eve(&task);
        request.access[0].resources = vec![resource.to_owned()];
        assert_eq!(first(agent.withheld(request).await), denied(), "{resource}");
    }
    for to in [vec!["eve@EVIL.test"], vec!["eve@evil.test", "bob@example.org"]] {
        let mail = json!({ "to": to, "subject": "T-1000", "body": "It is solved." });
        assert_eq!(first(agent.withheld(task.step("mail.send", &mail)).await), denied(), "{to:?}");
    }
    let fetch = |url: &str| task.step("web.fetch", &json!({ "url": url }));
    answer(&rae, &pending(&agent, fetch("https://evil.test/x")).await, Verdict::Deny).await.unwrap();
    for url in ["HTTPS://EVIL.test/x", "https://evil.test:443/x"] {
        assert_eq!(first(agent.withheld(fetch(url)).await), denied(), "{url}");
    }
    pending(&agent, fetch("https://evil.test/y")).await;
}

#[tokio::test]
async fn who_was_denied_is_denied_whatever_stands_beside() {
    let world = World::new().await;
    let (agent, task) = world.anns().await;
    let mail = |to: &str, cc: &[&str], files: &[&str]| {
        let files: Vec<_> = files.iter().map(|id| json!({ "file_id": id })).collect();
        json!({ "to": [to], "cc": cc, "attachments": files, "subject": "T-1000", "body": "It is solved." })
    };
    let (eve, bob) = ("eve@evil.test", "bob@example.org");
    let asked = task.step("mail.send", &mail(eve, &[], &["f-1"]));
    answer(&world.rae().await, &pending(&agent, asked).await, Verdict::Deny).await.unwrap();
    let (_, other) = world.anns().await;
    for task in [&task, &other] {
        for (name, mail) in [
            ("to her alone", mail(eve, &[], &[])),
            ("with another file", mail(eve, &[], &["f-2"])),
            ("with a copy", mail(eve, &["x1@evil.test"], &["f-1"])),
            ("with another copy", mail(eve, &["x2@evil.test"], &[])),
            ("as a copy", mail(bob, &["eve@EVIL.test"], &[])),
        ] {
            assert_eq!(first(agent.withheld(task.step("mail.send", &mail)).await), denied(), "{name}");
        }
        // Whom nobody denied is another question.
        pending(&agent, task.step("mail.send", &mail("mallory@evil.test", &[], &[]))).await;
    }
    let waits = world.rae().await;
    assert_eq!(listed(&waits, ApprovalState::Pending).await.len(), 2, "nobody was asked about her again");
}

#[tokio::test]
async fn the_record_says_of_each_reason_one_sentence() {
    let world = World::new().await;
    let (agent, task) = world.anns().await;
    let decision = world.to_confirm(&agent, &task).await;
    let shown = get(&world.ann().await, &decision.approval_id).await.unwrap();
    let (approval, record) = (shown.approval.unwrap(), shown.record.unwrap());
    let told: Vec<&String> = record.reasons.iter().map(|reason| &reason.message).collect();
    assert_eq!(told, approval.doubts.iter().collect::<Vec<_>>(), "as the approval says it");
    assert!(told[0].contains(": ") && !told[0].contains(". "), "{}", told[0]);
}

#[tokio::test]
async fn where_the_whole_was_denied_each_place_is() {
    let world = World::new().await;
    let (agent, task) = world.anns().await;
    let decision = world.to_confirm(&agent, &task).await;
    assert_eq!(codes(&decision), ["TAINTED_EXIT"], "no value of it is in doubt");
    world.broker.advance(Duration::from_secs(2));
    answer(&world.ann().await, &decision, Verdict::Deny).await.unwrap();
    let agent = world.broker.agent().await;
    for file in ["f-1", "f-2"] {
        let files = json!([{ "file_id": file }]);
        let mail = json!({ "to": ["bob@example.org"], "attachments": files, "subject": "T-1000", "body": "Solved." });
        assert_eq!(first(agent.withheld(task.step("mail.send", &mail)).await), denied(), "{file}");
    }
}

#[tokio::test]
async fn a_tool_that_goes_by_values_is_not_known_by_words_where_a_call_has_none() {
    let world = World::new().await;
    let (agent, task) = world.anns().await;
    let mail = |resource: &str| {
        let mut request = task.step("mail.send", &json!({ "subject": "T-1000", "body": "It is solved." }));
        request.access[0].resources = vec![resource.to_owned()];
        request
    };
    agent.granted(task.reading()).await;
    let decision = pending(&agent, mail("a")).await;
    answer(&world.ann().await, &decision, Verdict::Deny).await.unwrap();
    assert_eq!(first(agent.withheld(mail("b")).await), denied());
}

#[tokio::test]
async fn the_denial_of_an_amount_is_one_of_larger_amounts_too() {
    let world = World::new().await;
    let (agent, task) = world.anns().await;
    let pay = |payee: &str, amount: serde_json::Value| {
        task.step("payments.pay", &json!({ "payee": payee, "amount": amount }))
    };
    // The intent names the payee, and not how much that is.
    let known = "DE89370400440532013000";
    let rae = world.rae().await;
    answer(&rae, &pending(&agent, pay(known, json!(100))).await, Verdict::Deny).await.unwrap();
    for amount in [json!("100.00"), json!(100.01), json!(5000)] {
        assert_eq!(first(agent.withheld(pay(known, amount.clone())).await), denied(), "{amount}");
    }
    pending(&agent, pay(known, json!(99.99))).await;
    // Who was denied by himself is denied whatever the amount.
    let stranger = "DE02120300000000202051";
    answer(&rae, &pending(&agent, pay(stranger, json!(100))).await, Verdict::Deny).await.unwrap();
    assert_eq!(first(agent.withheld(pay(stranger, json!(99.99))).await), denied());
}

#[tokio::test]
async fn what_an_agent_shows_first_of_its_make_up_counts_as_registered() {
    let mut world = World::new().await;
    let (agent, task) = world.anns().await;
    let (registered, changed) = (made_of("m-1", task.reading()), made_of("m-2", task.reading()));
    let granted = agent.granted(registered.clone()).await;
    let shown = agent.withheld(changed.clone()).await;
    assert_eq!(first(shown), (Outcome::Review, "PROFILE_CHANGED".to_owned()));
    let answer = agent.renew_credential(renewal(&task, granted.id(), "m-2")).await.unwrap();
    assert!(codes(&answer.decision.unwrap()).contains(&"PROFILE_CHANGED".to_owned()), "a renewal, too");
    world.broker.restart().await;
    let agent = world.broker.agent().await;
    assert_eq!(first(agent.withheld(made_of("m-3", task.reading())).await).1, "PROFILE_CHANGED", "after a restart");
    agent.granted(made_of("m-1", task.reading())).await;
    let (_, silent) = world.anns().await;
    agent.granted(silent.reading()).await;
    agent.granted(made_of("m-1", silent.reading())).await;
    let withheld = agent.withheld(made_of("m-2", silent.reading())).await;
    assert_eq!(first(withheld).1, "PROFILE_CHANGED", "though it said nothing at first");
}

#[tokio::test]
async fn an_approval_of_one_make_up_is_none_of_another() {
    let world = World::new().await;
    let (agent, task) = world.anns().await;
    agent.granted(made_of("m-1", task.reading())).await;
    let decision = pending(&agent, made_of("m-2", task.reading())).await;
    approve(&world.rae().await, &decision).await;
    let granted = agent.granted(made_of("m-2", task.reading())).await;
    let same = agent.renew_credential(renewal(&task, granted.id(), "m-2")).await.unwrap();
    assert!(!same.token.is_empty(), "it goes on with what was approved: {:?}", same.decision);
    let other = agent.renew_credential(renewal(&task, granted.id(), "m-3")).await.unwrap();
    let decision = other.decision.unwrap();
    assert_eq!(decision.outcome(), Outcome::Review, "{decision:?}");
    assert!(codes(&decision).contains(&"PROFILE_CHANGED".to_owned()), "{decision:?}");
}

#[tokio::test]
async fn an_approval_of_a_make_up_that_was_not_told_is_none_of_one_that_is_told_first_when_it_is_renewed() {
    let world = World::new().await;
    let (agent, task) = world.anns().await;
    let decision = pending(&agent, to_eve(&task)).await;
    approve(&world.rae().await, &decision).await;
    let granted = agent.granted(to_eve(&task)).await;
    let same = agent.renew_credential(task.renewal(granted.id())).await.unwrap();
    assert!(!same.token.is_empty(), "{:?}", same.decision);
    let told = agent.renew_credential(renewal(&task, granted.id(), "m-evil")).await.unwrap().decision.unwrap();
    assert_eq!(told.outcome(), Outcome::Review, "{told:?}");
    assert!(codes(&told).contains(&"PROFILE_CHANGED".to_owned()), "{told:?}");
    // What nobody approved is not held to that.
    let (_, unasked) = world.anns().await;
    let granted = agent.granted(unasked.reading()).await;
    let told = agent.renew_credential(renewal(&unasked, granted.id(), "m-1")).await.unwrap();
    assert!(!told.token.is_empty(), "{:?}", told.decision);
}

#[tokio::test]
async fn what_policy_keeps_from_a_reviewer_hides_nothing_that_is_for_him() {
    let world = World::asking(MANY_WAIT).await;
    let (agent, task) = world.anns().await;
    let rule = "context.approver.name == \"rae@example.org\" && context.initiator.verified";
    world.broker.activate(&forbids_approving(rule)).await;
    let mail = |to: &str| task.step("mail.send", &json!({ "to": [to], "subject": "T-1000", "body": "It is solved." }));
    let named = v1::RegisterTaskRequest { initiator: "nightly".to_owned(), ..world.broker.task(INTENT) };
    let first = pending(&agent, to_eve(&world.broker.orchestrator().await.open(named).await)).await;
    for n in 0..66 {
        pending(&agent, mail(&format!("e{n}@evil.test"))).await;
    }
    let rae = world.rae().await;
    let mine =
        |page_token: String| v1::ListApprovalsRequest { for_me: true, page_size: 1, page_token, ..Default::default() };
    let shown = rae.approvals().list_approvals(mine(String::new())).await.unwrap().into_inner();
    let ids: Vec<_> = shown.approvals.iter().map(|one| one.approval_id.as_str()).collect();
    assert_eq!((ids, shown.next_page_token.as_str()), (vec![first.approval_id.as_str()], ""));
    assert!(listed(&rae, ApprovalState::Pending).await.iter().any(|one| !one.may_approve), "she sees the others");
    // Who is kept from none turns page by page.
    let sam = world.corp("1006").await;
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let page = sam.approvals().list_approvals(mine(token)).await.unwrap().into_inner();
        seen.extend(page.approvals.into_iter().map(|one| one.approval_id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 67);
}

#[tokio::test]
async fn a_bundle_may_say_that_somebody_may_not_approve() {
    let world = World::new().await;
    let (agent, task) = world.anns().await;
    world.broker.activate(&forbids_approving("context.approver.name == \"rae@example.org\"")).await;
    let decision = pending(&agent, to_eve(&task)).await;
    let (rae, sam) = (world.rae().await, world.corp("1006").await);
    assert_eq!(refused(&rae, &decision).await, not_permitted("FORBIDDEN"));
    let shown = get(&rae, &decision.approval_id).await.unwrap().approval.unwrap();
    assert_eq!((shown.may_approve, shown.may_deny), (false, true), "a no is anybody's who was asked");
    assert_eq!(approve(&sam, &decision).await.state(), ApprovalState::Approved);
    agent.granted(to_eve(&task)).await;
}

#[tokio::test]
async fn a_bundle_may_say_that_a_yes_is_not_enough() {
    let world = World::new().await;
    let (agent, task) = world.anns().await;
    let rule = "context.settles && context.approver.name == \"rae@example.org\"";
    world.broker.activate(&forbids_approving(rule)).await;
    let decision = pending(&agent, to_eve(&task)).await;
    let approval = approve(&world.rae().await, &decision).await;
    assert_eq!((approval.state(), approval.votes.len()), (ApprovalState::Pending, 1), "it stands, and settles nothing");
    agent.withheld(to_eve(&task)).await;
    assert_eq!(approve(&world.corp("1006").await, &decision).await.state(), ApprovalState::Approved);
    agent.granted(to_eve(&task)).await;
}

#[tokio::test]
async fn a_bundle_that_says_nothing_of_approvals_leaves_it_to_the_structure() {
    let world = World::new().await;
    let (agent, task) = world.anns().await;
    let older = policy_with(|path, text| match path {
        "schema.cedarschema" => format!("{}}}\n", text.split_once("  // ---- approving").unwrap().0),
        "40-people.cedar" => text.split_once("// Who may approve.").unwrap().0.to_owned(),
        _ => text,
    });
    world.broker.activate(&older).await;
    let decision = pending(&agent, to_eve(&task)).await;
    assert_eq!(refused(&world.ann().await, &decision).await, not_permitted("NOT_INDEPENDENT"), "structure stays");
    approve(&world.rae().await, &decision).await;
    agent.granted(to_eve(&task)).await;
}

#[tokio::test]
async fn an_invented_value_beside_does_not_take_the_recipient_out_of_a_denial() {
    let world = World::asking(MANY_WAIT).await;
    let (agent, task) = world.anns().await;
    let mail = |task: &OpenTask, file: &str| {
        let files = json!([{ "file_id": file }]);
        let mail = json!({ "to": ["bob@example.org"], "attachments": files, "subject": "T-1000", "body": "Solved." });
        task.step("mail.send", &mail)
    };
    let rae = world.rae().await;
    let asked = pending(&agent, mail(&task, "f-0")).await;
    assert_eq!(codes(&asked), ["SINK_UNSEEN"]);
    answer(&rae, &asked, Verdict::Deny).await.unwrap();
    assert_eq!(first(agent.withheld(mail(&task, "f-0")).await), denied());
    pending(&agent, mail(&task, "f-1")).await;
    agent.granted(task.reading()).await;
    let asked = pending(&agent, mail(&task, "f-2")).await;
    for code in ["SINK_UNSEEN", "TAINTED_EXIT"] {
        assert!(codes(&asked).contains(&code.to_owned()), "{asked:?}");
    }
    answer(&rae, &asked, Verdict::Deny).await.unwrap();
    let (_, other) = world.anns().await;
    for (task, file) in [(&task, "f-3"), (&task, "f-4"), (&other, "f-5")] {
        assert_eq!(first(agent.withheld(mail(task, file)).await), denied(), "{file}");
    }
    assert_eq!(first(agent.withheld(task.sending()).await), denied(), "without any file");
}

#[tokio::test]
async fn what_many_share_is_denied_for_where_it_was_to_go_and_not_by_itself() {
    let world = World::asking(MANY_WAIT).await;
    let agent = world.broker.agent().await;
    let of = async |intent: &str| {
        let registered = world.initiated_by(world.corp.token("1001", INITIATING));
        let request = v1::RegisterTaskRequest { intent: intent.to_owned(), ..registered };
        world.broker.orchestrator().await.open(request).await
    };
    let role = |task: &OpenTask, user: &str, roles: &[&str]| {
        task.step("users.grant_role", &json!({ "user": user, "role": roles }))
    };
    let rae = world.rae().await;
    let denies = async |intent: &str, user: &str, roles: &[&str]| {
        let task = of(intent).await;
        let read = agent.granted(task.reading()).await;
        let text = json!({ "title": "late", "body": "eve needs the role reader, and bob those of admin and auditor" });
        let report = task.report(read.id(), "tickets.read", &json!({ "ticket_id": "T-1000" }), &text);
        world.broker.resource_server().await.report_tool_call(report).await.unwrap();
        let asked = pending(&agent, role(&task, user, roles)).await;
        assert!(codes(&asked).contains(&"SINK_IN_TEXT".to_owned()), "{asked:?}");
        answer(&rae, &asked, Verdict::Deny).await.unwrap();
    };
    denies("Read ticket T-1000, and do what it says.", "eve", &["reader"]).await;
    let ann = of("Give ann the role reader.").await;
    pending(&agent, role(&ann, "ann", &["reader"])).await;
    assert_eq!(first(agent.withheld(role(&ann, "eve", &["viewer"])).await), denied(), "she was in doubt herself");
    // Beside somebody of whom there was no doubt, each is denied for him.
    denies("Read ticket T-1000, and give bob the roles that it says.", "bob", &["admin", "auditor"]).await;
    let bob = of("Give bob the role admin, and ann the role admin.").await;
    for roles in [&["admin"][..], &["viewer", "auditor"]] {
        assert_eq!(first(agent.withheld(role(&bob, "bob", roles)).await), denied(), "{roles:?}");
    }
    pending(&agent, role(&bob, "bob", &["viewer"])).await;
    pending(&agent, role(&bob, "ann", &["admin"])).await;
}
