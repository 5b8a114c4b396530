//! A panic in a future is an error of it, and tells what it said.

use super::*;

#[tokio::test]
async fn a_panic_becomes_an_error() {
    let first = Caught(Box::pin(async { panic!("as it happens") }));
    let first: Result<(), Panicked> = first.await;
    assert_eq!(first.err().map(|p| p.message().to_owned()).as_deref(), Some("as it happens"));
    let number = 7;
    let second = Caught(Box::pin(async move {
        tokio::task::yield_now().await;
        panic!("number {number}")
    }));
    let second: Result<(), Panicked> = second.await;
    assert_eq!(second.err().map(|p| p.message().to_owned()).as_deref(), Some("number 7"));
    assert!(matches!(Caught(Box::pin(async { 5 })).await, Ok(5)));
}
