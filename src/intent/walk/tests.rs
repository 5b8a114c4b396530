//! Paths and leaves.

use super::*;

#[test]
fn leaves_come_with_the_paths_by_which_sinks_are_named() {
    let text = r#"{"to":["a","b"],"n":12.50,"files":[{"id":"x"}],"on":true,"off":null,"by":{"pm_123456":{"kind":"card"},"Good Inn":""}}"#;
    let json = Json::parse(text, 1000).unwrap();
    let mut found = Vec::new();
    leaves(&json, &mut |path, text| found.push(format!("{path}={text}")));
    let expected = ["to=a", "to=b", "n=12.50", "files.id=x", "by.*=pm_123456", "by.*.kind=card", "by.*=Good Inn"];
    assert_eq!(found, expected);
}

#[test]
fn a_bare_value_has_the_empty_path() {
    let mut found = Vec::new();
    leaves(&Json::String("x".to_owned()), &mut |path, text| found.push((path.to_owned(), text.to_owned())));
    assert_eq!(found, [(String::new(), "x".to_owned())]);
}
