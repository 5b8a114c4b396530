//! A clock that a test winds.

use super::*;

#[test]
fn clones_share_their_hands() {
    let clock = Clock::manual(Timestamp::from_secs(10));
    let clone = clock.clone();
    clone.advance(Duration::from_millis(1500));
    assert_eq!(clock.now(), Timestamp::from_millis(11_500));
}

#[tokio::test]
async fn a_waiter_is_woken_when_its_time_is_reached_and_not_before() {
    let clock = Clock::manual(Timestamp::from_secs(10));
    clock.reach(Timestamp::from_secs(10)).await;
    let waiting = clock.clone();
    let mut waiter = tokio::spawn(async move { waiting.reach(Timestamp::from_secs(12)).await });
    clock.advance(Duration::from_secs(1));
    assert!(tokio::time::timeout(Duration::from_millis(20), &mut waiter).await.is_err());
    clock.advance(Duration::from_secs(1));
    waiter.await.unwrap();
}

#[tokio::test]
async fn the_clock_of_the_system_is_waited_for() {
    let clock = Clock::system();
    clock.reach(Timestamp::EPOCH).await;
    clock.reach(clock.now().after(Duration::from_millis(20))).await;
}
