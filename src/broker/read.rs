//! Reading tasks and grants, by those whose they are.

use std::sync::Arc;

use crate::broker::Broker;
use crate::broker::answer::{GrantView, TaskView};
use crate::broker::ask::{ListTasks, ShownHandle};
use crate::broker::caller::Caller;
use crate::broker::error::BrokerError;
use crate::broker::state::{State, Task};
use crate::model::id::{GrantId, TaskId};
use crate::model::limits::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};

impl Broker {
    /// A task, for its orchestrator, the operator, or its agent with the handle.
    ///
    /// # Errors
    /// `NotFound` for everybody else, and when there is no such task.
    pub async fn get_task(
        &self,
        caller: &Caller,
        id: TaskId,
        handle: Option<ShownHandle>,
    ) -> Result<TaskView, BrokerError> {
        let _place = self.enter(caller)?;
        let state = self.0.known.look();
        let task = state.tasks.get(&id).ok_or(BrokerError::NotFound { what: "task" })?;
        let seen = caller.may_see(&state, id, task)
            || (caller.is(&task.agent) && handle.is_some_and(|h| self.handle_fits(id, &h)));
        if !seen {
            return Err(BrokerError::NotFound { what: "task" });
        }
        Ok(view(&state, id, task, self.0.clock.now()))
    }

    /// Tasks that the caller registered, newest first; for the operator all. With them the last task of the page when there
    /// may be more.
    ///
    /// # Errors
    /// When the page is above its limit.
    pub async fn list_tasks(
        &self,
        caller: &Caller,
        ask: ListTasks,
    ) -> Result<(Vec<TaskView>, Option<TaskId>), BrokerError> {
        let _place = self.enter(caller)?;
        let size = match ask.page_size {
            0 => PAGE_SIZE_DEFAULT,
            n if n <= PAGE_SIZE_MAX => n,
            _ => return Err(BrokerError::above_limit("page_size", "above 500")),
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let state = self.0.known.look();
        let mut ids: Vec<TaskId> = match caller {
            Caller::Operator { .. } => state.tasks.keys().copied().collect(),
            Caller::Workload(w) => {
                let own = state.by.tasks_of_orchestrator.get(w.peer.spiffe_id()).into_iter().flatten();
                own.flat_map(|id| state.subtree(*id)).collect()
            }
        };
        ids.retain(|id| ask.after.is_none_or(|after| *id < after));
        if let Some(wanted) = ask.state {
            ids.retain(|id| state.effective_state(*id) == Some(wanted));
        }
        ids.sort_unstable_by(|a, b| b.cmp(a));
        ids.dedup();
        let more = ids.len() > size;
        ids.truncate(size);
        let now = self.0.clock.now();
        let tasks = ids.iter().filter_map(|id| Some(view(&state, *id, state.tasks.get(id)?, now)));
        Ok((tasks.collect(), if more { ids.last().copied() } else { None }))
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
        let _place = self.enter(caller)?;
        {
            let state = self.0.known.look();
            let grant = state.grants.get(&id).ok_or(BrokerError::NotFound { what: "grant" })?;
            let task = state.tasks.get(&grant.task).ok_or(BrokerError::NotFound { what: "grant" })?;
            let seen = matches!(caller, Caller::Operator { .. })
                || caller.orchestrates(&state, grant.task)
                || caller.serves(grant)
                || (caller.is(&task.agent) && handle.is_some_and(|h| self.handle_fits(grant.task, &h)));
            if !seen {
                return Err(BrokerError::NotFound { what: "grant" });
            }
        }
        self.grant_view(id)
    }

    /// The task as it may be shown.
    pub(in crate::broker) fn task_view(&self, id: TaskId) -> Result<TaskView, BrokerError> {
        let state = self.0.known.look();
        let task = state.tasks.get(&id).ok_or(BrokerError::NotFound { what: "task" })?;
        Ok(view(&state, id, task, self.0.clock.now()))
    }

    /// True when the handle is the task's; compared in constant time.
    pub(in crate::broker) fn handle_fits(&self, id: TaskId, shown: &ShownHandle) -> bool {
        self.0.handles.check(id, &shown.0)
    }
}

fn view(state: &State, id: TaskId, task: &Task, now: crate::model::time::Timestamp) -> TaskView {
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
        open_grants: u32::try_from(state.open_grants(id, now).len()).unwrap_or(u32::MAX),
    }
}
