//! What a family was granted, and that nothing is given back.

use super::*;
use crate::catalogue::tool::OutsiderFields;
use crate::model::access::Effect;
use crate::model::json::Json;
use crate::model::sink::SinkSpec;

fn pay() -> Tool {
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
        actions: vec!["tools/call".to_owned()],
        sinks: vec![sink("to", SinkKind::Account), sink("parts.amount", SinkKind::Amount)],
        outsider_fields: OutsiderFields::None,
        conflicts: Vec::new(),
        calls_max: None,
        definition_digest: None,
    }
}

fn access(arguments: &str) -> Access {
    Access {
        tool: "pay".parse().unwrap(),
        actions: Vec::new(),
        resources: Vec::new(),
        arguments: Json::parse_object(arguments, 1000).unwrap(),
        data_classes: Vec::new(),
    }
}

#[test]
fn amounts_are_summed_exactly() {
    let a = access(r#"{"to":"x","parts":[{"amount":0.1},{"amount":"0.20"}]}"#);
    assert_eq!(amounts(&a, &pay()).unwrap(), [("parts.amount".to_owned(), "0.3".parse().unwrap())]);
    assert_eq!(amounts(&access("{}"), &pay()).unwrap(), []);
    let back = access(r#"{"parts":[{"amount":-5},{"amount":2}]}"#);
    assert_eq!(
        amounts(&back, &pay()).unwrap(),
        [("parts.amount".to_owned(), "7".parse().unwrap())],
        "nothing is given back"
    );
    assert!(amounts(&access(r#"{"parts":{"amount":"ten"}}"#), &pay()).is_err());
}

#[test]
fn totals_grow_with_every_grant() {
    let (mut usage, pay) = (Usage::default(), pay());
    let a = amounts(&access(r#"{"parts":{"amount":1.5}}"#), &pay).unwrap();
    usage.reserve(&pay.name, &a, 7);
    usage.reserve(&pay.name, &a, 9);
    assert_eq!(usage.grants_of(&pay.name), 2);
    assert_eq!(usage.first_grant_of(&pay.name), 7);
    assert_eq!(usage.total_of(&pay.name, "parts.amount").unwrap().to_string(), "3");
    let own = usage.without(&pay.name, &a);
    assert_eq!(own.grants_of(&pay.name), 1);
    assert_eq!(own.total_of(&pay.name, "parts.amount").unwrap().to_string(), "1.5");
    assert_eq!(own.total_of(&"other".parse().unwrap(), "x"), Some(Decimal::ZERO));
}

#[test]
fn a_total_beyond_what_a_decimal_holds_stays_beyond() {
    let mut usage = Usage::default();
    let tool: ToolName = "pay".parse().unwrap();
    let most: Decimal = "999999999999999999999999999999".parse().unwrap();
    let least: Decimal = "0.000000000000000000000000000001".parse().unwrap();
    usage.reserve(&tool, &[("a".to_owned(), most)], 1);
    usage.reserve(&tool, &[("a".to_owned(), least)], 2);
    assert_eq!(usage.total_of(&tool, "a"), None);
    usage.reserve(&tool, &[("a".to_owned(), least)], 3);
    assert_eq!(usage.total_of(&tool, "a"), None);
    let json = serde_json::to_string(&usage).unwrap();
    assert_eq!(serde_json::from_str::<Usage>(&json).unwrap(), usage, "as a snapshot keeps it");
}

#[test]
fn amounts_that_add_up_to_too_many_digits_are_refused() {
    let digits = |least: &str| access(&format!(r#"{{"parts":[{{"amount":20}},{{"amount":{least}}}]}}"#));
    assert_eq!(amounts(&digits("0.0001"), &pay()).unwrap()[0].1.to_string(), "20.0001");
    let refused = amounts(&digits("0.000000000000000000000000000001"), &pay()).unwrap_err();
    assert_eq!(refused, SinkError::NotAnAmount { name: "parts.amount".to_owned() });
}
