//! What a run found, for machines and for eyes.

use std::fmt;

use serde::Serialize;

use super::plan::Kind;

/// What a run found. The names of its members are those of the JSON output.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Answers a second.
    pub requests_per_second: f64,
    /// Median latency in microseconds.
    pub p50_us: u64,
    /// 99 of 100 were faster.
    pub p99_us: u64,
    /// 999 of 1000 were faster.
    pub p999_us: u64,
    /// CPU time of the broker for each answer, in microseconds: of the whole process without the threads that ask. `None`
    /// when the broker runs elsewhere and its process is not known.
    pub cpu_us_per_request: Option<f64>,
    /// Answers a second of the bare echo.
    pub echo_per_second: f64,
    /// `requests_per_second` by `echo_per_second`.
    pub ratio: f64,
    /// Connections over which both were asked.
    pub connections: usize,
    /// Requests that failed or were answered otherwise than they should.
    pub errors: u64,
    /// Median latency of the bare echo with as much in flight, in microseconds.
    pub echo_p50_us: u64,
    /// Median time of one append and `fdatasync` in the journal's folder, in microseconds.
    pub fdatasync_us: u64,
    /// What to know about the run before its figures are believed; for eyes.
    #[serde(skip)]
    pub notes: Vec<String>,
    /// What went wrong, each kind once and not all of them; for eyes.
    #[serde(skip)]
    pub problems: Vec<String>,
}

impl Report {
    /// The report as one JSON object.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The report for eyes.
    #[must_use]
    pub const fn for_eyes(&self, kind: Kind, in_flight: u32) -> ForEyes<'_> {
        ForEyes { report: self, kind, in_flight }
    }
}

/// A report, one figure a line.
#[derive(Debug)]
pub struct ForEyes<'a> {
    report: &'a Report,
    kind: Kind,
    in_flight: u32,
}

impl fmt::Display for ForEyes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let r = self.report;
        let cpu = r.cpu_us_per_request.map_or_else(|| "not known".to_owned(), |us| format!("{us:.1} µs"));
        writeln!(f, "{:<12}{} in flight over {} connections", self.kind.as_str(), self.in_flight, r.connections)?;
        writeln!(f, "{:<12}{:>12.0} /s", "rate", r.requests_per_second)?;
        writeln!(f, "{:<12}{:>12.0} /s   bare echo, p50 {} µs", "echo", r.echo_per_second, r.echo_p50_us)?;
        writeln!(f, "{:<12}{:>12.3}", "ratio", r.ratio)?;
        for (name, us) in [("p50", r.p50_us), ("p99", r.p99_us), ("p99.9", r.p999_us)] {
            writeln!(f, "{name:<12}{us:>12} µs")?;
        }
        writeln!(f, "{:<12}{cpu:>15}   a request, at the broker", "cpu")?;
        writeln!(f, "{:<12}{:>12} µs", "fdatasync", r.fdatasync_us)?;
        write!(f, "{:<12}{:>12}", "errors", r.errors)
    }
}
