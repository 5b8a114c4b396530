//! When a connection has nothing to do.

use super::*;

#[tokio::test]
async fn a_connection_is_idle_when_no_call_was_open_for_a_while() {
    let line = Line::default();
    let span = Duration::from_millis(40);
    line.idle_for(span, span).await;
    let call = line.begin();
    let waiting = line.clone();
    let mut idle = tokio::spawn(async move { waiting.idle_for(span, span).await });
    assert!(tokio::time::timeout(span * 3, &mut idle).await.is_err(), "one is open");
    drop(call);
    idle.await.unwrap();
}

#[tokio::test]
async fn what_was_answered_while_it_was_waited_for_may_be_on_its_way_still() {
    let (line, never) = (Line::default(), Duration::from_secs(3600));
    let call = line.begin();
    let waiting = line.clone();
    let mut idle = tokio::spawn(async move { waiting.idle_for(Duration::ZERO, never).await });
    tokio::task::yield_now().await;
    drop(call);
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut idle).await.is_err(), "it was the first");
    idle.abort();
    let line = Line::default();
    line.begin().let_go();
    line.idle_for(Duration::ZERO, never).await;
}

#[tokio::test]
async fn who_asks_late_whether_it_is_wound_down_is_told_too() {
    let line = Line::default();
    line.wind_down();
    line.wound_down().await;
}
