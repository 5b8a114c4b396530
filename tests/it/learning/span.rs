//! Over which span alerts are counted and labels are taken, and what is said where a run stops.

use std::time::Duration;

use carnet::broker::ask::Calibrate;
use carnet::broker::caller::Caller as By;
use carnet::model::identity::IdentityClass;
use carnet::model::time::Timestamp;
use carnet::pb::v1;
use carnet::pb::v1::Label;

use super::{corp, say};
use crate::people::World;
use crate::support::broker::Setup;

const DAY: Duration = Duration::from_secs(24 * 3600);
const ALL: Calibrate = Calibrate {
    class: IdentityClass::AiAgent,
    from: None,
    until: None,
    decisions_max: usize::MAX,
    labels_max: usize::MAX,
};

fn calibrated(world: &World, ask: &Calibrate) -> v1::CalibrateResponse {
    world.broker.running().broker().calibrate(&By::Operator { uid: 0 }, ask).unwrap()
}

/// Alerts a day at the lowest threshold, which every decision reaches.
fn a_day(found: &v1::CalibrateResponse) -> Option<f64> {
    found.rows[0].alerts_per_day
}

fn seconds(time: Option<prost_types::Timestamp>) -> u64 {
    u64::try_from(time.unwrap().seconds).unwrap()
}

/// So many decisions a day for some days, the ids of each day.
async fn days(world: &World, days: usize, of_a_day: usize) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for _ in 0..days {
        let (_, agent, task) = world.broker.at_work().await;
        // So that it reaches the lowest threshold.
        world.broker.scorer().await.report_signal(task.signal("model_score", 10)).await.unwrap();
        let mut ids = Vec::new();
        for _ in 0..of_a_day {
            ids.push(agent.granted(task.reading()).await.decision.decision_id);
        }
        all.push(ids);
        // Tasks end by their deadline, and are forgotten a day later.
        world.broker.advance(DAY);
        world.broker.sweep().await;
    }
    all
}

async fn long_lived() -> World {
    World::set_up(|_| {}, Setup { svid_life: 60 * DAY, ..Setup::default() }).await
}

#[tokio::test]
async fn alerts_a_day_are_those_of_the_span_that_was_counted() {
    let world = long_lived().await;
    let begun = world.broker.pki.now();
    days(&world, 4, 6).await;
    let close = |found: f64, expected: f64| assert!((found - expected).abs() < 0.05, "{found} is not {expected}");
    // Four days of six.
    let found = calibrated(&world, &ALL);
    close(found.days, 4.0);
    close(a_day(&found).unwrap(), 6.0);
    assert_eq!(found.rows[0].alerts, 24);
    found.rows.iter().for_each(|row| close(row.alerts_per_day.unwrap(), row.alerts as f64 / 4.0));
    // Two of them, and half a day of one of them, since it is said which.
    let from = Some(begun.after(2 * DAY));
    let found = calibrated(&world, &Calibrate { from, ..ALL });
    assert_eq!(found.decisions, 12);
    close(a_day(&found).unwrap(), 6.0);
    let until = Some(begun.after(5 * DAY / 2));
    let found = calibrated(&world, &Calibrate { from, until, ..ALL });
    assert_eq!(found.decisions, 6);
    close(found.days, 0.5);
    close(a_day(&found).unwrap(), 12.0);
    // A span that begins before the record is no longer for it, and one of nothing has no rate.
    let found = calibrated(&world, &Calibrate { from: Some(Timestamp::from_millis(0)), ..ALL });
    close(found.days, 4.0);
    let found = calibrated(&world, &Calibrate { from: until, until: from, ..ALL });
    assert_eq!((found.decisions, a_day(&found)), (0, None));
    // Where it stops, it counts the latest, and the span is what they were decided in.
    let found = calibrated(&world, &Calibrate { decisions_max: 12, ..ALL });
    assert_eq!(found.decisions, 12);
    close(found.days, 2.0);
    close(a_day(&found).unwrap(), 6.0);
    assert_eq!(seconds(found.stopped_at), seconds(found.from));
    let found = calibrated(&world, &Calibrate { decisions_max: 24, ..ALL });
    assert_eq!((found.decisions, found.stopped_at), (24, None), "all of them are no stop");
}

#[tokio::test]
async fn labels_count_for_the_whole_span_wherever_counting_stops() {
    let world = long_lived().await;
    let begun = world.broker.pki.now();
    let decisions = days(&world, 3, 2).await;
    let (rae, sam) = (corp(&world, "1005").await, corp(&world, "1006").await);
    // The latest is labelled first: labels come in any order, days after.
    for ids in decisions.iter().rev() {
        say(&rae, &ids[0], Label::Harmful).await;
        say(&rae, &ids[1], Label::Benign).await;
    }
    let labels = |ask: &Calibrate| {
        let found = calibrated(&world, ask);
        let labels = found.labels.unwrap();
        (labels.harmful, labels.benign, found.labels_stopped_at.is_some())
    };
    assert_eq!(labels(&ALL), (3, 3, false));
    assert_eq!(labels(&Calibrate { decisions_max: 1, ..ALL }), (3, 3, false), "each counts, though one is counted");
    // Of a span of the past, whenever they were said.
    let (from, until) = (Some(begun.after(DAY)), Some(begun.after(2 * DAY)));
    assert_eq!(labels(&Calibrate { from, until, ..ALL }), (1, 1, false));
    assert_eq!(labels(&Calibrate { until: Some(begun.after(DAY / 2)), labels_max: 2, ..ALL }), (1, 1, false));
    // As many as one run takes, the latest first: one person's many labels of a decision are one.
    assert_eq!(labels(&Calibrate { labels_max: 2, ..ALL }), (1, 1, true));
    say(&sam, &decisions[0][0], Label::Benign).await;
    say(&sam, &decisions[0][0], Label::Harmful).await;
    say(&sam, &decisions[0][0], Label::Benign).await;
    assert_eq!(labels(&Calibrate { labels_max: 3, ..ALL }), (0, 1, true));
    assert_eq!(labels(&ALL), (2, 3, false), "contradicted");
    let found = calibrated(&world, &Calibrate { labels_max: 3, ..ALL });
    assert!(seconds(found.labels_stopped_at) >= begun.after(3 * DAY).as_secs());
}
