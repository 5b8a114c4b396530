//! `decide`: from facts to a decision. A function of the policy bundle and the facts alone; the same for a request,
//! for the staying of a live grant, for a registration and for an amendment.

use cedar_policy::{EntityUid, Request};
use cedar_policy_core::ast::Context;

use super::bundle::PolicyBundle;
use super::combine::{Finding, Sheet};
use super::context::Shared;
use super::names::{Action, Kind};
use super::rules::{Rule, RuleEffect};
use super::slices::{Answer, Query};
use super::{answer, detail, glass, observe, registration, structure};
use crate::model::decision::{Decision, Outcome};
use crate::model::facts::{Facts, Question, RegistrationFacts};
use crate::model::id::{PolicyId, ToolName};
use crate::model::identity::IdentityClass;
use crate::model::limits::FLOOR_TTL_SECONDS;
use crate::model::reason::ReasonCode;
use crate::model::risk::{Assessment, Band};
use crate::model::time::Ttl;

/// Decides. No I/O, clock or randomness.
#[must_use]
pub fn decide(bundle: &PolicyBundle, facts: &Facts) -> Decision {
    let risk = bundle.risk().assess(bundle.catalogue(), facts);
    decide_at(bundle, facts, risk)
}

/// Decides as if the risk were this, whatever the facts say: for tables of what a bundle answers in each band.
#[must_use]
pub fn decide_at(bundle: &PolicyBundle, facts: &Facts, risk: Assessment) -> Decision {
    let mut sheet = Sheet::default();
    sheet.findings = structure::whole(facts);
    match facts.question {
        Question::Request | Question::Retain => entries(bundle, facts, &risk, &mut sheet),
        Question::Register => one_task(bundle, facts, &risk, Action::Register, &mut sheet),
        Question::Amend => one_task(bundle, facts, &risk, Action::Amend, &mut sheet),
        Question::BreakGlass => glass::opening(bundle, facts, &risk, &mut sheet),
    }
    floor(bundle, facts, &risk, &mut sheet);
    let observes = observe::observes(bundle, facts);
    let glass = glass::apply(bundle, facts, &mut sheet);
    let approval = answer::apply(bundle, facts, &risk, observes, &mut sheet);
    sheet.decide(facts, risk, (approval, glass), observes)
}

fn entries(bundle: &PolicyBundle, facts: &Facts, risk: &Assessment, sheet: &mut Sheet) {
    let shared = Shared::of_use(facts, risk, bundle.reads());
    let principals = principals(bundle, facts);
    for (number, entry) in facts.entries.iter().enumerate() {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let tool = match structure::tool(number, entry, facts, bundle.catalogue()) {
            Ok(tool) => tool,
            Err(finding) => {
                sheet.findings.push(finding);
                sheet.offers.push(Default::default());
                continue;
            }
        };
        let offer = structure::offer(number, entry, tool, &mut sheet.findings);
        let context = shared.entry(entry, tool, &offer.actions);
        let resource = bundle.types().uid(Kind::Tool, tool.name.as_str());
        let asked = Asked { action: Action::Use(tool.effect), resource, context, tool: Some(&tool.name) };
        let answer = ask(bundle, facts, &principals, asked);
        let about = |code| detail::of_entry(code, facts, entry, tool);
        enter(bundle, facts, answer, Some(number), about, sheet);
        sheet.offers.push(offer);
    }
}

fn one_task(bundle: &PolicyBundle, facts: &Facts, risk: &Assessment, action: Action, sheet: &mut Sheet) {
    let Some(asked) = &facts.registration else {
        return sheet.findings.push(Finding::whole(
            Outcome::Denied,
            ReasonCode::InvalidArgument,
            "nothing to register",
        ));
    };
    sheet.findings.extend(structure::registration(asked, bundle.catalogue()));
    let context = registration::of(facts, asked, risk, bundle.catalogue(), bundle.types(), bundle.reads());
    let resource = bundle.types().uid(Kind::Task, &facts.task.id.to_string());
    let answer =
        ask(bundle, facts, &principals(bundle, facts), Asked { action, resource, context: Some(context), tool: None });
    enter(bundle, facts, answer, None, |code| detail::of_registration(code, facts), sheet);
}

/// The principal, then the groups that it belongs to; empty for a class that may be no principal.
pub(in crate::policy) fn principals(bundle: &PolicyBundle, facts: &Facts) -> Vec<EntityUid> {
    if let Some(opening) = &facts.opening {
        // People are in no group.
        return vec![bundle.types().uid(Kind::Person, opening.by.as_str())];
    }
    let Some(kind) = Kind::of_class(facts.principal.class) else { return Vec::new() };
    let own = bundle.types().uid(kind, facts.principal.id.as_str());
    let groups =
        if bundle.slices().principal_groups { bundle.types().principal_groups(&facts.principal) } else { Vec::new() };
    [own].into_iter().chain(groups).collect()
}

/// One question to Cedar.
pub(in crate::policy) struct Asked<'a> {
    pub(in crate::policy) action: Action,
    pub(in crate::policy) resource: EntityUid,
    /// `None` when it could not be built, which denies.
    pub(in crate::policy) context: Option<Context>,
    pub(in crate::policy) tool: Option<&'a ToolName>,
}

/// Asks every policy that can match. A class that may be no principal of the action is answered by no policy.
pub(in crate::policy) fn ask(
    bundle: &PolicyBundle,
    facts: &Facts,
    principals: &[EntityUid],
    asked: Asked<'_>,
) -> Answer {
    let failed = || Answer { failed: vec![String::new()], ..Answer::default() };
    let class = if facts.opening.is_some() { IdentityClass::Human } else { facts.principal.class };
    let Some((principal, groups)) = principals.split_first().filter(|_| asked.action.classes().contains(&class)) else {
        return Answer { no_principal: true, ..Answer::default() };
    };
    let Some(context) = asked.context else { return failed() };
    let action = bundle.types().action(asked.action);
    let Ok(request) = Request::new(principal.clone(), action, asked.resource, context.into(), None) else {
        return failed();
    };
    let own_store = match groups {
        [] => None,
        // Without its groups a principal is in none of them, and a forbid about one would not apply.
        groups => match bundle.entities_with(asked.tool, principal, groups) {
            Some(store) => Some(store),
            None => return failed(),
        },
    };
    let query = Query {
        action: asked.action,
        class,
        principals,
        tool: asked.tool,
        request: &request,
        entities: own_store.as_ref().unwrap_or_else(|| bundle.entities()),
    };
    bundle.slices().evaluate(&query)
}

/// Enters Cedar's answer: errors deny, no permit denies, and every forbid that applies adds its finding.
pub(in crate::policy) fn enter(
    bundle: &PolicyBundle,
    facts: &Facts,
    answer: Answer,
    entry: Option<u32>,
    about: impl Fn(ReasonCode) -> String,
    sheet: &mut Sheet,
) {
    let finding = |outcome, code, detail: String| Finding { entry, ..Finding::whole(outcome, code, detail) };
    for id in &answer.failed {
        let detail = "its evaluation failed".to_owned();
        let policy = id.parse::<PolicyId>().ok();
        sheet.findings.push(Finding { policy, ..finding(Outcome::Denied, ReasonCode::PolicyError, detail) });
    }
    // What comes of a use is a token. For a caller who proved no key, only permits that say so are any.
    let keyless = entry.is_some() && !facts.principal.authentication.proves_key();
    if answer.permits.is_empty() {
        // Without a permit there is none that says how long a token bound to no key may live; and where no policy was asked, it is
        // no answer of theirs.
        let is_answer = !keyless && !answer.no_principal;
        sheet.findings.push(Finding { is_answer, ..finding(Outcome::Denied, ReasonCode::NoPermit, String::new()) });
    } else if keyless && !answer.permits.iter().filter_map(|id| bundle.rule(id)).any(|rule| rule.unbound.is_some()) {
        let shown = facts.principal.authentication.as_str().to_owned();
        sheet.findings.push(finding(Outcome::Denied, ReasonCode::KeyNotProven, shown));
    }
    for id in answer.permits.iter().chain(&answer.forbids) {
        // INVARIANT: the slices hold the bundle's rules and nothing else.
        let Some(Rule { id, effect, ttl, unbound, .. }) = bundle.rule(id) else { continue };
        if keyless && *effect == RuleEffect::Permit {
            if unbound.is_none() {
                continue;
            }
            sheet.permit_lives(*unbound);
        }
        sheet.policies.insert(id.clone());
        match *effect {
            RuleEffect::Permit => sheet.permit_lives(*ttl),
            RuleEffect::Forbid { reason, outcome, approvals } => {
                sheet.forbid_lives(*ttl);
                let keeps_entry = ttl.is_some();
                // A task has no token whose life could be cut: there the rule means what any other does.
                let shortens_to = ttl.filter(|_| outcome == Outcome::Narrowed && entry.is_some());
                // Of a task there is no part to leave out.
                let outcome = if entry.is_none() { outcome.max(Outcome::StepUp) } else { outcome };
                let policy = Some(id.clone());
                sheet.findings.push(Finding {
                    policy,
                    approvals,
                    keeps_entry,
                    shortens_to,
                    // How long a token lives at most holds also where policy only observes.
                    is_answer: shortens_to.is_none(),
                    ..finding(outcome, reason, about(reason))
                });
            }
        }
    }
}

/// The least that the band asks for, outside Cedar; at most a review, because denying takes a rule.
fn floor(bundle: &PolicyBundle, facts: &Facts, risk: &Assessment, sheet: &mut Sheet) {
    if facts.question == Question::BreakGlass {
        // It is there for what a band holds up. What may not be opened at which risk, forbids say.
        return;
    }
    let grows = |asked: &RegistrationFacts| asked.widens || asked.first_ceiling;
    if facts.question == Question::Amend && !facts.registration.as_ref().is_some_and(grows) {
        // Where something looks odd, to have less is the last thing to wait for anybody.
        return;
    }
    let outcome = bundle.risk().floor(facts.principal.class, risk.band).min(Outcome::Review);
    let detail = format!("score {}, band {}", risk.score.points(), risk.band);
    // What a lower band shortens a higher one shortens too: what an approval takes away of the higher is not to leave a longer life.
    let narrows = |band: &Band| bundle.risk().floor(facts.principal.class, *band) == Outcome::Narrowed;
    if facts.registration.is_none() && Band::ALL.iter().any(|band| *band <= risk.band && narrows(band)) {
        let finding = Finding::whole(Outcome::Narrowed, ReasonCode::TtlShortened, detail.clone());
        let shortens_to = Ttl::from_secs(FLOOR_TTL_SECONDS).ok();
        sheet.findings.push(Finding { keeps_entry: true, shortens_to, ..finding });
        sheet.forbid_lives(shortens_to);
    }
    match outcome {
        Outcome::Granted | Outcome::Narrowed | Outcome::Denied => {}
        Outcome::StepUp | Outcome::Review => {
            let code = if outcome == Outcome::StepUp { ReasonCode::RiskHigh } else { ReasonCode::RiskCritical };
            sheet.findings.push(Finding { is_answer: true, ..Finding::whole(outcome, code, detail) });
        }
    }
}

#[cfg(test)]
pub(in crate::policy) mod tests;
