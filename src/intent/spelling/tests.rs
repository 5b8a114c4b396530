//! Which spellings are merged, and which look-alikes are not.

use super::*;

#[test]
fn only_spellings_that_every_target_treats_as_the_same_are_merged() {
    use SinkKind::{Account, Address, Amount, Id, Other, Path, Url};
    let rows = [
        ("trailing zeros", Amount, "12.50", "12.5", true),
        ("an exponent", Amount, "1.25e1", "12.5", true),
        ("another amount", Amount, "12.5", "12.51", false),
        ("case of a domain", Address, "bob@ACME.test", "bob@acme.test", true),
        ("case of a local part", Address, "Bob@acme.test", "bob@acme.test", false),
        ("a look-alike domain", Address, "bob@acme.test.evil", "bob@acme.test", false),
        ("case of a host", Url, "HTTPS://Acme.test/A", "https://acme.test/A", true),
        ("case of a path", Url, "https://acme.test/A", "https://acme.test/a", false),
        ("a default port", Url, "https://acme.test:443/", "https://acme.test", true),
        ("another port", Url, "https://acme.test:444/", "https://acme.test/", false),
        ("an empty path before a query", Url, "http://acme.test?q", "http://acme.test/?q", true),
        ("percent-encoding", Url, "https://acme.test/%61", "https://acme.test/a", false),
        ("a user before the host", Url, "https://acme.test@evil.test", "https://acme.test", false),
        ("a trailing dot of the host", Url, "https://acme.test./", "https://acme.test/", false),
        ("another scheme", Url, "http://acme.test", "https://acme.test", false),
        ("two ports", Url, "https://acme.test:443:443/", "https://acme.test:443/", false),
        ("a default port behind brackets", Url, "https://[::1]:443/", "https://[::1]/", true),
        ("white space around an address", Address, " bob@acme.test\n", "bob@acme.test", true),
        ("white space beyond ASCII", Address, "\u{3000}bob@acme.test", "bob@acme.test", false),
        ("leading zeros of an id", Id, "007", "7", false),
        ("case of an id", Id, "AB1", "ab1", false),
        ("a dotted path", Path, "a/./b", "a/b", false),
        ("spaces in an account", Account, "DE89 3704", "DE893704", false),
        ("a Unicode look-alike", Other, "аcme", "acme", false),
    ];
    for (name, kind, a, b, same) in rows {
        assert_eq!(key(kind, a) == key(kind, b), same, "{name}");
        if same {
            assert_eq!(fingerprint(a), fingerprint(b), "{name}: equal values must have equal fingerprints");
        }
        for text in [a, b] {
            assert_eq!(key(kind, &key(kind, text)), key(kind, text), "{name}: a key is its own key");
        }
    }
}

#[test]
fn a_value_has_to_stand_on_its_own() {
    use SinkKind::{Address, Id, Other, Path, Url};
    let rows = [
        ("in a sentence", "Write to bob@acme.test.", Address, "bob@acme.test", true),
        ("in quotes", "to 'bob@acme.test'!", Address, "bob@acme.test", true),
        ("domain in capitals", "to bob@ACME.test", Address, "bob@acme.test", true),
        ("end of another address", "to evilbob@acme.test", Address, "bob@acme.test", false),
        ("start of another address", "to bob@acme.test.evil.example", Address, "bob@acme.test", false),
        ("with a dash before", "to x-bob@acme.test", Address, "bob@acme.test", false),
        ("a URL with a slash", "see https://Acme.test/.", Url, "https://acme.test", true),
        ("host of a longer URL", "see https://acme.test/deep", Url, "https://acme.test", false),
        ("a longer query", "see https://acme.test/a?b=1", Url, "https://acme.test/a", false),
        ("a question", "is it https://acme.test/a?", Url, "https://acme.test/a", true),
        ("host inside a longer host", "see www.acme.test.evil.example/", Url, "www.acme.test", false),
        ("end of a number", "order 1234", Id, "34", false),
        ("an id with a mark", "Cancel #W5995614, please", Id, "#W5995614", true),
        ("an id without its number sign", "Cancel W5995614, please", Id, "#W5995614", true),
        ("a short number without its sign", "for 13 people", Id, "#13", false),
        ("a possessive", "Bob's flat", Other, "Bob", true),
        ("part of a name", "Bobby", Other, "Bob", false),
        ("a channel with its mark", "post in #general", Other, "general", true),
        ("a file name", "create 'a-b.docx' now", Path, "a-b.docx", true),
        ("end of a path", "read /etc/passwd", Path, "passwd", false),
        ("before a dash", "the Bob-led team", Other, "Bob", false),
        ("before a pause", "Bob - and Alice", Other, "Bob", true),
        ("a name at the beginning", "Checkout is slow", Other, "checkout", true),
        ("a name as in a title", "restart Pay Desk-East now", Other, "pay desk-east", true),
        ("a channel", "post in Backend", Address, "backend", true),
        ("capitals within", "restart CheckOut", Other, "checkout", false),
        ("the other way round", "i will go", Other, "Will", false),
        ("a part of a name", "Checkouts", Other, "checkout", false),
        ("behind another word", "ReCheckout", Other, "checkout", false),
        ("an id", "close Ticket-a1", Id, "ticket-a1", false),
        ("a path", "open Notes.txt", Path, "notes.txt", false),
        ("an address", "to Bob@acme.test", Address, "bob@acme.test", false),
        ("nothing", "anything", Other, "", false),
    ];
    for (name, prose, kind, value, expected) in rows {
        assert_eq!(stands_in(prose, kind, value), expected, "{name}");
    }
}

#[test]
fn amounts_in_prose_are_numbers_and_not_parts_of_dates() {
    let rows = [
        ("thousands", "transfer $3,000 now", "3000", true),
        ("decimals", "pay 12.50 EUR.", "12.5", true),
        ("a currency behind", "pay 98.70€", "98.7", true),
        ("a date", "on 2024-05-19", "19", false),
        ("a time", "at 12:00", "12", false),
        ("part of a number", "pay 1300", "300", false),
        ("a list", "1,2,3", "123", false),
        ("below zero", "book -5", "-5", false),
        ("an item of a list", "-500 EUR for the rent", "500", true),
        ("a quarter", "Pay the Q3 bill", "3", false),
        ("a version", "for v2 of it", "2", false),
        ("a short form", "pay $1.5k", "1.5", false),
        ("a currency joined", "pay EUR12.50 or 20CHF", "20", true),
        ("a code that is no currency", "use ABC123", "123", false),
        ("the number of an invoice", "Pay invoice 9876 to ACME", "9876", false),
        ("a number sign", "Pay #9876", "9876", false),
        ("beside money", "Pay 20 EUR for 3 of them", "3", false),
        ("where no money is named", "Pay 20 for it", "20", true),
    ];
    for (name, prose, value, expected) in rows {
        assert_eq!(stands_in(prose, SinkKind::Amount, value), expected, "{name}");
    }
}

#[test]
fn a_number_of_things_needs_no_currency() {
    assert!(quantity_stands_in("Buy 3 shares for 20 EUR", "3"));
    assert!(!quantity_stands_in("Buy shares of the Q3 fund", "3"));
}

#[test]
fn texts_are_folded_for_doubt_alone() {
    let rows = [
        ("DE89 3704-0044", "de8937040044"),
        ("Eve%40Evil.test", "eveeviltest"),
        ("Eve%2540Evil.test", "eveeviltest"),
        ("eve%%34%30evil", "eveevil"),
        ("%25252541", "a"),
        ("100%", "100"),
        ("%zz\u{ff45}", "zze"),
        ("\u{1f600}", ""),
    ];
    for (text, expected) in rows {
        assert_eq!(folded(text), expected, "{text}");
    }
}

#[test]
fn a_counter_needs_the_word_that_it_counts() {
    let rows = [
        ("a date", "What do we do on June 13?", false),
        ("an hour", "at 13 o'clock, for 13 people", false),
        ("a quote", "Delete the file '13'", true),
        ("an id", "Delete the file with ID 13.", true),
        ("a mark", "close #13", true),
        ("told in a sentence", "My file ID is 13.", true),
        ("another sentence", "The score is 13.", false),
        ("the noun", "delete file 13", true),
        ("the noun of another kind", "cancel event 13", false),
        ("a number sign in words", "file no. 13", true),
    ];
    for (name, prose, expected) in rows {
        assert_eq!(counter_stands_in(prose, "13", &["file".to_owned()]), expected, "{name}");
    }
    assert!(is_counter("13") && !is_counter("1234567") && !is_counter("a1") && !is_counter(""));
}

#[test]
fn addresses_and_urls_are_recognised_in_prose() {
    assert!(names_any("mail bob@acme.test, please", SinkKind::Address));
    assert!(!names_any("meet @bob at 5", SinkKind::Address));
    assert!(names_any("read (www.acme.test)", SinkKind::Url));
    assert!(!names_any("read the page", SinkKind::Url));
}
