//! The index finds what it holds, and is thrown away when it is no use.

use super::*;

const LOG: LogId = LogId([7; 16]);

fn term(text: &str) -> Term {
    Term::of(TermKind::Tool, text)
}

fn leaf(position: u64) -> TreeHash {
    TreeHash::leaf(&position.to_be_bytes())
}

// Every third event has `pay`, every fifth `read`.
fn block() -> Vec<Box<[Term]>> {
    let terms = |i: u64| {
        let mut terms = vec![Term::of(TermKind::Stream, &i.to_string())];
        terms.extend(i.is_multiple_of(3).then(|| term("pay")));
        terms.extend(i.is_multiple_of(5).then(|| term("read")));
        terms.into_boxed_slice()
    };
    (0..BLOCK_EVENTS).map(terms).collect()
}

fn filled(dir: &Path, blocks: u64) -> Arc<Index> {
    let index = Index::open(dir, LOG, |_| None).unwrap();
    for number in 0..blocks {
        index.add(&block(), leaf((number + 1) * BLOCK_EVENTS - 1)).unwrap();
    }
    index
}

fn reopened(dir: &Path, log: LogId, leaf: impl Fn(u64) -> Option<TreeHash>) -> u64 {
    Index::open(dir, log, leaf).unwrap().blocks()
}

#[test]
fn what_has_every_term_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let index = filled(&folder.path().join("index"), 2);
    for number in 0..2 {
        let both = index.find(number, &[term("pay"), term("read")]).unwrap();
        assert_eq!(both, (0..1024).filter(|i| i % 15 == 0).collect::<Vec<_>>());
        assert!(index.find(number, &[term("other")]).unwrap().is_empty());
        assert_eq!(index.find(number, &[Term::of(TermKind::Stream, "1000")]).unwrap(), [1000]);
    }
    assert!(matches!(index.find(2, &[term("pay")]), Err(IndexError::Damaged)));
}

#[test]
fn an_index_of_this_log_is_taken_up_and_any_other_thrown_away() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("index");
    drop(filled(&dir, 3));
    assert_eq!(reopened(&dir, LOG, |position| Some(leaf(position))), 3);
    type LeafAt = fn(u64) -> Option<TreeHash>;
    let cases: [(&str, LogId, LeafAt); 3] = [
        ("of another log", LogId([8; 16]), |position| Some(leaf(position))),
        ("ahead of the log", LOG, |_| None),
        ("of another history", LOG, |position| Some(leaf(position + 1))),
    ];
    for (name, log, leaf_at) in cases {
        drop(Index::begin(&dir, LOG).unwrap());
        drop(filled(&dir, 3));
        assert_eq!(reopened(&dir, log, leaf_at), 0, "{name}");
    }
}

#[test]
fn a_folder_full_of_rubbish_is_thrown_away() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("index");
    drop(filled(&dir, 2));
    for entry in fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::write(path, [0x5a; 4096]).unwrap();
        }
    }
    assert_eq!(reopened(&dir, LOG, |position| Some(leaf(position))), 0);
}

#[test]
fn a_column_that_was_changed_is_found() {
    let honest = encode_column(&[1, 5, 1 << BLOCK_BITS, u32::MAX]);
    assert_eq!(places(&honest, 0).unwrap(), [1, 5]);
    for at in 0..honest.len() {
        let mut bytes = honest.clone();
        bytes[at] ^= 1;
        assert!(matches!(places(&bytes, 0), Err(IndexError::Damaged)), "byte {at}");
    }
    assert!(places(&encode_column(&[]), 0).unwrap().is_empty());
    assert!(places(&[], 0).is_err());
}
