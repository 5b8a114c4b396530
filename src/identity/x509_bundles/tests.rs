//! Which trust bundles a message of the Workload API gives, each named by its defect beside what stays.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::HashMap;
use std::time::Duration;

use super::*;
use crate::dev::ca::DevCa;
use crate::model::time::Timestamp;

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

fn root(of: &str) -> Vec<u8> {
    DevCa::new(of.parse().unwrap(), NOW, Duration::from_secs(3600)).unwrap().root().to_vec()
}

fn svid(id: &str, bundle: &[u8]) -> pb::X509svid {
    pb::X509svid { spiffe_id: id.to_owned(), bundle: bundle.to_vec(), ..pb::X509svid::default() }
}

fn message(svids: &[pb::X509svid], federated: &[(&str, Vec<u8>)]) -> pb::X509svidResponse {
    let federated_bundles: HashMap<String, Vec<u8>> =
        federated.iter().map(|(name, bundle)| ((*name).to_owned(), bundle.clone())).collect();
    pb::X509svidResponse { svids: svids.to_vec(), crl: Vec::new(), federated_bundles }
}

/// The trust domains that the message gives, each with the number of its certificates.
fn given(message: &pb::X509svidResponse) -> Vec<(String, usize)> {
    match X509Feed::read(message) {
        Held::Given(bundles) => bundles.iter().map(|(name, of)| (name.to_string(), of.len())).collect(),
        Held::Nothing | Held::Withdrawn => Vec::new(),
    }
}

#[test]
fn a_flaw_concerns_the_trust_domain_that_it_is_about() {
    let (own, other, third) = (root("a.test"), root("b.test"), root("c.test"));
    let us = [svid("spiffe://a.test/carnet", &own)];
    let two = [other.clone(), third.clone()].concat();
    let torn = other[..other.len() - 1].to_vec();
    let behind = [other.as_slice(), &[0]].concat();
    let mut many: Vec<(String, Vec<u8>)> =
        (0..MATERIAL_MAX.1).map(|n| (format!("spiffe://d{n:03}.test"), third.clone())).collect();
    many.push(("spiffe://b.test".to_owned(), other.clone()));
    let many: Vec<(&str, Vec<u8>)> = many.iter().map(|(name, of)| (name.as_str(), of.clone())).collect();
    assert_eq!(given(&message(&us, &many)).len(), MATERIAL_MAX.1 + 1, "too many: the others stand, and ours");
    assert!(given(&message(&us, &many)).contains(&("b.test".to_owned(), 1)), "always the same ones");
    for (name, federated, expected) in [
        ("control", vec![("spiffe://b.test", other.clone())], vec![("a.test", 1), ("b.test", 1)]),
        ("two authorities", vec![("spiffe://b.test", two)], vec![("a.test", 1), ("b.test", 2)]),
        ("none is federated", vec![], vec![("a.test", 1)]),
        ("empty", vec![("spiffe://b.test", Vec::new())], vec![("a.test", 1), ("b.test", 0)]),
        ("no certificate", vec![("spiffe://b.test", vec![1, 2, 3])], vec![("a.test", 1), ("b.test", 0)]),
        ("torn", vec![("spiffe://b.test", torn)], vec![("a.test", 1), ("b.test", 0)]),
        ("something behind it", vec![("spiffe://b.test", behind)], vec![("a.test", 1), ("b.test", 0)]),
        (
            "too long",
            vec![("spiffe://b.test", other.repeat(MATERIAL_MAX.2 / other.len() + 1))],
            vec![("a.test", 1), ("b.test", 0)],
        ),
        (
            "beside one that cannot be read",
            vec![("spiffe://b.test", other.clone()), ("spiffe://c.test", vec![0])],
            vec![("a.test", 1), ("b.test", 1), ("c.test", 0)],
        ),
        ("a name in capitals", vec![("spiffe://B.test", other.clone())], vec![("a.test", 1)]),
        ("a name with a path", vec![("spiffe://b.test/x", other.clone())], vec![("a.test", 1)]),
        ("no name", vec![("", other.clone())], vec![("a.test", 1)]),
    ] {
        let expected: Vec<(String, usize)> = expected.into_iter().map(|(name, n)| (name.to_owned(), n)).collect();
        assert_eq!(given(&message(&us, &federated)), expected, "{name}");
    }
}

#[test]
fn nobody_else_says_whom_our_own_trust_domain_trusts() {
    let (own, foreign) = (root("a.test"), root("a.test"));
    let us = [svid("spiffe://a.test/carnet", &own), svid("spiffe://a.test/other", &foreign)];
    let Held::Given(bundles) = X509Feed::read(&message(&us, &[("spiffe://a.test", foreign)])) else {
        panic!("there is ours");
    };
    assert_eq!(bundles.values().collect::<Vec<_>>(), [&vec![own]]);
}

#[test]
fn without_an_identity_nobody_is_trusted() {
    let other = root("b.test");
    let federated = [("spiffe://b.test", other.clone())];
    for (name, svids) in [("no SVID", vec![]), ("an SVID of nobody", vec![svid("agent", &other)])] {
        assert_eq!(X509Feed::read(&message(&svids, &federated)), Held::Withdrawn, "{name}");
    }
    let ours = [svid("agent", &other), svid("spiffe://a.test/carnet", &other)];
    assert_eq!(given(&message(&ours, &[])), [("a.test".to_owned(), 1)], "one of them names somebody");
    let gone = [svid("spiffe://a.test/carnet", &[])];
    assert_eq!(given(&message(&gone, &federated)), [("a.test".to_owned(), 0), ("b.test".to_owned(), 1)]);
}
