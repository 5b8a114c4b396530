//! What policy is told of those who said yes before.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::Path;

use super::*;
use crate::broker::approvals::ApprovalStanding;
use crate::broker::hashes::Hashes;
use crate::broker::state::{ActivePolicy, Task};
use crate::identity::people::PersonOptions;
use crate::model::approval::Verdict;
use crate::model::decision::Outcome;
use crate::model::id::{DecisionId, TaskId};
use crate::model::identity::Initiator;
use crate::model::person::Right;
use crate::model::risk::Band;
use crate::model::task::TaskState;
use crate::model::time::Timestamp;
use crate::policy::bundle::BundleFiles;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Rae and Sam review, Bob no more; Sam answers for agents.
fn directory() -> Directory {
    let person = |name: &str, may: &[Right]| PersonOptions {
        name: name.parse().unwrap(),
        accounts: Vec::new(),
        may: may.iter().copied().collect(),
    };
    let persons = [person("rae", &[Right::Approve]), person("sam", &[Right::Approve]), person("bob", &[Right::Read])];
    let agents = ("group:agents".parse().unwrap(), ["sam".parse().unwrap()].into());
    Directory::new(&persons, [agents].into(), Vec::new())
}

/// The shipped bundle in force, with the task that the question is about.
fn state(approval: &Approval) -> State {
    let shipped = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/policy"));
    let bundle = PolicyBundle::load(BundleFiles::read_dir(shipped).unwrap()).unwrap();
    let policy = ActivePolicy {
        bundle: Some(Arc::new(bundle)),
        files: Arc::new([]),
        digest: String::new(),
        revision: 1,
        activated: NOW,
        activated_by: String::new(),
        position: 0,
        observed: false,
        origin: Arc::default(),
    };
    let task = Task {
        root: approval.task,
        parent: None,
        children: Vec::new(),
        agent: approval.agent.clone(),
        orchestrator: "spiffe://dev.carnet.test/orchestrator/o".parse().unwrap(),
        initiator: Initiator { name: approval.initiator.clone(), verified: true },
        created: NOW,
        deadline: Timestamp::MAX,
        depth: 0,
        state: TaskState::Active,
        audiences: Vec::new(),
        unattended: false,
        hashes: Hashes::of(None),
        words: None,
        grants: BTreeSet::new(),
        open: BTreeSet::new(),
        answers: [].into(),
        denied: [].into(),
    };
    let mut state = State { policy: Some(policy), ..State::default() };
    state.tasks.insert(approval.task, task);
    state
}

fn asked(voters: &[&str]) -> Approval {
    Approval {
        task: TaskId::new(NOW, [1; 10]),
        agent: "spiffe://dev.carnet.test/agent/support".parse().unwrap(),
        initiator: "ann".parse().unwrap(),
        on_the_word_of: None,
        covers: [0; 32],
        about: About::Credential,
        outcome: Outcome::Review,
        needed: 2,
        decision: DecisionId::new(NOW, [2; 10]),
        position: 1,
        policy_digest: String::new(),
        band: Band::Low,
        doubts: Vec::new(),
        scores: Vec::new(),
        asked: NOW,
        standing: ApprovalStanding::Pending,
        until: Timestamp::MAX,
        owners: BTreeSet::new(),
        escalated: None,
        votes: voters.iter().map(|voter| (voter.parse().unwrap(), Verdict::Approved, NOW)).collect(),
        changed: 1,
    }
}

#[test]
fn policy_is_told_of_no_vote_that_counts_no_more() {
    let sam: InitiatorName = "sam".parse().unwrap();
    let told = |voters: &[&str]| {
        let approval = asked(voters);
        let state = state(&approval);
        let bundle = state.policy.as_ref().unwrap().bundle.clone().unwrap();
        let facts = facts((&state, &directory()), &bundle, &sam, &approval, true).unwrap();
        assert_eq!(facts.principal.owner.as_ref().map(ToString::to_string).as_deref(), Some("group:agents"));
        facts.approving.unwrap()
    };
    let lapsed = told(&["bob"]);
    assert_eq!((lapsed.votes.len(), lapsed.independent), (0, false), "who may not approve has not approved");
    let standing = told(&["bob", "rae"]);
    assert_eq!(standing.votes.iter().map(ToString::to_string).collect::<Vec<_>>(), ["rae"]);
    assert!(standing.independent);
}
