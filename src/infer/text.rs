//! The inferred tools as `catalogue.toml`, so that a policy bundle can be loaded with them: by an evaluation, and by a broker
//! that is to judge the same calls.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::sensitive;
use crate::catalogue::tool::{Catalogue, OutsiderFields, Tool};
use crate::model::sink::SinkKind;

/// The text of `catalogue.toml` for these tools. Conflicts and digests are not inferred and so not written.
///
/// # Errors
/// When a value can't be written as TOML.
pub fn catalogue_toml(catalogue: &Catalogue) -> Result<String, toml::ser::Error> {
    // Policies may speak of every class that could have been inferred.
    let mut data_classes: BTreeMap<&str, &str> = sensitive::names().map(|class| (class, "sensitive")).collect();
    let mut tools = BTreeMap::new();
    for tool in catalogue.tools() {
        let sensitive: BTreeSet<&str> = tool.sensitive.iter().map(|c| c.as_str()).collect();
        for class in &tool.data_classes {
            let kind = if sensitive.contains(class.as_str()) { "sensitive" } else { "ordinary" };
            data_classes.insert(class.as_str(), kind);
        }
        tools.insert(tool.name.as_str(), ToolText::of(tool));
    }
    toml::to_string(&CatalogueText { data_classes, tools })
}

#[derive(Serialize)]
struct CatalogueText<'a> {
    data_classes: BTreeMap<&'a str, &'a str>,
    tools: BTreeMap<&'a str, ToolText<'a>>,
}

#[derive(Serialize)]
struct ToolText<'a> {
    description: &'a str,
    effect: &'a str,
    privilege: u8,
    data_classes: Vec<&'a str>,
    owner: Option<&'a str>,
    audience: Option<&'a str>,
    actions: &'a [String],
    outsider_fields: OutsiderText<'a>,
    calls_max: Option<u32>,
    sinks: BTreeMap<&'a str, SinkKind>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum OutsiderText<'a> {
    Word(&'a str),
    Paths(&'a [String]),
}

impl<'a> ToolText<'a> {
    fn of(tool: &'a Tool) -> Self {
        Self {
            description: &tool.description,
            effect: tool.effect.as_str(),
            privilege: tool.privilege,
            data_classes: tool.data_classes.iter().map(|c| c.as_str()).collect(),
            owner: tool.owner.as_ref().map(|o| o.as_str()),
            audience: tool.audience.as_ref().map(|a| a.as_str()),
            actions: &tool.actions,
            outsider_fields: match &tool.outsider_fields {
                OutsiderFields::None => OutsiderText::Word("none"),
                OutsiderFields::All => OutsiderText::Word("all"),
                OutsiderFields::Paths(paths) => OutsiderText::Paths(paths),
            },
            calls_max: tool.calls_max,
            sinks: tool.sinks.iter().map(|s| (s.name.as_str(), s.kind)).collect(),
        }
    }
}
