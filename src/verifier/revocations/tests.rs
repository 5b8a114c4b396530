//! Streams that are whole, cut, reset, late and senseless.

use super::*;
use crate::pb::v1::{Heartbeat, Reset};

const START: u64 = 1_790_000_000;
const AGE_MAX: Duration = Duration::from_secs(15);

struct Stream {
    view: RevocationView,
    clock: Clock,
}

impl Stream {
    fn new() -> Self {
        let clock = Clock::manual(Timestamp::from_secs(START));
        Self { view: RevocationView::new(AGE_MAX, Duration::from_secs(5), clock.clone()), clock }
    }

    fn whole() -> Self {
        let stream = Self::new();
        assert_eq!(stream.view.begin(), 0);
        stream.beat(1);
        stream
    }

    fn send(&self, position: u64, body: Body) {
        self.view.apply(&self.message(position, body)).unwrap();
    }

    fn message(&self, position: u64, body: Body) -> WatchResponse {
        let secs = i64::try_from(self.clock.now().as_secs()).unwrap();
        let time = Some(prost_types::Timestamp { seconds: secs, nanos: 0 });
        WatchResponse { position, time, body: Some(body) }
    }

    fn beat(&self, position: u64) {
        self.send(position, Body::Heartbeat(Heartbeat {}));
    }

    fn change(&self, position: u64, n: u8, state: GrantState) {
        self.send(position, Body::Change(change(n, state)));
    }

    fn check(&self, n: u8) -> &'static str {
        self.view.check(&Jti::new([n; 16])).err().map_or("live", |r| r.code())
    }
}

fn change(n: u8, state: GrantState) -> GrantChange {
    GrantChange {
        jti: Jti::new([n; 16]).to_string(),
        state: state.into(),
        expires: Some(prost_types::Timestamp { seconds: i64::try_from(START + 300).unwrap(), nanos: 0 }),
        ..GrantChange::default()
    }
}

#[test]
fn nothing_passes_before_the_view_is_whole() {
    let stream = Stream::new();
    assert_eq!(stream.check(1), "REVOCATIONS_STALE");
    stream.view.begin();
    stream.change(3, 1, GrantState::Revoked);
    assert_eq!(stream.check(2), "REVOCATIONS_STALE", "more may be in force");
    stream.beat(3);
    assert_eq!((stream.check(1), stream.check(2)), ("TOKEN_REVOKED", "live"));
}

#[test]
fn standings_follow_what_is_told() {
    let stream = Stream::whole();
    stream.change(2, 1, GrantState::Suspended);
    stream.change(3, 2, GrantState::Released);
    stream.change(4, 3, GrantState::Expired);
    assert_eq!(
        (stream.check(1), stream.check(2), stream.check(3)),
        ("TOKEN_SUSPENDED", "TOKEN_RELEASED", "TOKEN_REVOKED")
    );
    stream.change(5, 1, GrantState::Live);
    assert_eq!(stream.check(1), "live");
    stream.change(6, 1, GrantState::Revoked);
    assert_eq!(stream.check(1), "TOKEN_REVOKED");
}

#[test]
fn a_view_that_is_told_nothing_lets_nothing_pass() {
    let stream = Stream::whole();
    stream.clock.advance(AGE_MAX);
    assert_eq!(stream.check(1), "live", "control");
    stream.clock.advance(Duration::from_millis(1));
    assert_eq!(stream.check(1), "REVOCATIONS_STALE");
    stream.beat(1);
    assert_eq!(stream.check(1), "live");
}

#[test]
fn a_heartbeat_that_lay_in_a_buffer_makes_nothing_younger() {
    let stream = Stream::whole();
    let old = stream.message(1, Body::Heartbeat(Heartbeat {}));
    stream.clock.advance(Duration::from_secs(60));
    stream.view.apply(&old).unwrap();
    assert_eq!(stream.check(1), "REVOCATIONS_STALE");
}

#[test]
fn a_stream_is_resumed_after_what_was_told() {
    let stream = Stream::whole();
    stream.change(7, 1, GrantState::Revoked);
    assert_eq!(stream.view.begin(), 7);
    assert_eq!(stream.check(1), "TOKEN_REVOKED", "what was known stays");
    stream.change(8, 2, GrantState::Revoked);
    assert_eq!(stream.check(2), "TOKEN_REVOKED");
    assert_eq!(stream.view.begin(), 8);
}

#[test]
fn a_reset_replaces_the_view_only_when_it_is_told_whole() {
    let stream = Stream::whole();
    stream.change(2, 1, GrantState::Revoked);
    stream.send(9, Body::Reset(Reset {}));
    assert_eq!(stream.check(1), "TOKEN_REVOKED", "in force until the new view is whole");
    stream.change(9, 2, GrantState::Revoked);
    assert_eq!(stream.check(2), "TOKEN_REVOKED", "and what is new at once");
    assert_eq!(stream.view.begin(), 0, "a stream that breaks here is begun anew");
    stream.change(9, 3, GrantState::Revoked);
    stream.beat(9);
    assert_eq!((stream.check(1), stream.check(2), stream.check(3)), ("live", "live", "TOKEN_REVOKED"));
    assert_eq!(stream.view.begin(), 9);
}

#[test]
fn rebuilding_makes_nothing_younger() {
    let stream = Stream::whole();
    stream.send(9, Body::Reset(Reset {}));
    stream.clock.advance(AGE_MAX + Duration::from_secs(1));
    stream.change(9, 2, GrantState::Revoked);
    assert_eq!(stream.check(1), "REVOCATIONS_STALE");
}

#[test]
fn what_makes_no_sense_is_refused_and_freshens_nothing() {
    let stream = Stream::whole();
    stream.clock.advance(AGE_MAX + Duration::from_secs(1));
    let bad = |message: WatchResponse| assert_eq!(stream.view.apply(&message), Err(UnknownMessageError));
    let changed = |c: GrantChange| stream.message(2, Body::Change(c));
    bad(changed(GrantChange { jti: "x".into(), ..change(1, GrantState::Live) }));
    bad(changed(GrantChange { state: 0, ..change(1, GrantState::Live) }));
    bad(changed(GrantChange { state: 99, ..change(1, GrantState::Live) }));
    bad(WatchResponse { body: None, ..stream.message(2, Body::Heartbeat(Heartbeat {})) });
    bad(WatchResponse { time: None, ..stream.message(2, Body::Heartbeat(Heartbeat {})) });
    assert_eq!(stream.check(1), "REVOCATIONS_STALE");
}

#[test]
fn what_is_dead_anyway_is_forgotten() {
    let stream = Stream::whole();
    stream.change(2, 1, GrantState::Revoked);
    stream.clock.advance(Duration::from_secs(300));
    stream.beat(3);
    assert_eq!(stream.view.len(), 1, "a little longer than the token lives");
    stream.clock.advance(Duration::from_secs(120));
    stream.beat(4);
    assert!(stream.view.is_empty());
}

#[test]
fn a_clock_that_went_back_is_no_young_view() {
    let clock = Clock::manual(Timestamp::from_secs(START));
    let view = RevocationView::new(AGE_MAX, Duration::from_secs(5), clock);
    view.begin();
    let later = WatchResponse {
        position: 1,
        time: Some(prost_types::Timestamp { seconds: i64::try_from(START).unwrap(), nanos: 0 }),
        body: Some(Body::Heartbeat(Heartbeat {})),
    };
    view.apply(&later).unwrap();
    assert_eq!(view.age(), Some(Duration::ZERO));
    view.state.write().unwrap().fresh_at = Some(Timestamp::from_secs(START + 1));
    assert_eq!(view.age(), None);
}
