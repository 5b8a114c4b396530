//! Whole requests: budgets over entries, conflicts, live grants.

mod patterns;

use super::*;
use crate::catalogue::tool::{Conflict, ConflictScope, OutsiderFields};
use crate::intent::session::{ReportedCall, Reporter};
use crate::model::access::Effect;
use crate::model::ceiling::{Breach, CeilingFit};
use crate::model::facts::FitVerdict;
use crate::model::json::Json;
use crate::model::provenance::Provenance;
use crate::model::sink::{SinkKind, SinkSpec};

fn tool(name: &str, effect: Effect, sinks: &[(&str, SinkKind)], conflicts: &[&str]) -> Tool {
    let conflict = |with: &&str| Conflict { with: with.parse().unwrap(), within: ConflictScope::Agent, window_s: None };
    Tool {
        name: name.parse().unwrap(),
        description: String::new(),
        effect,
        privilege: 0,
        data_classes: Vec::new(),
        sensitive: Vec::new(),
        owner: None,
        audience: None,
        actions: vec!["tools/call".to_owned()],
        sinks: sinks.iter().map(|(name, kind)| SinkSpec { name: (*name).to_owned(), kind: *kind }).collect(),
        outsider_fields: OutsiderFields::None,
        conflicts: conflicts.iter().map(conflict).collect(),
        calls_max: None,
        definition_digest: None,
    }
}

fn catalogue() -> Catalogue {
    let pay = tool("pay", Effect::Spend, &[("to", SinkKind::Account), ("amount", SinkKind::Amount)], &["add_payee"]);
    let payee = tool("add_payee", Effect::Write, &[("account", SinkKind::Account)], &[]);
    Catalogue::from_tools(vec![pay, payee, tool("search", Effect::Read, &[], &[])]).unwrap()
}

fn access(tool: &str, arguments: &str) -> Access {
    Access {
        tool: tool.parse().unwrap(),
        actions: Vec::new(),
        resources: Vec::new(),
        arguments: Json::parse_object(arguments, 9999).unwrap(),
        data_classes: Vec::new(),
    }
}

fn ceiling(json: &str) -> Ceiling {
    serde_json::from_str(json).unwrap()
}

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

struct Family {
    session: Session,
    usage: Usage,
}

impl Family {
    fn new() -> Self {
        Self { session: Session::new(), usage: Usage::default() }
    }

    fn grant(&mut self, access: &Access) {
        let catalogue = catalogue();
        let amounts = usage::amounts(access, catalogue.tool(&access.tool).unwrap()).unwrap();
        self.usage.reserve(&access.tool, &amounts, 4);
    }

    fn report(&mut self, access: &Access, result: &str) {
        let catalogue = catalogue();
        let result = Json::parse(result, 999).unwrap();
        let call = ReportedCall {
            tool: &access.tool,
            spec: catalogue.tool(&access.tool),
            arguments: &access.arguments,
            result: &result,
            reporter: Reporter::Audience,
            position: 8,
            failed: false,
        };
        self.session.report(&call, &"".into(), &[]);
    }

    fn judge(&self, accesses: &[Access], ceilings: &[&Ceiling], asked: Asked) -> Vec<EntryFacts> {
        let intent = "Pay 20 EUR to account ACME-778899 for the rent";
        let grounds = Grounds {
            intent: &intent.into(),
            bounds: ceilings,
            declared: ceilings,
            session: &self.session,
            usage: &self.usage,
            past: &[],
            agent: None,
            now: NOW,
        };
        entries(accesses, &catalogue(), &grounds, asked).unwrap()
    }
}

#[test]
fn an_entry_is_told_whole() {
    let found = Family::new().judge(&[access("pay", r#"{"to":"ACME-778899","amount":20.00}"#)], &[], Asked::New);
    let entry = found.first().unwrap();
    assert_eq!(entry.ceiling, CeilingFit::Undeclared);
    assert_eq!(entry.intent_fit.verdict, FitVerdict::Implied);
    let provenances: Vec<Provenance> = entry.sinks.iter().map(|s| s.provenance).collect();
    assert_eq!(provenances, [Provenance::Intent, Provenance::Intent]);
    assert_eq!(entry.sinks[1].value, "20");
    assert_eq!((entry.calls_before, entry.conflicts.len()), (0, 0));
}

#[test]
fn a_tool_that_nobody_knows_has_facts_all_the_same() {
    let found = Family::new().judge(&[access("odd", r#"{"to":"x"}"#)], &[], Asked::New);
    assert!(found[0].sinks.is_empty());
    assert_eq!(found[0].intent_fit.verdict, FitVerdict::Silent);
}

#[test]
fn a_budget_is_not_had_twice_in_one_request() {
    let c = ceiling(r#"{"tools":[{"tool":"pay","calls_max":1,"sinks":[{"sink":"amount","total_max":"30"}]}]}"#);
    let one = access("pay", r#"{"to":"ACME-778899","amount":20}"#);
    let found = Family::new().judge(&[one.clone(), one], &[&c], Asked::New);
    assert_eq!(found[0].ceiling, CeilingFit::Within);
    let CeilingFit::Outside { breaches } = &found[1].ceiling else { panic!("outside") };
    assert!(breaches.contains(&Breach::Calls { calls_max: 1 }));
    let left = "10".parse().unwrap();
    assert!(breaches.contains(&Breach::Amount { sink: "amount".to_owned(), asked: "20".parse().unwrap(), left }));
}

#[test]
fn what_an_agent_wrote_bounds_and_neither_grounds_nor_declares() {
    let own = ceiling(
        r#"{"tools":[{"tool":"pay","sinks":[{"sink":"to","values":["EVIL-1"]},{"sink":"amount","per_call_max":"99"}]}]}"#,
    );
    let tools = ceiling(r#"{"tools":[{"tool":"pay"}]}"#);
    let family = Family::new();
    let asked = |to: &str| access("pay", &format!(r#"{{"to":"{to}","amount":77}}"#));
    let judge = |to: &str, bounds: &[&Ceiling], declared: &[&Ceiling]| {
        let intent = "Pay the rent";
        let grounds = Grounds {
            intent: &intent.into(),
            bounds,
            declared,
            session: &family.session,
            usage: &family.usage,
            past: &[],
            agent: None,
            now: NOW,
        };
        entries(&[asked(to)], &catalogue(), &grounds, Asked::New).unwrap().remove(0)
    };
    for (name, bounds, declared, expected) in [
        ("above it tools alone", &[&own, &tools][..], &[&tools][..], CeilingFit::Within),
        ("above it nothing", &[&own], &[], CeilingFit::Undeclared),
    ] {
        let entry = judge("EVIL-1", bounds, declared);
        assert_eq!(entry.ceiling, expected, "{name}");
        assert!(entry.sinks.iter().all(|s| s.provenance == Provenance::None), "{name}: {:?}", entry.sinks);
        assert!(matches!(judge("EVIL-2", bounds, declared).ceiling, CeilingFit::Outside { .. }), "{name}");
    }
    let by_orchestrator = judge("EVIL-1", &[&own], &[&own]);
    assert!(by_orchestrator.sinks.iter().all(|s| s.provenance == Provenance::Ceiling));
}

#[test]
fn calls_before_are_those_granted_or_those_reported() {
    let search = access("search", "{}");
    let mut family = Family::new();
    family.report(&search, "1");
    family.report(&search, "2");
    family.grant(&search);
    assert_eq!(family.judge(&[search], &[], Asked::New)[0].calls_before, 2);
}

#[test]
fn a_live_grant_does_not_stand_in_its_own_way() {
    let c = ceiling(r#"{"tools":[{"tool":"pay","calls_max":1,"sinks":[{"sink":"amount","total_max":"20"}]}]}"#);
    let own = access("pay", r#"{"to":"ACME-778899","amount":20}"#);
    let mut family = Family::new();
    family.grant(&own);
    assert_eq!(family.judge(std::slice::from_ref(&own), &[&c], Asked::Live)[0].ceiling, CeilingFit::Within);
    family.report(&own, "1");
    assert_eq!(family.judge(std::slice::from_ref(&own), &[&c], Asked::Live)[0].ceiling, CeilingFit::Within);
    assert_ne!(family.judge(std::slice::from_ref(&own), &[&c], Asked::New)[0].ceiling, CeilingFit::Within);
}

#[test]
fn duties_that_the_catalogue_keeps_apart_conflict_in_either_order() {
    let (pay, payee) = (access("pay", r#"{"amount":1}"#), access("add_payee", "{}"));
    let mut granted = Family::new();
    granted.grant(&payee);
    let conflict = &granted.judge(std::slice::from_ref(&pay), &[], Asked::New)[0].conflicts[0];
    assert_eq!((conflict.with.as_str(), conflict.within.as_str(), conflict.position), ("add_payee", "agent", 4));
    let mut reported = Family::new();
    reported.report(&pay, "1");
    assert_eq!(reported.judge(std::slice::from_ref(&payee), &[], Asked::New)[0].conflicts[0].position, 8);
    let both = Family::new().judge(&[pay, payee], &[], Asked::New);
    assert_eq!((both[0].conflicts.len(), both[1].conflicts.len()), (0, 1), "also within one request");
}

#[test]
fn what_was_done_in_another_task_conflicts_within_its_window() {
    let window = |with: &str, within, window_s| Conflict { with: with.parse().unwrap(), within, window_s };
    let mut pay = tool("pay", Effect::Spend, &[], &[]);
    pay.conflicts = vec![window("add_payee", ConflictScope::Initiator, Some(3600))];
    let catalogue = Catalogue::from_tools(vec![pay, tool("add_payee", Effect::Write, &[], &[])]).unwrap();
    let family = Family::new();
    let rows = [
        ("in time", ConflictScope::Initiator, 3599, 1),
        ("too long ago", ConflictScope::Initiator, 3600, 0),
        ("of another scope", ConflictScope::Agent, 10, 0),
    ];
    for (name, within, ago, expected) in rows {
        let at = Timestamp::from_secs(NOW.as_secs() - ago);
        let past = [PastUse { tool: "add_payee".parse().unwrap(), within, at, position: 9 }];
        let (session, usage) = (&family.session, &family.usage);
        let grounds = Grounds {
            intent: &"".into(),
            bounds: &[],
            declared: &[],
            session,
            usage,
            past: &past,
            agent: None,
            now: NOW,
        };
        let found = entries(&[access("pay", "{}")], &catalogue, &grounds, Asked::New).unwrap().remove(0).conflicts;
        assert_eq!(found.len(), expected, "{name}: {found:?}");
        assert!(found.iter().all(|c| (c.within.as_str(), c.position) == ("initiator", 9)));
    }
}

#[test]
fn too_many_values_are_an_error() {
    let many: Vec<String> = (0..SINK_VALUES_MAX).map(|i| format!("\"ACME-{i}\"")).collect();
    let one = access("add_payee", &format!(r#"{{"account":[{}]}}"#, many.join(",")));
    let family = Family::new();
    let grounds = Grounds {
        intent: &"".into(),
        bounds: &[],
        declared: &[],
        session: &family.session,
        usage: &family.usage,
        past: &[],
        agent: None,
        now: NOW,
    };
    assert!(entries(std::slice::from_ref(&one), &catalogue(), &grounds, Asked::New).is_ok());
    assert_eq!(entries(&[one.clone(), one], &catalogue(), &grounds, Asked::New), Err(SinkError::TooMany));
    let broken = access("pay", r#"{"amount":"much"}"#);
    assert!(entries(&[broken], &catalogue(), &grounds, Asked::New).is_err());
}
