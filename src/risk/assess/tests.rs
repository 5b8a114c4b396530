//! Scores: what counts, what does not, and that more never counts for less.

use proptest::prelude::*;

use super::*;
use crate::catalogue::tool::{OutsiderFields, Tool};
use crate::model::access::Effect;
use crate::model::facts::{
    EntryFacts, FACTS_VERSION, FitVerdict, InitiatorFacts, IntentFit, PrincipalFacts, Question, SessionFacts,
    SinkFacts, TaskFacts,
};
use crate::model::id::TaskId;
use crate::model::identity::{Authentication, IdentityClass};
use crate::model::provenance::{Evidence, Provenance};
use crate::model::risk::{Band, Signal};
use crate::model::sink::{SinkKind, SinkSpec};
use crate::model::time::Timestamp;

const TABLE: &str = r#"
[signals.unlisted]
cap = 5
[signals.sink_in_text]
points = 20
cap = 30
[signals.tainted_exit]
points = 40
cap = 40
[signals.siem_alert]
cap = 50
explanation = "the SIEM raised an alert"
[signals.high_privilege]
points = 5
cap = 20
[bands.default]
elevated = 20
high = 50
critical = 80
[drift]
unanswered_after_s = 60
"#;

fn table() -> RiskTable {
    RiskTable::parse(TABLE).unwrap()
}

fn catalogue() -> Catalogue {
    let tool = Tool {
        name: "send_mail".parse().unwrap(),
        description: "Sends a message".to_owned(),
        effect: Effect::Send,
        privilege: 60,
        data_classes: Vec::new(),
        sensitive: Vec::new(),
        owner: Some("group:mail".parse().unwrap()),
        audience: None,
        actions: vec!["tools/call".to_owned()],
        sinks: vec![SinkSpec { name: "recipients".to_owned(), kind: SinkKind::Address }],
        outsider_fields: OutsiderFields::None,
        conflicts: Vec::new(),
        calls_max: Some(1),
        definition_digest: None,
    };
    Catalogue::from_tools(vec![tool]).unwrap()
}

fn facts() -> Facts {
    let id = TaskId::new(Timestamp::EPOCH, [1; 10]);
    let agent: crate::model::spiffe_id::SpiffeId = "spiffe://acme.test/agent/a".parse().unwrap();
    Facts {
        version: FACTS_VERSION,
        question: Question::Request,
        now: Timestamp::from_secs(100),
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
        initiator: InitiatorFacts { name: "alice".parse().unwrap(), verified: false },
        task: TaskFacts {
            id,
            root: id,
            orchestrator: "spiffe://acme.test/orchestrator".parse().unwrap(),
            agent,
            depth: 0,
            ceiling_declared: false,
            age_s: 1,
            remaining_s: 60,
            outlived: false,
            state: crate::model::task::TaskState::Active,
            blocks: Vec::new(),
            audience_allowed: true,
        },
        audience: None,
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
    }
}

fn entry(provenances: &[Provenance]) -> EntryFacts {
    let sink = |(i, p): (usize, &Provenance)| SinkFacts {
        name: "recipients".to_owned(),
        kind: SinkKind::Address,
        value: format!("m{i}@acme.test"),
        provenance: *p,
        evidence: Some(Evidence {
            call: Some(2),
            position: 9,
            tool: "read_mail".to_owned(),
            field: "body".to_owned(),
            seen: None,
        }),
        beside_intent: false,
    };
    EntryFacts {
        tool: "send_mail".parse().unwrap(),
        actions: Vec::new(),
        resources: Vec::new(),
        data_classes: Vec::new(),
        ceiling: crate::model::ceiling::CeilingFit::Undeclared,
        sinks: provenances.iter().enumerate().map(sink).collect(),
        intent_fit: IntentFit { verdict: FitVerdict::Implied, because: Vec::new(), delegates: false },
        conflicts: Vec::new(),
        calls_before: 0,
        dictated: Vec::new(),
    }
}

fn signal(name: &str, source: &str, points: u32) -> Signal {
    Signal {
        name: name.parse().unwrap(),
        source: source.to_owned(),
        scorer: String::new(),
        points,
        explanation: String::new(),
        observed: Timestamp::EPOCH,
    }
}

fn assess(facts: &Facts) -> Assessment {
    table().assess(&catalogue(), facts)
}

#[test]
fn quiet_facts_score_nothing() {
    assert_eq!(assess(&facts()), Assessment::default());
}

#[test]
fn a_derived_signal_counts_by_occurrence_up_to_its_cap_and_says_where() {
    let mut f = facts();
    f.entries = vec![entry(&[Provenance::Text])];
    let one = assess(&f);
    // 20 for the sink, 2 units of 5 for privilege 60.
    assert_eq!(one.score.points(), 30);
    assert_eq!(one.band, Band::Elevated);
    let first = one.contributions.first().unwrap();
    assert_eq!(first.explanation, "`recipients` stands only in the text of `read_mail`'s result, in `body` (call 3)");
    f.entries = vec![entry(&[Provenance::Text; 5])];
    let five = assess(&f);
    assert_eq!(five.score.points(), 40, "capped at 30");
    assert!(five.contributions.first().unwrap().explanation.ends_with("; and 2 more"));
}

#[test]
fn a_value_that_is_grounded_adds_nothing_of_its_kind() {
    let mut f = facts();
    f.entries = vec![entry(&[Provenance::Intent, Provenance::Field])];
    assert!(assess(&f).contributions.iter().all(|c| c.signal.as_str() != "sink_in_text"));
}

#[test]
fn private_data_untrusted_input_and_a_way_out_come_together() {
    let mut f = facts();
    f.entries = vec![entry(&[])];
    f.session.untrusted_input = true;
    assert!(assess(&f).contributions.iter().all(|c| c.signal.as_str() != "tainted_exit"));
    f.session.carries = vec!["health".parse().unwrap()];
    let found = assess(&f).contributions;
    let exit = found.iter().find(|c| c.signal.as_str() == "tainted_exit").unwrap();
    assert!(exit.explanation.contains("health"), "{}", exit.explanation);
}

#[test]
fn reported_signals_count_once_per_name_and_source_at_their_highest() {
    let mut f = facts();
    let rows = [("siem_alert", "a", 10), ("siem_alert", "a", 30), ("siem_alert", "b", 90), ("made_up", "a", 90)];
    f.signals = rows.iter().map(|(n, s, p)| signal(n, s, *p)).collect();
    let a = assess(&f);
    assert_eq!(a.score.points(), 30 + 50 + 5, "each source up to the cap; what is not listed up to that of `unlisted`");
    let order: Vec<u32> = a.contributions.iter().map(|c| c.counted).collect();
    assert_eq!(order, [50, 30, 5]);
    assert_eq!(a.contributions.first().unwrap().explanation, "the SIEM raised an alert");
}

#[test]
fn a_report_in_carnets_own_name_does_not_lower_what_it_derives() {
    let mut f = facts();
    f.entries = vec![entry(&[Provenance::Text])];
    let before = assess(&f).score;
    f.signals = vec![signal("sink_in_text", OWN_SOURCE, 1)];
    assert_eq!(assess(&f).score, before);
}

#[test]
fn every_name_that_is_derived_is_documented_once() {
    let mut names: Vec<&str> = derive::NAMES.iter().map(|(n, _)| *n).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(names.iter().all(|n| n.parse::<SignalName>().is_ok()));
}

fn any_signal() -> impl Strategy<Value = Signal> {
    let names = prop::sample::select(vec!["siem_alert", "sink_in_text", "made_up", "other"]);
    let sources = prop::sample::select(vec!["a", "b", OWN_SOURCE]);
    (names, sources, 0_u32..=200).prop_map(|(n, s, p)| signal(n, s, p))
}

proptest! {
    #[test]
    fn more_signals_never_lower_the_score(
        some in prop::collection::vec(any_signal(), 0..8),
        more in prop::collection::vec(any_signal(), 0..8),
        worse in prop::collection::vec(prop::sample::select(Provenance::ALL.to_vec()), 0..6),
    ) {
        let mut f = facts();
        f.entries = vec![entry(&worse)];
        f.signals = some;
        let before = assess(&f);
        let mut g = f.clone();
        g.signals.extend(more);
        let after = assess(&g);
        prop_assert!(after.score >= before.score);
        prop_assert!(after.band >= before.band);
        g.session.untrusted_input = true;
        g.session.overflowed = true;
        g.principal.network_declared = false;
        prop_assert!(assess(&g).score >= after.score);
        // The order in which signals come does not matter.
        let mut turned = g.clone();
        turned.signals.reverse();
        prop_assert_eq!(assess(&turned).score, assess(&g).score);
    }
}

#[test]
fn who_opens_break_glass_is_in_the_bands_of_people() {
    let table = format!("{TABLE}[bands.human]\nelevated = 30\nhigh = 60\ncritical = 90\n");
    let table = RiskTable::parse(&table).unwrap();
    let opening = crate::model::glass::OpeningFacts {
        by: "gus".parse().unwrap(),
        initiated: false,
        life_s: 60,
        uses_max: 1,
        agent_class: Some(IdentityClass::AiAgent),
        denied_before: false,
    };
    let asked = Facts { signals: vec![signal("siem_alert", "a", 50)], ..facts() };
    let opens = Facts { opening: Some(opening), question: Question::BreakGlass, ..asked.clone() };
    let (agent, person) = (table.assess(&catalogue(), &asked), table.assess(&catalogue(), &opens));
    assert_eq!((agent.score.points(), agent.band), (50, Band::High));
    assert_eq!((person.score.points(), person.band), (50, Band::Elevated));
}

#[test]
fn each_doubt_about_a_value_has_a_sentence_of_its_own() {
    use crate::model::provenance::Seen;
    use crate::risk::derive::sink_in_words;
    let evidence = |field: &str, seen| Evidence {
        call: Some(2),
        position: 9,
        tool: "read_mail".to_owned(),
        field: field.to_owned(),
        seen,
    };
    let rows = [
        ("body", Some(Seen::Text), "`to` stands only in the text of `read_mail`'s result, in `body` (call 3)"),
        (
            "body",
            Some(Seen::OutsiderText),
            "`to` stands only in the text of the field `body` from outside, read by `read_mail` (call 3)",
        ),
        ("", Some(Seen::OutsiderText), "`to` stands only in text from outside, read by `read_mail` (call 3)"),
        (
            "from",
            Some(Seen::OutsiderField),
            "`to` is only the field `from` of `read_mail`'s result, which outsiders write (call 3)",
        ),
        (
            "id_",
            Some(Seen::OtherField),
            "`to` stands only as something else, in `read_mail`'s result, in `id_` (call 3)",
        ),
        (
            "id_",
            Some(Seen::Echo),
            "`to` is only what the agent had sent, told back in `read_mail`'s result, in `id_` (call 3)",
        ),
        (
            "id_",
            Some(Seen::MaybeEcho),
            "`to` may be only what the agent had sent, told back in `read_mail`'s result, in `id_` (call 3): of one of the two \
             Carnet was told a digest alone",
        ),
        ("made_up", Some(Seen::Said), "`to` stands only in what the agent itself reported of `read_mail` (call 3)"),
        (
            "x",
            Some(Seen::Ungranted),
            "`to` stands only in what was reported of a use of `read_mail` that nobody granted (call 3)",
        ),
        ("x", Some(Seen::Failed), "`to` stands only in the answer of `read_mail` when it failed (call 3)"),
        (
            "x",
            Some(Seen::UnknownTool),
            "`to` stands only in the answer of a tool that the catalogue does not know (call 3)",
        ),
        (
            "people.*",
            Some(Seen::OutsiderField),
            "`to` is only an entry of `people` of `read_mail`'s result, which outsiders write (call 3)",
        ),
        ("*", None, "`to` stands only in the text of `read_mail`'s result, in an entry (call 3)"),
        (
            "body",
            Some(Seen::Unread),
            "`to` may stand in what was read from `read_mail`'s result, in `body` (call 3) on, more than Carnet looks through",
        ),
    ];
    for (field, seen, expected) in rows {
        let sink = SinkFacts {
            name: "to".to_owned(),
            kind: SinkKind::Address,
            value: "eve@evil.test".to_owned(),
            provenance: Provenance::Text,
            evidence: Some(evidence(field, seen)),
            beside_intent: false,
        };
        assert_eq!(sink_in_words(&sink), expected);
        let refused =
            SinkFacts { provenance: Provenance::None, evidence: Some(evidence("", Some(Seen::Refused))), ..sink };
        assert_eq!(sink_in_words(&refused), "`to` stands in the intent only as what shall not be");
    }
}
