//! How an access stands to the ceilings that hold for it: its task's own, and those of the tasks above.

use crate::catalogue::tool::Tool;
use crate::model::access::Access;
use crate::model::ceiling::{Breach, Ceiling, CeilingFit, SinkCeiling, ToolCeiling};
use crate::model::decimal::Decimal;
use crate::model::sink::{SinkError, SinkKind, SinkSpec};

use super::spelling;
use super::usage::Usage;

/// Stands for a resource in a breach when none was named, where the ceiling allows only some.
pub const ANY_RESOURCE: &str = "(any)";

/// How an access stands to the ceilings. `calls_before` are the uses that count against call budgets, `usage` holds the
/// totals of amounts. All ceilings have to hold; none declared is [`CeilingFit::Undeclared`].
///
/// # Errors
/// When a sink of the access holds no amount where one is due, or too much.
pub fn fit(
    access: &Access,
    tool: Option<&Tool>,
    ceilings: &[&Ceiling],
    usage: &Usage,
    calls_before: u32,
) -> Result<CeilingFit, SinkError> {
    if ceilings.is_empty() {
        return Ok(CeilingFit::Undeclared);
    }
    let mut breaches = Vec::new();
    for ceiling in ceilings {
        match ceiling.tool(&access.tool) {
            None => breaches.push(Breach::Tool),
            Some(limits) => of_tool(access, tool, limits, usage, calls_before, &mut breaches)?,
        }
    }
    let mut distinct: Vec<Breach> = Vec::new();
    for breach in breaches {
        if !distinct.contains(&breach) {
            distinct.push(breach);
        }
    }
    Ok(if distinct.is_empty() { CeilingFit::Within } else { CeilingFit::Outside { breaches: distinct } })
}

fn of_tool(
    access: &Access,
    tool: Option<&Tool>,
    limits: &ToolCeiling,
    usage: &Usage,
    calls_before: u32,
    breaches: &mut Vec<Breach>,
) -> Result<(), SinkError> {
    if !limits.actions.is_empty() {
        // A request that names no action asks for all that the tool has.
        let all = tool.map_or(&[][..], |t| t.actions.as_slice());
        let asked = if access.actions.is_empty() { all } else { access.actions.as_slice() };
        let beyond = asked.iter().filter(|a| !limits.actions.contains(a));
        breaches.extend(beyond.map(|a| Breach::Action { action: a.clone() }));
    }
    if !limits.resources.is_empty() {
        let beyond = access.resources.iter().filter(|r| !limits.resources.contains(r));
        breaches.extend(beyond.map(|r| Breach::Resource { resource: r.clone() }));
        if access.resources.is_empty() {
            breaches.push(Breach::Resource { resource: ANY_RESOURCE.to_owned() });
        }
    }
    for sink in &limits.sinks {
        of_sink(access, tool, sink, usage, breaches)?;
    }
    if let Some(calls_max) = limits.calls_max
        && calls_before >= calls_max
    {
        breaches.push(Breach::Calls { calls_max });
    }
    Ok(())
}

fn of_sink(
    access: &Access,
    tool: Option<&Tool>,
    limits: &SinkCeiling,
    usage: &Usage,
    breaches: &mut Vec<Breach>,
) -> Result<(), SinkError> {
    let has_caps = limits.per_call_max.is_some() || limits.total_max.is_some();
    // An argument that the catalogue does not call a sink is limited all the same; a cap makes it an amount.
    let kind = if has_caps { SinkKind::Amount } else { SinkKind::Other };
    let plain = SinkSpec { name: limits.sink.clone(), kind };
    let spec = tool.and_then(|t| t.sink(&limits.sink)).unwrap_or(&plain);
    let values = spec.values(&access.arguments)?;
    if !limits.values.is_empty() {
        let listed =
            |v: &String| limits.values.iter().any(|l| spelling::key(spec.kind, l) == spelling::key(spec.kind, v));
        let beyond = values.iter().filter(|v| !listed(v));
        breaches.extend(beyond.map(|v| Breach::SinkValue { sink: limits.sink.clone(), value: v.clone() }));
    }
    if !has_caps {
        return Ok(());
    }
    let not_an_amount = || SinkError::NotAnAmount { name: limits.sink.clone() };
    let mut sum = Decimal::ZERO;
    for value in &values {
        let amount: Decimal = value.parse().map_err(|_| not_an_amount())?;
        if amount.is_negative() {
            breaches.push(Breach::Amount { sink: limits.sink.clone(), asked: amount, left: Decimal::ZERO });
        }
        sum = sum.checked_add(amount).ok_or_else(not_an_amount)?;
    }
    if values.is_empty() {
        return Ok(());
    }
    if let Some(max) = limits.per_call_max
        && sum > max
    {
        breaches.push(Breach::Amount { sink: limits.sink.clone(), asked: sum, left: max });
    }
    if let Some(max) = limits.total_max {
        let used = usage.total_of(&access.tool, &limits.sink);
        let left = used.and_then(|u| max.checked_sub(u)).unwrap_or(Decimal::ZERO);
        if sum > left {
            breaches.push(Breach::Amount { sink: limits.sink.clone(), asked: sum, left });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
