//! What is usual for an agent, as a running broker learns it from what it granted: told with its numbers, the same after a
//! restart, and never a reason to grant more.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use carnet::clock::Clock;
use carnet::model::access::Effect;
use carnet::model::behaviour::{BehaviourFacts, Frequency, Unusual};
use carnet::model::decision::Outcome as Answer;
use carnet::model::facts::Facts;
use carnet::model::identity::IdentityClass;
use carnet::model::provenance::Provenance;
use carnet::pb::v1::{Decision, Outcome, RequestCredentialRequest};
use carnet::policy::bundle::{BundleFiles, PolicyBundle};
use carnet::policy::decide::decide;
use carnet::risk::behaviour::{DAYS_ENOUGH, SESSIONS_ENOUGH};
use proptest::prelude::*;

use super::policy_matrix;
use super::support::ask::{Granted, INTENT, OpenTask, ceiling};
use super::support::broker::{Setup, TestBroker};
use super::support::caller::Caller;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Days at work before anything is called unusual, and sessions of each.
const DAYS: u32 = 4;
const SESSIONS_A_DAY: u32 = 6;

/// A broker whose clock is some days behind, so that all SVIDs are good by the clock of this machine too.
async fn broker(snapshot_every: u64) -> TestBroker {
    let begun = Clock::system().now().as_millis() - 5 * DAY.as_millis() as u64;
    let clock = Clock::manual(carnet::model::time::Timestamp::from_millis(begun));
    let journal = Arc::new(move |options: &mut carnet::journal::options::Options| {
        options.snapshot_every = snapshot_every;
    });
    TestBroker::with(Setup { clock: Some(clock), svid_life: 8 * DAY, journal, ..Setup::default() }).await
}

/// What the record tells of the agent's behaviour and its SVID.
async fn told(broker: &TestBroker, decision: &Decision) -> Vec<String> {
    let record = broker.operator().await.decision(&decision.decision_id).await.unwrap();
    let of_it = |signal: &str| ["unusual_", "behaviour_", "svid_"].iter().any(|start| signal.starts_with(start));
    let told = record.contributions.iter().filter(|c| of_it(&c.signal));
    told.map(|c| format!("+{} {}: {}", c.counted, c.signal, c.explanation)).collect()
}

async fn task(broker: &TestBroker, limited: bool) -> OpenTask {
    let mut registration = broker.task(INTENT);
    registration.ceiling = limited.then(|| ceiling(&["tickets.read", "files.write"]));
    broker.orchestrator().await.unchecked().open(registration).await
}

/// A read of such a resource.
fn naming(resource: &str, task: &OpenTask) -> RequestCredentialRequest {
    let mut request = task.reading();
    request.access[0].resources = vec![resource.to_owned()];
    request
}

/// Sessions that write and then read; and ask in vain to send in between.
async fn at_work_for_days(broker: &TestBroker, agent: &Caller) {
    for _ in 0..DAYS {
        for _ in 0..SESSIONS_A_DAY {
            let task = task(broker, true).await;
            agent.granted(task.writing()).await;
            let (outcome, _) = agent.withheld(task.sending()).await;
            assert_eq!(outcome, Outcome::Denied);
            agent.granted(naming("tickets/open", &task)).await;
        }
        broker.advance(DAY);
    }
}

#[tokio::test]
async fn what_an_agent_never_did_is_told_with_its_numbers_also_after_a_restart() {
    const { assert!(DAYS >= DAYS_ENOUGH && DAYS * SESSIONS_A_DAY >= SESSIONS_ENOUGH) };
    for snapshot_every in [3, 1_000_000] {
        let mut broker = broker(snapshot_every).await;
        let agent = broker.agent().await.unchecked();
        let first = agent.granted(task(&broker, false).await.reading()).await;
        let unknown = "+0 behaviour_unknown: not enough is known of it: 0 of 20 sessions, on 0 of 3 days";
        assert_eq!(told(&broker, &first.decision).await, [unknown]);
        at_work_for_days(&broker, &agent).await;

        let other_way = task(&broker, false).await;
        let read = agent.granted(other_way.reading()).await;
        let written = agent.granted(other_way.writing()).await;
        let old = "+5 svid_old: the SVID is 96 hours old".to_owned();
        let begins = |words: &str| format!("+5 unusual_sequence: begins with `tickets.read`: {words} sessions");
        assert_eq!(told(&broker, &read.decision).await, [old.clone(), begins("1 of 25")], "of the first alone");
        let after = "+10 unusual_sequence: calls `files.write` right after `tickets.read`: 0 of 25 sessions";
        assert_eq!(told(&broker, &written.decision).await, [after, &old]);

        // A renewal is no step: nothing is forgiven by it, and nothing is learned.
        broker.advance(Duration::from_secs(10));
        let renewed = agent.renew_credential(other_way.renewal(written.id())).await.unwrap();
        assert_eq!(told(&broker, &Granted::renewed(renewed).decision).await, [after, &old]);

        // What was refused in each of them is as new as ever.
        let sent = agent.request_credential(task(&broker, false).await.sending()).await.unwrap().decision.unwrap();
        let words = told(&broker, &sent).await;
        assert!(words.contains(&"+10 unusual_tool: calls `mail.send`: 0 of 26 sessions".to_owned()), "{words:?}");

        broker.restart().await;
        let agent = broker.agent().await.unchecked();
        let again = agent.granted(task(&broker, false).await.reading()).await;
        assert_eq!(told(&broker, &again.decision).await, [begins("2 of 27")], "a snapshot every {snapshot_every}");
        let usual = agent.granted(naming("tickets/open", &task(&broker, false).await)).await;
        assert_eq!(told(&broker, &usual.decision).await, [""; 0], "a snapshot every {snapshot_every}");
        let new = agent.granted(naming("tickets/of-the-board", &task(&broker, false).await)).await;
        let words = "+2 unusual_resource: names a resource that it had in 0 of 29 sessions";
        assert_eq!(told(&broker, &new.decision).await, [words], "a snapshot every {snapshot_every}");
        let recorded = broker.record.of_kind("credential_decided").await;
        assert!(!format!("{recorded:?}").contains("of-the-board"), "what agents name stands open in no event");
    }
}

fn shipped() -> PolicyBundle {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/policy");
    PolicyBundle::load(BundleFiles::read_dir(&folder).unwrap()).unwrap()
}

/// Everything that can be unusual at once, and never was before.
fn all_at_once(facts: &Facts) -> Facts {
    let (seen, tool) = (Frequency { times: 0, of: 1000, at_most: false }, facts.entries[0].tool.clone());
    let unusual = vec![
        Unusual::Tool { tool: tool.clone(), seen },
        Unusual::Sequence { after: Some(tool.clone()), tool: tool.clone(), seen },
        Unusual::Sequence { after: None, tool, seen },
        Unusual::Audience { seen },
        Unusual::Resource { number: 3, seen },
        Unusual::Hour { hour: 3, seen },
        Unusual::Weekday { weekday: 0, seen },
        Unusual::Rate { window_s: 60, grants: 99, as_many: 64, seen },
        Unusual::Rate { window_s: 3600, grants: 999, as_many: 512, seen },
    ];
    let mut facts = facts.clone();
    facts.behaviour = Some(BehaviourFacts { sessions: 1000, days: 100, enough: true, unusual });
    facts.principal.svid_age_s = 365 * 24 * 3600;
    facts
}

#[test]
fn all_that_is_unusual_together_asks_nobody_about_a_read() {
    let bundle = shipped();
    let mut judged = 0;
    for class in [IdentityClass::AiAgent, IdentityClass::ServiceAccount] {
        for tool in bundle.catalogue().tools().filter(|tool| tool.effect == Effect::Read && !tool.is_way_out()) {
            let usual = policy_matrix::facts(&bundle, class, tool.name.as_str(), false, Provenance::Intent);
            if decide(&bundle, &usual).outcome != Answer::Granted {
                continue;
            }
            let decision = decide(&bundle, &all_at_once(&usual));
            assert!(decision.outcome <= Answer::Narrowed, "{class} {}: {decision:?}", tool.name);
            assert!(decision.risk.contributions.len() >= 6, "{:?}", decision.risk);
            judged += 1;
        }
    }
    assert!(judged > 4, "{judged}");
}

fn any_unusual() -> impl Strategy<Value = Unusual> {
    let seen =
        (0..50_u32, 20..500_u32, any::<bool>()).prop_map(|(times, of, at_most)| Frequency { times, of, at_most });
    let tool = prop::sample::select(vec!["mail.send", "tickets.read", "no.such"]).prop_map(|t| t.parse().unwrap());
    (0..6_u8, seen, tool, 0..24_u8).prop_map(|(kind, seen, tool, hour)| match kind {
        0 => Unusual::Tool { tool, seen },
        1 => Unusual::Sequence { after: None, tool, seen },
        2 => Unusual::Audience { seen },
        3 => Unusual::Hour { hour, seen },
        4 => Unusual::Weekday { weekday: hour % 7, seen },
        _ => Unusual::Rate { window_s: 60, grants: 64, as_many: 64, seen },
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_is_unusual_no_outcome_is_milder_for_it(
        some in prop::collection::vec(any_unusual(), 0..6),
        more in prop::collection::vec(any_unusual(), 0..6),
        age_s in 0..1_000_000_u64,
        enough in any::<bool>(),
    ) {
        let bundle = shipped_once();
        for tool in ["files.read", "mail.send", "payments.pay"] {
            for from in [Provenance::Intent, Provenance::Field, Provenance::Text] {
                let without = policy_matrix::facts(bundle, IdentityClass::AiAgent, tool, false, from);
                let with = |unusual: Vec<Unusual>, enough, age_s| {
                    let mut facts = without.clone();
                    facts.behaviour = Some(BehaviourFacts { sessions: 99, days: 9, enough, unusual });
                    facts.principal.svid_age_s = age_s;
                    decide(bundle, &facts)
                };
                let plain = decide(bundle, &without);
                let fewer = with(some.clone(), enough, 60);
                let all = with(some.iter().chain(&more).cloned().collect(), enough, age_s);
                prop_assert!(plain.outcome <= fewer.outcome && fewer.outcome <= all.outcome);
                prop_assert!(plain.risk.score <= fewer.risk.score && fewer.risk.score <= all.risk.score);
                prop_assert!(plain.ttl_max >= all.ttl_max);
            }
        }
    }
}

fn shipped_once() -> &'static PolicyBundle {
    static BUNDLE: std::sync::LazyLock<PolicyBundle> = std::sync::LazyLock::new(shipped);
    &BUNDLE
}
