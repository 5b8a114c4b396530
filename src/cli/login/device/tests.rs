//! Answers of issuers to the device flow, one row each.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::cli::error::chain;

const SECOND: Duration = Duration::from_secs(1);

fn begun(members: &str) -> Result<Begun, CliError> {
    let text = format!(r#"{{"device_code":"d","user_code":"A-B","verification_uri":"https://idp.test/go"{members}}}"#);
    Begun::read(&Answer::new(200, &text))
}

/// What is done after that answer, and how long is waited then, after 5 s before.
fn after(answer: Option<(u16, &str)>) -> (&'static str, u64) {
    let mut pace = Pace(5 * SECOND);
    let step = match pace.step(answer.map(|(status, text)| Answer::new(status, text)).as_ref()) {
        Step::Done => "done",
        Step::Again => "again",
        Step::Refused(_) => "refused",
    };
    (step, pace.interval().as_secs())
}

#[test]
fn a_login_is_waited_for_and_given_up_only_when_the_issuer_says_so() {
    for (name, answer, expected) in [
        ("logged in", Some((200, r#"{"access_token":"t"}"#)), ("done", 5)),
        ("not yet", Some((400, r#"{"error":"authorization_pending"}"#)), ("again", 5)),
        ("too often", Some((400, r#"{"error":"slow_down"}"#)), ("again", 10)),
        ("no answer", None, ("again", 10)),
        ("a gateway without the issuer", Some((502, "<html>")), ("again", 10)),
        ("too much to do", Some((503, r#"{"error":"temporarily_unavailable"}"#)), ("again", 10)),
        ("too many requests", Some((429, "")), ("again", 10)),
        ("too often, told as an overload", Some((429, r#"{"error":"slow_down"}"#)), ("again", 10)),
        ("will not", Some((400, r#"{"error":"access_denied"}"#)), ("refused", 5)),
        ("too late", Some((400, r#"{"error":"expired_token"}"#)), ("refused", 5)),
        ("not our client", Some((401, r#"{"error":"invalid_client"}"#)), ("refused", 5)),
        ("nothing that is understood", Some((404, "<html>")), ("refused", 5)),
        ("another place", Some((302, "")), ("refused", 5)),
    ] {
        assert_eq!(after(answer), expected, "{name}");
    }
}

#[test]
fn an_issuer_that_stays_away_is_asked_less_and_less_often() {
    let mut pace = begun("").unwrap().pace;
    let waited: Vec<u64> = (0..4).map(|_| (pace.step(None), pace.interval().as_secs()).1).collect();
    assert_eq!(waited, [10, 20, 40, 80]);
}

#[test]
fn the_issuer_is_never_asked_more_often_than_it_says_nor_without_a_pause() {
    for (name, members, interval, life) in [
        ("nothing", "", 5, 1800),
        ("a pause and a life", r#","interval":7,"expires_in":600"#, 7, 600),
        ("no pause", r#","interval":0"#, 1, 1800),
        ("a long pause", r#","interval":120"#, 120, 1800),
        ("a pause for ever", r#","interval":18446744073709551615"#, 1800, 1800),
        ("a life for ever", r#","expires_in":86400"#, 5, 1800),
        ("words", r#","interval":"7","expires_in":"600""#, 5, 1800),
    ] {
        let begun = begun(members).unwrap();
        assert_eq!((begun.pace.interval().as_secs(), begun.life.as_secs()), (interval, life), "{name}");
    }
}

#[test]
fn a_login_that_does_not_begin_says_why() {
    for (name, status, text, expected) in [
        ("refused", 400, r#"{"error":"invalid_client"}"#, "the issuer refused: invalid_client"),
        ("no words", 500, "<html>", "the issuer refused: it answers with status 500"),
        ("no code", 200, "{}", "the issuer gave no `device_code`: it must"),
    ] {
        let error = Begun::read(&Answer::new(status, text)).map(drop).unwrap_err();
        assert_eq!(chain(&error), expected, "{name}");
    }
}

#[test]
fn nothing_that_an_issuer_says_commands_the_terminal() {
    let text = r#"{"device_code":"d","user_code":"\u001b[2JA","verification_uri":"https://\u001b]0;x\u0007","verification_uri_complete":"https://\u202e"}"#;
    let begun = Begun::read(&Answer::new(200, text)).unwrap();
    let error = Answer::new(400, r#"{"error":"e","error_description":"a\u001b[31mb\r\n"}"#).refused();
    for line in begun.told().into_iter().chain([chain(&error)]) {
        assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
    }
    assert_eq!(begun.told().len(), 2);
}

#[test]
fn a_token_is_kept_that_can_be_shown_as_it_is() {
    let token = |kind, text| Answer::new(200, text).token(kind).map(|token| token.to_string());
    let (access, id) = (PersonTokenKind::AccessToken, PersonTokenKind::IdToken);
    assert_eq!(token(access, r#"{"access_token":"t","token_type":"bearer"}"#).unwrap(), "t");
    assert_eq!(token(id, r#"{"id_token":"i","access_token":"t","token_type":"DPoP"}"#).unwrap(), "i");
    for (name, kind, text) in [
        ("none", access, "{}"),
        ("one that is no text", access, r#"{"access_token":7,"token_type":"Bearer"}"#),
        ("one that is bound to a key", access, r#"{"access_token":"t","token_type":"DPoP"}"#),
        ("one of no type", access, r#"{"access_token":"t"}"#),
        ("the other kind alone", id, r#"{"access_token":"t","token_type":"Bearer"}"#),
    ] {
        assert!(token(kind, text).is_err(), "{name}");
    }
}

#[test]
fn a_token_of_an_earlier_login_is_not_passed_off_as_a_fresh_one() {
    let begun = Timestamp::from_secs(10_000);
    let token = |claims: &str| {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", part(r#"{"alg":"ES256","typ":"at+jwt","kid":"k"}"#), part(claims), "A".repeat(86))
    };
    for (name, claims, holds) in [
        ("just now", r#"{"auth_time":10003}"#, true),
        ("as long ago as was asked for", r#"{"auth_time":9700}"#, true),
        ("a little more, by another clock", r#"{"auth_time":9685}"#, true),
        ("longer ago", r#"{"auth_time":9684}"#, false),
        ("nobody says when", "{}", false),
        ("in words", r#"{"auth_time":"now"}"#, false),
    ] {
        let held = hold_fresh(&token(claims), PersonTokenKind::AccessToken, begun, 300 * SECOND);
        assert_eq!(held.is_ok(), holds, "{name}");
    }
    assert!(hold_fresh("opaque", PersonTokenKind::AccessToken, begun, 300 * SECOND).is_err());
}
