//! Signals that the facts themselves give rise to, each explained in words. What they weigh is the table's business; a name
//! that the table does not list weighs nothing.

use super::behaviour::{SVID_OLD_SECONDS, words};
use super::beside::session_beside;
use crate::catalogue::tool::{Catalogue, Tool};
use crate::model::approval::{FROM, UNTRUSTED_FROM};
use crate::model::ceiling::CeilingFit;
use crate::model::facts::{DictatedFacts, EntryFacts, Facts, FitVerdict, LetInBy, SessionFacts, SinkFacts};
use crate::model::id::DataClass;
use crate::model::provenance::{Evidence, Provenance, Seen, UNKNOWN_TOOL};
use crate::model::sink::SinkKind;

/// A signal that follows from the facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derived {
    /// Its name, as `risk.toml` knows it.
    pub name: &'static str,
    /// How often, or how much, it occurs; at least 1.
    pub units: u32,
    /// Why, in words.
    pub explanation: String,
}

/// Names of the signals that [`derive()`] gives, each once, with what it means.
pub const NAMES: &[(&str, &str)] = &[
    ("tool_unknown", "the catalogue knows no such tool"),
    ("ceiling_exceeded", "an effectful access goes beyond the ceiling"),
    ("out_of_ceiling_read", "a read goes beyond the ceiling"),
    ("sink_in_text", "a value that decides where something goes stands only in text that the agent read"),
    ("sink_unseen", "a value that decides where something goes was never seen"),
    ("sink_beside_intent", "the intent names another address or URL"),
    ("read_ungrounded", "a read names an object that stands neither in the intent nor in a field"),
    (
        "dictated_content",
        "outsiders dictated content or named the object, and the intent does not ask to take it from anywhere",
    ),
    (
        "dictated_as_asked",
        "outsiders dictated content or named the object, and the intent asks to take it from what is read",
    ),
    ("tainted_exit", "private data, untrusted input and a way out come together"),
    ("untrusted_input", "something that outsiders can write was read before an effect"),
    ("intent_mismatch", "the intent's words imply other effects"),
    ("intent_silent", "the intent's words imply no effect of this kind"),
    ("sensitive_read", "sensitive data is read that the intent does not speak of"),
    ("duty_conflict", "two duties are combined that are to be kept apart"),
    ("high_privilege", "the tool can do much harm: one unit for every 25 of its privilege"),
    ("profile_changed", "the agent is no longer the one that was registered"),
    ("network_undeclared", "the peer is in none of the networks declared for it"),
    ("svid_old", "the SVID has lived for long: one unit for every day"),
    ("session_overflow", "the session outgrew what is kept"),
    ("delegated", "the task was delegated: one unit for every level"),
    ("behaviour_unknown", "too little is known of the agent to call anything unusual"),
    ("unusual_tool", "the agent is rarely granted the tool: two units when it never was"),
    ("unusual_sequence", "the agent rarely calls the tool right after the one before: two units when it never did"),
    ("unusual_resource", "the agent was rarely granted a resource that it names: two units when it never was"),
    ("unusual_audience", "the agent rarely has tokens for the audience: two units when it never had one"),
    ("unusual_rate", "the agent rarely has as many grants in a minute or an hour: two units when it never had"),
    ("unusual_hour", "the agent is rarely at work at this time: two units when it never was"),
];

/// Privilege for which a tool counts one unit of `high_privilege`.
const PRIVILEGE_UNIT: u8 = 25;
/// Most places that one explanation names; more are counted.
const PLACES_MAX: usize = 3;

/// Every signal that follows from the facts, each name at most once.
#[must_use]
pub fn derive(catalogue: &Catalogue, facts: &Facts) -> Vec<Derived> {
    let mut found = Found::default();
    for (number, entry) in facts.entries.iter().enumerate() {
        let session = session_beside(catalogue, facts, number);
        of_entry(entry, catalogue.tool(&entry.tool), &session, &mut found);
    }
    let changes: Vec<&str> = facts.principal.profile_changes.iter().map(|p| p.as_str()).collect();
    if !changes.is_empty() {
        let units = u32::try_from(changes.len()).unwrap_or(u32::MAX);
        found.add_units("profile_changed", units, format!("changed since registration: {}", changes.join(", ")));
    }
    if !facts.principal.network_declared {
        found.add("network_undeclared", "the peer is in none of the networks declared for it".to_owned());
    }
    let days = facts.principal.svid_age_s / SVID_OLD_SECONDS;
    if days > 0 {
        let units = u32::try_from(days).unwrap_or(u32::MAX);
        found.add_units("svid_old", units, format!("the SVID is {} hours old", facts.principal.svid_age_s / 3600));
    }
    if let Some(behaviour) = &facts.behaviour {
        for unusual in words::signals(behaviour, facts.audience.as_ref()) {
            found.add_units(unusual.name, unusual.units, unusual.explanation);
        }
    }
    if facts.session.overflowed {
        found.add("session_overflow", "the session outgrew what is kept, so origins may be forgotten".to_owned());
    }
    if facts.task.depth > 0 {
        let words = format!("the task stands {} levels below the one that a person asked for", facts.task.depth);
        found.add_units("delegated", facts.task.depth, words);
    }
    found.finish()
}

fn of_entry(entry: &EntryFacts, tool: Option<&Tool>, session: &SessionFacts, found: &mut Found) {
    let name = &entry.tool;
    let Some(tool) = tool else {
        found.add("tool_unknown", "the catalogue knows no such tool".to_owned());
        return;
    };
    let effectful = tool.effect.is_effectful();
    if let CeilingFit::Outside { .. } = entry.ceiling {
        let signal = if effectful { "ceiling_exceeded" } else { "out_of_ceiling_read" };
        found.add(signal, format!("`{name}` goes beyond the ceiling of the task"));
    }
    of_sinks(entry, effectful || tool.is_way_out(), found);
    of_intent(entry, effectful, found);
    if effectful {
        for d in entry.dictated.iter().filter(|d| d.by_outsiders) {
            let signal = if entry.intent_fit.delegates { "dictated_as_asked" } else { "dictated_content" };
            found.add(signal, dictated_in_words(d));
        }
        if session.untrusted_input {
            found.add("untrusted_input", format!("`{name}` acts after something that outsiders can write was read"));
        }
        let units = u32::from(tool.privilege / PRIVILEGE_UNIT);
        if units > 0 {
            found.add_units("high_privilege", units, format!("`{name}` has privilege {} of 100", tool.privilege));
        }
    }
    if tool.is_way_out() && session.untrusted_input && !session.carries.is_empty() {
        found.add("tainted_exit", format!("`{name}` is a way out; read was {}", let_in_in_words(session).join(", ")));
    }
    for conflict in &entry.conflicts {
        let words = format!("`{name}` is not to be combined with `{}` within one {}", conflict.with, conflict.within);
        found.add("duty_conflict", words);
    }
}

fn of_sinks(entry: &EntryFacts, decisive: bool, found: &mut Found) {
    for sink in &entry.sinks {
        let signal = match (decisive, sink.provenance) {
            (true, Provenance::Text) => "sink_in_text",
            (true, Provenance::None) => "sink_unseen",
            (true, _) if sink.beside_intent => "sink_beside_intent",
            (false, p) if !p.is_grounded() && names_an_object(sink.kind) => "read_ungrounded",
            _ => continue,
        };
        found.add(signal, sink_in_words(sink));
    }
}

const fn names_an_object(kind: SinkKind) -> bool {
    matches!(kind, SinkKind::Id | SinkKind::Account | SinkKind::Path)
}

fn of_intent(entry: &EntryFacts, effectful: bool, found: &mut Found) {
    let because = entry.intent_fit.because.join(", ");
    let name = &entry.tool;
    match (effectful, entry.intent_fit.verdict) {
        (true, FitVerdict::NotImplied) => {
            let words =
                if because.is_empty() { "speaks of something else".to_owned() } else { format!("says {because}") };
            found.add("intent_mismatch", format!("the intent {words}, which does not imply what `{name}` does"));
        }
        (true, FitVerdict::Silent) => {
            found.add("intent_silent", format!("no word of the intent implies what `{name}` does"));
        }
        (false, FitVerdict::NotImplied) => {
            found.add("sensitive_read", format!("`{name}` reads {because}, of which the intent does not speak"));
        }
        _ => {}
    }
}

/// One sentence about where a sink's value came from, without the value.
#[must_use]
pub fn sink_in_words(sink: &SinkFacts) -> String {
    let name = &sink.name;
    match (sink.provenance, &sink.evidence) {
        (Provenance::Intent, _) => format!("`{name}` stands in the intent"),
        (Provenance::Ceiling, _) => format!("`{name}` is listed in the ceiling, or of a pattern there"),
        (Provenance::Field, Some(e)) if sink.beside_intent => {
            format!("`{name}` is {}, but the intent names another one", field(e))
        }
        (Provenance::Field, Some(e)) => format!("`{name}` is {}", field(e)),
        (Provenance::Argument, Some(e)) => {
            format!("`{name}` was the argument `{}` of {}{}", e.field, e.tool_in_words(), call(e))
        }
        (Provenance::Text, Some(e)) => format!("`{name}` {}", no_ground(e)),
        (Provenance::Text, None) => format!("`{name}` stands only in text"),
        (Provenance::None, Some(Evidence { seen: Some(Seen::Refused), .. })) => {
            format!("`{name}` stands in the intent only as what shall not be")
        }
        (Provenance::None, _) => {
            format!("`{name}` stands neither in the intent nor in anything that was reported")
        }
        (p, None) => format!("`{name}` comes from {p}"),
    }
}

/// Why nobody knows.
const DIGEST_ALONE: &str = "of which Carnet was told a digest alone";

/// Where a value that is no ground was seen, and why it is none.
fn no_ground(e: &Evidence) -> String {
    let (tool, result, call) = (e.tool_in_words(), e.result_in_words(), call(e));
    match e.seen {
        Some(Seen::OutsiderText) => {
            let within = within(e).map_or_else(|| "text".to_owned(), |place| format!("the text of {place}"));
            format!("stands only in {within} from outside, read by {tool}{call}")
        }
        Some(Seen::OutsiderField) => match within(e) {
            Some(place) => format!("is only {place} of {result}, which outsiders write{call}"),
            None => format!("is only the result of {tool}, which outsiders write{call}"),
        },
        Some(Seen::OtherField) => format!("stands only as something else, in {}", place(e)),
        Some(Seen::Echo) => format!("is only what the agent had sent, told back in {}", place(e)),
        Some(Seen::MaybeEcho) => {
            format!(
                "may be only what the agent had sent, told back in {}: of one of the two Carnet was told a digest alone",
                place(e)
            )
        }
        Some(Seen::Said) => format!("stands only in what the agent itself reported of {tool}{call}"),
        Some(Seen::Ungranted) => {
            format!("stands only in what was reported of a use of {tool} that nobody granted{call}")
        }
        Some(Seen::Failed) => format!("stands only in the answer of {tool} when it failed{call}"),
        Some(Seen::UnknownTool) => format!("stands only in the answer of {UNKNOWN_TOOL}{call}"),
        Some(Seen::TakenBack) => format!("was known from {}, but what allowed that call was taken back", place(e)),
        Some(Seen::Unsearched) => format!("may stand in {}, {DIGEST_ALONE}", place(e)),
        Some(Seen::Unread) => {
            format!("may stand in what was read from {} on, more than Carnet looks through", place(e))
        }
        Some(Seen::Text | Seen::Refused) | None => format!("stands only in the text of {}", place(e)),
    }
}

/// One sentence about content that was dictated, or an object that outsiders pointed at.
#[must_use]
pub fn dictated_in_words(dictated: &DictatedFacts) -> String {
    let DictatedFacts { name, evidence, by_outsiders, is_sink } = dictated;
    let name = if *is_sink { format!("`{name}`") } else { "an argument".to_owned() };
    match (evidence.is_unsearched(), by_outsiders) {
        (true, _) => format!("{name} may stand in {}, {DIGEST_ALONE}", place(evidence)),
        (false, true) => format!("{name} stands word for word in {}, which outsiders can write", place(evidence)),
        (false, false) => format!("{name} stands word for word in {}", place(evidence)),
    }
}

/// What a session carries and what let each in, and what let untrusted input in: one phrase each.
#[must_use]
pub fn let_in_in_words(session: &SessionFacts) -> Vec<String> {
    let class = |class: &DataClass| match session.carries_by.get(class) {
        Some(by) => format!("{class}{FROM}{}", let_in_by(by)),
        None => format!("{class}"),
    };
    let untrusted = session.untrusted_by.iter().map(|by| format!("{UNTRUSTED_FROM}{}", let_in_by(by)));
    session.carries.iter().map(class).chain(untrusted).collect()
}

fn let_in_by(by: &LetInBy) -> String {
    let tool = by.tool.as_ref().map_or_else(|| UNKNOWN_TOOL.to_owned(), |tool| format!("`{tool}`"));
    match by.call {
        Some(call) => format!("{tool} (call {})", call.saturating_add(1)),
        None if by.position == 0 => format!("{tool} (in the same request)"),
        None => format!("{tool} (granted)"),
    }
}

fn field(e: &Evidence) -> String {
    match within(e) {
        None => format!("the result of {}{}", e.tool_in_words(), call(e)),
        Some(place) => format!("{place} of {}{}", e.result_in_words(), call(e)),
    }
}

fn place(e: &Evidence) -> String {
    if e.seen == Some(Seen::UnknownTool) {
        return format!("the answer of {UNKNOWN_TOOL}{}", call(e));
    }
    let within = match entry_of(&e.field) {
        Some("") => ", in an entry".to_owned(),
        Some(above) => format!(", in an entry of `{above}`"),
        None if e.field.is_empty() => String::new(),
        None => format!(", in `{}`", e.field),
    };
    format!("{}{within}{}", e.result_in_words(), call(e))
}

/// The place within the result; `None` for the whole of it.
fn within(e: &Evidence) -> Option<String> {
    match entry_of(&e.field) {
        Some("") => Some("an entry".to_owned()),
        Some(above) => Some(format!("an entry of `{above}`")),
        None if e.field.is_empty() => None,
        None => Some(format!("the field `{}`", e.field)),
    }
}

/// Where the member's own name is a value, as that of one of many entries, what it stands in.
fn entry_of(path: &str) -> Option<&str> {
    if path == "*" { Some("") } else { path.strip_suffix(".*") }
}

// People count from one.
fn call(e: &Evidence) -> String {
    e.call.map_or_else(String::new, |n| format!(" (call {})", n.saturating_add(1)))
}

#[derive(Default)]
struct Found(Vec<(Derived, usize)>);

impl Found {
    fn add(&mut self, name: &'static str, words: String) {
        self.add_units(name, 1, words);
    }

    fn add_units(&mut self, name: &'static str, units: u32, words: String) {
        match self.0.iter_mut().find(|(d, _)| d.name == name) {
            None => self.0.push((Derived { name, units, explanation: words }, 1)),
            Some((d, places)) => {
                d.units = d.units.saturating_add(units);
                *places += 1;
                if *places <= PLACES_MAX {
                    d.explanation.push_str("; ");
                    d.explanation.push_str(&words);
                }
            }
        }
    }

    fn finish(self) -> Vec<Derived> {
        let tell = |(mut d, places): (Derived, usize)| {
            if places > PLACES_MAX {
                d.explanation.push_str(&format!("; and {} more", places - PLACES_MAX));
            }
            d
        };
        self.0.into_iter().map(tell).collect()
    }
}
