//! Formatting keeps comments, annotations and meaning, comes to an end, and refuses what it could not keep.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use super::*;

fn form(text: &str) -> String {
    formatted("x.cedar", text).unwrap_or_else(|problems| format!("{problems:?}"))
}

#[test]
fn policies_take_one_form_and_keep_it() {
    let rows = [
        ("permit(principal,action,resource);", "permit (principal, action, resource);\n"),
        (
            "@id(\"a\")@ttl(\"60s\")\n\n\npermit(principal,action==Action::\"b\",resource);",
            "@id(\"a\")\n@ttl(\"60s\")\npermit (\n  principal,\n  action == Action::\"b\",\n  resource\n);\n",
        ),
        (
            "permit(principal,action,resource);permit(principal,action,resource);",
            "permit (principal, action, resource);\n\npermit (principal, action, resource);\n",
        ),
        ("", ""),
        ("// nothing yet", "// nothing yet\n"),
    ];
    for (text, expected) in rows {
        assert_eq!(form(text), expected, "{text}");
        assert_eq!(form(expected), expected, "{text}");
    }
}

#[test]
fn comments_stay_where_they_stood() {
    let text = "// What the file is about.\n//   an indented line\n\n// A note\n  // of two lines\n\n\n// of the first\n\
        permit(principal,action,resource); // behind it\n// of the second\nforbid(principal,action,resource) when {\n\
        // inside\ntrue };\n\n// the end";
    let expected = "// What the file is about.\n//   an indented line\n\n// A note\n// of two lines\n\n// of the first\n\
        permit (principal, action, resource); // behind it\n\n// of the second\nforbid (principal, action, resource)\n\
        when\n{\n  // inside\n  true\n};\n\n// the end\n";
    assert_eq!(form(text), expected);
    assert_eq!(form(expected), expected);
}

#[test]
fn what_looks_like_a_comment_or_an_end_in_a_string_is_neither() {
    let text = "@description(\"see https://a.test; or \\\"this\\\" // not a comment\")\npermit (principal, action, resource);\n";
    assert_eq!(form(text), text);
    assert_eq!(comments(text), Vec::<String>::new());
}

#[test]
fn what_does_not_parse_is_told_with_its_line() {
    for (name, text, expected) in [
        ("no policy", "\n\npermt (principal, action, resource);", "line 3"),
        ("no end", "permit (principal, action, resource)", "line 1"),
        ("a template", "permit (principal == ?principal, action, resource);", "templates"),
    ] {
        let problems = formatted("x.cedar", text).unwrap_err();
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(told.iter().any(|p| p.contains("`x.cedar`") && p.contains(expected)), "{name}: {told:?}");
    }
}

/// Whatever the formatter would do: a difference is a refusal.
#[test]
fn a_lost_comment_is_noticed() {
    let list = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
    let before = list(&["// a", "// b"]);
    assert_eq!(first_difference(&before, &before), None);
    assert_eq!(first_difference(&before, &list(&["// a"])), Some("// b"));
    assert_eq!(first_difference(&before, &list(&["// b", "// a"])), Some("// a"));
    assert_eq!(first_difference(&before, &list(&["// a", "// b", "// c"])), Some("// c"));
}

#[test]
fn another_meaning_is_noticed() {
    let of = |text: &str| meaning("x", text).unwrap();
    let policy = "@id(\"a\") permit (principal, action, resource);";
    assert_eq!(of(policy), of("@id(\"a\")permit(principal,action,resource);"));
    for other in [
        "@id(\"b\") permit (principal, action, resource);",
        "@id(\"a\") forbid (principal, action, resource);",
        "@id(\"a\") permit (principal, action, resource) when { true };",
        "permit (principal, action, resource);",
    ] {
        assert_ne!(of(policy), of(other), "{other}");
    }
    let two = |a: &str, b: &str| {
        of(&format!(
            "@id(\"{a}\") permit (principal, action, resource);\n@id(\"{b}\") permit (principal, action, resource);"
        ))
    };
    assert_ne!(two("a", "b"), two("b", "a"), "their order is kept");
}
