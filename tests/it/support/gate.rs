//! A gate before the journal's writer: what was judged at the same time comes to be written in the order that a test wants.

use std::future::Future;
use std::sync::{Arc, Condvar, Mutex};

use carnet::journal::options::{Options, Stage};

use super::broker::TestBroker;
use super::pki::{eventually, soon};

/// Lets the writer go on, or holds it with the group that it has just placed.
#[derive(Default)]
pub struct Gate {
    state: Mutex<Held>,
    moved: Condvar,
}

#[derive(Default)]
struct Held {
    closed: bool,
    waits: bool,
}

impl Gate {
    /// The journal of a broker that it stands before.
    pub fn journal(gate: &Arc<Self>) -> Arc<dyn Fn(&mut Options) + Send + Sync> {
        let gate = Arc::clone(gate);
        Arc::new(move |options| {
            let gate = Arc::clone(&gate);
            options.probe = Some(Arc::new(move |stage| gate.pass(stage)));
        })
    }

    /// Sends `first`, then `second` when `first` waits to be written, and lets both be written when `second` waits too. The writer is
    /// held with what `filler` writes.
    pub async fn in_order<F, A, B>(
        &self,
        broker: &TestBroker,
        filler: F,
        (first, second): (A, B),
    ) -> (A::Output, B::Output)
    where
        F: Future<Output: Send> + Send + 'static,
        A: Future<Output: Send> + Send + 'static,
        B: Future<Output: Send> + Send + 'static,
    {
        // What the broker writes by itself is written before, so that it takes the place of neither.
        broker.sweep().await;
        self.in_order_unswept(broker, filler, (first, second)).await
    }

    /// The same, with what is due left to them.
    pub async fn in_order_unswept<F, A, B>(
        &self,
        broker: &TestBroker,
        filler: F,
        (first, second): (A, B),
    ) -> (A::Output, B::Output)
    where
        F: Future<Output: Send> + Send + 'static,
        A: Future<Output: Send> + Send + 'static,
        B: Future<Output: Send> + Send + 'static,
    {
        let waiting = |wanted: u64| {
            let broker = broker.running().broker().clone();
            eventually(move || broker.figures().waiting >= wanted)
        };
        self.close();
        let filler = tokio::spawn(filler);
        eventually(|| self.holds()).await;
        let first = tokio::spawn(first);
        waiting(1).await;
        let second = tokio::spawn(second);
        waiting(2).await;
        self.open();
        drop(soon(filler).await.unwrap());
        (soon(first).await.unwrap(), soon(second).await.unwrap())
    }

    fn pass(&self, stage: Stage) {
        let mut state = self.state.lock().unwrap();
        while stage == Stage::Placed && state.closed {
            state.waits = true;
            state = self.moved.wait(state).unwrap();
        }
        state.waits = false;
    }

    pub fn close(&self) {
        self.state.lock().unwrap().closed = true;
    }

    pub fn open(&self) {
        self.state.lock().unwrap().closed = false;
        self.moved.notify_all();
    }

    /// True when the writer stands before it.
    pub fn holds(&self) -> bool {
        self.state.lock().unwrap().waits
    }
}
