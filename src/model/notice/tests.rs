//! Names.

use super::*;

#[test]
fn a_type_has_one_name_wherever_it_is_written() {
    for kind in NoticeType::ALL.into_iter().chain([NoticeType::Test]) {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        assert_eq!(
            kind.as_str().parse().ok(),
            (kind != NoticeType::Test).then_some(kind),
            "a test is not subscribed to"
        );
    }
}

#[test]
fn a_name_can_be_that_of_a_file_and_of_a_figure() {
    for name in ["a", "pager-2", "0"] {
        assert_eq!(name.parse::<WebhookName>().unwrap().as_str(), name);
    }
    for name in ["", "A", "a b", "a/b", "..", "a.json", "é", &"a".repeat(33)] {
        assert!(name.parse::<WebhookName>().is_err(), "{name}");
    }
}
