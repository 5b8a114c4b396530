//! A handler that panics answers INTERNAL: it must not take the other requests of its connection with it.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

/// What a panic left behind.
pub(in crate::grpc) struct Panicked(Box<dyn Any + Send>);

impl Panicked {
    /// What it said. Panic messages of this crate hold no secrets: none is formatted into one.
    pub(in crate::grpc) fn message(&self) -> &str {
        let text = self.0.downcast_ref::<&'static str>().copied();
        text.or_else(|| self.0.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
    }
}

/// A future whose panics become errors.
pub(in crate::grpc) struct Caught<F>(pub(in crate::grpc) F);

impl<F: Future + Unpin> Future for Caught<F> {
    type Output = Result<F::Output, Panicked>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // What the future holds is dropped right after a panic and never looked at again.
        match catch_unwind(AssertUnwindSafe(|| Pin::new(&mut self.0).poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panic) => Poll::Ready(Err(Panicked(panic))),
        }
    }
}

#[cfg(test)]
mod tests;
