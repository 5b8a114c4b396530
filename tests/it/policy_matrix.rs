//! The shipped policies over a grid of classes, tools, taint, bands and provenance, golden: what a change of policy
//! changes is seen in its review.

use std::fmt::Write as _;
use std::path::Path;

use carnet::model::ceiling::CeilingFit;
use carnet::model::decision::Outcome;
use carnet::model::facts::{
    EntryFacts, FACTS_VERSION, Facts, FitVerdict, InitiatorFacts, IntentFit, PrincipalFacts, Question, SessionFacts,
    SinkFacts, TaskFacts,
};
use carnet::model::id::{TaskId, ToolName};
use carnet::model::identity::{Authentication, IdentityClass};
use carnet::model::provenance::Provenance;
use carnet::model::risk::Band;
use carnet::model::task::TaskState;
use carnet::model::time::Timestamp;
use carnet::policy::bundle::{BundleFiles, PolicyBundle};
use carnet::policy::cases::in_band;
use carnet::policy::decide::decide_at;

use crate::golden;

/// One tool for each effect, and a read that is a way out.
const TOOLS: [&str; 8] = [
    "files.read",
    "web.fetch",
    "files.write",
    "mail.send",
    "files.delete",
    "payments.pay",
    "deploy.run",
    "users.grant_role",
];
const CLASSES: [IdentityClass; 2] = [IdentityClass::AiAgent, IdentityClass::ServiceAccount];
const PROVENANCES: [Provenance; 4] = [Provenance::Intent, Provenance::Field, Provenance::Text, Provenance::None];

const LEGEND: &str = "\
The shipped policies, cell by cell. Within the ceiling, intent fits, initiator verified, one value for every sink.
In each band: i every value stands in the intent, f in a field, t only in text, n nowhere.
tainted: private data and untrusted input were read before.
G granted  N narrowed  S step_up  R review  D denied
";

#[test]
fn the_shipped_policies_answer_as_the_golden_matrix_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/policy");
    let bundle =
        PolicyBundle::load(BundleFiles::read_dir(&folder).unwrap()).unwrap_or_else(|e| panic!("{:#?}", e.problems()));
    let bands = Band::ALL.map(|band| format!("{:<10}", band.as_str())).concat();
    let columns = Band::ALL.map(|_| format!("{:<10}", "iftn")).concat();
    let mut out = format!("{LEGEND}\n{:<54}{}\n", "", bands.trim_end());
    let heads = [("class", 17), ("tool", 18), ("effect", 11), ("", 8)];
    let heads: String = heads.map(|(head, width)| format!("{head:<width$}")).concat();
    writeln!(out, "{heads}{}", columns.trim_end()).unwrap();
    for class in CLASSES {
        for tool in TOOLS {
            for tainted in [false, true] {
                let row = row(&bundle, class, tool, tainted);
                out.push_str(row.trim_end());
                out.push('\n');
            }
        }
    }
    golden::check("policy_matrix.txt", &out);
}

fn row(bundle: &PolicyBundle, class: IdentityClass, tool: &str, tainted: bool) -> String {
    let effect = bundle.catalogue().tool(&tool.parse().unwrap()).unwrap().effect;
    let taint = if tainted { "tainted" } else { "" };
    let mut out = format!("{:<17}{tool:<18}{:<11}{taint:<8}", class.as_str(), effect.as_str());
    for band in Band::ALL {
        let cells: String = PROVENANCES
            .into_iter()
            .map(|from| letter(decide_at(bundle, &facts(bundle, class, tool, tainted, from), in_band(band)).outcome))
            .collect();
        write!(out, "{cells:<10}").unwrap();
    }
    out
}

const fn letter(outcome: Outcome) -> char {
    match outcome {
        Outcome::Granted => 'G',
        Outcome::Narrowed => 'N',
        Outcome::StepUp => 'S',
        Outcome::Review => 'R',
        Outcome::Denied => 'D',
    }
}

pub fn facts(bundle: &PolicyBundle, class: IdentityClass, tool: &str, tainted: bool, from: Provenance) -> Facts {
    let name: ToolName = tool.parse().unwrap();
    let spec = bundle.catalogue().tool(&name).unwrap();
    let sinks = spec.sinks.iter().map(|s| SinkFacts {
        name: s.name.clone(),
        kind: s.kind,
        value: "100".to_owned(),
        provenance: from,
        evidence: None,
        beside_intent: false,
    });
    let task = TaskId::new(Timestamp::from_secs(1_793_577_600), [7; 10]);
    Facts {
        version: FACTS_VERSION,
        question: Question::Request,
        now: Timestamp::from_secs(1_793_577_600),
        principal: PrincipalFacts {
            id: "spiffe://dev.carnet.test/agent/a".parse().unwrap(),
            known: true,
            class,
            owner: None,
            authentication: Authentication::X509Svid,
            svid_age_s: 60,
            network_declared: true,
            profile_changes: Vec::new(),
        },
        initiator: InitiatorFacts { name: "ann".parse().unwrap(), verified: true },
        task: TaskFacts {
            id: task,
            root: task,
            orchestrator: "spiffe://dev.carnet.test/orchestrator/o".parse().unwrap(),
            agent: "spiffe://dev.carnet.test/agent/a".parse().unwrap(),
            depth: 0,
            ceiling_declared: true,
            age_s: 60,
            remaining_s: 3600,
            outlived: false,
            state: TaskState::Active,
            blocks: Vec::new(),
            audience_allowed: true,
        },
        audience: spec.audience.clone(),
        entries: vec![EntryFacts {
            tool: name,
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
        session: SessionFacts {
            calls: 3,
            untrusted_input: tainted,
            carries: if tainted { vec!["pii".parse().unwrap()] } else { Vec::new() },
            ..SessionFacts::default()
        },
        behaviour: None,
        signals: Vec::new(),
        ttl_asked: None,
        registration: None,
        approval: None,
        glass: None,
        opening: None,
        approving: None,
        observing: None,
    }
}
