//! What every engine of the journal must do, whatever it keeps events in. An engine is one `impl Engine` and one line at the
//! end. Crashes are in `crash`.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use carnet::audit::checkpoint::Checkpoint;
use carnet::audit::export::ExportWriter;
use carnet::audit::proof::{check_consistency, check_inclusion};
use carnet::audit::tree::{Frontier, TreeHash, TreeHead};
use carnet::audit::verify::verify;
use carnet::journal::Journal;
use carnet::journal::error::{AppendError, ReadError};
use carnet::journal::guards::GuardKey;
use carnet::journal::options::{IndexPlace, Options};
use carnet::journal::projection::Projection;
use carnet::journal::search::Query;
use carnet::model::time::Timestamp;
use carnet::pb::journal::event::Payload;
use carnet::pb::v1::Outcome;

use super::support::journal::{
    Seen, credential, decision_id, ended, entry, grant_id, options, paused, registration, signer, task,
};

/// A place where one log is kept, which can be opened again and again.
trait Engine: Sync {
    /// An empty place.
    fn new() -> Self;
    /// Opens the log, with this clock.
    fn open_at(&self, projection: Arc<dyn Projection>, clock: Arc<AtomicU64>) -> Journal;

    fn open(&self, projection: Arc<dyn Projection>) -> Journal {
        self.open_at(projection, Arc::new(AtomicU64::new(1_700_000_000_000)))
    }
}

/// Segment files in a folder.
struct Embedded(tempfile::TempDir);

impl Engine for Embedded {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open_at(&self, projection: Arc<dyn Projection>, clock: Arc<AtomicU64>) -> Journal {
        let now = Arc::new(move || Timestamp::from_millis(clock.load(Ordering::SeqCst)));
        let index = IndexPlace::Beside;
        let options = Options { now, index, segment_bytes: 64 << 10, ..options(&self.0.path().join("journal")) };
        Journal::open(options, projection).unwrap().0
    }
}

async fn what_was_appended_is_there_for_good(engine: impl Engine) {
    let seen = Arc::new(Seen::default());
    let journal = engine.open(seen.clone());
    let one = journal.append(entry(vec![paused(task(1), "a"), paused(task(2), "b")], vec![])).await.unwrap();
    let two = journal.append(entry(vec![paused(task(1), "c")], vec![])).await.unwrap();
    assert_eq!((one.first(), one.last(), two.first(), two.last()), (0, 1, 2, 2));
    let versions: Vec<_> = one.recorded().iter().chain(two.recorded()).map(|r| r.stream_version).collect();
    assert_eq!(versions, [1, 1, 2]);
    let head = journal.tree_head();
    journal.close().await;

    let again = Arc::new(Seen::default());
    let journal = engine.open(again.clone());
    assert_eq!(journal.tree_head(), head);
    assert_eq!(*journal.durable().borrow(), 3);
    assert_eq!(again.all(), seen.all());
    for recorded in one.recorded().iter().chain(two.recorded()) {
        let read = journal.read(recorded.position).unwrap();
        assert_eq!((&read.event, &read.stored, read.time), (&recorded.event, &recorded.stored, recorded.time));
    }
    assert!(matches!(journal.read(3), Err(ReadError::Beyond(3))));
    let three = journal.append(entry(vec![paused(task(2), "d")], vec![])).await.unwrap();
    assert_eq!((three.first(), three.recorded()[0].stream_version), (3, 2));
    journal.close().await;
}

async fn entries_are_whole_and_in_order_under_load(engine: impl Engine) {
    let seen = Arc::new(Seen::default());
    let journal = engine.open(seen.clone());
    let worker = |worker: u64| {
        let (journal, seen) = (journal.clone(), seen.clone());
        async move {
            for round in 0..20 {
                let label = |i| format!("{worker}.{round}.{i}");
                let events = (0..1 + worker % 4).map(|i| paused(task(worker), &label(i))).collect();
                let committed = journal.append(entry(events, vec![])).await.unwrap();
                assert_eq!(committed.last() - committed.first(), worker % 4);
                for (i, recorded) in committed.recorded().iter().enumerate() {
                    assert_eq!(recorded.event.prompt_id, label(i as u64));
                    assert_eq!(recorded.position, committed.first() + i as u64);
                }
                assert!(seen.has(&label(0)), "what was acknowledged is in the projection");
            }
        }
    };
    let workers: Vec<_> = (0..64).map(|n| tokio::spawn(worker(n))).collect();
    for worker in workers {
        worker.await.unwrap();
    }
    let all = seen.all();
    assert!(all.iter().map(|(position, _)| *position).eq(0..all.len() as u64), "each once, without gaps");
    let mut versions: HashMap<String, u64> = HashMap::new();
    for recorded in journal.read_range(0, usize::MAX).unwrap() {
        let version = versions.entry(recorded.event.stream).or_default();
        *version += 1;
        assert_eq!(recorded.stream_version, *version);
    }
    journal.close().await;
    let again = Arc::new(Seen::default());
    engine.open(again.clone()).close().await;
    assert_eq!(again.all(), all);
}

async fn of_many_that_rely_on_the_same_one_wins(engine: impl Engine) {
    let journal = engine.open(Arc::new(Seen::default()));
    for round in 0..20 {
        let expects = journal.expects([GuardKey::task(&task(1)), GuardKey::everything()]);
        let attempts: Vec<_> = (0..16)
            .map(|n| {
                let (journal, expects) = (journal.clone(), expects.clone());
                let label = format!("{round}.{n}");
                tokio::spawn(async move { journal.append(entry(vec![paused(task(1), &label)], expects)).await })
            })
            .collect();
        let mut won = Vec::new();
        let mut at = BTreeSet::new();
        for attempt in attempts {
            match attempt.await.unwrap() {
                Ok(committed) => won.push(committed.last() + 1),
                Err(AppendError::Conflict { key, at: position }) => {
                    assert_eq!(key, GuardKey::task(&task(1)));
                    at.insert(position);
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(won.len(), 1);
        assert_eq!(at, BTreeSet::from([won[0]]), "the losers learn what to wait for");
        journal.durable().wait_for(|durable| *durable >= won[0]).await.unwrap();
    }
    journal.close().await;
}

async fn guards_are_the_same_after_a_start(engine: impl Engine) {
    let journal = engine.open(Arc::new(Seen::default()));
    for n in 1..5 {
        journal.append(entry(vec![registration(task(n))], vec![])).await.unwrap();
    }
    journal.append(entry(vec![ended(task(2))], vec![])).await.unwrap();
    let keys: Vec<_> = (1..6).map(|n| GuardKey::task(&task(n))).collect();
    let before = journal.expects(keys.clone());
    assert_eq!(before.iter().map(|expect| expect.at).collect::<Vec<_>>(), [1, 5, 3, 4, 0]);
    journal.close().await;
    let journal = engine.open(Arc::new(Seen::default()));
    assert_eq!(journal.expects(keys), before);
    journal.append(entry(vec![paused(task(1), "")], before)).await.unwrap();
    journal.close().await;
}

async fn a_grant_never_follows_the_end_of_its_task(engine: impl Engine) {
    let journal = engine.open(Arc::new(Seen::default()));
    for round in 1..40 {
        let id = task(round);
        journal.append(entry(vec![registration(id)], vec![])).await.unwrap();
        let granting = |n: u64| {
            let journal = journal.clone();
            tokio::spawn(async move {
                for i in 0..4 {
                    // Guards first, then what is decided on: has the task ended?
                    let expects = journal.expects([GuardKey::task(&id)]);
                    let events = journal.stream(&format!("task/{id}"), 1000).unwrap();
                    let has_ended = |position: &u64| {
                        matches!(journal.read(*position).unwrap().event.payload, Some(Payload::TaskEnded(_)))
                    };
                    if events.iter().any(has_ended) {
                        return;
                    }
                    let granted = credential(id, round * 1000 + n * 10 + i, Outcome::Granted);
                    match journal.append(entry(vec![granted], expects)).await {
                        Ok(_) | Err(AppendError::Conflict { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        };
        let mut workers: Vec<_> = (0..3).map(granting).collect();
        let (journal, end) = (journal.clone(), entry(vec![ended(id)], vec![]));
        workers.push(tokio::spawn(async move { drop(journal.append(end).await.unwrap()) }));
        for worker in workers {
            worker.await.unwrap();
        }
    }
    let mut ended = BTreeSet::new();
    let mut granted = 0;
    for recorded in journal.read_range(0, usize::MAX).unwrap() {
        match recorded.event.payload {
            Some(Payload::TaskEnded(end)) => assert!(ended.insert(end.task_id)),
            Some(Payload::CredentialDecided(decided)) => {
                granted += 1;
                assert!(!ended.contains(&decided.task_id), "position {}", recorded.position);
            }
            _ => {}
        }
    }
    assert!(granted > 0);
    journal.close().await;
}

async fn an_append_outlives_its_caller(engine: impl Engine) {
    let seen = Arc::new(Seen::default());
    let journal = engine.open(seen.clone());
    for round in 0..50 {
        let mut append = Box::pin(journal.append(entry(vec![paused(task(1), &format!("gone {round}"))], vec![])));
        // Polled once, it is submitted; then the caller goes away.
        let _ = futures_once(append.as_mut()).await;
        drop(append);
    }
    journal.append(entry(vec![paused(task(1), "last")], vec![])).await.unwrap();
    for round in 0..50 {
        assert!(seen.has(&format!("gone {round}")), "{round}");
    }
    journal.close().await;
}

async fn what_is_too_large_or_empty_is_refused(engine: impl Engine) {
    let journal = engine.open(Arc::new(Seen::default()));
    let huge = paused(task(1), &"x".repeat(9 << 20));
    let many = (0..5000).map(|_| paused(task(1), "")).collect();
    assert_eq!(journal.append(entry(vec![huge], vec![])).await.unwrap_err(), AppendError::TooLarge);
    assert_eq!(journal.append(entry(many, vec![])).await.unwrap_err(), AppendError::TooLarge);
    assert_eq!(journal.append(entry(vec![], vec![])).await.unwrap_err(), AppendError::Empty);
    assert_eq!(journal.tree_head().size, 0);
    let large = paused(task(1), &"x".repeat(5 << 20));
    journal.append(entry(vec![large.clone()], vec![])).await.unwrap();
    assert_eq!(journal.read(0).unwrap().event, large);
    journal.close().await;
}

async fn a_closed_journal_takes_nothing(engine: impl Engine) {
    let journal = engine.open(Arc::new(Seen::default()));
    let other = journal.clone();
    let mut follower = journal.follow(0);
    let waiting = tokio::spawn(async move { follower.read(10).await.unwrap().is_none() });
    journal.close().await;
    assert_eq!(other.append(entry(vec![paused(task(1), "")], vec![])).await.unwrap_err(), AppendError::Closed);
    assert!(waiting.await.unwrap(), "who follows learns that nothing comes");
}

async fn followers_see_everything_in_order(engine: impl Engine) {
    let journal = engine.open(Arc::new(Seen::default()));
    let follow = |from: u64, at_once: usize| {
        let mut follower = journal.follow(from);
        tokio::spawn(async move {
            let mut next = from;
            while next < 300 {
                for recorded in follower.read(at_once).await.unwrap().unwrap() {
                    assert_eq!(recorded.position, next);
                    next += 1;
                }
                assert_eq!(follower.next(), next);
            }
        })
    };
    let followers = [follow(0, 1), follow(0, 1000), follow(150, 7), follow(299, 1)];
    for n in 0..100 {
        let events = (0..3).map(|i| paused(task(n), &i.to_string())).collect();
        journal.append(entry(events, vec![])).await.unwrap();
    }
    for follower in followers {
        follower.await.unwrap();
    }
    journal.close().await;
}

async fn who_reads_at_the_head_finds_whole_events(engine: impl Engine) {
    let journal = engine.open(Arc::new(Seen::default()));
    let reader = |journal: Journal| {
        move || {
            let mut from = 0;
            while from < 2000 {
                // The head moves on while this reads.
                for recorded in journal.read_range(from, usize::MAX).unwrap() {
                    assert_eq!(recorded.position, from);
                    from += 1;
                }
            }
        }
    };
    let readers: Vec<_> = (0..2).map(|_| tokio::task::spawn_blocking(reader(journal.clone()))).collect();
    for n in 0..500 {
        let events = (0..4).map(|i| paused(task(n), &i.to_string())).collect();
        journal.append(entry(events, vec![])).await.unwrap();
    }
    for reader in readers {
        reader.await.unwrap();
    }
    journal.close().await;
}

async fn time_never_goes_back(engine: impl Engine) {
    let clock = Arc::new(AtomicU64::new(5000));
    let journal = engine.open_at(Arc::new(Seen::default()), clock.clone());
    let mut times = Vec::new();
    for now in [5000, 6000, 3000, 6500] {
        clock.store(now, Ordering::SeqCst);
        times.push(journal.append(entry(vec![paused(task(1), "")], vec![])).await.unwrap().time().as_millis());
    }
    assert_eq!(times, [5000, 6000, 6000, 6500]);
    journal.close().await;
    let journal = engine.open_at(Arc::new(Seen::default()), Arc::new(AtomicU64::new(1)));
    let committed = journal.append(entry(vec![paused(task(1), "")], vec![])).await.unwrap();
    assert_eq!(committed.time().as_millis(), 6500);
    journal.close().await;
}

async fn the_record_can_be_checked_by_a_stranger(engine: impl Engine) {
    let journal = engine.open(Arc::new(Seen::default()));
    let mut heads = vec![journal.tree_head()];
    let mut notes = vec![journal.checkpoint().unwrap()];
    for n in 0..60 {
        let events = (0..1 + n % 17).map(|i| paused(task(n), &i.to_string())).collect();
        journal.append(entry(events, vec![])).await.unwrap();
        heads.push(journal.tree_head());
        notes.push(journal.checkpoint().unwrap());
    }
    let head = journal.tree_head();
    let stored: Vec<_> = journal.read_range(0, usize::MAX).unwrap().into_iter().map(|r| r.stored).collect();
    assert!(stored.len() > 256, "some subtrees come from memory");
    let mut tree = Frontier::new();
    stored.iter().for_each(|stored| tree.push(TreeHash::leaf(stored)));
    assert_eq!(tree.head(), head);
    for (position, stored) in stored.iter().enumerate() {
        let proof = journal.inclusion_proof(position as u64, head.size).unwrap();
        check_inclusion(&TreeHash::leaf(stored), position as u64, &head, &proof).unwrap();
    }
    for (older, note) in heads.iter().zip(&notes) {
        let proof = journal.consistency_proof(older.size, head.size).unwrap();
        check_consistency(older, &head, &proof).unwrap();
        assert_eq!(Checkpoint::verify(note, signer().verifier()).unwrap().head(), older);
        assert_eq!(journal.frontier(older.size).unwrap().head(), *older);
    }
    assert!(journal.inclusion_proof(head.size, head.size).is_err());
    assert!(journal.consistency_proof(1, head.size + 1).is_err());
    let mut export = ExportWriter::new(Vec::new(), &Frontier::new()).unwrap();
    stored.iter().for_each(|stored| export.event(stored).unwrap());
    let export = export.finish(&journal.checkpoint().unwrap()).unwrap();
    let report = verify(export.as_slice(), &journal.verifier_key(), 0, Some(&notes[7])).unwrap();
    assert_eq!((report.head, report.kept), (TreeHead { ..head }, Some(heads[7].size)));
    journal.close().await;
}

async fn searches_find_what_is_there_and_nothing_else(engine: impl Engine) {
    let clock = Arc::new(AtomicU64::new(1_700_000_000_000));
    let journal = engine.open_at(Arc::new(Seen::default()), clock.clone());
    for n in 0..2600_u64 {
        clock.fetch_add(1, Ordering::SeqCst);
        let outcome = if n % 10 == 0 { Outcome::Denied } else { Outcome::Granted };
        journal.append(entry(vec![credential(task(n % 50), n, outcome)], vec![])).await.unwrap();
    }
    check_searches(&journal);
    journal.close().await;
    let journal = engine.open_at(Arc::new(Seen::default()), clock);
    check_searches(&journal);
    journal.close().await;
}

fn check_searches(journal: &Journal) {
    let all = 0..2600_u64;
    let positions = |query: &Query| pages(journal, query);
    let expect = |query: Query, wanted: &dyn Fn(u64) -> bool| {
        let mut expected: Vec<u64> = all.clone().filter(|n| wanted(*n)).collect();
        assert_eq!(positions(&query), expected, "{query:?}");
        expected.reverse();
        assert_eq!(positions(&Query { newest_first: true, ..query }), expected);
    };
    let text = |s: &str| Some(s.to_owned());
    let time = |n: u64| Some(Timestamp::from_millis(1_700_000_000_000 + n));
    expect(Query::default(), &|_| true);
    expect(Query { task: Some(task(7)), ..Query::default() }, &|n| n % 50 == 7);
    expect(Query { outcome: text("denied"), page_size: 13, ..Query::default() }, &|n| n % 10 == 0);
    expect(Query { tool: text("tool 3"), outcome: text("granted"), ..Query::default() }, &|n| {
        n % 7 == 3 && n % 10 != 0
    });
    expect(Query { agent: text("spiffe://td/agent/4"), ..Query::default() }, &|n| n % 5 == 4);
    expect(Query { initiator: text("ann"), reason: text("NO_PERMIT"), ..Query::default() }, &|n| n % 10 == 0);
    expect(Query { kind: text("task_ended"), ..Query::default() }, &|_| false);
    expect(Query { from: time(100), until: time(2000), page_size: 500, ..Query::default() }, &|n| {
        (99..1999).contains(&n)
    });
    expect(Query { trace_id: text(&format!("{:032x}", 1234)), ..Query::default() }, &|n| n == 1234);
    expect(Query { actor: text("spiffe://td/agent/1"), from: time(2500), ..Query::default() }, &|n| {
        n >= 2499 && n % 5 == 1
    });
    let stream = journal.stream(&format!("task/{}", task(3)), 10).unwrap();
    assert_eq!(stream, (0..10).map(|i| i * 50 + 3).collect::<Vec<_>>());
    for n in [0, 1023, 1024, 2599] {
        assert_eq!(journal.find_decision(&decision_id(n)).unwrap().unwrap().position, n);
        assert_eq!(journal.find_grant(&grant_id(n)).unwrap().map(|r| r.position), (n % 10 != 0).then_some(n));
    }
    assert!(journal.find_decision(&decision_id(9999)).unwrap().is_none());
    let first = journal.search(&Query { outcome: text("denied"), page_size: 5, ..Query::default() }).unwrap();
    let other = Query { outcome: text("granted"), page_token: first.next, ..Query::default() };
    assert!(matches!(journal.search(&other), Err(ReadError::PageToken)), "a token is good for its own query only");
}

// The positions of every page in turn.
fn pages(journal: &Journal, query: &Query) -> Vec<u64> {
    let (mut query, mut found) = (query.clone(), Vec::new());
    loop {
        let page = journal.search(&query).unwrap();
        let size = if query.page_size == 0 { 100 } else { query.page_size } as usize;
        assert!(page.events.len() <= size);
        found.extend(page.events.iter().map(|recorded| recorded.position));
        if page.next.is_empty() {
            return found;
        }
        query.page_token = page.next;
    }
}

async fn pages_are_stable_while_the_log_grows(engine: impl Engine) {
    let journal = engine.open(Arc::new(Seen::default()));
    for n in 0..30 {
        journal.append(entry(vec![credential(task(1), n, Outcome::Granted)], vec![])).await.unwrap();
    }
    let mut query = Query { newest_first: true, page_size: 10, tool: Some("tool 0".into()), ..Query::default() };
    query.page_size = 2;
    let mut found = Vec::new();
    for n in 30.. {
        let page = journal.search(&query).unwrap();
        found.extend(page.events.iter().map(|r| r.position));
        if page.next.is_empty() {
            break;
        }
        query.page_token = page.next;
        journal.append(entry(vec![credential(task(1), n * 7, Outcome::Granted)], vec![])).await.unwrap();
    }
    assert_eq!(found, [28, 21, 14, 7, 0]);
    journal.close().await;
}

// Polls a future once.
async fn futures_once<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut future).poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

macro_rules! conformance {
    ($engine:ident, $name:ident: $($check:ident)*) => {
        mod $name {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $check() {
                    super::$check(<super::$engine as super::Engine>::new()).await;
                }
            )*
        }
    };
}

conformance!(Embedded, embedded:
    what_was_appended_is_there_for_good
    entries_are_whole_and_in_order_under_load
    of_many_that_rely_on_the_same_one_wins
    guards_are_the_same_after_a_start
    a_grant_never_follows_the_end_of_its_task
    an_append_outlives_its_caller
    what_is_too_large_or_empty_is_refused
    a_closed_journal_takes_nothing
    followers_see_everything_in_order
    who_reads_at_the_head_finds_whole_events
    time_never_goes_back
    the_record_can_be_checked_by_a_stranger
    searches_find_what_is_there_and_nothing_else
    pages_are_stable_while_the_log_grows
);
