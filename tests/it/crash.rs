//! Crashes of the journal, and in `broker` of a whole broker: killed processes, and power cuts that lose any part of what was
//! not synced, at 64 requests in flight. Whatever was acknowledged is there afterwards, and nothing is there by half. A failure
//! prints its seed.

mod broker;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::{env, thread};

use carnet::disk::simulated::SimulatedDisk;
use carnet::journal::Journal;
use carnet::journal::error::{AppendError, JournalError};
use carnet::journal::guards::GuardKey;
use carnet::journal::options::{Options, Stage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::support::journal::{Seen, entry, options, paused, task};

/// Entries that were acknowledged: label and first position.
type Acknowledged = BTreeMap<String, u64>;

const IN_FLIGHT: u64 = 64;
const CRASHES: u64 = 200;
/// Crashes that one log goes through.
const CRASHES_OF_A_LOG: u64 = 5;
const STAGES: [Stage; 5] = [Stage::Placed, Stage::Written, Stage::Synced, Stage::Applied, Stage::Acknowledged];

#[test]
fn nothing_acknowledged_is_lost_when_the_power_is_cut() {
    let acknowledged = in_parallel(CRASHES / CRASHES_OF_A_LOG, |log| cut_and_start_again(log, false).unwrap());
    assert!(acknowledged > 10 * CRASHES, "only {acknowledged} entries were acknowledged before the cuts");
}

#[test]
fn a_log_that_does_not_sync_is_caught() {
    let caught = in_parallel(20, |log| u64::from(cut_and_start_again(log, true).is_err()));
    assert!(caught > 10, "only {caught} of 20 logs without syncs were found to have lost something");
}

#[test]
fn nothing_acknowledged_is_lost_by_a_kill() {
    let acknowledged = in_parallel(CRASHES / CRASHES_OF_A_LOG, kill_and_start_again);
    assert!(acknowledged > 10 * CRASHES, "only {acknowledged} entries were acknowledged before the kills");
}

/// What the killed process runs; nothing when it is run as a test of its own.
#[test]
fn journal_child() {
    let Ok(dir) = env::var("CARNET_CRASH_DIR") else { return };
    let [run, stage, nth] = ["RUN", "STAGE", "NTH"].map(|name| env::var(format!("CARNET_CRASH_{name}")).unwrap());
    let at = (STAGES.get(stage.parse::<usize>().unwrap()).copied(), nth.parse().unwrap());
    let probe = nth_time(at, || kill(Pid::this(), Signal::SIGKILL).unwrap());
    let (journal, _) = Journal::open(Options { probe: Some(probe), ..small(Path::new(&dir)) }, seen()).unwrap();
    let acknowledge = |label: &str, first| {
        // One write, so that a line is there whole.
        std::io::stdout().write_all(format!("acknowledged {label} {first}\n").as_bytes()).unwrap();
    };
    on_one_thread(load(journal, run.parse().unwrap(), u64::MAX, acknowledge));
}

// Lets one log go through several power cuts; what was lost, if anything was.
fn cut_and_start_again(log: u64, forget_syncs: bool) -> Result<u64, String> {
    let mut disk = SimulatedDisk::new();
    let mut acknowledged = Acknowledged::new();
    for run in 0..CRASHES_OF_A_LOG {
        let seed = log * CRASHES_OF_A_LOG + run;
        if forget_syncs {
            disk.forget_syncs();
        }
        // Half of the cuts come at a stage of the writer, half during any operation of the disk.
        let stage = seed.is_multiple_of(2).then(|| STAGES[usize::try_from(seed / 2 % 5).unwrap()]);
        if stage.is_none() {
            disk.cut_power_at(1 + roll(seed) % 90);
        }
        let cut = disk.clone();
        let probe = nth_time((stage, 1 + roll(seed) % 12), move || cut.cut_power());
        let options = Options {
            disk: Arc::new(disk.clone()),
            probe: Some(probe),
            on_fatal: Arc::new(|_| {}),
            ..small(Path::new("/journal"))
        };
        // The power may be cut while it opens, too.
        if let Ok((journal, _)) = Journal::open(options, seen()) {
            let noted = Mutex::new(&mut acknowledged);
            on_one_thread(load(journal, run, 200, |label, first| {
                noted.lock().unwrap().insert(label.to_owned(), first);
            }));
        }
        disk.cut_power();
        disk = disk.after_power_cut(roll(seed ^ 0xff));
        let options = Options { disk: Arc::new(disk.clone()), ..small(Path::new("/journal")) };
        on_one_thread(check(options, &acknowledged)).map_err(|lost| format!("seed {seed} at {stage:?}: {lost}"))?;
        disk = disk.after_kill();
    }
    Ok(acknowledged.len() as u64)
}

// Lets one log go through several kills.
fn kill_and_start_again(log: u64) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let (dir, stderr) = (folder.path().join("journal"), folder.path().join(STDERR));
    let mut acknowledged = Acknowledged::new();
    for run in 0..CRASHES_OF_A_LOG {
        let seed = log * CRASHES_OF_A_LOG + run;
        // One in six is killed from outside, wherever it is then.
        let stage = seed % 6;
        let status = run_child(&dir, run, stage, 1 + roll(seed) % 12, &mut acknowledged);
        assert_eq!(status, Some(9), "seed {seed}: the child was killed; it said `{}`", said(&stderr));
        let checked = on_one_thread(check(small(&dir), &acknowledged));
        checked.unwrap_or_else(|lost| panic!("seed {seed} at stage {stage}: {lost}"));
    }
    acknowledged.len() as u64
}

// Where a child's stderr goes, which is empty when all is well.
const STDERR: &str = "child.stderr";

fn said(stderr: &Path) -> String {
    std::fs::read_to_string(stderr).unwrap_or_default()
}

// The signal that ended it.
fn run_child(dir: &PathBuf, run: u64, stage: u64, nth: u64, acknowledged: &mut Acknowledged) -> Option<i32> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "crash::journal_child", "--nocapture"])
        .env("CARNET_CRASH_DIR", dir)
        .env("CARNET_CRASH_RUN", run.to_string())
        .env("CARNET_CRASH_STAGE", stage.to_string())
        .env("CARNET_CRASH_NTH", nth.to_string())
        .stdout(Stdio::piped())
        .stderr(File::create(dir.with_file_name(STDERR)).unwrap())
        .spawn()
        .unwrap();
    let mut from_outside = (stage == 5).then_some(nth * 10);
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while output.read_line(&mut line).unwrap() > 0 {
        // The last may be cut off, and was then not told.
        if let Some(told) = line.strip_prefix("acknowledged ").and_then(|rest| rest.strip_suffix('\n')) {
            let (label, first) = told.split_once(' ').unwrap();
            acknowledged.insert(label.to_owned(), first.parse().unwrap());
            from_outside = from_outside.and_then(|left: u64| left.checked_sub(1));
            if from_outside == Some(0) {
                child.kill().unwrap();
            }
        }
        line.clear();
    }
    child.wait().unwrap().signal()
}

// So many requests in flight at all times, until the journal is gone.
async fn load(journal: Journal, run: u64, rounds: u64, acknowledge: impl Fn(&str, u64)) {
    let worker = async |worker: u64| {
        for round in 0..rounds {
            let label = format!("{run}.{worker}.{round}");
            let count = 1 + (worker + round) % 3;
            let events = (0..count).map(|i| paused(task(worker), &format!("{label} {i} {count}"))).collect();
            let expects = journal.expects([GuardKey::task(&task(worker))]);
            match journal.append(entry(events, expects)).await {
                Ok(committed) => acknowledge(&label, committed.first()),
                Err(AppendError::Closed) => return,
                Err(error) => panic!("{error}"),
            }
        }
    };
    let mut workers: Vec<_> = (0..IN_FLIGHT).map(|n| Box::pin(worker(n))).collect();
    std::future::poll_fn(|context| {
        workers.retain_mut(|worker| worker.as_mut().poll(context).is_pending());
        if workers.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

// Opens the log and holds it against what was acknowledged.
async fn check(options: Options, acknowledged: &Acknowledged) -> Result<(), String> {
    let seen = seen();
    let (journal, _) = Journal::open(options, seen.clone()).map_err(|error: JournalError| error.to_string())?;
    let recorded = journal.read_range(0, usize::MAX).unwrap();
    let labels: Vec<(u64, String)> = recorded.into_iter().map(|r| (r.position, r.event.prompt_id)).collect();
    journal.close().await;
    if seen.all() != labels {
        return Err("the projection is not what the log says".into());
    }
    let mut there = Acknowledged::new();
    let mut left = labels.iter();
    while let Some((first, text)) = left.next() {
        let (label, place) = text.split_once(' ').unwrap();
        let count: usize = place.strip_prefix("0 ").ok_or(format!("`{label}` is there by half"))?.parse().unwrap();
        for i in 1..count {
            let next = left.next().map(|(_, text)| text.as_str());
            if next != Some(&format!("{label} {i} {count}")) {
                return Err(format!("`{label}` is there by half"));
            }
        }
        if there.insert(label.to_owned(), *first).is_some() {
            return Err(format!("`{label}` is there twice"));
        }
    }
    for (label, first) in acknowledged {
        if there.get(label) != Some(first) {
            return Err(format!("`{label}` was acknowledged at {first} and is not there"));
        }
    }
    check_order(&there)
}

// Each worker waits for one entry before it makes the next, so what is there of each has no gap.
fn check_order(there: &Acknowledged) -> Result<(), String> {
    let mut rounds: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for label in there.keys() {
        let (worker, round) = label.rsplit_once('.').unwrap();
        rounds.entry(worker).or_default().insert(round.parse().unwrap());
    }
    let gap = rounds.iter().find(|(_, rounds)| !rounds.iter().copied().eq(0..rounds.len()));
    gap.map_or(Ok(()), |(worker, _)| Err(format!("worker {worker} has a gap")))
}

fn small(dir: &Path) -> Options {
    Options { segment_bytes: 16 << 10, snapshot_every: 300, ..options(dir) }
}

fn seen() -> Arc<Seen> {
    Arc::new(Seen::default())
}

// Does something when the writer reaches a stage for the nth time.
fn nth_time(
    (stage, nth): (Option<Stage>, u64),
    act: impl Fn() + Send + Sync + 'static,
) -> Arc<dyn Fn(Stage) + Send + Sync> {
    let reached = AtomicU64::new(0);
    Arc::new(move |at| {
        if Some(at) == stage && reached.fetch_add(1, Ordering::SeqCst) + 1 == nth {
            act();
        }
    })
}

fn on_one_thread<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

// Sums up what the logs give, on as many threads as help while the disk syncs.
fn in_parallel(logs: u64, work: impl Fn(u64) -> u64 + Sync) -> u64 {
    let (next, sum) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(log) = Some(next.fetch_add(1, Ordering::SeqCst)).filter(|log| *log < logs) {
                    sum.fetch_add(work(log), Ordering::SeqCst);
                }
            });
        }
    });
    sum.into_inner()
}

// A number that depends on the seed alone (SplitMix64).
fn roll(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
