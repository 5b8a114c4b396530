//! One connection, as its door sees it: how many calls are open on it, and whether it is being wound down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;

/// A connection. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Line(Arc<Ends>);

#[derive(Debug, Default)]
struct Ends {
    open: watch::Sender<usize>,
    winding_down: watch::Sender<bool>,
    answered: AtomicBool,
}

/// A call that is open until this is dropped.
#[derive(Debug)]
pub(in crate::grpc) struct Call {
    line: Line,
    is_answered: bool,
}

impl Call {
    /// Lets go of a stream that has no answer of its own: nothing of it is waited for.
    pub(in crate::grpc) fn let_go(mut self) {
        self.is_answered = false;
    }
}

impl Line {
    pub(in crate::grpc) fn begin(&self) -> Call {
        self.0.open.send_modify(|open| *open += 1);
        Call { line: self.clone(), is_answered: true }
    }

    /// Says that the connection is being wound down: streams that would go on for ever end.
    pub fn wind_down(&self) {
        self.0.winding_down.send_replace(true);
    }

    /// Returns once it is being wound down.
    pub async fn wound_down(&self) {
        let mut winding_down = self.0.winding_down.subscribe();
        // INVARIANT: `self` holds the sender.
        drop(winding_down.wait_for(|winding_down| *winding_down).await);
    }

    /// Returns once no call was open for so long: `silent`, or `answered` where anything was answered on it, which may be on
    /// its way still.
    pub async fn idle_for(&self, silent: Duration, answered: Duration) {
        let mut open = self.0.open.subscribe();
        loop {
            drop(open.wait_for(|open| *open == 0).await);
            let span = if self.0.answered.load(Ordering::Relaxed) { answered } else { silent };
            let busy = open.wait_for(|open| *open > 0);
            if tokio::time::timeout(span, busy).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let Ends { open, answered, .. } = &*self.line.0;
        answered.fetch_or(self.is_answered, Ordering::Relaxed);
        open.send_modify(|open| *open = open.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests;
