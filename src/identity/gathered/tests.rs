//! What is gathered arrives whole and in order, in as few writes as can be.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use proptest::prelude::*;
use tokio::io::AsyncWriteExt as _;

use super::*;

/// Takes so many bytes at a time, and keeps every write apart.
struct Sink {
    at_once: usize,
    writes: Vec<Vec<u8>>,
    flushed: usize,
    shut: bool,
}

fn sink(at_once: usize) -> Gathered<Sink> {
    Gathered::new(Sink { at_once, writes: Vec::new(), flushed: 0, shut: false })
}

impl AsyncWrite for Sink {
    fn poll_write(mut self: Pin<&mut Self>, _cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let taken = buf.len().min(self.at_once);
        self.writes.push(buf[..taken].to_vec());
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushed = self.writes.iter().map(Vec::len).sum();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shut = true;
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn what_is_written_before_a_flush_leaves_in_one_write() {
    let mut gathered = sink(usize::MAX);
    for part in [&b"one "[..], b"two ", b"three"] {
        gathered.write_all(part).await.unwrap();
    }
    let slices = [io::IoSlice::new(b" four"), io::IoSlice::new(b" five")];
    assert_eq!(gathered.write_vectored(&slices).await.unwrap(), 10);
    assert!(gathered.io.writes.is_empty());
    gathered.flush().await.unwrap();
    assert_eq!(gathered.io.writes, [b"one two three four five"]);
    assert_eq!(gathered.io.flushed, 23);
}

#[tokio::test]
async fn a_flush_gives_way_once_and_then_goes_through() {
    let mut gathered = sink(usize::MAX);
    gathered.write_all(b"first").await.unwrap();
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(Pin::new(&mut gathered).poll_flush(&mut cx).is_pending());
    gathered.write_all(b" second").await.unwrap();
    assert!(Pin::new(&mut gathered).poll_flush(&mut cx).is_ready());
    assert_eq!(gathered.io.writes, [b"first second"]);
    assert!(Pin::new(&mut gathered).poll_flush(&mut cx).is_ready(), "there is nothing to give way for");
}

#[tokio::test]
async fn no_room_is_kept_for_one_long_answer() {
    let mut gathered = sink(usize::MAX);
    gathered.write_all(&[1; GATHERED_BYTES_MAX]).await.unwrap();
    gathered.flush().await.unwrap();
    assert!(gathered.waiting.capacity() <= KEPT_BYTES_MAX, "{} bytes", gathered.waiting.capacity());
}

#[tokio::test]
async fn a_stream_that_takes_nothing_is_an_error() {
    let mut gathered = sink(0);
    gathered.write_all(b"lost").await.unwrap();
    assert_eq!(gathered.flush().await.unwrap_err().kind(), io::ErrorKind::WriteZero);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn nothing_is_lost_or_reordered(
        parts in prop::collection::vec((0_usize..3 * GATHERED_BYTES_MAX / 2, any::<bool>()), 0..12),
        at_once in 1000_usize..40_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (gathered, expected) = runtime.block_on(async {
            let (mut gathered, mut expected) = (sink(at_once), Vec::new());
            for (n, (len, flush)) in parts.into_iter().enumerate() {
                let part = vec![u8::try_from(n).unwrap(); len];
                gathered.write_all(&part).await.unwrap();
                expected.extend(part);
                if flush {
                    gathered.flush().await.unwrap();
                    assert_eq!(gathered.io.flushed, expected.len());
                }
            }
            gathered.shutdown().await.unwrap();
            (gathered, expected)
        });
        prop_assert!(gathered.io.shut);
        prop_assert!(gathered.io.writes.concat() == expected);
    }
}
