//! Spelling, duplicates, depth and size of JSON.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use proptest::prelude::*;

use super::*;

#[test]
fn numbers_keep_their_spelling() {
    let text = r#"{"a":10.10,"b":[1e2,-0,123456789012345678901234567890.5],"c":"x\n\u00e9"}"#;
    let json = Json::parse(text, 1024).unwrap();
    assert_eq!(json.member("a"), Some(&Json::Number("10.10".into())));
    assert_eq!(json.to_text(), r#"{"a":10.10,"b":[1e2,-0,123456789012345678901234567890.5],"c":"x\né"}"#);
}

#[test]
fn duplicates_are_refused_at_every_level() {
    for bad in [r#"{"a":1,"a":2}"#, r#"{"x":{"a":1,"a":2}}"#, r#"[{"a":1,"\u0061":2}]"#] {
        assert!(matches!(Json::parse(bad, 1024), Err(ParseJsonError::Syntax(_))), "{bad}");
    }
}

#[test]
fn size_depth_and_count_are_bounded() {
    assert!(matches!(Json::parse("[1]", 2), Err(ParseJsonError::TooLong { max: 2 })));
    let deep = format!("{}{}", "[".repeat(33), "]".repeat(33));
    assert!(matches!(Json::parse(&deep, 1024), Err(ParseJsonError::TooDeep)));
    assert!(Json::parse(&format!("{}{}", "[".repeat(32), "]".repeat(32)), 1024).is_ok());
    let wide = format!("[{}1]", "1,".repeat(JSON_VALUES_MAX));
    assert!(Json::parse(&wide, usize::MAX).is_err());
    assert!(Json::parse(r#"["[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"[["]"#, 1024).is_ok());
}

#[test]
fn only_objects_are_arguments() {
    assert_eq!(Json::parse_object("", 8).unwrap(), Json::Object(vec![]));
    assert!(matches!(Json::parse_object("[]", 8), Err(ParseJsonError::NotAnObject)));
    assert!(Json::parse_object("{} x", 8).is_err());
}

proptest! {
    #[test]
    fn parsing_never_panics_and_round_trips(s in r#"[\[\]{}:,"0-9a-e.\\ \-]{0,40}"#) {
        if let Ok(json) = Json::parse(&s, 1024) {
            prop_assert_eq!(Json::parse(&json.to_text(), 4096).unwrap(), json);
        }
    }
}
