//! Holds two states against each other, part by part.

use super::*;
use crate::broker::state::{ActivePolicy, Finders};

/// Fails unless both are the same, part by part: a part that is added to the state does not compile here until it is compared.
pub(super) fn assert_same(is: &State, was: &State, when: &str) {
    let State {
        next,
        time,
        marks,
        tasks,
        families,
        grants,
        blocks,
        registrations,
        policy,
        withdrawn,
        changes: _,
        retired,
        duties,
        approvals,
        glasses,
        proposals,
        policies_before,
        behaviour,
        drift,
        by,
        tallies: _,
    } = is;
    let Finders {
        tasks_of_agent,
        tasks_of_initiator,
        tasks_of_orchestrator,
        grants_of_audience,
        deadlines,
        expiries,
        ended,
        answered,
        drifting,
        due,
        reported,
    } = by;
    assert_eq!((next, time), (&was.next, &was.time), "{when}");
    assert_eq!(marks, &was.marks, "{when}");
    assert_eq!(tasks, &was.tasks, "{when}");
    assert_eq!(families, &was.families, "{when}");
    assert_eq!(grants, &was.grants, "{when}");
    assert_eq!(blocks, &was.blocks, "{when}");
    assert_eq!(registrations, &was.registrations, "{when}");
    assert_eq!(withdrawn, &was.withdrawn, "{when}");
    let policy_of = |policy: &Option<ActivePolicy>| {
        policy.clone().map(|p| {
            let files: Vec<_> = p.files.iter().map(|file| file.path.clone()).collect();
            (
                p.bundle.map(|b| b.digest().to_string()),
                files,
                p.digest,
                p.revision,
                p.activated,
                p.activated_by,
                p.position,
                p.observed,
                p.origin,
            )
        })
    };
    assert_eq!(policy_of(policy), policy_of(&was.policy), "{when}");
    assert_eq!((retired, duties), (&was.retired, &was.duties), "{when}");
    assert_eq!(approvals, &was.approvals, "{when}");
    assert_eq!(glasses, &was.glasses, "{when}");
    assert_eq!((proposals, policies_before), (&was.proposals, &was.policies_before), "{when}");
    assert_eq!(behaviour, &was.behaviour, "{when}");
    assert_eq!(drift, &was.drift, "{when}");
    assert_eq!(tasks_of_agent, &was.by.tasks_of_agent, "{when}");
    assert_eq!(tasks_of_initiator, &was.by.tasks_of_initiator, "{when}");
    assert_eq!(tasks_of_orchestrator, &was.by.tasks_of_orchestrator, "{when}");
    assert_eq!(grants_of_audience, &was.by.grants_of_audience, "{when}");
    assert_eq!((deadlines, expiries), (&was.by.deadlines, &was.by.expiries), "{when}");
    assert_eq!((ended, answered), (&was.by.ended, &was.by.answered), "{when}");
    assert_eq!((drifting, due), (&was.by.drifting, &was.by.due), "{when}");
    assert_eq!(reported, &was.by.reported, "{when}");
}
