//! Accesses and ceilings.

use std::collections::HashSet;
use std::hash::Hash;
use std::str::FromStr;

use crate::broker::error::BrokerError;
use crate::grpc::codec::field;
use crate::model::access::Access;
use crate::model::ceiling::{Ceiling, SinkCeiling, ToolCeiling};
use crate::model::id::DataClass;
use crate::model::json::Json;
use crate::model::limits::{
    ACCESS_ENTRIES_MAX, ACCESS_LIST_MAX, ARGUMENTS_BYTES_MAX, CEILING_PATTERNS_MAX, CEILING_TOOLS_MAX,
    CEILING_VALUES_MAX, NAME_BYTES_MAX, REFERENCE_BYTES_MAX, SINK_VALUE_BYTES_MAX, SINK_VALUES_MAX,
};
use crate::model::pattern::{Pattern as _, PatternError, ResourcePattern, SinkPattern, is_unseen_in, looks_like_one};
use crate::pb::v1;

/// What one request asks for: at least one entry.
pub(in crate::grpc) fn accesses(list: Vec<v1::Access>) -> Result<Vec<Access>, BrokerError> {
    if list.is_empty() {
        return Err(BrokerError::invalid("access", "empty"));
    }
    field::counted("access", list.len(), ACCESS_ENTRIES_MAX)?;
    list.into_iter().map(access).collect()
}

fn access(access: v1::Access) -> Result<Access, BrokerError> {
    let arguments = Json::parse_object(&access.arguments_json, ARGUMENTS_BYTES_MAX);
    Ok(Access {
        tool: field::id("access.tool", &access.tool)?,
        actions: field::lines("access.actions", access.actions, ACCESS_LIST_MAX, NAME_BYTES_MAX)?,
        resources: field::lines("access.resources", access.resources, ACCESS_LIST_MAX, REFERENCE_BYTES_MAX)?,
        arguments: field::json("access.arguments_json", arguments)?,
        data_classes: field::ids::<DataClass>("access.data_classes", &access.data_classes, ACCESS_LIST_MAX)?,
    })
}

/// An access as it is shown again.
pub(in crate::grpc) fn access_shown(access: Access) -> v1::Access {
    v1::Access {
        tool: access.tool.to_string(),
        actions: access.actions,
        resources: access.resources,
        arguments_json: access.arguments.to_text(),
        data_classes: access.data_classes.iter().map(ToString::to_string).collect(),
    }
}

/// The most that any grant of a task may cover.
pub(in crate::grpc) fn ceiling(ceiling: v1::Ceiling) -> Result<Ceiling, BrokerError> {
    field::counted("ceiling.tools", ceiling.tools.len(), CEILING_TOOLS_MAX)?;
    let ttl_max = field::ttl("ceiling.ttl_max", ceiling.ttl_max)?;
    let tools = ceiling.tools.into_iter().map(tool_ceiling).collect::<Result<Vec<_>, _>>()?;
    distinct("ceiling.tools", tools.iter().map(|t| t.tool.as_str()))?;
    let data_classes: Vec<DataClass> = field::ids("ceiling.data_classes", &ceiling.data_classes, CEILING_VALUES_MAX)?;
    distinct("ceiling.data_classes", data_classes.iter().map(DataClass::as_str))?;
    let of_sinks = tools.iter().flat_map(|tool| &tool.sinks).map(|sink| sink.patterns.len());
    let patterns = of_sinks.chain(tools.iter().map(|tool| tool.resource_patterns.len())).sum();
    field::counted("ceiling.patterns", patterns, CEILING_PATTERNS_MAX)?;
    Ok(Ceiling { tools, ttl_max, data_classes })
}

fn tool_ceiling(tool: v1::ToolCeiling) -> Result<ToolCeiling, BrokerError> {
    field::counted("ceiling.tools.sinks", tool.sinks.len(), SINK_VALUES_MAX)?;
    let sinks = tool.sinks.into_iter().map(sink_ceiling).collect::<Result<Vec<_>, _>>()?;
    distinct("ceiling.tools.sinks", sinks.iter().map(|s| s.sink.as_str()))?;
    let resources = field::lines("ceiling.tools.resources", tool.resources, CEILING_VALUES_MAX, REFERENCE_BYTES_MAX)?;
    // What a request names is compared with these as they stand.
    if resources.iter().any(|resource| resource.contains('*')) {
        let hint = "holds a `*`, and these are compared as they stand: patterns go into `resource_patterns`";
        return Err(BrokerError::invalid("ceiling.tools.resources", hint));
    }
    if resources.iter().any(|resource| is_unseen_in(resource)) {
        return Err(BrokerError::invalid("ceiling.tools.resources", "holds a letter that nobody sees"));
    }
    distinct("ceiling.tools.resources", resources.iter().map(String::as_str))?;
    let patterns = tool.resource_patterns;
    field::counted("ceiling.tools.resource_patterns", patterns.len(), CEILING_VALUES_MAX)?;
    let pattern = |text: String| pattern("ceiling.tools.resource_patterns", &text);
    let resource_patterns: Vec<ResourcePattern> = patterns.into_iter().map(pattern).collect::<Result<_, _>>()?;
    distinct("ceiling.tools.resource_patterns", resource_patterns.iter().map(ToString::to_string))?;
    let actions = field::lines("ceiling.tools.actions", tool.actions, ACCESS_LIST_MAX, NAME_BYTES_MAX)?;
    distinct("ceiling.tools.actions", actions.iter().map(String::as_str))?;
    Ok(ToolCeiling {
        tool: field::id("ceiling.tools.tool", &tool.tool)?,
        actions,
        resources,
        resource_patterns,
        sinks,
        calls_max: tool.calls_max,
    })
}

fn sink_ceiling(sink: v1::SinkCeiling) -> Result<SinkCeiling, BrokerError> {
    let name = field::line("ceiling.tools.sinks.sink", sink.sink, NAME_BYTES_MAX)?;
    if name.is_empty() {
        return Err(BrokerError::invalid("ceiling.tools.sinks.sink", "empty"));
    }
    Ok(SinkCeiling {
        sink: name,
        values: values(sink.values)?,
        patterns: sink_patterns(sink.patterns)?,
        per_call_max: field::amount("ceiling.tools.sinks.per_call_max", &sink.per_call_max)?,
        total_max: field::amount("ceiling.tools.sinks.total_max", &sink.total_max)?,
    })
}

/// Values of a sink may be anything that a call may carry, lines and tabs included.
fn values(values: Vec<String>) -> Result<Vec<String>, BrokerError> {
    const FIELD: &str = "ceiling.tools.sinks.values";
    field::counted(FIELD, values.len(), CEILING_VALUES_MAX)?;
    if values.iter().any(|value| looks_like_one(value)) {
        let hint = "holds what is written like a pattern, and these are compared as they stand: patterns go into `patterns`, \
                    for example {\"domain\": \"*.acme.test\"}";
        return Err(BrokerError::invalid(FIELD, hint));
    }
    distinct(FIELD, values.iter().map(String::as_str))?;
    values.into_iter().map(|value| field::words(FIELD, value, SINK_VALUE_BYTES_MAX)).collect()
}

fn sink_patterns(patterns: Vec<v1::SinkPattern>) -> Result<Vec<SinkPattern>, BrokerError> {
    const FIELD: &str = "ceiling.tools.sinks.patterns";
    use v1::sink_pattern::Pattern;
    field::counted(FIELD, patterns.len(), CEILING_VALUES_MAX)?;
    let one = |given: v1::SinkPattern| match given.pattern {
        Some(Pattern::Domain(text)) => pattern(FIELD, &text).map(SinkPattern::Domain),
        Some(Pattern::Host(text)) => pattern(FIELD, &text).map(SinkPattern::Host),
        Some(Pattern::PathPrefix(text)) => pattern(FIELD, &text).map(SinkPattern::PathPrefix),
        Some(Pattern::AccountSet(text)) => pattern(FIELD, &text).map(SinkPattern::AccountSet),
        None => Err(BrokerError::invalid(FIELD, "holds an empty entry")),
    };
    let patterns: Vec<SinkPattern> = patterns.into_iter().map(one).collect::<Result<_, _>>()?;
    distinct(FIELD, patterns.iter().map(|pattern| (pattern.noun(), pattern.to_string())))?;
    Ok(patterns)
}

fn pattern<T: FromStr<Err = PatternError>>(field: &'static str, text: &str) -> Result<T, BrokerError> {
    text.parse().map_err(|e: PatternError| BrokerError::invalid(field, e.to_string()))
}

/// Refuses what stands twice. Of two limits of one name the strictest would not be the one that counts, and what is listed again is
/// work for nothing.
fn distinct<T: Eq + Hash>(field: &'static str, names: impl Iterator<Item = T>) -> Result<(), BrokerError> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(BrokerError::invalid(field, "names one thing twice"));
        }
    }
    Ok(())
}
