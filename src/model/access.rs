//! Accesses: what a request asks for, and what effects tools have.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::id::{DataClass, ToolName};
use super::json::Json;

/// What a tool does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Reads, and changes nothing.
    Read,
    /// Creates or changes something.
    Write,
    /// Sends something to somebody.
    Send,
    /// Deletes something.
    Delete,
    /// Spends money or goods.
    Spend,
    /// Runs code or commands.
    Execute,
    /// Changes who may do what.
    Administer,
}

impl Effect {
    /// Every effect, in order.
    pub const ALL: [Self; 7] =
        [Self::Read, Self::Write, Self::Send, Self::Delete, Self::Spend, Self::Execute, Self::Administer];

    /// The name in catalogues, policies and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Send => "send",
            Self::Delete => "delete",
            Self::Spend => "spend",
            Self::Execute => "execute",
            Self::Administer => "administer",
        }
    }

    /// True for any effect but `read`.
    #[must_use]
    pub const fn is_effectful(self) -> bool {
        !matches!(self, Self::Read)
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What one entry of a request asks for (RFC 9396 `authorization_details`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// The tool.
    pub tool: ToolName,
    /// What is to be done with it, e.g. `tools/call`; empty means the tool's own actions.
    pub actions: Vec<String>,
    /// What it is to be done to.
    pub resources: Vec<String>,
    /// The arguments of the call: a JSON object.
    pub arguments: Json,
    /// The classes of data that the agent says the call touches; added to those of the catalogue.
    pub data_classes: Vec<DataClass>,
}
