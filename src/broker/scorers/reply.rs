//! What a scorer's answer comes to, and what its silence does. Nothing of an answer is believed but what has the form that it must
//! have, and no answer counts for less than nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::broker::scorers::ScorerOptions;
use crate::model::access::Effect;
use crate::model::id::SignalName;
use crate::model::risk::{SCORE_SIGNAL, SCORER_SOURCE, Signal};
use crate::model::time::Timestamp;
use crate::pb::v1::ScoreResponse;

/// Longest code of a score, in bytes.
const CODE_BYTES_MAX: usize = 64;
/// Longest name or version of a model that is recorded, in bytes.
const MODEL_BYTES_MAX: usize = 128;
/// Who judges what does not fit into a question. That is no silence, which the scorer would take back when it speaks of something else.
const OWN_SCORER: &str = "carnet";
/// Longest explanation that is recorded, in bytes: a sentence or two.
const TEXT_BYTES_MAX: usize = 512;

/// Why there is no score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absence {
    /// It was not reached, or said that it cannot.
    Failed,
    /// It took longer than it may.
    TimedOut(Duration),
    /// What it answered is no score.
    Form(&'static str),
    /// It failed too often lately.
    Paused,
    /// Too much waits for it.
    Busy,
    /// It waited for others of the same agent, and so too long.
    Crowded,
    /// What is to be judged does not fit into a question.
    TooLarge,
    /// What was judged changed while it was.
    Changed,
}

impl Absence {
    /// The label of metrics.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::TimedOut(_) => "timed_out",
            Self::Form(_) => "out_of_form",
            Self::Paused => "paused",
            Self::Busy => "busy",
            Self::Crowded => "crowded",
            Self::TooLarge => "too_large",
            Self::Changed => "changed",
        }
    }

    fn in_words(self) -> String {
        match self {
            Self::Failed => "it could not be asked".to_owned(),
            Self::TimedOut(span) => format!("it took longer than {} ms", span.as_millis()),
            Self::Form(problem) => format!("what it answered is no score: {problem}"),
            Self::Paused => "it failed too often lately, and is left alone for a while".to_owned(),
            Self::Busy => "too many questions wait for it".to_owned(),
            Self::Crowded => "other questions of the same agent kept it waiting".to_owned(),
            Self::TooLarge => "what is to be judged does not fit into a question".to_owned(),
            Self::Changed => "what it judged kept changing meanwhile".to_owned(),
        }
    }
}

/// An answer that has the form that it must have.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    /// 0 to 1.
    score: f64,
    code: String,
    text: String,
    /// Name and version of what made it; never empty.
    model: String,
}

impl Said {
    /// # Errors
    /// When it is no score.
    pub(super) fn read(answer: &ScoreResponse) -> Result<Self, Absence> {
        let score = answer.score.ok_or(Absence::Form("it has no score"))?;
        // NaN is in no range.
        if !(0.0..=1.0).contains(&score) {
            return Err(Absence::Form("the score is not between 0 and 1"));
        }
        let code = &answer.reason_code;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if code.len() > CODE_BYTES_MAX || !code.chars().all(plain) {
            return Err(Absence::Form("the code is none"));
        }
        let (name, version) = (shown(&answer.model, MODEL_BYTES_MAX), shown(&answer.model_version, MODEL_BYTES_MAX));
        if name.is_empty() {
            return Err(Absence::Form("it names no model"));
        }
        let model = if version.is_empty() { name } else { format!("{name} {version}") };
        Ok(Self { score, code: code.clone(), text: shown(&answer.explanation, TEXT_BYTES_MAX), model })
    }

    /// Points of at most `cap`; what is not nothing counts for something.
    fn points(&self, cap: u32) -> u32 {
        let points = (self.score * f64::from(cap)).ceil().clamp(0.0, f64::from(cap));
        (points as u32).min(cap)
    }

    fn in_words(&self, name: &str) -> String {
        let code = if self.code.is_empty() { String::new() } else { format!(" ({})", self.code) };
        let text = if self.text.is_empty() { String::new() } else { format!(": {}", self.text) };
        format!("`{name}` ({}) scored it {:.3}{code}{text}", self.model, self.score)
    }
}

/// What a scorer adds to a decision, whatever came of asking it.
pub(super) fn signal(
    options: &ScorerOptions,
    outcome: &Result<Said, Absence>,
    effects: &BTreeSet<Effect>,
    now: Timestamp,
) -> Option<Signal> {
    let (points, scorer, explanation) = match outcome {
        Ok(said) => (said.points(options.points), said.model.clone(), said.in_words(&options.name)),
        Err(absence) => {
            let words = format!("`{}` gave no score: {}", options.name, absence.in_words());
            let judged = if *absence == Absence::TooLarge { OWN_SCORER } else { "" };
            (absent_points(options, *absence, effects), judged.to_owned(), words)
        }
    };
    Some(Signal {
        name: signal_name()?,
        source: source(&options.name),
        scorer,
        points: points.min(options.points),
        explanation,
        observed: now,
    })
}

/// The signal that scores stand in.
pub(super) fn signal_name() -> Option<SignalName> {
    // INVARIANT: it is a name.
    SCORE_SIGNAL.parse().ok()
}

/// The source of what a scorer says.
pub(super) fn source(name: &str) -> String {
    format!("{SCORER_SOURCE}{name}")
}

fn absent_points(options: &ScorerOptions, absence: Absence, effects: &BTreeSet<Effect>) -> u32 {
    let reading = effects.iter().all(|effect| !effect.is_effectful());
    match absence {
        // An agent that makes its request too large to be judged, or asks too much at a time, is not to gain by it.
        Absence::TooLarge | Absence::Crowded => options.points,
        _ if reading => options.absent_reading,
        _ => options.absent,
    }
}

/// Foreign text as it may stand in a record: on one line, without what steers a terminal or turns text around, and not long.
fn shown(text: &str, bytes_max: usize) -> String {
    let mut out = String::new();
    for c in text.trim().chars() {
        let c = if c.is_control() || turns_around(c) { '\u{FFFD}' } else { c };
        if out.len() + c.len_utf8() > bytes_max {
            break;
        }
        out.push(c);
    }
    out.trim_end().to_owned()
}

/// Line separators, marks of direction, and what is not seen.
const fn turns_around(c: char) -> bool {
    matches!(c, '\u{61C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests;
