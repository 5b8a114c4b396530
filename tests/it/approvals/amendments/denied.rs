//! A denial of an amendment: it stands against the same thing however it is asked for again, and against nothing else.

use super::*;

async fn no(world: &World, decision: &v1::Decision) {
    let approval = answer(&world.rae().await, decision, Verdict::Deny).await.unwrap();
    assert_eq!(approval.state(), ApprovalState::Denied);
}

fn to_ceiling(task: &OpenTask, ceiling: v1::Ceiling) -> v1::AmendTaskRequest {
    v1::AmendTaskRequest { ceiling: Some(ceiling), ..amendment(task) }
}

fn mails(to: &[&str]) -> v1::Ceiling {
    limiting(ceiling(&["mail.send"]), "mail.send", values("to", to))
}

fn pays(per_call_max: &str, total_max: &str) -> v1::Ceiling {
    let caps = v1::SinkCeiling {
        sink: "amount".to_owned(),
        per_call_max: per_call_max.to_owned(),
        total_max: total_max.to_owned(),
        ..v1::SinkCeiling::default()
    };
    limiting(ceiling(&["payments.pay"]), "payments.pay", caps)
}

#[tokio::test]
async fn another_spelling_and_many_things_around_it_make_it_no_other_question() {
    let world = World::new().await;
    let (orchestrator, _, task) = world.under(&["mail.send"]).await;
    let decision = asked(&orchestrator, to_ceiling(&task, mails(&["eve@evil.test"]))).await;
    no(&world, &decision).await;
    let crowd: Vec<String> = (0..300).map(|n| format!("a{n}@corp.test")).collect();
    let mut crowded: Vec<&str> = crowd.iter().map(String::as_str).collect();
    crowded.push("eve@evil.test");
    for (name, to) in [("spelled otherwise", vec!["eve@EVIL.test"]), ("behind others", crowded)] {
        let codes = denied(&orchestrator, to_ceiling(&task, mails(&to))).await;
        assert_eq!(codes[0], "APPROVAL_DENIED", "{name}");
    }
    asked(&orchestrator, to_ceiling(&task, mails(&["Eve@evil.test"]))).await;
}

#[tokio::test]
async fn what_adds_more_than_is_looked_through_is_held_to_be_what_was_denied() {
    let world = World::new().await;
    let (orchestrator, _, task) = world.under(&["mail.send"]).await;
    // A thousand of one sink at most, so it takes two.
    let many = |sink: &'static str| {
        let all: Vec<String> = (0..600).map(|n| format!("{sink}{n}@corp.test")).collect();
        values(sink, &all.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let crowd = || limiting(limiting(ceiling(&["mail.send"]), "mail.send", many("cc")), "mail.send", many("bcc"));
    let before = asked(&orchestrator, to_ceiling(&task, crowd())).await;
    let decision = asked(&orchestrator, to_ceiling(&task, mails(&["eve@evil.test"]))).await;
    no(&world, &decision).await;
    let codes = denied(&orchestrator, to_ceiling(&task, crowd())).await;
    assert_eq!(codes[0], "APPROVAL_DENIED");
    world.broker.advance(ApprovalSettings::default().denial_stands);
    assert_eq!(asked(&orchestrator, to_ceiling(&task, crowd())).await.approval_id, before.approval_id);
}

#[tokio::test]
async fn a_limit_that_would_be_raised_is_denied_whatever_the_number() {
    let world = World::new().await;
    let token = world.corp.token("1001", INITIATING);
    let orchestrator = world.broker.orchestrator().await;
    let registration = v1::RegisterTaskRequest { ceiling: Some(pays("50", "100")), ..world.initiated_by(token) };
    let task = orchestrator.open(registration).await;
    let decision = asked(&orchestrator, to_ceiling(&task, pays("1000", "100"))).await;
    no(&world, &decision).await;
    for other in ["1000.0", "1001", "60", ""] {
        let codes = denied(&orchestrator, to_ceiling(&task, pays(other, "100"))).await;
        assert_eq!(codes[0], "APPROVAL_DENIED", "{other:?}");
    }
    asked(&orchestrator, to_ceiling(&task, pays("50", "101"))).await;
}

#[tokio::test]
async fn a_first_ceiling_that_was_denied_is_what_it_names_and_not_the_tool() {
    let world = World::new().await;
    let orchestrator = world.broker.orchestrator().await;
    let (_, task) = world.anns().await;
    let decision = asked(&orchestrator, to_ceiling(&task, mails(&["eve@evil.test"]))).await;
    no(&world, &decision).await;
    let (_, other) = world.anns().await;
    let codes = denied(&orchestrator, to_ceiling(&other, mails(&["eve@evil.test", "ops@corp.test"]))).await;
    assert_eq!(codes[0], "APPROVAL_DENIED", "she is among them");
    asked(&orchestrator, to_ceiling(&other, mails(&["ops@corp.test"]))).await;
    amended(&orchestrator, to_ceiling(&other, ceiling(&["mail.send"]))).await;
}

fn mails_to_domain(domain: &str) -> v1::Ceiling {
    let pattern = Some(v1::sink_pattern::Pattern::Domain(domain.to_owned()));
    let to = v1::SinkCeiling { patterns: vec![v1::SinkPattern { pattern }], ..values("to", &[]) };
    limiting(ceiling(&["mail.send"]), "mail.send", to)
}

fn files(resources: &[&str], patterns: &[&str]) -> v1::Ceiling {
    let mut files = limiting(ceiling(&["files.write", "mail.send"]), "mail.send", values("to", &["ops@corp.test"]));
    files.tools[0].resources = [&["mine"], resources].concat().iter().map(ToString::to_string).collect();
    files.tools[0].resource_patterns = patterns.iter().map(ToString::to_string).collect();
    files
}

#[tokio::test]
async fn what_is_within_what_was_denied_was_denied_and_so_was_what_holds_it() {
    let world = World::new().await;
    let orchestrator = world.broker.orchestrator().await;
    let token = world.corp.token("1001", INITIATING);
    let registration = v1::RegisterTaskRequest { ceiling: Some(files(&[], &[])), ..world.initiated_by(token) };
    let task = orchestrator.open(registration).await;
    let with = |mail: v1::Ceiling| {
        let mut with = files(&[], &[]);
        with.tools[1] = mail.tools.into_iter().next().unwrap();
        with
    };
    let (of, to) = (|domain: &str| with(mails_to_domain(domain)), |to: &str| with(mails(&[to])));
    for (denied_first, within, beside) in [
        (
            of("*.evil.test"),
            vec![of("*.a.evil.test"), of("b.evil.test"), to("eve@x.evil.test"), of("*.test")],
            to("bob@evil.test"),
        ),
        (to("eve@worse.test"), vec![of("worse.test"), to("eve@WORSE.test")], to("bob@worse.test")),
        (files(&["p/a"], &[]), vec![files(&[], &["p/a"]), files(&[], &["p/*"])], files(&["p/b"], &[])),
        (files(&[], &["q/**"]), vec![files(&[], &["q/*"]), files(&["q/x/y"], &[])], files(&["q-2/x"], &[])),
        (files(&[], &["r/a"]), vec![files(&["r/a"], &[])], files(&["r/a/b"], &[])),
    ] {
        no(&world, &asked(&orchestrator, to_ceiling(&task, denied_first.clone())).await).await;
        for ceiling in within {
            let codes = denied(&orchestrator, to_ceiling(&task, ceiling.clone())).await;
            assert_eq!(codes[0], "APPROVAL_DENIED", "{ceiling:?} after {denied_first:?}");
        }
        // It is another question; and so that not too many wait, its answer is yes.
        approve(&world.rae().await, &asked(&orchestrator, to_ceiling(&task, beside)).await).await;
    }
}
