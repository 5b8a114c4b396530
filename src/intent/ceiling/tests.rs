//! What a ceiling lets pass and what it does not.

use super::*;
use crate::catalogue::tool::OutsiderFields;
use crate::model::access::Effect;
use crate::model::json::Json;

fn tool() -> Tool {
    let sink = |name: &str, kind| SinkSpec { name: name.to_owned(), kind };
    Tool {
        name: "pay".parse().unwrap(),
        description: String::new(),
        effect: Effect::Spend,
        privilege: 0,
        data_classes: Vec::new(),
        sensitive: Vec::new(),
        owner: None,
        audience: None,
        actions: vec!["tools/call".to_owned(), "draft".to_owned()],
        sinks: vec![sink("to", SinkKind::Address), sink("amount", SinkKind::Amount)],
        outsider_fields: OutsiderFields::None,
        conflicts: Vec::new(),
        calls_max: None,
        definition_digest: None,
    }
}

fn ceiling(json: &str) -> Ceiling {
    serde_json::from_str(json).unwrap()
}

fn judge(arguments: &str, actions: &[&str], resources: &[&str], ceilings: &[&Ceiling], before: u32) -> Vec<Breach> {
    let texts = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
    let access = Access {
        tool: "pay".parse().unwrap(),
        actions: texts(actions),
        resources: texts(resources),
        arguments: Json::parse_object(arguments, 1000).unwrap(),
        data_classes: Vec::new(),
    };
    let mut usage = Usage::default();
    usage.reserve(&access.tool, &[("amount".to_owned(), "60".parse().unwrap())], 1);
    match fit(&access, Some(&tool()), (ceilings, &Catalogue::default()), true, &usage, before).unwrap() {
        CeilingFit::Outside { breaches } => breaches,
        CeilingFit::Within => Vec::new(),
        CeilingFit::Undeclared => panic!("declared"),
    }
}

const LIMITS: &str = r#"{"tools":[{"tool":"pay","actions":["draft"],"resources":["r/1"],"calls_max":2,"sinks":[
    {"sink":"to","values":["bob@acme.test"]},{"sink":"amount","per_call_max":"50","total_max":"100.00"}]}]}"#;

#[test]
fn what_is_listed_passes() {
    let c = ceiling(LIMITS);
    let args = r#"{"to":"bob@ACME.test","amount":"40.00"}"#;
    assert_eq!(judge(args, &["draft"], &["r/1"], &[&c], 1), []);
    assert_eq!(fit_none(), CeilingFit::Undeclared);
}

fn fit_none() -> CeilingFit {
    let access = Access {
        tool: "pay".parse().unwrap(),
        actions: Vec::new(),
        resources: Vec::new(),
        arguments: Json::Object(Vec::new()),
        data_classes: Vec::new(),
    };
    fit(&access, Some(&tool()), (&[], &Catalogue::default()), false, &Usage::default(), 9).unwrap()
}

#[test]
fn what_is_not_listed_is_a_breach_of_its_kind() {
    let c = ceiling(LIMITS);
    let rows = [
        ("another recipient", r#"{"to":"eve@acme.test"}"#, &["draft"][..], &["r/1"][..], 0, "SinkValue"),
        ("a look-alike", r#"{"to":"bob@acme.test.evil"}"#, &["draft"], &["r/1"], 0, "SinkValue"),
        ("one of two recipients", r#"{"to":["bob@acme.test","eve@x.test"]}"#, &["draft"], &["r/1"], 0, "SinkValue"),
        ("another action", "{}", &["tools/call"], &["r/1"], 0, "Action"),
        ("no action asks for all", "{}", &[], &["r/1"], 0, "Action"),
        ("another resource", "{}", &["draft"], &["r/10"], 0, "Resource"),
        ("no resource asks for any", "{}", &["draft"], &[], 0, "AnyResource"),
        ("too much in one call", r#"{"amount":50.01}"#, &["draft"], &["r/1"], 0, "Amount"),
        ("too much in total", r#"{"amount":40.01}"#, &["draft"], &["r/1"], 0, "Amount"),
        ("less than nothing", r#"{"amount":-1}"#, &["draft"], &["r/1"], 0, "Amount"),
        ("in parts", r#"{"amount":[30,30]}"#, &["draft"], &["r/1"], 0, "Amount"),
        ("once too often", "{}", &["draft"], &["r/1"], 2, "Calls"),
    ];
    for (name, args, actions, resources, before, kind) in rows {
        let breaches = judge(args, actions, resources, &[&c], before);
        assert!(breaches.iter().any(|b| format!("{b:?}").starts_with(kind)), "{name}: {breaches:?}");
    }
}

#[test]
fn a_tool_that_is_not_listed_is_outside() {
    let c = ceiling(r#"{"tools":[{"tool":"payment"}]}"#);
    assert_eq!(judge("{}", &[], &[], &[&c], 0), [Breach::Tool]);
}

#[test]
fn every_ceiling_above_has_to_hold() {
    let (own, above) = (ceiling(r#"{"tools":[{"tool":"pay"}]}"#), ceiling(r#"{"tools":[]}"#));
    assert_eq!(judge("{}", &[], &[], &[&own, &above], 0), [Breach::Tool]);
    assert_eq!(judge("{}", &[], &[], &[&own, &own], 0), []);
}

#[test]
fn an_argument_that_is_no_sink_is_limited_all_the_same() {
    let c = ceiling(
        r#"{"tools":[{"tool":"pay","sinks":[{"sink":"memo","values":["rent"]},{"sink":"fee","per_call_max":"1"}]}]}"#,
    );
    assert_eq!(judge(r#"{"memo":"rent","fee":1}"#, &[], &[], &[&c], 0), []);
    assert_eq!(judge(r#"{"memo":"gift","fee":2}"#, &[], &[], &[&c], 0).len(), 2);
}

#[test]
fn a_text_keeps_to_no_cap() {
    let c = ceiling(r#"{"tools":[{"tool":"pay","sinks":[{"sink":"budget","per_call_max":"40"}]}]}"#);
    assert_eq!(judge(r#"{"budget":" 35.0 "}"#, &[], &[], &[&c], 0), []);
    for text in ["35 EUR", "$35", "all of it", "thirty"] {
        let breach = Breach::SinkValue { sink: "budget".to_owned(), value: text.to_owned() };
        assert_eq!(judge(&format!(r#"{{"budget":"{text}"}}"#), &[], &[], &[&c], 0), [breach], "{text}");
    }
}

#[test]
fn an_amount_that_is_none_is_an_error() {
    let c = ceiling(LIMITS);
    let access = Access {
        tool: "pay".parse().unwrap(),
        actions: Vec::new(),
        resources: Vec::new(),
        arguments: Json::parse_object(r#"{"amount":"lots"}"#, 100).unwrap(),
        data_classes: Vec::new(),
    };
    assert!(fit(&access, Some(&tool()), (&[&c], &Catalogue::default()), true, &Usage::default(), 0).is_err());
}

#[test]
fn a_total_of_what_nobody_adds_up_lets_nothing_pass() {
    let c = ceiling(r#"{"tools":[{"tool":"pay","sinks":[{"sink":"fee","total_max":"10"}]}]}"#);
    let left = Decimal::ZERO;
    let breach = Breach::Amount { sink: "fee".to_owned(), asked: "9".parse().unwrap(), left };
    assert_eq!(judge(r#"{"fee":9}"#, &[], &[], &[&c], 0), [breach]);
    assert_eq!(judge("{}", &[], &[], &[&c], 0), []);
}

#[test]
fn a_ceiling_that_declares_nothing_bounds_all_the_same() {
    let c = ceiling(r#"{"tools":[{"tool":"pay","sinks":[{"sink":"to","values":["bob@acme.test"]}]}]}"#);
    let of = |to: &str| {
        let access = Access {
            tool: "pay".parse().unwrap(),
            actions: Vec::new(),
            resources: Vec::new(),
            arguments: Json::parse_object(&format!(r#"{{"to":"{to}"}}"#), 100).unwrap(),
            data_classes: Vec::new(),
        };
        fit(&access, Some(&tool()), (&[&c], &Catalogue::default()), false, &Usage::default(), 0).unwrap()
    };
    assert_eq!(of("bob@acme.test"), CeilingFit::Undeclared);
    assert!(matches!(of("eve@evil.test"), CeilingFit::Outside { .. }));
}

#[test]
fn patterns_let_in_what_is_in_them_beside_what_is_listed() {
    let c = ceiling(
        r#"{"tools":[{"tool":"pay","resources":["r/1"],"resource_patterns":["q/*"],"sinks":[
        {"sink":"to","values":["ann@other.test"],"patterns":[{"domain":"*.acme.test"}]}]}]}"#,
    );
    let rows = [
        ("of the domain", r#"{"to":"bob@EU.acme.test"}"#, "q/7", true),
        ("listed", r#"{"to":"ann@OTHER.test"}"#, "r/1", true),
        ("one of two", r#"{"to":["ann@other.test","bob@acme.test"]}"#, "q/7", false),
        ("a look-alike", r#"{"to":"bob@eu.evil-acme.test"}"#, "q/7", false),
        ("a look-alike of the resource", "{}", "q-evil/7", false),
        ("above the resource", "{}", "q/../r", false),
    ];
    for (name, arguments, resource, within) in rows {
        assert_eq!(judge(arguments, &[], &[resource], &[&c], 0).is_empty(), within, "{name}");
    }
    assert_eq!(judge("{}", &[], &[], &[&c], 0), [Breach::AnyResource]);
}

#[test]
fn data_of_other_classes_is_outside_whoever_says_so() {
    let c = ceiling(r#"{"data_classes":["internal"],"tools":[{"tool":"pay"}]}"#);
    let classed = |of_tool: &[&str], of_request: &[&str]| {
        let classes = |list: &[&str]| list.iter().map(|class| class.parse().unwrap()).collect();
        let tool = Tool { data_classes: classes(of_tool), ..tool() };
        let access = Access {
            tool: tool.name.clone(),
            actions: Vec::new(),
            resources: Vec::new(),
            arguments: Json::Object(Vec::new()),
            data_classes: classes(of_request),
        };
        fit(&access, Some(&tool), (&[&c], &Catalogue::default()), true, &Usage::default(), 0).unwrap()
    };
    let pii = || CeilingFit::Outside { breaches: vec![Breach::DataClass { class: "pii".parse().unwrap() }] };
    assert_eq!(classed(&["internal"], &["internal"]), CeilingFit::Within);
    assert_eq!(classed(&["internal", "pii"], &["pii"]), pii());
    assert_eq!(classed(&["internal"], &["pii"]), pii());
}

#[test]
fn a_set_of_accounts_is_what_the_catalogue_says_it_is() {
    let c = ceiling(r#"{"tools":[{"tool":"pay","sinks":[{"sink":"to","patterns":[{"account_set":"team"}]}]}]}"#);
    let with = |sets: &str| {
        let catalogue = Catalogue::parse(sets).unwrap();
        ["ann@acme.test", "bob@acme.test", "team"].map(|to| lets_pay(&c, &catalogue, to))
    };
    assert_eq!(with("[account_sets]\nteam = [\"ann@ACME.test\"]\n"), [true, false, false]);
    assert_eq!(with("[account_sets]\nteam = []\n"), [false; 3], "an empty set is no leave for all");
    assert_eq!(with("[account_sets]\nother = [\"bob@acme.test\"]\n"), [false; 3], "nor is one that there is not");
}

fn lets_pay(ceiling: &Ceiling, catalogue: &Catalogue, to: &str) -> bool {
    let access = Access {
        tool: "pay".parse().unwrap(),
        actions: Vec::new(),
        resources: Vec::new(),
        arguments: Json::parse_object(&format!(r#"{{"to":"{to}"}}"#), 1000).unwrap(),
        data_classes: Vec::new(),
    };
    let usage = Usage::default();
    fit(&access, Some(&tool()), (&[ceiling], catalogue), true, &usage, 0).unwrap() == CeilingFit::Within
}

#[test]
fn of_many_large_sets_the_last_account_counts_as_the_first() {
    use std::fmt::Write as _;
    let (mut sets, mut patterns) = ("[account_sets]\n".to_owned(), Vec::new());
    for set in 0..70 {
        let accounts: Vec<String> = (0..1000).map(|n| format!("\"a{n}@s{set}.test\"")).collect();
        writeln!(sets, "s{set} = [{}]", accounts.join(",")).unwrap();
        patterns.push(format!(r#"{{"account_set":"s{set}"}}"#));
    }
    let catalogue = Catalogue::parse(&sets).unwrap();
    let limits =
        format!(r#"{{"tools":[{{"tool":"pay","sinks":[{{"sink":"to","patterns":[{}]}}]}}]}}"#, patterns.join(","));
    let c = ceiling(&limits);
    for (to, expected) in [("a0@s0.test", true), ("a999@s69.test", true), ("a1000@s69.test", false)] {
        assert_eq!(lets_pay(&c, &catalogue, to), expected, "{to}");
    }
}
