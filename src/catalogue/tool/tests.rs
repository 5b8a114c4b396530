//! What a catalogue accepts, refuses and makes of what it reads.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use super::*;
use crate::model::limits::{ACCOUNT_SETS_MAX, CEILING_VALUES_MAX};

const GOOD: &str = r#"
[data_classes]
pii = "sensitive"
public = "ordinary"

[tools.send_mail]
description = "Sends a message"
effect = "send"
privilege = 40
data_classes = ["pii", "public"]
owner = "group:mail"
audience = "https://mail.test"
sinks = { recipients = "address", "attachments.file_id" = "id" }
conflicts = [{ with = "fetch", within = "initiator", window_s = 60 }]

[tools.fetch]
description = "Fetches a page"
effect = "read"
privilege = 10
sinks = { url = "url" }
outsider_fields = "all"

[tools."inbox.read"]
description = "Reads messages"
effect = "read"
privilege = 10
outsider_fields = ["messages.body"]
actions = ["tools/call", "list"]
"#;

fn tool(catalogue: &Catalogue, name: &str) -> Tool {
    catalogue.tool(&name.parse().unwrap()).unwrap().clone()
}

#[test]
fn a_tool_is_read_with_its_defaults() {
    let c = Catalogue::parse(GOOD).unwrap();
    let mail = tool(&c, "send_mail");
    assert_eq!(mail.actions, [ACTION_DEFAULT]);
    assert_eq!(mail.calls_max, Some(1), "effectful grants are for one use");
    assert_eq!(mail.sensitive, ["pii".parse().unwrap()]);
    assert_eq!(mail.sink("recipients").unwrap().kind, SinkKind::Address);
    let inbox = tool(&c, "inbox.read");
    assert_eq!(inbox.calls_max, None);
    assert_eq!(inbox.owner, None);
    assert!(c.is_sensitive(&"never_declared".parse().unwrap()));
    assert!(!c.is_sensitive(&"public".parse().unwrap()));
}

#[test]
fn a_way_out_sends_or_reads_a_url() {
    let c = Catalogue::parse(GOOD).unwrap();
    assert!(tool(&c, "send_mail").is_way_out());
    assert!(tool(&c, "fetch").is_way_out());
    assert!(!tool(&c, "inbox.read").is_way_out());
}

#[test]
fn a_conflict_stands_at_both_tools() {
    let c = Catalogue::parse(GOOD).unwrap();
    let back = tool(&c, "fetch").conflicts;
    let expected =
        Conflict { with: "send_mail".parse().unwrap(), within: ConflictScope::Initiator, window_s: Some(60) };
    assert_eq!(back, [expected]);
}

#[test]
fn outsider_fields_cover_what_lies_below_and_no_look_alike() {
    let c = Catalogue::parse(GOOD).unwrap();
    let fields = tool(&c, "inbox.read").outsider_fields;
    assert!(fields.covers("messages.body"));
    assert!(fields.covers("messages.body.html"));
    assert!(!fields.covers("messages.body_hash"));
    assert!(!fields.covers("messages"));
    let anywhere = OutsiderFields::Paths(vec!["**.body".to_owned()]);
    assert!(anywhere.covers("body") && anywhere.covers("thread.messages.body.html"));
    assert!(!anywhere.covers("messages.body_hash"));
    assert!(anywhere.covers(""), "what is no field of anything can't be told apart");
}

#[test]
fn outsider_fields_have_exceptions() {
    let paths = |paths: &[&str]| OutsiderFields::Paths(paths.iter().map(|p| (*p).to_owned()).collect());
    let names = paths(&["**.note", "!"]);
    assert!(!names.covers("") && names.covers("hosts.note") && !names.covers("hosts.name"));
    let records = paths(&["**", "!**.id", "!**.*_id"]);
    assert!(records.covers("") && records.covers("text") && records.covers("by.name"));
    assert!(!records.covers("id") && !records.covers("posts.id") && !records.covers("posts.author_id"));
    assert!(records.covers("id.text"), "what lies below is another field");
    assert!(records.covers("posts.idea") && records.covers("posts.author_identity"));
    for (path, is_one) in
        [("!", true), ("!**.id", true), ("!**.*_id", true), ("!id", false), ("!**.a.b", false), ("!**.*", false)]
    {
        assert_eq!(is_outsider_field(path), is_one, "{path}");
    }
    let none = paths(&["!"]);
    assert!(!none.covers("") && !none.covers("a"));
}

#[test]
fn every_problem_is_told() {
    let text = r#"
[tools.a]
description = "x"
effect = "write"
privilege = 101
data_classes = ["undeclared"]
sinks = { "a..b" = "id", "to" = "address", "To" = "address", "p.file_id" = "id", "p.fileId" = "id" }
calls_max = 0
conflicts = [{ with = "nowhere" }, { with = "a" }]
definition_digest = "ABC"
outsider_fields = "some"
"#;
    let problems = Catalogue::parse(text).unwrap_err().problems();
    let expected = [
        "`undeclared` is not declared",
        "above 100",
        "`a..b` is no path",
        "`To` and `to` can be taken",
        "`p.fileId` and `p.file_id` can be taken",
        "calls_max is 0",
        "`nowhere`, which is no tool",
        "with itself",
        "hexadecimal",
        "neither `none`",
    ];
    for part in expected {
        assert!(problems.iter().any(|p| p.contains(part)), "{part} in {problems:?}");
    }
    assert_eq!(problems.len(), expected.len(), "{problems:?}");
}

#[test]
fn what_is_not_of_the_form_is_told_with_its_line() {
    let rows = [
        ("unknown member", "[tools.a]\ndescription = \"x\"\neffect = \"read\"\nprivilege = 1\ncolour = 1\n", 5),
        ("unknown effect", "[tools.a]\ndescription = \"x\"\neffect = \"peek\"\nprivilege = 1\n", 3),
        ("unknown section", "\n[toools]\n", 2),
        ("unknown kind", "[tools.a]\ndescription=\"\"\neffect=\"read\"\nprivilege=1\nsinks = { a = \"b\" }\n", 5),
    ];
    for (name, text, expected) in rows {
        match Catalogue::parse(text) {
            Err(CatalogueError::Syntax { line, .. }) => assert_eq!(line, expected, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn a_tool_that_stands_twice_is_refused() {
    let c = Catalogue::parse(GOOD).unwrap();
    let twice = vec![tool(&c, "inbox.read"), tool(&c, "inbox.read")];
    assert!(Catalogue::from_tools(twice).is_err());
}

#[test]
fn no_tool_and_no_action_is_named_like_break_glass() {
    let of = |name: &str, actions: &str| {
        let text = format!("[tools.\"{name}\"]\ndescription = \"x\"\neffect = \"read\"\nprivilege = 1\n{actions}");
        Catalogue::parse(&text).map_err(|error| error.problems())
    };
    for (name, actions) in [("break_glass", ""), ("ops.break-glass.open", ""), ("a", "actions = [\"BreakGlass\"]")] {
        let problems = of(name, actions).unwrap_err();
        assert!(problems.len() == 1 && problems[0].contains("break-glass"), "{name}: {problems:?}");
    }
    assert!(of("windows.break_glass_report", "").is_ok());
}

#[test]
fn a_set_of_accounts_is_known_by_its_name() {
    let text = format!("{GOOD}\n[account_sets]\nsuppliers = [\"DE89370400440532013000\"]\nnobody = []\n");
    let c = Catalogue::parse(&text).unwrap();
    let set = |name: &str| c.accounts_of(&name.parse().unwrap());
    assert_eq!((set("suppliers"), set("nobody"), set("payees")), (Some(1), Some(0), None));
    let has = |kind, account: &str| c.set_has(&"suppliers".parse().unwrap(), kind, account);
    assert!(has(SinkKind::Account, "DE89370400440532013000"));
    assert!(!has(SinkKind::Account, "de89370400440532013000") && !has(SinkKind::Address, "suppliers"));
    for bad in [
        "\"a b\" = []",
        "s = [\"\"]",
        "s = [\" DE89\"]",
        "s = [\"DE*\"]",
        "s = [\"a\\nb\"]",
        "s = \"DE89\"",
        &format!("s = [{}]", "\"x\",".repeat(CEILING_VALUES_MAX + 1)),
    ] {
        assert!(Catalogue::parse(&format!("[account_sets]\n{bad}\n")).is_err(), "{bad}");
    }
    let many: String = (0..=ACCOUNT_SETS_MAX).map(|n| format!("s{n} = []\n")).collect();
    assert!(Catalogue::parse(&format!("[account_sets]\n{many}")).is_err());
}
