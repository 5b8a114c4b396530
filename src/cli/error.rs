//! How a command ends: its exit code, and what it says about why.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use tonic::Status;
use tonic_types::StatusExt as _;

use crate::identity::error::IdentityError;

/// How a command that was understood ended. The numbers are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// What was asked for was done.
    Done = 0,
    /// Something is wrong on this side: arguments, files, identity.
    Local = 1,
    /// The broker refused the call or could not be reached.
    Remote = 2,
    /// The broker decided, and the answer is no.
    Denied = 3,
    /// The broker decided, and a person has to approve first.
    Pending = 4,
    /// Something that was to be verified does not hold.
    Unverified = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command could not do what it was asked for.
#[derive(Debug)]
pub struct CliError {
    exit: Exit,
    text: String,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl CliError {
    /// Something is wrong on this side.
    pub(in crate::cli) fn local(text: impl Into<String>) -> Self {
        Self { exit: Exit::Local, text: text.into(), cause: None }
    }

    /// Something is wrong on this side, and this is why.
    pub(in crate::cli) fn because(text: impl Into<String>, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { exit: Exit::Local, text: text.into(), cause: Some(cause.into()) }
    }

    /// The other side failed.
    pub(in crate::cli) fn remote(text: impl Into<String>, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { exit: Exit::Remote, text: text.into(), cause: Some(cause.into()) }
    }

    /// Something that was to be verified does not hold.
    pub(in crate::cli) fn unverified(text: impl Into<String>, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { exit: Exit::Unverified, text: text.into(), cause: Some(cause.into()) }
    }

    /// The same, with more about it.
    pub(in crate::cli) fn with(self, more: &str) -> Self {
        Self { text: format!("{}; {more}", self.text), ..self }
    }

    /// How the command ends with it.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        self.exit
    }

    /// True when nobody reads our output any more, which is no failure: `carnet … | head`.
    pub(in crate::cli) fn is_broken_pipe(&self) -> bool {
        let cause = self.cause.as_ref().and_then(|cause| cause.downcast_ref::<std::io::Error>());
        self.text.is_empty() && cause.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.text.is_empty() { f.write_str("output cannot be written") } else { f.write_str(&self.text) }
    }
}

impl Error for CliError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref().map(|cause| -> &(dyn Error + 'static) { cause.as_ref() })
    }
}

/// From writing our own output.
impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        Self::because("", error)
    }
}

/// From a call: the code and the reason code that the broker gave, and what it says. The transport's own words come last.
impl From<Status> for CliError {
    fn from(status: Status) -> Self {
        let reason = status.get_details_error_info().map(|info| info.reason).filter(|reason| !reason.is_empty());
        let mut text = match reason {
            Some(reason) => format!("the broker refused: {reason}"),
            None => format!("the call failed: {:?}", status.code()),
        };
        if !status.message().is_empty() {
            text.push_str(": ");
            text.push_str(status.message());
        }
        Self { exit: Exit::Remote, text, cause: None }
    }
}

/// From finding out who we are, and reaching the broker.
impl From<IdentityError> for CliError {
    fn from(error: IdentityError) -> Self {
        match &error {
            IdentityError::Connect { target, .. } => {
                let text = format!("`{target}` cannot be reached");
                Self { exit: Exit::Remote, text, cause: Some(Box::new(error)) }
            }
            _ => Self::because("no identity can be shown", error),
        }
    }
}

/// An error and its causes, one after the other, on one line.
pub(in crate::cli) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        // Some libraries repeat their cause in their own words.
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = cause.source();
    }
    text
}
