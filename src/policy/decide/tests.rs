//! What a decision keeps to, whatever the facts: on chosen cases and on random ones.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod beside;
mod observed;
mod older;
mod scored;
mod unbound;

use std::sync::OnceLock;

use proptest::prelude::*;

use super::*;
use crate::model::ceiling::{Breach, CeilingFit};
use crate::model::facts::{
    ConflictFacts, DictatedFacts, EntryFacts, FACTS_VERSION, FitVerdict, InitiatorFacts, IntentFit, PrincipalFacts,
    RegistrationFacts, SessionFacts, SinkFacts, TaskFacts,
};
use crate::model::id::TaskId;
use crate::model::identity::{Authentication, IdentityClass};
use crate::model::provenance::{Evidence, Provenance};
use crate::model::risk::{Band, Signal};
use crate::model::task::{ProfilePart, TaskState};
use crate::model::time::Timestamp;
use crate::policy::bundle::tests::load;
use crate::policy::cases::in_band;
use crate::policy::reads::Reads;

pub(in crate::policy) fn shipped() -> &'static PolicyBundle {
    static BUNDLE: OnceLock<PolicyBundle> = OnceLock::new();
    BUNDLE.get_or_init(|| load(&[]))
}

pub(in crate::policy) fn facts(tools: &[&str]) -> Facts {
    let task = TaskId::new(Timestamp::from_secs(1), [1; 10]);
    let entries: Vec<_> = tools.iter().map(|t| entry(t)).collect();
    let audience = shipped().catalogue().tool(&entries[0].tool).and_then(|t| t.audience.clone());
    Facts {
        version: FACTS_VERSION,
        question: Question::Request,
        now: Timestamp::from_secs(1_800_000_000),
        principal: PrincipalFacts {
            id: "spiffe://dev.carnet.test/agent/a".parse().unwrap(),
            known: true,
            class: IdentityClass::AiAgent,
            owner: Some("group:agents".parse().unwrap()),
            authentication: Authentication::X509Svid,
            svid_age_s: 10,
            network_declared: true,
            profile_changes: Vec::new(),
        },
        initiator: InitiatorFacts { name: "ann".parse().unwrap(), verified: true },
        task: TaskFacts {
            id: task,
            root: task,
            orchestrator: "spiffe://dev.carnet.test/orchestrator/o".parse().unwrap(),
            agent: "spiffe://dev.carnet.test/agent/a".parse().unwrap(),
            depth: 0,
            ceiling_declared: true,
            age_s: 10,
            remaining_s: 1000,
            outlived: false,
            state: TaskState::Active,
            blocks: Vec::new(),
            audience_allowed: true,
        },
        audience: Some(audience.unwrap_or_else(|| "https://mail.dev.carnet.test".parse().unwrap())),
        entries,
        session: SessionFacts::default(),
        behaviour: None,
        signals: Vec::new(),
        ttl_asked: None,
        registration: None,
        approval: None,
        glass: None,
        opening: None,
        approving: None,
        observing: None,
    }
}

fn entry(tool: &str) -> EntryFacts {
    EntryFacts {
        tool: tool.parse().unwrap(),
        actions: Vec::new(),
        resources: Vec::new(),
        data_classes: Vec::new(),
        ceiling: CeilingFit::Within,
        sinks: Vec::new(),
        intent_fit: IntentFit { verdict: FitVerdict::Implied, ..IntentFit::default() },
        conflicts: Vec::new(),
        calls_before: 0,
        dictated: Vec::new(),
    }
}

pub(in crate::policy) fn sink(tool: &str, name: &str, provenance: Provenance) -> SinkFacts {
    let kind = shipped().catalogue().tool(&tool.parse().unwrap()).unwrap().sink(name).unwrap().kind;
    SinkFacts { name: name.to_owned(), kind, value: "1".to_owned(), provenance, evidence: None, beside_intent: false }
}

fn signal(name: &str, source: &str, points: u32) -> Signal {
    Signal {
        name: name.parse().unwrap(),
        source: source.to_owned(),
        scorer: String::new(),
        points,
        explanation: "because".to_owned(),
        observed: Timestamp::EPOCH,
    }
}

fn codes(decision: &Decision) -> Vec<&'static str> {
    decision.reasons.iter().map(|r| r.code.as_str()).collect()
}

#[test]
fn a_tool_that_nobody_owns_is_denied() {
    let catalogue = "[tools.\"mail.send\"]\ndescription = \"\"\neffect = \"send\"\nprivilege = 1\n[tools.\"x\"]\ndescription = \"\"\neffect = \"read\"\nprivilege = 1\nowner = \"o\"\n";
    let permit = "@id(\"p\") permit (principal, action, resource);";
    let rest = ["20-provenance", "30-taint", "40-people", "50-risk", "60-tasks", "70-break-glass"];
    let rest = rest.map(|n| format!("{n}.cedar"));
    let tests = ["structure", "use", "people", "risk", "tasks", "break-glass"].map(|n| format!("tests/{n}.toml"));
    let mut changes = vec![("catalogue.toml", catalogue), ("10-permits.cedar", permit)];
    changes.extend(rest.iter().chain(&tests).map(|path| (path.as_str(), "")));
    let bundle = load(&changes);
    let decision = decide(&bundle, &facts(&["mail.send"]));
    assert_eq!((decision.outcome, codes(&decision)), (Outcome::Denied, vec!["TOOL_UNOWNED"]));
    assert!(decision.policies.is_empty());
}

#[test]
fn an_evaluation_error_denies_whatever_else_applies() {
    let overflow = "context.task.age_s * 9223372036854775807 > 0";
    let rows = [
        (
            "of a forbid",
            format!(
                "@id(\"bad\") @reason(\"FORBIDDEN\") @outcome(\"step_up\") forbid (principal, action == Carnet::Action::\"read\", resource) when {{ {overflow} }};"
            ),
        ),
        (
            "of a permit",
            format!(
                "@id(\"bad\") permit (principal, action == Carnet::Action::\"read\", resource) when {{ {overflow} }};"
            ),
        ),
    ];
    for (name, policy) in rows {
        let bundle = load(&[("x.cedar", &policy)]);
        let decision = decide(&bundle, &facts(&["mail.search"]));
        assert_eq!((decision.outcome, codes(&decision)), (Outcome::Denied, vec!["POLICY_ERROR"]), "{name}");
        assert_eq!(decision.reasons[0].policy.as_ref().unwrap().as_str(), "bad", "{name}");
        assert!(decision.policies.iter().any(|p| p.as_str() == "permit-read"), "{name}: what applied is told");
        let elsewhere = decide(&bundle, &facts(&["mail.send"]));
        assert!(!codes(&elsewhere).contains(&"POLICY_ERROR"), "{name}");
    }
}

#[test]
fn no_permit_is_denied_and_the_forbids_are_told_all_the_same() {
    let mut asked = facts(&["mail.send"]);
    asked.entries[0].sinks = vec![sink("mail.send", "to", Provenance::None)];
    let bundle =
        load(&[("10-permits.cedar", "@id(\"p\") permit (principal, action == Carnet::Action::\"read\", resource);")]);
    let decision = decide_at(&bundle, &asked, in_band(Band::Low));
    assert_eq!(decision.outcome, Outcome::Denied);
    assert_eq!(codes(&decision), ["NO_PERMIT", "SINK_UNSEEN"]);
    assert_eq!(decision.approvals_needed, 0, "no approval cures it");
}

#[test]
fn policies_may_speak_of_owners_trust_domains_and_single_identities() {
    let rows = [
        ("its owner", "principal in Carnet::Owner::\"group:agents\"", true),
        ("another owner", "principal in Carnet::Owner::\"group:finance\"", false),
        ("its trust domain", "principal in Carnet::TrustDomain::\"dev.carnet.test\"", true),
        ("another trust domain", "principal in Carnet::TrustDomain::\"prod.carnet.test\"", false),
        ("itself", "principal == Carnet::Agent::\"spiffe://dev.carnet.test/agent/a\"", true),
        ("a look-alike", "principal == Carnet::Agent::\"spiffe://dev.carnet.test/agent/a-evil\"", false),
    ];
    for (name, scope, applies) in rows {
        let text = format!(
            "@id(\"x\") @reason(\"FORBIDDEN\") forbid ({scope}, action, resource in Carnet::Owner::\"group:support\");"
        );
        let decision = decide(&load(&[("x.cedar", &text)]), &facts(&["tickets.search"]));
        assert_eq!(codes(&decision).contains(&"FORBIDDEN"), applies, "{name}");
        let elsewhere = decide(&load(&[("x.cedar", &text)]), &facts(&["mail.search"]));
        assert!(!codes(&elsewhere).contains(&"FORBIDDEN"), "{name}: the tool has another owner");
    }
}

#[test]
fn what_a_ceiling_does_not_list_is_trimmed_from_a_read() {
    let mut asked = facts(&["tickets.search"]);
    asked.entries[0].resources = vec!["queue-a".to_owned(), "queue-b".to_owned()];
    let breaches = vec![Breach::Resource { resource: "queue-b".to_owned() }];
    asked.entries[0].ceiling = CeilingFit::Outside { breaches };
    let decision = decide_at(shipped(), &asked, in_band(Band::Low));
    assert_eq!((decision.outcome, codes(&decision)), (Outcome::Narrowed, vec!["CEILING_EXCEEDED"]));
    assert_eq!(decision.entries[0].resources, ["queue-a"]);
    assert!(decision.entries[0].included);
    asked.entries[0].resources.remove(0);
    let nothing_left = decide_at(shipped(), &asked, in_band(Band::Low));
    assert_eq!(nothing_left.outcome, Outcome::StepUp);
    assert!(!nothing_left.entries[0].included);
    let mut any = facts(&["tickets.search"]);
    any.entries[0].ceiling = CeilingFit::Outside { breaches: vec![Breach::AnyResource] };
    let any = decide_at(shipped(), &any, in_band(Band::Low));
    assert_eq!((any.outcome, any.entries[0].included), (Outcome::StepUp, false), "no resource named asks for all");
}

#[test]
fn a_forbid_that_narrows_leaves_the_entry_out_or_shortens_its_life() {
    let rule = |ttl: &str| {
        format!(
            "@id(\"x\") @reason(\"EFFECT_NOT_ALLOWED\") @outcome(\"narrowed\") {ttl} forbid (principal, action, resource == Carnet::Tool::\"mail.read\");"
        )
    };
    let both = facts(&["mail.search", "mail.read"]);
    let out = decide_at(&load(&[("x.cedar", &rule(""))]), &both, in_band(Band::Low));
    assert_eq!(out.outcome, Outcome::Narrowed);
    assert_eq!(out.entries.iter().map(|e| e.included).collect::<Vec<_>>(), [true, false]);
    let alone = decide_at(&load(&[("x.cedar", &rule(""))]), &facts(&["mail.read"]), in_band(Band::Low));
    assert_eq!(alone.outcome, Outcome::StepUp);
    let short = decide_at(&load(&[("x.cedar", &rule("@ttl(\"30s\")"))]), &both, in_band(Band::Low));
    assert_eq!((short.outcome, short.ttl_max.as_secs()), (Outcome::Narrowed, 30));
    assert!(short.entries.iter().all(|e| e.included));
}

#[test]
fn the_life_of_a_forbid_never_lengthens_what_permits_give() {
    let rule =
        "@id(\"x\") @reason(\"FORBIDDEN\") @outcome(\"step_up\") @ttl(\"900s\") forbid (principal, action, resource);";
    let tests = ["structure", "use", "people", "risk", "tasks"].map(|n| format!("tests/{n}.toml"));
    let mut changes = vec![("x.cedar", rule)];
    changes.extend(tests.iter().map(|path| (path.as_str(), "")));
    let decision = decide(&load(&changes), &facts(&["mail.send"]));
    assert_eq!(decision.ttl_max.as_secs(), 120);
}

#[test]
fn facts_of_a_later_version_are_not_decided() {
    let mut later = facts(&["tickets.search"]);
    later.version = FACTS_VERSION + 1;
    assert_eq!(codes(&decide(shipped(), &later)), ["POLICY_ERROR"]);
}

#[test]
fn nothing_asked_is_nothing_granted() {
    let mut empty = facts(&["tickets.search"]);
    empty.entries.clear();
    assert_eq!(decide(shipped(), &empty).outcome, Outcome::Denied);
    empty.question = Question::Register;
    assert_eq!(decide(shipped(), &empty).outcome, Outcome::Denied);
}

#[test]
fn a_detail_names_sinks_and_no_values() {
    let mut asked = facts(&["mail.send"]);
    let value = SinkFacts { value: "eve@evil.test".to_owned(), ..sink("mail.send", "to", Provenance::Text) };
    asked.entries[0].sinks = vec![value];
    let decision = decide_at(shipped(), &asked, in_band(Band::Low));
    assert_eq!(codes(&decision), ["SINK_IN_TEXT"]);
    assert!(decision.reasons[0].detail.contains("`to`"), "{}", decision.reasons[0].detail);
    assert!(!format!("{decision:?}").contains("evil"));
}

#[test]
fn contexts_conform_to_the_schema() {
    let schema = crate::policy::schema::read(crate::policy::schema::SHIPPED).unwrap();
    let risk = in_band(Band::High);
    let mut asked = facts(&["mail.send"]);
    asked.entries[0].sinks = vec![sink("mail.send", "to", Provenance::Text)];
    let tool = shipped().catalogue().tool(&asked.entries[0].tool).unwrap();
    let context = Shared::of_use(&asked, &risk, &Reads::everything())
        .entry(&asked.entries[0], (tool, &[]), &asked.session)
        .unwrap();
    let context = cedar_policy::Context::from(context);
    context.validate(&schema, &shipped().types().action(Action::Use(tool.effect))).unwrap();
    let ceiling = r#"{"tools": [{"tool": "mail.send"}]}"#;
    let registration = RegistrationFacts {
        agent_class: Some(IdentityClass::AiAgent),
        ceiling: Some(serde_json::from_str(ceiling).unwrap()),
        audiences: vec!["https://mail.dev.carnet.test".parse().unwrap()],
        life_s: 60,
        widens: false,
        first_ceiling: true,
        beyond_parent: Vec::new(),
        amends: None,
    };
    let context =
        registration::of(&asked, &registration, &risk, shipped().catalogue(), shipped().types(), &Reads::everything());
    let context = cedar_policy::Context::from(context);
    for action in [Action::Register, Action::Amend] {
        context.validate(&schema, &shipped().types().action(action)).unwrap();
    }
    for tool in shipped().catalogue().tools() {
        let entity = shipped().types().tool_entity(tool).unwrap();
        cedar_policy::Entities::from_entities([entity], Some(&schema)).unwrap();
    }
}

fn any_entry() -> impl Strategy<Value = EntryFacts> {
    let tools: Vec<String> = shipped().catalogue().tools().map(|t| t.name.to_string()).collect();
    let provenance = prop::sample::select(Provenance::ALL.to_vec());
    let verdict = prop::sample::select(vec![FitVerdict::Implied, FitVerdict::Silent, FitVerdict::NotImplied]);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let resources = prop::collection::vec(prop::sample::select(vec!["queue-a".to_owned(), "queue-b".to_owned()]), 0..3);
    let row =
        (prop::sample::select(tools), prop::collection::vec(provenance, 0..3), 0_u8..8, verdict, flags, resources);
    row.prop_map(|(tool, from, ceiling, verdict, flags, resources)| {
        let specs = &shipped().catalogue().tool(&tool.parse().unwrap()).unwrap().sinks;
        let mut e = entry(&tool);
        e.sinks = specs.iter().zip(from).map(|(s, p)| sink(&tool, &s.name, p)).collect();
        e.ceiling = match ceiling {
            0 => CeilingFit::Outside { breaches: vec![Breach::Tool] },
            1 => CeilingFit::Undeclared,
            2 => CeilingFit::Outside { breaches: vec![Breach::AnyResource] },
            3 => CeilingFit::Outside { breaches: vec![Breach::Resource { resource: "queue-b".to_owned() }] },
            _ => CeilingFit::Within,
        };
        e.intent_fit.verdict = verdict;
        e.intent_fit.delegates = flags.0;
        if let Some(sink) = e.sinks.first_mut() {
            sink.beside_intent = flags.1;
        }
        if flags.2 {
            e.conflicts =
                vec![ConflictFacts { with: "payments.pay".parse().unwrap(), within: "task".to_owned(), position: 1 }];
        }
        if flags.3 {
            let evidence = Evidence {
                call: Some(0),
                position: 1,
                tool: "mail.read".to_owned(),
                field: "body".to_owned(),
                seen: None,
            };
            e.dictated = vec![DictatedFacts {
                name: "body".to_owned(),
                evidence,
                by_outsiders: flags.0 != flags.1,
                is_sink: false,
            }];
            e.data_classes = vec!["pii".parse().unwrap()];
        }
        e.resources = resources;
        e
    })
}

fn any_facts() -> impl Strategy<Value = Facts> {
    let entries = prop::collection::vec(any_entry(), 1..4);
    let class = prop::sample::select(IdentityClass::ALL.to_vec());
    let question = prop::sample::select(vec![Question::Request, Question::Retain, Question::Register, Question::Amend]);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), 0_u32..3);
    (entries, class, question, flags, any_signals()).prop_map(|(entries, class, question, flags, signals)| {
        let mut f = facts(&[entries[0].tool.as_str()]);
        f.entries = entries;
        f.principal.class = class;
        f.question = question;
        f.session.untrusted_input = flags.0;
        f.session.overflowed = flags.2 && flags.3;
        f.session.carries = if flags.1 { vec!["pii".parse().unwrap()] } else { Vec::new() };
        f.initiator.verified = flags.2;
        f.principal.profile_changes = if flags.3 && flags.1 { vec![ProfilePart::Model] } else { Vec::new() };
        f.task.depth = flags.4;
        f.signals = signals;
        if matches!(question, Question::Register | Question::Amend) {
            f.entries.clear();
            f.audience = None;
            f.registration = Some(RegistrationFacts {
                agent_class: Some(IdentityClass::AiAgent),
                ceiling: None,
                audiences: Vec::new(),
                life_s: 600,
                widens: flags.0,
                first_ceiling: flags.1,
                beyond_parent: Vec::new(),
                amends: None,
            });
        }
        f
    })
}

fn any_signals() -> impl Strategy<Value = Vec<Signal>> {
    let name = prop::sample::select(vec!["compromise_reported", "llm_score", "new_name", "anomaly"]);
    let one = (name, prop::sample::select(vec!["a", "b"]), 0_u32..120);
    prop::collection::vec(one.prop_map(|(name, source, points)| signal(name, source, points)), 0..4)
}

/// Asserts that `stricter` permits nothing that `milder` does not.
fn assert_no_milder(milder: &Decision, stricter: &Decision) -> Result<(), TestCaseError> {
    prop_assert!(stricter.outcome >= milder.outcome, "{} became {}", milder.outcome, stricter.outcome);
    prop_assert!(stricter.outcome == Outcome::Denied || stricter.ttl_max <= milder.ttl_max);
    if stricter.outcome == milder.outcome {
        prop_assert!(stricter.approvals_needed >= milder.approvals_needed);
    }
    for (was, is) in milder.entries.iter().zip(&stricter.entries) {
        prop_assert!(was.included || !is.included, "`{}` came in", is.tool);
        prop_assert!(is.actions.iter().all(|a| was.actions.contains(a)));
        prop_assert!(is.resources.iter().all(|r| was.resources.contains(r)));
        // No resources are any resources.
        prop_assert!(!is.included || was.resources.is_empty() == is.resources.is_empty());
        let calls = |max: Option<u32>| max.unwrap_or(u32::MAX);
        prop_assert!(!is.included || calls(is.calls_max) <= calls(was.calls_max));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn more_signals_never_permit_more(f in any_facts(), more in any_signals()) {
        let before = decide(shipped(), &f);
        let mut with_more = f;
        with_more.signals.extend(more);
        assert_no_milder(&before, &decide(shipped(), &with_more))?;
    }

    #[test]
    fn a_higher_score_never_permits_more(f in any_facts(), low in 0_usize..4, high in 0_usize..4) {
        let (low, high) = (low.min(high), low.max(high));
        let at = |band: usize| decide_at(shipped(), &f, in_band(Band::ALL[band]));
        assert_no_milder(&at(low), &at(high))?;
    }

    #[test]
    fn what_no_policy_reads_is_left_out_and_changes_nothing(f in any_facts()) {
        static WHOLE: OnceLock<PolicyBundle> = OnceLock::new();
        let whole = WHOLE.get_or_init(|| {
            // It never applies, and reads whole records.
            let differs = |of: &str| format!("context.{of} != context.{of}");
            let differing: Vec<_> = ["caller", "initiator", "task", "session", "call", "sinks"].map(differs).into();
            let scope = "principal, action in Carnet::Action::\"use\", resource";
            load(&[("x.cedar", &format!("@id(\"x\") @reason(\"FORBIDDEN\") forbid ({scope}) when {{ {} }};", differing.join(" || ")))])
        });
        prop_assert!(whole.reads().inner("sinks", "ids") && !shipped().reads().inner("sinks", "ids"));
        prop_assert_eq!(decide(shipped(), &f), decide(whole, &f));
    }

    #[test]
    fn a_score_alone_never_denies(f in any_facts()) {
        let calm = decide_at(shipped(), &f, in_band(Band::Low));
        let critical = decide_at(shipped(), &f, in_band(Band::Critical));
        prop_assert!(critical.outcome < Outcome::Denied || calm.outcome == Outcome::Denied);
    }

    #[test]
    fn a_decision_is_a_function_of_its_facts(f in any_facts()) {
        let once = decide(shipped(), &f);
        let recorded: Facts = serde_json::from_str(&serde_json::to_string(&f).unwrap()).unwrap();
        prop_assert_eq!(&once, &decide(shipped(), &recorded));
        static AGAIN: OnceLock<PolicyBundle> = OnceLock::new();
        prop_assert_eq!(&once, &decide(AGAIN.get_or_init(|| load(&[])), &f), "another instance answers the same");
        if f.registration.is_none() {
            prop_assert_eq!(once.outcome.is_grant(), once.entries.iter().any(|e| e.included));
        }
        prop_assert_eq!(once.outcome == Outcome::Granted, once.reasons.is_empty());
    }

    #[test]
    fn a_rule_more_never_permits_more(f in any_facts(), outcome in prop::sample::select(vec!["narrowed", "step_up", "review", "denied"])) {
        static BUNDLES: OnceLock<Vec<(&str, PolicyBundle)>> = OnceLock::new();
        let bundles = BUNDLES.get_or_init(|| {
            ["narrowed", "step_up", "review", "denied"].into_iter().map(|outcome| {
                let rule = format!("@id(\"x\") @reason(\"FORBIDDEN\") @outcome(\"{outcome}\") forbid (principal, action, resource);");
                (outcome, load(&[("x.cedar", &rule)]))
            }).collect()
        });
        let (_, stricter) = bundles.iter().find(|(o, _)| *o == outcome).unwrap();
        assert_no_milder(&decide(shipped(), &f), &decide(stricter, &f))?;
    }

    #[test]
    fn a_permit_less_never_permits_more(f in any_facts()) {
        static BUNDLE: OnceLock<PolicyBundle> = OnceLock::new();
        let bundle = BUNDLE.get_or_init(|| {
            let read = "@id(\"permit-read\") permit (principal is Carnet::Agent, action == Carnet::Action::\"read\", resource);";
            load(&[("10-permits.cedar", read)])
        });
        assert_no_milder(&decide(shipped(), &f), &decide(bundle, &f))?;
    }

    #[test]
    fn a_failing_policy_always_denies(f in any_facts()) {
        static BUNDLE: OnceLock<PolicyBundle> = OnceLock::new();
        let bundle = BUNDLE.get_or_init(|| load(&[("x.cedar",
            "@id(\"bad\") @reason(\"FORBIDDEN\") @outcome(\"narrowed\") forbid (principal, action in Carnet::Action::\"use\", resource) when { context.caller.svid_age_s * 9223372036854775807 > 0 };\n\
             @id(\"bad-tasks\") @reason(\"FORBIDDEN\") @outcome(\"narrowed\") forbid (principal, action in [Carnet::Action::\"register_task\", Carnet::Action::\"amend_task\"], resource) when { context.caller.svid_age_s * 9223372036854775807 > 0 };")]));
        prop_assert_eq!(decide(bundle, &f).outcome, Outcome::Denied);
    }
}
