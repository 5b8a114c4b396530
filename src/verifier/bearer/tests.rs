//! Headers by their defect.

use super::*;

#[test]
fn exactly_one_bearer_token_is_taken() {
    let take = |values: &[&str]| bearer(values.iter().map(|v| v.as_bytes())).map(str::to_owned);
    assert_eq!(take(&["Bearer a.b.c"]).unwrap(), "a.b.c");
    assert_eq!(take(&["bEARER a.b.c"]).unwrap(), "a.b.c");
    assert!(matches!(take(&[]), Err(Refusal::NoToken)));
    for wrong in [
        &["Bearer a.b.c", "Bearer a.b.c"][..],
        &["Bearer a.b.c", "Basic x"],
        &[""],
        &["Bearer"],
        &["Bearer "],
        &["Bearer  a.b.c"],
        &["Bearer a.b.c "],
        &["Bearer a.b.c d"],
        &["Bearer a.b.c, Bearer d"],
        &["Bearer\ta.b.c"],
        &["DPoP a.b.c"],
        &["Basic a"],
        &["a.b.c"],
        &["Bearer a.b.\u{e4}"],
    ] {
        assert!(matches!(take(wrong), Err(Refusal::Authorization)), "{wrong:?}");
    }
    assert!(matches!(take(&[&format!("Bearer {}", "x".repeat(TOKEN_BYTES_MAX + 1))]), Err(Refusal::Authorization)));
    assert!(matches!(bearer([&b"Bearer a\xff"[..]]), Err(Refusal::Authorization)));
}
