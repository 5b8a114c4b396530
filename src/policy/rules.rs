//! Policies as a bundle holds them: Cedar's text with the annotations that say what a policy means for a request.
//! Every problem with them is told; what passes is known to be safe to evaluate.

use std::collections::BTreeMap;

use cedar_policy::ffi::DetailedError;
use cedar_policy::{ActionConstraint, Effect, EntityUid, Policy, PolicySet, Schema, ValidationMode, Validator};

use super::error::Problem;
use super::names::Action;
use super::nesting;
use super::{controls, monotone, schema};
use crate::model::decision::Outcome;
use crate::model::id::PolicyId;
use crate::model::limits::{POLICIES_MAX, TTL_SECONDS_MAX, UNBOUND_TTL_SECONDS_MAX};
use crate::model::reason::ReasonCode;
use crate::model::time::Ttl;

/// One policy.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its `@id`.
    pub id: PolicyId,
    /// The file that it stands in.
    pub path: String,
    /// What it does when it applies.
    pub effect: RuleEffect,
    /// Its `@ttl`: the longest life of a token that it applied to.
    pub ttl: Option<Ttl>,
    /// Its `@unbound`: the longest life of a token for a caller who proved no key. Without it a permit is none for such callers.
    pub unbound: Option<Ttl>,
    /// True for a denial that names `@break_glass("overrides")`: what a person opened by break-glass goes before it.
    pub yields_to_glass: bool,
    /// Its `@route`: whose yes a review takes.
    pub route: Route,
    /// Its `@controls`: the framework items that it is evidence for.
    pub controls: Vec<String>,
    /// Its `@description`; empty when it has none.
    pub description: String,
    pub(in crate::policy) cedar: Policy,
}

/// What a policy does when it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleEffect {
    /// It permits.
    Permit,
    /// It escalates, shortens or refuses.
    Forbid {
        /// Its `@reason`.
        reason: ReasonCode,
        /// Its `@outcome`: never `granted`.
        outcome: Outcome,
        /// Its `@approvals`: how many reviewers a `review` takes.
        approvals: u32,
    },
}

/// Whose yes a review takes, beside that they are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Anybody's who reviews.
    Reviewers,
    /// Also that of somebody who answers for the tool: who knows what it does to the business.
    Owner,
}

impl Route {
    /// The name in policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reviewers => "reviewers",
            Self::Owner => "owner",
        }
    }
}

impl Rule {
    /// Its text as it was written, annotations included.
    #[must_use]
    pub fn text(&self) -> String {
        self.cedar.to_cedar().unwrap_or_else(|| self.cedar.to_string())
    }
}

/// Most approvals that a policy may ask for: more is a refusal by another name.
pub const APPROVALS_MAX: u32 = 5;

/// Reads the policies of one file.
pub(in crate::policy) fn read(path: &str, text: &str, problems: &mut Vec<Problem>) -> Vec<Rule> {
    match parse(path, text) {
        Ok(set) => set.policies().filter_map(|policy| rule(path, text, policy, problems)).collect(),
        Err(found) => {
            problems.extend(found);
            Vec::new()
        }
    }
}

/// Cedar's reading of one file, whatever its policies are annotated with.
///
/// # Errors
/// When it is nested too deeply for the parser, does not parse, or holds templates.
pub(in crate::policy) fn parse(path: &str, text: &str) -> Result<PolicySet, Vec<Problem>> {
    if let Some(problem) = nesting::problem(text) {
        return Err(vec![Problem::new(path, problem)]);
    }
    let set: PolicySet = text.parse().map_err(|errors: cedar_policy::ParseErrors| {
        errors.iter().map(|error| Problem::new(path, located(text, &DetailedError::from(error)))).collect::<Vec<_>>()
    })?;
    if set.templates().next().is_some() {
        return Err(vec![Problem::new(path, "policy templates are not used here: write static policies")]);
    }
    Ok(set)
}

/// The problem with its line.
pub(in crate::policy) fn located(text: &str, error: &DetailedError) -> String {
    let message = error.message.replace('\n', " ");
    match error.source_locations.first() {
        Some(label) => {
            let line = text.bytes().take(label.loc.start).filter(|b| *b == b'\n').count() + 1;
            format!("line {line}: {message}")
        }
        None => message,
    }
}

fn rule(path: &str, text: &str, policy: &Policy, problems: &mut Vec<Problem>) -> Option<Rule> {
    let line = policy
        .to_cedar()
        .and_then(|source| text.find(&source))
        .map_or(0, |at| text.bytes().take(at).filter(|b| *b == b'\n').count() + 1);
    let Some(id) = policy.annotation("id") else {
        problems.push(Problem::new(path, format!("line {line}: the policy has no @id")));
        return None;
    };
    let mut notes = Notes { policy, path, id, problems };
    notes.check_names();
    notes.check_risk();
    let parsed: PolicyId = match id.parse() {
        Ok(parsed) => parsed,
        Err(e) => {
            notes.problem(format!("@id: {e}"));
            return None;
        }
    };
    let effect = match policy.effect() {
        Effect::Permit => Some(RuleEffect::Permit),
        Effect::Forbid => notes.forbid(),
    };
    let (ttl, unbound, controls) =
        (notes.ttl(effect), notes.life("unbound", UNBOUND_TTL_SECONDS_MAX), notes.controls());
    let yields_to_glass = notes.break_glass(effect);
    let route = notes.route(effect);
    Some(Rule {
        id: parsed,
        path: path.to_owned(),
        effect: effect?,
        ttl,
        unbound,
        yields_to_glass,
        route,
        controls,
        description: policy.annotation("description").unwrap_or_default().to_owned(),
        cedar: policy.new_id(cedar_policy::PolicyId::new(id)),
    })
}

/// The annotations of one policy, being read.
struct Notes<'a> {
    policy: &'a Policy,
    path: &'a str,
    id: &'a str,
    problems: &'a mut Vec<Problem>,
}

impl Notes<'_> {
    fn problem(&mut self, message: impl AsRef<str>) {
        let message = format!("policy `{}`: {}", self.id.escape_debug(), message.as_ref());
        self.problems.push(Problem::new(self.path, message));
    }

    fn check_names(&mut self) {
        let allowed: &[&str] = match self.policy.effect() {
            Effect::Permit => &["id", "description", "ttl", "unbound", "controls"],
            Effect::Forbid => {
                &["id", "description", "ttl", "controls", "reason", "outcome", "approvals", "route", "break_glass"]
            }
        };
        let names: Vec<String> = self.policy.annotations().map(|(name, _)| name.to_owned()).collect();
        for name in names.iter().filter(|n| !allowed.contains(&n.as_str())) {
            self.problem(format!("@{name} means nothing for a {}", self.policy.effect()));
        }
    }

    /// Risk can only tighten.
    fn check_risk(&mut self) {
        match (self.policy.to_json(), self.policy.effect()) {
            (Err(e), _) => self.problem(format!("cannot be checked: {}", schema::in_words(&e))),
            (Ok(json), effect) => {
                if effect == Effect::Permit && monotone::reads_risk(&json) {
                    self.problem("a permit may not read risk, nor the context as a whole");
                }
                if effect == Effect::Forbid && !monotone::rises_with_risk(&json) {
                    self.problem("more risk could make this forbid stop applying");
                }
            }
        }
    }

    fn forbid(&mut self) -> Option<RuleEffect> {
        let reason = match self.policy.annotation("reason").map(str::parse::<ReasonCode>) {
            Some(Ok(reason)) => Some(reason),
            Some(Err(e)) => {
                self.problem(format!("@reason: {e}"));
                None
            }
            None => {
                self.problem("a forbid needs a @reason");
                None
            }
        };
        let outcome = match self.policy.annotation("outcome").unwrap_or("denied") {
            "narrowed" => Some(Outcome::Narrowed),
            "step_up" => Some(Outcome::StepUp),
            "review" => Some(Outcome::Review),
            "denied" => Some(Outcome::Denied),
            other => {
                self.problem(format!(
                    "@outcome: `{}` is none of narrowed, step_up, review, denied",
                    other.escape_debug()
                ));
                None
            }
        };
        let approvals = match self.policy.annotation("approvals") {
            None => 1,
            Some(text) => {
                if outcome != Some(Outcome::Review) {
                    self.problem("@approvals is for the outcome review");
                }
                text.parse().ok().filter(|n| (1..=APPROVALS_MAX).contains(n)).unwrap_or_else(|| {
                    self.problem(format!("@approvals is not a number from 1 to {APPROVALS_MAX}"));
                    1
                })
            }
        };
        Some(RuleEffect::Forbid { reason: reason?, outcome: outcome?, approvals })
    }

    fn ttl(&mut self, effect: Option<RuleEffect>) -> Option<Ttl> {
        let ttl = self.life("ttl", TTL_SECONDS_MAX);
        if ttl.is_some() && matches!(effect, Some(RuleEffect::Forbid { outcome: Outcome::Denied, .. })) {
            self.problem("@ttl: what is denied has no life");
        }
        ttl
    }

    fn break_glass(&mut self, effect: Option<RuleEffect>) -> bool {
        let Some(text) = self.policy.annotation("break_glass") else { return false };
        if text != "overrides" {
            self.problem("@break_glass is `overrides` or absent");
        }
        if !matches!(effect, Some(RuleEffect::Forbid { outcome: Outcome::Denied, .. })) {
            self.problem("@break_glass is for the outcome denied: it goes before every other anyway");
        }
        text == "overrides"
    }

    fn route(&mut self, effect: Option<RuleEffect>) -> Route {
        let Some(text) = self.policy.annotation("route") else { return Route::Reviewers };
        if text != Route::Owner.as_str() {
            self.problem("@route is `owner` or absent");
        }
        // Whoever else confirms a step-up, it is not the owner of a tool.
        if !matches!(effect, None | Some(RuleEffect::Forbid { outcome: Outcome::Review, .. })) {
            self.problem("@route is for the outcome review");
        }
        let named = match self.policy.action_constraint() {
            ActionConstraint::Any => Vec::new(),
            ActionConstraint::Eq(uid) => vec![uid],
            ActionConstraint::In(uids) => uids,
        };
        let asks_nobody = |uid: &EntityUid| {
            [Action::Register, Action::BreakGlass].iter().any(|of| of.as_str() == uid.id().unescaped())
        };
        if !named.is_empty() && named.iter().all(asks_nobody) {
            self.problem(
                "@route does nothing here: only the use of a tool, and `amend_task`, ask people. Registrations ask nobody, and \
                 break-glass is opened by a person",
            );
        }
        Route::Owner
    }

    fn life(&mut self, name: &str, seconds_max: u64) -> Option<Ttl> {
        let text = self.policy.annotation(name)?;
        let seconds = match text.split_at_checked(text.len().saturating_sub(1)) {
            Some((number, "s")) => number.parse::<u64>().ok(),
            Some((number, "m")) => number.parse::<u64>().ok().and_then(|m| m.checked_mul(60)),
            _ => None,
        };
        let life = seconds.filter(|s| *s <= seconds_max).and_then(|s| Ttl::from_secs(s).ok());
        if life.is_none() {
            self.problem(format!("@{name} is no time from 1s to {seconds_max}s"));
        }
        life
    }

    fn controls(&mut self) -> Vec<String> {
        let list: Vec<String> = match self.policy.annotation("controls") {
            Some(text) => text.split(',').map(|id| id.trim().to_owned()).collect(),
            None => Vec::new(),
        };
        for id in &list {
            if controls::not_claimable(id) {
                self.problem(format!("@controls: the broker has no control for `{id}`"));
            } else if !controls::is_known(id) {
                self.problem(format!("@controls: no framework has an item `{}`", id.escape_debug()));
            }
        }
        list
    }
}

/// Checks that concern all policies together: unique ids, number, and strict validation against the schema.
pub(in crate::policy) fn check_all(rules: &[Rule], schema: Option<&Schema>, problems: &mut Vec<Problem>) {
    if rules.len() > POLICIES_MAX {
        problems.push(Problem::new("", format!("more than {POLICIES_MAX} policies")));
    }
    let mut by_id: BTreeMap<&PolicyId, &Rule> = BTreeMap::new();
    for rule in rules {
        if let Some(first) = by_id.insert(&rule.id, rule) {
            problems.push(Problem::new(&rule.path, format!("policy `{}` stands in `{}` too", rule.id, first.path)));
        }
    }
    let Some(schema) = schema else { return };
    let distinct = by_id.values().map(|r| r.cedar.clone());
    let set = match PolicySet::from_policies(distinct) {
        Ok(set) => set,
        Err(e) => return problems.push(Problem::new("", schema::in_words(&e))),
    };
    let result = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
    let errors = result.validation_errors().map(|e| (e.policy_id().to_string(), e.to_string()));
    let warnings = result.validation_warnings().map(|w| (w.policy_id().to_string(), w.to_string()));
    for (id, message) in errors.chain(warnings) {
        let path = rules.iter().find(|r| r.id.as_str() == id).map_or("", |r| r.path.as_str());
        problems.push(Problem::new(path, message.replace('\n', " ")));
    }
}
