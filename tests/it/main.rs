//! The one integration test binary. A file that is not listed here would not be run, so a test below says so.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod access;
mod approvals;
mod architecture;
mod audit_log;
mod bad_input;
mod bearer;
mod behaviour;
mod break_glass;
mod bundles;
mod ceilings;
mod cli;
mod clock;
mod contract;
mod crash;
mod delegation;
mod demo;
mod eval;
mod eval_agreement;
mod explain;
mod golden;
mod harness;
mod issuers;
mod journal;
mod learning;
mod limits;
mod mtls;
mod observe;
mod odd_values;
mod pause;
mod people;
mod policy_matrix;
mod race;
mod reading;
mod reconsider;
mod renew;
mod report;
mod report_digests;
mod report_streams;
mod request;
mod restart;
mod revoke;
mod rights;
mod scorers;
mod search_index;
mod serve;
mod support;
mod trust;
mod vectors;
mod watch;
mod webhooks;
mod witnesses;
mod workload_api;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn every_file_beside_this_one_is_listed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let text = fs::read_to_string(root.join("main.rs")).unwrap();
    let listed: BTreeSet<String> =
        text.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';')).map(str::to_owned).collect();
    let mut present = BTreeSet::new();
    for entry in fs::read_dir(&root).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let is_module = path.extension().is_some_and(|e| e == "rs") || path.join("mod.rs").is_file();
        if is_module && name != "main" {
            present.insert(name);
        }
    }
    assert_eq!(present, listed, "left: files in tests/it; right: `mod` lines of main.rs");
}
