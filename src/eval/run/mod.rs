//! One run over a folder: every request is judged by the same functions as in a broker, and decided by the same policy bundle
//! with the folder's own tools in the place of its catalogue.
//!
//! What a folder does not say is the same for every request: the caller is an agent whose initiator is asserted and not
//! verified, the task is young and active, no signal was reported. The calls of a session count as reported by the tool.

use std::collections::BTreeMap;

use serde::Serialize;

use super::EvalError;
use super::folder::{Folder, History, PAIRS, Pair, Step};
use super::infer;
use crate::catalogue::tool::Catalogue;
use crate::infer::text;
use crate::intent::judge::{self, Asked, Grounds};
use crate::intent::session::{ReportedCall, Reporter, Session};
use crate::intent::task::Intent;
use crate::intent::usage::Usage;
use crate::model::access::Access;
use crate::model::ceiling::{Ceiling, ToolCeiling};
use crate::model::decision::{Decision, Outcome, Reason};
use crate::model::facts::{FACTS_VERSION, Facts, InitiatorFacts, PrincipalFacts, Question, SessionFacts, TaskFacts};
use crate::model::id::{TaskId, ToolName};
use crate::model::identity::{Authentication, IdentityClass};
use crate::model::reason::ReasonCode;
use crate::model::risk::Assessment;
use crate::model::spiffe_id::SpiffeId;
use crate::model::task::TaskState;
use crate::model::time::{Timestamp, Ttl};
use crate::policy::bundle::{BundleFiles, PolicyBundle};
use crate::policy::decide::decide;
use crate::policy::error::BundleError;

/// What is declared up front of each task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CeilingMode {
    /// Nothing.
    None,
    /// The tools that the folder's scopes list for it.
    Tools,
    /// The tools, and how often each may be called.
    Budgets,
}

/// A request with what was known and decided.
#[derive(Debug)]
pub struct Judged<'a> {
    /// The request.
    pub pair: &'a Pair,
    /// What was known.
    pub facts: Facts,
    /// What was decided.
    pub decision: Decision,
}

/// One line of a run's answer, in the terms of the scorer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// The request.
    pub pair_id: String,
    /// `allow`, `narrow`, `step_up`, `review` or `deny`.
    pub outcome: &'static str,
    /// The score, from 0 to 1.
    pub risk: f64,
    /// The codes of the reasons, strictest first, each once.
    pub reasons: Vec<&'static str>,
    /// Where the values of each sink came from, in their order.
    pub provenance: BTreeMap<String, Vec<&'static str>>,
    /// What a person would be asked to look at, in sentences; empty where nobody is asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<String>,
}

impl Judged<'_> {
    /// The line that answers the request.
    #[must_use]
    pub fn prediction(&self) -> Prediction {
        let mut reasons: Vec<&'static str> = Vec::new();
        for reason in &self.decision.reasons {
            if !reasons.contains(&reason.code.as_str()) {
                reasons.push(reason.code.as_str());
            }
        }
        let mut provenance: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
        for sink in self.facts.entries.iter().flat_map(|e| &e.sinks) {
            provenance.entry(sink.name.clone()).or_default().push(sink.provenance.as_str());
        }
        Prediction {
            pair_id: self.pair.pair_id.clone(),
            outcome: match self.decision.outcome {
                Outcome::Granted => "allow",
                Outcome::Narrowed => "narrow",
                Outcome::StepUp => "step_up",
                Outcome::Review => "review",
                Outcome::Denied => "deny",
            },
            risk: f64::from(self.decision.risk.score.points()) / 100.0,
            reasons,
            provenance,
            doubts: match self.decision.outcome.waits_for_people() {
                true => self.decision.reasons.iter().map(Reason::in_words).collect(),
                false => Vec::new(),
            },
        }
    }
}

/// The bundle of each suite: these files with the suite's own tools as the catalogue, and without the tests, which speak of
/// other tools.
///
/// # Errors
/// When the tools of a suite make no catalogue, or the bundle does not load with them.
pub fn bundles(files: &BundleFiles, folder: &Folder) -> Result<BTreeMap<String, PolicyBundle>, EvalError> {
    let mut out = BTreeMap::new();
    for (suite, catalogue) in infer::catalogues(folder)? {
        let bundle = bundle_files(files, &suite, &catalogue)?;
        let loaded = PolicyBundle::load(bundle).map_err(|e| broken(&suite, &e))?;
        out.insert(suite, loaded);
    }
    Ok(out)
}

/// These files with `catalogue` in the place of theirs, and without tests.
///
/// # Errors
/// When the catalogue can't be written, or the files are too large with it.
pub fn bundle_files(files: &BundleFiles, suite: &str, catalogue: &Catalogue) -> Result<BundleFiles, EvalError> {
    let text = text::catalogue_toml(catalogue)
        .map_err(|e| EvalError::Catalogue { suite: suite.to_owned(), problem: e.to_string() })?;
    let kept = files.iter().filter(|(path, _)| *path != CATALOGUE && !path.starts_with(TESTS));
    let kept = kept.map(|(path, content)| (path.to_owned(), content.to_vec()));
    BundleFiles::new(kept.chain([(CATALOGUE.to_owned(), text.into_bytes())])).map_err(|e| broken(suite, &e))
}

const CATALOGUE: &str = "catalogue.toml";
const TESTS: &str = "tests/";

fn broken(suite: &str, error: &BundleError) -> EvalError {
    let problems: Vec<String> = error.problems().iter().map(ToString::to_string).collect();
    EvalError::Bundle { suite: suite.to_owned(), problems: problems.join("; ") }
}

/// Judges every request of a folder, and calls `each` with what came of it. Requests of one session come together, in the
/// order of its steps.
///
/// # Errors
/// When the bundle does not load with the folder's tools, or a request names a task or session that is not there.
pub fn run(
    files: &BundleFiles,
    folder: &Folder,
    mode: CeilingMode,
    mut each: impl FnMut(&Judged<'_>),
) -> Result<(), EvalError> {
    let bundles = bundles(files, folder)?;
    for (key, pairs) in by_history(folder) {
        let line = pairs.iter().map(|pair| pair.line).min().unwrap_or_default();
        let mut story = Story::begin(folder, &bundles, key, mode).map_err(|error| at(folder, line, error))?;
        for pair in pairs {
            let steps = pair.history.as_ref().map_or(0, |h| h.steps);
            story.tell_until(steps);
            each(&story.judge(pair).map_err(|error| at(folder, pair.line, error))?);
        }
    }
    Ok(())
}

/// What a request names and the folder lacks, with the place of the request.
fn at(folder: &Folder, line: usize, error: EvalError) -> EvalError {
    match error {
        EvalError::Missing { .. } => EvalError::Line { path: folder.dir.join(PAIRS), line, problem: error.to_string() },
        other => other,
    }
}

/// Requests that share task, suite, session and attack, by the number of steps before them: one session serves them all.
type Key<'a> = (&'a str, &'a str, Option<&'a str>, Option<&'a str>);

fn by_history(folder: &Folder) -> BTreeMap<Key<'_>, Vec<&Pair>> {
    let mut out: BTreeMap<Key<'_>, Vec<&Pair>> = BTreeMap::new();
    for pair in &folder.pairs {
        let history = pair.history.as_ref();
        let (session, injected) = (history.map(|h| h.session.as_str()), history.and_then(|h| h.injected.as_deref()));
        out.entry((&pair.task_id, &pair.suite, session, injected)).or_default().push(pair);
    }
    for pairs in out.values_mut() {
        pairs.sort_by_key(|p| p.history.as_ref().map_or(0, |h: &History| h.steps));
    }
    out
}

/// A session that is told step by step.
struct Story<'a> {
    bundle: &'a PolicyBundle,
    intent: &'a Intent,
    ceiling: Option<Ceiling>,
    steps: &'a [Step],
    injected: Option<&'a str>,
    told: usize,
    session: Session,
    usage: Usage,
    frame: Facts,
}

impl<'a> Story<'a> {
    fn begin(
        folder: &'a Folder,
        bundles: &'a BTreeMap<String, PolicyBundle>,
        (task, suite, session, injected): Key<'a>,
        mode: CeilingMode,
    ) -> Result<Self, EvalError> {
        let missing = |what, name: &str| EvalError::Missing { what, name: name.to_owned() };
        let bundle = bundles.get(suite).ok_or_else(|| missing("the suite", suite))?;
        let intent = &folder.tasks.get(task).ok_or_else(|| missing("the task", task))?.intent;
        let steps = match session {
            None => &[][..],
            Some(name) => folder.sessions.get(name).ok_or_else(|| missing("the session", name))?,
        };
        let ceiling = ceiling(folder, task, mode)?;
        let frame = frame(suite, ceiling.is_some())?;
        let (session, usage) = (Session::new(), Usage::default());
        Ok(Self { bundle, intent, ceiling, steps, injected, told: 0, session, usage, frame })
    }

    fn tell_until(&mut self, steps: usize) {
        while self.told < steps {
            let Some(step) = self.steps.get(self.told) else { return };
            self.told += 1;
            // A name that is none can't be asked for either.
            let Ok(tool) = step.tool.parse::<ToolName>() else { continue };
            let result = step.result_with(self.injected);
            let call = ReportedCall {
                tool: &tool,
                spec: self.bundle.catalogue().tool(&tool),
                arguments: &step.arguments,
                result: &result,
                reporter: Reporter::Audience,
                position: 0,
                failed: false,
            };
            let ceilings: Vec<&Ceiling> = self.ceiling.iter().collect();
            self.session.report(&call, self.intent, &ceilings);
        }
    }

    fn judge<'p>(&self, pair: &'p Pair) -> Result<Judged<'p>, EvalError> {
        let missing = || EvalError::Missing { what: "the tool", name: pair.tool.clone() };
        let access = Access {
            tool: pair.tool.parse().map_err(|_| missing())?,
            actions: Vec::new(),
            resources: Vec::new(),
            arguments: pair.arguments.clone(),
            data_classes: Vec::new(),
        };
        let ceilings: Vec<&Ceiling> = self.ceiling.iter().collect();
        let grounds = Grounds {
            intent: self.intent,
            bounds: &ceilings,
            declared: &ceilings,
            session: &self.session,
            usage: &self.usage,
            past: &[],
            agent: None,
            now: self.frame.now,
        };
        let accesses = std::slice::from_ref(&access);
        let mut facts = self.frame.clone();
        facts.session = self.session.facts();
        let decision = match judge::entries(accesses, self.bundle.catalogue(), &grounds, Asked::New) {
            Ok(entries) => {
                facts.entries = entries;
                decide(self.bundle, &facts)
            }
            // A broker refuses such a request before it decides.
            Err(problem) => refused(&access, &problem.to_string()),
        };
        Ok(Judged { pair, facts, decision })
    }
}

fn refused(access: &Access, problem: &str) -> Decision {
    let reason = Reason {
        code: ReasonCode::InvalidArgument,
        entry: Some(0),
        policy: None,
        detail: format!("`{}`: {problem}", access.tool),
    };
    Decision {
        outcome: Outcome::Denied,
        reasons: vec![reason],
        policies: Vec::new(),
        entries: Vec::new(),
        risk: Assessment { score: crate::model::risk::Score::MAX, ..Assessment::default() },
        ttl_max: SHORTEST,
        approvals_needed: 0,
        approval: None,
        glass: None,
        instead: None,
        unbound: false,
    }
}

/// What a refusal names as the life of a token that there is not.
const SHORTEST: Ttl = match Ttl::from_secs(1) {
    Ok(ttl) => ttl,
    Err(_) => unreachable!(),
};

fn ceiling(folder: &Folder, task: &str, mode: CeilingMode) -> Result<Option<Ceiling>, EvalError> {
    let scope = match mode {
        CeilingMode::None => None,
        CeilingMode::Tools | CeilingMode::Budgets => folder.scopes.get(task),
    };
    let Some(scope) = scope else { return Ok(None) };
    let tool = |(name, calls): (&String, &u32)| {
        let tool = name.parse().map_err(|_| EvalError::Missing { what: "the tool", name: name.clone() })?;
        let calls_max = (mode == CeilingMode::Budgets).then_some(*calls);
        Ok(ToolCeiling { calls_max, ..ToolCeiling::of(tool) })
    };
    let tools = scope.iter().map(tool).collect::<Result<_, EvalError>>()?;
    Ok(Some(Ceiling { tools, ..Ceiling::default() }))
}

/// What is the same for every request of a suite.
fn frame(suite: &str, ceiling_declared: bool) -> Result<Facts, EvalError> {
    let named = |what, name: &str| EvalError::Missing { what, name: name.to_owned() };
    let workload = |path: &str| path.parse::<SpiffeId>().map_err(|_| named("the identity", path));
    let agent = workload("spiffe://eval.carnet.test/agent")?;
    let task = TaskId::new(Timestamp::EPOCH, [0; 10]);
    Ok(Facts {
        version: FACTS_VERSION,
        question: Question::Request,
        now: Timestamp::EPOCH,
        principal: PrincipalFacts {
            id: agent.clone(),
            known: true,
            class: IdentityClass::AiAgent,
            owner: None,
            authentication: Authentication::X509Svid,
            svid_age_s: 0,
            network_declared: true,
            profile_changes: Vec::new(),
        },
        initiator: InitiatorFacts {
            name: "initiator".parse().map_err(|_| named("the initiator", "initiator"))?,
            verified: false,
        },
        task: TaskFacts {
            id: task,
            root: task,
            orchestrator: workload("spiffe://eval.carnet.test/orchestrator")?,
            agent,
            depth: 0,
            ceiling_declared,
            age_s: 0,
            remaining_s: 3600,
            outlived: false,
            state: TaskState::Active,
            blocks: Vec::new(),
            audience_allowed: true,
        },
        audience: Some(suite.parse().map_err(|_| named("the suite", suite))?),
        entries: Vec::new(),
        session: SessionFacts::default(),
        behaviour: None,
        signals: Vec::new(),
        ttl_asked: None,
        registration: None,
        approval: None,
        glass: None,
        opening: None,
        approving: None,
        observing: None,
    })
}

#[cfg(test)]
mod tests;
