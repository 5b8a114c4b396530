//! A line for every acknowledged grant, written before the next request of its slot: what an outside test looks for after it
//! has killed the broker.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::error::BenchError;

/// The file. A line is one `write`, so it outlives this process, and no line is ever half of one that another follows.
#[derive(Debug)]
pub(in crate::bench) struct Recorder(Mutex<File>);

/// An acknowledged grant.
#[derive(Debug, Serialize)]
pub(in crate::bench) struct Line<'a> {
    pub(in crate::bench) grant_id: &'a str,
    pub(in crate::bench) jti: &'a str,
    pub(in crate::bench) position: u64,
}

impl Recorder {
    /// Begins the file anew.
    pub(in crate::bench) fn create(path: &Path) -> Result<Self, BenchError> {
        let file = File::create(path).map_err(|cause| BenchError::Path { path: path.to_owned(), cause })?;
        Ok(Self(Mutex::new(file)))
    }

    /// Writes a line.
    pub(in crate::bench) fn write(&self, line: &Line<'_>) -> std::io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(&text)
    }
}
