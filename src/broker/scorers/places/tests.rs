//! Who gets a place, and when.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

fn agent(name: &str) -> SpiffeId {
    format!("spiffe://acme.test/agent/{name}").parse().unwrap()
}

/// What it has come to by now.
fn now<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn taken(places: &Places, name: &str) -> Place {
    let crowded = Crowded::default();
    let came_to = now(pin!(places.turn(&agent(name)).unwrap().place(&crowded)));
    match came_to {
        Poll::Ready(Some(place)) => place,
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_agent_holds_half_of_the_places_and_others_have_the_rest() {
    let places = Places::new(4);
    let _a = (taken(&places, "a"), taken(&places, "a"));
    let crowded = Crowded::default();
    let mut third = pin!(places.turn(&agent("a")).unwrap().place(&crowded));
    assert!(!crowded.is() && now(third.as_mut()).is_pending(), "it waits, and is not dropped");
    assert!(crowded.is(), "for others of its own");
    let b = taken(&places, "b");
    drop(taken(&places, "b"));
    drop(b);
    assert!(now(third.as_mut()).is_pending());
}

#[test]
fn who_waits_has_the_place_that_is_given_back() {
    let places = Places::new(1);
    let first = taken(&places, "a");
    let crowded = Crowded::default();
    let mut second = pin!(places.turn(&agent("b")).unwrap().place(&crowded));
    assert!(now(second.as_mut()).is_pending());
    assert!(!crowded.is(), "it waits for somebody else");
    drop(first);
    assert!(now(second.as_mut()).is_ready());
}

#[test]
fn what_waits_is_bounded_for_an_agent_and_for_all_and_given_back() {
    let places = Places::new(1);
    let of = |name: &str| (0..).map_while(|_| places.turn(&agent(name)).ok()).collect::<Vec<_>>();
    let a = of("a");
    assert_eq!(a.len(), QUESTIONS_PER_AGENT_MAX);
    assert_eq!(places.turn(&agent("a")).err(), Some(Full::OfAgent));
    let others: Vec<_> = (0..8).flat_map(|n| of(&format!("o{n}"))).collect();
    assert_eq!(a.len() + others.len(), QUESTIONS_MAX);
    assert_eq!(places.turn(&agent("late")).err(), Some(Full::OfAll));
    drop(a);
    assert_eq!(of("late").len(), QUESTIONS_PER_AGENT_MAX);
    drop(others);
    let queue = places.queue.lock().unwrap();
    assert!(queue.count == 0 && queue.agents.is_empty(), "nobody is remembered");
}
