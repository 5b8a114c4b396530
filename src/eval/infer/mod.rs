//! A catalogue from what registrars list: names, descriptions and JSON schemas of arguments.

// Rules, the same for every tool; none knows a tool by name:
// * **effect**, from the declared class: `read`, `write`, `delete` as they are; `move_data` is `send`, `spend_money` is
//   `spend`, `admin` is `administer`. Anything else, `unknown` too, is `execute`: what nobody could class may do anything.
// * **owner** and **audience**: the suite. **actions**: the default one.
// * **privilege**, **sinks**, **outsider fields**: by the rules of `infer`, so that a table of weights means the same everywhere.
//   Of tools that write, send, spend or administer outsiders write nothing: what they return is what was done. Of what nobody
//   could class, everything is theirs.
// * **sensitive classes**: from the words of the name: money, health, credentials, persons, traces of what someone did.

use std::collections::BTreeMap;

use super::EvalError;
use super::folder::{Folder, ToolLine};
use crate::catalogue::tool::{ACTION_DEFAULT, Catalogue, OutsiderFields, Tool};
use crate::infer::{outsiders, privilege, sensitive, sinks};
use crate::intent::words::name_words;
use crate::model::access::Effect;
use crate::model::id::{DataClass, ToolName};

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

#[cfg(test)]
mod tests;
