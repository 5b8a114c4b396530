//! The search index is a hint beside the log: spoiled, stale or gone, it is made again by itself, and searches are right
//! meanwhile.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use carnet::journal::Journal;
use carnet::journal::options::{IndexPlace, Options};
use carnet::journal::search::Query;
use carnet::pb::v1::Outcome;

use super::support::journal::{Seen, credential, entry, options, task};

/// More than two blocks of the index, which has whole blocks only.
const EVENTS: u64 = 2_600;
const INDEXED: u64 = 2_048;

fn open(dir: &Path) -> Journal {
    let options = Options { index: IndexPlace::Beside, ..options(dir) };
    Journal::open(options, Arc::new(Seen::default())).unwrap().0
}

async fn append(journal: &Journal, numbers: std::ops::Range<u64>) {
    for from in numbers.clone().step_by(100) {
        let until = numbers.end.min(from + 100);
        let events = (from..until).map(|n| credential(task(n % 50), n, Outcome::Granted)).collect();
        journal.append(entry(events, Vec::new())).await.unwrap();
    }
}

/// Waits until so many events are in the index.
async fn indexed(journal: &Journal, events: u64) {
    for _ in 0..4_000 {
        if journal.indexed() == events {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{} of {events} events are in the index", journal.indexed());
}

/// What a search finds, page by page.
fn found(journal: &Journal, mut query: Query) -> Vec<u64> {
    let mut found = Vec::new();
    loop {
        let page = journal.search(&query).unwrap();
        found.extend(page.events.iter().map(|recorded| recorded.position));
        if page.next.is_empty() {
            return found;
        }
        query.page_token = page.next;
    }
}

fn check(journal: &Journal, events: u64, when: &str) {
    let of_task = found(journal, Query { task: Some(task(7)), ..Query::default() });
    assert!(of_task.iter().copied().eq((0..events).filter(|n| n % 50 == 7)), "{when}: {of_task:?}");
    let of_tool = found(journal, Query { tool: Some("tool 3".to_owned()), page_size: 500, ..Query::default() });
    assert!(of_tool.iter().copied().eq((0..events).filter(|n| n % 7 == 3)), "{when}");
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

fn copy(from: &Path, to: &Path) {
    for file in files_below(from) {
        let place = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(&file, place).unwrap();
    }
}

#[tokio::test]
async fn an_index_that_is_gone_spoiled_or_stale_is_made_again_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("journal");
    let (index, early, other) = (dir.join("index"), folder.path().join("early"), folder.path().join("other"));
    let journal = open(&dir);
    append(&journal, 0..1_100).await;
    indexed(&journal, 1_024).await;
    journal.close().await;
    copy(&index, &early);
    let journal = open(&dir);
    append(&journal, 1_100..EVENTS).await;
    indexed(&journal, INDEXED).await;
    check(&journal, EVENTS, "as it was written");
    journal.close().await;
    // Of another log, as long as this one.
    let stranger = open(&other);
    append(&stranger, 0..EVENTS).await;
    indexed(&stranger, INDEXED).await;
    stranger.close().await;

    let spoil = |change: fn(&mut Vec<u8>)| {
        for file in files_below(&index) {
            let mut bytes = fs::read(&file).unwrap();
            change(&mut bytes);
            fs::write(&file, bytes).unwrap();
        }
    };
    let replace = |by: &Path| {
        fs::remove_dir_all(&index).unwrap();
        copy(by, &index);
    };
    type Spoil<'a> = (&'a str, Box<dyn Fn() + 'a>);
    let cases: [Spoil<'_>; 7] = [
        ("gone", Box::new(|| fs::remove_dir_all(&index).unwrap())),
        ("empty", Box::new(|| spoil(Vec::clear))),
        ("cut short", Box::new(|| spoil(|bytes| bytes.truncate(bytes.len() / 2)))),
        ("nonsense", Box::new(|| spoil(|bytes| bytes.fill(0x5a)))),
        ("altered", Box::new(|| spoil(|bytes| bytes.iter_mut().step_by(97).for_each(|byte| *byte ^= 0x10)))),
        ("behind", Box::new(|| replace(&early))),
        ("of another log", Box::new(|| replace(&other.join("index")))),
    ];
    for (when, spoil) in cases {
        spoil();
        let journal = open(&dir);
        check(&journal, EVENTS, when);
        indexed(&journal, INDEXED).await;
        check(&journal, EVENTS, when);
        journal.close().await;
    }
}

#[tokio::test]
async fn an_index_that_knows_more_than_the_log_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("journal");
    let early = folder.path().join("early");
    let journal = open(&dir);
    append(&journal, 0..1_100).await;
    journal.close().await;
    copy(&dir, &early);
    let journal = open(&dir);
    append(&journal, 1_100..EVENTS).await;
    indexed(&journal, INDEXED).await;
    journal.close().await;
    // A backup of the log beside an index that was not put back with it.
    fs::remove_dir_all(early.join("index")).ok();
    copy(&dir.join("index"), &early.join("index"));
    let journal = open(&early);
    check(&journal, 1_100, "ahead");
    indexed(&journal, 1_024).await;
    check(&journal, 1_100, "ahead");
    journal.close().await;
}
