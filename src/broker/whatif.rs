//! What a candidate bundle would have decided: recorded facts, decided again by the function that decides, and what would flip.
//! Facts are conclusions. What the broker concluded under the catalogue of its time (how an entry stands to its ceiling, where a
//! value came from) stands as it was recorded, whatever the candidate's catalogue would have made of it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::broker::Broker;
use crate::broker::caller::Caller;
use crate::broker::error::BrokerError;
use crate::broker::grants::UnreadError;
use crate::broker::record::wire_outcome;
use crate::broker::summary::timestamp;
use crate::journal::projection::Recorded;
use crate::journal::search::{Page, Query};
use crate::model::decision::{Decision, EntryDecision, Outcome};
use crate::model::facts::Facts;
use crate::model::id::ApprovalId;
use crate::model::limits::{PAGE_SIZE_MAX, WHATIF_DECISIONS_MAX, WHATIF_FLIPS_MAX};
use crate::model::person::Right;
use crate::model::reason::ReasonCode;
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;
use crate::pb::v1;
use crate::pb::v1::what_if_response::Part;
use crate::policy::bundle::{BundleFiles, PolicyBundle};
use crate::policy::decide::decide;
use crate::policy::route;

/// A bundle that loads, and need not be in force.
#[derive(Debug)]
pub struct Candidate(PolicyBundle);

impl Candidate {
    /// Loads it. It blocks for as long as that takes.
    ///
    /// # Errors
    /// `PolicyRejected` when it does not load.
    pub fn load(files: Vec<(String, Bytes)>) -> Result<Self, BrokerError> {
        let files = BundleFiles::new(files.into_iter().map(|(path, content)| (path, content.to_vec())));
        files.and_then(PolicyBundle::load).map(Self).map_err(|error| BrokerError::Invalid {
            code: ReasonCode::PolicyRejected,
            field: "bundle",
            problem: error.to_string(),
        })
    }
}

/// The decisions that are decided again.
#[derive(Debug, Clone, Copy, Default)]
pub struct Span {
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

/// Whoever listens to what is found.
pub trait Listener {
    /// Takes the next part; false when nobody listens any more.
    fn tell(&mut self, part: Part) -> bool;

    /// True when nobody listens any more: asked now and then, because most decisions stay and there is nothing to tell.
    fn is_gone(&self) -> bool;
}

impl Broker {
    /// Holds that the caller may have history decided again: it reads the record, and it has a bundle loaded.
    ///
    /// # Errors
    /// `NotPermitted` without either right.
    pub fn may_ask_what_if(&self, caller: &Caller) -> Result<(), BrokerError> {
        if caller.has(Right::Read) && caller.has(Right::ActivatePolicy) {
            return Ok(());
        }
        let code = ReasonCode::RightMissing;
        self.note_refused(caller, "WhatIf", code, None);
        Err(BrokerError::NotPermitted { code })
    }

    /// Decides the recorded decisions of a span again under a candidate: what flips is told as it is found, in the order of the
    /// record, and at the end the tally. It reads for as long as there is something to read, and so blocks; it ends early when
    /// nobody listens any more.
    ///
    /// # Errors
    /// `RateLimited` when the caller has too much in flight, and when the record cannot be read.
    pub fn what_if(
        &self,
        caller: &Caller,
        candidate: &Candidate,
        span: Span,
        listener: &mut dyn Listener,
    ) -> Result<(), BrokerError> {
        let _place = self.enter_apart(caller)?;
        let mut run = Run::new(&candidate.0, self.size());
        let mut query = Query { from: span.from, until: span.until, page_size: PAGE_SIZE_MAX, ..Query::default() };
        loop {
            let Page { events, next } = self.0.journal.search(&query).map_err(BrokerError::unavailable)?;
            for recorded in &events {
                if !run.goes_on(recorded) {
                    run.end(listener);
                    return Ok(());
                }
                let Some(decision) = decision_of(&recorded.event) else { continue };
                let found = match self.whole_words(recorded.position, &recorded.event, decision) {
                    Ok(words) => {
                        let owners = || self.asked_owners(&recorded.event);
                        run.decided((recorded, decision), &words.facts, &words.decision, owners)
                    }
                    Err(UnreadError::Erased) => run.erased(),
                    Err(UnreadError::Unread(error)) => run.unreadable(recorded.position, &error),
                };
                if found.is_some_and(|part| !listener.tell(part)) {
                    return Ok(());
                }
            }
            if next.is_empty() {
                run.end(listener);
                return Ok(());
            }
            if listener.is_gone() {
                return Ok(());
            }
            query.page_token = next;
        }
    }

    /// For which owners the review is that a decision waits for; `None` when that is not known any more.
    fn asked_owners(&self, event: &pb::Event) -> Option<BTreeSet<String>> {
        let (asked, approval) = match event.payload.as_ref()? {
            Payload::CredentialDecided(e) => (&e.asked_people, &e.approval_id),
            Payload::TaskAmended(e) => (&e.asked_people, &e.approval_id),
            _ => return None,
        };
        if let Some(asked) = asked {
            return Some(asked.owners.iter().cloned().collect());
        }
        // It waits for what was asked before.
        let approval: ApprovalId = approval.parse().ok()?;
        self.0.known.look().approvals.find(approval).map(|approval| approval.owners.clone())
    }
}

/// The decision that an event holds.
fn decision_of(event: &pb::Event) -> Option<&pb::Decision> {
    match event.payload.as_ref()? {
        Payload::CredentialDecided(e) => e.decision.as_ref(),
        Payload::GrantReconsidered(e) => e.decision.as_ref(),
        Payload::TaskDecided(e) => e.decision.as_ref(),
        Payload::TaskAmended(e) => e.decision.as_ref(),
        Payload::BreakGlassOpened(e) => e.decision.as_ref(),
        _ => None,
    }
}

/// One run over the record.
struct Run<'a> {
    candidate: &'a PolicyBundle,
    /// What is recorded meanwhile is not looked at.
    size: u64,
    tally: v1::WhatIfTally,
    pairs: BTreeMap<(Outcome, Outcome), u64>,
    policies: BTreeMap<String, (u64, u64)>,
}

impl<'a> Run<'a> {
    fn new(candidate: &'a PolicyBundle, size: u64) -> Self {
        let tally = v1::WhatIfTally { digest: candidate.digest().to_string(), ..v1::WhatIfTally::default() };
        Self { candidate, size, tally, pairs: BTreeMap::new(), policies: BTreeMap::new() }
    }

    /// False at the end of the record, or of what one run may decide: then it says where the next begins.
    fn goes_on(&mut self, recorded: &Recorded) -> bool {
        let looked_at = self.tally.decisions + self.tally.erased + self.tally.unreadable;
        if looked_at >= WHATIF_DECISIONS_MAX {
            self.tally.stopped_at = Some(timestamp(recorded.time));
            return false;
        }
        recorded.position < self.size
    }

    fn erased(&mut self) -> Option<Part> {
        self.tally.erased += 1;
        None
    }

    fn unreadable(&mut self, position: u64, error: &BrokerError) -> Option<Part> {
        let error = error as &dyn std::error::Error;
        tracing::error!(position, error, "the words of a decision cannot be read");
        self.tally.unreadable += 1;
        None
    }

    /// The facts as if people had been asked under the candidate, and had said and opened the same. What did not count when it was decided, because
    /// it was said under another bundle, does not count now.
    fn answered<'f>(&self, facts: &'f Facts, open: &pb::Decision) -> Cow<'f, Facts> {
        let mut facts = Cow::Borrowed(facts);
        if facts.approval.as_ref().is_some_and(|approval| approval.policy_digest == open.policy_digest)
            && let Some(approval) = &mut facts.to_mut().approval
        {
            approval.policy_digest = self.candidate.digest().to_string();
        }
        if facts.glass.as_ref().is_some_and(|glass| glass.policy_digest == open.policy_digest)
            && let Some(glass) = &mut facts.to_mut().glass
        {
            glass.policy_digest = self.candidate.digest().to_string();
        }
        facts
    }

    /// Decides again, and counts; the flip, or that it is for others, when it is one and is still listed. `owners` are those of the
    /// review that it was.
    fn decided(
        &mut self,
        (recorded, open): (&Recorded, &pb::Decision),
        facts: &Facts,
        was: &Decision,
        owners: impl FnOnce() -> Option<BTreeSet<String>>,
    ) -> Option<Part> {
        // What a bundle would answer counts, whether it is enforced or only observed.
        let (was, mut facts_again) = (&was.enforced(), self.answered(facts, open));
        if facts_again.observing.is_some() {
            facts_again.to_mut().observing = None;
        }
        let would_be = decide(self.candidate, &facts_again);
        self.tally.decisions += 1;
        *self.pairs.entry((was.outcome, would_be.outcome)).or_default() += 1;
        match would_be.ttl_max.cmp(&was.ttl_max) {
            _ if !was.outcome.is_grant() || !would_be.outcome.is_grant() => {}
            std::cmp::Ordering::Less => self.tally.lives_shorter += 1,
            std::cmp::Ordering::Greater => self.tally.lives_longer += 1,
            std::cmp::Ordering::Equal => {}
        }
        let Some(turn) = turn(was, &would_be) else {
            let reroute = self.rerouted((recorded, open), facts, &would_be, owners);
            return reroute.map(Part::Reroute);
        };
        let count = match turn {
            Turn::Looser => &mut self.tally.looser,
            Turn::Stricter => &mut self.tally.stricter,
        };
        *count += 1;
        let (before, after) = (ids(was), ids(&would_be));
        let (gained, lost): (Vec<_>, Vec<_>) =
            (after.difference(&before).collect(), before.difference(&after).collect());
        gained.iter().for_each(|id| self.policies.entry((**id).clone()).or_default().0 += 1);
        lost.iter().for_each(|id| self.policies.entry((**id).clone()).or_default().1 += 1);
        if self.tally.listed >= WHATIF_FLIPS_MAX {
            return None;
        }
        self.tally.listed += 1;
        Some(Part::Flip(v1::WhatIfFlip {
            decision_id: open.decision_id.clone(),
            position: recorded.position,
            time: Some(timestamp(recorded.time)),
            question: open.question.clone(),
            was: wire_outcome(was.outcome).into(),
            would_be: wire_outcome(would_be.outcome).into(),
            looser: turn == Turn::Looser,
            reasons_were: codes(was),
            reasons_would_be: codes(&would_be),
            policies_gained: gained.into_iter().cloned().collect(),
            policies_lost: lost.into_iter().cloned().collect(),
            approvals_were: was.approvals_needed,
            approvals_would_be: would_be.approvals_needed,
            agent: facts.task.agent.to_string(),
            task_id: facts.task.id.to_string(),
            tools: facts.entries.iter().map(|entry| entry.tool.to_string()).collect(),
            policy_digest: open.policy_digest.clone(),
        }))
    }

    /// Counts a review that stays one and would be for others; the same to be listed.
    fn rerouted(
        &mut self,
        (recorded, open): (&Recorded, &pb::Decision),
        facts: &Facts,
        would_be: &Decision,
        owners: impl FnOnce() -> Option<BTreeSet<String>>,
    ) -> Option<v1::WhatIfReroute> {
        if would_be.outcome != Outcome::Review {
            return None;
        }
        let owners_would_be = route::owners(self.candidate, facts, would_be);
        let owners_would_be: BTreeSet<String> = owners_would_be.iter().map(ToString::to_string).collect();
        let owners_were = owners().filter(|were| *were != owners_would_be)?;
        self.tally.rerouted += 1;
        if self.tally.reroutes_listed >= WHATIF_FLIPS_MAX {
            return None;
        }
        self.tally.reroutes_listed += 1;
        Some(v1::WhatIfReroute {
            decision_id: open.decision_id.clone(),
            position: recorded.position,
            time: Some(timestamp(recorded.time)),
            question: open.question.clone(),
            owners_were: owners_were.into_iter().collect(),
            owners_would_be: owners_would_be.into_iter().collect(),
            agent: facts.task.agent.to_string(),
            task_id: facts.task.id.to_string(),
            tools: facts.entries.iter().map(|entry| entry.tool.to_string()).collect(),
            policy_digest: open.policy_digest.clone(),
        })
    }

    fn end(mut self, listener: &mut dyn Listener) {
        let pair = |((was, would_be), decisions)| v1::WhatIfPair {
            was: wire_outcome(was).into(),
            would_be: wire_outcome(would_be).into(),
            decisions,
        };
        self.tally.pairs = self.pairs.into_iter().map(pair).collect();
        let policy = |(policy, (gained, lost))| v1::WhatIfPolicy { policy, gained, lost };
        self.tally.policies = self.policies.into_iter().map(policy).collect();
        let _nobody_listens = listener.tell(Part::Tally(self.tally));
    }
}

/// Which way a decision would turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Looser,
    Stricter,
}

/// Which way it would turn; `None` when it would stay: the same outcome, approvals and coverage. A longer or a shorter life alone
/// is no turn.
fn turn(was: &Decision, would_be: &Decision) -> Option<Turn> {
    let asks = |decision: &Decision| (decision.outcome, decision.approvals_needed);
    match asks(would_be).cmp(&asks(was)) {
        // What is narrowed by its life alone covers as much.
        _ if was.outcome.is_grant() && would_be.outcome.is_grant() => {}
        std::cmp::Ordering::Less => return Some(Turn::Looser),
        std::cmp::Ordering::Greater => return Some(Turn::Stricter),
        std::cmp::Ordering::Equal => {}
    }
    let entries = || was.entries.iter().zip(&would_be.entries);
    let more = !was.unbound && would_be.unbound || entries().any(|(was, would_be)| covers_more(would_be, was));
    let less = was.unbound && !would_be.unbound || entries().any(|(was, would_be)| covers_more(was, would_be));
    match (more, less) {
        (true, _) => Some(Turn::Looser),
        (false, true) => Some(Turn::Stricter),
        // Of grants that cover the same, one may be narrowed by its life: the outcome is another all the same.
        (false, false) if was.outcome != would_be.outcome => {
            Some(if would_be.outcome < was.outcome { Turn::Looser } else { Turn::Stricter })
        }
        (false, false) => None,
    }
}

/// True when one decision about an entry covers something that the other does not.
fn covers_more(one: &EntryDecision, other: &EntryDecision) -> bool {
    let beyond = |one: &[String], other: &[String]| one.iter().any(|item| !other.contains(item));
    one.included
        && (!other.included
            || beyond(&one.actions, &other.actions)
            || beyond(&one.resources, &other.resources)
            || one.calls_max.unwrap_or(u32::MAX) > other.calls_max.unwrap_or(u32::MAX))
}

fn ids(decision: &Decision) -> BTreeSet<String> {
    decision.policies.iter().map(ToString::to_string).collect()
}

fn codes(decision: &Decision) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for reason in &decision.reasons {
        let code = reason.code.to_string();
        if !out.contains(&code) {
            out.push(code);
        }
    }
    out
}

#[cfg(test)]
mod tests;
