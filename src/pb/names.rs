//! The names that policies, records and people use for the enums of the wire, by their numbers. A number that stands for nothing
//! has an empty name.

use super::v1;

/// The name of an outcome.
#[must_use]
pub fn outcome(number: i32) -> &'static str {
    match v1::Outcome::try_from(number) {
        Ok(v1::Outcome::Granted) => "granted",
        Ok(v1::Outcome::Narrowed) => "narrowed",
        Ok(v1::Outcome::StepUp) => "step_up",
        Ok(v1::Outcome::Review) => "review",
        Ok(v1::Outcome::Denied) => "denied",
        Ok(v1::Outcome::Unspecified) | Err(_) => "",
    }
}

/// The name of a band.
#[must_use]
pub fn band(number: i32) -> &'static str {
    match v1::Band::try_from(number) {
        Ok(v1::Band::Low) => "low",
        Ok(v1::Band::Elevated) => "elevated",
        Ok(v1::Band::High) => "high",
        Ok(v1::Band::Critical) => "critical",
        Ok(v1::Band::Unspecified) | Err(_) => "",
    }
}

/// The name of a task's state.
#[must_use]
pub fn task_state(number: i32) -> &'static str {
    match v1::TaskState::try_from(number) {
        Ok(v1::TaskState::Active) => "active",
        Ok(v1::TaskState::Paused) => "paused",
        Ok(v1::TaskState::Completed) => "completed",
        Ok(v1::TaskState::Cancelled) => "cancelled",
        Ok(v1::TaskState::Expired) => "expired",
        Ok(v1::TaskState::Unspecified) | Err(_) => "",
    }
}
