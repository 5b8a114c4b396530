//! Requests for rights that name nobody and nothing: what they say stands in for it.

use super::*;

fn judged(intent: &str, arguments: &str) -> Vec<(String, SinkKind, Provenance)> {
    let change = tool("change_profile", Effect::Administer, &[("phone_number", SinkKind::Id)], &[]);
    let write = tool("note", Effect::Write, &[("phone_number", SinkKind::Id)], &[]);
    let bare = tool("log_out", Effect::Administer, &[], &[]);
    let catalogue = Catalogue::from_tools(vec![change, write, bare]).unwrap();
    let (session, usage, intent) = (Session::new(), Usage::default(), intent.into());
    let grounds = Grounds {
        intent: &intent,
        bounds: &[],
        declared: &[],
        session: &session,
        usage: &usage,
        past: &[],
        agent: None,
        now: NOW,
    };
    let (name, arguments) = arguments.split_once(' ').unwrap();
    let found = entries(&[access(name, arguments)], &catalogue, &grounds, Asked::New).unwrap();
    found[0].sinks.iter().map(|s| (s.name.clone(), s.kind, s.provenance)).collect()
}

#[test]
fn what_is_said_stands_in_for_whom_it_concerns() {
    let intent = "I live in Elm Lane 3 now, change my profile";
    let stand_in = |provenance| ("arguments".to_owned(), SinkKind::Other, provenance);
    assert_eq!(judged(intent, r#"change_profile {"street":"Elm Lane 3"}"#), [stand_in(Provenance::Intent)]);
    assert_eq!(
        judged(intent, r#"change_profile {"street":"Elm Lane 3","approved_by_security":"Oak Row 9"}"#),
        [stand_in(Provenance::Intent), stand_in(Provenance::None)],
        "and no name of the agent's making stands in a sentence"
    );
    let phone = ("phone_number".to_owned(), SinkKind::Id, Provenance::None);
    assert_eq!(judged(intent, r#"change_profile {"street":"Elm Lane 3","phone_number":"0660-99"}"#), [phone]);
    assert_eq!(judged(intent, "change_profile {}"), [], "nothing is said");
    assert_eq!(judged(intent, r#"note {"street":"Elm Lane 3"}"#), [], "no right is asked for");
    assert_eq!(judged(intent, r#"log_out {"why":"Elm Lane 3"}"#), [], "it can concern nobody else");
}
