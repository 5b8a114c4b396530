//! What it means that a bundle only observes, the one exception to invariants 3 and 8: policy's answer is made as always and not
//! enforced, and nothing else is lifted.

use super::*;
use crate::model::approval::{ApprovalFacts, Verdict};
use crate::model::id::ApprovalId;

/// When observing ends by the bundle: ten minutes after the facts were gathered.
const UNTIL: &str = "until = 2027-01-15T08:10:00Z\n";

fn until() -> Timestamp {
    Timestamp::from_secs(1_800_000_600)
}

fn observing(classes: &str, changes: &[(&str, &str)]) -> PolicyBundle {
    let text = format!("{UNTIL}{classes}");
    let changes: Vec<_> = changes.iter().copied().chain([("observe.toml", text.as_str())]).collect();
    load(&changes)
}

fn all() -> &'static PolicyBundle {
    static BUNDLE: OnceLock<PolicyBundle> = OnceLock::new();
    BUNDLE.get_or_init(|| observing("classes = [\"service_account\", \"ai_agent\", \"orchestrator\"]", &[]))
}

/// The facts as the broker has them when the bundle was activated a while ago.
fn observed(facts: Facts) -> Facts {
    Facts { observing: Some(until()), ..facts }
}

fn rule(outcome: &str) -> String {
    format!(
        "@id(\"x\") @reason(\"EFFECT_NOT_ALLOWED\") @outcome(\"{outcome}\") forbid (principal, action, resource == \
         Carnet::Tool::\"mail.read\");"
    )
}

#[test]
fn the_end_is_read_as_it_is_written() {
    assert_eq!(all().observe().unwrap().until(), until());
}

#[test]
fn every_answer_is_made_as_always_and_granted_as_asked() {
    let both = || observed(facts(&["mail.search", "mail.read"]));
    for (outcome, answer) in [
        ("narrowed", Outcome::Narrowed),
        ("step_up", Outcome::StepUp),
        ("review", Outcome::Review),
        ("denied", Outcome::Denied),
    ] {
        let bundle = observing("classes = [\"ai_agent\"]", &[("x.cedar", &rule(outcome))]);
        let decision = decide(&bundle, &both());
        assert_eq!((decision.outcome, decision.in_force()), (answer, Outcome::Granted), "{outcome}");
        assert!(decision.observed_only() && decision.grants(), "{outcome}");
        assert_eq!(codes(&decision), ["EFFECT_NOT_ALLOWED"], "{outcome}");
        assert!(decision.policies.iter().any(|policy| policy.as_str() == "x"), "{outcome}");
        assert!(decision.entries.iter().all(|entry| entry.included && !entry.actions.is_empty()), "{outcome}");
        assert!(decision.entries[1].observed_only, "{outcome}");
        assert_eq!(decision.entries[0].observed_only, outcome != "narrowed", "{outcome}");
        // What it would have been is what it is for another class.
        let elsewhere = observing("classes = [\"service_account\"]", &[("x.cedar", &rule(outcome))]);
        let withheld = decide(&elsewhere, &both());
        assert_eq!((withheld.outcome, withheld.instead), (answer, None), "{outcome}");
        assert_eq!(decision.enforced(), withheld, "{outcome}");
    }
}

#[test]
fn what_no_permit_matches_is_granted_for_as_long_as_nothing_says() {
    let none = "@id(\"p\") permit (principal, action == Carnet::Action::\"write\", resource);";
    let decision = decide(&observing("", &[("10-permits.cedar", none)]), &observed(facts(&["mail.read"])));
    assert_eq!((decision.outcome, decision.in_force()), (Outcome::Denied, Outcome::Granted));
    assert_eq!((codes(&decision), decision.ttl_max), (vec!["NO_PERMIT"], Ttl::DEFAULT));
}

#[test]
fn a_band_alone_is_observed_and_the_life_that_it_leaves_holds() {
    let decision = decide_at(all(), &observed(facts(&["tickets.read"])), in_band(Band::Critical));
    // The rule of the shipped bundle that shortens lives from `elevated` on.
    assert_eq!((decision.outcome, decision.in_force()), (Outcome::Review, Outcome::Narrowed));
    assert_eq!((decision.ttl_max.as_secs(), decision.approvals_needed), (60, 1));
    let short = decide_at(all(), &observed(facts(&["tickets.read"])), in_band(Band::Elevated));
    assert_eq!((short.outcome, short.instead, short.ttl_max.as_secs()), (Outcome::Narrowed, None, 60));
    // A token that lives already is not taken for what another would be given less of.
    let staying = Facts { question: Question::Retain, ..observed(facts(&["tickets.read"])) };
    let staying = decide_at(all(), &staying, in_band(Band::Elevated));
    assert_eq!((staying.outcome, staying.in_force()), (Outcome::Narrowed, Outcome::Granted));
    let mut longer = observed(facts(&["mail.read"]));
    longer.ttl_asked = Some(Ttl::MAX);
    let cut = decide(&observing("", &[("x.cedar", &rule("denied"))]), &longer);
    assert_eq!((cut.outcome, cut.in_force(), cut.ttl_max.as_secs()), (Outcome::Denied, Outcome::Narrowed, 300));
    assert!(cut.entries[0].included);
}

#[test]
fn what_is_no_answer_of_policy_holds() {
    let denied = |change: &dyn Fn(&mut Facts), code: &str| {
        let mut asked = observed(facts(&["mail.send"]));
        change(&mut asked);
        let decision = decide(all(), &asked);
        assert_eq!((decision.outcome, decision.instead), (Outcome::Denied, None), "{code}");
        assert!(codes(&decision).contains(&code), "{code}: {:?}", codes(&decision));
        assert!(decision.entries.iter().all(|entry| !entry.included), "{code}");
    };
    denied(&|f| f.principal.known = false, "IDENTITY_UNKNOWN");
    denied(&|f| f.principal.authentication = Authentication::JwtSvid, "KEY_NOT_PROVEN");
    denied(&|f| f.task.state = TaskState::Paused, "TASK_PAUSED");
    denied(&|f| f.task.state = TaskState::Cancelled, "TASK_ENDED");
    denied(&|f| f.task.remaining_s = 0, "DEADLINE_PASSED");
    denied(&|f| f.task.blocks = vec!["agent".to_owned()], "BLOCKED");
    denied(&|f| f.task.audience_allowed = false, "AUDIENCE_NOT_IN_TASK");
    denied(&|f| f.audience = None, "AUDIENCE_MISMATCH");
    denied(&|f| f.entries.clear(), "NO_PERMIT");
    denied(&|f| f.entries[0].tool = "no.such".parse().unwrap(), "TOOL_UNKNOWN");
    denied(&|f| f.entries[0].tool = "break-glass".parse().unwrap(), "BREAK_GLASS_NOT_FOR_AGENTS");
    denied(&|f| f.entries[0].actions = vec!["no_such".to_owned()], "ACTION_UNKNOWN");
    denied(&|f| f.entries[0].ceiling = CeilingFit::Outside { breaches: vec![Breach::Tool] }, "CEILING_EXCEEDED");
    denied(&|f| f.version = FACTS_VERSION + 1, "POLICY_ERROR");
    // Whoever may be no principal of the action is asked about by no policy.
    denied(&|f| f.principal.class = IdentityClass::Orchestrator, "NO_PERMIT");
    // A doubt beside it changes nothing.
    denied(
        &|f| {
            f.entries[0].sinks = vec![sink("mail.send", "to", Provenance::None)];
            f.task.blocks = vec!["initiator".to_owned()];
        },
        "BLOCKED",
    );
}

#[test]
fn a_tool_that_nobody_owns_holds() {
    let catalogue = "[tools.\"mail.send\"]\ndescription = \"\"\neffect = \"send\"\nprivilege = 1\n[tools.\"x\"]\ndescription =                      \"\"\neffect = \"read\"\nprivilege = 1\nowner = \"o\"\n";
    let permit = "@id(\"p\") permit (principal, action, resource);";
    let rest = ["20-provenance", "30-taint", "40-people", "50-risk", "60-tasks", "70-break-glass"];
    let rest = rest.map(|n| format!("{n}.cedar"));
    let tests = ["structure", "use", "people", "risk", "tasks", "break-glass"].map(|n| format!("tests/{n}.toml"));
    let mut changes = vec![("catalogue.toml", catalogue), ("10-permits.cedar", permit)];
    changes.extend(rest.iter().chain(&tests).map(|path| (path.as_str(), "")));
    let decision = decide(&observing("", &changes), &observed(facts(&["mail.send"])));
    assert_eq!((decision.outcome, decision.instead), (Outcome::Denied, None));
    assert_eq!(codes(&decision), ["TOOL_UNOWNED"]);
}

#[test]
fn a_policy_that_cannot_be_evaluated_holds() {
    let bad = "@id(\"bad\") @reason(\"FORBIDDEN\") @outcome(\"review\") forbid (principal, action in \
               Carnet::Action::\"use\", resource) when { context.caller.svid_age_s * 9223372036854775807 > 0 };";
    let decision = decide(&observing("", &[("x.cedar", bad)]), &observed(facts(&["mail.send"])));
    assert_eq!((decision.outcome, decision.instead), (Outcome::Denied, None));
    assert_eq!(codes(&decision), ["POLICY_ERROR"]);
}

#[test]
fn a_ceiling_trims_what_policy_would_deny_all_the_same() {
    let mut asked = observed(facts(&["tickets.search"]));
    asked.entries[0].resources = vec!["queue-a".to_owned(), "queue-b".to_owned()];
    asked.entries[0].ceiling =
        CeilingFit::Outside { breaches: vec![Breach::Resource { resource: "queue-b".to_owned() }] };
    asked.signals = vec![signal("compromise_reported", "siem", 60)];
    let decision = decide(all(), &asked);
    assert_eq!((decision.outcome, decision.in_force()), (Outcome::Denied, Outcome::Narrowed));
    assert_eq!(decision.entries[0].resources, ["queue-a"]);
    // What nothing would be left of is asked about as always.
    asked.entries[0].resources.remove(0);
    let nothing = decide(all(), &asked);
    assert_eq!((nothing.outcome, nothing.instead), (Outcome::Denied, None));
}

#[test]
fn it_ends_by_the_bundle_and_by_its_activation() {
    let asked = |now: Timestamp, observing: Option<Timestamp>| {
        let mut asked = facts(&["mail.send"]);
        asked.signals = vec![signal("compromise_reported", "siem", 60)];
        decide(all(), &Facts { now, observing, ..asked }).grants()
    };
    let (end, just_before) = (until(), Timestamp::from_millis(until().as_millis() - 1));
    assert!(asked(just_before, Some(end)));
    assert!(!asked(end, Some(Timestamp::MAX)), "the bundle's own end");
    let activation = Timestamp::from_secs(1_800_000_100);
    assert!(!asked(activation, Some(activation)), "as long as it may from its activation");
    assert!(!asked(just_before, None), "nobody says when it was activated");
    let mut denied = observed(facts(&["mail.send"]));
    denied.signals = vec![signal("compromise_reported", "siem", 60)];
    assert!(!decide(shipped(), &denied).grants(), "facts alone lift nothing");
}

/// What people said.
fn answered(verdict: Verdict) -> ApprovalFacts {
    ApprovalFacts {
        id: ApprovalId::new(Timestamp::EPOCH, [1; 10]),
        verdict,
        by: Vec::new(),
        policy_digest: all().digest().to_string(),
        band: Band::Low,
        cures: Vec::new(),
        until: Timestamp::MAX,
        used: false,
    }
}

#[test]
fn what_a_person_refused_stays_refused_and_what_was_approved_is_not_used() {
    let mut asked = observed(facts(&["mail.send"]));
    asked.entries[0].sinks = vec![sink("mail.send", "to", Provenance::None)];
    assert!(decide(all(), &asked).observed_only());
    let refused = Facts { approval: Some(answered(Verdict::Denied)), ..asked.clone() };
    let decision = decide(all(), &refused);
    assert_eq!((decision.outcome, decision.instead), (Outcome::Denied, None));
    assert!(codes(&decision).contains(&"APPROVAL_DENIED"));
    // A rule that denies by now does not make it anybody's.
    let denies = observing("", &[("x.cedar", &rule("denied").replace("mail.read", "mail.send"))]);
    assert!(!decide(&denies, &refused).grants());
    let unanswered = Facts { approval: Some(answered(Verdict::Unanswered)), ..asked };
    assert!(decide(all(), &unanswered).observed_only(), "nobody's word");
}

#[test]
fn of_several_entries_what_a_person_refused_is_granted_in_no_part_whatever_policy_would_do() {
    for outcome in ["narrowed", "step_up", "review", "denied"] {
        let bundle = observing("", &[("x.cedar", &rule(outcome))]);
        let both = observed(facts(&["mail.search", "mail.read"]));
        assert!(decide(&bundle, &both).observed_only(), "{outcome}");
        let refused = Facts { approval: Some(answered(Verdict::Denied)), ..both };
        let decision = decide(&bundle, &refused);
        assert_eq!((decision.outcome, decision.instead), (Outcome::Denied, None), "{outcome}");
        assert!(codes(&decision).contains(&"APPROVAL_DENIED"), "{outcome}");
        assert!(decision.entries.iter().all(|entry| !entry.included), "{outcome}");
        // Where nothing is lifted, nobody's word is in the way.
        let clear = Facts { approval: refused.approval.clone(), ..observed(facts(&["mail.search"])) };
        assert_eq!(decide(&bundle, &clear).in_force(), Outcome::Granted, "{outcome}");
    }
}

#[test]
fn a_rule_that_shortens_lives_asks_about_a_task_and_is_lifted_where_it_is_observed() {
    let asked = || {
        let mut asked = observed(facts(&["mail.send"]));
        asked.entries.clear();
        asked.audience = None;
        asked.question = Question::Register;
        asked.principal.class = IdentityClass::Orchestrator;
        asked.registration = Some(RegistrationFacts {
            agent_class: Some(IdentityClass::AiAgent),
            ceiling: None,
            audiences: Vec::new(),
            life_s: 600,
            widens: false,
            first_ceiling: false,
            beyond_parent: Vec::new(),
            amends: None,
        });
        asked
    };
    // Of a task there is no token whose life could be cut, be that shorter than any or not.
    for ttl in ["60s", "900s"] {
        let short = format!(
            "@id(\"x\") @reason(\"HIGH_PRIVILEGE\") @outcome(\"narrowed\") @ttl(\"{ttl}\") forbid (principal, action == \
             Carnet::Action::\"register_task\", resource);"
        );
        let decision = decide(&load(&[("x.cedar", &short)]), &asked());
        assert!(decision.outcome.waits_for_people(), "{ttl}: {}", decision.outcome);
        assert_eq!(codes(&decision), ["HIGH_PRIVILEGE"], "{ttl}");
        let watched = decide(&observing("classes = [\"orchestrator\"]", &[("x.cedar", &short)]), &asked());
        assert_eq!((watched.outcome, watched.in_force()), (decision.outcome, Outcome::Granted), "{ttl}");
    }
}

#[test]
fn registrations_are_observed_for_the_class_of_who_asks() {
    let mut asked = observed(facts(&["mail.send"]));
    asked.entries.clear();
    asked.audience = None;
    asked.question = Question::Register;
    asked.principal.class = IdentityClass::Orchestrator;
    let registration = RegistrationFacts {
        agent_class: Some(IdentityClass::AiAgent),
        ceiling: None,
        audiences: Vec::new(),
        life_s: 1_000_000,
        widens: false,
        first_ceiling: false,
        beyond_parent: Vec::new(),
        amends: None,
    };
    asked.registration = Some(registration.clone());
    let decision = decide(all(), &asked);
    assert_eq!((decision.outcome, decision.in_force()), (Outcome::Denied, Outcome::Granted));
    assert_eq!(codes(&decision), ["LIMIT_EXCEEDED"]);
    let agents_only = observing("classes = [\"ai_agent\"]", &[]);
    assert_eq!(decide(&agents_only, &asked).instead, None);
    let beyond = RegistrationFacts { beyond_parent: vec!["deadline".to_owned()], ..registration.clone() };
    assert!(!decide(all(), &Facts { registration: Some(beyond), ..asked.clone() }).grants());
    let stranger = RegistrationFacts { agent_class: None, ..registration };
    assert!(!decide(all(), &Facts { registration: Some(stranger), ..asked.clone() }).grants());
    asked.question = Question::BreakGlass;
    assert!(!decide(all(), &asked).grants(), "what people open is decided as always");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    // So all that is held of answers is held of these too.
    #[test]
    fn what_would_be_is_what_is_where_policy_is_enforced(f in any_facts()) {
        let enforced = decide(shipped(), &f);
        let watched = decide(all(), &observed(f.clone()));
        prop_assert_eq!(&watched.enforced(), &enforced);
        prop_assert!(!watched.observed_only() || (watched.grants() && watched.in_force() <= enforced.outcome));
        prop_assert!(f.principal.class.is_decided_about() || !watched.observed_only());
    }

    #[test]
    fn what_a_person_refused_is_granted_only_where_policy_grants_it_by_itself(f in any_facts()) {
        let refused = Facts { approval: Some(answered(Verdict::Denied)), ..f };
        let watched = decide(all(), &observed(refused.clone()));
        prop_assert!(!watched.observed_only());
        prop_assert!(!watched.grants() || watched == decide(shipped(), &refused));
    }

    #[test]
    fn what_is_granted_all_the_same_lives_no_longer_and_covers_no_more_than_was_asked(f in any_facts()) {
        let watched = decide(all(), &observed(f.clone()));
        prop_assert_eq!(watched.ttl_max, decide(shipped(), &f).ttl_max);
        if watched.observed_only() && f.registration.is_none() {
            prop_assert!(watched.entries.iter().any(|entry| entry.included));
            for (entry, asked) in watched.entries.iter().zip(&f.entries) {
                prop_assert!(entry.resources.iter().all(|resource| asked.resources.contains(resource)));
                let CeilingFit::Outside { breaches } = &asked.ceiling else { continue };
                for breach in breaches {
                    let Breach::Resource { resource } = breach else {
                        prop_assert!(!entry.included, "{breach:?}");
                        continue;
                    };
                    prop_assert!(!entry.resources.contains(resource));
                }
            }
        }
    }
}
