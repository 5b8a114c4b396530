//! Findings, and how they become one decision: the strictest wins, what is left out is left out while something
//! remains, and lives are the shortest of all that apply.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::model::decision::{Decision, EntryDecision, Outcome, Reason};
use crate::model::facts::{Facts, Question};
use crate::model::id::{ApprovalId, GlassId, PolicyId};
use crate::model::reason::ReasonCode;
use crate::model::risk::Assessment;
use crate::model::time::Ttl;

/// One thing that speaks against granting as asked.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Finding {
    pub(in crate::policy) outcome: Outcome,
    pub(in crate::policy) code: ReasonCode,
    /// The entry, from 0; `None` when it concerns the whole.
    pub(in crate::policy) entry: Option<u32>,
    pub(in crate::policy) policy: Option<PolicyId>,
    pub(in crate::policy) detail: String,
    /// Reviewers that it takes, where the outcome is `review`.
    pub(in crate::policy) approvals: u32,
    /// True when the entry, or a part of it, is merely given less of: then `narrowed` leaves the entry in.
    pub(in crate::policy) keeps_entry: bool,
    /// The life to which it narrows, where that is all that it does.
    pub(in crate::policy) shortens_to: Option<Ttl>,
    /// True for policy's own answer, which is not enforced where policy only observes. Whatever else is found holds.
    pub(in crate::policy) is_answer: bool,
}

impl Finding {
    pub(in crate::policy) fn whole(outcome: Outcome, code: ReasonCode, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            outcome,
            code,
            entry: None,
            policy: None,
            detail,
            approvals: 1,
            keeps_entry: false,
            shortens_to: None,
            is_answer: false,
        }
    }

    pub(in crate::policy) fn at(entry: u32, outcome: Outcome, code: ReasonCode, detail: impl Into<String>) -> Self {
        Self { entry: Some(entry), ..Self::whole(outcome, code, detail) }
    }
}

/// What an entry would be granted, before it is known whether it is.
#[derive(Debug, Clone, Default)]
pub(in crate::policy) struct Offer {
    pub(in crate::policy) actions: Vec<String>,
    pub(in crate::policy) resources: Vec<String>,
    pub(in crate::policy) calls_max: Option<u32>,
}

/// Everything that was found, on the way to a decision.
#[derive(Debug, Default)]
pub(in crate::policy) struct Sheet {
    pub(in crate::policy) findings: Vec<Finding>,
    pub(in crate::policy) policies: BTreeSet<PolicyId>,
    /// One for each entry, in their order.
    pub(in crate::policy) offers: Vec<Offer>,
    permit_ttl: Option<Ttl>,
    forbid_ttl: Option<Ttl>,
}

impl Sheet {
    pub(in crate::policy) fn permit_lives(&mut self, ttl: Option<Ttl>) {
        self.permit_ttl = shorter(self.permit_ttl, ttl);
    }

    pub(in crate::policy) fn forbid_lives(&mut self, ttl: Option<Ttl>) {
        self.forbid_ttl = shorter(self.forbid_ttl, ttl);
    }

    /// A forbid's life never lengthens what the permits give, or else more risk could.
    fn ttl_max(&self) -> Ttl {
        let base = self.permit_ttl.unwrap_or(Ttl::DEFAULT);
        self.forbid_ttl.map_or(base, |ttl| ttl.min(base))
    }

    /// The outcome of one entry, and whether it is left out.
    fn entry_outcome(&self, entry: u32) -> (Outcome, bool) {
        let own = || self.findings.iter().filter(|f| f.entry == Some(entry));
        let outcome = own().map(|f| f.outcome).max().unwrap_or(Outcome::Granted);
        let left_out = outcome == Outcome::Narrowed && own().any(|f| f.outcome == Outcome::Narrowed && !f.keeps_entry);
        (outcome, left_out)
    }

    /// The outcome of each entry, and whether it is left out.
    fn outcomes(&self) -> Vec<(Outcome, bool)> {
        let numbers = 0..u32::try_from(self.offers.len()).unwrap_or(u32::MAX);
        numbers.map(|n| self.entry_outcome(n)).collect()
    }

    /// True when all that was asked for would be left out.
    pub(in crate::policy) fn leaves_nothing(&self) -> bool {
        let outcomes = self.outcomes();
        !outcomes.is_empty() && outcomes.iter().all(|(_, left_out)| *left_out)
    }

    /// The strictest of what was found.
    pub(in crate::policy) fn strictest(&self) -> Outcome {
        let strictest = self.findings.iter().map(|f| f.outcome).max().unwrap_or(Outcome::Granted);
        // Nothing is not less than what was asked, but something else.
        if self.leaves_nothing() { strictest.max(Outcome::StepUp) } else { strictest }
    }

    /// True when more is granted where policy's own answer is not enforced.
    pub(in crate::policy) fn is_lifted(&self, question: Question) -> bool {
        self.without_answer(question).is_some()
    }

    /// What is left once policy's own answer is not enforced, where that grants something and more than the answer. How long a token
    /// lives at most holds all the same; one that lives is not taken for it.
    fn without_answer(&self, question: Question) -> Option<Self> {
        let lifted = |f: &Finding| f.is_answer || (question == Question::Retain && f.shortens_to.is_some());
        let findings = self.findings.iter().filter(|f| !lifted(f)).cloned().collect();
        let held = Self { findings, offers: self.offers.clone(), ..Self::default() };
        let left_out = |sheet: &Self| sheet.outcomes().into_iter().map(|(_, left_out)| left_out).collect::<Vec<_>>();
        let more = held.strictest() < self.strictest() || left_out(&held) != left_out(self);
        (held.strictest().is_grant() && more).then_some(held)
    }

    /// The decision. `approval` and `glass` are those without which more would have been found; `observes` is true where policy only
    /// does that.
    pub(in crate::policy) fn decide(
        mut self,
        facts: &Facts,
        risk: Assessment,
        (approval, glass): (Option<ApprovalId>, Option<GlassId>),
        observes: bool,
    ) -> Decision {
        let ttl_max = self.ttl_max();
        // A life that would not have been longer is not narrowed.
        let permitted = self.permit_ttl.unwrap_or(Ttl::DEFAULT);
        let would_live = facts.ttl_asked.map_or(permitted, |asked| asked.min(permitted));
        self.findings.retain(|f| f.shortens_to.is_none_or(|ttl| ttl < would_live));
        let outcomes = self.outcomes();
        let held = if observes { self.without_answer(facts.question) } else { None };
        let mut outcome = self.strictest();
        let mut instead = held.as_ref().map(Self::strictest);
        if outcome == Outcome::StepUp && !facts.initiator.verified {
            // There is nobody who could confirm it.
            outcome = Outcome::Review;
        }
        let cuts = facts.question == Question::Request && facts.ttl_asked.is_some_and(|t| t > ttl_max);
        if cuts {
            instead = instead.map(|_| Outcome::Narrowed);
        }
        if cuts && outcome.is_grant() {
            outcome = Outcome::Narrowed;
            let mut cut = Finding::whole(Outcome::Narrowed, ReasonCode::TtlShortened, format!("to {ttl_max}"));
            cut.keeps_entry = true;
            self.findings.push(cut);
        }
        if !outcome.is_grant() {
            // How long a token would have lived explains nothing where there is none.
            self.findings.retain(|finding| finding.code != ReasonCode::TtlShortened);
        }
        let given = held.as_ref().map_or_else(|| outcomes.clone(), Self::outcomes);
        let in_force = instead.unwrap_or(outcome);
        let decided = outcomes.iter().zip(&given).zip(&self.offers).zip(&facts.entries);
        let entries = decided.map(|((((own, left_out), (_, stays_out)), offer), asked)| {
            let included = in_force.is_grant() && !stays_out;
            EntryDecision {
                tool: asked.tool.clone(),
                outcome: *own,
                included,
                observed_only: included && (!outcome.is_grant() || *left_out),
                actions: if included { offer.actions.clone() } else { Vec::new() },
                resources: if included { offer.resources.clone() } else { Vec::new() },
                calls_max: offer.calls_max,
            }
        });
        Decision {
            outcome,
            entries: entries.collect(),
            approvals_needed: self.approvals_needed(outcome),
            reasons: reasons(self.findings),
            policies: self.policies.into_iter().collect(),
            risk,
            ttl_max,
            approval,
            glass,
            instead,
            unbound: in_force.is_grant()
                && facts.registration.is_none()
                && !facts.principal.authentication.proves_key(),
        }
    }

    fn approvals_needed(&self, outcome: Outcome) -> u32 {
        let asked = self.findings.iter().filter(|f| f.outcome == outcome).map(|f| f.approvals).max();
        match outcome {
            Outcome::Review => asked.unwrap_or(1).max(1),
            Outcome::StepUp => 1,
            Outcome::Granted | Outcome::Narrowed | Outcome::Denied => 0,
        }
    }
}

/// Strictest first; of equals those of the whole first, then by entry, number of the code, and policy. Each stands
/// once.
fn reasons(mut findings: Vec<Finding>) -> Vec<Reason> {
    findings.sort_by(|a, b| {
        let key = |f: &Finding| (Reverse(f.outcome), f.entry, f.code.number());
        key(a).cmp(&key(b)).then_with(|| a.policy.cmp(&b.policy))
    });
    let mut out: Vec<Reason> = Vec::new();
    for f in findings {
        let same = |r: &Reason| r.code == f.code && r.entry == f.entry && r.policy == f.policy;
        if !out.iter().any(same) {
            out.push(Reason { code: f.code, entry: f.entry, policy: f.policy, detail: f.detail });
        }
    }
    out
}

fn shorter(a: Option<Ttl>, b: Option<Ttl>) -> Option<Ttl> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
