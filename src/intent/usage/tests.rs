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
    assert_eq!(left(&usage, "10"), "7");
    let own = usage.without(&pay.name, &a);
    assert_eq!(own.grants_of(&pay.name), 1);
    assert_eq!(left(&own, "10"), "8.5");
    let ten: Decimal = "10".parse().unwrap();
    own.fits(&"other".parse().unwrap(), "x", ten, ten).unwrap();
}

/// What is left of a cap on the total, which is asked for whole and more.
fn left(usage: &Usage, cap: &str) -> String {
    let (cap, more) = (cap.parse().unwrap(), "1e29".parse().unwrap());
    usage.fits(&pay().name, "parts.amount", more, cap).unwrap_err().to_string()
}

#[test]
fn no_amount_makes_a_total_unknown() {
    let (mut usage, tool) = (Usage::default(), pay().name);
    let drawn = |amount: &str| [("parts.amount".to_owned(), amount.parse().unwrap())];
    let least = "0.000000000000000001";
    usage.reserve(&tool, &drawn(least), 1);
    usage.reserve(&tool, &drawn("20"), 2);
    assert_eq!(left(&usage, "100"), "79.999999999999999999");
    let fits = |usage: &Usage, amount: &str, cap: &str| {
        usage.fits(&tool, "parts.amount", amount.parse().unwrap(), cap.parse().unwrap()).is_ok()
    };
    assert!(fits(&usage, "79.999999999999999999", "100") && !fits(&usage, "80", "100"));
    assert!(!fits(&usage, least, "20.0000000000000000019"), "what no amount can use of a cap is none");
    for _ in 0..1000 {
        usage.reserve(&tool, &drawn("999999999999999999999999999999"), 3);
    }
    assert!(!fits(&usage, "0", "999999999999999999999999999999"));
    for _ in 0..1000 {
        usage = usage.without(&tool, &drawn("999999999999999999999999999999"));
    }
    assert_eq!(left(&usage, "100"), "79.999999999999999999", "and gives them back to the last place");
    let json = serde_json::to_string(&usage).unwrap();
    assert_eq!(serde_json::from_str::<Usage>(&json).unwrap(), usage, "as a snapshot keeps it");
}

#[test]
fn an_amount_of_more_places_than_are_added_up_is_refused() {
    let amount = |text: &str| amounts(&access(&format!(r#"{{"parts":{{"amount":{text}}}}}"#)), &pay());
    assert_eq!(amount("1e-18").unwrap()[0].1.to_string(), "0.000000000000000001");
    assert_eq!(amount("1.0000000000000000000000").unwrap()[0].1.to_string(), "1", "zeros are no places");
    for text in ["1e-19", "1e-30", "-0.1234567890123456789"] {
        let refused = amount(text).unwrap_err();
        assert_eq!(refused, SinkError::TooManyPlaces { name: "parts.amount".to_owned() }, "{text}");
    }
}

#[test]
fn amounts_that_add_up_to_too_many_digits_are_refused() {
    let both = |most: &str| access(&format!(r#"{{"parts":[{{"amount":0.1}},{{"amount":{most}}}]}}"#));
    assert_eq!(amounts(&both("20"), &pay()).unwrap()[0].1.to_string(), "20.1");
    let refused = amounts(&both("999999999999999999999999999999"), &pay()).unwrap_err();
    assert_eq!(refused, SinkError::NotAnAmount { name: "parts.amount".to_owned() });
}
