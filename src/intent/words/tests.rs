//! How a text falls into words.

use super::*;

fn texts(sentence: &[Word]) -> Vec<&str> {
    sentence.iter().map(|w| w.text.as_str()).collect()
}

#[test]
fn a_text_falls_into_sentences_and_words() {
    let s = sentences("Please e-mail bob@acme.test. Then: don't delete notes.txt!\n1. Book it, thanks");
    assert_eq!(s.len(), 3);
    assert_eq!(texts(&s[0]), ["please", "e-mail", "bob@acme.test"]);
    assert_eq!(texts(&s[1]), ["then", "don't", "delete", "notes.txt"]);
    assert!(s[1][1].begins, "a colon begins a clause");
    assert!(!s[1][2].begins);
    assert_eq!(texts(&s[2]), ["book", "it", "thanks"], "the number of a list item is no word");
    assert!(s[2][0].begins && s[2][2].begins);
}

#[test]
fn what_stands_in_quotes_asks_for_nothing() {
    let rows = [
        ("single", "Create an event 'Pay rent' now", "create an event now"),
        ("double", "Create \"Delete all\", please", "create please"),
        ("typographic", "Create \u{201c}Send it\u{201d} now", "create now"),
        ("an apostrophe", "Don't touch Bob's and Ann's files", "don't touch bob's and ann's files"),
        ("never closed", "Create 'a file and send it", "create a file and send it"),
        ("closed on another line", "Create 'a\nsend it'", "create a send it"),
    ];
    for (name, text, expected) in rows {
        let words: Vec<String> = sentences(text).into_iter().flatten().map(|w| w.text).collect();
        assert_eq!(words.join(" "), expected, "{name}");
    }
}

#[test]
fn names_fall_into_words() {
    let rows = [
        ("send_mail", "send mail"),
        ("BankPayBill", "bank pay bill"),
        ("getHTTPStatus", "get http status"),
        ("inbox.readAll", "inbox read all"),
        ("new_item_ids", "new item ids"),
        ("line2Text", "line2 text"),
    ];
    for (name, expected) in rows {
        assert_eq!(name_words(name).join(" "), expected, "{name}");
    }
}

#[test]
fn base_forms_are_found() {
    assert!(from_ing("sending").any(|v| v == "send"));
    assert!(from_ing("deleting").any(|v| v == "delete"));
    assert!(from_ing("cancelling").any(|v| v == "cancel"));
    assert_eq!(from_ing("sing").count(), 0);
    assert_eq!(singular("orders"), "order");
    assert_eq!(singular("addresses"), "address");
    assert_eq!(singular("status"), "status");
    assert_eq!(singular("boxes"), "box");
}
