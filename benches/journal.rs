//! How many commits a second the journal makes, at 1, 16 and 256 in flight, with events of the size of a grant's. Prints the
//! processor time of the writer beside it, and what one bare sync costs on this disk.
//! `cargo bench --bench journal`; a folder to write to may be given by `CARNET_BENCH_DIR`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a benchmark prints what it measures and may fail by panicking"
)]

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use carnet::audit::note::SignerKey;
use carnet::clock::Clock;
use carnet::journal::Journal;
use carnet::journal::entry::{Entry, EntryClass};
use carnet::journal::guards::GuardKey;
use carnet::journal::options::Options;
use carnet::journal::projection::NoProjection;
use carnet::model::id::{DecisionId, GrantId, TaskId};
use carnet::model::time::Timestamp;
use carnet::pb::journal::event::Payload;
use carnet::pb::journal::{Actor, Conclusion, CredentialDecided, Decision, Event, Grant, RegisteredTask, TaskDecided};
use carnet::pb::v1::Outcome;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let parent = std::env::var_os("CARNET_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    println!("bare write and sync of 3 KB: {:?}", bare_sync(&parent));
    println!("in flight  commits/s  p50 us  p99 us  writer us/commit  process us/commit");
    for in_flight in [1, 16, 64, 256] {
        let folder = tempfile::tempdir_in(&parent).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(measure(folder.path(), in_flight));
    }
}

async fn measure(dir: &Path, in_flight: u64) {
    let signer = Arc::new(SignerKey::from_seed("carnet.bench", &[1; 32]).unwrap());
    let clock = Clock::system();
    let options = Options::new(dir.join("journal"), Arc::new(move || clock.now()), signer, [7; 16]);
    let (journal, _) = Journal::open(options, Arc::new(NoProjection)).unwrap();
    for n in 0..in_flight {
        let entry = Entry { events: vec![registered(n)], expects: Vec::new(), class: EntryClass::Ordinary };
        journal.append(entry).await.unwrap();
    }
    let count = Arc::new(AtomicU64::new(0));
    let (begun, cpu) = (Instant::now(), (thread_cpu("journal-writer"), process_cpu()));
    let workers: Vec<_> = (0..in_flight)
        .map(|n| {
            let (journal, count) = (journal.clone(), count.clone());
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while begun.elapsed() < RUN {
                    let number = count.fetch_add(1, Ordering::Relaxed);
                    let expects = journal.expects([
                        GuardKey::task(&task(n)),
                        GuardKey::usage(&task(n)),
                        GuardKey::everything(),
                        GuardKey::policy(),
                        GuardKey::audience(&"https://api.example".parse().unwrap()),
                    ]);
                    let entry = Entry { events: vec![granted(n, number)], expects, class: EntryClass::Ordinary };
                    let at = Instant::now();
                    journal.append(entry).await.unwrap();
                    latencies.push(at.elapsed());
                }
                latencies
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for worker in workers {
        latencies.extend(worker.await.unwrap());
    }
    let (elapsed, commits) = (begun.elapsed().as_secs_f64(), latencies.len() as f64);
    let writer = (thread_cpu("journal-writer") - cpu.0).as_secs_f64() * 1e6 / commits;
    let process = (process_cpu() - cpu.1).as_secs_f64() * 1e6 / commits;
    latencies.sort_unstable();
    let at = |part: usize| latencies[latencies.len() * part / 100].as_micros();
    println!("{in_flight:9}  {:9.0}  {:6}  {:6}  {writer:16.1}  {process:17.1}", commits / elapsed, at(50), at(99));
    journal.close().await;
}

fn task(n: u64) -> TaskId {
    let [a, b, c, d, e, f, g, h] = n.to_be_bytes();
    TaskId::new(Timestamp::from_millis(1_700_000_000_000), [a, b, c, d, e, f, g, h, 0, 0])
}

fn registered(n: u64) -> Event {
    let registered = RegisteredTask { task_id: task(n).to_string(), ..RegisteredTask::default() };
    let payload = Payload::TaskDecided(TaskDecided { task: Some(registered), ..TaskDecided::default() });
    Event { stream: format!("task/{}", task(n)), payload: Some(payload), ..Event::default() }
}

// A grant as the broker records it: about 2.5 KB, most of it sealed.
fn granted(n: u64, number: u64) -> Event {
    let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
    let random = [a, b, c, d, e, f, g, h, 1, 1];
    let now = Timestamp::from_millis(1_700_000_000_000 + number / 20);
    let agent = format!("spiffe://example.org/agent/{n}");
    let conclusion = Conclusion { tool: "payments.read".into(), effect: "read".into(), ..Conclusion::default() };
    let decision = Decision {
        decision_id: DecisionId::new(now, random).to_string(),
        question: "request".into(),
        outcome: Outcome::Granted.into(),
        policies: vec!["permit-reads".into()],
        policy_digest: "f".repeat(64),
        conclusions: vec![conclusion],
        sealed: vec![7; 1100].into(),
        ..Decision::default()
    };
    let grant = Grant {
        grant_id: GrantId::new(now, random).to_string(),
        jti: format!("{number:022}"),
        agent: agent.clone(),
        audience: "https://api.example".into(),
        sealed_claims: vec![9; 700].into(),
        tools: vec!["payments.read".into()],
        ..Grant::default()
    };
    let decided = CredentialDecided {
        task_id: task(n).to_string(),
        request_id: format!("request-{number}"),
        audience: "https://api.example".into(),
        decision: Some(decision),
        grant: Some(grant),
        agent: agent.clone(),
        initiator: "ann@example.org".into(),
        ..CredentialDecided::default()
    };
    let actor = Actor { id: agent, class: "ai_agent".into(), certificate_digest: "e".repeat(64), ..Actor::default() };
    Event {
        stream: format!("task/{}", task(n)),
        actor: Some(actor),
        traceparent: format!("00-{number:032x}-{number:016x}-01"),
        payload: Some(Payload::CredentialDecided(decided)),
        ..Event::default()
    }
}

// The median of writing 3 KB and syncing, on a file whose space is taken.
fn bare_sync(parent: &Path) -> Duration {
    let folder = tempfile::tempdir_in(parent).unwrap();
    let path = folder.path().join("f");
    fs::write(&path, vec![0; 4 << 20]).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.sync_all().unwrap();
    let one = |n: u64| {
        let at = Instant::now();
        file.write_all_at(&[5; 3000], n * 3000).unwrap();
        file.sync_data().unwrap();
        at.elapsed()
    };
    let mut all: Vec<_> = (0..1000).map(one).collect();
    all.sort_unstable();
    all[500]
}

// Processor time of the threads of that name, in ticks of 10 ms.
fn thread_cpu(name: &str) -> Duration {
    let of = |path: PathBuf| {
        let stat = fs::read_to_string(path.join("stat")).ok()?;
        let (comm, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().ok()? + fields[12].parse::<u64>().ok()?;
        comm.starts_with(name).then(|| Duration::from_millis(ticks * 10))
    };
    fs::read_dir("/proc/self/task").unwrap().filter_map(|entry| of(entry.unwrap().path())).sum()
}

fn process_cpu() -> Duration {
    thread_cpu("")
}

const RUN: Duration = Duration::from_secs(4);
