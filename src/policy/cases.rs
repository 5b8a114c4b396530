//! The tests of a policy bundle: facts in a short form, and the outcome and reasons that are expected. What a case
//! leaves out is the clean case: an agent with a proven key, within its ceiling, doing what the intent's words imply,
//! with no sink filled, in the band `low`. So a case tells of rules, and not of weights, unless it names signals or
//! asks to `weigh`.

use std::collections::{BTreeMap, BTreeSet};

use super::bundle::PolicyBundle;
use super::decide::{decide, decide_at};
use super::error::{BundleError, Problem};
use super::route;
use super::rules::{Rule, RuleEffect};
use crate::model::decision::{Decision, Outcome};
use crate::model::facts::Facts;
use crate::model::id::{Owner, PolicyId, ToolName};
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

impl Case {
    /// What the bundle decides in this case, in the band that it names or at the score of its signals.
    #[must_use]
    pub fn decide(&self, bundle: &PolicyBundle) -> Decision {
        match self.band {
            None => decide(bundle, &self.facts),
            Some(band) => decide_at(bundle, &self.facts, in_band(band)),
        }
    }

    /// The band that it is decided in; `None` when its signals are weighed.
    #[must_use]
    pub const fn band(&self) -> Option<Band> {
        self.band
    }

    /// What is otherwise than the case expects; `None` when nothing is. `route` is whom the decision is for, by [`route::owners`].
    #[must_use]
    pub fn failure(&self, decision: &Decision, route: &BTreeSet<Owner>) -> Option<String> {
        self.expected.differs(decision, route)
    }
}

/// Reads cases from a text of the form that the tests of a bundle have, against the tools of this one.
///
/// # Errors
/// Every problem, with the case that it is about.
pub fn read(bundle: &PolicyBundle, path: &str, text: &str) -> Result<Vec<Case>, BundleError> {
    let mut problems: Vec<Problem> = Vec::new();
    let cases = text::read(path, text, bundle.catalogue(), &mut problems);
    if problems.is_empty() { Ok(cases) } else { Err(BundleError::Invalid(problems)) }
}

/// How the tests of a bundle went.
#[derive(Debug, Clone, Default)]
pub struct TestReport {
    /// Every case, in the order of files.
    pub results: Vec<CaseResult>,
    /// What the cases say of each policy, in the order of their ids.
    pub coverage: Vec<PolicyCoverage>,
}

/// How one test went.
#[derive(Debug, Clone)]
pub struct CaseResult {
    /// The file that it stands in.
    pub path: String,
    /// What it claims.
    pub name: String,
    /// What was decided.
    pub outcome: Outcome,
    /// The policies that fired: permits that matched and forbids that applied.
    pub fired: Vec<PolicyId>,
    /// What was otherwise; `None` when it passed.
    pub failure: Option<String>,
}

/// What the tests of a bundle say of one of its policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyCoverage {
    /// The policy.
    pub id: PolicyId,
    /// The file that it stands in.
    pub path: String,
    /// What it does when it applies.
    pub effect: RuleEffect,
    /// The cases in which it fired.
    pub fired: u32,
    /// Those among them whose outcome is its own: a permit of what was granted, or a forbid that nothing stricter stood beside.
    pub decided: u32,
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

    /// The policies that fired in no case: what they say is not tested.
    #[must_use]
    pub fn never_fired(&self) -> Vec<&PolicyId> {
        self.coverage.iter().filter(|policy| policy.fired == 0).map(|policy| &policy.id).collect()
    }

    /// Of a hundred policies, how many fired in some case; 100 only when all did.
    #[must_use]
    pub fn coverage_percent(&self) -> u32 {
        let all = self.coverage.len();
        let fired = all - self.never_fired().len();
        let percent = (fired * 100).checked_div(all).unwrap_or(100);
        u32::try_from(percent).unwrap_or(100)
    }
}

/// Runs the cases.
pub(in crate::policy) fn run(bundle: &PolicyBundle, cases: &[Case]) -> TestReport {
    let mut counts: BTreeMap<PolicyId, (u32, u32)> = BTreeMap::new();
    let mut results = Vec::new();
    for case in cases {
        let decision = case.decide(bundle);
        for rule in decision.policies.iter().filter_map(|id| bundle.rule(id.as_str())) {
            let (fired, decided) = counts.entry(rule.id.clone()).or_default();
            *fired += 1;
            *decided += u32::from(decides(rule, &decision));
        }
        results.push(CaseResult {
            path: case.path.clone(),
            name: case.name.clone(),
            outcome: decision.outcome,
            failure: case.failure(&decision, &route::owners(bundle, &case.facts, &decision)),
            fired: decision.policies,
        });
    }
    let coverage = bundle.rules().map(|rule| {
        let (fired, decided) = counts.get(&rule.id).copied().unwrap_or_default();
        PolicyCoverage { id: rule.id.clone(), path: rule.path.clone(), effect: rule.effect, fired, decided }
    });
    TestReport { results, coverage: coverage.collect() }
}

/// True when the outcome is that of a policy that fired.
fn decides(rule: &Rule, decision: &Decision) -> bool {
    match rule.effect {
        RuleEffect::Permit => decision.outcome.is_grant(),
        // What leaves nothing in, or narrows a task, asks for more than its own word; then it stands first.
        RuleEffect::Forbid { outcome, .. } => {
            let first = decision.reasons.first().and_then(|reason| reason.policy.as_ref());
            let told = decision.reasons.iter().any(|reason| reason.policy.as_ref() == Some(&rule.id));
            told && (outcome >= decision.outcome || first == Some(&rule.id))
        }
    }
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
    /// Owners whom policy wants asked.
    route: Option<BTreeSet<Owner>>,
}

impl Expected {
    /// What is otherwise; `None` when nothing is.
    fn differs(&self, decision: &Decision, route: &BTreeSet<Owner>) -> Option<String> {
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
        let owners: Vec<&Owner> = route.iter().collect();
        compare("route", self.route.as_ref().is_none_or(|expected| expected == route), list(&owners));
        if out.is_empty() { None } else { Some(out.join("; ")) }
    }
}

fn list<T: std::fmt::Display>(items: &[T]) -> String {
    format!("[{}]", items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests;
