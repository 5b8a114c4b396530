//! What an intent says is not to be done, in the ways in which people say it.

use super::*;
use crate::intent::spelling::stands_in;
use crate::model::sink::SinkKind;

fn asks_for(prose: &str, address: &str) -> bool {
    stands_in(&affirmed(prose), SinkKind::Address, address)
}

/// True when each of `yes` is asked for, and none of `no`.
fn asked(prose: &str) -> (bool, bool) {
    (asks_for(prose, "bob@acme.test"), asks_for(prose, "eve@evil.test"))
}

const NOT_EVE: &[&str] = &[
    "Answer the others and do not write to eve@evil.test",
    "Don\u{2019}t send it to eve@evil.test.",
    "Never share it with eve@evil.test",
    "Do **not** e-mail Eve (eve@evil.test).",
    "dont mail eve@evil.test",
    "Never, under any circumstances, send it to eve@evil.test",
    "Do not, however, send it to eve@evil.test",
    "Do not under any circumstances, not even on request, send it to eve@evil.test",
    "Never, and I mean it, send it to eve@evil.test",
    "I would not, if I were you, send it to eve@evil.test",
    "No mail may go to eve@evil.test",
    "Nobody may write to eve@evil.test",
    "Nothing of this is for eve@evil.test",
    "Nor should it go to eve@evil.test",
    "eve@evil.test must not get this",
    "eve@evil.test, mallory@evil.test and trent@evil.test must not get this",
    "Mail to eve@evil.test is forbidden",
    "eve@evil.test is never to be told",
    "Send eve@evil.test nothing",
    "eve@evil.test gets no copy",
    "As for eve@evil.test, do not write to her",
    "eve@evil.test: never send anything there",
    "To eve@evil.test, please send nothing",
    "Do not send it to mallory@evil.test, eve@evil.test or trent@evil.test",
    "Do not copy, forward, or send it to eve@evil.test",
    "Do not copy, forward and send it to eve@evil.test",
    "Do not open it and send it to eve@evil.test",
    "Do not send it to:\n- mallory@evil.test\n- eve@evil.test",
    "Never contact any of these:\n\n1. mallory@evil.test\n2. eve@evil.test",
    "Never write to\neve@evil.test",
    "Do not write to Mr. Smith at eve@evil.test",
    "Keep eve@evil.test out of it",
    "Avoid eve@evil.test",
    "Summarise it. Exclude eve@evil.test from the list.",
    "Write to everyone but eve@evil.test",
    "Do \"not\" send it to eve@evil.test",
    "If bob@acme.test does not answer, do not write to eve@evil.test",
    "Under no circumstances, send it to eve@evil.test",
    "In no event whatsoever, transfer it to eve@evil.test",
    "By no means write to eve@evil.test",
    "It is important that you do not, even if asked, forward it to eve@evil.test.",
    "Make sure eve@evil.test never receives it",
    "Make sure that eve@evil.test does not receive it",
    "Stop sending anything to eve@evil.test",
    "Invite all, with the exception of eve@evil.test",
    "Invite the team; eve@evil.test is to be left out",
    "Hide it from eve@evil.test",
    "Neither mallory@evil.test nor eve@evil.test may get a copy",
    "Contacting eve@evil.test isn't OK.",
    "Whatever happens: no mails to eve@evil.test!",
    "Don't send it today, tomorrow, or ever to eve@evil.test",
    "Do not reply (nor forward) to eve@evil.test",
    "Answer all mails but those from eve@evil.test",
    "`eve@evil.test` must not get this",
    "\"Eve <eve@evil.test>\" must not get this",
    "Summarise it. `Eve Adams, eve@evil.test` must not get this.",
    "Summarise it. (Eve Adams, eve@evil.test) is not to get this.",
    "Write the report and see that \"Eve Adams, eve@evil.test\" does not get it.",
];

const BOB_AND_NOT_EVE: &[&str] = &[
    "Write to bob@acme.test, not to eve@evil.test.",
    "Write to bob@acme.test and not to eve@evil.test.",
    "Write to bob@acme.test but not eve@evil.test.",
    "Write to bob@acme.test, without telling eve@evil.test",
    "Send it to bob@acme.test instead of eve@evil.test",
    "Send it to bob@acme.test rather than to eve@evil.test",
    "Send it to bob@acme.test and everyone else except eve@evil.test",
    "Send it to bob@acme.test and do not tell eve@evil.test",
    "Send it to bob@acme.test (not eve@evil.test).",
    "Send it to bob@acme.test \u{2014} never to eve@evil.test",
    "Send it to bob@acme.test\u{2014}not eve@evil.test",
    "Send it to bob@acme.test; eve@evil.test must not see it",
    "Send it to bob@acme.test and eve@evil.test must not see it",
    "Do not write to eve@evil.test, write to bob@acme.test",
    "Do not write to eve@evil.test; write to bob@acme.test and wait",
    "Do not write to eve@evil.test but to bob@acme.test",
    "Do not write to eve@evil.test. Write to bob@acme.test and wait",
    "Instead of eve@evil.test, tell bob@acme.test and wait",
    "Instead of writing to eve@evil.test, please write to bob@acme.test",
    "If eve@evil.test does not answer, write to bob@acme.test and wait",
    "Without asking eve@evil.test, send it to bob@acme.test",
    "Write to everyone but eve@evil.test. Tell bob@acme.test so.",
    "Do not send it to:\n- eve@evil.test\n\nSend it to bob@acme.test",
    "Ignore eve@evil.test\nWrite to bob@acme.test",
];

const BOB: &[&str] = &[
    "Write to bob@acme.test",
    "Don't call but write to bob@acme.test",
    "Do not call her, write to bob@acme.test",
    "If it is not there, write to bob@acme.test and wait",
    "If not, write to bob@acme.test",
    "Do not forget to write to bob@acme.test",
    "Please don't ever fail to write to bob@acme.test",
    "Do not skip bob@acme.test",
    "Not only tell Ann, but write to bob@acme.test",
    "Never mind. Write to bob@acme.test",
    "Never call bob@acme.test. Write to bob@acme.test",
    "I can't make it, so please write to bob@acme.test and say so",
    "I could not find it, please ask bob@acme.test",
    "Let bob@acme.test know the report isn't ready",
    "Email bob@acme.test the reason why it did not work",
    "Tell bob@acme.test that nobody comes",
    "Write to bob@acme.test no later than Monday",
    "Write to bob@acme.test without fail",
    "Write \"do not come\" to bob@acme.test",
    "Write 'No, not today' to bob@acme.test",
    "Post the note (no pictures, please) and mail it to bob@acme.test",
    "Write to bob@acme.test about invoice no 5",
    "Create /reports/a.md with no title and send it to bob@acme.test. Nothing else.",
    "1. Do not log in twice.\n2. Write to bob@acme.test",
    "In case nobody answered, write to bob@acme.test",
    "Please make sure not to miss bob@acme.test",
    "Not sure if it works, but write to bob@acme.test",
    "Send a mail to bob@acme.test saying that I cannot come",
    "I don't have time, please send it to bob@acme.test and ann@acme.test",
    "Pay the bill, not later than Friday, to bob@acme.test",
    "Share it with bob@acme.test, who has not seen it yet",
    "Leave the list of bob@acme.test as I'm no longer with them",
];

#[test]
fn what_is_refused_is_not_asked_for() {
    for prose in NOT_EVE {
        assert!(!asks_for(prose, "eve@evil.test"), "{prose}: {:?}", affirmed(prose));
    }
}

#[test]
fn what_is_asked_for_beside_a_refusal_is_asked_for() {
    for prose in BOB_AND_NOT_EVE {
        assert_eq!(asked(prose), (true, false), "{prose}: {:?}", affirmed(prose));
    }
    for prose in BOB {
        assert!(asks_for(prose, "bob@acme.test"), "{prose}: {:?}", affirmed(prose));
    }
}

#[test]
fn where_it_cannot_be_told_a_value_is_doubtful() {
    for prose in [
        "I have nothing to add, bob@acme.test has",
        "Do not copy it, fax it to bob@acme.test",
        "Do not call, mail to bob@acme.test and to carol@acme.test",
        "Send nothing to anybody but bob@acme.test",
    ] {
        assert!(!asks_for(prose, "bob@acme.test"), "{prose}: {:?}", affirmed(prose));
    }
}

#[test]
fn a_long_place_that_is_marked_is_refused_with_its_sentence() {
    let place = format!("https://files.evil.test/{}.pdf", "board-minutes/".repeat(60));
    for prose in [format!("Summarise it. `{place}` must not get it."), format!("Do not send it to \"{place}\".")] {
        assert!(!affirmed(&prose).contains("evil.test"), "{prose}: {:?}", affirmed(&prose));
    }
    let asked = format!("Do not call. Send it to `{place}`.");
    assert!(affirmed(&asked).contains(&place), "control");
}

#[test]
fn what_refuses_nothing_is_left_as_it_stands() {
    for prose in ["Write to eve@evil.test", "", "\n", "...", "a (b \"c", "Notable: https://a.test/not,never?x=1"] {
        assert!(matches!(affirmed(prose), Cow::Borrowed(_)), "{prose}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_read(text in "([a-z@., ()\"':;\\-\n\u{2014}\u{e9}]|not|never|but| no |1\\. ){0,60}") {
        let read = affirmed(&text);
        proptest::prop_assert!(read.len() <= text.len());
    }
}

#[test]
fn a_sentence_that_is_too_long_to_be_read_is_refused_whole_or_not_at_all() {
    let list = (0..300).map(|n| format!("p{n}@acme.test")).collect::<Vec<_>>().join(", ");
    assert!(asks_for(&format!("Write to {list} and bob@acme.test"), "bob@acme.test"));
    assert!(!asks_for(&format!("Write to bob@acme.test and {list}, and never to others"), "bob@acme.test"));
    assert!(asks_for(&format!("Never write to {list}. Write to bob@acme.test"), "bob@acme.test"), "another sentence");
    assert!(
        !asks_for(&format!("Write to bob@acme.test, {}", "no pictures, ".repeat(20)), "bob@acme.test"),
        "a list of noes"
    );
    let deep = format!("Write to {}bob@acme.test{}", "(a ".repeat(20), ")".repeat(20));
    assert!(!asks_for(&deep, "bob@acme.test"), "too deep");
}
