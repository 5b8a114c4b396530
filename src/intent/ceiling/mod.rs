//! How an access stands to the ceilings that hold for it: its task's own, and those of the tasks above.

use crate::catalogue::tool::{Catalogue, Tool};
use crate::model::access::Access;
use crate::model::ceiling::{Breach, Ceiling, CeilingFit, SinkCeiling, ToolCeiling};
use crate::model::decimal::Decimal;
use crate::model::id::DataClass;
use crate::model::pattern::{Pattern as _, Read, SinkPattern};
use crate::model::sink::{SinkError, SinkKind, SinkSpec};

use super::spelling;
use super::usage::Usage;

/// How an access stands to `bounds`, the ceilings that hold: all of them have to. `declared` says whether one of them counts
/// as declared; when none does, what keeps to them is [`CeilingFit::Undeclared`]. `calls_before` are the uses that count
/// against call budgets, `usage` holds the totals of amounts, and the catalogue the sets of accounts.
///
/// # Errors
/// When a sink of the access holds no amount where one is due, or too much.
pub fn fit(
    access: &Access,
    tool: Option<&Tool>,
    (bounds, catalogue): (&[&Ceiling], &Catalogue),
    declared: bool,
    usage: &Usage,
    calls_before: u32,
) -> Result<CeilingFit, SinkError> {
    let mut breaches = Vec::new();
    for ceiling in bounds {
        of_classes(access, tool, &ceiling.data_classes, &mut breaches);
        match ceiling.tool(&access.tool) {
            None => breaches.push(Breach::Tool),
            Some(limits) => of_tool(access, (tool, catalogue), limits, usage, calls_before, &mut breaches)?,
        }
    }
    let mut distinct: Vec<Breach> = Vec::new();
    for breach in breaches {
        if !distinct.contains(&breach) {
            distinct.push(breach);
        }
    }
    Ok(match (distinct.is_empty(), declared) {
        (false, _) => CeilingFit::Outside { breaches: distinct },
        (true, true) => CeilingFit::Within,
        (true, false) => CeilingFit::Undeclared,
    })
}

/// True when a sink's limits name that value, by itself or by a pattern. Who is in a set of accounts says the catalogue; without one
/// nobody is.
pub(super) fn names(limits: &SinkCeiling, kind: SinkKind, value: &str, catalogue: Option<&Catalogue>) -> bool {
    let read = Read::of(value);
    lists(limits, kind, value)
        || limits.patterns.iter().any(|pattern| match pattern {
            SinkPattern::AccountSet(set) => catalogue.is_some_and(|known| known.set_has(set, kind, value)),
            pattern => pattern.holds(&read),
        })
}

/// True when they name it by itself.
pub(super) fn lists(limits: &SinkCeiling, kind: SinkKind, value: &str) -> bool {
    let own = spelling::key(kind, value);
    limits.values.iter().any(|listed| spelling::key(kind, listed) == own)
}

fn of_classes(access: &Access, tool: Option<&Tool>, allowed: &[DataClass], breaches: &mut Vec<Breach>) {
    if allowed.is_empty() {
        return;
    }
    let touched = tool.into_iter().flat_map(|tool| &tool.data_classes).chain(&access.data_classes);
    let beyond = touched.filter(|class| !allowed.contains(class));
    breaches.extend(beyond.map(|class| Breach::DataClass { class: class.clone() }));
}

fn of_tool(
    access: &Access,
    (tool, catalogue): (Option<&Tool>, &Catalogue),
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
    if limits.limits_resources() {
        let in_one = |read: &Read<'_>| limits.resource_patterns.iter().any(|p| p.holds(read));
        let allowed = |r: &String| limits.resources.contains(r) || in_one(&Read::of(r));
        let beyond = access.resources.iter().filter(|r| !allowed(r));
        breaches.extend(beyond.map(|r| Breach::Resource { resource: r.clone() }));
        if access.resources.is_empty() {
            breaches.push(Breach::AnyResource);
        }
    }
    for sink in &limits.sinks {
        of_sink(access, (tool, catalogue), sink, usage, breaches)?;
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
    (tool, catalogue): (Option<&Tool>, &Catalogue),
    limits: &SinkCeiling,
    usage: &Usage,
    breaches: &mut Vec<Breach>,
) -> Result<(), SinkError> {
    let has_caps = limits.per_call_max.is_some() || limits.total_max.is_some();
    // An argument that the catalogue does not call a sink is limited all the same; a cap makes it an amount.
    let plain = SinkSpec { name: limits.sink.clone(), kind: SinkKind::Other };
    let known = tool.and_then(|t| t.sink(&limits.sink));
    let kind = known.map_or(if has_caps { SinkKind::Amount } else { SinkKind::Other }, |sink| sink.kind);
    let values = known.unwrap_or(&plain).values(&access.arguments)?;
    if limits.limits_values() {
        let beyond = values.iter().filter(|v| !names(limits, kind, v, Some(catalogue)));
        breaches.extend(beyond.map(|v| Breach::SinkValue { sink: limits.sink.clone(), value: v.clone() }));
    }
    if !has_caps {
        return Ok(());
    }
    let not_an_amount = || SinkError::NotAnAmount { name: limits.sink.clone() };
    let mut sum = Decimal::ZERO;
    for value in &values {
        // Of a text nothing is known but that it keeps to no cap. Where the catalogue calls it an amount it was refused above: that
        // call is malformed, and whoever makes it can mend it.
        let Ok(amount) = value.trim_ascii().parse::<Decimal>() else {
            breaches.push(Breach::SinkValue { sink: limits.sink.clone(), value: value.clone() });
            return Ok(());
        };
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
        // Only amounts of the catalogue are added up: of others nothing is known to be left.
        let counted = tool.and_then(|t| t.sink(&limits.sink)).is_some_and(|s| s.kind == SinkKind::Amount);
        let fits = if counted { usage.fits(&access.tool, &limits.sink, sum, max) } else { Err(Decimal::ZERO) };
        if let Err(left) = fits {
            breaches.push(Breach::Amount { sink: limits.sink.clone(), asked: sum, left });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
