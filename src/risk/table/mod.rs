//! `risk.toml`: what each signal weighs, where the bands of each identity class begin, and what a band asks for at least.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::model::decision::Outcome;
use crate::model::id::SignalName;
use crate::model::identity::IdentityClass;
use crate::model::limits::{REASON_BYTES_MAX, TTL_SECONDS_MAX};
use crate::model::risk::{Band, Score};
use crate::risk::calibrate::Bands;
use crate::risk::drift::THRESHOLD_MILLI_DEFAULT;

/// Most signals that a table lists: a person has to be able to read it.
pub const SIGNALS_MAX: usize = 512;
/// Longest time that a grant which its score alone suspended may wait for a person, in seconds: its token lives no longer,
/// and what is renewed meanwhile was decided again.
pub const UNANSWERED_SECONDS_MAX: u64 = TTL_SECONDS_MAX;
/// Lowest threshold of a population stability index: windows of five hundred that are alike come near it by chance.
pub const PSI_THRESHOLD_MIN: f64 = 0.05;
/// Highest threshold: nothing that goes on is so far from what it was.
pub const PSI_THRESHOLD_MAX: f64 = 10.0;
/// The entry of the table that weighs names which it does not list.
pub const UNLISTED: &str = "unlisted";
/// The entry of `[bands]` for classes that have none of their own.
pub const DEFAULT: &str = "default";

/// The weights, bands and floors of a policy bundle. A table that exists keeps the rules of [`RiskTable::parse`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RiskTable {
    signals: BTreeMap<SignalName, Weight>,
    unlisted: Weight,
    bands: BTreeMap<IdentityClass, Thresholds>,
    floors: Floors,
    floors_of: BTreeMap<IdentityClass, Floors>,
    drift_unanswered_after: Duration,
    psi_threshold_milli: u32,
}

/// What a signal weighs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weight {
    /// Points for each occurrence of a signal that Carnet derives itself.
    pub points: u32,
    /// The most that the signal adds for one source, however many points it asks for.
    pub cap: u32,
    /// What it means; shown where whoever reports it gives no words of their own.
    pub explanation: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Thresholds {
    elevated: u8,
    high: u8,
    critical: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Floors {
    elevated: Option<Outcome>,
    high: Option<Outcome>,
    critical: Option<Outcome>,
}

/// Why a risk table does not load.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RiskError {
    /// It is not TOML of the documented form.
    #[error("line {line}: {message}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// It breaks rules; every problem is listed.
    #[error("{} problems, the first: {}", .0.len(), .0.first().map_or("", String::as_str))]
    Invalid(Vec<String>),
}

impl RiskError {
    /// Every problem, one sentence each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        match self {
            Self::Syntax { .. } => vec![self.to_string()],
            Self::Invalid(problems) => problems.clone(),
        }
    }
}

impl RiskTable {
    /// Reads `risk.toml`.
    ///
    /// Rules: every weight and cap is 0 to 100; `[signals.unlisted]` is there; every class has bands of its own or
    /// `[bands.default]` is there; thresholds of a class do not fall (101 is never reached); floors do not fall from
    /// band to band and are `review` at most, because denying takes a rule.
    ///
    /// # Errors
    /// When it is not of the documented form, or breaks rules: then every problem is listed.
    pub fn parse(text: &str) -> Result<Self, RiskError> {
        let file: TableText = toml::from_str(text).map_err(|e| {
            let end = e.span().map_or(0, |span| span.start);
            let line = text.bytes().take(end).filter(|b| *b == b'\n').count() + 1;
            RiskError::Syntax { line, message: e.message().replace('\n', " ") }
        })?;
        let mut problems = Vec::new();
        let (signals, unlisted) = read_signals(file.signals, &mut problems);
        let bands = read_bands(&file.bands, &mut problems);
        let (floors, floors_of) = read_floors(&file.floors, &mut problems);
        let wait = file.drift.unanswered_after_s;
        if wait == 0 || wait > UNANSWERED_SECONDS_MAX {
            problems.push(format!("`drift.unanswered_after_s` is not between 1 and {UNANSWERED_SECONDS_MAX}"));
        }
        let psi = file.drift.psi_threshold;
        if !(PSI_THRESHOLD_MIN..=PSI_THRESHOLD_MAX).contains(&psi) {
            problems.push(format!("`drift.psi_threshold` is not between {PSI_THRESHOLD_MIN} and {PSI_THRESHOLD_MAX}"));
        }
        match unlisted {
            Some(unlisted) if problems.is_empty() => {
                let drift_unanswered_after = Duration::from_secs(wait);
                let psi_threshold_milli = crate::risk::drift::milli(psi);
                Ok(Self { signals, unlisted, bands, floors, floors_of, drift_unanswered_after, psi_threshold_milli })
            }
            _ => Err(RiskError::Invalid(problems)),
        }
    }

    /// What the signal of that name weighs when somebody reports it.
    #[must_use]
    pub fn weight(&self, name: &SignalName) -> &Weight {
        self.signals.get(name).unwrap_or(&self.unlisted)
    }

    /// What the signal of that name weighs when Carnet derives it; `None` when the table does not weigh it.
    #[must_use]
    pub fn listed(&self, name: &str) -> Option<(&SignalName, &Weight)> {
        let name: SignalName = name.parse().ok()?;
        self.signals.get_key_value(&name)
    }

    /// The band that a score falls into, for principals of that class.
    #[must_use]
    pub fn band(&self, class: IdentityClass, score: Score) -> Band {
        // INVARIANT: parse() gives every class its thresholds; a class without any would be judged by the strictest.
        let t = self.bands.get(&class).copied().unwrap_or(Thresholds { elevated: 0, high: 0, critical: 0 });
        match score.points() {
            points if points >= t.critical => Band::Critical,
            points if points >= t.high => Band::High,
            points if points >= t.elevated => Band::Elevated,
            _ => Band::Low,
        }
    }

    /// The mildest outcome that a band leaves to principals of that class: `review` at the strictest.
    #[must_use]
    pub fn floor(&self, class: IdentityClass, band: Band) -> Outcome {
        let own = self.floors_of.get(&class).and_then(|f| f.of(band));
        own.or_else(|| self.floors.of(band)).unwrap_or(Outcome::Granted).min(Outcome::Review)
    }

    /// How long a grant that its score alone suspended waits for a person before it is revoked.
    #[must_use]
    pub const fn drift_unanswered_after(&self) -> Duration {
        self.drift_unanswered_after
    }

    /// From which population stability index on the decisions of a class drift, in thousandths.
    #[must_use]
    pub const fn psi_threshold_milli(&self) -> u32 {
        self.psi_threshold_milli
    }

    /// Where the bands of a class begin.
    #[must_use]
    pub fn bands(&self, class: IdentityClass) -> Option<Bands> {
        let Thresholds { elevated, high, critical } = *self.bands.get(&class)?;
        Some(Bands { elevated, high, critical })
    }

    /// Every signal that the table lists, by name.
    pub fn signals(&self) -> impl Iterator<Item = (&SignalName, &Weight)> {
        self.signals.iter()
    }
}

impl Floors {
    const fn of(self, band: Band) -> Option<Outcome> {
        match band {
            Band::Low => None,
            Band::Elevated => self.elevated,
            Band::High => self.high,
            Band::Critical => self.critical,
        }
    }

    fn set(&mut self, band: &str, outcome: Outcome) -> bool {
        match band {
            "elevated" => self.elevated = Some(outcome),
            "high" => self.high = Some(outcome),
            "critical" => self.critical = Some(outcome),
            _ => return false,
        }
        true
    }

    /// These, and where they say nothing those below.
    fn over(self, below: Self) -> Self {
        Self {
            elevated: self.elevated.or(below.elevated),
            high: self.high.or(below.high),
            critical: self.critical.or(below.critical),
        }
    }

    fn check(self, at: &str, problems: &mut Vec<String>) {
        let bands = [Band::Elevated, Band::High, Band::Critical];
        let outcomes = bands.map(|b| self.of(b).unwrap_or(Outcome::Granted));
        if outcomes.iter().any(|o| *o > Outcome::Review) {
            problems.push(format!("`{at}`: a score alone does not deny; `review` is the strictest"));
        }
        if !outcomes.is_sorted() {
            problems.push(format!("`{at}`: a higher band asks for less than a lower one"));
        }
    }
}

fn read_signals(
    signals: BTreeMap<String, WeightText>,
    problems: &mut Vec<String>,
) -> (BTreeMap<SignalName, Weight>, Option<Weight>) {
    if signals.len() > SIGNALS_MAX {
        problems.push(format!("more than {SIGNALS_MAX} signals"));
    }
    let (mut listed, mut unlisted) = (BTreeMap::new(), None);
    for (name, text) in signals {
        let weight = Weight {
            points: text.points.unwrap_or(text.cap),
            cap: text.cap,
            explanation: text.explanation.unwrap_or_default(),
        };
        if weight.points > 100 || weight.cap > 100 {
            problems.push(format!("`signals.{name}`: points and cap are 0 to 100"));
        }
        if weight.explanation.len() > REASON_BYTES_MAX {
            problems.push(format!("`signals.{name}`: the explanation is longer than {REASON_BYTES_MAX} bytes"));
        }
        if name == UNLISTED {
            unlisted = Some(weight);
            continue;
        }
        match name.parse::<SignalName>() {
            Ok(name) => drop(listed.insert(name, weight)),
            Err(e) => problems.push(format!("`signals.{}`: {e}", name.escape_debug())),
        }
    }
    if unlisted.is_none() {
        problems.push("`signals.unlisted` is missing: names that the table does not know need a cap".to_owned());
    }
    (listed, unlisted)
}

fn read_bands(bands: &BTreeMap<String, Thresholds>, problems: &mut Vec<String>) -> BTreeMap<IdentityClass, Thresholds> {
    for (name, t) in bands {
        if name != DEFAULT && class_of(name).is_none() {
            problems.push(format!("`bands.{}` is no identity class", name.escape_debug()));
        }
        if t.elevated == 0 || t.critical > 101 || t.elevated > t.high || t.high > t.critical {
            problems.push(format!("`bands.{name}`: thresholds are 1 to 101 and do not fall"));
        }
    }
    let mut out = BTreeMap::new();
    for class in IdentityClass::ALL {
        match bands.get(class.as_str()).or_else(|| bands.get(DEFAULT)) {
            Some(t) => drop(out.insert(class, *t)),
            None => problems.push(format!("`bands.{class}` is missing, and there is no `bands.{DEFAULT}`")),
        }
    }
    out
}

fn read_floors(
    floors: &BTreeMap<String, FloorText>,
    problems: &mut Vec<String>,
) -> (Floors, BTreeMap<IdentityClass, Floors>) {
    let (mut all, mut of) = (Floors::default(), BTreeMap::new());
    for (name, text) in floors {
        match text {
            FloorText::Band(outcome) => {
                if !all.set(name, *outcome) {
                    problems.push(format!("`floors.{}` is neither a band nor an identity class", name.escape_debug()));
                }
            }
            FloorText::Class(bands) => {
                let Some(class) = class_of(name) else {
                    problems.push(format!("`floors.{}` is no identity class", name.escape_debug()));
                    continue;
                };
                let mut own = Floors::default();
                for (band, outcome) in bands {
                    if !own.set(band, *outcome) {
                        problems.push(format!("`floors.{name}.{}` is no band with a floor", band.escape_debug()));
                    }
                }
                of.insert(class, own);
            }
        }
    }
    all.check("floors", problems);
    for (class, own) in &of {
        own.over(all).check(&format!("floors.{class}"), problems);
    }
    (all, of)
}

fn class_of(name: &str) -> Option<IdentityClass> {
    IdentityClass::ALL.into_iter().find(|c| c.as_str() == name)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableText {
    #[serde(default)]
    signals: BTreeMap<String, WeightText>,
    #[serde(default)]
    bands: BTreeMap<String, Thresholds>,
    #[serde(default)]
    floors: BTreeMap<String, FloorText>,
    drift: DriftText,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WeightText {
    #[serde(default)]
    points: Option<u32>,
    cap: u32,
    #[serde(default)]
    explanation: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum FloorText {
    Band(Outcome),
    Class(BTreeMap<String, Outcome>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DriftText {
    unanswered_after_s: u64,
    #[serde(default = "psi_threshold_default")]
    psi_threshold: f64,
}

fn psi_threshold_default() -> f64 {
    f64::from(THRESHOLD_MILLI_DEFAULT) / 1000.0
}

#[cfg(test)]
mod tests;
