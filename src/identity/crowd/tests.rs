//! Places are counted for each taker, and given back.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use super::*;

#[test]
fn each_has_its_own_places_and_they_are_given_back() {
    let places = Places::new(2);
    let (one, two) = (places.take("a").unwrap(), places.take("a").unwrap());
    assert!(places.take("a").is_none());
    assert!(places.take("b").is_some(), "another one's are its own");
    drop(one);
    assert!(places.take("a").is_some());
    drop(two);
    assert!(places.taken.lock().unwrap().is_empty(), "who has none is forgotten");
}

#[test]
fn a_host_is_an_address_or_a_64() {
    let host = |text: &str| host(text.parse().unwrap()).to_string();
    assert_eq!(host("203.0.113.7:1"), "203.0.113.7");
    assert_eq!(host("[::ffff:203.0.113.7]:1"), "203.0.113.7");
    assert_eq!(host("[2001:db8:1:2:3:4:5:6]:1"), "2001:db8:1:2::");
}

#[tokio::test]
async fn a_handshake_is_over_however_it_ends() {
    let under_way = UnderWay::default();
    for panics in [false, true] {
        let (shaking, mut task) = (under_way.clone(), None);
        let shake = async move {
            let _ending = shaking.ending(1);
            assert!(!panics, "on purpose");
        };
        under_way.begin(1, "203.0.113.7:1".parse().unwrap(), || task.insert(tokio::spawn(shake)).abort_handle());
        assert_eq!(task.unwrap().await.is_err(), panics);
        assert!(under_way.0.lock().unwrap().is_empty(), "it panics: {panics}");
    }
}
