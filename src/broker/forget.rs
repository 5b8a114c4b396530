//! What is let go of, by the time of the events: memory holds what can still matter, the journal holds the rest.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Duration;

use crate::broker::evidence::REPORT_RETENTION;
use crate::broker::state::State;
use crate::model::spiffe_id::SpiffeId;

/// How long a grant is still known after its token died, so that its agent can read what became of it, and receivers whose
/// clocks are behind are told of its end.
const GRANT_RETENTION: Duration = Duration::from_secs(600);
/// How long a family is still known after its root ended, so that retries of the end find it.
const TASK_RETENTION: Duration = Duration::from_secs(3600);
/// How long the answer to a registration can be asked for again.
const REGISTRATION_RETENTION: Duration = Duration::from_secs(24 * 3600);
/// Lets go of what can no longer matter, by the time of the events.
pub(in crate::broker) fn forget(state: &mut State) {
    let now = state.time;
    while let Some(&(expires, id)) = state.by.expiries.first() {
        if expires.after(GRANT_RETENTION) > now {
            break;
        }
        state.by.expiries.pop_first();
        let Some(grant) = state.grants.remove(&id) else { continue };
        state.close(grant.task, (expires, id));
        if let Some(task) = state.tasks.get_mut(&grant.task) {
            task.grants.remove(&id);
        }
        remove_from(&mut state.by.grants_of_audience, &grant.audience, &id);
        if let Some(since) = grant.drifts_since {
            state.by.drifting.remove(&(since, id));
        }
    }
    state.duties.forget(now);
    state.approvals.denials_mut().forget(now);
    state.glasses.forget(now);
    state.proposals.forget(now);
    while state.retired.front().is_some_and(|r| r.expires.after(GRANT_RETENTION) <= now) {
        state.retired.pop_front();
    }
    while let Some(&(ended, root)) = state.by.ended.first() {
        if ended.after(TASK_RETENTION) > now {
            break;
        }
        state.by.ended.pop_first();
        state.by.due.remove(&root);
        state.behaviour.forget(root);
        let members = state.families.remove(&root).map(|f| f.members).unwrap_or_default();
        let orchestrators: BTreeSet<SpiffeId> =
            members.iter().filter_map(|id| Some(state.tasks.get(id)?.orchestrator.clone())).collect();
        for id in members {
            state.approvals.forget(id);
            let Some(task) = state.tasks.remove(&id) else { continue };
            remove_from(&mut state.by.tasks_of_agent, &task.agent, &id);
            remove_from(&mut state.by.tasks_of_initiator, &task.initiator.name, &id);
            for orchestrator in &orchestrators {
                remove_from(&mut state.by.tasks_of_orchestrator, orchestrator, &id);
            }
        }
    }
    while let Some(&(oldest, root)) = state.by.reported.first() {
        if oldest.after(REPORT_RETENTION) > now {
            break;
        }
        state.by.reported.pop_first();
        let Some(family) = state.families.get_mut(&root) else { continue };
        family.reports.forget(now);
        state.by.reported.extend(family.reports.oldest().map(|oldest| (oldest, root)));
    }
    while state.by.answered.front().is_some_and(|(at, ..)| at.after(REGISTRATION_RETENTION) <= now) {
        let Some((_, asker, request)) = state.by.answered.pop_front() else { break };
        if let Some(answers) = state.registrations.get_mut(&asker) {
            answers.remove(&request);
            if answers.is_empty() {
                state.registrations.remove(&asker);
            }
        }
    }
}

fn remove_from<K: Hash + Eq, V: Ord>(index: &mut HashMap<K, BTreeSet<V>>, key: &K, value: &V) {
    if let Some(set) = index.get_mut(key) {
        set.remove(value);
        if set.is_empty() {
            index.remove(key);
        }
    }
}
