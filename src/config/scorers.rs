//! External scorers: who is asked how suspicious a step is, how, and what an answer or a silence counts for.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::config::quantity::Span;
use crate::config::settings::{Check, TOLD_CHARS_MAX};
use crate::identity::web::HttpsUrl;
use crate::model::access::Effect;
use crate::model::limits::{NAME_BYTES_MAX, SCORER_NAME_BYTES_MAX, SCORERS_MAX, TTL_SECONDS_MAX};
use crate::model::spiffe_id::SpiffeId;
use crate::model::time::Ttl;

/// A scorer, as the file has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenScorer {
    name: String,
    kind: String,
    target: Option<String>,
    spiffe_id: Option<String>,
    url: Option<String>,
    model: Option<String>,
    api_key_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    mode: Option<String>,
    deadline: Option<Span>,
    life_max: Option<Span>,
    points: Option<u32>,
    absent: Option<u32>,
    absent_reading: Option<u32>,
    effects: Option<Vec<Effect>>,
    at_once: Option<u32>,
    failures: Option<u32>,
    pause: Option<Span>,
}

/// A scorer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScorerSettings {
    /// Its name in records, logs and metrics.
    pub name: String,
    /// Where it is, and what it speaks.
    pub kind: ScorerKind,
    /// The longest life of a token while its answer is awaited; `None` when the decision waits for it.
    pub trails: Option<Ttl>,
    /// How long it may take.
    pub deadline: Duration,
    /// What it counts for at most.
    pub points: u32,
    /// What its silence counts for.
    pub absent: u32,
    /// The same where every effect that is asked for is reading.
    pub absent_reading: u32,
    /// The effects that it is asked about.
    pub effects: BTreeSet<Effect>,
    /// Most questions at a time.
    pub at_once: u32,
    /// So many failures in a row begin a pause.
    pub failures_max: u32,
    /// How long it is left alone then.
    pub pause: Duration,
}

/// Where a scorer is, and what it speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScorerKind {
    /// `RiskScorer` over mutual TLS, with our SVID.
    Grpc {
        /// `host:port`.
        target: String,
        /// Who it must be.
        spiffe_id: SpiffeId,
    },
    /// A chat endpoint that gives structured output, over HTTPS.
    Chat {
        /// The endpoint, with its path.
        url: HttpsUrl,
        /// The model that is asked for.
        model: String,
        /// The key that is shown; `None` where none is asked for.
        api_key_file: Option<PathBuf>,
        /// The roots of its certificate; `None` for the system's.
        ca_file: Option<PathBuf>,
    },
}

/// Deadline of a scorer that the decision waits for, when the file does not say: a person at a keyboard does not notice it.
const INLINE_DEADLINE_DEFAULT: Duration = Duration::from_secs(2);
/// The longest that may be configured: a request that waits longer is given up by those who made it.
const INLINE_DEADLINE_MAX: Duration = Duration::from_secs(10);
/// Deadline of a trailing one, when the file does not say, and the longest: far more than a model thinks.
const TRAILING_DEADLINE_DEFAULT: Duration = Duration::from_secs(20);
const TRAILING_DEADLINE_MAX: Duration = Duration::from_secs(120);
/// Life of a token while an answer is awaited, when the file does not say: one call.
const LIFE_MAX_DEFAULT: Duration = Duration::from_secs(60);
/// What a score of 1 counts for, when the file does not say: alone it shortens lives, with another doubt a person is asked.
const POINTS_DEFAULT: u32 = 40;
/// Most questions at a time, when the file does not say.
const AT_ONCE_DEFAULT: u32 = 16;
/// Most that may be configured: each may hold a connection and a question.
const AT_ONCE_MAX: u32 = 256;
/// Failures in a row that begin a pause, and how long it lasts, when the file does not say.
const FAILURES_DEFAULT: u32 = 5;
const FAILURES_MAX: u32 = 1000;
const PAUSE_DEFAULT: Duration = Duration::from_secs(30);
const PAUSE_MAX: Duration = Duration::from_secs(3600);

/// Says what was written means, or tells `check` what is wrong with it.
pub(super) fn scorers(check: &mut Check, written: Vec<WrittenScorer>) -> Option<Vec<ScorerSettings>> {
    if written.len() > SCORERS_MAX {
        check.problem("scorers", format!("more than {SCORERS_MAX}"));
    }
    let mut names = BTreeSet::new();
    let mut settings = Vec::new();
    for one in written {
        let shown: String = one.name.chars().take(TOLD_CHARS_MAX).collect();
        let at = format!("scorers `{}`", shown.escape_debug());
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if one.name.is_empty() || one.name.len() > SCORER_NAME_BYTES_MAX || !one.name.chars().all(plain) {
            check.problem(&at, format!("a name is 1 to {SCORER_NAME_BYTES_MAX} letters, digits, `-` or `_`"));
        }
        if !names.insert(one.name.clone()) {
            check.problem(&at, "stands twice");
        }
        settings.push(scorer(check, &at, one));
    }
    settings.into_iter().collect()
}

fn scorer(check: &mut Check, at: &str, written: WrittenScorer) -> Option<ScorerSettings> {
    let setting = |name: &str| format!("{at}: {name}");
    let trails = match written.mode.as_deref().unwrap_or("inline") {
        "inline" => false,
        "trailing" => true,
        _ => {
            check.problem(&setting("mode"), "is neither `inline` nor `trailing`");
            return None;
        }
    };
    let (default, max) = if trails {
        (TRAILING_DEADLINE_DEFAULT, TRAILING_DEADLINE_MAX)
    } else {
        (INLINE_DEADLINE_DEFAULT, INLINE_DEADLINE_MAX)
    };
    let least = Span(Duration::from_millis(10));
    let deadline = check.within(&setting("deadline"), written.deadline.unwrap_or(Span(default)), least..=Span(max)).0;
    let life_max = written.life_max.unwrap_or(Span(LIFE_MAX_DEFAULT));
    if !trails && written.life_max.is_some() {
        check.problem(&setting("life_max"), "concerns trailing scorers alone");
    }
    let (second, longest) = (Duration::from_secs(1), Duration::from_secs(TTL_SECONDS_MAX));
    let life_max = check.within(&setting("life_max"), life_max, Span(second)..=Span(longest)).0;
    if life_max.subsec_millis() != 0 {
        check.problem(&setting("life_max"), "is not a whole number of seconds");
    }
    let trails = if trails { Some(Ttl::from_secs(life_max.as_secs()).ok()?) } else { None };
    let points = check.within(&setting("points"), written.points.unwrap_or(POINTS_DEFAULT), 1..=100);
    let effectful = || Effect::ALL.into_iter().filter(|effect| effect.is_effectful()).collect();
    let effects: BTreeSet<Effect> =
        written.effects.as_ref().map_or_else(effectful, |effects| effects.iter().copied().collect());
    if effects.is_empty() {
        check.problem(&setting("effects"), "is empty: it would never be asked");
    }
    let absent = check.within(&setting("absent"), written.absent.unwrap_or(points), 0..=points);
    // Who asks about reading means it: then silence counts there as elsewhere.
    let reading = if effects.contains(&Effect::Read) { absent } else { 0 };
    let absent_reading =
        check.within(&setting("absent_reading"), written.absent_reading.unwrap_or(reading), 0..=points);
    let at_once = check.within(&setting("at_once"), written.at_once.unwrap_or(AT_ONCE_DEFAULT), 1..=AT_ONCE_MAX);
    let failures_max =
        check.within(&setting("failures"), written.failures.unwrap_or(FAILURES_DEFAULT), 1..=FAILURES_MAX);
    let pause = written.pause.unwrap_or(Span(PAUSE_DEFAULT));
    let pause = check.within(&setting("pause"), pause, Span(second)..=Span(PAUSE_MAX)).0;
    Some(ScorerSettings {
        kind: kind(check, at, &written)?,
        name: written.name,
        trails,
        deadline,
        points,
        absent,
        absent_reading,
        effects,
        at_once,
        failures_max,
        pause,
    })
}

/// Where it is, of what was written.
fn kind(check: &mut Check, at: &str, written: &WrittenScorer) -> Option<ScorerKind> {
    let WrittenScorer { kind, target, spiffe_id, url, model, api_key_file, ca_file, .. } = written;
    let setting = |name: &str| format!("{at}: {name}");
    match kind.as_str() {
        "grpc" => {
            if url.is_some() || model.is_some() || api_key_file.is_some() || ca_file.is_some() {
                check.problem(at, "`grpc` takes `target` and `spiffe_id` alone of what says where it is");
            }
            let target = check.required(&setting("target"), target.clone());
            let id = check.required(&setting("spiffe_id"), spiffe_id.as_deref());
            let spiffe_id = id.and_then(|id| check.kept(&setting("spiffe_id"), id.parse::<SpiffeId>()));
            Some(ScorerKind::Grpc { target: target?, spiffe_id: spiffe_id? })
        }
        "chat" => {
            if target.is_some() || spiffe_id.is_some() {
                check.problem(at, "`chat` takes no `target` and no `spiffe_id`; did you mean `url`?");
            }
            let url = check.required(&setting("url"), url.as_deref());
            let url = url.and_then(|url| check.kept(&setting("url"), url.parse::<HttpsUrl>()));
            let model = check.required(&setting("model"), model.clone())?;
            if model.is_empty() || model.len() > NAME_BYTES_MAX || model.chars().any(char::is_control) {
                check.problem(&setting("model"), "is empty, long, or holds control characters");
            }
            let (api_key_file, ca_file) = (api_key_file.clone(), ca_file.clone());
            Some(ScorerKind::Chat { url: url?, model, api_key_file, ca_file })
        }
        _ => {
            check.problem(&setting("kind"), "is neither `grpc` nor `chat`");
            None
        }
    }
}

#[cfg(test)]
mod tests;
