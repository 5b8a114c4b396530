//! Claims named by their defect, each beside the set that they were made from (RFC 9068 §2.2,
//! RFC 8693 §4.1, RFC 8705 §3.1, RFC 9396 §9.1).

use proptest::prelude::*;

use super::*;

const GOOD: &str = concat!(
    r#"{"iss":"https://carnet.test","sub":"user:alice","client_id":"spiffe://a.test/agent","act":{"sub":"spiffe://a.test/agent"},"#,
    r#""aud":"https://mail.test","iat":1790000000,"nbf":1789999995,"exp":1790000300,"jti":"AAECAwQFBgcICQoLDA0ODw","#,
    r#""txn":"task_0199a0b0c0d07e1f8a2b3c4d5e6f7a8b","scope":"send:tools/call","authorization_details":[{"type":"#,
    r#""https://carnet.dev/ad/tool/v1","locations":["https://mail.test"],"identifier":"send","actions":["tools/call"],"#,
    r#""constraints":{"max_calls":1,"sinks":{"to":{"kind":"address","eq":["a@x.test"]}}}}],"#,
    r#""cnf":{"x5t#S256":"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dgw"},"#,
    r#""https://carnet.dev/claims/task":{"id":"task_0199a0b0c0d07e1f8a2b3c4d5e6f7a8b","#,
    r#""grant":"grant_0199a0b0c0d07e1f8a2b3c4d5e6f7a8c","intent_hash":"sha-256:abc","risk_band":"low","policy_version":"7"}}"#,
);

fn good() -> String {
    GOOD.to_owned()
}

fn parse(text: &str) -> Result<Claims, ClaimsError> {
    Claims::parse(text.as_bytes())
}

#[test]
fn what_is_read_is_written_byte_for_byte() {
    let claims = parse(&good()).unwrap();
    assert_eq!(String::from_utf8(claims.to_payload().unwrap()).unwrap(), good());
    assert_eq!(claims.authorization_details.entries().unwrap().len(), 1);
}

#[test]
fn claims_are_refused_by_their_defect() {
    let with = |from: &str, to: &str| {
        let text = good().replacen(from, to, 1);
        assert_ne!(text, good(), "{from}");
        text
    };
    let nested = |depth: usize| {
        let agent = "\"sub\":\"spiffe://a.test/agent\"";
        let chain = format!("{}{agent}{}", format!("{{{agent},\"act\":").repeat(depth) + "{", "}".repeat(depth + 1));
        with(r#""act":{"sub":"spiffe://a.test/agent"}"#, &format!("\"act\":{chain}"))
    };
    for (name, text, accepted) in [
        ("control", good(), true),
        ("aud as a list of one", with(r#""aud":"https://mail.test""#, r#""aud":["https://mail.test"]"#), true),
        ("a claim that we don't know", with(r#"{"iss""#, r#"{"status":{"x":1},"iss""#), true),
        ("no act", with(r#""act":{"sub":"spiffe://a.test/agent"},"#, ""), true),
        ("no cnf", with(r#""cnf":{"x5t#S256":"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dgw"},"#, ""), true),
        ("act as deep as delegation goes", nested(7), true),
        ("act deeper", nested(8), false),
        ("aud as a list of two", with(r#""aud":"https://mail.test""#, r#""aud":["https://mail.test","x"]"#), false),
        ("aud as a mixed list", with(r#""aud":"https://mail.test""#, r#""aud":["https://mail.test",7]"#), false),
        ("aud as an empty list", with(r#""aud":"https://mail.test""#, r#""aud":[]"#), false),
        ("aud null", with(r#""aud":"https://mail.test""#, r#""aud":null"#), false),
        ("aud absent", with(r#""aud":"https://mail.test","#, ""), false),
        ("aud twice", with(r#""aud""#, r#""aud":"x","aud""#), false),
        ("aud with white space", with(r#""aud":"https://mail.test""#, r#""aud":" https://mail.test""#), false),
        ("iss absent", with(r#""iss":"https://carnet.test","#, ""), false),
        ("iss a list", with(r#""https://carnet.test""#, r#"["https://carnet.test","https://evil.test"]"#), false),
        ("iss a number", with(r#""https://carnet.test""#, "7"), false),
        ("sub twice", with(r#""sub""#, r#""sub":"user:eve","sub""#), false),
        ("sub twice by an escape", with(r#""sub""#, r#""\u0073ub":"user:eve","sub""#), false),
        ("sub empty", with("user:alice", ""), false),
        ("client_id no SPIFFE ID", with(r#""client_id":"spiffe://a.test/agent""#, r#""client_id":"agent""#), false),
        (
            "client_id in upper case",
            with(r#""client_id":"spiffe://a.test/agent""#, r#""client_id":"spiffe://A.test/agent""#),
            false,
        ),
        (
            "act of another",
            with(r#""act":{"sub":"spiffe://a.test/agent"}"#, r#""act":{"sub":"spiffe://a.test/other"}"#),
            false,
        ),
        ("act with exp", with(r#""act":{"#, r#""act":{"exp":1,"#), false),
        ("exp a string", with("1790000300", r#""1790000300""#), false),
        ("exp a fraction", with("1790000300", "1790000300.5"), false),
        ("exp an exponent", with("1790000300", "1e19"), false),
        ("exp beyond numbers", with("1790000300", "1e400"), false),
        ("exp huge", with("1790000300", "10000000000000000000"), false),
        ("exp negative", with("1790000300", "-1"), false),
        ("exp null", with("1790000300", "null"), false),
        ("exp absent", with(r#""exp":1790000300,"#, ""), false),
        ("nbf absent", with(r#""nbf":1789999995,"#, ""), false),
        ("iat twice", with(r#""iat":1790000000"#, r#""iat":1,"iat":1790000000"#), false),
        ("jti short", with("AAECAwQFBgcICQoLDA0ODw", "AAECAwQFBgcICQoLDA0O"), false),
        ("jti with bits after the end", with("AAECAwQFBgcICQoLDA0ODw", "AAECAwQFBgcICQoLDA0ODx"), false),
        ("txn empty", with(r#""txn":"task_0199a0b0c0d07e1f8a2b3c4d5e6f7a8b""#, r#""txn":"""#), false),
        ("cnf twice", with(r#""cnf""#, r#""cnf":{},"cnf""#), false),
        (
            "cnf with the thumbprint twice",
            with(r#"{"x5t"#, r#"{"x5t#S256":"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dgw","x5t"#),
            false,
        ),
        ("cnf with a method that we can't check", with(r#"{"x5t"#, r#"{"jkt":"x","x5t"#), false),
        ("cnf with another method only", with(r#""x5t#S256""#, r#""jkt""#), false),
        ("cnf empty", with(r#""x5t#S256":"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dgw""#, ""), false),
        ("thumbprint in hexadecimal", with("bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dgw", &"ab".repeat(32)), false),
        ("thumbprint padded", with("dN-dgw", "dN-dgw="), false),
        ("thumbprint with bits after the end", with("dN-dgw", "dN-dgx"), false),
        ("no task claim", with("https://carnet.dev/claims/task", "https://carnet.dev/claims/else"), false),
        ("risk band unknown", with(r#""low""#, r#""none""#), false),
        ("a list", "[]".into(), false),
        ("bytes after the end", format!("{}x", good()), false),
        ("empty", String::new(), false),
    ] {
        assert_eq!(parse(&text).is_ok(), accepted, "{name}: {:?}", parse(&text).err());
    }
}

#[test]
fn details_of_an_unknown_form_are_told_apart_from_a_broken_token() {
    let with = |from: &str, to: &str| {
        let text = good().replacen(from, to, 1);
        assert_ne!(text, good(), "{from}");
        parse(&text).unwrap().authorization_details.entries().is_ok()
    };
    let entry = r#"{"type":"https://carnet.dev/ad/tool/v1","locations":["l"],"identifier":"t","actions":["a"],"constraints":{"sinks":{}}}"#;
    assert!(with(r#""max_calls":1,"#, ""), "control: no limit on calls");
    assert!(with("[{\"type\"", &format!("[{entry},{{\"type\"")), "control: two entries");
    for (name, from, to) in [
        ("unknown type", "tool/v1", "tool/v2"),
        ("no type", r#""type":"https://carnet.dev/ad/tool/v1","#, ""),
        ("unknown field", r#""identifier""#, r#""privileges":["root"],"identifier""#),
        ("unknown constraint", r#""max_calls":1"#, r#""max_calls":1,"only_on":"sunday""#),
        ("unknown comparison", r#""eq":["a@x.test"]"#, r#""eq":["a@x.test"],"suffix":"x""#),
        ("no comparison", r#","eq":["a@x.test"]"#, ""),
        ("unknown kind", r#""kind":"address""#, r#""kind":"planet""#),
        ("no sinks", r#","sinks":{"to":{"kind":"address","eq":["a@x.test"]}}"#, ""),
        ("a sink twice", r#""sinks":{"#, r#""sinks":{"to":{"kind":"address","eq":[]},"#),
        ("a number as a value", r#"["a@x.test"]"#, "[7]"),
        ("max_calls negative", r#""max_calls":1"#, r#""max_calls":-1"#),
        ("max_calls a string", r#""max_calls":1"#, r#""max_calls":"1""#),
        ("max_calls twice", r#""max_calls":1"#, r#""max_calls":1,"max_calls":9"#),
    ] {
        assert!(!with(from, to), "{name}");
    }
    let details = &good()[good().find("[{\"type\"").unwrap()..=good().find("}}}}]").unwrap() + 4];
    for (name, other) in [
        ("none", "[]".to_owned()),
        ("null", "null".to_owned()),
        ("an object", entry.to_owned()),
        ("too many", format!("[{}]", vec![entry; ACCESS_ENTRIES_MAX + 1].join(","))),
    ] {
        assert!(!with(details, &other), "{name}");
    }
}

proptest! {
    #[test]
    fn no_payload_makes_the_reader_panic(bytes in any::<Vec<u8>>()) {
        let _ = Claims::parse(&bytes);
    }

    #[test]
    fn no_change_of_the_text_makes_the_reader_panic(at in 0_usize..1200, to in any::<u8>()) {
        let mut bytes = good().into_bytes();
        let at = at % bytes.len();
        bytes[at] = to;
        if let Ok(claims) = Claims::parse(&bytes) {
            let _ = claims.authorization_details.entries();
        }
    }
}
