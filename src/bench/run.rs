//! One run: the broker between two halves of the echo, so that a machine that slows down slows both.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use tokio::runtime::Handle;

use super::cost;
use super::drive::{Askers, Measured};
use super::echo::{Echo, EchoPlan};
use super::error::BenchError;
use super::plan::{AGENTS_MAX, IN_FLIGHT_MAX, Kind, POLICIES_MAX, Place, Plan};
use super::record::Recorder;
use super::report::Report;
use super::revoke::{GRANTS_READY, RevokeSlot, revocation};
use super::site::{Site, agents_used};
use super::steps::RequestSlot;
use super::verify::Desk;
use crate::pb::v1;

/// How long what answers may take to end.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Runs a plan. It starts runtimes of its own, so it must be called outside of one.
///
/// # Errors
/// When the plan is out of bounds, something does not start, or nothing is answered.
pub fn run(plan: &Plan) -> Result<Report, BenchError> {
    check(plan)?;
    let answering = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(BenchError::start("the runtime that answers"))?;
    let watched = match &plan.place {
        Place::Target { pid, .. } => *pid,
        Place::Embedded { .. } => None,
    };
    let askers = Askers::start(watched)?;
    let report = answering.block_on(measure(plan, &askers, answering.handle()));
    drop(askers);
    answering.shutdown_timeout(END_WITHIN);
    report
}

fn check(plan: &Plan) -> Result<(), BenchError> {
    let within = |what, value: u32, min, max| {
        if (min..=max).contains(&value) { Ok(()) } else { Err(BenchError::Bounds { what, min, max }) }
    };
    within("requests in flight", plan.in_flight, 1, IN_FLIGHT_MAX)?;
    within("agents", plan.agents.unwrap_or(1), 1, AGENTS_MAX)?;
    if let Place::Embedded { policies, .. } = plan.place {
        within("policies", policies, 0, POLICIES_MAX)?;
    }
    if plan.rate == Some(0) {
        return Err(BenchError::Bounds { what: "requests a second", min: 1, max: u32::MAX });
    }
    if plan.duration.is_zero() || plan.echo.is_zero() {
        return Err(BenchError::Bounds { what: "a duration in seconds", min: 1, max: u32::MAX });
    }
    Ok(())
}

async fn measure(plan: &Plan, askers: &Askers, answering: &Handle) -> Result<Report, BenchError> {
    let recorder = plan.record.as_deref().map(Recorder::create).transpose()?.map(Arc::new);
    let site = Site::open(plan, askers).await?;
    let fdatasync = sync_time(&site.folder).await?;
    let notes = notes(plan, &site.folder);
    let in_flight = usize::try_from(plan.in_flight).unwrap_or(1);
    let mut slots = RequestSlot::all(&site, askers, in_flight, recorder.as_ref()).await?;
    let sizes = sample(&mut slots).await?;
    let load = Load::prepare(plan.kind, slots, &site, askers).await?;
    let (request_bytes, answer_bytes) = load.sizes().unwrap_or(sizes);
    let connections = agents_used(plan).min(site.agents.len());
    let echo_plan = EchoPlan { request_bytes, answer_bytes, connections, in_flight };
    let mut echo = Echo::start(echo_plan, answering, askers).await?;
    let before = echo.measure(askers, plan.echo / 2).await?;
    let measured = load.measure(askers, plan).await?;
    let after = echo.measure(askers, plan.echo / 2).await?;
    site.close().await;
    let here = matches!(plan.place, Place::Embedded { .. }) || plan.kind == Kind::Verify;
    Ok(Report { notes, ..report(&measured, &[before, after], (fdatasync, connections), here)? })
}

/// What to know about a run before its figures are believed.
fn notes(plan: &Plan, folder: &Path) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(agents) = plan.agents.filter(|agents| *agents > plan.in_flight) {
        notes.push(format!("of {agents} agents {} are used: no more are in flight", plan.in_flight));
    }
    if matches!(plan.place, Place::Embedded { .. }) && cost::is_in_memory(folder) {
        notes.push(
            "the journal lies in memory, where a sync costs nothing: `--data-dir` takes a folder on a disk".into(),
        );
    }
    notes
}

/// What is driven.
enum Load {
    Request(Vec<(usize, RequestSlot)>),
    Revoke(Vec<(usize, RevokeSlot)>),
    Verify(Box<Desk>),
}

impl Load {
    async fn prepare(
        kind: Kind,
        slots: Vec<(usize, RequestSlot)>,
        site: &Site,
        askers: &Askers,
    ) -> Result<Self, BenchError> {
        Ok(match kind {
            Kind::Request => Self::Request(slots),
            Kind::Revoke => Self::Revoke(RevokeSlot::all(site, askers, slots).await?),
            Kind::Verify => Self::Verify(Box::new(Desk::open(site, askers, slots).await?)),
        })
    }

    /// Bytes of its requests and answers, where they are not those of a request for a credential.
    fn sizes(&self) -> Option<(usize, usize)> {
        match self {
            Self::Request(_) => None,
            Self::Revoke(_) => {
                let answer = v1::RevokeResponse { grants_revoked: 1, position: 1 << 20, blocked: false };
                Some((revocation("g".repeat(GRANT_ID_BYTES)).encoded_len(), answer.encoded_len()))
            }
            Self::Verify(desk) => Some(desk.sizes()),
        }
    }

    async fn measure(self, askers: &Askers, plan: &Plan) -> Result<Measured, BenchError> {
        let (time, every) = (plan.duration, plan.rate.map(|rate| Duration::from_secs(1) * plan.in_flight / rate));
        let measured = match self {
            Self::Request(slots) => askers.steadily(slots, time, every).await?.1,
            Self::Revoke(slots) => askers.in_rounds(slots, GRANTS_READY, time).await?,
            Self::Verify(desk) => desk.measure(askers, time, every).await?,
        };
        if measured.tally.answers == 0 {
            return match measured.tally.problems.first() {
                Some(problem) => Err(BenchError::Refused { what: "every request", problem: problem.clone() }),
                None => Err(BenchError::Nothing),
            };
        }
        Ok(measured)
    }
}

/// Asks once, to learn how large requests and answers are, and whether there is anything to measure.
async fn sample(slots: &mut [(usize, RequestSlot)]) -> Result<(usize, usize), BenchError> {
    let (_, slot) = slots.first_mut().ok_or(BenchError::Nothing)?;
    let sampled = slot.sample().await;
    let (request, response) =
        sampled.map_err(|problem| BenchError::Refused { what: "the first request", problem: problem.0 })?;
    Ok((request.encoded_len(), response.encoded_len()))
}

async fn sync_time(folder: &Path) -> Result<Duration, BenchError> {
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || cost::of_sync(&folder)).await.map_err(|_| BenchError::Ended)?
}

fn report(
    measured: &Measured,
    echoes: &[Measured; 2],
    (fdatasync, connections): (Duration, usize),
    here: bool,
) -> Result<Report, BenchError> {
    let [before, after] = echoes;
    let echo_per_second = f64::midpoint(before.per_second(), after.per_second());
    if echo_per_second <= 0.0 {
        return Err(BenchError::Nothing);
    }
    let cpu = if here { Some(measured.cpu_here) } else { measured.cpu_there };
    let requests_per_second = measured.per_second();
    let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    Ok(Report {
        requests_per_second,
        p50_us: measured.tally.quantile_us(0.5),
        p99_us: measured.tally.quantile_us(0.99),
        p999_us: measured.tally.quantile_us(0.999),
        cpu_us_per_request: cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / count(measured.tally.answers)),
        echo_per_second,
        ratio: requests_per_second / echo_per_second,
        connections,
        errors: measured.tally.errors,
        echo_p50_us: before.tally.quantile_us(0.5).midpoint(after.tally.quantile_us(0.5)),
        fdatasync_us: us(fdatasync),
        notes: Vec::new(),
        problems: measured.tally.problems.clone(),
    })
}

#[expect(clippy::cast_precision_loss, reason = "figures are told to three digits")]
fn count(answers: u64) -> f64 {
    answers.max(1) as f64
}

/// Length of a grant's id: `grant_` and 32 hexadecimal digits.
const GRANT_ID_BYTES: usize = 38;
