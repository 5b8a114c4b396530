//! What is inside of the binary is what lies in the folder, and it is a bundle that holds its own tests.

use std::path::Path;

use super::*;
use crate::policy::bundle::PolicyBundle;

#[test]
fn the_binary_holds_the_whole_folder() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/policy");
    let there = BundleFiles::read_dir(&folder).unwrap();
    let paths = |files: &BundleFiles| files.iter().map(|(path, _)| path.to_owned()).collect::<Vec<_>>();
    let here = shipped().unwrap();
    assert_eq!(paths(&here), paths(&there), "left: listed in dev/bundle.rs; right: files in deploy/policy");
    assert_eq!(here.digest(), there.digest());
}

#[test]
fn the_shipped_bundle_passes_its_tests() {
    let report = PolicyBundle::load(shipped().unwrap()).unwrap().run_tests();
    assert!(report.failures().is_empty(), "{:?}", report.failures());
    assert!(report.passed() > 0);
}
