//! Reading holds nobody up: what reads the journal waits for the disk alone, and lists are read in parts.

use std::any::Any;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use carnet::disk::{Disk, DiskFile, RealDisk};
use carnet::pb::v1::{AmendTaskRequest, ListBlocksRequest, ListTasksRequest, RegisterTaskRequest, Task, TaskState};

use super::support::ask::{INTENT, SECOND_AGENT, ceiling};
use super::support::broker::{Setup, TestBroker};
use super::support::caller::{Caller, unique};
use super::support::pki::id;

/// A disk whose reads can be held up.
#[derive(Debug, Clone, Default)]
struct SlowDisk(Arc<Gate>);

#[derive(Debug, Default)]
struct Gate {
    state: Mutex<GateState>,
    opened: Condvar,
}

#[derive(Debug, Clone, Copy, Default)]
struct GateState {
    held: bool,
    waiting: usize,
}

struct SlowFile(Arc<dyn DiskFile>, SlowDisk);

impl SlowDisk {
    fn hold(&self, held: bool) {
        self.0.state.lock().unwrap().held = held;
        self.0.opened.notify_all();
    }

    fn state(&self) -> GateState {
        *self.0.state.lock().unwrap()
    }

    fn pass(&self) {
        let mut state = self.0.state.lock().unwrap();
        state.waiting += 1;
        // Whoever waits for the one that waits here would otherwise do so for ever.
        let (mut state, _) = self.0.opened.wait_timeout_while(state, PATIENCE, |state| state.held).unwrap();
        state.held = false;
        state.waiting -= 1;
    }
}

/// How long a read is held up when nobody lets it go.
const PATIENCE: Duration = Duration::from_secs(5);

impl Disk for SlowDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.create_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(dir)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(SlowFile(RealDisk.open(path)?, self.clone())))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(SlowFile(RealDisk.create(path)?, self.clone())))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        RealDisk.free_bytes(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        RealDisk.lock(path)
    }
}

impl DiskFile for SlowFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.1.pass();
        self.0.read_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.0.allocate(len)
    }
}

/// All of it runs on the one thread of this test, so that whoever blocks it blocks everybody.
#[tokio::test]
async fn who_waits_for_the_disk_lets_the_others_go_on() {
    let disk = SlowDisk::default();
    let broker = TestBroker::with(Setup { disk: Some(Arc::new(disk.clone())), ..Setup::default() }).await;
    let (orchestrator, agent) = (broker.orchestrator().await.unchecked(), broker.agent().await.unchecked());
    let operator = broker.operator().await.unchecked();
    let registration = broker.task(INTENT);
    let task = orchestrator.open(registration.clone()).await;
    let request = task.reading();
    let (first, over) = (agent.granted(request.clone()).await, agent.granted(task.reading()).await);
    agent.release_credential(task.release(over.id())).await.unwrap();
    let amendment = AmendTaskRequest {
        request_id: unique("amend"),
        task_id: task.id.clone(),
        ceiling: Some(ceiling(&["tickets.read"])),
        ..AmendTaskRequest::default()
    };
    orchestrator.amend_task(amendment.clone()).await.unwrap();
    let last = agent.granted(task.reading()).await;
    let (id, handle) = (first.id().to_owned(), task.handle.clone());
    let (renewal, release) = (task.renewal(first.id()), task.release(over.id()));
    let calls: [(&str, Call); 6] = [
        ("a look at a grant", by(&agent, async move |a| drop(a.grant(&id, &handle).await.unwrap()))),
        ("a request again", by(&agent, async move |a| drop(a.request_credential(request).await.unwrap()))),
        ("a release again", by(&agent, async move |a| drop(a.release_credential(release).await.unwrap()))),
        ("a registration again", by(&orchestrator, async move |o| drop(o.open(registration).await))),
        ("an amendment again", by(&orchestrator, async move |o| drop(o.amend_task(amendment).await.unwrap()))),
        ("a renewal", by(&agent, async move |a| drop(a.renew_credential(renewal).await.unwrap()))),
    ];
    for (what, call) in calls {
        // What was read last is at hand, so something else is read.
        agent.grant(last.id(), &task.handle).await.unwrap();
        disk.hold(true);
        let call = tokio::spawn(call);
        while disk.state().waiting == 0 {
            assert!(!call.is_finished(), "{what} reads nothing");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        operator.revocations().list_blocks(ListBlocksRequest {}).await.unwrap();
        assert!(disk.state().held, "{what} stood in the way of everything else");
        disk.hold(false);
        call.await.unwrap();
    }
}

type Call = Pin<Box<dyn Future<Output = ()> + Send>>;

fn by<F: Future<Output = ()> + Send + 'static>(caller: &Caller, call: impl FnOnce(Caller) -> F) -> Call {
    Box::pin(call(caller.clone()))
}

/// Every page of the caller's list.
async fn listed(caller: &Caller, state: TaskState) -> Vec<Task> {
    let mut tasks = Vec::new();
    let mut request = ListTasksRequest { page_size: 7, state: state.into(), ..ListTasksRequest::default() };
    loop {
        let page = caller.tasks().list_tasks(request.clone()).await.unwrap().into_inner();
        assert!(page.tasks.len() == 7 || page.next_page_token.is_empty(), "{} tasks in a page", page.tasks.len());
        tasks.extend(page.tasks);
        if page.next_page_token.is_empty() {
            return tasks;
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test]
async fn a_list_of_tasks_is_whole_however_many_are_looked_at() {
    let mut broker = TestBroker::start().await;
    let (orchestrator, agent) = (broker.orchestrator().await.unchecked(), broker.agent().await.unchecked());
    let mut opened = Vec::new();
    for _ in 0..200 {
        opened.push(orchestrator.open(broker.task(INTENT)).await);
    }
    // What an agent opens below its task is its orchestrator's too.
    let below = agent.open(RegisterTaskRequest {
        parent_task_id: opened[3].id.clone(),
        parent_task_handle: opened[3].handle.clone(),
        agent: id(SECOND_AGENT).to_string(),
        ..broker.task("Help with it.")
    });
    let below = below.await;
    for task in opened.iter().step_by(20) {
        orchestrator.pause_task(task.pause()).await.unwrap();
    }
    for _ in 0..2 {
        let orchestrator = broker.orchestrator().await;
        let all = listed(&orchestrator, TaskState::Unspecified).await;
        let ids: Vec<&str> = all.iter().map(|task| task.task_id.as_str()).collect();
        assert!(ids.is_sorted_by(|a, b| a > b), "newest first, each once");
        let wanted: BTreeSet<&str> = opened.iter().chain([&below]).map(|task| task.id.as_str()).collect();
        assert_eq!(ids.iter().copied().collect::<BTreeSet<_>>(), wanted);
        assert_eq!(listed(&broker.operator().await, TaskState::Unspecified).await.len(), 201);
        assert_eq!(listed(&orchestrator, TaskState::Paused).await.len(), 10);
        broker.restart().await;
    }
}
