//! Whom a review is for, by the policies that applied and the owners of the tools that they applied to.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use super::*;
use crate::policy::bundle::tests::{load, shipped};
use crate::policy::decide::decide;
use crate::policy::decide::tests::facts;

const OWNED: &str = r#"
@id("owned") @reason("FORBIDDEN") @outcome("review") @route("owner")
forbid (principal, action in Carnet::Action::"use", resource) when { resource.effect != "read" };
"#;
const ANYBODYS: &str = r#"
@id("anybodys") @reason("FORBIDDEN") @outcome("review")
forbid (principal, action in Carnet::Action::"use", resource);
"#;
const HARSH: &str = r#"
@id("harsh") @reason("FORBIDDEN")
forbid (principal, action == Carnet::Action::"spend", resource);
"#;

fn asked(policies: &[&str], tools: &[&str]) -> Vec<String> {
    let catalogue = shipped().iter().find(|(path, _)| *path == "catalogue.toml").map(|(_, text)| text.to_vec());
    let catalogue = String::from_utf8(catalogue.unwrap()).unwrap();
    let (before, calendar) = catalogue.split_once("[tools.\"calendar.create\"]").unwrap();
    let calendar = calendar.replacen("group:workplace", "group:front-desk", 1);
    let catalogue = format!("{before}[tools.\"calendar.create\"]{calendar}");
    let more = policies.concat();
    let bundle = load(&[("90-more.cedar", more.as_str()), ("catalogue.toml", catalogue.as_str())]);
    let facts = facts(tools);
    let decision = decide(&bundle, &facts);
    owners(&bundle, &facts, &decision).iter().map(ToString::to_string).collect()
}

#[test]
fn a_review_is_for_the_owners_of_the_tools_about_which_a_policy_wants_them_asked() {
    assert_eq!(asked(&[OWNED], &["payments.pay"]), ["group:finance"]);
    assert_eq!(asked(&[OWNED, ANYBODYS], &["mail.send", "calendar.create"]), ["group:front-desk", "group:workplace"]);
    assert_eq!(
        asked(&[OWNED, ANYBODYS], &["calendar.create", "mail.read"]),
        ["group:front-desk"],
        "no policy asks for the other"
    );
    assert!(asked(&[ANYBODYS], &["payments.pay"]).is_empty());
}

#[test]
fn the_example_in_the_documentation_does_what_it_says() {
    let page = include_str!("../../../docs/policy.md");
    let (_, example) = page.split_once("```cedar\n").unwrap();
    let (example, rest) = example.split_once("```").unwrap();
    assert!(!rest.contains("```cedar"), "one example, and it is tested");
    assert_eq!(asked(&[example], &["files.delete"]), ["group:workplace"]);
    assert!(asked(&[example], &["files.read"]).is_empty());
}

#[test]
fn what_no_review_cures_is_for_nobody() {
    assert!(asked(&[OWNED, HARSH], &["payments.pay"]).is_empty());
}

#[test]
fn an_amendment_is_for_the_owners_of_the_tools_of_which_the_task_would_have_more() {
    use crate::model::facts::{AmendFacts, Question, RegistrationFacts};
    use crate::model::identity::IdentityClass;
    use crate::model::time::Timestamp;
    const MORE: &str = r#"
@id("owners-business") @reason("WIDENING_NEEDS_APPROVAL") @outcome("review") @route("owner")
forbid (principal, action == Carnet::Action::"amend_task", resource) when { context.widens };
"#;
    let amendment = |gains: &[&str]| {
        let mut facts = facts(&["files.read"]);
        facts.entries.clear();
        facts.question = Question::Amend;
        facts.principal.id = facts.task.orchestrator.clone();
        facts.principal.class = IdentityClass::Orchestrator;
        facts.registration = Some(RegistrationFacts {
            agent_class: Some(IdentityClass::AiAgent),
            ceiling: None,
            audiences: Vec::new(),
            life_s: 60,
            widens: true,
            first_ceiling: false,
            beyond_parent: Vec::new(),
            amends: Some(AmendFacts {
                ceiling_before: None,
                declared_before: true,
                grounds_before: None,
                deadline_before: Timestamp::from_secs(1),
                deadline: Timestamp::from_secs(2),
                adds: Vec::new(),
                takes: Vec::new(),
                gains: gains.iter().map(|tool| tool.parse().unwrap()).collect(),
            }),
        });
        facts
    };
    for (policies, gains, expected) in [
        (MORE, &["payments.pay", "mail.send"][..], &["group:finance", "group:workplace"][..]),
        (MORE, &["payments.pay", "nobody.knows"], &["group:finance"]),
        // That it is to live longer is nobody's in particular.
        (MORE, &[], &[]),
        ("", &["payments.pay"], &[]),
    ] {
        let bundle = load(&[("90-more.cedar", policies)]);
        let facts = amendment(gains);
        let decision = decide(&bundle, &facts);
        assert_eq!(decision.outcome, Outcome::Review, "{:?}", decision.reasons);
        let owners: Vec<String> = owners(&bundle, &facts, &decision).iter().map(ToString::to_string).collect();
        assert_eq!(owners, expected);
    }
}
