//! What it costs: CPU time of threads and processes, and a synced write.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use nix::sys::time::TimeValLike as _;

use super::error::BenchError;
use crate::clock::Stopwatch;

/// Appends that are timed; the median of so many hardly moves.
const SYNCS: usize = 200;
/// Size of each: about that of one recorded grant.
const SYNC_BYTES: usize = 3 << 10;
/// Ticks a second in `/proc/PID/stat`: fixed by Linux for user space.
const TICKS_PER_SECOND: u64 = 100;

/// CPU time of the calling thread so far.
pub(in crate::bench) fn of_thread() -> Duration {
    time_of(UsageWho::RUSAGE_THREAD)
}

/// CPU time of this process so far.
pub(in crate::bench) fn of_process() -> Duration {
    time_of(UsageWho::RUSAGE_SELF)
}

fn time_of(who: UsageWho) -> Duration {
    let micros = |usage: Usage| usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(getrusage(who).map(micros).ok().and_then(|us| u64::try_from(us).ok()).unwrap_or(0))
}

/// CPU time of another process so far; `None` when it cannot be read.
pub(in crate::bench) fn of_other(pid: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the command stands in parentheses and may hold anything; what follows is split by spaces (proc(5)).
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

/// True when what is written there never reaches a disk, as far as the system says so.
pub(in crate::bench) fn is_in_memory(folder: &Path) -> bool {
    statfs(folder).is_ok_and(|at| at.filesystem_type() == TMPFS_MAGIC)
}

/// The median time of an append with `fdatasync` in that folder.
pub(in crate::bench) fn of_sync(folder: &Path) -> Result<Duration, BenchError> {
    let path = folder.join("carnet-bench-sync");
    let timed = time_syncs(&path);
    drop(std::fs::remove_file(&path));
    timed.map_err(|cause| BenchError::Path { path, cause })
}

fn time_syncs(path: &Path) -> std::io::Result<Duration> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    let block = [0x5a_u8; SYNC_BYTES];
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let watch = Stopwatch::start();
        file.write_all(&block)?;
        file.sync_data()?;
        times.push(watch.elapsed());
    }
    times.sort_unstable();
    Ok(times.get(SYNCS / 2).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests;
