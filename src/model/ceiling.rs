//! Ceilings: the most that any grant of a task may cover.

use serde::{Deserialize, Serialize};

use super::decimal::Decimal;
use super::id::{DataClass, ToolName};
use super::pattern::{ResourcePattern, SinkPattern};
use super::time::Ttl;

// What is empty is not written, so that the hash of a ceiling stays what it was before these members came.

/// The most that any grant of a task may cover. A member that is absent sets no limit of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ceiling {
    /// The only tools that may be reached, each once.
    pub tools: Vec<ToolCeiling>,
    /// Longest life of any token.
    #[serde(default)]
    pub ttl_max: Option<Ttl>,
    /// The only classes of data that may be touched, by what the catalogue says of the tool and by what the request says; empty
    /// sets no limit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data_classes: Vec<DataClass>,
}

/// What a ceiling allows of one tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCeiling {
    /// The tool.
    pub tool: ToolName,
    /// Allowed actions; empty allows all that the catalogue lists.
    #[serde(default)]
    pub actions: Vec<String>,
    /// Allowed resources, exact. Where neither these nor patterns are given, any is allowed.
    #[serde(default)]
    pub resources: Vec<String>,
    /// Allowed resources by pattern.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resource_patterns: Vec<ResourcePattern>,
    /// Limits on the values of its sinks.
    #[serde(default)]
    pub sinks: Vec<SinkCeiling>,
    /// How many grants of the tool the task may have.
    #[serde(default)]
    pub calls_max: Option<u32>,
}

/// What a ceiling allows of one sink.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkCeiling {
    /// The sink, as the catalogue names it.
    pub sink: String,
    /// Allowed values in canonical form. Where neither these nor patterns are given, any is allowed.
    #[serde(default)]
    pub values: Vec<String>,
    /// Allowed values by pattern.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<SinkPattern>,
    /// For amounts: the most that one call may carry.
    #[serde(default)]
    pub per_call_max: Option<Decimal>,
    /// For amounts: the most that all calls of the task family may carry together.
    #[serde(default)]
    pub total_max: Option<Decimal>,
}

impl Ceiling {
    /// What it allows of that tool; `None` when it does not allow the tool at all.
    #[must_use]
    pub fn tool(&self, name: &ToolName) -> Option<&ToolCeiling> {
        self.tools.iter().find(|t| t.tool == *name)
    }
}

impl ToolCeiling {
    /// That tool, without a limit.
    #[must_use]
    pub const fn of(tool: ToolName) -> Self {
        Self {
            tool,
            actions: Vec::new(),
            resources: Vec::new(),
            resource_patterns: Vec::new(),
            sinks: Vec::new(),
            calls_max: None,
        }
    }

    /// What it says of that sink.
    #[must_use]
    pub fn sink(&self, name: &str) -> Option<&SinkCeiling> {
        self.sinks.iter().find(|s| s.sink == name)
    }

    /// True when not every resource is allowed.
    #[must_use]
    pub fn limits_resources(&self) -> bool {
        !self.resources.is_empty() || !self.resource_patterns.is_empty()
    }
}

impl SinkCeiling {
    /// True when not every value is allowed. Caps of amounts are no part of it.
    #[must_use]
    pub fn limits_values(&self) -> bool {
        !self.values.is_empty() || !self.patterns.is_empty()
    }
}

/// One way in which an access goes beyond the ceiling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "breach")]
pub enum Breach {
    /// The tool is not listed.
    Tool,
    /// An action is not listed.
    Action {
        /// The action.
        action: String,
    },
    /// A resource is not listed.
    Resource {
        /// The resource.
        resource: String,
    },
    /// No resource is named, which asks for any, and only some are listed.
    AnyResource,
    /// A sink's value is not listed.
    SinkValue {
        /// The sink.
        sink: String,
        /// The value that is not listed.
        value: String,
    },
    /// An amount is above the cap of one call, below zero, or would take the total above its cap.
    Amount {
        /// The sink.
        sink: String,
        /// What the call asks for.
        asked: Decimal,
        /// What is left.
        left: Decimal,
    },
    /// It touches a class of data that is not listed.
    DataClass {
        /// The class.
        class: DataClass,
    },
    /// The call budget is used up.
    Calls {
        /// The budget.
        calls_max: u32,
    },
}

/// How an access stands to the ceiling.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "fit")]
pub enum CeilingFit {
    /// The task declares none.
    #[default]
    Undeclared,
    /// Nothing goes beyond it.
    Within,
    /// Something does.
    Outside {
        /// What does; never empty.
        breaches: Vec<Breach>,
    },
}

impl CeilingFit {
    /// The name in policies and records.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Undeclared => "undeclared",
            Self::Within => "within",
            Self::Outside { .. } => "outside",
        }
    }
}
