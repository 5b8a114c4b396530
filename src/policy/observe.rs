//! `observe.toml`: for which classes of identities a bundle only observes, and until when. Everything is decided as always there, and
//! what policy would have withheld is granted and recorded as such. A bundle without the file enforces what it says.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::bundle::PolicyBundle;
use crate::model::facts::{Facts, Question};
use crate::model::identity::IdentityClass;
use crate::model::limits::OBSERVE_SECONDS_MAX;
use crate::model::time::Timestamp;

/// The longest time that a bundle may only observe, from its activation.
const OBSERVE_MAX: Duration = Duration::from_secs(OBSERVE_SECONDS_MAX);

/// Whom a bundle observes that names nobody.
const UNNAMED: [IdentityClass; 2] = [IdentityClass::ServiceAccount, IdentityClass::AiAgent];

/// For whom a bundle only observes, and until when. One that exists keeps the rules of [`Observe::parse`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observe {
    until: Timestamp,
    classes: BTreeSet<IdentityClass>,
}

impl Observe {
    /// Reads `observe.toml`.
    ///
    /// Rules: `until` is there, with its offset; `classes`, where they are named, are some of those that policy decides about, each
    /// once. Without them it is about agents and services: what an orchestrator registers or widens outlasts the end, so that one is
    /// observed only where it is named.
    ///
    /// # Errors
    /// Every problem, one sentence each.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let file: ObserveText = toml::from_str(text).map_err(|e| {
            let end = e.span().map_or(0, |span| span.start);
            let line = text.bytes().take(end).filter(|b| *b == b'\n').count() + 1;
            vec![format!("line {line}: {}", e.message().replace('\n', " "))]
        })?;
        let mut problems = Vec::new();
        let classes = file.classes.map_or_else(|| UNNAMED.into(), |names| read_classes(&names, &mut problems));
        match file.until.map(|until| read_time(&until)) {
            Some(Ok(until)) if problems.is_empty() => return Ok(Self { until, classes }),
            Some(Ok(_)) => {}
            Some(Err(problem)) => problems.push(problem),
            None => problems.push("`until` is missing: observing has an end".to_owned()),
        }
        Err(problems)
    }

    /// Its end, as the bundle says.
    #[must_use]
    pub const fn until(&self) -> Timestamp {
        self.until
    }

    /// For whom, in order.
    pub fn classes(&self) -> impl Iterator<Item = IdentityClass> {
        self.classes.iter().copied()
    }

    /// True when its policy only observes identities of that class.
    #[must_use]
    pub fn covers(&self, class: IdentityClass) -> bool {
        self.classes.contains(&class)
    }

    /// Its end in a bundle that was activated then: however long that stays in force, it observes no longer than it may.
    #[must_use]
    pub fn ends(&self, activated: Timestamp) -> Timestamp {
        self.until.min(activated.after(OBSERVE_MAX))
    }

    /// What keeps a bundle from being activated now: an end that is too far away. One that is over withholds as always, and keeps
    /// nobody from tightening the rest.
    #[must_use]
    pub fn problem(&self, now: Timestamp) -> Option<String> {
        let days = OBSERVE_SECONDS_MAX / (24 * 3600);
        (self.until > now.after(OBSERVE_MAX)).then(|| {
            format!("`until` is more than {days} days away: observing ends {days} days after activation at the latest")
        })
    }
}

/// True where policy's answer is not enforced: the bundle says so for the class of who asks, and it is neither over by the bundle nor by
/// its activation. What a person opens in an emergency is not observed.
pub(in crate::policy) fn observes(bundle: &PolicyBundle, facts: &Facts) -> bool {
    let said = bundle.observe().is_some_and(|o| o.covers(facts.principal.class) && facts.now < o.until);
    said && facts.question != Question::BreakGlass && facts.observing.is_some_and(|until| facts.now < until)
}

/// The classes that policy decides about.
fn asking() -> impl Iterator<Item = IdentityClass> {
    IdentityClass::ALL.into_iter().filter(|class| class.is_decided_about())
}

fn read_classes(names: &[String], problems: &mut Vec<String>) -> BTreeSet<IdentityClass> {
    let mut classes = BTreeSet::new();
    for name in names {
        match asking().find(|class| class.as_str() == name) {
            Some(class) if classes.insert(class) => {}
            Some(_) => problems.push(format!("`classes` names `{name}` twice")),
            None => {
                let known: Vec<&str> = asking().map(IdentityClass::as_str).collect();
                problems.push(format!("`classes`: `{}` is none of {}", name.escape_debug(), known.join(", ")));
            }
        }
    }
    if names.is_empty() {
        problems.push("`classes` is empty: without it, agents and services are observed".to_owned());
    }
    classes
}

fn read_time(until: &toml::value::Datetime) -> Result<Timestamp, String> {
    if until.date.is_none() || until.time.is_none() || until.offset.is_none() {
        return Err("`until` is no date and time with its offset, as in 2027-01-31T00:00:00Z".to_owned());
    }
    let at = OffsetDateTime::parse(&until.to_string(), &Rfc3339).map_err(|e| format!("`until`: {e}"))?;
    let millis = u64::try_from(at.unix_timestamp_nanos() / 1_000_000);
    millis.map(Timestamp::from_millis).map_err(|_| "`until` lies before 1970".to_owned())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ObserveText {
    #[serde(default)]
    until: Option<toml::value::Datetime>,
    #[serde(default)]
    classes: Option<Vec<String>>,
}

#[cfg(test)]
mod tests;
