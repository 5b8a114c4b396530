//! Facts as Cedar's context for the use of a tool, by the names of the schema. Made of Cedar's values at once: as expressions,
//! which it would evaluate first, they would cost more than the policies, and only of members that some policy may read.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use cedar_policy_core::ast::{Context, Name, RestrictedExpr, Value};
use cedar_policy_core::evaluator::RestrictedEvaluator;
use cedar_policy_core::extensions::Extensions;

use crate::catalogue::tool::Tool;
use crate::model::ceiling::CeilingFit;
use crate::model::decimal::Decimal;
use crate::model::facts::{EntryFacts, Facts, PrincipalFacts, SessionFacts, SinkFacts};
use crate::model::provenance::Provenance;
use crate::model::risk::{Assessment, Band};
use crate::model::sink::SinkKind;
use crate::policy::reads::Reads;

type Pair = (&'static str, Value);

/// What stays the same for every entry of one request.
pub(in crate::policy) struct Shared<'a> {
    reads: &'a Reads,
    pairs: Vec<Pair>,
}

impl<'a> Shared<'a> {
    pub(in crate::policy) fn of_use(facts: &Facts, risk: &Assessment, reads: &'a Reads) -> Self {
        let pairs = Members::of_context(reads)
            .with("question", || text(facts.question.as_str()))
            .with("audience", || text(facts.audience.as_ref().map_or("", |a| a.as_str())))
            .with("caller", || caller(&facts.principal, reads))
            .with("initiator", || initiator(facts, reads))
            .with("task", || task(facts, reads))
            .with("risk", || risk_record(risk, reads))
            .pairs;
        Self { reads, pairs }
    }

    /// The context of one entry, which meets that session; `None` when it cannot be made, which denies.
    pub(in crate::policy) fn entry(
        &self,
        entry: &EntryFacts,
        (tool, actions): (&Tool, &[String]),
        seen: &SessionFacts,
    ) -> Option<Context> {
        let own = Members::of_context(self.reads)
            .with("call", || call(entry, tool, actions, self.reads))
            .with("session", || session(seen, self.reads))
            .try_with("sinks", || sinks(&entry.sinks, self.reads))?;
        Some(context(self.pairs.iter().cloned().chain(own.pairs)))
    }
}

/// The members of the context, or of a record in it, that some policy may read.
pub(in crate::policy) struct Members<'a> {
    reads: &'a Reads,
    /// The record; `None` for the context itself.
    record: Option<&'static str>,
    pairs: Vec<Pair>,
}

impl<'a> Members<'a> {
    pub(in crate::policy) const fn of_context(reads: &'a Reads) -> Self {
        Self { reads, record: None, pairs: Vec::new() }
    }

    pub(in crate::policy) const fn of(record: &'static str, reads: &'a Reads) -> Self {
        Self { reads, record: Some(record), pairs: Vec::new() }
    }

    pub(in crate::policy) fn with(mut self, name: &'static str, value: impl FnOnce() -> Value) -> Self {
        if self.is_read(name) {
            self.pairs.push((name, value()));
        }
        self
    }

    /// As [`Members::with`], of a value that cannot always be made.
    fn try_with(mut self, name: &'static str, value: impl FnOnce() -> Option<Value>) -> Option<Self> {
        if self.is_read(name) {
            self.pairs.push((name, value()?));
        }
        Some(self)
    }

    fn is_read(&self, name: &str) -> bool {
        self.record.map_or_else(|| self.reads.member(name), |record| self.reads.inner(record, name))
    }

    pub(in crate::policy) fn context(self) -> Context {
        context(self.pairs)
    }

    pub(in crate::policy) fn record(self) -> Value {
        Value::record(self.pairs, None)
    }
}

/// The context of these members.
pub(in crate::policy) fn context(pairs: impl IntoIterator<Item = Pair>) -> Context {
    let members = pairs.into_iter().map(|(name, value)| (name.into(), value));
    Context::Value(Arc::new(members.collect()))
}

pub(in crate::policy) fn caller(principal: &PrincipalFacts, reads: &Reads) -> Value {
    Members::of("caller", reads)
        .with("spiffe_id", || text(principal.id.as_str()))
        .with("trust_domain", || text(principal.id.trust_domain_name()))
        .with("authentication", || text(principal.authentication.as_str()))
        .with("owned", || flag(principal.owner.is_some()))
        .with("svid_age_s", || long(principal.svid_age_s))
        .with("network_declared", || flag(principal.network_declared))
        .with("profile_changed", || flag(!principal.profile_changes.is_empty()))
        .with("profile_changes", || texts(principal.profile_changes.iter().map(|p| p.as_str())))
        .record()
}

pub(in crate::policy) fn initiator(facts: &Facts, reads: &Reads) -> Value {
    Members::of("initiator", reads)
        .with("name", || text(facts.initiator.name.as_str()))
        .with("verified", || flag(facts.initiator.verified))
        .record()
}

pub(in crate::policy) fn risk_record(risk: &Assessment, reads: &Reads) -> Value {
    let reached = Band::ALL.into_iter().filter(|b| *b <= risk.band).map(Band::as_str);
    Members::of("risk", reads)
        .with("score", || long(u64::from(risk.score.points())))
        .with("reached", || texts(reached))
        .with("signals", || texts(risk.contributions.iter().map(|c| c.signal.as_str())))
        .record()
}

fn task(facts: &Facts, reads: &Reads) -> Value {
    let task = &facts.task;
    Members::of("task", reads)
        .with("orchestrator", || text(task.orchestrator.as_str()))
        .with("agent", || text(task.agent.as_str()))
        .with("depth", || long(u64::from(task.depth)))
        .with("ceiling_declared", || flag(task.ceiling_declared))
        .with("age_s", || long(task.age_s))
        .with("remaining_s", || long(task.remaining_s))
        .record()
}

fn session(session: &SessionFacts, reads: &Reads) -> Value {
    Members::of("session", reads)
        .with("calls", || long(u64::from(session.calls)))
        .with("untrusted_input", || flag(session.untrusted_input))
        .with("private", || flag(!session.carries.is_empty()))
        .with("carries", || texts(session.carries.iter().map(|c| c.as_str())))
        .with("overflowed", || flag(session.overflowed))
        .record()
}

fn call(entry: &EntryFacts, tool: &Tool, actions: &[String], reads: &Reads) -> Value {
    let classes: BTreeSet<_> = tool.data_classes.iter().chain(&entry.data_classes).map(|c| c.as_str()).collect();
    Members::of("call", reads)
        .with("actions", || texts(actions.iter().map(String::as_str)))
        .with("resources", || texts(entry.resources.iter().map(String::as_str)))
        .with("data_classes", || texts(classes))
        .with("ceiling", || text(CeilingFit::as_str(&entry.ceiling)))
        .with("intent_fit", || text(entry.intent_fit.verdict.as_str()))
        .with("delegated", || flag(entry.intent_fit.delegates))
        .with("calls_before", || long(u64::from(entry.calls_before)))
        .with("conflicts", || texts(entry.conflicts.iter().map(|c| c.with.as_str())))
        .with("dictated", || flag(!entry.dictated.is_empty()))
        .with("dictated_by_outsiders", || flag(entry.dictated.iter().any(|d| d.by_outsiders)))
        .record()
}

/// `None` when the sum of the amounts is none that Cedar takes, which denies.
fn sinks(sinks: &[SinkFacts], reads: &Reads) -> Option<Value> {
    let from = |p: Provenance| sinks.iter().filter(move |s| s.provenance == p);
    let number = |p: Provenance| long(u64::try_from(from(p).count()).unwrap_or(u64::MAX));
    let kinds = |p: Provenance| texts(from(p).map(|s| s.kind.as_str()).collect::<BTreeSet<_>>());
    let values = |kind: SinkKind| texts(sinks.iter().filter(|s| s.kind == kind).map(|s| s.value.as_str()));
    let beside: BTreeSet<_> = sinks.iter().filter(|s| s.beside_intent).map(|s| s.kind.as_str()).collect();
    let worst = sinks.iter().map(|s| s.provenance).max().unwrap_or(Provenance::Intent);
    let declared = |s: &SinkFacts| matches!(s.provenance, Provenance::Intent | Provenance::Ceiling);
    let undeclared: BTreeSet<_> = sinks.iter().filter(|s| !declared(s)).map(|s| s.kind.as_str()).collect();
    Some(
        Members::of("sinks", reads)
            .with("count", || long(u64::try_from(sinks.len()).unwrap_or(u64::MAX)))
            .with("declared", || flag(!sinks.is_empty() && sinks.iter().all(declared)))
            .with("grounded", || flag(sinks.iter().all(|s| s.provenance.is_grounded())))
            .with("undeclared", || texts(undeclared))
            .with("worst", || text(worst.as_str()))
            .with("text", || kinds(Provenance::Text))
            .with("unseen", || kinds(Provenance::None))
            .with("beside_intent", || texts(beside))
            .with("from_intent", || number(Provenance::Intent))
            .with("from_ceiling", || number(Provenance::Ceiling))
            .with("from_field", || number(Provenance::Field))
            .with("from_argument", || number(Provenance::Argument))
            .with("from_text", || number(Provenance::Text))
            .with("from_nowhere", || number(Provenance::None))
            .with("addresses", || values(SinkKind::Address))
            .with("accounts", || values(SinkKind::Account))
            .with("urls", || values(SinkKind::Url))
            .with("paths", || values(SinkKind::Path))
            .with("ids", || values(SinkKind::Id))
            .with("others", || values(SinkKind::Other))
            .try_with("amount_max", || decimal(amount_max(sinks)))?
            .record(),
    )
}

/// All amounts of the call together, without their signs, in ten-thousandths, each rounded up; what is too large, or no amount, is
/// the largest there is, so that a rule about large amounts never misses one, be it in parts.
fn amount_max(sinks: &[SinkFacts]) -> i64 {
    let amounts = sinks.iter().filter(|s| s.kind == SinkKind::Amount);
    amounts.fold(0_i64, |sum, s| sum.saturating_add(ten_thousandths(&s.value)))
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
