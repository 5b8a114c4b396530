//! Driving: threads that ask, slots that each keep one request in flight, and the tally of what came back. Threads that ask
//! have runtimes of their own, so that their CPU time can be told from the broker's.

use std::future::Future;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::runtime::Handle;
use tokio::sync::{Barrier, oneshot};

use super::cost;
use super::error::BenchError;
use crate::clock::Stopwatch;

/// Asked before measuring begins: connections, caches and branch predictors settle.
const WARM_UP_MAX: Duration = Duration::from_secs(1);
/// How long slots may take to finish when time is up.
const FINISH_WITHIN: Duration = Duration::from_secs(15);
/// Pause of a slot after a request that failed, so that failing is not faster than working.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(2);
/// Problems that are told; the others are counted.
const PROBLEMS_TOLD_MAX: usize = 5;
/// Significant digits of latencies.
const DIGITS: u8 = 2;
/// Longest latency that is told apart, in microseconds.
const LATENCY_US_MAX: u64 = 60_000_000;

/// One request in flight, again and again.
pub(in crate::bench) trait Slot: Send + 'static {
    /// Makes ready for the next request. Its time counts for the rate and not for the latency.
    fn prepare(&mut self) -> impl Future<Output = Result<(), Problem>> + Send;

    /// One request.
    fn fire(&mut self) -> impl Future<Output = Result<(), Problem>> + Send;
}

/// What went wrong with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::bench) struct Problem(pub(in crate::bench) String);

impl From<tonic::Status> for Problem {
    fn from(status: tonic::Status) -> Self {
        Self(format!("{}: {}", status.code(), status.message()))
    }
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// What came back.
#[derive(Debug)]
pub(in crate::bench) struct Tally {
    latencies: Histogram<u64>,
    pub(in crate::bench) answers: u64,
    pub(in crate::bench) errors: u64,
    pub(in crate::bench) problems: Vec<String>,
}

impl Tally {
    fn new() -> Result<Self, BenchError> {
        let latencies = Histogram::new_with_bounds(1, LATENCY_US_MAX, DIGITS).map_err(BenchError::start("counting"))?;
        Ok(Self { latencies, answers: 0, errors: 0, problems: Vec::new() })
    }

    fn answer(&mut self, took: Duration) {
        self.answers += 1;
        self.latencies.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1));
    }

    fn error(&mut self, problem: Problem) {
        self.errors += 1;
        if self.problems.len() < PROBLEMS_TOLD_MAX && !self.problems.contains(&problem.0) {
            self.problems.push(problem.0);
        }
    }

    fn add(&mut self, other: &Self) {
        // INVARIANT: all histograms have the same bounds, so adding cannot fail.
        let _infallible = self.latencies.add(&other.latencies);
        self.answers += other.answers;
        self.errors += other.errors;
        for problem in &other.problems {
            if self.problems.len() < PROBLEMS_TOLD_MAX && !self.problems.contains(problem) {
                self.problems.push(problem.clone());
            }
        }
    }

    /// The latency that this part of the answers was faster than, in microseconds.
    pub(in crate::bench) fn quantile_us(&self, quantile: f64) -> u64 {
        self.latencies.value_at_quantile(quantile)
    }
}

/// What was measured.
#[derive(Debug)]
pub(in crate::bench) struct Measured {
    pub(in crate::bench) tally: Tally,
    /// The time in which it came back.
    pub(in crate::bench) wall: Duration,
    /// CPU time of this process without the threads that ask.
    pub(in crate::bench) cpu_here: Duration,
    /// CPU time of the watched process.
    pub(in crate::bench) cpu_there: Option<Duration>,
}

impl Measured {
    /// Answers a second.
    pub(in crate::bench) fn per_second(&self) -> f64 {
        per_second(self.tally.answers, self.wall)
    }
}

/// So many in that time, as a rate.
#[expect(clippy::cast_precision_loss, reason = "rates are told to three digits")]
pub(in crate::bench) fn per_second(count: u64, wall: Duration) -> f64 {
    if wall.is_zero() { 0.0 } else { count as f64 / wall.as_secs_f64() }
}

/// The threads that ask, each with a runtime of its own.
#[derive(Debug)]
pub(in crate::bench) struct Askers {
    threads: Vec<Asker>,
    /// The process whose CPU time is watched.
    pub(in crate::bench) watched: Option<u32>,
}

#[derive(Debug)]
struct Asker {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Askers {
    /// One thread for every four processors: asking costs less than answering.
    pub(in crate::bench) fn start(watched: Option<u32>) -> Result<Self, BenchError> {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = (0..(processors / 4).max(1)).map(|_| Asker::start()).collect::<Result<_, _>>()?;
        Ok(Self { threads, watched })
    }

    /// Runs something on the thread that agent number `n` belongs to.
    pub(in crate::bench) async fn run<F>(&self, n: usize, what: F) -> Result<F::Output, BenchError>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.of(n).ok_or(BenchError::Ended)?.spawn(what).await.map_err(|_| BenchError::Ended)
    }

    fn of(&self, n: usize) -> Option<&Handle> {
        self.threads.get(n % self.threads.len().max(1)).map(|asker| &asker.handle)
    }

    async fn cpu(&self) -> Result<Duration, BenchError> {
        let mut sum = Duration::ZERO;
        for n in 0..self.threads.len() {
            sum += self.run(n, async { cost::of_thread() }).await?;
        }
        Ok(sum)
    }

    async fn costs(&self) -> Result<Costs, BenchError> {
        let asking = self.cpu().await?;
        Ok(Costs { here: cost::of_process().saturating_sub(asking), there: self.watched.and_then(cost::of_other) })
    }

    /// Keeps every slot busy for `time`, after a while that is not measured, with a request in `every` so long when that is
    /// given. A slot comes with the number of its agent.
    pub(in crate::bench) async fn steadily<S: Slot>(
        &self,
        slots: Vec<(usize, S)>,
        time: Duration,
        every: Option<Duration>,
    ) -> Result<(Vec<(usize, S)>, Measured), BenchError> {
        let phase = Arc::new(AtomicU8::new(WARMING));
        let mut tallies = Vec::new();
        let mut running = Vec::new();
        for (agent, slot) in slots {
            let tally = Arc::new(Mutex::new(Tally::new()?));
            tallies.push(Arc::clone(&tally));
            let handle = self.of(agent).ok_or(BenchError::Ended)?;
            running.push((agent, handle.spawn(keep_busy(slot, every, Arc::clone(&phase), tally))));
        }
        tokio::time::sleep((time / 5).min(WARM_UP_MAX)).await;
        let before = self.costs().await?;
        let watch = Stopwatch::start();
        phase.store(MEASURING, Ordering::SeqCst);
        tokio::time::sleep(time).await;
        phase.store(DONE, Ordering::SeqCst);
        let wall = watch.elapsed();
        let after = self.costs().await?;
        let mut slots = Vec::new();
        let finishing = Stopwatch::start();
        for (agent, slot) in running {
            let left = FINISH_WITHIN.saturating_sub(finishing.elapsed());
            if let Ok(Ok(slot)) = tokio::time::timeout(left, slot).await {
                slots.push((agent, slot));
            }
        }
        let mut sum = Tally::new()?;
        for tally in tallies {
            sum.add(&tally.lock().unwrap_or_else(PoisonError::into_inner));
        }
        Ok((slots, measured(sum, wall, &before, &after)))
    }

    /// In rounds: every slot makes ready for `times` requests, which is not measured, and then all fire at once.
    pub(in crate::bench) async fn in_rounds<S: Slot>(
        &self,
        mut slots: Vec<(usize, S)>,
        times: usize,
        time: Duration,
    ) -> Result<Measured, BenchError> {
        let mut sum = Tally::new()?;
        let (mut wall, mut cpu) = (Duration::ZERO, Costs::default());
        while wall < time {
            let gate = Arc::new(Barrier::new(slots.len() + 1));
            let mut running = Vec::new();
            for (agent, slot) in slots {
                let handle = self.of(agent).ok_or(BenchError::Ended)?;
                running.push((agent, handle.spawn(one_round(slot, times, Arc::clone(&gate), Tally::new()?))));
            }
            gate.wait().await;
            let before = self.costs().await?;
            let watch = Stopwatch::start();
            gate.wait().await;
            slots = Vec::new();
            for (agent, round) in running {
                let (slot, tally) = round.await.map_err(|_| BenchError::Ended)?;
                sum.add(&tally);
                slots.push((agent, slot));
            }
            wall += watch.elapsed();
            cpu.add(&before, &self.costs().await?);
            if sum.answers == 0 {
                return Err(BenchError::Nothing);
            }
        }
        Ok(measured(sum, wall, &Costs { here: Duration::ZERO, there: cpu.there.map(|_| Duration::ZERO) }, &cpu))
    }
}

async fn keep_busy<S: Slot>(mut slot: S, every: Option<Duration>, phase: Arc<AtomicU8>, tally: Arc<Mutex<Tally>>) -> S {
    loop {
        let prepared = slot.prepare().await;
        let watch = Stopwatch::start();
        let fired = match prepared {
            Ok(()) => slot.fire().await,
            Err(problem) => Err(problem),
        };
        let took = watch.elapsed();
        let phase = phase.load(Ordering::Relaxed);
        let failed = fired.is_err();
        if phase == MEASURING {
            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            match fired {
                Ok(()) => tally.answer(took),
                Err(problem) => tally.error(problem),
            }
        }
        if phase == DONE {
            return slot;
        }
        if failed {
            tokio::time::sleep(PAUSE_AFTER_ERROR).await;
        }
        if let Some(every) = every {
            tokio::time::sleep(every.saturating_sub(watch.elapsed())).await;
        }
    }
}

async fn one_round<S: Slot>(mut slot: S, times: usize, gate: Arc<Barrier>, mut tally: Tally) -> (S, Tally) {
    let mut ready = 0;
    for _ in 0..times {
        match slot.prepare().await {
            Ok(()) => ready += 1,
            Err(problem) => tally.error(problem),
        }
    }
    gate.wait().await;
    gate.wait().await;
    for _ in 0..ready {
        let watch = Stopwatch::start();
        match slot.fire().await {
            Ok(()) => tally.answer(watch.elapsed()),
            Err(problem) => tally.error(problem),
        }
    }
    (slot, tally)
}

fn measured(tally: Tally, wall: Duration, before: &Costs, after: &Costs) -> Measured {
    let there = before.there.zip(after.there).map(|(before, after)| after.saturating_sub(before));
    Measured { tally, wall, cpu_here: after.here.saturating_sub(before.here), cpu_there: there }
}

/// CPU time so far.
#[derive(Debug, Clone, Copy)]
struct Costs {
    here: Duration,
    there: Option<Duration>,
}

impl Default for Costs {
    fn default() -> Self {
        Self { here: Duration::ZERO, there: Some(Duration::ZERO) }
    }
}

impl Costs {
    fn add(&mut self, before: &Self, after: &Self) {
        self.here += after.here.saturating_sub(before.here);
        let spent = before.there.zip(after.there).map(|(before, after)| after.saturating_sub(before));
        self.there = self.there.zip(spent).map(|(sum, spent)| sum + spent);
    }
}

impl Asker {
    fn start() -> Result<Self, BenchError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(BenchError::start("a thread that asks"))?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("bench-ask".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    let _dropped_is_stopped = stopped.await;
                });
                runtime.shutdown_background();
            })
            .map_err(BenchError::start("a thread that asks"))?;
        Ok(Self { handle, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has told so.
            drop(thread.join());
        }
    }
}

/// Asking, not yet measured.
const WARMING: u8 = 0;
/// What comes back is counted.
const MEASURING: u8 = 1;
/// Slots end after their request.
const DONE: u8 = 2;
