//! One report after the other: how far they are read ahead of what their caller reads, and what becomes of one that fails by a
//! defect.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// Lets everything else go as far as it can: the tests have one thread.
async fn idle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_report_is_read_only_when_there_is_room_for_its_answer() {
    let read = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&read);
    let reports = tokio_stream::iter(0..1000).map(move |n| {
        counted.fetch_add(1, Ordering::Relaxed);
        n
    });
    let (send, mut receive) = mpsc::channel(1);
    let running = tokio::spawn(each(reports, send, |n| async move { Ok::<i32, Status>(n) }));
    for taken in 0..5 {
        idle().await;
        assert_eq!(read.load(Ordering::Relaxed), taken + 1, "of those whose answers are not read, one");
        assert_eq!(receive.recv().await.unwrap().unwrap(), i32::try_from(taken).unwrap());
    }
    // Who goes away is not read to the end.
    drop(receive);
    running.await.unwrap();
    assert!(read.load(Ordering::Relaxed) <= 6);
}

#[tokio::test]
async fn a_report_that_fails_by_a_defect_is_no_end() {
    let (send, mut receive) = mpsc::channel(1);
    let fails = |n: i32| async move {
        assert_ne!(n, 2, "a defect");
        Ok::<i32, Status>(n)
    };
    let running = tokio::spawn(each(tokio_stream::iter(1..5), send, fails));
    assert_eq!(receive.recv().await.unwrap().unwrap(), 1);
    let told = receive.recv().await.expect("it looks as if the stream came to its end").unwrap_err();
    assert_eq!(told.code(), Code::Internal);
    assert!(receive.recv().await.is_none());
    running.await.unwrap();
}
