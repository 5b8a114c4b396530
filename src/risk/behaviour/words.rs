//! What is unusual, as signals in words with numbers.

use super::{DAYS_ENOUGH, SESSIONS_ENOUGH};
use crate::model::behaviour::{BehaviourFacts, Frequency, Unusual};
use crate::model::id::Audience;
use crate::risk::derive::Derived;

/// The signals of how a request for a token for `audience` fits, one for each thing that is unusual: two units for what was never seen, one for what
/// is rare.
#[must_use]
pub fn signals(behaviour: &BehaviourFacts, audience: Option<&Audience>) -> Vec<Derived> {
    if !behaviour.enough {
        return vec![Derived { name: "behaviour_unknown", units: 1, explanation: too_little(behaviour) }];
    }
    let signal = |unusual: &Unusual| Derived {
        name: name(unusual),
        units: if unusual.seen().times == 0 { 2 } else { 1 },
        explanation: in_words(unusual, audience),
    };
    behaviour.unusual.iter().map(signal).collect()
}

const fn name(unusual: &Unusual) -> &'static str {
    match unusual {
        Unusual::Tool { .. } => "unusual_tool",
        Unusual::Sequence { .. } => "unusual_sequence",
        Unusual::Audience { .. } => "unusual_audience",
        Unusual::Resource { .. } => "unusual_resource",
        Unusual::Hour { .. } | Unusual::Weekday { .. } => "unusual_hour",
        Unusual::Rate { .. } => "unusual_rate",
    }
}

fn too_little(known: &BehaviourFacts) -> String {
    let BehaviourFacts { sessions, days, .. } = known;
    format!("not enough is known of it: {sessions} of {SESSIONS_ENOUGH} sessions, on {days} of {DAYS_ENOUGH} days")
}

fn in_words(unusual: &Unusual, audience: Option<&Audience>) -> String {
    let seen = unusual.seen();
    match unusual {
        Unusual::Tool { tool, .. } => format!("calls `{tool}`: {} sessions", times(seen)),
        Unusual::Sequence { after: Some(after), tool, .. } => {
            format!("calls `{tool}` right after `{after}`: {} sessions", times(seen))
        }
        Unusual::Sequence { after: None, tool, .. } => format!("begins with `{tool}`: {} sessions", times(seen)),
        Unusual::Audience { .. } => {
            let audience = audience.map_or("", Audience::as_str);
            format!("asks for a token for `{audience}`: {} sessions", times(seen))
        }
        // Which it is stands in the request: its name is the agent's words.
        Unusual::Resource { number: 1, .. } => format!("names a resource that it had in {} sessions", times(seen)),
        Unusual::Resource { number, .. } => {
            format!("names {number} resources that it rarely had, the rarest in {} sessions", times(seen))
        }
        Unusual::Hour { hour, .. } => {
            format!("is at work within an hour of {hour:02}:00 to {hour:02}:59 UTC: {} sessions", times(seen))
        }
        Unusual::Weekday { weekday, .. } => {
            let day = WEEKDAYS.get(usize::from(*weekday)).copied().unwrap_or_default();
            format!("is at work on a {day} (UTC): {} sessions", times(seen))
        }
        Unusual::Rate { window_s, grants, as_many, .. } => {
            let window = if *window_s == 60 { "minute" } else { "hour" };
            format!("{grants} grants within one {window}: {as_many} or more in {} such {window}s", times(seen))
        }
    }
}

fn times(seen: Frequency) -> String {
    let Frequency { times, of, at_most } = seen;
    if at_most { format!("at most {times} of {of}") } else { format!("{times} of {of}") }
}

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
