//! Notes and keys of other implementations, and everything that may be wrong with one.

use proptest::prelude::*;

use super::*;

// The example of the Go package `note`, which the specification follows.
const GO_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const GO_NOTE: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\
    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn signer() -> SignerKey {
    SignerKey::from_seed("carnet.example/log", &[7; 32]).unwrap()
}

#[test]
fn a_note_of_another_implementation_verifies() {
    let key: VerifierKey = GO_KEY.parse().unwrap();
    let text = key.verify(GO_NOTE).unwrap();
    assert!(text.starts_with("If you think") && text.ends_with("problem is.\n"));
    assert_eq!(key.to_string(), GO_KEY);
}

#[test]
fn bad_keys_are_refused() {
    for (name, key) in [
        ("empty", String::new()),
        ("no hash", "carnet+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".into()),
        ("other hash", GO_KEY.replace("c74f20a3", "c74f20a4")),
        ("other name", GO_KEY.replace("Peter", "Paul")),
        ("other type", GO_KEY.replace("+AR", "+AB")),
        ("short key", GO_KEY.replace("10TW", "")),
        ("name with blank", GO_KEY.replace("PeterN", "Peter N")),
        ("upper-case hash", GO_KEY.replace("c74f20a3", "C74F20A3")),
    ] {
        assert!(key.parse::<VerifierKey>().is_err(), "{name}");
    }
    for name in ["", "a b", "a+b", "a\nb"] {
        assert!(SignerKey::from_seed(name, &[0; 32]).is_err(), "{name:?}");
    }
}

#[test]
fn a_changed_note_is_refused() {
    let (key, note) = (signer(), signer().sign("one\n\nthree\n").unwrap());
    assert_eq!(key.verifier().verify(&note).unwrap(), "one\n\nthree\n");
    for (name, bad) in [
        ("text", note.replace("one", "two")),
        ("signature name", note.replace("\u{2014} carnet", "\u{2014} carpet")),
        ("no last line end", note.trim_end().to_owned()),
        ("no empty line", note.replace("\n\n", "\n")),
        ("no signature", "one\n\n".to_owned()),
        ("blank signature", note.replace(" carnet.example/log ", " carnet.example/log  ")),
        ("control character", note.replace("one", "o\re")),
        ("endless", format!("{}{note}", "x".repeat(NOTE_BYTES_MAX))),
    ] {
        assert!(key.verifier().verify(&bad).is_err(), "{name}");
    }
    assert!(key.sign("no line end").is_err());
}

#[test]
fn signatures_of_others_are_passed_over() {
    let (key, other) = (signer(), SignerKey::from_seed("witness.example", &[9; 32]).unwrap());
    let (own, theirs) = (key.sign("text\n").unwrap(), other.sign("text\n").unwrap());
    let line = theirs.rsplit_once("\n\n").unwrap().1;
    let both = format!("{own}{line}");
    assert!(key.verifier().verify(&both).is_ok());
    assert!(other.verifier().verify(&both).is_ok());
    assert_eq!(other.verifier().verify(&own), Err(NoteError::Unsigned("witness.example".into())));
    // The same name with another key is another key.
    let namesake = SignerKey::from_seed("carnet.example/log", &[8; 32]).unwrap();
    assert!(matches!(namesake.verifier().verify(&own), Err(NoteError::Unsigned(_))));
}

#[test]
fn a_private_key_does_not_show() {
    let shown = format!("{:?}", signer());
    assert!(shown.starts_with("private key of carnet.example/log+"), "{shown}");
}

proptest! {
    #[test]
    fn no_text_makes_parsing_panic(text in "\\PC{0,200}", lines in "[\u{2014} a-z+/=\n]{0,200}") {
        let _ = text.parse::<VerifierKey>();
        let _ = signer().verifier().verify(&text);
        let _ = signer().verifier().verify(&lines);
    }
}
