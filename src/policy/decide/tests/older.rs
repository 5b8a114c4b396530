//! Facts as older records hold them: what is left out today because it says nothing was written out.

use serde_json::{Value, json};

use super::{Facts, Provenance, facts, sink};

/// What is left out, by the object that it is left out of.
const LISTS: [(&str, &[&str]); 6] = [
    ("", &["signals"]),
    ("/principal", &["profile_changes"]),
    ("/task", &["blocks"]),
    ("/session", &["carries"]),
    ("/entries/0", &["actions", "resources", "data_classes", "conflicts", "dictated"]),
    ("/entries/0/intent_fit", &["because"]),
];
const OPTIONS: [(&str, &[&str]); 2] =
    [("", &["behaviour", "ttl_asked", "registration", "approval"]), ("/entries/0/sinks/0", &["evidence"])];

#[test]
fn what_says_nothing_reads_the_same_whether_it_is_written_out_or_not() {
    let mut facts = facts(&["mail.send"]);
    facts.entries[0].sinks = vec![sink("mail.send", "to", Provenance::Intent)];
    let mut written = serde_json::to_value(&facts).unwrap();
    let mut write_out = |places: &[(&str, &[&str])], nothing: &Value| {
        for (place, members) in places {
            let object = written.pointer_mut(place).unwrap().as_object_mut().unwrap();
            for member in *members {
                let was = object.insert((*member).to_owned(), nothing.clone());
                assert_eq!(was, None, "`{place}/{member}` is left out today");
            }
        }
    };
    write_out(&LISTS, &json!([]));
    write_out(&OPTIONS, &Value::Null);
    assert_eq!(serde_json::from_value::<Facts>(written).unwrap(), facts);
}
