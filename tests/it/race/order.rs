//! The record read in order, as an auditor would: which tasks have ended, who is blocked, which policy is in force; and no
//! grant that any of it stands against.

use std::collections::{BTreeMap, BTreeSet};

use carnet::pb::journal::CredentialDecided;
use carnet::pb::journal::event::Payload;

use crate::support::record::Entry;

/// What stood at the end of the record.
#[derive(Debug, Default)]
pub struct Order {
    /// Grants that were made, renewals included.
    pub grants: usize,
    parents: BTreeMap<String, String>,
    ended: BTreeSet<String>,
    paused: BTreeSet<String>,
    blocked: BTreeSet<(String, String)>,
    revision: u64,
    jtis: BTreeSet<String>,
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
                if let Some(task) = &event.task {
                    self.parents.insert(task.task_id.clone(), task.parent_task_id.clone());
                }
            }
            Payload::TaskEnded(event) => drop(self.ended.insert(event.task_id.clone())),
            Payload::TaskPaused(event) => drop(self.paused.insert(event.task_id.clone())),
            Payload::TaskResumed(event) => drop(self.paused.remove(&event.task_id)),
            Payload::PolicyActivated(event) => {
                assert!(event.revision > self.revision, "revisions only go up");
                self.revision = event.revision;
            }
            Payload::Revoked(event) if event.blocks => {
                self.blocked.insert((event.target_kind.clone(), event.target.clone()));
            }
            Payload::BlockLifted(event) => {
                self.blocked.remove(&(event.target_kind.clone(), event.target.clone()));
            }
            Payload::CredentialDecided(event) => self.decided(entry.position, event),
            _ => {}
        }
    }

    fn decided(&mut self, position: u64, event: &CredentialDecided) {
        let decision = event.decision.as_ref().expect("a decision");
        assert_eq!(
            decision.policy_revision, self.revision,
            "decided under a policy that was not in force, at {position}"
        );
        let Some(grant) = &event.grant else { return };
        self.grants += 1;
        assert!(self.jtis.insert(grant.jti.clone()), "a jti stands twice, at {position}");
        let mut task = event.task_id.clone();
        while !task.is_empty() {
            assert!(!self.ended.contains(&task), "granted behind the end of {task}, at {position}");
            assert!(!self.paused.contains(&task), "granted while {task} was paused, at {position}");
            task = self.parents.get(&task).cloned().expect("a registered task");
        }
        for (kind, name) in [
            ("agent", event.agent.as_str()),
            ("initiator", event.initiator.as_str()),
            ("audience", event.audience.as_str()),
            ("everything", ""),
        ] {
            let block = (kind.to_owned(), name.to_owned());
            assert!(!self.blocked.contains(&block), "granted in spite of a block of {kind} {name}, at {position}");
        }
    }
}
