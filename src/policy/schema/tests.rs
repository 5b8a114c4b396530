//! Which schemas a bundle may bring.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use super::*;

#[test]
fn the_shipped_schema_is_read() {
    read(SHIPPED).unwrap();
}

#[test]
fn a_schema_may_declare_less() {
    let less = SHIPPED.replace("    \"overflowed\": Bool         // the session was too large to be kept whole\n", "");
    assert_ne!(less, SHIPPED);
    read(&less).unwrap();
}

#[test]
fn a_schema_may_not_declare_more_or_other() {
    let rows = [
        ("an attribute more", "\"overflowed\": Bool", "\"overflowed\": Bool, \"mood\": String", "mood"),
        ("another type", "\"overflowed\": Bool", "\"overflowed\": String", "should be"),
        ("an entity more", "entity Task;", "entity Task; entity Ghost;", "Ghost"),
        (
            "a principal more",
            "principal: [Agent, ServiceAccount],",
            "principal: [Agent, Orchestrator],",
            "Orchestrator",
        ),
        ("an action more", "action \"use\";", "action \"use\"; action \"fly\";", "fly"),
        ("a syntax error", "action \"use\";", "action use use;", "unexpected"),
    ];
    for (name, from, to, expected) in rows {
        let text = SHIPPED.replacen(from, to, 1);
        assert_ne!(text, SHIPPED, "{name}");
        let problems = read(&text).unwrap_err();
        assert!(problems.iter().any(|p| p.contains(expected)), "{name}: {problems:?}");
    }
    let other = "namespace Other { entity A; }";
    assert!(read(other).unwrap_err().iter().any(|p| p.contains("`Other`")));
}
