//! Whom a question is for: owners of tools where policy wants somebody who knows the business, and whoever reviews where there is no
//! such person, or none of them answered in time. Never fewer people than an ordinary review takes, and never nobody.

use std::collections::{BTreeMap, BTreeSet};

use crate::broker::approvals::Approval;
use crate::broker::ask::Target;
use crate::broker::state::State;
use crate::identity::people::PersonOptions;
use crate::journal::guards::{Expect, GuardKey};
use crate::model::decision::Outcome;
use crate::model::id::{InitiatorName, Owner};
use crate::model::person::Right;
use crate::pb::v1;

/// Who reviews, and which groups they are in, as the configuration has it. Without it nobody is known, and no owner can be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    reviewers: BTreeSet<InitiatorName>,
    /// Of each group those who review.
    groups: BTreeMap<String, BTreeSet<InitiatorName>>,
    escalate_to: Vec<Owner>,
}

impl Directory {
    /// Those of `persons` who may approve, with the members of each group, and whom to tell of what nobody answers.
    #[must_use]
    pub fn new(
        persons: &[PersonOptions],
        groups: BTreeMap<Owner, BTreeSet<InitiatorName>>,
        escalate_to: Vec<Owner>,
    ) -> Self {
        let reviewers = persons.iter().filter(|person| person.may.contains(&Right::Approve));
        let reviewers: BTreeSet<InitiatorName> = reviewers.map(|person| person.name.clone()).collect();
        let group = |(group, members): (Owner, BTreeSet<InitiatorName>)| {
            (group.to_string(), members.intersection(&reviewers).cloned().collect())
        };
        let groups = groups.into_iter().map(group).collect();
        Self { reviewers, groups, escalate_to }
    }

    /// Whom to tell of what nobody answers.
    pub(in crate::broker) fn escalate_to(&self) -> impl Iterator<Item = &Owner> {
        self.escalate_to.iter()
    }

    /// Those who review and answer for that owner: the person of that name, or the members of that group.
    fn who_answer_for(&self, owner: &str) -> impl Iterator<Item = &InitiatorName> {
        let person = owner.parse().ok().and_then(|name: InitiatorName| self.reviewers.get(&name));
        person.into_iter().chain(self.groups.get(owner).into_iter().flatten())
    }

    /// True when the person is that owner, or in that group, among those who review.
    pub(in crate::broker) fn is_of(&self, person: &InitiatorName, owner: &str) -> bool {
        person.as_str() == owner || self.groups.get(owner).is_some_and(|members| members.contains(person))
    }
}

/// The owners of `all` for whom somebody could answer: who reviews, is not the initiator, and is not blocked. Whoever is merely named as
/// initiator, by a word that nobody verified, is not passed over for it: it is waited until the question is escalated.
pub(in crate::broker) fn answerable<'a>(
    state: &'a State,
    directory: &'a Directory,
    verified_initiator: Option<&'a InitiatorName>,
    all: impl IntoIterator<Item = &'a str>,
) -> impl Iterator<Item = &'a str> {
    let could = move |person: &InitiatorName| {
        Some(person) != verified_initiator && !state.blocks.contains_key(&Target::Initiator(person.clone()))
    };
    all.into_iter().filter(move |owner| directory.who_answer_for(owner).any(could))
}

/// The owners who are to be among those who approve, as things stand: none of a step-up, none once it was escalated, and none for whom
/// nobody could answer.
pub(in crate::broker) fn wanted<'a>(
    state: &'a State,
    directory: &'a Directory,
    approval: &'a Approval,
) -> impl Iterator<Item = &'a str> {
    let open = approval.escalated.is_none() && approval.outcome == Outcome::Review;
    let owners = approval.owners.iter().filter(move |_| open).map(String::as_str);
    let said = |owner: &str| approval.votes.iter().any(|(voter, ..)| directory.is_of(voter, owner));
    let (spoken, rest): (Vec<_>, Vec<_>) = owners.partition(|owner| said(owner));
    spoken.into_iter().chain(answerable(state, directory, approval.verified_initiator(), rest))
}

/// Those of them for whom none of these persons answers.
pub(in crate::broker) fn missing<'a>(
    state: &'a State,
    directory: &'a Directory,
    approval: &'a Approval,
    among: &BTreeSet<&InitiatorName>,
) -> Vec<&'a str> {
    let unspoken = |owner: &&str| !among.iter().any(|person| directory.is_of(person, owner));
    wanted(state, directory, approval).filter(unspoken).collect()
}

/// True when a yes of that person's could settle it with those of others: the places that are left are kept for the owners.
pub(in crate::broker) fn has_place_for(
    state: &State,
    directory: &Directory,
    approval: &Approval,
    person: &InitiatorName,
) -> bool {
    let voters: BTreeSet<&InitiatorName> = approval.votes.iter().map(|(voter, ..)| voter).collect();
    let missing = missing(state, directory, approval, &voters);
    let left = usize::try_from(approval.needed).unwrap_or(usize::MAX).saturating_sub(voters.len());
    missing.is_empty() || left > missing.len() || missing.iter().any(|owner| directory.is_of(person, owner))
}

/// What an answer relies on of those who could answer for the owners, and of those who answered before: that nobody blocks them, or
/// lifts their block.
pub(in crate::broker) fn expects(state: &State, directory: &Directory, approval: &Approval) -> Vec<Expect> {
    let owners = approval.owners.iter().flat_map(|owner| directory.who_answer_for(owner));
    let voters = approval.votes.iter().map(|(voter, ..)| voter);
    let keys: BTreeSet<GuardKey> = owners.chain(voters).map(GuardKey::initiator).collect();
    keys.into_iter().map(|key| Expect { key, at: state.marks.at(&key) }).collect()
}

/// Whom it is for, as it is shown, and why that is not whom policy asks for.
pub(in crate::broker) fn shown(
    state: &State,
    directory: &Directory,
    approval: &Approval,
) -> (v1::ApprovalRoute, String) {
    let route = match approval.asks() {
        Outcome::StepUp => v1::ApprovalRoute::Initiator,
        _ if wanted(state, directory, approval).next().is_some() => v1::ApprovalRoute::Owners,
        _ => v1::ApprovalRoute::Reviewers,
    };
    let escalated = approval.escalated.is_some();
    let list = |owners: &[&str]| owners.iter().map(|owner| format!("`{owner}`")).collect::<Vec<_>>().join(", ");
    let all: Vec<&str> = approval.owners.iter().map(String::as_str).collect();
    let wanted: BTreeSet<&str> = wanted(state, directory, approval).collect();
    let absent: Vec<&str> = all.iter().copied().filter(|owner| !wanted.contains(owner)).collect();
    let voters: BTreeSet<&InitiatorName> = approval.votes.iter().map(|(voter, ..)| voter).collect();
    let missing = missing(state, directory, approval, &voters);
    let others: BTreeSet<&str> = answerable(state, directory, Some(&approval.initiator), missing.clone()).collect();
    let named: Vec<&str> = missing.into_iter().filter(|owner| !others.contains(owner)).collect();
    let note = match route {
        v1::ApprovalRoute::Reviewers if approval.outcome == Outcome::StepUp => {
            "The initiator did not confirm it in time: whoever reviews answers instead.".to_owned()
        }
        _ if escalated && !all.is_empty() => {
            format!("Not answered for {} in time: whoever reviews may answer.", list(&all))
        }
        v1::ApprovalRoute::Reviewers if !absent.is_empty() => {
            format!("Nobody can answer for {}: whoever reviews may.", list(&absent))
        }
        _ if !named.is_empty() => format!(
            "For {} nobody else answers than who is named as the initiator, which nobody verified: it waits to be escalated.",
            list(&named)
        ),
        _ if !absent.is_empty() => format!("Nobody can answer for {}.", list(&absent)),
        _ => String::new(),
    };
    (route, note)
}

#[cfg(test)]
mod tests;
