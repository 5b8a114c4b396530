//! Frames and headers, and every byte of them changed.

use proptest::prelude::*;

use super::*;

const LOG: LogId = LogId([7; 16]);

fn frame(events: &[Vec<u8>]) -> Bytes {
    let mut builder = FrameBuilder::new(0);
    for event in events {
        builder.push(|out| {
            out.put_slice(event);
            (event.len(), ())
        });
    }
    builder.finish(42, Timestamp::from_millis(5), &TreeHash::leaf(b"root"), LOG.seal())
}

fn read(bytes: &[u8], log: LogId) -> Option<FrameHeader> {
    let header = FrameHeader::decode(bytes, log.seal())?;
    bytes.get(..header.frame_len()).is_some_and(|frame| header.holds(frame, log.seal())).then_some(header)
}

proptest! {
    #[test]
    fn a_frame_is_read_again(sizes in proptest::collection::vec(0_usize..300, 1..20)) {
        let stored: Vec<Vec<u8>> = sizes.iter().enumerate().map(|(i, len)| vec![i as u8; *len]).collect();
        let bytes = frame(&stored);
        let header = read(&bytes, LOG).unwrap();
        prop_assert_eq!((header.first, header.end()), (42, 42 + stored.len() as u64));
        prop_assert_eq!(header.time.as_millis(), 5);
        let again: Option<Vec<Bytes>> = events(bytes.slice(FRAME_HEADER..)).collect();
        prop_assert_eq!(again.unwrap(), stored);
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes, LOG);
        let _ = SegmentHeader::decode(&bytes);
        let _ = events(Bytes::from(bytes)).count();
    }
}

#[test]
fn every_changed_byte_of_a_frame_is_found() {
    let honest = frame(&[vec![1; 40], vec![2; 3]]);
    for at in 0..honest.len() {
        let mut bytes = honest.to_vec();
        bytes[at] ^= 1;
        assert_eq!(read(&bytes, LOG), None, "byte {at}");
    }
    assert_eq!(read(&honest[..honest.len() - 1], LOG), None);
}

#[test]
fn a_frame_of_another_log_is_none() {
    assert_eq!(read(&frame(&[vec![1]]), LogId([8; 16])), None);
}

#[test]
fn every_changed_byte_of_a_segment_header_is_found() {
    let header = SegmentHeader { log: LOG, first: 9, root: TreeHash::leaf(b"x") };
    let honest = header.encode();
    assert_eq!(honest.len(), SEGMENT_HEADER);
    assert_eq!(SegmentHeader::decode(&honest), Ok(header));
    for at in 0..honest.len() {
        let mut bytes = honest.clone();
        bytes[at] ^= 1;
        assert_eq!(SegmentHeader::decode(&bytes), Err(SegmentHeaderError::Damaged), "byte {at}");
    }
}

#[test]
fn a_segment_of_a_later_format_says_so() {
    let mut bytes = SegmentHeader { log: LOG, first: 9, root: TreeHash::leaf(b"x") }.encode();
    bytes[12] = 2;
    let checksum = crc32c::crc32c(&bytes[12..]).to_le_bytes();
    bytes[8..12].copy_from_slice(&checksum);
    assert_eq!(SegmentHeader::decode(&bytes), Err(SegmentHeaderError::Format(2)));
}

#[test]
fn lengths_that_do_not_add_up_are_told() {
    let payload = Bytes::from_static(&[1, 0, 0, 0, 9, 5, 0, 0, 0, 9]);
    assert_eq!(events(payload).collect::<Vec<_>>(), [Some(Bytes::from_static(&[9])), None]);
}
