//! Which bundles load, and that every problem is told with its file.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use super::*;

pub(in crate::policy) fn shipped() -> BundleFiles {
    BundleFiles::read_dir(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/policy"))).unwrap()
}

/// The shipped files, with some replaced or added; an empty text removes.
pub(in crate::policy) fn shipped_with(changes: &[(&str, &str)]) -> BundleFiles {
    let mut files = shipped().files;
    for (path, text) in changes {
        match *text {
            "" => drop(files.remove(*path)),
            text => drop(files.insert((*path).to_owned(), text.as_bytes().to_vec())),
        }
    }
    BundleFiles::new(files).unwrap()
}

pub(in crate::policy) fn load(changes: &[(&str, &str)]) -> PolicyBundle {
    PolicyBundle::load(shipped_with(changes)).unwrap_or_else(|e| panic!("{:#?}", e.problems()))
}

fn problems(changes: &[(&str, &str)]) -> Vec<String> {
    let error = PolicyBundle::load(shipped_with(changes)).expect_err("a refusal");
    error.problems().iter().map(ToString::to_string).collect()
}

#[test]
fn the_shipped_bundle_loads_and_passes_its_tests() {
    let bundle = load(&[]);
    let report = bundle.run_tests();
    assert!(report.failures().is_empty(), "{:#?}", report.failures());
    assert_eq!((report.never_fired(), report.coverage_percent()), (Vec::new(), 100), "each policy has a case");
    let idle: Vec<_> = report.coverage.iter().filter(|c| c.decided == 0).map(|c| c.id.as_str()).collect();
    assert!(idle.is_empty(), "these fire and never decide: {idle:?}");
    assert!(report.passed() >= 70, "{}", report.passed());
}

#[test]
fn every_file_of_the_bundle_is_needed() {
    for path in [SCHEMA, CATALOGUE, IDENTITIES, RISK] {
        let problems = problems(&[(path, "")]);
        assert!(problems.iter().any(|p| p.contains(path) && p.contains("missing")), "{path}: {problems:?}");
    }
}

#[test]
fn a_policy_without_its_annotations_is_refused() {
    let forbid = "forbid (principal, action, resource);";
    let rows = [
        ("no id", "permit (principal, action, resource);", "no @id"),
        ("an empty id", "@id(\"\") permit (principal, action, resource);", "@id: not a valid"),
        ("an id that stands elsewhere", "@id(\"permit-read\") permit (principal, action, resource);", "stands in"),
        ("no reason", &format!("@id(\"x\") {forbid}"), "needs a @reason"),
        ("an unknown reason", &format!("@id(\"x\") @reason(\"NOPE\") {forbid}"), "`NOPE` is no reason code"),
        (
            "a wrong outcome",
            &format!("@id(\"x\") @reason(\"FORBIDDEN\") @outcome(\"maybe\") {forbid}"),
            "`maybe` is none of",
        ),
        (
            "an outcome granted",
            &format!("@id(\"x\") @reason(\"FORBIDDEN\") @outcome(\"granted\") {forbid}"),
            "is none of",
        ),
        (
            "a misspelt name",
            &format!("@id(\"x\") @reason(\"FORBIDDEN\") @outcom(\"review\") {forbid}"),
            "@outcom means nothing",
        ),
        (
            "a permit with a reason",
            "@id(\"x\") @reason(\"FORBIDDEN\") permit (principal, action, resource);",
            "means nothing",
        ),
        ("a life of years", "@id(\"x\") @ttl(\"1000s\") permit (principal, action, resource);", "@ttl is no time"),
        (
            "an unbound token that lives long",
            "@id(\"x\") @unbound(\"61s\") permit (principal, action, resource);",
            "@unbound is no time from 1s to 60s",
        ),
        (
            "a forbid of unbound tokens",
            &format!("@id(\"x\") @reason(\"FORBIDDEN\") @unbound(\"9s\") {forbid}"),
            "@unbound means nothing",
        ),
        ("a life of nothing", "@id(\"x\") @ttl(\"0s\") permit (principal, action, resource);", "@ttl is no time"),
        ("a life without a unit", "@id(\"x\") @ttl(\"60\") permit (principal, action, resource);", "@ttl is no time"),
        (
            "a life of what is denied",
            &format!("@id(\"x\") @reason(\"FORBIDDEN\") @ttl(\"9s\") {forbid}"),
            "has no life",
        ),
        (
            "approvals of a step-up",
            &format!("@id(\"x\") @reason(\"FORBIDDEN\") @outcome(\"step_up\") @approvals(\"2\") {forbid}"),
            "is for the outcome review",
        ),
        (
            "a step-up for an owner",
            &format!("@id(\"x\") @reason(\"FORBIDDEN\") @outcome(\"step_up\") @route(\"owner\") {forbid}"),
            "@route is for the outcome review",
        ),
        (
            "a route to somebody else",
            &format!("@id(\"x\") @reason(\"FORBIDDEN\") @outcome(\"review\") @route(\"boss\") {forbid}"),
            "@route is `owner`",
        ),
        (
            "a permit for an owner",
            "@id(\"x\") @route(\"owner\") permit (principal, action, resource);",
            "@route means nothing",
        ),
        (
            "no approvals",
            &format!("@id(\"x\") @reason(\"FORBIDDEN\") @outcome(\"review\") @approvals(\"0\") {forbid}"),
            "@approvals is not",
        ),
        (
            "an unknown control",
            "@id(\"x\") @controls(\"ASI11\") permit (principal, action, resource);",
            "no framework has an item `ASI11`",
        ),
        (
            "a control that is not there",
            "@id(\"x\") @controls(\"ASI02, ASI05\") permit (principal, action, resource);",
            "no control for `ASI05`",
        ),
        ("a template", "@id(\"x\") permit (principal == ?principal, action, resource);", "templates are not used"),
    ];
    for (name, text, expected) in rows {
        let problems = problems(&[("x.cedar", text)]);
        assert!(problems.iter().any(|p| p.starts_with("`x.cedar`") && p.contains(expected)), "{name}: {problems:?}");
    }
}

#[test]
fn a_policy_that_could_let_risk_loosen_something_is_refused() {
    let rows = [
        (
            "a permit by score",
            "@id(\"x\") permit (principal, action in Carnet::Action::\"use\", resource) when { context.risk.score < 30 };",
            "a permit may not read risk",
        ),
        (
            "a permit by the whole context",
            "@id(\"x\") permit (principal, action in Carnet::Action::\"use\", resource) when { [context].contains(context) };",
            "a permit may not read risk",
        ),
        (
            "a forbid for the harmless",
            "@id(\"x\") @reason(\"FORBIDDEN\") forbid (principal, action in Carnet::Action::\"use\", resource) when { context.risk.score < 30 };",
            "stop applying",
        ),
        (
            "a forbid unless risky",
            "@id(\"x\") @reason(\"FORBIDDEN\") forbid (principal, action in Carnet::Action::\"use\", resource) unless { context.risk.reached.contains(\"high\") };",
            "stop applying",
        ),
    ];
    for (name, text, expected) in rows {
        let problems = problems(&[("x.cedar", text)]);
        assert!(problems.iter().any(|p| p.contains(expected)), "{name}: {problems:?}");
    }
}

#[test]
fn what_a_policy_gets_wrong_about_the_model_is_refused() {
    let forbid = |condition: &str| {
        format!(
            "@id(\"x\") @reason(\"FORBIDDEN\") forbid (principal, action in Carnet::Action::\"use\", resource) when {{ {condition} }};"
        )
    };
    let rows = [
        ("an attribute that is not there", forbid("context.call.celing == \"within\""), "celing"),
        ("another type", forbid("resource.privilege == \"high\""), "type"),
        ("a word that is never said", forbid("context.call.ceiling == \"beyond\""), "never `beyond`"),
        ("a rule that never applies", forbid("false"), "policy is impossible"),
        (
            "an action that is not there",
            "@id(\"x\") permit (principal, action == Carnet::Action::\"fly\", resource);".to_owned(),
            "fly",
        ),
        (
            "a tool that is not there",
            "@id(\"x\") permit (principal, action, resource == Carnet::Tool::\"mail.sned\");".to_owned(),
            "mail.sned",
        ),
        (
            "an owner that is not there",
            "@id(\"x\") permit (principal, action, resource in Carnet::Owner::\"group:x\");".to_owned(),
            "group:x",
        ),
        ("no Cedar", "permit (principal".to_owned(), "line 1"),
    ];
    for (name, text, expected) in rows {
        let problems = problems(&[("x.cedar", &text)]);
        assert!(problems.iter().any(|p| p.contains(expected)), "{name}: {problems:?}");
    }
}

#[test]
fn every_problem_of_every_file_is_told_at_once() {
    let problems = problems(&[
        ("catalogue.toml", "[tools.a]\ndescription = \"\"\neffect = \"read\"\nprivilege = 200\n"),
        ("identities.toml", "[[identity]]\npattern = \"*\"\nclass = \"ai_agent\"\n"),
        ("risk.toml", "[drift]\nunanswered_after_s = 0\n"),
        ("x.cedar", "permit (principal, action, resource);"),
        ("tests/x.toml", "[[case]]\nname = \"a\"\n"),
        ("catalog.toml", "# misspelt"),
        ("tests/notes.txt", "stray"),
    ]);
    for path in ["catalogue.toml", "identities.toml", "risk.toml", "x.cedar", "catalog.toml", "tests/notes.txt"] {
        assert!(problems.iter().any(|p| p.contains(&format!("`{path}`"))), "{path}: {problems:#?}");
    }
}

#[test]
fn a_bundle_stays_in_its_folder_and_within_its_limits() {
    let one = |path: &str| BundleFiles::new([(path.to_owned(), vec![b'x'])]);
    for path in ["/etc/passwd", "../x.cedar", "a/../../x", "a//b", "", "./x", "a\\b", "c:x", "a\nb"] {
        assert!(one(path).is_err(), "{path:?}");
    }
    assert!(one("a/b.cedar").is_ok());
    let many = (0..=BUNDLE_FILES_MAX).map(|n| (format!("{n}.md"), Vec::new()));
    assert!(BundleFiles::new(many).is_err());
    assert!(BundleFiles::new([("x.md".to_owned(), vec![b'x'; BUNDLE_BYTES_MAX + 1])]).is_err());
    assert!(BundleFiles::new([("x.md".to_owned(), Vec::new()), ("x.md".to_owned(), Vec::new())]).is_err());
}

#[test]
fn what_is_wrong_with_paths_is_told_in_short_however_long_and_many_they_are() {
    let long = "\u{1f600}".repeat(1 << 18);
    let many = (0..2000).map(|n| (format!("../{n}{long}").chars().take(1000).collect(), Vec::new()));
    let all = [("/".to_owned() + &long, Vec::new())].into_iter().chain(many);
    let error = BundleFiles::new(all).unwrap_err();
    assert!(error.to_string().len() < 1000, "{}", error.to_string().len());
    let problems = error.problems();
    assert_eq!(problems.len(), BUNDLE_FILES_MAX);
    assert!(problems.iter().all(|problem| problem.path.len() < 600 && problem.path.ends_with('…')));
}

#[test]
fn files_that_are_none_of_a_bundle_are_found() {
    assert_eq!(shipped().stranger(), None);
    for path in [".git/hooks/post-checkout", ".x.cedar", "tests/.x.toml", "a/.b/c.cedar", "Makefile", "x.cedar.sh"] {
        let files = BundleFiles::new([(path.to_owned(), Vec::new()), ("z.cedar".to_owned(), Vec::new())]).unwrap();
        assert_eq!(files.stranger(), Some(path));
    }
}

#[test]
fn the_digest_tells_every_change() {
    let digest = |files: &[(&str, &str)]| {
        let files = files.iter().map(|(p, c)| ((*p).to_owned(), c.as_bytes().to_vec()));
        BundleFiles::new(files).unwrap().digest().to_string()
    };
    let all = [
        digest(&[("a", "b"), ("c", "d")]),
        digest(&[("a", "bc"), ("d", "")]),
        digest(&[("a", "b"), ("c", "e")]),
        digest(&[("a", "b"), ("cc", "d")]),
        digest(&[("a", "b")]),
    ];
    let distinct: HashSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
    assert_eq!(all[0], digest(&[("c", "d"), ("a", "b")]), "the order of files does not matter");
    assert_eq!(all[0].len(), 64);
}

#[test]
fn the_shipped_risk_table_weighs_every_signal_that_facts_give_rise_to() {
    let bundle = load(&[]);
    for (name, _) in crate::risk::derive::NAMES {
        assert!(bundle.risk().listed(name).is_some(), "`{name}` is not weighed");
    }
}

#[test]
fn the_shipped_schema_is_the_one_that_this_version_fills_in() {
    let shipped = shipped();
    assert_eq!(shipped.files[SCHEMA], schema::SHIPPED.as_bytes());
}
