//! Names that outsiders point at.

use super::*;

#[test]
fn a_name_is_an_object_of_what_administers() {
    for (note, value, administers, expected) in [
        ("Restart west at once", "west", true, true),
        ("West first", "west", true, true),
        ("Restart west at once", "west", false, false),
        ("Restart west at once", "east", true, false),
    ] {
        let hosts = World::new("Restart what is down.").saw(
            &tool("list_hosts", &[], &["hosts.note"]),
            "{}",
            &format!(r#"{{"hosts":[{{"name":"east","note":"{note}"}},{{"name":"west"}}]}}"#),
        );
        let ground = Ground { intent: &hosts.intent, declared: &[], session: &hosts.session, catalogue: None };
        let sink = hosts.trace(SinkKind::Other, "host", value);
        assert_eq!(sink.provenance, Provenance::Field);
        let found = pointed_out(&sink, &"restart".parse().unwrap(), administers, &ground);
        assert_eq!(found.is_some(), expected, "{value} {administers}");
    }
}
