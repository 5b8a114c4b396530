//! A broker and `policy eval` agree, because both go through the same code: sessions are driven through a running broker over
//! gRPC, and for every call that the data holds a pair for, outcome, reasons and provenance are the same.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use carnet::eval::folder::{Folder, Pair, Step};
use carnet::eval::infer;
use carnet::eval::run::{CeilingMode, Prediction, bundle_files, run};
use carnet::pb::v1::{Ceiling, DecisionRecord, Outcome, Provenance, RegisterTaskRequest, ToolCeiling};
use carnet::policy::bundle::BundleFiles;
use serde_json::Value;
use tonic::Code;

use super::support::ask::OpenTask;
use super::support::broker::{Setup, TestBroker, policy_with};
use super::support::caller::Caller;
use super::support::pki::DOMAIN;

/// Path of the gateway in front of a suite: what it reports counts though no credential was asked for.
const SERVER: &str = "/resource-of/suite";
const MODES: [CeilingMode; 3] = [CeilingMode::None, CeilingMode::Tools, CeilingMode::Budgets];
/// Stories that are driven of each suite and kind, benign and injected.
const STORIES_MAX: usize = 7;

/// The shipped policies, and a gateway for the suite.
fn policies(suite: &str) -> BundleFiles {
    policy_with(|path, text| {
        // What is registered here is no orchestrator's choice: it is what the data says.
        if path == "60-tasks.cedar" {
            let (before, rule) = text.split_once("@id(\"powerful-ceiling\")").unwrap();
            return format!("{before}@id(\"widening\"){}", rule.split_once("@id(\"widening\")").unwrap().1);
        }
        if path != "identities.toml" {
            return text;
        }
        format!(
            "{text}\n[[identity]]\npattern = \"spiffe://{DOMAIN}{SERVER}\"\nclass = \"resource_server\"\nowner = \
             \"group:suite\"\naudiences = [{suite:?}]\ngateway = true\n"
        )
    })
}

/// One session as it went, with what an attacker had planted in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Story<'a> {
    task: &'a str,
    session: Option<&'a str>,
    injected: Option<&'a str>,
}

/// The pairs of each story, by the number of steps before them.
type Stories<'a> = BTreeMap<Story<'a>, BTreeMap<usize, Vec<&'a Pair>>>;

/// The stories of a suite: of each task one benign and one injected, of different tasks first.
fn stories<'a>(folder: &'a Folder, suite: &str) -> Stories<'a> {
    let mut all: Stories<'a> = BTreeMap::new();
    for pair in folder.pairs.iter().filter(|pair| pair.suite == suite) {
        let history = pair.history.as_ref();
        let story = Story {
            task: &pair.task_id,
            session: history.map(|h| h.session.as_str()),
            injected: history.and_then(|h| h.injected.as_deref()),
        };
        all.entry(story).or_default().entry(history.map_or(0, |h| h.steps)).or_default().push(pair);
    }
    let mut taken = BTreeMap::new();
    let mut tasks = BTreeSet::new();
    for (story, pairs) in all {
        let kind = (story.session.is_some(), story.injected.is_some());
        let driven: usize =
            taken.keys().filter(|s: &&Story<'_>| (s.session.is_some(), s.injected.is_some()) == kind).count();
        if driven < STORIES_MAX && tasks.insert((story.task, kind)) {
            taken.insert(story, pairs);
        }
    }
    taken
}

/// Drives the stories of one suite through a broker of its own; how many sessions and pairs were held against `eval`.
async fn drive(folder: &Folder, suite: &str, mode: CeilingMode) -> (BTreeSet<String>, usize) {
    let files = policies(suite);
    let catalogue = infer::catalogues(folder).unwrap().remove(suite).unwrap();
    let expected = predictions(folder, &files, suite, mode);
    let policy = bundle_files(&files, suite, &catalogue).unwrap();
    let broker = TestBroker::with(Setup { policy, ..Setup::default() }).await;
    let (orchestrator, agent) = (broker.orchestrator().await.unchecked(), broker.agent().await.unchecked());
    let (server, operator) = (broker.caller(SERVER).await.unchecked(), broker.operator().await);
    let (mut sessions, mut pairs_held) = (BTreeSet::new(), 0);
    for (story, pairs) in stories(folder, suite) {
        let intent = &folder.tasks[story.task].intent;
        let ceiling = ceiling(folder, story.task, mode);
        let open =
            || orchestrator.open(RegisterTaskRequest { ceiling: ceiling.clone(), ..broker.task(intent.as_str()) });
        let report = async |task: &OpenTask, step: &Step| {
            let mut call = task.report("", &step.tool, &Value::Null, &Value::Null);
            call.arguments_json = step.arguments.to_text();
            call.result_json = step.result_with(story.injected).to_text();
            server.report_tool_call(call).await.unwrap();
        };
        let mut task = open().await;
        let steps = story.session.map_or(&[][..], |session| &folder.sessions[session]);
        for n in 0..=steps.len() {
            for pair in pairs.get(&n).into_iter().flatten() {
                let access = super::support::ask::access(&pair.tool, &Value::Null);
                let arguments_json = pair.arguments.to_text();
                let access = carnet::pb::v1::Access { arguments_json, ..access };
                let expected = &expected[&pair.pair_id];
                held(&agent, &operator, task.steps(suite, vec![access]), expected).await;
                pairs_held += 1;
                // A grant draws on budgets and counts as read, and eval asks of each pair what it would be by itself.
                if ["allow", "narrow"].contains(&expected.outcome) {
                    orchestrator.complete_task(task.complete()).await.unwrap();
                    task = open().await;
                    for step in steps.iter().take(n) {
                        report(&task, step).await;
                    }
                }
            }
            if let Some(step) = steps.get(n) {
                report(&task, step).await;
            }
        }
        orchestrator.complete_task(task.complete()).await.unwrap();
        sessions.extend(story.session.map(str::to_owned));
    }
    (sessions, pairs_held)
}

/// What is declared up front of a task.
fn ceiling(folder: &Folder, task: &str, mode: CeilingMode) -> Option<Ceiling> {
    let scope = folder.scopes.get(task).filter(|_| mode != CeilingMode::None)?;
    let tool = |(name, calls): (&String, &u32)| ToolCeiling {
        tool: name.clone(),
        calls_max: (mode == CeilingMode::Budgets).then_some(*calls),
        ..ToolCeiling::default()
    };
    Some(Ceiling { tools: scope.iter().map(tool).collect(), ..Ceiling::default() })
}

fn predictions(folder: &Folder, files: &BundleFiles, suite: &str, mode: CeilingMode) -> BTreeMap<String, Prediction> {
    let mut out = BTreeMap::new();
    run(files, folder, mode, |judged| {
        if judged.pair.suite == suite {
            out.insert(judged.pair.pair_id.clone(), judged.prediction());
        }
    })
    .unwrap();
    out
}

/// Asks, and holds what is on record against what `eval` says.
async fn held(
    agent: &Caller,
    operator: &Caller,
    request: carnet::pb::v1::RequestCredentialRequest,
    expected: &Prediction,
) {
    let answer = match agent.request_credential(request).await {
        Ok(answer) => answer,
        Err(refused) => {
            assert_eq!(refused.code, Code::InvalidArgument, "{}: {refused:?}", expected.pair_id);
            assert_eq!(expected.reasons, ["INVALID_ARGUMENT"], "{}: {refused:?}", expected.pair_id);
            return;
        }
    };
    let decision = answer.decision.unwrap();
    let record = operator.decision(&decision.decision_id).await.unwrap();
    assert_eq!(answer.grant.is_some(), ["allow", "narrow"].contains(&expected.outcome), "{}", expected.pair_id);
    assert_eq!(outcome(&record), expected.outcome, "{}: {record:#?}", expected.pair_id);
    assert_eq!(reasons(&record), expected.reasons, "{}: {record:#?}", expected.pair_id);
    assert_eq!(provenance(&record), expected.provenance, "{}: {record:#?}", expected.pair_id);
}

fn outcome(record: &DecisionRecord) -> &'static str {
    match record.outcome() {
        Outcome::Granted => "allow",
        Outcome::Narrowed => "narrow",
        Outcome::StepUp => "step_up",
        Outcome::Review => "review",
        Outcome::Denied => "deny",
        Outcome::Unspecified => "nothing",
    }
}

fn reasons(record: &DecisionRecord) -> Vec<&str> {
    let mut codes: Vec<&str> = Vec::new();
    for reason in &record.reasons {
        if !codes.contains(&reason.code.as_str()) {
            codes.push(&reason.code);
        }
    }
    codes
}

fn provenance(record: &DecisionRecord) -> BTreeMap<String, Vec<&'static str>> {
    let mut out: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
    for sink in record.access.iter().flat_map(|access| &access.sinks) {
        let word = match sink.provenance() {
            Provenance::Intent => "intent",
            Provenance::Ceiling => "ceiling",
            Provenance::Field => "field",
            Provenance::Argument => "argument",
            Provenance::Text => "text",
            Provenance::None => "none",
            Provenance::Unspecified => "nothing",
        };
        out.entry(sink.name.clone()).or_default().push(word);
    }
    out
}

async fn drive_all(folder: &Path, modes: &[CeilingMode]) -> (BTreeSet<String>, usize, usize) {
    let folder = Folder::read(folder).unwrap();
    let suites: BTreeSet<&str> = folder.pairs.iter().map(|pair| pair.suite.as_str()).collect();
    let (mut sessions, mut pairs, mut injected) = (BTreeSet::new(), 0, 0);
    for suite in suites {
        for mode in modes {
            let (driven, held) = drive(&folder, suite, *mode).await;
            sessions.extend(driven);
            pairs += held;
        }
        injected += stories(&folder, suite).keys().filter(|story| story.injected.is_some()).count();
    }
    (sessions, pairs, injected)
}

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_record_and_eval_agree_on_the_fixture_sessions() {
    let (sessions, pairs, injected) = drive_all(&at("tests/vectors/eval"), &MODES).await;
    assert!(!sessions.is_empty() && pairs > 0 && injected > 0, "{sessions:?}, {pairs} pairs, {injected} injected");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_record_and_eval_agree_on_real_sessions() {
    let named = std::env::var("CARNET_EVAL_DATA").unwrap_or_else(|_| "../shared/eval".to_owned());
    let folder = at(&named);
    if !folder.is_dir() {
        // Not by a macro: what a test prints is kept from whoever runs it.
        let absent = format!("\n!!! {named} IS ABSENT: agreement on real sessions was NOT tested\n\n");
        std::io::stderr().write_all(absent.as_bytes()).unwrap();
        return;
    }
    let (sessions, pairs, injected) = drive_all(&folder, &MODES).await;
    assert!(sessions.len() >= 20, "only {} sessions were driven", sessions.len());
    assert!(pairs >= 100 && injected >= 5, "{pairs} pairs, {injected} injected");
}
