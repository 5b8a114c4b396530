//! Checkpoints are read again, and nothing else is taken for one.

use super::*;

fn key() -> SignerKey {
    SignerKey::from_seed("carnet.example/log", &[7; 32]).unwrap()
}

#[test]
fn a_checkpoint_is_read_again() {
    let head = TreeHead { size: 17, root: TreeHash::leaf(b"x") };
    let note = sign(&head, &key()).unwrap();
    let read = Checkpoint::verify(&note, key().verifier()).unwrap();
    assert_eq!((read.origin(), read.head()), ("carnet.example/log", &head));
}

#[test]
fn what_is_no_checkpoint_is_refused() {
    let root = TreeHash::leaf(b"x");
    for (name, text) in [
        ("other origin", format!("other\n1\n{root}\n")),
        ("no root", "carnet.example/log\n1\n".to_owned()),
        ("short root", "carnet.example/log\n1\nAAAA\n".to_owned()),
        ("size with zeros", format!("carnet.example/log\n01\n{root}\n")),
        ("size with a sign", format!("carnet.example/log\n+1\n{root}\n")),
        ("no size", format!("carnet.example/log\nx\n{root}\n")),
    ] {
        let note = key().sign(&text).unwrap();
        assert!(Checkpoint::verify(&note, key().verifier()).is_err(), "{name}");
    }
}

#[test]
fn lines_that_extend_a_checkpoint_are_passed_over() {
    let root = TreeHash::leaf(b"x");
    let note = key().sign(&format!("carnet.example/log\n1\n{root}\nextension\n")).unwrap();
    assert_eq!(Checkpoint::verify(&note, key().verifier()).unwrap().head().size, 1);
}
