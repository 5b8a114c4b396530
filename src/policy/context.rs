//! Facts as Cedar's context for the use of a tool, by the names of the schema. Made of Cedar's values at once: as expressions,
//! which it would evaluate first, they would cost more than the policies.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use cedar_policy_core::ast::{Context, Name, RestrictedExpr, Value};
use cedar_policy_core::evaluator::RestrictedEvaluator;
use cedar_policy_core::extensions::Extensions;

use crate::catalogue::tool::Tool;
use crate::model::ceiling::CeilingFit;
use crate::model::decimal::Decimal;
use crate::model::facts::{EntryFacts, Facts, PrincipalFacts, SinkFacts};
use crate::model::provenance::Provenance;
use crate::model::risk::{Assessment, Band};
use crate::model::sink::SinkKind;

type Pair = (&'static str, Value);

/// What stays the same for every entry of one request.
pub(in crate::policy) struct Shared {
    pairs: Vec<Pair>,
}

impl Shared {
    pub(in crate::policy) fn of_use(facts: &Facts, risk: &Assessment) -> Self {
        let pairs = vec![
            ("question", text(facts.question.as_str())),
            ("audience", text(facts.audience.as_ref().map_or("", |a| a.as_str()))),
            ("caller", caller(&facts.principal)),
            ("initiator", initiator(facts)),
            ("task", task(facts)),
            ("session", session(facts)),
            ("risk", risk_record(risk)),
        ];
        Self { pairs }
    }

    /// The context of one entry; `None` when it cannot be made, which denies.
    pub(in crate::policy) fn entry(&self, entry: &EntryFacts, tool: &Tool, actions: &[String]) -> Option<Context> {
        let own = [("call", call(entry, tool, actions)), ("sinks", sinks(&entry.sinks)?)];
        Some(context(self.pairs.iter().cloned().chain(own)))
    }
}

/// The context of these members.
pub(in crate::policy) fn context(pairs: impl IntoIterator<Item = Pair>) -> Context {
    let members = pairs.into_iter().map(|(name, value)| (name.into(), value));
    Context::Value(Arc::new(members.collect()))
}

pub(in crate::policy) fn caller(principal: &PrincipalFacts) -> Value {
    record([
        ("spiffe_id", text(principal.id.as_str())),
        ("trust_domain", text(principal.id.trust_domain_name())),
        ("owned", flag(principal.owner.is_some())),
        ("svid_age_s", long(principal.svid_age_s)),
        ("network_declared", flag(principal.network_declared)),
        ("profile_changed", flag(!principal.profile_changes.is_empty())),
        ("profile_changes", texts(principal.profile_changes.iter().map(|p| p.as_str()))),
    ])
}

pub(in crate::policy) fn initiator(facts: &Facts) -> Value {
    record([("name", text(facts.initiator.name.as_str())), ("verified", flag(facts.initiator.verified))])
}

pub(in crate::policy) fn risk_record(risk: &Assessment) -> Value {
    let reached = Band::ALL.into_iter().filter(|b| *b <= risk.band).map(Band::as_str);
    record([
        ("score", long(u64::from(risk.score.points()))),
        ("reached", texts(reached)),
        ("signals", texts(risk.contributions.iter().map(|c| c.signal.as_str()))),
    ])
}

fn task(facts: &Facts) -> Value {
    let task = &facts.task;
    record([
        ("orchestrator", text(task.orchestrator.as_str())),
        ("agent", text(task.agent.as_str())),
        ("depth", long(u64::from(task.depth))),
        ("ceiling_declared", flag(task.ceiling_declared)),
        ("age_s", long(task.age_s)),
        ("remaining_s", long(task.remaining_s)),
    ])
}

fn session(facts: &Facts) -> Value {
    let session = &facts.session;
    record([
        ("calls", long(u64::from(session.calls))),
        ("untrusted_input", flag(session.untrusted_input)),
        ("private", flag(!session.carries.is_empty())),
        ("carries", texts(session.carries.iter().map(|c| c.as_str()))),
        ("overflowed", flag(session.overflowed)),
    ])
}

fn call(entry: &EntryFacts, tool: &Tool, actions: &[String]) -> Value {
    let classes: BTreeSet<_> = tool.data_classes.iter().chain(&entry.data_classes).map(|c| c.as_str()).collect();
    record([
        ("actions", texts(actions.iter().map(String::as_str))),
        ("resources", texts(entry.resources.iter().map(String::as_str))),
        ("data_classes", texts(classes)),
        ("ceiling", text(CeilingFit::as_str(&entry.ceiling))),
        ("intent_fit", text(entry.intent_fit.verdict.as_str())),
        ("delegated", flag(entry.intent_fit.delegates)),
        ("calls_before", long(u64::from(entry.calls_before))),
        ("conflicts", texts(entry.conflicts.iter().map(|c| c.with.as_str()))),
        ("dictated", flag(!entry.dictated.is_empty())),
        ("dictated_by_outsiders", flag(entry.dictated.iter().any(|d| d.by_outsiders))),
    ])
}

/// `None` when the largest amount is none that Cedar takes, which denies.
fn sinks(sinks: &[SinkFacts]) -> Option<Value> {
    let from = |p: Provenance| sinks.iter().filter(move |s| s.provenance == p);
    let number = |p: Provenance| long(u64::try_from(from(p).count()).unwrap_or(u64::MAX));
    let kinds = |p: Provenance| texts(from(p).map(|s| s.kind.as_str()).collect::<BTreeSet<_>>());
    let values = |kind: SinkKind| texts(sinks.iter().filter(|s| s.kind == kind).map(|s| s.value.as_str()));
    let beside: BTreeSet<_> = sinks.iter().filter(|s| s.beside_intent).map(|s| s.kind.as_str()).collect();
    let worst = sinks.iter().map(|s| s.provenance).max().unwrap_or(Provenance::Intent);
    let declared = |s: &SinkFacts| matches!(s.provenance, Provenance::Intent | Provenance::Ceiling);
    let undeclared: BTreeSet<_> = sinks.iter().filter(|s| !declared(s)).map(|s| s.kind.as_str()).collect();
    Some(record([
        ("count", long(u64::try_from(sinks.len()).unwrap_or(u64::MAX))),
        ("declared", flag(!sinks.is_empty() && sinks.iter().all(declared))),
        ("grounded", flag(sinks.iter().all(|s| s.provenance.is_grounded()))),
        ("undeclared", texts(undeclared)),
        ("worst", text(worst.as_str())),
        ("text", kinds(Provenance::Text)),
        ("unseen", kinds(Provenance::None)),
        ("beside_intent", texts(beside)),
        ("from_intent", number(Provenance::Intent)),
        ("from_ceiling", number(Provenance::Ceiling)),
        ("from_field", number(Provenance::Field)),
        ("from_argument", number(Provenance::Argument)),
        ("from_text", number(Provenance::Text)),
        ("from_nowhere", number(Provenance::None)),
        ("addresses", values(SinkKind::Address)),
        ("accounts", values(SinkKind::Account)),
        ("urls", values(SinkKind::Url)),
        ("paths", values(SinkKind::Path)),
        ("ids", values(SinkKind::Id)),
        ("others", values(SinkKind::Other)),
        ("amount_max", decimal(amount_max(sinks))?),
    ]))
}

/// The largest amount without its sign in ten-thousandths, rounded up; what is too large, or no amount, is the largest
/// there is, so that a rule about large amounts never misses one.
fn amount_max(sinks: &[SinkFacts]) -> i64 {
    let amounts = sinks.iter().filter(|s| s.kind == SinkKind::Amount);
    amounts.map(|s| ten_thousandths(&s.value)).max().unwrap_or(0)
}

/// An amount as Cedar's decimal, which only its own function can make.
pub(in crate::policy) fn decimal(ten_thousandths: i64) -> Option<Value> {
    static DECIMAL: LazyLock<Option<Name>> = LazyLock::new(|| Name::parse_unqualified_name("decimal").ok());
    // Most calls carry no amount and share this one.
    static NONE: LazyLock<Option<Value>> = LazyLock::new(|| made(0));
    fn made(ten_thousandths: i64) -> Option<Value> {
        let written = RestrictedExpr::val(written(ten_thousandths));
        let called = RestrictedExpr::call_extension_fn(DECIMAL.clone()?, [written]);
        RestrictedEvaluator::new(Extensions::all_available()).interpret(called.as_borrowed()).ok()
    }
    if ten_thousandths == 0 { NONE.clone() } else { made(ten_thousandths) }
}

/// With four places, which is what Cedar has.
pub(in crate::policy) fn written(ten_thousandths: i64) -> String {
    format!("{}.{:04}", ten_thousandths / 10_000, ten_thousandths % 10_000)
}

fn ten_thousandths(value: &str) -> i64 {
    let Ok(decimal) = value.parse::<Decimal>() else { return i64::MAX };
    let digits = decimal.to_string();
    let (whole, fraction) =
        digits.trim_start_matches('-').split_once('.').unwrap_or((digits.trim_start_matches('-'), ""));
    let (kept, rest) = fraction.split_at_checked(4).unwrap_or((fraction, ""));
    // INVARIANT: a decimal is in its lowest form, so digits beyond the fourth place are not all zero.
    let round_up = i64::from(!rest.is_empty());
    format!("{whole}{kept:0<4}").parse::<i64>().ok().and_then(|u| u.checked_add(round_up)).unwrap_or(i64::MAX)
}

pub(in crate::policy) fn record<const N: usize>(members: [Pair; N]) -> Value {
    Value::record(members, None)
}

pub(in crate::policy) fn flag(value: bool) -> Value {
    Value::from(value)
}

pub(in crate::policy) fn long(value: u64) -> Value {
    Value::from(i64::try_from(value).unwrap_or(i64::MAX))
}

pub(in crate::policy) fn text(value: &str) -> Value {
    Value::from(value)
}

pub(in crate::policy) fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> Value {
    Value::set_of_lits(values.into_iter().map(Into::into), None)
}

#[cfg(test)]
mod tests;
