//! The TOML form of a bundle's tests, and the facts that it stands for.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{Case, Expected};
use crate::catalogue::tool::Catalogue;
use crate::model::approval::ApprovingFacts;
use crate::model::ceiling::{Breach, Ceiling, CeilingFit};
use crate::model::decision::Outcome;
use crate::model::facts::{
    ConflictFacts, DictatedFacts, EntryFacts, FACTS_VERSION, Facts, FitVerdict, InitiatorFacts, IntentFit,
    PrincipalFacts, Question, RegistrationFacts, SessionFacts, SinkFacts, TaskFacts,
};
use crate::model::glass::OpeningFacts;
use crate::model::id::{Audience, DataClass, InitiatorName, Owner, PolicyId, SignalName, TaskId, ToolName};
use crate::model::identity::{Authentication, IdentityClass};
use crate::model::provenance::{Evidence, Provenance};
use crate::model::reason::ReasonCode;
use crate::model::risk::{Band, Signal};
use crate::model::spiffe_id::SpiffeId;
use crate::model::task::{ProfilePart, TaskState};
use crate::model::time::{Timestamp, Ttl};
use crate::policy::error::Problem;

/// Reads the cases of one file.
pub(in crate::policy) fn read(path: &str, text: &str, catalogue: &Catalogue, problems: &mut Vec<Problem>) -> Vec<Case> {
    let file: FileText = match toml::from_str(text) {
        Ok(file) => file,
        Err(e) => {
            let line = text.bytes().take(e.span().map_or(0, |s| s.start)).filter(|b| *b == b'\n').count() + 1;
            problems.push(Problem::new(path, format!("line {line}: {}", e.message().replace('\n', " "))));
            return Vec::new();
        }
    };
    let mut out: Vec<Case> = Vec::new();
    for case in file.case {
        let name = case.name.clone();
        if out.iter().any(|c| c.name == name) {
            problems.push(Problem::new(path, format!("case `{}` stands twice", name.escape_debug())));
        }
        match case.into_case(path, catalogue) {
            Ok(case) => out.push(case),
            Err(message) => problems.push(Problem::new(path, format!("case `{}`: {message}", name.escape_debug()))),
        }
    }
    out
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    #[serde(default)]
    case: Vec<CaseText>,
}

/// A case as it is written. Everything but `name` and `outcome` has a default.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseText {
    name: String,
    #[serde(default = "request")]
    question: Question,
    // --- who
    #[serde(default = "ai_agent")]
    class: IdentityClass,
    id: Option<SpiffeId>,
    owner: Option<Owner>,
    #[serde(default = "x509")]
    authentication: Authentication,
    #[serde(default = "yes")]
    network_declared: bool,
    #[serde(default)]
    profile_changes: Vec<ProfilePart>,
    #[serde(default)]
    initiator_verified: bool,
    // --- the task
    #[serde(default)]
    depth: u32,
    #[serde(default)]
    state: TaskState,
    #[serde(default)]
    blocks: Vec<String>,
    #[serde(default = "yes")]
    audience_allowed: bool,
    #[serde(default = "an_hour")]
    remaining_s: u64,
    // --- what is asked: one entry here, or several in `entries`
    audience: Option<Audience>,
    ttl_asked: Option<Ttl>,
    #[serde(flatten)]
    entry: EntryText,
    #[serde(default)]
    entries: Vec<ItemText>,
    register: Option<RegisterText>,
    opening: Option<OpeningText>,
    approving: Option<ApprovingText>,
    // --- what was seen
    #[serde(default)]
    untrusted_input: bool,
    #[serde(default)]
    carries: Vec<DataClass>,
    #[serde(default)]
    overflowed: bool,
    #[serde(default)]
    signals: Vec<SignalText>,
    band: Option<Band>,
    #[serde(default)]
    weigh: bool,
    // --- what is expected; what is absent is not looked at
    outcome: Outcome,
    reasons: Option<Vec<ReasonCode>>,
    policies: Option<Vec<PolicyId>>,
    approvals: Option<u32>,
    ttl: Option<Ttl>,
    included: Option<Vec<ToolName>>,
    route: Option<BTreeSet<Owner>>,
}

/// One entry of a request.
#[derive(Deserialize, Default)]
#[serde(default)]
struct EntryText {
    tool: Option<ToolName>,
    actions: Vec<String>,
    resources: Vec<String>,
    data_classes: Vec<DataClass>,
    ceiling: CeilingWord,
    intent: FitVerdictText,
    delegates: bool,
    conflicts: Vec<ToolName>,
    dictated: bool,
    sinks: Vec<SinkText>,
}

/// One of several entries. [`EntryText`] itself can't refuse what it does not know: beside it stand the members of the case.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemText {
    #[serde(flatten)]
    entry: EntryText,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum CeilingWord {
    Undeclared,
    #[default]
    Within,
    Outside,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(transparent)]
struct FitVerdictText(FitVerdict);

impl Default for FitVerdictText {
    fn default() -> Self {
        Self(FitVerdict::Implied)
    }
}

/// A value of a sink: which, and where it came from.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SinkText {
    name: String,
    from: Provenance,
    #[serde(default = "value")]
    value: String,
    #[serde(default)]
    beside_intent: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignalText {
    name: SignalName,
    points: u32,
}

/// What is to be registered or amended.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegisterText {
    #[serde(default = "agent_class")]
    agent_class: String,
    ceiling: Option<Ceiling>,
    #[serde(default)]
    audiences: Vec<Audience>,
    #[serde(default = "an_hour")]
    life_s: u64,
    #[serde(default)]
    widens: bool,
    first_ceiling: Option<bool>,
    #[serde(default)]
    beyond_parent: Vec<String>,
}

/// A glass that a person asks to open.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OpeningText {
    #[serde(default = "somebody")]
    by: String,
    #[serde(default)]
    initiated: bool,
    #[serde(default = "a_while")]
    life_s: u64,
    #[serde(default = "once")]
    uses_max: u32,
    #[serde(default = "agent_class")]
    agent_class: String,
    #[serde(default)]
    denied_before: bool,
}

/// A yes that a person would say: of somebody independent, by which it would be approved.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApprovingText {
    #[serde(default = "somebody")]
    by: String,
    #[serde(default)]
    initiated: bool,
    #[serde(default)]
    answers_for_agents: bool,
    #[serde(default = "review")]
    asks: Outcome,
    #[serde(default)]
    amendment: bool,
    #[serde(default)]
    owners: BTreeSet<String>,
    #[serde(default)]
    agent_owners: BTreeSet<String>,
    #[serde(default)]
    votes: BTreeSet<InitiatorName>,
    #[serde(default = "once")]
    needed: u32,
    #[serde(default = "yes")]
    settles: bool,
    #[serde(default = "yes")]
    independent: bool,
}

impl CaseText {
    fn into_case(mut self, path: &str, catalogue: &Catalogue) -> Result<Case, String> {
        if self.entry.tool.is_some() {
            self.entries.insert(0, ItemText { entry: std::mem::take(&mut self.entry) });
        }
        let own = self.entries.iter().find_map(|e| catalogue.tool(e.entry.tool.as_ref()?)?.audience.clone());
        let audience = match self.question {
            Question::Request | Question::Retain | Question::BreakGlass => {
                Some(self.audience.take().or(own).unwrap_or(fixed("https://any.test")?))
            }
            Question::Register | Question::Amend | Question::Approve => None,
        };
        let entries: Result<Vec<_>, _> = self.entries.drain(..).map(|e| e.entry.into_facts(catalogue)).collect();
        let expected = Expected {
            outcome: self.outcome,
            reasons: self.reasons.take(),
            policies: self.policies.take(),
            approvals: self.approvals,
            ttl: self.ttl,
            included: self.included.take(),
            route: self.route.take(),
        };
        let weighed = self.weigh || !self.signals.is_empty();
        if weighed && self.band.is_some() {
            return Err("a case has a band, or weighs its signals".to_owned());
        }
        let band = if weighed { None } else { Some(self.band.unwrap_or(Band::Low)) };
        let name = std::mem::take(&mut self.name);
        let facts = self.into_facts(audience, entries?)?;
        Ok(Case { path: path.to_owned(), name, facts, band, expected })
    }

    fn into_facts(self, audience: Option<Audience>, entries: Vec<EntryFacts>) -> Result<Facts, String> {
        let agent: SpiffeId = fixed("spiffe://policy.test/agent/a")?;
        let orchestrator: SpiffeId = fixed("spiffe://policy.test/orchestrator/o")?;
        let asks = if self.class == IdentityClass::Orchestrator { orchestrator.clone() } else { agent.clone() };
        let task = TaskId::new(NOW, [1; 10]);
        Ok(Facts {
            version: FACTS_VERSION,
            question: self.question,
            now: NOW,
            principal: PrincipalFacts {
                id: self.id.unwrap_or(asks),
                known: true,
                class: self.class,
                owner: self.owner,
                authentication: self.authentication,
                svid_age_s: 60,
                network_declared: self.network_declared,
                profile_changes: self.profile_changes,
            },
            initiator: InitiatorFacts { name: fixed::<InitiatorName>("ann")?, verified: self.initiator_verified },
            task: TaskFacts {
                id: task,
                root: task,
                orchestrator,
                agent,
                depth: self.depth,
                ceiling_declared: entries.iter().all(|e| e.ceiling != CeilingFit::Undeclared),
                age_s: 60,
                remaining_s: self.remaining_s,
                outlived: false,
                state: self.state,
                blocks: self.blocks,
                audience_allowed: self.audience_allowed,
            },
            audience,
            entries,
            session: SessionFacts {
                calls: 3,
                untrusted_input: self.untrusted_input,
                carries: self.carries,
                overflowed: self.overflowed,
                ..SessionFacts::default()
            },
            behaviour: None,
            signals: self.signals.into_iter().map(SignalText::into_signal).collect(),
            ttl_asked: self.ttl_asked,
            approval: None,
            glass: None,
            opening: self.opening.map(|o| o.into_facts()).transpose()?,
            approving: self.approving.map(|a| a.into_facts(self.band)).transpose()?,
            observing: None,
            registration: self
                .register
                .map(|r| r.into_facts(self.question == Question::Register && self.depth == 0))
                .transpose()?,
        })
    }
}

impl EntryText {
    fn into_facts(self, catalogue: &Catalogue) -> Result<EntryFacts, String> {
        let tool = self.tool.ok_or("an entry names no tool")?;
        let spec = catalogue.tool(&tool);
        let mut sinks = Vec::new();
        for sink in self.sinks {
            let kind = spec.and_then(|t| t.sink(&sink.name)).map(|s| s.kind);
            let kind = kind.ok_or_else(|| format!("`{tool}` has no sink `{}`", sink.name))?;
            let SinkText { name, from, value, beside_intent } = sink;
            sinks.push(SinkFacts { name, kind, value, provenance: from, evidence: None, beside_intent });
        }
        let (tool_read, field) = ("mail.read".to_owned(), "body".to_owned());
        let evidence = Evidence { call: Some(0), position: 0, tool: tool_read, field, seen: None };
        let dictated = DictatedFacts { name: "body".to_owned(), evidence, by_outsiders: true, is_sink: false };
        let conflict = |with| ConflictFacts { with, within: "task".to_owned(), position: 0 };
        Ok(EntryFacts {
            tool,
            actions: self.actions,
            resources: self.resources,
            data_classes: self.data_classes,
            ceiling: match self.ceiling {
                CeilingWord::Undeclared => CeilingFit::Undeclared,
                CeilingWord::Within => CeilingFit::Within,
                CeilingWord::Outside => CeilingFit::Outside { breaches: vec![Breach::Tool] },
            },
            sinks,
            intent_fit: IntentFit { verdict: self.intent.0, because: Vec::new(), delegates: self.delegates },
            conflicts: self.conflicts.into_iter().map(conflict).collect(),
            calls_before: 0,
            dictated: if self.dictated { vec![dictated] } else { Vec::new() },
        })
    }
}

impl SignalText {
    fn into_signal(self) -> Signal {
        Signal {
            name: self.name,
            source: "spiffe://policy.test/scorer/s".to_owned(),
            scorer: String::new(),
            points: self.points,
            explanation: "a test".to_owned(),
            observed: NOW,
        }
    }
}

impl OpeningText {
    fn into_facts(self) -> Result<OpeningFacts, String> {
        let agent_class = class_of(&self.agent_class)?;
        let Self { by, initiated, life_s, uses_max, denied_before, .. } = self;
        Ok(OpeningFacts { by: fixed(&by)?, initiated, life_s, uses_max, agent_class, denied_before })
    }
}

impl ApprovingText {
    fn into_facts(self, band: Option<Band>) -> Result<ApprovingFacts, String> {
        Ok(ApprovingFacts {
            by: fixed(&self.by)?,
            initiated: self.initiated,
            answers_for_agents: self.answers_for_agents,
            outcome: self.asks,
            band: band.unwrap_or(Band::Low),
            amendment: self.amendment,
            owners: self.owners,
            agent_owners: self.agent_owners,
            votes: self.votes,
            needed: self.needed,
            settles: self.settles,
            independent: self.independent,
        })
    }
}

impl RegisterText {
    fn into_facts(self, declares: bool) -> Result<RegistrationFacts, String> {
        let agent_class = class_of(&self.agent_class)?;
        // A root's registration declares the first, if any; an amendment says so.
        let first_ceiling = self.first_ceiling.unwrap_or(declares && self.ceiling.is_some());
        Ok(RegistrationFacts {
            agent_class,
            ceiling: self.ceiling,
            audiences: self.audiences,
            life_s: self.life_s,
            widens: self.widens,
            first_ceiling,
            beyond_parent: self.beyond_parent,
            amends: None,
        })
    }
}

/// The class of that name; `None` for one that nobody knows.
fn class_of(name: &str) -> Result<Option<IdentityClass>, String> {
    if name == "unknown" {
        return Ok(None);
    }
    let known = IdentityClass::ALL.into_iter().find(|c| c.as_str() == name);
    known.map(Some).ok_or_else(|| format!("`{}` is no class", name.escape_debug()))
}

/// A value that stands in this file.
fn fixed<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|e| format!("`{text}`: {e}"))
}

/// The time of every case: 2026-11-02T00:00:00Z.
const NOW: Timestamp = Timestamp::from_secs(1_793_577_600);

fn somebody() -> String {
    "rae".to_owned()
}

const fn a_while() -> u64 {
    900
}

const fn once() -> u32 {
    1
}

const fn review() -> Outcome {
    Outcome::Review
}

const fn request() -> Question {
    Question::Request
}

const fn ai_agent() -> IdentityClass {
    IdentityClass::AiAgent
}

const fn x509() -> Authentication {
    Authentication::X509Svid
}

const fn yes() -> bool {
    true
}

const fn an_hour() -> u64 {
    3600
}

fn value() -> String {
    "a value".to_owned()
}

fn agent_class() -> String {
    "ai_agent".to_owned()
}
