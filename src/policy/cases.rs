//! The tests of a policy bundle: facts in a short form, and the outcome and reasons that are expected. What a case
//! leaves out is the clean case: an agent with a proven key, within its ceiling, doing what the intent's words imply,
//! with no sink filled, in the band `low`. So a case tells of rules, and not of weights, unless it names signals or
//! asks to `weigh`.

use std::collections::BTreeSet;

use super::bundle::PolicyBundle;
use super::decide::{decide, decide_at};
use crate::model::decision::{Decision, Outcome};
use crate::model::facts::Facts;
use crate::model::id::{PolicyId, ToolName};
use crate::model::reason::ReasonCode;
use crate::model::risk::{Assessment, Band, Score};
use crate::model::time::Ttl;

pub(in crate::policy) mod text;

/// One test.
#[derive(Debug, Clone)]
pub struct Case {
    /// The file that it stands in.
    pub path: String,
    /// What it claims.
    pub name: String,
    /// The facts that it is about.
    pub facts: Facts,
    /// The band that it is decided in; `None` when its signals are weighed.
    band: Option<Band>,
    expected: Expected,
}

/// How the tests of a bundle went.
#[derive(Debug, Clone, Default)]
pub struct TestReport {
    /// Every case, in the order of files.
    pub results: Vec<CaseResult>,
    /// The policies that applied in no case: what they say is not tested.
    pub never_applied: Vec<PolicyId>,
}

/// How one test went.
#[derive(Debug, Clone)]
pub struct CaseResult {
    /// The file that it stands in.
    pub path: String,
    /// What it claims.
    pub name: String,
    /// What was otherwise; `None` when it passed.
    pub failure: Option<String>,
}

impl TestReport {
    /// Number of cases that passed.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.results.iter().filter(|r| r.failure.is_none()).count()
    }

    /// The cases that failed.
    #[must_use]
    pub fn failures(&self) -> Vec<&CaseResult> {
        self.results.iter().filter(|r| r.failure.is_some()).collect()
    }
}

/// Runs the cases.
pub(in crate::policy) fn run(bundle: &PolicyBundle, cases: &[Case]) -> TestReport {
    let mut applied = BTreeSet::new();
    let mut results = Vec::new();
    for case in cases {
        let decision = match case.band {
            None => decide(bundle, &case.facts),
            Some(band) => decide_at(bundle, &case.facts, in_band(band)),
        };
        applied.extend(decision.policies.iter().cloned());
        let failure = case.expected.differs(&decision);
        results.push(CaseResult { path: case.path.clone(), name: case.name.clone(), failure });
    }
    let never_applied = bundle.rules().map(|r| r.id.clone()).filter(|id| !applied.contains(id)).collect();
    TestReport { results, never_applied }
}

/// An assessment of that band: a score as thresholds would have it, and no signal.
#[must_use]
pub fn in_band(band: Band) -> Assessment {
    let points = match band {
        Band::Low => 0,
        Band::Elevated => 40,
        Band::High => 65,
        Band::Critical => 95,
    };
    Assessment { score: Score::from_points(points), band, contributions: Vec::new() }
}

/// What a case expects. Members that are absent are not looked at.
#[derive(Debug, Clone)]
struct Expected {
    outcome: Outcome,
    /// Distinct codes, strictest first.
    reasons: Option<Vec<ReasonCode>>,
    policies: Option<Vec<PolicyId>>,
    approvals: Option<u32>,
    ttl: Option<Ttl>,
    included: Option<Vec<ToolName>>,
}

impl Expected {
    /// What is otherwise; `None` when nothing is.
    fn differs(&self, decision: &Decision) -> Option<String> {
        let mut reasons: Vec<ReasonCode> = Vec::new();
        for reason in &decision.reasons {
            if !reasons.contains(&reason.code) {
                reasons.push(reason.code);
            }
        }
        let included: Vec<_> = decision.entries.iter().filter(|e| e.included).map(|e| e.tool.clone()).collect();
        let mut out = Vec::new();
        let mut compare = |what: &str, same: bool, was: String| {
            if !same {
                out.push(format!("{what} is {was}"));
            }
        };
        compare("outcome", self.outcome == decision.outcome, decision.outcome.to_string());
        compare("reasons", self.reasons.as_ref().is_none_or(|r| *r == reasons), list(&reasons));
        let policies = self.policies.as_ref().is_none_or(|p| *p == decision.policies);
        compare("policies", policies, list(&decision.policies));
        let approvals = self.approvals.is_none_or(|n| n == decision.approvals_needed);
        compare("approvals", approvals, decision.approvals_needed.to_string());
        compare("ttl", self.ttl.is_none_or(|t| t == decision.ttl_max), decision.ttl_max.to_string());
        compare("included", self.included.as_ref().is_none_or(|i| *i == included), list(&included));
        if out.is_empty() { None } else { Some(out.join("; ")) }
    }
}

fn list<T: std::fmt::Display>(items: &[T]) -> String {
    format!("[{}]", items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests;
