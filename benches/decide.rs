//! What a decision costs: with the shipped bundle, and with 20, 200 and 2,000 policies of which 20 or 40 match by scope.
//! Cost follows those that match, not those that there are.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark may fail by panicking")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;

use carnet::catalogue::tool::Catalogue;
use carnet::intent::judge::{Asked, Grounds, entries};
use carnet::intent::session::{ReportedCall, Reporter, Session};
use carnet::intent::task::Intent;
use carnet::intent::usage::Usage;
use carnet::model::access::Access;
use carnet::model::ceiling::CeilingFit;
use carnet::model::decision::Outcome;
use carnet::model::facts::{
    EntryFacts, FACTS_VERSION, Facts, FitVerdict, InitiatorFacts, IntentFit, PrincipalFacts, Question, SessionFacts,
    SinkFacts, TaskFacts,
};
use carnet::model::id::{TaskId, ToolName};
use carnet::model::identity::{Authentication, IdentityClass};
use carnet::model::json::Json;
use carnet::model::provenance::{Evidence, Provenance};
use carnet::model::risk::Signal;
use carnet::model::sink::SinkKind;
use carnet::model::task::TaskState;
use carnet::model::time::Timestamp;
use carnet::policy::bundle::{BundleFiles, PolicyBundle};
use carnet::policy::decide::decide;
use criterion::{Criterion, criterion_group, criterion_main};

/// Policies of the generated bundles that speak of every tool; the others speak of one tool or one agent each.
const GENERAL: usize = 16;
/// Who asks for which tool of a generated bundle.
const AGENT: &str = "a16";
const TOOL: &str = "t17";

fn shipped() -> BundleFiles {
    BundleFiles::read_dir(&Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/policy")).unwrap()
}

/// A bundle of so many policies, of which `matching` match by scope what [`AGENT`] asks of [`TOOL`]: `GENERAL` match any request,
/// the others name that tool or agent. Policies beyond name other tools and agents, in the same proportion.
fn generated(policies: usize, matching: usize) -> PolicyBundle {
    let tools = 100;
    let mut catalogue = String::new();
    for n in 0..tools {
        writeln!(
            catalogue,
            "[tools.t{n}]\ndescription = \"\"\neffect = \"send\"\nprivilege = 20\nowner = \"group:g{}\"\n\
             sinks = {{ a = \"address\", b = \"address\", c = \"id\", d = \"path\", e = \"amount\" }}",
            n % 10
        )
        .unwrap();
    }
    let mut cedar = "@id(\"permit\") permit (principal, action in Carnet::Action::\"use\", resource);\n".to_owned();
    for n in 1..policies {
        let scope = match n {
            n if n < GENERAL => "principal, action in Carnet::Action::\"effectful\", resource".to_owned(),
            n if n % 4 == 0 => {
                let agent = if n < matching { AGENT.to_owned() } else { format!("b{n}") };
                format!("principal == Carnet::Agent::\"spiffe://td/agent/{agent}\", action, resource is Carnet::Tool")
            }
            n => {
                let tool = if n < matching { TOOL.to_owned() } else { format!("t{}", 20 + n % (tools - 20)) };
                format!("principal, action == Carnet::Action::\"send\", resource == Carnet::Tool::\"{tool}\"")
            }
        };
        writeln!(
            cedar,
            "@id(\"p{n}\") @reason(\"FORBIDDEN\") @outcome(\"review\") forbid ({scope}) when {{ resource.way_out && context.session.untrusted_input \
             && context.sinks.unseen.containsAny([\"address\", \"url\"]) && context.task.depth > {} }};",
            n % 5
        )
        .unwrap();
    }
    let keep = |path: &str| matches!(path, "schema.cedarschema" | "identities.toml" | "risk.toml");
    let files = shipped();
    let kept = files.iter().filter(|(path, _)| keep(path)).map(|(path, content)| (path.to_owned(), content.to_vec()));
    let own =
        [("catalogue.toml", catalogue), ("all.cedar", cedar)].map(|(path, text)| (path.to_owned(), text.into_bytes()));
    let files = BundleFiles::new(kept.chain(own)).unwrap();
    PolicyBundle::load(files).unwrap_or_else(|e| panic!("{:#?}", e.problems().first()))
}

fn facts(tool: &str, sinks: &[(&str, SinkKind)], audience: &str) -> Facts {
    let task = TaskId::new(Timestamp::from_secs(1_793_577_600), [7; 10]);
    let evidence =
        Evidence { call: Some(3), position: 77, tool: "mail.read".to_owned(), field: "body".to_owned(), seen: None };
    let sinks = sinks.iter().map(|(name, kind)| SinkFacts {
        name: (*name).to_owned(),
        kind: *kind,
        value: if *kind == SinkKind::Amount { "12.50".to_owned() } else { "someone@example.test".to_owned() },
        provenance: Provenance::Field,
        evidence: Some(evidence.clone()),
        beside_intent: false,
    });
    let signal = |n: u32| Signal {
        name: format!("signal-{n}").parse().unwrap(),
        source: "spiffe://td/scorer/s".to_owned(),
        scorer: "model-1".to_owned(),
        points: n,
        explanation: "something was seen".to_owned(),
        observed: Timestamp::from_secs(1_793_577_000),
    };
    Facts {
        approving: None,
        version: FACTS_VERSION,
        question: Question::Request,
        now: Timestamp::from_secs(1_793_577_600),
        principal: PrincipalFacts {
            id: format!("spiffe://td/agent/{AGENT}").parse().unwrap(),
            known: true,
            class: IdentityClass::AiAgent,
            owner: Some("group:agents".parse().unwrap()),
            authentication: Authentication::X509Svid,
            svid_age_s: 60,
            network_declared: true,
            profile_changes: Vec::new(),
        },
        initiator: InitiatorFacts { name: "ann".parse().unwrap(), verified: true },
        task: TaskFacts {
            id: task,
            root: task,
            orchestrator: "spiffe://td/orchestrator/o".parse().unwrap(),
            agent: format!("spiffe://td/agent/{AGENT}").parse().unwrap(),
            depth: 0,
            ceiling_declared: true,
            age_s: 60,
            remaining_s: 3600,
            outlived: false,
            state: TaskState::Active,
            blocks: Vec::new(),
            audience_allowed: true,
        },
        audience: Some(audience.parse().unwrap()),
        entries: vec![EntryFacts {
            tool: tool.parse().unwrap(),
            actions: Vec::new(),
            resources: Vec::new(),
            data_classes: Vec::new(),
            ceiling: CeilingFit::Within,
            sinks: sinks.collect(),
            intent_fit: IntentFit { verdict: FitVerdict::Implied, ..IntentFit::default() },
            conflicts: Vec::new(),
            calls_before: 0,
            dictated: Vec::new(),
        }],
        session: SessionFacts { calls: 50, untrusted_input: true, ..SessionFacts::default() },
        behaviour: None,
        signals: (1..4).map(signal).collect(),
        ttl_asked: None,
        registration: None,
        approval: None,
        glass: None,
        opening: None,
        observing: None,
    }
}

/// A catalogue of one tool that lists and one that sends, and what a family of 50 calls with results of 1 KiB has seen.
fn family() -> (Catalogue, Session) {
    let text = "[tools.list]\ndescription = \"\"\neffect = \"read\"\nprivilege = 1\nowner = \"o\"\n[tools.send]\ndescription = \
                \"\"\neffect = \"send\"\nprivilege = 20\nowner = \"o\"\nsinks = { to = \"address\", cc = \"address\", file = \"id\", \
                folder = \"path\", amount = \"amount\" }\n";
    let catalogue = Catalogue::parse(text).unwrap();
    let mut session = Session::new();
    let tool: ToolName = "list".parse().unwrap();
    for n in 0..50 {
        let record = |i: usize| {
            format!(
                r#"{{"id":"f{n}{i}","title":"Entry {i} of listing {n}","created":"2031-05-{:02}","by":"p{i}.{n}@acme.test","note":"A sentence of prose about entry {i} that somebody wrote on page {n} of it."}}"#,
                i + 1
            )
        };
        let result = format!("[{}]", (0..6).map(record).collect::<Vec<_>>().join(","));
        let (arguments, result) =
            (Json::parse(&format!(r#"{{"page":{n}}}"#), 99).unwrap(), Json::parse(&result, 9999).unwrap());
        let call = ReportedCall {
            tool: &tool,
            spec: catalogue.tool(&tool),
            arguments: &arguments,
            result: &result,
            reporter: Reporter::Audience,
            position: n,
            failed: false,
        };
        session.report(&call, &INTENT.into(), &[]);
    }
    (catalogue, session)
}

const INTENT: &str = "Send the newest entry of the listing to whoever wrote it, and 20 EUR for the work";

/// Tracing five sinks of a request through fifty calls.
fn judging(c: &mut Criterion) {
    let (catalogue, session) = family();
    let arguments = r#"{"to":"p3.20@acme.test","cc":"p5.49@acme.test","file":"f305","folder":"/nowhere","amount":20,"text":"A sentence that stands nowhere."}"#;
    let access = Access {
        tool: "send".parse().unwrap(),
        actions: Vec::new(),
        resources: Vec::new(),
        arguments: Json::parse_object(arguments, 999).unwrap(),
        data_classes: Vec::new(),
    };
    let (usage, accesses, intent) = (Usage::default(), [access], Intent::from(INTENT));
    let grounds = Grounds {
        intent: &intent,
        bounds: &[],
        declared: &[],
        session: &session,
        usage: &usage,
        past: &[],
        agent: None,
        now: Timestamp::EPOCH,
    };
    let judge = || entries(black_box(&accesses), &catalogue, &grounds, Asked::New).unwrap();
    assert_eq!(judge().first().map(|entry| entry.sinks.len()), Some(5));
    c.bench_function("judge: 5 sinks, 50 earlier calls of 1 KiB", |b| b.iter(|| black_box(judge())));
}

fn benchmarks(c: &mut Criterion) {
    let mut group = c.benchmark_group("decide");
    let bundle = PolicyBundle::load(shipped()).unwrap();
    let sinks = [
        ("to", SinkKind::Address),
        ("cc", SinkKind::Address),
        ("bcc", SinkKind::Address),
        ("attachments.file_id", SinkKind::Id),
    ];
    let five: Vec<_> = sinks.into_iter().chain([("attachments.file_id", SinkKind::Id)]).collect();
    let mail = facts("mail.send", &five, "https://mail.dev.carnet.test");
    assert_eq!(decide(&bundle, &mail).outcome, Outcome::Granted);
    group.bench_function("shipped, 5 sinks", |b| b.iter(|| black_box(decide(&bundle, black_box(&mail)))));
    let search = facts("tickets.search", &[], "https://tickets.dev.carnet.test");
    group.bench_function("shipped, read without sinks", |b| b.iter(|| black_box(decide(&bundle, black_box(&search)))));
    let kinds = [SinkKind::Address, SinkKind::Address, SinkKind::Id, SinkKind::Path, SinkKind::Amount];
    let five: Vec<_> = ["a", "b", "c", "d", "e"].into_iter().zip(kinds).collect();
    for (policies, matching) in [(20, 20), (200, 20), (2000, 20), (40, 40), (2000, 40)] {
        let bundle = generated(policies, matching);
        let asked = facts(TOOL, &five, "https://any.test");
        assert_eq!(decide(&bundle, &asked).outcome, Outcome::Granted);
        group.bench_function(format!("{policies} policies, {matching} match, 5 sinks"), |b| {
            b.iter(|| black_box(decide(&bundle, black_box(&asked))))
        });
    }
    group.finish();
}

criterion_group!(benches, benchmarks, judging);
criterion_main!(benches);
