//! What break-glass goes before, and what it never does.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::time::Duration;

use crate::model::approval::{ApprovalFacts, Verdict};
use crate::model::ceiling::{Breach, CeilingFit};
use crate::model::decision::{Decision, Outcome};
use crate::model::facts::{Facts, Question};
use crate::model::glass::{GlassFacts, OpeningFacts};
use crate::model::id::{ApprovalId, GlassId};
use crate::model::identity::Authentication;
use crate::model::provenance::Provenance;
use crate::model::reason::ReasonCode;
use crate::model::risk::Band;
use crate::model::task::{ProfilePart, TaskState};
use crate::model::time::Timestamp;
use crate::policy::bundle::PolicyBundle;
use crate::policy::bundle::tests::load;
use crate::policy::cases::in_band;
use crate::policy::decide::decide_at;
use crate::policy::decide::tests::{facts, shipped, sink};

/// A mail to somebody whom nobody named, with a glass that is open for it.
fn through(bundle: &PolicyBundle) -> Facts {
    let mut facts = facts(&["mail.send"]);
    facts.entries[0].sinks = vec![sink("mail.send", "to", Provenance::None)];
    facts.glass = Some(GlassFacts {
        id: GlassId::new(Timestamp::from_secs(1), [9; 10]),
        by: "gus".parse().unwrap(),
        policy_digest: bundle.digest().to_string(),
        until: facts.now.after(Duration::from_secs(60)),
    });
    facts
}

fn decided(bundle: &PolicyBundle, facts: &Facts) -> Decision {
    decide_at(bundle, facts, in_band(Band::Low))
}

fn codes(decision: &Decision) -> Vec<ReasonCode> {
    decision.reasons.iter().map(|reason| reason.code).collect()
}

#[test]
fn it_goes_before_whatever_asks_people_and_is_named_in_the_decision() {
    let with = through(shipped());
    let without = Facts { glass: None, ..with.clone() };
    assert_eq!(decided(shipped(), &without).outcome, Outcome::Review);
    let decision = decided(shipped(), &with);
    assert_eq!((decision.outcome, decision.glass), (Outcome::Granted, with.glass.as_ref().map(|glass| glass.id)));
    assert_eq!(decision.approval, None);
    for band in [Band::High, Band::Critical] {
        let decision = decide_at(shipped(), &with, in_band(band));
        assert!(decision.outcome.is_grant() && decision.glass.is_some(), "{band}: {:?}", decision.reasons);
    }
    let staying = Facts { question: Question::Retain, ..with };
    assert!(decided(shipped(), &staying).glass.is_some(), "and what was granted through it stays");
}

#[test]
fn it_is_not_named_where_nothing_is_in_its_way() {
    let mut plain = through(shipped());
    plain.entries[0].sinks = vec![sink("mail.send", "to", Provenance::Intent)];
    let decision = decided(shipped(), &plain);
    assert_eq!((decision.outcome, decision.glass), (Outcome::Granted, None));
}

#[test]
fn it_is_good_for_nothing_when_it_is_over_or_of_another_bundle() {
    let good = through(shipped());
    let over = Facts { now: good.now.after(Duration::from_secs(60)), ..good.clone() };
    let mut other = good;
    other.glass.as_mut().unwrap().policy_digest = "0".repeat(64);
    for (why, facts) in [("over", over), ("another bundle", other)] {
        let decision = decided(shipped(), &facts);
        assert_eq!((decision.outcome, decision.glass), (Outcome::Review, None), "{why}");
    }
}

#[test]
fn nothing_of_structure_yields_to_it() {
    let mut cases: Vec<(&str, Facts, ReasonCode)> = Vec::new();
    let mut add = |name, code, change: fn(&mut Facts)| {
        let mut facts = through(shipped());
        change(&mut facts);
        cases.push((name, facts, code));
    };
    add("an end", ReasonCode::TaskEnded, |f| f.task.state = TaskState::Cancelled);
    add("a pause", ReasonCode::TaskPaused, |f| f.task.state = TaskState::Paused);
    add("a deadline", ReasonCode::DeadlinePassed, |f| f.task.remaining_s = 0);
    add("a block of the agent", ReasonCode::Blocked, |f| f.task.blocks = vec!["agent".to_owned()]);
    add("a block of the initiator", ReasonCode::Blocked, |f| f.task.blocks = vec!["initiator".to_owned()]);
    add("trust", ReasonCode::Blocked, |f| f.task.blocks = vec!["trust_domain".to_owned()]);
    add("an unknown identity", ReasonCode::IdentityUnknown, |f| f.principal.known = false);
    add("another audience", ReasonCode::AudienceNotInTask, |f| f.task.audience_allowed = false);
    add("an unknown tool", ReasonCode::ToolUnknown, |f| f.entries[0].tool = "tickets.burn".parse().unwrap());
    add("a ceiling", ReasonCode::CeilingExceeded, |f| {
        f.entries[0].ceiling = CeilingFit::Outside { breaches: vec![Breach::Tool] };
    });
    add("break-glass itself", ReasonCode::BreakGlassNotForAgents, |f| {
        f.entries[0].tool = "break_glass".parse().unwrap();
    });
    add("a later version", ReasonCode::PolicyError, |f| f.version += 1);
    for (name, facts, code) in cases {
        let decision = decided(shipped(), &facts);
        assert_eq!((decision.outcome, decision.glass), (Outcome::Denied, None), "{name}");
        assert!(codes(&decision).contains(&code), "{name}: {:?}", decision.reasons);
    }
}

const DENIES: &str = "@id(\"no-mail\") @reason(\"FORBIDDEN\") @outcome(\"denied\") forbid (principal, \
     action == Carnet::Action::\"send\", resource);";

#[test]
fn a_denial_yields_to_it_only_where_its_policy_says_so() {
    let firm = load(&[("90-mail.cedar", DENIES)]);
    let decision = decided(&firm, &through(&firm));
    assert_eq!((decision.outcome, decision.glass), (Outcome::Denied, None));
    assert_eq!(codes(&decision), [ReasonCode::Forbidden, ReasonCode::SinkUnseen], "and nothing else is taken away");
    let yields = load(&[("90-mail.cedar", &DENIES.replace("@reason", "@break_glass(\"overrides\") @reason"))]);
    let decision = decided(&yields, &through(&yields));
    assert!(decision.outcome == Outcome::Granted && decision.glass.is_some(), "{:?}", decision.reasons);
    let facts = Facts { glass: None, ..through(&yields) };
    assert_eq!(decided(&yields, &facts).outcome, Outcome::Denied);
}

#[test]
fn no_glass_takes_the_place_of_a_permit() {
    let none = load(&[(
        "10-permits.cedar",
        "@id(\"reads\") permit (principal, action == Carnet::Action::\"read\", resource);",
    )]);
    let decision = decided(&none, &through(&none));
    assert_eq!((decision.outcome, decision.glass), (Outcome::Denied, None));
    assert!(codes(&decision).contains(&ReasonCode::NoPermit));
}

#[test]
fn what_a_person_denied_before_does_not_stand_against_who_opened_it() {
    let mut facts = through(shipped());
    facts.approval = Some(ApprovalFacts {
        id: ApprovalId::new(Timestamp::from_secs(1), [7; 10]),
        verdict: Verdict::Denied,
        by: Vec::new(),
        policy_digest: shipped().digest().to_string(),
        band: Band::Low,
        cures: Vec::new(),
        until: facts.now.after(Duration::from_secs(60)),
        used: false,
    });
    assert!(decided(shipped(), &facts).glass.is_some());
    facts.glass = None;
    assert_eq!(decided(shipped(), &facts).outcome, Outcome::Denied);
}

#[test]
fn no_agent_and_no_permit_for_agents_opens_one() {
    let wide = load(&[
        ("10-permits.cedar", "@id(\"all\") permit (principal is Carnet::Agent, action, resource);"),
        ("70-break-glass.cedar", ""),
    ]);
    let mut facts = Facts { question: Question::BreakGlass, ..through(&wide) };
    facts.glass = None;
    let decision = decided(&wide, &facts);
    assert_eq!(decision.outcome, Outcome::Denied, "without a person: {:?}", decision.reasons);
    facts.opening = Some(opening());
    assert_eq!(codes(&decided(&wide, &facts)), [ReasonCode::NoPermit]);
}

fn opening() -> OpeningFacts {
    OpeningFacts {
        by: "gus".parse().unwrap(),
        initiated: false,
        life_s: 900,
        uses_max: 1,
        agent_class: None,
        denied_before: false,
    }
}

#[test]
fn no_ceiling_yields_to_it_whatever_the_tool_does() {
    for breach in [Breach::Tool, Breach::AnyResource, Breach::Calls { calls_max: 1 }] {
        let mut read = Facts { glass: through(shipped()).glass, ..facts(&["tickets.search"]) };
        let opens = |facts: &Facts| {
            let facts = Facts { question: Question::BreakGlass, glass: None, ..facts.clone() };
            decided(shipped(), &Facts { opening: Some(opening()), ..facts })
        };
        assert!(decided(shipped(), &read).outcome.is_grant());
        assert_eq!(opens(&read).outcome, Outcome::Granted);
        read.entries[0].ceiling = CeilingFit::Outside { breaches: vec![breach.clone()] };
        for question in [Question::Request, Question::Retain] {
            let decision = decided(shipped(), &Facts { question, ..read.clone() });
            assert!(!decision.outcome.is_grant() && decision.glass.is_none(), "{breach:?} {question:?}");
            assert!(codes(&decision).contains(&ReasonCode::CeilingExceeded), "{breach:?} {question:?}");
        }
        let decision = opens(&read);
        assert_eq!((decision.outcome, codes(&decision)), (Outcome::Denied, vec![ReasonCode::CeilingExceeded]));
    }
}

type Change = fn(&mut Facts);

#[test]
fn a_changed_agent_one_from_elsewhere_and_one_without_its_key_get_nothing_through_it() {
    // For who proves no key, a permit that would let it in.
    let bundle = load(&[(
        "90-unbound.cedar",
        "@id(\"unbound\") @unbound(\"45s\") permit (principal, action == Carnet::Action::\"send\", resource);",
    )]);
    let changes: [(&str, Change); 3] = [
        ("a changed agent", |f| f.principal.profile_changes = vec![ProfilePart::Model]),
        ("another network", |f| f.principal.network_declared = false),
        ("no key", |f| f.principal.authentication = Authentication::JwtSvid),
    ];
    assert!(decided(&bundle, &through(&bundle)).glass.is_some());
    for (why, change) in changes {
        let mut facts = through(&bundle);
        change(&mut facts);
        let decision = decided(&bundle, &facts);
        assert!(decision.outcome.waits_for_people() && decision.glass.is_none(), "{why}: {:?}", decision.reasons);
    }
}
