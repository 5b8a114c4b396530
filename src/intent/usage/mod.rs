//! What a task family was granted so far: a fold of grants, from which budgets and conflicts of duty are judged.
//!
//! A grant that is given back, expires or is revoked gives nothing back: its token may have been used before, and a budget
//! that could be had again by returning grants would be none. Renewing keeps the grant and reserves nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::catalogue::tool::Tool;
use crate::model::access::Access;
use crate::model::decimal::Decimal;
use crate::model::id::ToolName;
use crate::model::sink::{SinkError, SinkKind};

/// What a task family was granted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    tools: BTreeMap<ToolName, ToolUsage>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct ToolUsage {
    grants: u32,
    first: u64,
    // `None`: more than a decimal number holds, so that every cap is exceeded.
    totals: BTreeMap<String, Option<Decimal>>,
}

/// The amounts of one access, by sink: what granting it reserves.
pub type Amounts = Vec<(String, Decimal)>;

/// The sum of each amount sink of an access, without signs: what goes below zero gives nothing back.
///
/// # Errors
/// When a value is no amount, too long, or there are too many.
pub fn amounts(access: &Access, tool: &Tool) -> Result<Amounts, SinkError> {
    let mut out = Vec::new();
    for sink in tool.sinks.iter().filter(|s| s.kind == SinkKind::Amount) {
        let not_an_amount = || SinkError::NotAnAmount { name: sink.name.clone() };
        let mut sum = Decimal::ZERO;
        let values = sink.values(&access.arguments)?;
        for value in &values {
            let amount: Decimal = value.parse().map_err(|_| not_an_amount())?;
            let amount = if amount.is_negative() { Decimal::ZERO.checked_sub(amount) } else { Some(amount) };
            let amount = amount.ok_or_else(not_an_amount)?;
            sum = sum.checked_add(amount).ok_or_else(not_an_amount)?;
        }
        if !values.is_empty() {
            out.push((sink.name.clone(), sum));
        }
    }
    Ok(out)
}

impl Usage {
    /// Takes in one granted access: a use of its tool, and its amounts. `position` is that of the event that granted it.
    pub fn reserve(&mut self, tool: &ToolName, amounts: &[(String, Decimal)], position: u64) {
        let usage =
            self.tools.entry(tool.clone()).or_insert_with(|| ToolUsage { first: position, ..ToolUsage::default() });
        usage.grants = usage.grants.saturating_add(1);
        for (sink, amount) in amounts {
            let total = usage.totals.entry(sink.clone()).or_insert(Some(Decimal::ZERO));
            *total = total.and_then(|t| t.checked_add(*amount));
        }
    }

    /// The usage as it would be without one grant: a live grant that is judged again does not stand in its own way.
    #[must_use]
    pub fn without(&self, tool: &ToolName, amounts: &[(String, Decimal)]) -> Self {
        let mut out = self.clone();
        if let Some(usage) = out.tools.get_mut(tool) {
            usage.grants = usage.grants.saturating_sub(1);
            for (sink, amount) in amounts {
                if let Some(total) = usage.totals.get_mut(sink) {
                    *total = total.and_then(|t| t.checked_sub(*amount));
                }
            }
        }
        out
    }

    /// Grants of that tool.
    #[must_use]
    pub fn grants_of(&self, tool: &ToolName) -> u32 {
        self.tools.get(tool).map_or(0, |u| u.grants)
    }

    /// Position of the event that first granted that tool; 0 when none did.
    #[must_use]
    pub fn first_grant_of(&self, tool: &ToolName) -> u64 {
        self.tools.get(tool).map_or(0, |u| u.first)
    }

    /// What was reserved of a sink in total; `None` when it is more than a decimal number holds.
    #[must_use]
    pub fn total_of(&self, tool: &ToolName, sink: &str) -> Option<Decimal> {
        self.tools.get(tool).and_then(|u| u.totals.get(sink)).copied().unwrap_or(Some(Decimal::ZERO))
    }
}

#[cfg(test)]
mod tests;
