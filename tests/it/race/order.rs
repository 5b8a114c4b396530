//! The record read in order, as an auditor would: which tasks have ended, who is blocked, which policy is in force; and no
//! grant or task that any of it stands against.

use std::collections::{BTreeMap, BTreeSet};

use carnet::pb::journal::event::Payload;
use carnet::pb::journal::grant_reconsidered::Effect;
use carnet::pb::journal::{CredentialDecided, Decision, RegisteredTask, Revoked};

use crate::support::record::Entry;

/// What stood at the end of the record.
#[derive(Debug, Default)]
pub struct Order {
    /// Grants that were made, renewals included.
    pub grants: usize,
    tasks: BTreeMap<String, RegisteredTask>,
    ended: BTreeSet<String>,
    paused: BTreeSet<String>,
    blocked: BTreeSet<(String, String)>,
    revision: u64,
    /// The current token of each grant.
    current: BTreeMap<String, String>,
    dead: BTreeSet<String>,
    jtis: BTreeSet<String>,
    answered: BTreeSet<(String, String)>,
    position: Option<u64>,
    time_ms: u64,
}

impl Order {
    /// Reads the whole record; fails where something stands behind what forbids it.
    pub fn of(record: &[Entry]) -> Self {
        let mut order = Self::default();
        for entry in record {
            order.take(entry);
        }
        order
    }

    fn take(&mut self, entry: &Entry) {
        assert_eq!(entry.position, self.position.map_or(0, |position| position + 1), "positions have no gaps");
        assert!(entry.time_ms >= self.time_ms, "time never goes back");
        self.position = Some(entry.position);
        self.time_ms = entry.time_ms;
        match &entry.payload {
            Payload::TaskDecided(event) => {
                self.judged(event.decision.as_ref(), entry.position);
                if let Some(task) = &event.task {
                    self.registered(entry, task);
                }
            }
            Payload::TaskAmended(event) => {
                self.judged(event.decision.as_ref(), entry.position);
                if event.applied {
                    self.may_go_on(&event.task_id, &format!("amended, at {}", entry.position));
                }
            }
            Payload::TaskEnded(event) => drop(self.ended.insert(event.task_id.clone())),
            Payload::TaskPaused(event) => drop(self.paused.insert(event.task_id.clone())),
            Payload::TaskResumed(event) => drop(self.paused.remove(&event.task_id)),
            Payload::PolicyActivated(event) => {
                assert!(event.revision > self.revision, "revisions only go up");
                self.revision = event.revision;
            }
            Payload::Revoked(event) => self.revoked(event),
            Payload::BlockLifted(event) => {
                self.blocked.remove(&(event.target_kind.clone(), event.target.clone()));
            }
            Payload::GrantReleased(event) => drop(self.dead.insert(event.grant_id.clone())),
            Payload::GrantReconsidered(event) if event.effect() == Effect::Revoked => {
                self.dead.insert(event.grant_id.clone());
            }
            Payload::CredentialDecided(event) => self.decided(entry.position, event),
            _ => {}
        }
    }

    fn revoked(&mut self, event: &Revoked) {
        let (kind, target) = (event.target_kind.clone(), event.target.clone());
        match kind.as_str() {
            // It is cancelled.
            "task" => drop(self.ended.insert(target)),
            "grant" => drop(self.dead.insert(target)),
            _ => assert!(event.blocks, "{kind} without a block"),
        }
        if event.blocks {
            self.blocked.insert((kind, event.target.clone()));
        }
    }

    fn judged(&self, decision: Option<&Decision>, position: u64) {
        let revision = decision.expect("a decision").policy_revision;
        assert_eq!(revision, self.revision, "decided under a policy that was not in force, at {position}");
    }

    fn registered(&mut self, entry: &Entry, task: &RegisteredTask) {
        let what = format!("registered, at {}", entry.position);
        for agent in [&task.agent, &entry.actor.id] {
            self.is_not_blocked("agent", agent, &what);
        }
        self.is_not_blocked("initiator", &task.initiator, &what);
        if !task.parent_task_id.is_empty() {
            self.may_go_on(&task.parent_task_id, &what);
        }
        self.tasks.insert(task.task_id.clone(), task.clone());
    }

    fn decided(&mut self, position: u64, event: &CredentialDecided) {
        self.judged(event.decision.as_ref(), position);
        let Some(grant) = &event.grant else { return };
        self.grants += 1;
        let what = format!("granted, at {position}");
        assert!(self.answered.insert((event.task_id.clone(), event.request_id.clone())), "{what}: answered twice");
        assert!(self.jtis.insert(grant.jti.clone()), "{what}: the jti stands twice");
        if !grant.renews_jti.is_empty() {
            assert!(!self.dead.contains(&grant.grant_id), "{what}: the grant was dead");
            let current = self.current.get(&grant.grant_id);
            assert_eq!(current, Some(&grant.renews_jti), "{what}: it renews what was renewed");
        }
        self.current.insert(grant.grant_id.clone(), grant.jti.clone());
        self.may_go_on(&event.task_id, &what);
        self.is_not_blocked("audience", &event.audience, &what);
        let mut task = self.tasks.get(&event.task_id);
        while let Some(one) = task {
            assert!(!self.paused.contains(&one.task_id), "{what}, while {} was paused", one.task_id);
            task = self.tasks.get(&one.parent_task_id);
        }
    }

    /// Neither the task nor one above it has ended, and nobody who works on any of them is blocked.
    fn may_go_on(&self, task: &str, what: &str) {
        let mut at = task;
        while !at.is_empty() {
            let task = self.tasks.get(at).expect("a registered task");
            assert!(!self.ended.contains(at), "{what}, behind the end of {at}");
            self.is_not_blocked("agent", &task.agent, what);
            self.is_not_blocked("initiator", &task.initiator, what);
            at = &task.parent_task_id;
        }
        self.is_not_blocked("everything", "", what);
    }

    fn is_not_blocked(&self, kind: &str, name: &str, what: &str) {
        let block = (kind.to_owned(), name.to_owned());
        assert!(!self.blocked.contains(&block), "{what}, in spite of a block of {kind} {name}");
    }
}
