//! Crashes of a whole broker, with real grants, tokens and task keys, at 64 requests in flight: killed processes, and power
//! cuts that lose any part of what was not synced, journal and task keys alike. Whatever a client was told is there
//! afterwards, above all every grant that it holds a token for.

use std::collections::{BTreeMap, HashMap};
use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use carnet::audit::export::ExportWriter;
use carnet::audit::tree::Frontier;
use carnet::audit::verify::verify;
use carnet::disk::simulated::SimulatedDisk;
use carnet::pb::journal::event::Payload;
use carnet::pb::v1::{GetCheckpointRequest, RegisterTaskRequest, TaskState};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::task::JoinSet;

use super::{IN_FLIGHT, STAGES, in_parallel, nth_time, roll};
use crate::support::ask::{Granted, INTENT, OpenTask};
use crate::support::broker::{Setup, TestBroker};
use crate::support::caller::Caller;

/// Folders, each of which goes through several crashes.
const FOLDERS: u64 = 8;
const CRASHES_OF_A_FOLDER: u64 = 5;
/// Rounds of each worker when nothing ends it.
const ROUNDS: u64 = 4;

/// What a client was told, one line each: `task ID HANDLE`, `grant TASK GRANT JTI POSITION`, `end TASK`.
type Tell = Arc<dyn Fn(String) + Send + Sync>;

/// What clients were told in all.
#[derive(Debug, Default)]
struct Told {
    /// Handle, and whether the end was acknowledged, by task.
    tasks: BTreeMap<String, (String, bool)>,
    /// Task, grant and position by `jti`.
    tokens: BTreeMap<String, (String, String, u64)>,
}

impl Told {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["task", id, handle] => drop(self.tasks.insert((*id).to_owned(), ((*handle).to_owned(), false))),
            ["grant", task, grant, jti, position] => {
                let of = ((*task).to_owned(), (*grant).to_owned(), position.parse().unwrap());
                self.tokens.insert((*jti).to_owned(), of);
            }
            ["end", task] => self.tasks.get_mut(*task).unwrap().1 = true,
            _ => panic!("`{line}`"),
        }
    }
}

#[test]
fn no_grant_that_a_client_holds_a_token_for_is_lost_by_a_kill() {
    let told = in_parallel(FOLDERS, kill_and_start_again);
    assert!(told > 4 * FOLDERS * CRASHES_OF_A_FOLDER, "only {told} tokens were held before the kills");
}

#[test]
fn no_grant_that_a_client_holds_a_token_for_is_lost_when_the_power_is_cut() {
    let told = in_parallel(FOLDERS, |folder| cut_and_start_again(folder, false).unwrap());
    assert!(told > 4 * FOLDERS * CRASHES_OF_A_FOLDER, "only {told} tokens were held before the cuts");
}

#[test]
fn a_broker_that_does_not_sync_is_caught() {
    let caught = in_parallel(FOLDERS, |folder| u64::from(cut_and_start_again(folder, true).is_err()));
    assert!(caught > FOLDERS / 2, "only {caught} of {FOLDERS} brokers without syncs were found to have lost something");
}

/// What the killed process runs; nothing when it is run as a test of its own.
#[test]
fn broker_child() {
    let Ok(dir) = env::var("CARNET_CRASH_DIR") else { return };
    let [run, stage, nth] = ["RUN", "STAGE", "NTH"].map(|name| env::var(format!("CARNET_CRASH_{name}")).unwrap());
    let at = (STAGES.get(stage.parse::<usize>().unwrap()).copied(), nth.parse().unwrap());
    let probe = nth_time(at, || kill(Pid::this(), Signal::SIGKILL).unwrap());
    // One write, so that a line is there whole.
    let tell: Tell = Arc::new(|line| std::io::stdout().write_all(format!("told {line}\n").as_bytes()).unwrap());
    block_on(async {
        let setup = Setup { journal: Arc::new(move |options| options.probe = Some(probe.clone())), ..Setup::default() };
        let broker = TestBroker::in_folder(setup, Path::new(&dir)).await.unwrap();
        work(&broker, &run, u64::MAX, &tell).await;
    });
}

// Lets one folder go through several kills; how many tokens were held.
fn kill_and_start_again(folder: u64) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let mut told = Told::default();
    for run in 0..CRASHES_OF_A_FOLDER {
        let seed = 1000 + folder * CRASHES_OF_A_FOLDER + run;
        // One in six is killed from outside, wherever it is then.
        let stage = seed % 6;
        let status = run_child(dir.path(), seed, stage, 3 + roll(seed) % 30, &mut told);
        assert_eq!(status, Some(9), "seed {seed}: the child was killed");
        let checked = block_on(check(Setup::default(), dir.path(), &told));
        checked.unwrap_or_else(|lost| panic!("seed {seed} at stage {stage}: {lost}"));
    }
    told.tokens.len() as u64
}

// The signal that ended it.
fn run_child(dir: &Path, seed: u64, stage: u64, nth: u64, told: &mut Told) -> Option<i32> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "crash::broker::broker_child", "--nocapture"])
        .env("CARNET_CRASH_DIR", dir)
        .env("CARNET_CRASH_RUN", seed.to_string())
        .env("CARNET_CRASH_STAGE", stage.to_string())
        .env("CARNET_CRASH_NTH", nth.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut from_outside = (stage == 5).then_some(nth * 10);
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while output.read_line(&mut line).unwrap() > 0 {
        // The last may be cut off, and was then not told.
        if let Some(heard) = line.strip_prefix("told ").and_then(|rest| rest.strip_suffix('\n')) {
            told.hear(heard);
            from_outside = from_outside.and_then(|left: u64| left.checked_sub(1));
            if from_outside == Some(0) {
                child.kill().unwrap();
            }
        }
        line.clear();
    }
    child.wait().unwrap().signal()
}

// Lets one folder go through several power cuts; how many tokens were held, or what was lost.
fn cut_and_start_again(folder: u64, forget_syncs: bool) -> Result<u64, String> {
    let dir = tempfile::tempdir().unwrap();
    let mut disk = SimulatedDisk::new();
    let told = Arc::new(Mutex::new(Told::default()));
    let on = |disk: &SimulatedDisk| Setup { disk: Some(Arc::new(disk.clone())), ..Setup::default() };
    for run in 0..CRASHES_OF_A_FOLDER {
        let seed = folder * CRASHES_OF_A_FOLDER + run;
        if forget_syncs {
            disk.forget_syncs();
        }
        // Half of the cuts come at a stage of the writer, half during any operation of the disk.
        let stage = seed.is_multiple_of(2).then(|| STAGES[usize::try_from(seed / 2 % 5).unwrap()]);
        if stage.is_none() {
            disk.cut_power_at(1 + roll(seed) % 400);
        }
        let cut = disk.clone();
        let probe = nth_time((stage, 3 + roll(seed) % 30), move || cut.cut_power());
        let setup = Setup {
            journal: Arc::new(move |options| {
                options.probe = Some(probe.clone());
                options.on_fatal = Arc::new(|_| {});
            }),
            ..on(&disk)
        };
        let (heard, dead) = (told.clone(), disk.clone());
        block_on(async {
            // The power may be cut while it starts, too.
            let Ok(broker) = TestBroker::in_folder(setup, dir.path()).await else { return };
            let tell: Tell = Arc::new(move |line| heard.lock().unwrap().hear(&line));
            work(&broker, &seed.to_string(), ROUNDS, &tell).await;
            dead.cut_power();
        });
        disk = disk.after_power_cut(roll(seed ^ 0xff));
        block_on(check(on(&disk), dir.path(), &told.lock().unwrap()))
            .map_err(|lost| format!("seed {seed} at {stage:?}: {lost}"))?;
        disk = disk.after_kill();
    }
    let told = told.lock().unwrap();
    Ok(told.tokens.len() as u64)
}

// So many requests in flight at all times, until the broker is gone.
async fn work(broker: &TestBroker, run: &str, rounds: u64, tell: &Tell) {
    let (orchestrator, agent) = (broker.orchestrator().await.unchecked(), broker.agent().await.unchecked());
    let mut workers = JoinSet::new();
    for worker in 0..IN_FLIGHT {
        let registration = RegisterTaskRequest { request_id: format!("{run}-{worker}"), ..broker.task(INTENT) };
        let (orchestrator, agent, tell) = (orchestrator.clone(), agent.clone(), tell.clone());
        workers.spawn(async move {
            for round in 0..rounds {
                let request_id = format!("{}-{round}", registration.request_id);
                let registration = RegisterTaskRequest { request_id, ..registration.clone() };
                if one_task(&orchestrator, &agent, registration, round % 3 == 2, &tell).await.is_none() {
                    return;
                }
            }
        });
    }
    while workers.join_next().await.is_some() {}
}

// The life of a task, each step told when it was answered; `None` when the broker is gone.
async fn one_task(
    orchestrator: &Caller,
    agent: &Caller,
    registration: RegisterTaskRequest,
    ends: bool,
    tell: &Tell,
) -> Option<()> {
    let answer = orchestrator.register_task(registration).await.ok()?;
    let task = OpenTask { id: answer.task?.task_id, handle: answer.task_handle };
    tell(format!("task {} {}", task.id, task.handle));
    let tell_grant = |granted: &Granted| {
        let (grant, jti) = (&granted.grant.grant_id, &granted.grant.jti);
        tell(format!("grant {} {grant} {jti} {}", task.id, granted.position));
    };
    let read = Granted::of(agent.request_credential(task.reading()).await.ok()?);
    tell_grant(&read);
    tell_grant(&Granted::of(agent.request_credential(task.writing()).await.ok()?));
    tell_grant(&Granted::renewed(agent.renew_credential(task.renewal(read.id())).await.ok()?));
    if ends {
        orchestrator.complete_task(task.complete()).await.ok()?;
        tell(format!("end {}", task.id));
    }
    Some(())
}

// Starts on the folder, and holds what is there against what was told.
async fn check(setup: Setup, dir: &Path, told: &Told) -> Result<(), String> {
    let mut broker = TestBroker::in_folder(setup, dir).await?;
    let operator = broker.operator().await;
    let export = broker.record.export(0).await;
    let mut recorded = HashMap::new();
    let mut file = ExportWriter::new(Vec::new(), &Frontier::default()).unwrap();
    for event in &export.events {
        file.event(&event.stored).unwrap();
        if let Payload::CredentialDecided(decided) = &event.payload
            && let Some(grant) = &decided.grant
        {
            let of = (decided.task_id.clone(), grant.grant_id.clone(), event.position);
            recorded.insert(grant.jti.clone(), of);
        }
    }
    for (jti, of) in &told.tokens {
        if recorded.get(jti) != Some(of) {
            return Err(format!("a client holds the token {jti} of {of:?}, the record has {:?}", recorded.get(jti)));
        }
        let known = operator.grant(&of.1, "").await.map_err(|error| format!("{of:?} is not known: {error:?}"))?;
        if known.task_id != of.0 {
            return Err(format!("{of:?} is known as {known:?}"));
        }
    }
    let mut open = None;
    for (id, (handle, ended)) in &told.tasks {
        let task = operator.task(id, "").await.map_err(|error| format!("{id} is not known: {error:?}"))?;
        if task.intent != INTENT || (*ended && task.state() != TaskState::Completed) {
            return Err(format!("{id} is known as {task:?}, ended: {ended}"));
        }
        if task.state() == TaskState::Active {
            open = Some(OpenTask { id: id.clone(), handle: handle.clone() });
        }
    }
    // A handle that was given is good, and a key that seals words still does.
    if let Some(task) = open {
        let answer = broker.agent().await.request_credential(task.reading()).await;
        answer.map_err(|error| format!("{} gets nothing any more: {error:?}", task.id))?;
    }
    let answer = operator.audit().get_checkpoint(GetCheckpointRequest {}).await.unwrap().into_inner();
    let file = file.finish(&export.checkpoint).unwrap();
    verify(file.as_slice(), &answer.verifier_key.parse().unwrap(), 0, None).map_err(|error| error.to_string())?;
    broker.stop().await;
    Ok(())
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}
