//! Stored bytes hold what was placed, and their hash is known beforehand.

use proptest::prelude::*;

use super::*;

fn event(stream: String, prompt: String) -> Event {
    Event { stream, prompt_id: prompt, code_version: "1".into(), ..Event::default() }
}

proptest! {
    #[test]
    fn what_was_placed_is_read_again(stream in ".{0,40}", prompt in ".{0,300}", position: u64, stream_version: u64, ms: u64) {
        let event = event(stream, prompt);
        let place = Place { position, stream_version, time: Timestamp::from_millis(ms) };
        let mut out = Vec::new();
        let unplaced = Unplaced::new(&event);
        let len_max = unplaced.len_max();
        let (len, leaf) = unplaced.place(place, &mut out);
        prop_assert_eq!(len, out.len());
        prop_assert!(len <= len_max);
        prop_assert_eq!(leaf, TreeHash::leaf(&out));
        let stored = Bytes::from(out);
        prop_assert_eq!(decode(stored.clone()).unwrap(), (place, event));
        let plain = wire::decode::<StoredEvent>(stored).unwrap();
        prop_assert_eq!(plain.position, position);
    }

    #[test]
    fn no_bytes_make_decoding_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(Bytes::from(bytes));
    }
}
