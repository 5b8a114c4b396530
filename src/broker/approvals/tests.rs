//! What waits is found by itself, and what somebody said of what is open.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn id(n: u8) -> ApprovalId {
    ApprovalId::from_bytes([n; 16])
}

fn standing(n: u8, standing: ApprovalStanding, voter: &str) -> Approval {
    Approval {
        about: About::Credential,
        task: TaskId::new(NOW, [1; 10]),
        agent: "spiffe://td.test/agent/a".parse().unwrap(),
        initiator: "ann".parse().unwrap(),
        on_the_word_of: None,
        covers: [n; 32],
        outcome: Outcome::Review,
        needed: 2,
        decision: DecisionId::new(NOW, [2; 10]),
        position: 1,
        policy_digest: String::new(),
        band: Band::Low,
        doubts: Vec::new(),
        scores: Vec::new(),
        asked: NOW,
        standing,
        // The one that is asked last is not the one that waits longest.
        until: NOW.after(Duration::from_secs(u64::from(100 - n))),
        owners: BTreeSet::new(),
        escalated: None,
        votes: vec![(voter.parse().unwrap(), Verdict::Approved, NOW)],
        changed: u64::from(n),
    }
}

fn all() -> Approvals {
    let mut approvals = Approvals::default();
    for n in 1..=90 {
        let denied = ApprovalStanding::Answered(Verdict::Denied);
        let standing_of = if n % 30 == 0 { ApprovalStanding::Pending } else { denied };
        approvals.insert(id(n), standing(n, standing_of, if n == 60 { "rae" } else { "sam" }));
    }
    approvals
}

#[test]
fn what_waits_is_listed_newest_first_and_nothing_else_is() {
    let mut approvals = all();
    let listed = |approvals: &Approvals| approvals.listed_waiting().iter().map(|(id, _)| *id).collect::<Vec<_>>();
    assert_eq!(listed(&approvals), [id(90), id(60), id(30)]);
    approvals.change(id(60), 100, |approval| approval.standing = ApprovalStanding::Closed);
    assert_eq!(listed(&approvals), [id(90), id(30)]);
}

#[test]
fn what_is_unsaid_is_what_was_said_of_what_is_open() {
    let mut approvals = all();
    let (rae, sam) = ("rae".parse().unwrap(), "sam".parse().unwrap());
    assert_eq!(approvals.said_by(&rae), [id(60)]);
    assert_eq!(approvals.said_by(&sam), [id(30), id(90)]);
    approvals.unsay(&sam, 100);
    assert!(approvals.said_by(&sam).is_empty());
    assert_eq!(approvals.said_by(&rae), [id(60)]);
}
