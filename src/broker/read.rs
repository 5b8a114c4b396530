//! Reading tasks and grants, by those whose they are.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use crate::broker::Broker;
use crate::broker::answer::{GrantView, TaskView};
use crate::broker::ask::{ListTasks, ShownHandle};
use crate::broker::caller::Caller;
use crate::broker::error::BrokerError;
use crate::broker::hidden::Sought;
use crate::broker::record::family_stream;
use crate::broker::state::{State, Task};
use crate::broker::words::{self, Context, TaskWords};
use crate::journal::search::Query;
use crate::model::id::{GrantId, TaskId};
use crate::model::identity::Initiator;
use crate::model::limits::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};
use crate::model::person::Right;
use crate::model::task::TaskState;
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;
use crate::pb::v1;

/// Tasks of a list that are looked at together.
const LOOK_MAX: usize = 64;

impl Broker {
    /// A task, for its orchestrator, its initiator, the operator, who may read all, or its agent with the handle.
    ///
    /// # Errors
    /// `NotFound` for everybody else, and when there is no such task.
    pub async fn get_task(
        &self,
        caller: &Caller,
        id: TaskId,
        handle: Option<ShownHandle>,
    ) -> Result<TaskView, BrokerError> {
        let _place = self.enter_apart(caller)?;
        let state = self.0.known.look();
        let task = state.tasks.get(&id).ok_or(BrokerError::NotFound { what: "task" })?;
        if !self.may_see(&state, caller, id, handle.as_ref()) {
            return Err(self.hidden(&state, caller, id, Sought { rpc: "GetTask", what: "task" }));
        }
        Ok(view(&state, id, task, self.now(&state)))
    }

    /// Tasks that the caller registered, newest first; for a person those that it verifiedly initiated; for the operator, and who may
    /// read all, all. With them the last task of the page when there may be more.
    ///
    /// # Errors
    /// When the page is above its limit.
    pub async fn list_tasks(
        &self,
        caller: &Caller,
        ask: ListTasks,
    ) -> Result<(Vec<TaskView>, Option<TaskId>), BrokerError> {
        let _place = self.enter_apart(caller)?;
        let size = page_size(ask.page_size)?;
        let (mut tasks, mut below) = (Vec::new(), ask.after);
        // A person's name alone says nothing: anybody may have been named as initiator.
        let by_right = caller.has(Right::Read) || matches!(caller, Caller::Workload(_));
        loop {
            let looked_at = {
                let state = self.0.known.look();
                let now = self.now(&state);
                let ids = listed(&state, caller, below);
                let wanted = |id: &&TaskId| {
                    (ask.state.is_none() || ask.state == state.effective_state(**id))
                        && state.tasks.get(id).is_some_and(|task| by_right || caller.initiated(task))
                };
                let found =
                    ids.iter().filter(wanted).filter_map(|id| Some(view(&state, *id, state.tasks.get(id)?, now)));
                tasks.extend(found.take(size + 1 - tasks.len()));
                ids
            };
            below = looked_at.last().copied();
            // One more says that there is another page.
            if below.is_none() || tasks.len() > size {
                break;
            }
            tokio::task::yield_now().await;
        }
        let more = tasks.len() > size;
        tasks.truncate(size);
        let last = tasks.last().filter(|_| more).map(|task| task.id);
        Ok((tasks, last))
    }

    /// A grant, for its orchestrator, its audience, the operator, or its agent with the task's handle.
    ///
    /// # Errors
    /// `NotFound` for everybody else, and when there is no such grant any more.
    pub async fn get_grant(
        &self,
        caller: &Caller,
        id: GrantId,
        handle: Option<ShownHandle>,
    ) -> Result<GrantView, BrokerError> {
        let _place = self.enter_apart(caller)?;
        {
            let state = self.0.known.look();
            let grant = state.grants.get(&id).ok_or(BrokerError::NotFound { what: "grant" })?;
            if !caller.serves(grant) && !self.may_see(&state, caller, grant.task, handle.as_ref()) {
                return Err(self.hidden(&state, caller, grant.task, Sought { rpc: "GetGrant", what: "grant" }));
            }
        }
        self.reading(move |this| this.grant_view(id)).await
    }

    /// The task as it may be shown.
    pub(in crate::broker) fn task_view(&self, id: TaskId) -> Result<TaskView, BrokerError> {
        let state = self.0.known.look();
        let task = state.tasks.get(&id).ok_or(BrokerError::NotFound { what: "task" })?;
        Ok(view(&state, id, task, self.now(&state)))
    }

    /// A task that has ended and is no longer known, as the record has it.
    pub(in crate::broker) fn recorded_task(
        &self,
        task: &pb::RegisteredTask,
        created: Timestamp,
    ) -> Result<TaskView, BrokerError> {
        let parse = |id: &str| id.parse::<TaskId>().map_err(BrokerError::internal);
        let root = parse(&task.root_task_id)?;
        let context = Context { kind: "task", id: &task.task_id };
        let words: Option<TaskWords> = match words::open(&self.0.sealer, root, context, &task.sealed) {
            Ok(words) => Some(words),
            Err(error) if error.is_erased() => None,
            Err(error) => return Err(BrokerError::unavailable(error)),
        };
        Ok(TaskView {
            id: parse(&task.task_id)?,
            state: self.recorded_end(root, &task.task_id)?,
            agent: task.agent.parse().map_err(BrokerError::internal)?,
            orchestrator: task.orchestrator.parse().map_err(BrokerError::internal)?,
            initiator: Initiator {
                name: task.initiator.parse().map_err(BrokerError::internal)?,
                verified: task.initiator_verified,
            },
            parent: if task.parent_task_id.is_empty() { None } else { Some(parse(&task.parent_task_id)?) },
            intent: words.as_ref().map(|w| w.intent.as_str().to_owned()).unwrap_or_default(),
            ceiling: words.and_then(|w| w.ceiling),
            created,
            deadline: Timestamp::from_millis(task.deadline_ms),
            depth: task.depth,
            open_grants: 0,
            unattended: self.is_unattended(task.clone())?,
        })
    }

    /// How a task of a family that is no longer known ended: by an end of its own, or with the root.
    fn recorded_end(&self, root: TaskId, id: &str) -> Result<TaskState, BrokerError> {
        let query = Query {
            stream: Some(family_stream(root)),
            kind: Some("task_ended".to_owned()),
            newest_first: true,
            page_size: PAGE_SIZE_MAX,
            ..Query::default()
        };
        let found = self.0.journal.search(&query).map_err(BrokerError::unavailable)?.events;
        let ends = found.iter().filter_map(|recorded| match &recorded.event.payload {
            Some(Payload::TaskEnded(end)) => Some(end),
            _ => None,
        });
        let of = |wanted: &str| ends.clone().find(|end| end.task_id == wanted);
        // What no end of a task ended, a revocation cancelled.
        let Some(end) = of(id).or_else(|| of(&root.to_string())) else { return Ok(TaskState::Cancelled) };
        Ok(match v1::TaskState::try_from(end.state).unwrap_or_default() {
            v1::TaskState::Completed => TaskState::Completed,
            v1::TaskState::Cancelled => TaskState::Cancelled,
            _ => TaskState::Expired,
        })
    }

    /// True when the handle is the task's; compared in constant time.
    pub(in crate::broker) fn handle_fits(&self, id: TaskId, shown: &ShownHandle) -> bool {
        self.0.handles.check(id, &shown.0)
    }
}

/// How many are listed at a time when so many were asked for; 0 takes the default.
pub(in crate::broker) fn page_size(asked: u32) -> Result<usize, BrokerError> {
    let size = match asked {
        0 => PAGE_SIZE_DEFAULT,
        n if n <= PAGE_SIZE_MAX => n,
        _ => return Err(BrokerError::above_limit("page_size", format!("above {PAGE_SIZE_MAX}"))),
    };
    Ok(usize::try_from(size).unwrap_or(usize::MAX))
}

/// The next tasks to look at, newest first, so few that the log's writer does not wait for it.
fn listed(state: &State, caller: &Caller, below: Option<TaskId>) -> Vec<TaskId> {
    let older = (Bound::Unbounded, below.map_or(Bound::Unbounded, Bound::Excluded));
    let next = |tasks: Option<&BTreeSet<TaskId>>| {
        tasks.into_iter().flat_map(|tasks| tasks.range(older).rev()).take(LOOK_MAX).copied().collect()
    };
    match caller {
        Caller::Person(person) if !person.may(Right::Read) => next(state.by.tasks_of_initiator.get(person.name())),
        Caller::Workload(w) => next(state.by.tasks_of_orchestrator.get(w.peer.spiffe_id())),
        Caller::Person(_) | Caller::Operator { .. } => {
            state.tasks.range(older).rev().take(LOOK_MAX).map(|(id, _)| *id).collect()
        }
    }
}

fn view(state: &State, id: TaskId, task: &Task, now: Timestamp) -> TaskView {
    let words = task.words.as_ref().map(Arc::as_ref);
    TaskView {
        id,
        state: state.effective_state(id).unwrap_or(task.state),
        agent: task.agent.clone(),
        orchestrator: task.orchestrator.clone(),
        initiator: task.initiator.clone(),
        parent: task.parent,
        intent: words.map(|w| w.intent.as_str().to_owned()).unwrap_or_default(),
        ceiling: words.and_then(|w| w.ceiling.clone()),
        created: task.created,
        deadline: task.deadline,
        depth: task.depth,
        open_grants: u32::try_from(state.open_count(id, now)).unwrap_or(u32::MAX),
        unattended: state.lineage(id).iter().any(|(_, task)| task.unattended),
    }
}
