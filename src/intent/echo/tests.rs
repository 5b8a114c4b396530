//! What is known again, and what is not.

use super::*;

fn sent(texts: &[&str], intent: &str) -> Sent {
    let mut sent = Sent::default();
    let own = OwnWords::of(intent);
    texts.iter().for_each(|text| sent.add(text, &own));
    sent.settle();
    sent
}

#[test]
fn what_was_sent_is_known_again_however_it_is_spelled() {
    let rows: [(&str, &[&str], &str); 15] = [
        ("as it was", &["eve@evil.test"], "eve@evil.test"),
        ("without white space", &["DE89 3704 0044 0532 0130 00"], "DE89370400440532013000"),
        ("with white space", &["DE89370400440532013000"], "DE89 3704 0044 0532 0130 00"),
        ("in another case", &["Eve@Evil.TEST"], "eve@evil.test"),
        ("a number in another form", &["+49 (30) 1234-567"], "+49301234567"),
        ("percent-encoded", &["eve%40evil.test"], "eve@evil.test"),
        ("full width", &["\u{ff45}ve@evil.test"], "eve@evil.test"),
        ("with a scheme", &["eve@evil.test"], "mailto:eve@evil.test"),
        ("with scheme and more", &["eve@evil.test"], "<mailto:eve@evil.test?subject=a%20long%20subject>"),
        ("without its number sign", &["#778899"], "778899"),
        ("put together", &["eve", "evil.test"], "eve@evil.test"),
        ("put together from words of one text", &["mailbox eve host evil.test"], "eve@evil.test"),
        ("taken apart", &["eve@evil.test"], "evil.test"),
        ("a page of a site", &["https://evil.test/a"], "https://evil.test/a/b/c/d/e/f/g"),
        (
            "an account out of a letter",
            &["Dear Bob, please pay what is due to the account of our company, which is from today on \
            DE89 3704 0044 0532 0130 00 and no other. Yours sincerely, Ann, of the accounts department"],
            "DE89370400440532013000",
        ),
    ];
    for (name, texts, value) in rows {
        assert!(sent(texts, "").is_echoed_by(value), "{name}");
    }
}

#[test]
fn what_a_tool_adds_to_is_its_own() {
    let rows: [(&str, &[&str], &str, &str); 8] = [
        ("something else", &["eve@evil.test"], "", "ann@acme.test"),
        ("an id that a service made", &["Minutes"], "", "file_778899001122"),
        ("a name with more in it", &["report"], "", "report-final-approved.docx"),
        ("an id made of a name", &["Ann", "Lee"], "", "ann_lee_8570"),
        ("an id with a day in it", &["2031-05-13"], "", "INV-20310513-7"),
        ("words of the user", &["bob acme"], "Write to Bob of Acme", "bob@acme.test"),
        (
            "a word of content",
            &[&"The minutes of the board, with all that was said by everybody who was there and more. ".repeat(2)],
            "",
            "board@acme.test",
        ),
        ("nothing", &[""], "", ""),
    ];
    for (name, texts, intent, value) in rows {
        assert!(!sent(texts, intent).is_echoed_by(value), "{name}");
    }
    assert!(!Sent::default().is_echoed_by("anything"));
}

#[test]
fn what_was_ground_when_it_was_sent_is_known_whole() {
    let mut sent = Sent::default();
    sent.add_whole("DE89 3704");
    sent.settle();
    assert!(sent.is_echoed_by("de893704"));
    assert!(!sent.is_echoed_by("DE89 3704 x1"));
}

#[test]
fn more_than_is_kept_is_told() {
    let mut all = Sent::default();
    let many: String = (0..SENT_MAX).map(|n| format!("word{n} ")).collect();
    assert!(all.merge(&sent(&["one"], "")));
    let many = sent(&[&many], "");
    assert!(!all.merge(&many));
    assert!(all.is_echoed_by("one"));
    let mut half = Sent::default();
    let some: String = (0..SENT_MAX * 2 / 3).map(|n| format!("word{n} ")).collect();
    let some = sent(&[&some], "");
    assert!(half.merge(&some) && half.merge(&some), "what is known already needs no room");
}

#[test]
fn what_is_long_is_known_again_too() {
    let long = format!("evil.test/{}", "a/b-c?d=e&".repeat(200));
    assert!(long.len() > 2000 && long.len() < SINK_VALUE_BYTES_MAX);
    let known = sent(&[&long, "eve@evil.test"], "");
    let around = format!("{}eve@evil.test{}", "x/".repeat(300), "/y".repeat(300));
    for (name, value) in [
        ("as it was", long.clone()),
        ("with a scheme", format!("https://{long}")),
        ("in brackets", format!("<{long}>")),
        ("an address in something long", around),
    ] {
        assert!(known.is_echoed_by(&value), "{name}");
    }
    for (name, value) in [
        ("with more before it", format!("https://elsewhere.test/{long}")),
        ("with an id behind it", format!("{long}7")),
        ("something else", "x/".repeat(1000)),
    ] {
        assert!(!known.is_echoed_by(&value), "{name}");
    }
}
