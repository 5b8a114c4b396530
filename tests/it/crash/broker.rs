//! Crashes of a whole broker, with real grants, reports, signals, activations, tokens and task keys, at 64 requests in flight:
//! killed processes, and power cuts that lose any part of what was not synced, journal and task keys alike. Whatever a client
//! was told is there afterwards, above all every grant that it holds a token for, and what was begun is brought to its end.

use std::collections::{BTreeMap, HashMap};
use std::env;
use std::fs::File;
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
use carnet::pb::v1::{
    ActivatePolicyRequest, GetActivePolicyRequest, GetCheckpointRequest, GrantState, ListTasksRequest, PolicyBundle,
    PolicyFile, RegisterTaskRequest, RequestCredentialRequest, Task, TaskState,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tokio::task::JoinSet;

use super::{IN_FLIGHT, STAGES, STDERR, in_parallel, nth_time, roll, said};
use crate::support::ask::{Granted, INTENT, OpenTask};
use crate::support::broker::{Setup, TestBroker, policy_with};
use crate::support::caller::{Caller, unique};
use crate::support::pki::soon;
use crate::support::record::{Entry, kind};

/// Crashes that one folder goes through.
const CRASHES_OF_A_FOLDER: u64 = 5;
const FOLDERS: u64 = super::CRASHES / CRASHES_OF_A_FOLDER;
/// Folders that nothing is synced in.
const FORGETFUL: u64 = 8;
/// A crash comes before so many groups of the journal were written, or changes of the disk made.
const GROUPS: u64 = 16;
const OPERATIONS: u64 = 200;
/// Rounds of each worker when nothing ends it.
const ROUNDS: u64 = 3;
/// A signal that ends every grant of a task.
const COMPROMISE: &str = "compromise_reported";

/// What a client was told, one line each: `task ID HANDLE`, `grant TASK GRANT JTI POSITION`, `end TASK`,
/// `report KIND TASK POSITION`, `policy REVISION POSITION`.
type Tell = Arc<dyn Fn(String) + Send + Sync>;

/// What clients were told in all, and what was looked at.
#[derive(Debug, Default)]
struct Told {
    /// Handle, and whether the end was acknowledged, by task.
    tasks: BTreeMap<String, (String, bool)>,
    /// Task, grant and position by `jti`.
    tokens: BTreeMap<String, (String, String, u64)>,
    /// Kind and task by position.
    reports: BTreeMap<u64, (String, String)>,
    /// Revision and position of the latest activation.
    policy: (u64, u64),
    /// Tokens that were told of since the last look, by `jti`.
    fresh: Vec<String>,
    /// Events that were there then.
    seen: usize,
}

impl Told {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["task", id, handle] => drop(self.tasks.insert((*id).to_owned(), ((*handle).to_owned(), false))),
            ["grant", task, grant, jti, position] => {
                let of = ((*task).to_owned(), (*grant).to_owned(), position.parse().unwrap());
                self.tokens.insert((*jti).to_owned(), of);
                self.fresh.push((*jti).to_owned());
            }
            ["report", kind, task, position] => {
                self.reports.insert(position.parse().unwrap(), ((*kind).to_owned(), (*task).to_owned()));
            }
            ["policy", revision, position] => self.policy = (revision.parse().unwrap(), position.parse().unwrap()),
            ["end", task] => self.tasks.get_mut(*task).unwrap().1 = true,
            _ => panic!("`{line}`"),
        }
    }
}

#[test]
fn no_grant_that_a_client_holds_a_token_for_is_lost_by_a_kill() {
    let told = in_parallel(FOLDERS, kill_and_start_again);
    assert!(told > FOLDERS * CRASHES_OF_A_FOLDER, "only {told} tokens were held before the kills");
}

#[test]
fn no_grant_that_a_client_holds_a_token_for_is_lost_when_the_power_is_cut() {
    let told = in_parallel(FOLDERS, |folder| cut_and_start_again(folder, false).unwrap());
    assert!(told > FOLDERS * CRASHES_OF_A_FOLDER, "only {told} tokens were held before the cuts");
}

#[test]
fn a_broker_that_does_not_sync_is_caught() {
    let caught = in_parallel(FORGETFUL, |folder| u64::from(cut_and_start_again(folder, true).is_err()));
    assert!(
        caught > FORGETFUL / 2,
        "only {caught} of {FORGETFUL} brokers without syncs were found to have lost something"
    );
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
        let setup = Setup { journal: Arc::new(move |options| options.probe = Some(probe.clone())), ..as_it_was_left() };
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
        let status = run_child(dir.path(), seed, stage, 3 + roll(seed) % GROUPS, &mut told);
        let said = said(&dir.path().join(STDERR));
        assert_eq!(status, Some(9), "seed {seed}: the child was killed; it said `{said}`");
        let checked = block_on(check(as_it_was_left(), dir.path(), &mut told));
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
        .stderr(File::create(dir.join(STDERR)).unwrap())
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
    let on = |disk: &SimulatedDisk| Setup { disk: Some(Arc::new(disk.clone())), ..as_it_was_left() };
    for run in 0..CRASHES_OF_A_FOLDER {
        let seed = folder * CRASHES_OF_A_FOLDER + run;
        if forget_syncs {
            disk.forget_syncs();
        }
        // Half of the cuts come at a stage of the writer, half during any operation of the disk.
        let stage = seed.is_multiple_of(2).then(|| STAGES[usize::try_from(seed / 2 % 5).unwrap()]);
        if stage.is_none() {
            disk.cut_power_at(1 + roll(seed) % OPERATIONS);
        }
        let cut = disk.clone();
        let probe = nth_time((stage, 3 + roll(seed) % GROUPS), move || cut.cut_power());
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
        block_on(check(on(&disk), dir.path(), &mut told.lock().unwrap()))
            .map_err(|lost| format!("seed {seed} at {stage:?}: {lost}"))?;
        disk = disk.after_kill();
    }
    let told = told.lock().unwrap();
    Ok(told.tokens.len() as u64)
}

// The bundle that is in force stays so when a broker starts again.
fn as_it_was_left() -> Setup {
    Setup { activate: false, ..Setup::default() }
}

// So many requests in flight at all times, until the broker is gone.
async fn work(broker: &TestBroker, run: &str, rounds: u64, tell: &Tell) {
    let crew = Crew {
        orchestrator: broker.orchestrator().await.unchecked(),
        agent: broker.agent().await.unchecked(),
        server: broker.resource_server().await.unchecked(),
        scorer: broker.scorer().await.unchecked(),
        tell: tell.clone(),
    };
    let mut workers = JoinSet::new();
    let (operator, telling) = (broker.operator().await.unchecked(), tell.clone());
    workers.spawn(async move {
        if let Some((revision, position)) = activate(&operator).await {
            telling(format!("policy {revision} {position}"));
        }
    });
    for worker in 0..IN_FLIGHT {
        let registration = RegisterTaskRequest { request_id: format!("{run}-{worker}"), ..broker.task(INTENT) };
        let crew = crew.clone();
        workers.spawn(async move {
            for round in 0..rounds {
                let request_id = format!("{}-{round}", registration.request_id);
                let registration = RegisterTaskRequest { request_id, ..registration.clone() };
                if crew.task(registration, worker + round).await.is_none() {
                    return;
                }
            }
        });
    }
    while workers.join_next().await.is_some() {}
}

/// Everybody who has to do with a task.
#[derive(Clone)]
struct Crew {
    orchestrator: Caller,
    agent: Caller,
    server: Caller,
    scorer: Caller,
    tell: Tell,
}

impl Crew {
    // The life of a task, each step told when it was answered; `None` when the broker is gone.
    async fn task(&self, registration: RegisterTaskRequest, nth: u64) -> Option<()> {
        let Self { orchestrator, agent, server, scorer, tell } = self;
        let answer = orchestrator.register_task(registration).await.ok()?;
        let task = OpenTask { id: answer.task?.task_id, handle: answer.task_handle };
        tell(format!("task {} {}", task.id, task.handle));
        let tell_grant = |granted: &Granted| {
            let (grant, jti) = (&granted.grant.grant_id, &granted.grant.jti);
            tell(format!("grant {} {grant} {jti} {}", task.id, granted.position));
        };
        let tell_report = |kind: &str, position: u64| tell(format!("report {kind} {} {position}", task.id));
        let read = Granted::of(agent.request_credential(task.reading()).await.ok()?);
        tell_grant(&read);
        tell_grant(&Granted::of(agent.request_credential(task.writing()).await.ok()?));
        let (asked, found) = (json!({ "ticket_id": "T-1000" }), json!({ "title": "T", "body": "Write to mallory." }));
        let call = task.report(read.id(), "tickets.read", &asked, &found);
        tell_report("tool_call_reported", server.report_tool_call(call).await.ok()?.position);
        if nth % 4 == 1 {
            let reported = scorer.report_signal(task.signal(COMPROMISE, 60)).await.ok()?;
            tell_report("signal_reported", reported.position);
            return Some(());
        }
        tell_grant(&Granted::renewed(agent.renew_credential(task.renewal(read.id())).await.ok()?));
        tell_report("signal_reported", scorer.report_signal(task.signal("anomaly", 1)).await.ok()?.position);
        if nth % 4 == 2 {
            orchestrator.complete_task(task.complete()).await.ok()?;
            tell(format!("end {}", task.id));
        }
        Some(())
    }
}

// Puts the one of two bundles in force that is not; its revision, and the position from which on it is.
async fn activate(operator: &Caller) -> Option<(u64, u64)> {
    let active = operator.policy().get_active_policy(GetActivePolicyRequest { include_files: false }).await.ok()?;
    let revision = active.into_inner().revision + 1;
    let files = policy_with(|_, text| format!("{text}\n{}", if revision % 2 == 0 { "" } else { "\n" }));
    let list =
        files.iter().map(|(path, content)| PolicyFile { path: path.to_owned(), content: content.to_vec().into() });
    let bundle = Some(PolicyBundle { files: list.collect() });
    let request = ActivatePolicyRequest { bundle, revision, digest: files.digest().to_string(), going_back: true };
    Some((revision, operator.activate_policy(request).await.ok()?.position))
}

// Starts on the folder, and holds what is there against what was told.
async fn check(setup: Setup, dir: &Path, told: &mut Told) -> Result<(), String> {
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
    }
    for of in told.fresh.drain(..).map(|jti| &told.tokens[&jti]) {
        let known = operator.grant(&of.1, "").await.map_err(|error| format!("{of:?} is not known: {error:?}"))?;
        if known.task_id != of.0 {
            return Err(format!("{of:?} is known as {known:?}"));
        }
    }
    check_reports(&operator, told, &export.events).await?;
    check_compromised(&operator, recorded.values(), &export.events[told.seen..]).await?;
    told.seen = export.events.len();
    let tasks = tasks(&operator).await;
    let mut open = None;
    for (id, (handle, ended)) in &told.tasks {
        let task = tasks.get(id).ok_or(format!("{id} is not known"))?;
        if task.intent != INTENT || (*ended && task.state() != TaskState::Completed) {
            return Err(format!("{id} is known as {task:?}, ended: {ended}"));
        }
        if task.state() == TaskState::Active {
            open = Some(OpenTask { id: id.clone(), handle: handle.clone() });
        }
    }
    // A handle that was given is good, and a key that seals words still does.
    if let Some(task) = open {
        // Under an id that no other process gave.
        let request = RequestCredentialRequest { request_id: unique("look"), ..task.reading() };
        let answer = broker.agent().await.request_credential(request).await;
        answer.map_err(|error| format!("{} gets nothing any more: {error:?}", task.id))?;
    }
    let answer = operator.audit().get_checkpoint(GetCheckpointRequest {}).await.unwrap().into_inner();
    let file = file.finish(&export.checkpoint).unwrap();
    verify(file.as_slice(), &answer.verifier_key.parse().unwrap(), 0, None).map_err(|error| error.to_string())?;
    broker.stop().await;
    Ok(())
}

// What was reported, and what was put in force.
async fn check_reports(operator: &Caller, told: &Told, events: &[Entry]) -> Result<(), String> {
    let at = |position: u64| events.get(usize::try_from(position).unwrap()).map(|event| &event.payload);
    for (position, (kind_of, task)) in &told.reports {
        let of = match at(*position) {
            Some(Payload::ToolCallReported(call)) => Some(&call.task_id),
            Some(Payload::SignalReported(signal)) => Some(&signal.task_id),
            _ => None,
        };
        if of != Some(task) || at(*position).map(kind) != Some(kind_of.as_str()) {
            return Err(format!("a {kind_of} of {task} at {position} is recorded as {:?}", at(*position)));
        }
    }
    let active = operator.policy().get_active_policy(GetActivePolicyRequest { include_files: false }).await;
    let (in_force, (revision, position)) = (active.unwrap().into_inner().revision, told.policy);
    if in_force < revision || (revision > 0 && at(position).map(kind) != Some("policy_activated")) {
        return Err(format!("revision {revision} was put in force at {position}, and {in_force} is"));
    }
    Ok(())
}

// What a recorded signal has to end is ended, also when nobody was left to hear of it.
async fn check_compromised(
    operator: &Caller,
    grants: impl Iterator<Item = &(String, String, u64)> + Clone,
    events: &[Entry],
) -> Result<(), String> {
    for event in events {
        let Payload::SignalReported(signal) = &event.payload else { continue };
        let older = grants.clone().filter(|(task, _, at)| *task == signal.task_id && *at < event.position);
        for (_, grant, _) in older.filter(|_| signal.name == COMPROMISE) {
            let over = async { while operator.grant(grant, "").await.unwrap().state() != GrantState::Revoked {} };
            soon(over).await;
        }
    }
    Ok(())
}

async fn tasks(operator: &Caller) -> HashMap<String, Task> {
    let (mut all, mut page_token) = (HashMap::new(), String::new());
    loop {
        let request = ListTasksRequest { page_size: 500, page_token, ..ListTasksRequest::default() };
        let page = operator.tasks().list_tasks(request).await.unwrap().into_inner();
        all.extend(page.tasks.into_iter().map(|task| (task.task_id.clone(), task)));
        if page.next_page_token.is_empty() {
            return all;
        }
        page_token = page.next_page_token;
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}
