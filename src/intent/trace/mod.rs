//! Where the value of a sink came from: the intent, the ceiling, a field, an argument, text, or nowhere.

use std::cell::LazyCell;
use std::ops::Deref;

use super::fit;
use super::leaves::{Leaf, Said, Standing};
use super::session::Session;
use super::task::Intent;
use super::{spelling, words};
use crate::catalogue::tool::{Catalogue, Tool};
use crate::model::ceiling::{Ceiling, SinkCeiling};
use crate::model::decimal::Decimal;
use crate::model::facts::{DictatedFacts, SinkFacts};
use crate::model::id::ToolName;
use crate::model::provenance::{Evidence, Provenance, Seen};
use crate::model::sink::{SinkKind, SinkSpec};

pub(super) mod unsearched;

/// What a value can be grounded in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ground<'a> {
    pub(super) intent: &'a Intent,
    /// Ceilings that an orchestrator wrote.
    pub(super) declared: &'a [&'a Ceiling],
    pub(super) session: &'a Session,
    /// Where it is looked up who is in the sets of accounts that the ceilings name. Without one nobody is.
    pub(super) catalogue: Option<&'a Catalogue>,
}

/// Who uses a value.
#[derive(Debug, Clone, Copy)]
pub(super) struct By<'a> {
    pub(super) tool: &'a ToolName,
    /// It does more than read, as far as is known.
    pub(super) effectful: bool,
}

impl<'a> By<'a> {
    pub(super) fn new(tool: &'a ToolName, spec: Option<&Tool>) -> Self {
        Self { tool, effectful: spec.is_none_or(|spec| spec.effect.is_effectful()) }
    }
}

/// Shortest argument, in bytes, that counts as content: shorter ones stand in any text by chance.
pub(super) const DICTATED_BYTES_MIN: usize = 20;
/// Most sentences of one argument that are looked for: a bound on work.
const SENTENCES_MAX: usize = 64;

/// One value of a sink with its origin and what speaks about it.
pub(super) fn sink(sink: &SinkSpec, value: String, by: By<'_>, ground: &Ground<'_>) -> SinkFacts {
    let (provenance, evidence) = match self::ground(sink, &value, by, ground) {
        Some((provenance, evidence)) => (provenance, evidence),
        None if is_refused(sink, &value, by, ground.intent) => {
            let evidence = Evidence {
                call: None,
                position: 0,
                tool: String::new(),
                field: String::new(),
                seen: Some(Seen::Refused),
            };
            (Provenance::None, Some(evidence))
        }
        None => seen(sink, &value, ground.session),
    };
    let other_of_kind = match sink.kind {
        SinkKind::Address => spelling::is_address(&value),
        SinkKind::Url => true,
        _ => false,
    };
    let beside_intent = other_of_kind
        && !matches!(provenance, Provenance::Intent | Provenance::Ceiling)
        && spelling::names_any(ground.intent.as_str(), sink.kind);
    SinkFacts { name: sink.name.clone(), kind: sink.kind, value, provenance, evidence, beside_intent }
}

/// What grounds a value (canonical), if anything does.
pub(super) fn ground(
    sink: &SinkSpec,
    value: &str,
    by: By<'_>,
    ground: &Ground<'_>,
) -> Option<(Provenance, Option<Evidence>)> {
    grounded(sink, value, by, ground, true)
}

/// What grounds it so that to have said it makes it ground for other sinks and tools, too. What merely a pattern lets in is the agent's own
/// choice among what the pattern or the set of accounts holds: ground for this sink of this tool, and for nothing else.
pub(super) fn lasting(sink: &SinkSpec, value: &str, by: By<'_>, ground: &Ground<'_>) -> Option<Provenance> {
    grounded(sink, value, by, ground, false).map(|(provenance, _)| provenance)
}

fn grounded(
    sink: &SinkSpec,
    value: &str,
    by: By<'_>,
    ground: &Ground<'_>,
    patterns_count: bool,
) -> Option<(Provenance, Option<Evidence>)> {
    // Most values need none.
    let nouns = LazyCell::new(|| nouns(&sink.name, by.tool));
    let named = names(ground.intent.as_str(), sink, value, &nouns);
    // What is read may be named as what shall not be touched; where something goes, and what is done, may not.
    let holds = by.effectful || is_place(sink.kind);
    let affirmed = named && (!holds || names(ground.intent.affirmed(), sink, value, &nouns));
    if affirmed {
        return Some((Provenance::Intent, None));
    }
    if is_listed(sink, value, by.tool, ground.declared) {
        return Some((Provenance::Ceiling, None));
    }
    // However it was read or said since, the intent says that it is not to be this one. An amount in a field may be another one.
    let refused = named && by.effectful;
    if refused && sink.kind != SinkKind::Amount {
        return None;
    }
    let names = |limits| super::ceiling::names(limits, sink.kind, value, ground.catalogue);
    let is_let_in = || limits(ground.declared, by.tool, sink).any(names);
    if patterns_count && is_let_in() {
        return Some((Provenance::Ceiling, None));
    }
    let counts = is_counted(sink, value);
    let leaf = ground.session.leaves().whole(sink.kind, value).filter(|l| l.standing.grounds(sink.kind));
    let leaf = leaf.filter(|l| !refused || !matches!(l.standing, Standing::Argument(_)));
    let is_echo = LazyCell::new(|| ground.session.echoes(value));
    let leaf = leaf.filter(|l| !ground.session.is_sent_digest(l, || *is_echo));
    let leaf = leaf.filter(|l| knows(sink, counts, &nouns, l, ground.session)).min_by_key(|l| (l.standing, l.call))?;
    let was_sent = matches!(leaf.standing, Standing::Argument(_));
    let provenance = if was_sent { Provenance::Argument } else { Provenance::Field };
    Some((provenance, Some(evidence(&leaf, ground.session, None))))
}

/// True when the intent names the value, and only as what shall not be.
fn is_refused(sink: &SinkSpec, value: &str, by: By<'_>, intent: &Intent) -> bool {
    let nouns = LazyCell::new(|| nouns(&sink.name, by.tool));
    (by.effectful || is_place(sink.kind))
        && names(intent.as_str(), sink, value, &nouns)
        && !names(intent.affirmed(), sink, value, &nouns)
}

/// True when prose names the value as what it is.
fn names(prose: &str, sink: &SinkSpec, value: &str, nouns: &impl Deref<Target = Vec<String>>) -> bool {
    if is_counted(sink, value) {
        spelling::counter_stands_in(prose, value, nouns)
    } else if sink.kind == SinkKind::Amount && nouns.iter().any(|noun| QUANTITY_WORDS.contains(&noun.as_str())) {
        spelling::quantity_stands_in(prose, value)
    } else {
        spelling::stands_in(prose, sink.kind, value)
    }
}

fn is_counted(sink: &SinkSpec, value: &str) -> bool {
    sink.kind == SinkKind::Id && spelling::is_counter(value)
}

/// Where something goes, or what web page or file it is about.
const fn is_place(kind: SinkKind) -> bool {
    matches!(kind, SinkKind::Address | SinkKind::Account | SinkKind::Url | SinkKind::Path)
}

/// Where a value that nothing grounds was seen.
fn seen(sink: &SinkSpec, value: &str, session: &Session) -> (Provenance, Option<Evidence>) {
    let leaves = session.leaves();
    // The first call that told it, in whatever way.
    let whole = leaves.whole(sink.kind, value).min_by_key(|leaf| leaf.call).map(|leaf| (leaf, true));
    let within = || Some((leaves.within(sink.kind, value).next()?, false));
    let mut unread = None;
    let said = || match leaves.saying(sink.kind, value)? {
        Said::Here(leaf) => Some((leaf, false)),
        Said::Unread(leaf) => {
            unread = Some(leaf);
            None
        }
    };
    // Told as something else by whoever told a digest alone, it stands there all the same.
    let told = || Some((leaves.digests.any(value).into_iter().next()?, true));
    let Some((leaf, whole)) = whole.or_else(within).or_else(said).or_else(told) else {
        // An outsider who writes much before it hides nothing by that. Of all else what was never seen asks for more.
        let own_words = matches!(sink.kind, SinkKind::Amount | SinkKind::Other);
        return match unread.filter(|_| own_words) {
            Some(leaf) => (Provenance::Text, Some(evidence(&leaf, session, Some(Seen::Unread)))),
            None => unsearched::seen(sink, session).unwrap_or((Provenance::None, None)),
        };
    };
    let may_be_sent = session.is_sent_digest(&leaf, || session.echoes(value));
    let seen = match leaf.standing {
        Standing::Field | Standing::Done if may_be_sent => Seen::MaybeEcho,
        standing => standing.seen(whole),
    };
    (Provenance::Text, Some(evidence(&leaf, session, Some(seen))))
}

/// Content that was dictated: an argument that stands word for word in what was read, or of which a sentence does: a greeting
/// put before it makes it no less so. `None` when none does, when they are short, when the intent holds them, or when only the
/// agent itself had said them.
pub(super) fn dictated(name: &str, text: &str, ground: &Ground<'_>) -> Option<DictatedFacts> {
    let lines = text.split('\n').flat_map(|line| line.split(". "));
    let sentences = lines.flat_map(|s| s.split("! ")).flat_map(|s| s.split("? ")).map(str::trim);
    let sentences = sentences.filter(|s| s.len() < text.len());
    let mut parts = std::iter::once(text).chain(sentences.take(SENTENCES_MAX));
    parts.find_map(|part| said_before(name, part, ground))
}

fn said_before(name: &str, text: &str, ground: &Ground<'_>) -> Option<DictatedFacts> {
    if text.len() < DICTATED_BYTES_MIN || ground.intent.as_str().contains(text) {
        return None;
    }
    let read = |l: &Leaf<'_>| !matches!(l.standing, Standing::Echo | Standing::Argument(_));
    let mut first = None;
    for leaf in ground.session.leaves().holding(text).filter(read) {
        if leaf.standing.is_anybodys() {
            first = Some(leaf);
            break;
        }
        first = first.or(Some(leaf));
    }
    let leaf = first?;
    let own = matches!(leaf.standing, Standing::Field | Standing::Done | Standing::Unread | Standing::TakenBack);
    let evidence = evidence(&leaf, ground.session, Some(leaf.standing.seen(false)));
    Some(DictatedFacts { name: name.to_owned(), evidence, by_outsiders: !own, is_sink: false })
}

/// The text in which outsiders point at an object that the agent could have chosen by itself: its id or path is ground by a field
/// or an earlier argument, and what they wrote names it too. A short number is named only with its noun (`file 13`). Of what
/// `administers`, names are objects as well: of a service, of an account that is locked.
pub(super) fn pointed_out(
    sink: &SinkFacts,
    tool: &ToolName,
    administers: bool,
    ground: &Ground<'_>,
) -> Option<DictatedFacts> {
    let is_named = administers && matches!(sink.kind, SinkKind::Other | SinkKind::Account);
    let is_object = is_named || matches!(sink.kind, SinkKind::Id | SinkKind::Path);
    if !is_object || !matches!(sink.provenance, Provenance::Field | Provenance::Argument) {
        return None;
    }
    let counts = sink.kind == SinkKind::Id && spelling::is_counter(&sink.value);
    let nouns = LazyCell::new(|| nouns(&sink.name, tool));
    let names_it = |leaf: &Leaf<'_>| {
        leaf.standing.is_anybodys()
            // An outsider's whole field holds what the record is about, in no words of theirs.
            && leaf.text.trim() != sink.value
            && (!counts || spelling::counter_stands_in(leaf.text, &sink.value, &nouns))
    };
    let leaves = ground.session.leaves();
    // As people begin a name, too: what names it for ground names it for doubt.
    let begun = || leaves.begun(sink.kind, &sink.value).find(names_it);
    let exactly = leaves.within(sink.kind, &sink.value).find(names_it);
    let leaf = exactly.or_else(|| if is_named && sink.kind == SinkKind::Other { begun() } else { None })?;
    let evidence = evidence(&leaf, ground.session, Some(leaf.standing.seen(false)));
    Some(DictatedFacts { name: sink.name.clone(), evidence, by_outsiders: true, is_sink: true })
}

fn evidence(leaf: &Leaf<'_>, session: &Session, seen: Option<Seen>) -> Evidence {
    let (tool, position) = session.call(leaf.call).map_or((String::new(), 0), |(t, p)| (t.to_string(), p));
    Evidence { call: Some(u32::from(leaf.call)), position, tool, field: leaf.path.to_owned(), seen }
}

/// True when an orchestrator's ceiling lists the value itself, or an amount is below its cap.
fn is_listed(sink: &SinkSpec, value: &str, tool: &ToolName, declared: &[&Ceiling]) -> bool {
    limits(declared, tool, sink).any(|limits| {
        // A declared cap is the orchestrator's word for every amount below it.
        let amount = || value.parse::<Decimal>().ok();
        let is_below =
            |max: Decimal| sink.kind == SinkKind::Amount && amount().is_some_and(|a| a <= max && !a.is_negative());
        super::ceiling::lists(limits, sink.kind, value) || limits.per_call_max.is_some_and(is_below)
    })
}

fn limits<'a>(
    declared: &'a [&'a Ceiling],
    tool: &'a ToolName,
    sink: &'a SinkSpec,
) -> impl Iterator<Item = &'a SinkCeiling> {
    declared.iter().filter_map(move |ceiling| ceiling.tool(tool)?.sink(&sink.name))
}

/// True when a field or an argument speaks of what the sink names. Three kinds of values need it:
/// * short numbers are counted anew for every kind of object, so message 13 is no ground for file 13, nor is page 13 of files;
/// * a tool that has no business knowing accounts is no ground for one, so the field or its tool has to speak of accounts.
///   An argument was held to that when it was sent as an account;
/// * ids, years and counts are numbers too, so the field of an amount has to be named like one.
fn knows(
    sink: &SinkSpec,
    counts: bool,
    nouns: &impl Deref<Target = Vec<String>>,
    leaf: &Leaf<'_>,
    session: &Session,
) -> bool {
    if !counts && !matches!(sink.kind, SinkKind::Account | SinkKind::Amount) {
        return true;
    }
    let tool = session.call(leaf.call).map_or("", |(t, _)| t.as_str());
    if counts {
        return nouns.is_empty() || named(leaf.path, tool).iter().any(|w| nouns.contains(w));
    }
    if sink.kind == SinkKind::Amount {
        let said = words::name_words(if leaf.path.is_empty() { tool } else { leaf.path });
        return said
            .iter()
            .any(|w| [AMOUNT_WORDS, QUANTITY_WORDS].iter().any(|list| list.contains(&words::singular(w))));
    }
    let mut said = words::name_words(leaf.path).into_iter().chain(words::name_words(tool));
    matches!(leaf.standing, Standing::Argument(_)) || said.any(|w| ACCOUNT_WORDS.contains(&words::singular(&w)))
}

/// What a number in a field counts: the noun of the field's own name (`page`, `file_id`); where that has none (`id`), what
/// stands above it or the tool's name.
fn named(path: &str, tool: &str) -> Vec<String> {
    let (above, own) = path.rsplit_once('.').unwrap_or(("", path));
    match meaningful(own).pop() {
        Some(noun) => vec![noun],
        None => meaningful(above).into_iter().chain(meaningful(tool)).collect(),
    }
}

/// What the sink names, from its own name; where that says nothing, from the tool's.
fn nouns(sink: &str, tool: &ToolName) -> Vec<String> {
    let last = sink.rsplit('.').next().unwrap_or(sink);
    let own = meaningful(last);
    if own.is_empty() { meaningful(tool.as_str()) } else { own }
}

/// The words of a name that say what is meant, in their order.
fn meaningful(name: &str) -> Vec<String> {
    let words = words::name_words(name).into_iter().map(|w| words::singular(&w).to_owned());
    words.filter(|w| !ID_WORDS.contains(&w.as_str()) && !fit::is_generic(w)).collect()
}

/// Words of sink names that say that it is an id, not of what.
const ID_WORDS: &[&str] = &[
    "id",
    "ids",
    "no",
    "number",
    "key",
    "code",
    "ref",
    "reference",
    "uuid",
    "name",
    "new",
    "old",
    "source",
    "target",
    "from",
    "to",
    "dest",
    "destination",
    "list",
];

/// Words by which a field speaks of an amount of money.
const AMOUNT_WORDS: &[&str] = &[
    "amount",
    "price",
    "sum",
    "total",
    "subtotal",
    "cost",
    "fee",
    "balance",
    "payment",
    "due",
    "rate",
    "budget",
    "tip",
    "charge",
    "rent",
    "salary",
    "tax",
    "deposit",
    "discount",
    "refund",
    "premium",
    "instalment",
    "installment",
    "value",
    "fare",
    "fine",
    "debt",
    "credit",
    "wage",
    "expense",
    "outstanding",
    "eur",
    "usd",
    "gbp",
];

/// Words by which a field or a sink speaks of a number of things.
const QUANTITY_WORDS: &[&str] =
    &["quantity", "qty", "unit", "piece", "guest", "night", "seat", "share", "person", "people"];

/// Words by which a field or a tool speaks of accounts.
const ACCOUNT_WORDS: &[&str] = &[
    "account",
    "iban",
    "bic",
    "swift",
    "bank",
    "payee",
    "payer",
    "payment",
    "pay",
    "card",
    "wallet",
    "beneficiary",
    "recipient",
    "sender",
    "transaction",
    "transfer",
    "invoice",
    "bill",
    "billing",
    "routing",
    "sort",
    "balance",
    "deposit",
    "credit",
    "debit",
    "customer",
    "vendor",
    "supplier",
    "creditor",
    "debtor",
    "counterparty",
];

#[cfg(test)]
mod tests;
