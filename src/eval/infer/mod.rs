//! A catalogue from what registrars list: names, descriptions and JSON schemas of arguments.

// Rules, the same for every tool; none knows a tool by name:
// * **effect**, from the declared class: `read`, `write`, `delete` as they are; `move_data` is `send`, `spend_money` is
//   `spend`, `admin` is `administer`. Anything else, `unknown` too, is `execute`: what nobody could class may do anything.
// * **owner** and **audience**: the suite. **actions**: the default one.
// * **privilege**: by effect (see [`privilege`]), so that a table of weights means the same everywhere.
// * **sinks**: [`sinks`].
// * **outsider fields**: [`outsiders`]. Of tools that write, send, spend or administer there are none: what they return is
//   what was done. Of what nobody could class, everything is.
// * **sensitive classes**: from the words of the name: money, health, credentials, persons, traces of what someone did.

use std::collections::BTreeMap;

use super::EvalError;
use super::folder::{Folder, ToolLine};
use crate::catalogue::tool::{ACTION_DEFAULT, Catalogue, OutsiderFields, Tool};
use crate::intent::words::name_words;
use crate::model::access::Effect;
use crate::model::id::{DataClass, ToolName};

pub mod outsiders;
pub mod sensitive;
pub mod sinks;
pub mod text;

/// The tools of each suite.
///
/// # Errors
/// When a name is no tool's name, or the tools of a suite make no catalogue.
pub fn catalogues(folder: &Folder) -> Result<BTreeMap<String, Catalogue>, EvalError> {
    let mut by_suite: BTreeMap<String, Vec<Tool>> = BTreeMap::new();
    for line in &folder.tools {
        by_suite.entry(line.suite.clone()).or_default().push(tool(line)?);
    }
    by_suite
        .into_iter()
        .map(|(suite, tools)| match Catalogue::from_tools(tools) {
            Ok(catalogue) => Ok((suite, catalogue)),
            Err(e) => Err(EvalError::Catalogue { suite, problem: e.problems().join("; ") }),
        })
        .collect()
}

/// The tool that a line describes.
///
/// # Errors
/// When its name is no tool's name, or its suite no owner's.
pub fn tool(line: &ToolLine) -> Result<Tool, EvalError> {
    let broken = |problem: String| EvalError::Catalogue { suite: line.suite.clone(), problem };
    let name: ToolName = line.tool.parse().map_err(|e| broken(format!("`{}`: {e}", line.tool)))?;
    let owner = line.suite.parse().map_err(|e| broken(format!("owner `{}`: {e}", line.suite)))?;
    let audience = line.suite.parse().map_err(|e| broken(format!("audience `{}`: {e}", line.suite)))?;
    let effect = effect(&line.action_class);
    let words = name_words(&line.tool);
    let description = name_words(&line.description);
    let sinks = sinks::of(&words, effect, &line.parameters, &line.required);
    let outsider_fields = match effect {
        Effect::Read => outsiders::of(&words, &description, &sinks),
        // What nobody could class may read anything.
        Effect::Execute => OutsiderFields::All,
        _ => OutsiderFields::None,
    };
    let sensitive: Vec<DataClass> = sensitive::of(&words).into_iter().filter_map(|c| c.parse().ok()).collect();
    Ok(Tool {
        name,
        description: line.description.chars().take(DESCRIPTION_CHARS_MAX).collect(),
        effect,
        privilege: privilege(effect, !sensitive.is_empty()),
        data_classes: sensitive.clone(),
        sensitive,
        owner: Some(owner),
        audience: Some(audience),
        actions: vec![ACTION_DEFAULT.to_owned()],
        sinks,
        outsider_fields,
        conflicts: Vec::new(),
        calls_max: effect.is_effectful().then_some(1),
        definition_digest: None,
    })
}

/// Characters of a description that are kept: enough to say what a tool is for.
const DESCRIPTION_CHARS_MAX: usize = 500;

fn effect(action_class: &str) -> Effect {
    match action_class {
        "read" => Effect::Read,
        "write" => Effect::Write,
        "delete" => Effect::Delete,
        "move_data" => Effect::Send,
        "spend_money" => Effect::Spend,
        "admin" => Effect::Administer,
        _ => Effect::Execute,
    }
}

/// How much harm a tool can do, 0 to 100, by what can be undone: a read of ordinary data 10, of sensitive data 30; a change 30;
/// what was sent can't be taken back, 50; what was deleted or paid neither, nor what was done with rights or by running
/// something, 60. Nothing reaches 70: a folder says nothing of who verified the initiator, which such tools would turn on.
#[must_use]
pub const fn privilege(effect: Effect, sensitive: bool) -> u8 {
    match effect {
        Effect::Read if sensitive => 30,
        Effect::Read => 10,
        Effect::Write => 30,
        Effect::Send => 50,
        Effect::Delete | Effect::Spend | Effect::Administer | Effect::Execute => 60,
    }
}

#[cfg(test)]
mod tests;
