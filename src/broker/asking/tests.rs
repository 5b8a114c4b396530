//! By what an entry is known again, in part.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::Path;

use super::*;
use crate::model::ceiling::CeilingFit;
use crate::model::facts::IntentFit;
use crate::policy::bundle::BundleFiles;

fn entry(tool: &str, resources: &[&str], sinks: &[(&str, SinkKind, &str)]) -> EntryFacts {
    let sink = |(name, kind, value): &(&str, SinkKind, &str)| SinkFacts {
        name: (*name).to_owned(),
        kind: *kind,
        value: (*value).to_owned(),
        provenance: Provenance::None,
        evidence: None,
        beside_intent: false,
    };
    EntryFacts {
        tool: tool.parse().unwrap(),
        actions: Vec::new(),
        resources: resources.iter().map(ToString::to_string).collect(),
        data_classes: Vec::new(),
        ceiling: CeilingFit::Within,
        sinks: sinks.iter().map(sink).collect(),
        intent_fit: IntentFit::default(),
        conflicts: Vec::new(),
        calls_before: 0,
        dictated: Vec::new(),
    }
}

/// True when what is sought concerns what was denied.
fn meets(denied: &EntryFacts, sought: &EntryFacts) -> bool {
    let shipped = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/policy"));
    let bundle = PolicyBundle::load(BundleFiles::read_dir(shipped).unwrap()).unwrap();
    let (agent, audience) = ("spiffe://td.test/a".parse().unwrap(), "https://web.test".parse().unwrap());
    let of = Of { agent: &agent, audience: &audience, bundle: Some(&bundle) };
    let remembered = Parts::Remembered.of(of, denied);
    Parts::Sought.of(of, sought).iter().any(|part| remembered.contains(part))
}

#[test]
fn a_part_is_the_same_however_it_is_spelled_and_under_whichever_name() {
    let url = |name: &str, url: &str| entry("web.fetch", &[], &[(name, SinkKind::Url, url)]);
    let denied = url("url", "https://evil.test/x");
    for (name, spelled) in
        [("url", "HTTPS://EVIL.test/x"), ("url", "https://evil.test:443/x"), ("mirror", "https://evil.test/x")]
    {
        assert!(meets(&denied, &url(name, spelled)), "{name} {spelled}");
    }
    assert!(!meets(&denied, &url("url", "https://evil.test/y")));
}

#[test]
fn of_a_tool_that_goes_by_values_a_call_without_any_is_about_all_of_it() {
    let search = |resource: &str| entry("tickets.search", &[resource], &[]);
    assert!(!meets(&search("a"), &search("b")), "it has nothing else to be known by");
    assert!(meets(&search("a"), &search("a")));
    let mail = |resource: &str| entry("mail.send", &[resource], &[]);
    assert!(meets(&mail("a"), &mail("b")), "those are words");
    assert!(meets(&mail("a"), &entry("mail.send", &[], &[("to", SinkKind::Address, "eve@evil.test")])));
}
