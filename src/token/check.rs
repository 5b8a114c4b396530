//! Whether a call is one that a token is good for: the same tool at this place, no other action or resource, and exactly
//! the sinks that were judged. Whoever serves the call asks this before anything is done.

use super::detail::Detail;
use crate::model::id::{Audience, ToolName};
use crate::model::json::Json;
use crate::model::sink::carried::carried;
use crate::model::sink::{SinkError, SinkSpec};

/// A call, as the resource server received it.
#[derive(Debug, Clone, Copy)]
pub struct Call<'c> {
    /// The tool.
    pub tool: &'c ToolName,
    /// What is done with it, e.g. `tools/call`; at least one.
    pub actions: &'c [&'c str],
    /// What it is done to, where the resource server knows.
    pub resources: &'c [&'c str],
    /// The arguments: a JSON object in which no member stands twice.
    pub arguments: &'c Json,
}

/// Why a token is not good for a call. Values are not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConstraintError {
    /// No entry is about this tool.
    #[error("the token does not cover the tool")]
    Tool,
    /// The entry is about another place.
    #[error("the token covers the tool elsewhere")]
    Location,
    /// The call says nothing of what it does, or something that is not granted.
    #[error("the token does not cover the action")]
    Action,
    /// A resource is not granted.
    #[error("the token does not cover the resource")]
    Resource,
    /// A sink carries something else, something more, or nothing.
    #[error("sink `{0}` differs from what was granted")]
    Sink(String),
    /// A sink can't be read.
    #[error("the sinks of the call can't be read")]
    Unreadable(#[source] SinkError),
}

/// The entry that covers the call.
///
/// # Errors
/// When there is none: why the first entry about this tool does not.
pub fn check_call<'d>(details: &'d [Detail], here: &Audience, call: &Call<'_>) -> Result<&'d Detail, ConstraintError> {
    let mut first = None;
    for detail in details.iter().filter(|d| d.identifier == *call.tool) {
        match covers(detail, here, call) {
            Ok(()) => return Ok(detail),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first.unwrap_or(ConstraintError::Tool))
}

fn covers(detail: &Detail, here: &Audience, call: &Call<'_>) -> Result<(), ConstraintError> {
    if detail.locations.as_slice() != std::slice::from_ref(here) {
        return Err(ConstraintError::Location);
    }
    let granted = |action: &&str| detail.actions.iter().any(|a| a == action);
    if call.actions.is_empty() || !call.actions.iter().all(granted) {
        return Err(ConstraintError::Action);
    }
    let granted = |resource: &&str| detail.constraints.resources.iter().any(|r| r == resource);
    if !call.resources.iter().all(granted) {
        return Err(ConstraintError::Resource);
    }
    for (name, bound) in &detail.constraints.sinks {
        let spec = SinkSpec { name: name.clone(), kind: bound.kind };
        let found = carried(&spec, call.arguments).map_err(ConstraintError::Unreadable)?;
        if found != bound.eq {
            return Err(ConstraintError::Sink(name.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
