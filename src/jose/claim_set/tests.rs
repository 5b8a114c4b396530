//! Shapes of registered claims (RFC 7519 §4.1).

use proptest::prelude::*;

use super::*;

fn set(text: &str) -> ClaimSet {
    ClaimSet::parse(text.as_bytes()).unwrap()
}

#[test]
fn audiences_are_one_string_or_a_list_of_strings() {
    assert_eq!(set(r#"{"aud":"rs"}"#).audiences().unwrap(), ["rs"]);
    assert_eq!(set(r#"{"aud":["rs","x"]}"#).audiences().unwrap(), ["rs", "x"]);
    assert_eq!(set("{}").audiences(), Err(ClaimError::Absent("aud")));
    for wrong in ["null", "7", "{}", "[]", "\"\"", "[\"\"]", "[\"rs\",7]", "[[\"rs\"]]", "true"] {
        assert_eq!(set(&format!(r#"{{"aud":{wrong}}}"#)).audiences(), Err(ClaimError::Shape("aud")), "{wrong}");
    }
}

#[test]
fn dates_are_whole_seconds_in_a_sane_range() {
    let date = |value: &str| set(&format!(r#"{{"exp":{value}}}"#)).numeric_date("exp");
    assert_eq!(date("1790000000"), Ok(Some(Timestamp::from_secs(1_790_000_000))));
    assert_eq!(date("253402300799"), Ok(Some(Timestamp::from_secs(NUMERIC_DATE_MAX))));
    assert_eq!(set("{}").numeric_date("exp"), Ok(None));
    for wrong in [
        "253402300800",
        "18446744073709551616",
        "1e19",
        "1e400",
        "1.5",
        "1790000000.0",
        "-1",
        "-0",
        "\"1790000000\"",
        "null",
        "[1]",
        "true",
    ] {
        assert_eq!(date(wrong), Err(ClaimError::Shape("exp")), "{wrong}");
    }
}

#[test]
fn no_member_stands_twice_at_any_depth() {
    for twice in [r#"{"a":1,"a":1}"#, r#"{"cnf":{"x":1,"x":2}}"#, r#"{"l":[{"x":1,"x":2}]}"#, r#"{"a":1,"\u0061":1}"#] {
        assert!(ClaimSet::parse(twice.as_bytes()).is_err(), "{twice}");
    }
    for other in ["[]", "7", "\"x\"", "", "{", "{}x", "\u{feff}{}"] {
        assert!(ClaimSet::parse(other.as_bytes()).is_err(), "{other}");
    }
    assert!(ClaimSet::parse(b"{\"a\":\"\xff\"}").is_err());
}

#[test]
fn texts_are_texts() {
    assert_eq!(set(r#"{"sub":"s"}"#).text("sub"), Ok(Some("s")));
    assert_eq!(set("{}").text("sub"), Ok(None));
    for wrong in ["\"\"", "7", "null", "[\"s\"]"] {
        assert_eq!(set(&format!(r#"{{"sub":{wrong}}}"#)).text("sub"), Err(ClaimError::Shape("sub")), "{wrong}");
    }
}

proptest! {
    #[test]
    fn no_payload_makes_it_panic(bytes in any::<Vec<u8>>()) {
        if let Ok(set) = ClaimSet::parse(&bytes) {
            let _ = (set.audiences(), set.numeric_date("exp"), set.text("sub"));
        }
    }
}
