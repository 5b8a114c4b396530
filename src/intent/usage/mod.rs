//! What a task family was granted so far: a fold of grants, from which budgets and conflicts of duty are judged.
//!
//! A grant that is given back, expires or is revoked gives nothing back: its token may have been used before, and a budget
//! that could be had again by returning grants would be none. Renewing keeps the grant and reserves nothing. No amount can
//! make a total unknown for those that come after it, so amounts have a bounded number of places behind their point.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::catalogue::tool::Tool;
use crate::model::access::Access;
use crate::model::decimal::Decimal;
use crate::model::id::ToolName;
use crate::model::limits::AMOUNT_PLACES_MAX;
use crate::model::sink::{SinkError, SinkKind};

/// What a task family was granted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    // Boxed: a map has room for many more tools than most tasks use.
    tools: BTreeMap<ToolName, Box<ToolUsage>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct ToolUsage {
    grants: u32,
    first: u64,
    totals: BTreeMap<String, Total>,
}

/// A sum of amounts. It has room for more of them, of any size, than can ever be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
struct Total {
    whole: u128,
    /// In units of the last place that an amount may have.
    fraction: u64,
}

/// As many units as make one.
const FRACTIONS: u64 = 10_u64.pow(AMOUNT_PLACES_MAX);

impl Total {
    /// The sum of one amount, without its sign. What stands behind the last place that amounts have is cut off.
    fn of(amount: Decimal) -> Self {
        let (whole, fraction) = amount.parts(AMOUNT_PLACES_MAX);
        Self { whole, fraction: u64::try_from(fraction).unwrap_or(FRACTIONS - 1) }
    }

    fn plus(self, other: Self) -> Self {
        let fraction = self.fraction + other.fraction;
        let carried = u128::from(fraction >= FRACTIONS);
        let whole = self.whole.saturating_add(other.whole).saturating_add(carried);
        Self { whole, fraction: fraction % FRACTIONS }
    }

    /// Nothing, where that would be less.
    fn minus(self, other: Self) -> Self {
        if self < other {
            return Self::default();
        }
        let borrowed = self.fraction < other.fraction;
        let fraction = self.fraction + if borrowed { FRACTIONS } else { 0 } - other.fraction;
        Self { whole: self.whole - other.whole - u128::from(borrowed), fraction }
    }

    /// As a number. What has too many digits for one is told without its fraction, or as nothing.
    fn told(self) -> Decimal {
        let (whole, fraction) = (self.whole, self.fraction);
        let exact = format!("{whole}.{fraction:0width$}", width = AMOUNT_PLACES_MAX as usize);
        let exact = exact.trim_end_matches('0').trim_end_matches('.');
        exact.parse().or_else(|_| whole.to_string().parse()).unwrap_or(Decimal::ZERO)
    }
}

/// The amounts of one access, by sink: what granting it reserves.
pub type Amounts = Vec<(String, Decimal)>;

/// The sum of each amount sink of an access, without signs: what goes below zero gives nothing back.
///
/// # Errors
/// When a value is no amount, has more than [`AMOUNT_PLACES_MAX`] places, is too long, or there are too many.
pub fn amounts(access: &Access, tool: &Tool) -> Result<Amounts, SinkError> {
    let mut out = Vec::new();
    for sink in tool.sinks.iter().filter(|s| s.kind == SinkKind::Amount) {
        let not_an_amount = || SinkError::NotAnAmount { name: sink.name.clone() };
        let mut sum = Decimal::ZERO;
        let values = sink.values(&access.arguments)?;
        for value in &values {
            let amount: Decimal = value.parse().map_err(|_| not_an_amount())?;
            if amount.places() > AMOUNT_PLACES_MAX {
                return Err(SinkError::TooManyPlaces { name: sink.name.clone() });
            }
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
        let usage = self
            .tools
            .entry(tool.clone())
            .or_insert_with(|| Box::new(ToolUsage { first: position, ..ToolUsage::default() }));
        usage.grants = usage.grants.saturating_add(1);
        for (sink, amount) in amounts {
            let total = usage.totals.entry(sink.clone()).or_default();
            *total = total.plus(Total::of(*amount));
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
                    *total = total.minus(Total::of(*amount));
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

    /// Whether one more amount of a sink keeps to the cap on its total.
    ///
    /// # Errors
    /// With what is left of the cap, when it does not.
    pub fn fits(&self, tool: &ToolName, sink: &str, amount: Decimal, max: Decimal) -> Result<(), Decimal> {
        let used = self.tools.get(tool).and_then(|u| u.totals.get(sink)).copied().unwrap_or_default();
        // A cap below zero lets nothing pass.
        let max = if max.is_negative() { Total::default() } else { Total::of(max) };
        if used.plus(Total::of(amount)) <= max { Ok(()) } else { Err(max.minus(used).told()) }
    }
}

#[cfg(test)]
mod tests;
