//! What is left out for its ceiling.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use super::*;

const TEXT: &str = r#"
[data_classes]
pii = "sensitive"
plain = "ordinary"
[tools."mail.read"]
description = ""
effect = "read"
privilege = 1
data_classes = ["pii"]
outsider_fields = "all"
[tools."mail.send"]
description = ""
effect = "send"
privilege = 1
data_classes = ["pii"]
[tools."file.read"]
description = ""
effect = "read"
privilege = 1
data_classes = ["plain"]
"#;

#[test]
fn what_goes_beyond_the_ceiling_is_left_out_when_nothing_within_is_left() {
    let catalogue = Catalogue::parse(TEXT).unwrap();
    let action = |name: &str| Breach::Action { action: name.to_owned() };
    let resource = |name: &str| Breach::Resource { resource: name.to_owned() };
    let rows = [
        ("mail.read", vec![Breach::Tool], true),
        ("mail.send", vec![Breach::Tool], false),
        ("mail.read", vec![action("tools/call")], true),
        ("mail.read", vec![resource("a")], false),
        ("mail.read", vec![resource("a"), resource("b")], true),
        ("mail.read", vec![resource("a"), Breach::Calls { calls_max: 1 }], true),
        ("mail.read", vec![], true),
    ];
    for (name, breaches, expected) in rows {
        let entry = EntryFacts {
            tool: name.parse().unwrap(),
            actions: Vec::new(),
            resources: vec!["a".to_owned(), "b".to_owned()],
            data_classes: Vec::new(),
            ceiling: CeilingFit::Outside { breaches: breaches.clone() },
            sinks: Vec::new(),
            intent_fit: crate::model::facts::IntentFit::default(),
            conflicts: Vec::new(),
            calls_before: 0,
            dictated: Vec::new(),
        };
        assert_eq!(is_left_out(&entry, catalogue.tool(&entry.tool).unwrap()), expected, "{name} {breaches:?}");
        let within = EntryFacts { ceiling: CeilingFit::Within, ..entry };
        assert!(!is_left_out(&within, catalogue.tool(&within.tool).unwrap()));
    }
}
