//! A decision taken apart for a reviewer: what each reason asks for and which policy gave it, which policies fired, what the band
//! asks for by itself, and what would cure it. It decides nothing: the decision is that of `decide`.

use std::collections::BTreeSet;

use super::bundle::PolicyBundle;
use super::cases::Case;
use super::decide::decide;
use super::route;
use super::rules::{Rule, RuleEffect};
use crate::model::decision::{Decision, Outcome, Reason};
use crate::model::facts::Facts;
use crate::model::id::Owner;
use crate::model::reason::ReasonCode;
use crate::model::risk::{Assessment, Band};

/// A decision with what led to it.
#[derive(Debug)]
pub struct Explanation<'a> {
    /// The facts.
    pub facts: &'a Facts,
    /// The decision.
    pub decision: Decision,
    /// The band that a case assumes; `None` when the signals were weighed.
    pub assumed: Option<Band>,
    /// The risk of the facts as `risk.toml` weighs it, assumed or not.
    pub weighed: Assessment,
    /// The least that the band asks for; `granted` asks for nothing.
    pub floor: Outcome,
    /// The permits that matched, by id.
    pub permits: Vec<&'a Rule>,
    /// The forbids that applied, by id.
    pub forbids: Vec<&'a Rule>,
    /// Owners of tools for whom policy wants somebody to approve.
    pub route: BTreeSet<Owner>,
}

impl<'a> Explanation<'a> {
    /// Of facts, at the score of their signals.
    #[must_use]
    pub fn of_facts(bundle: &'a PolicyBundle, facts: &'a Facts) -> Self {
        Self::of(bundle, facts, decide(bundle, facts), None)
    }

    /// Of a case, in the band that it names or at the score of its signals.
    #[must_use]
    pub fn of_case(bundle: &'a PolicyBundle, case: &'a Case) -> Self {
        Self::of(bundle, &case.facts, case.decide(bundle), case.band())
    }

    fn of(bundle: &'a PolicyBundle, facts: &'a Facts, decision: Decision, assumed: Option<Band>) -> Self {
        let fired: Vec<&Rule> = decision.policies.iter().filter_map(|id| bundle.rule(id.as_str())).collect();
        let (permits, forbids) = fired.into_iter().partition(|rule| rule.effect == RuleEffect::Permit);
        Self {
            facts,
            assumed,
            weighed: bundle.risk().assess(bundle.catalogue(), facts),
            floor: bundle.risk().floor(facts.principal.class, decision.risk.band).min(Outcome::Review),
            permits,
            forbids,
            route: route::owners(bundle, facts, &decision),
            decision,
        }
    }

    /// What would cure it, in words.
    #[must_use]
    pub fn cure(&self) -> String {
        let cure = cure(&self.decision);
        match self.route.iter().map(|owner| format!("`{owner}`")).collect::<Vec<_>>().as_slice() {
            [] => cure,
            [owner] => format!("{cure}, one for {owner}"),
            owners => format!("{cure}, one for each of {}", owners.join(", ")),
        }
    }

    /// Where a reason comes from.
    #[must_use]
    pub fn origin(&self, reason: &Reason) -> Origin<'a> {
        let rule = reason.policy.as_ref().and_then(|id| self.forbids.iter().find(|rule| rule.id == *id));
        match (rule, reason.code) {
            (Some(rule), _) => Origin::Policy(rule),
            (None, ReasonCode::RiskHigh | ReasonCode::RiskCritical) => Origin::Band(self.floor),
            (None, ReasonCode::NoPermit) => Origin::NoPermit,
            (None, ReasonCode::PolicyError) => Origin::Failed,
            (None, ReasonCode::TtlShortened) => Origin::Life,
            (None, _) => Origin::Structure,
        }
    }
}

/// Where a reason comes from.
#[derive(Debug, Clone, Copy)]
pub enum Origin<'a> {
    /// A forbid that applied.
    Policy(&'a Rule),
    /// The band asks for that much by itself.
    Band(Outcome),
    /// No permit matched.
    NoPermit,
    /// A policy could not be evaluated.
    Failed,
    /// The life was cut to the longest that policies or the band leave.
    Life,
    /// It is checked before any policy is asked.
    Structure,
}

impl Origin<'_> {
    /// In words.
    #[must_use]
    pub fn in_words(self) -> String {
        match self {
            Self::Policy(rule) => format!("policy `{}`", rule.id),
            Self::Band(outcome) => format!("the band, which asks for {outcome} at least"),
            Self::NoPermit => "no permit".to_owned(),
            Self::Failed => "a policy that could not be evaluated".to_owned(),
            Self::Life => "the longest life that is left".to_owned(),
            Self::Structure => "checked before policies".to_owned(),
        }
    }
}

/// What would cure a decision, in words.
#[must_use]
pub fn cure(decision: &Decision) -> String {
    let no_permit = decision.reasons.iter().any(|reason| reason.code == ReasonCode::NoPermit);
    match (decision.outcome, decision.approvals_needed) {
        (Outcome::Granted, _) => "nothing has to be cured".to_owned(),
        (Outcome::Narrowed, _) => "nothing has to be cured: what is left is granted".to_owned(),
        (Outcome::StepUp, _) => "the initiator authenticates afresh and confirms this very request".to_owned(),
        (Outcome::Review, 1) => "one independent reviewer approves".to_owned(),
        (Outcome::Review, approvals) => format!("{approvals} independent reviewers approve"),
        (Outcome::Denied, _) if no_permit => "nothing: no permit matches, and no approval takes its place".to_owned(),
        (Outcome::Denied, _) => "no approval; other facts may lead to another answer".to_owned(),
    }
}
