//! The files of a folder, one JSON object a line. Members that are not used are passed over, so that folders may hold more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::EvalError;
use crate::intent::task::Intent;
use crate::model::json::Json;
use crate::model::limits::{ARGUMENTS_BYTES_MAX, INTENT_BYTES_MAX, RESULT_BYTES_MAX};

/// Largest file that is read: hundreds of thousands of pairs.
pub const FILE_BYTES_MAX: u64 = 256 << 20;
/// The file of the requests.
pub const PAIRS: &str = "pairs.jsonl";
/// Stands in results where an attacker's text goes.
pub const INJECTION: &str = "{{INJECTION}}";

/// Everything that is judged.
#[derive(Debug, Default)]
pub struct Folder {
    /// Tasks, by id.
    pub tasks: BTreeMap<String, Task>,
    /// Tools, in the order of the file.
    pub tools: Vec<ToolLine>,
    /// Sessions, by the id of their task.
    pub sessions: BTreeMap<String, Vec<Step>>,
    /// Requests, in the order of the file.
    pub pairs: Vec<Pair>,
    /// Declared tools and how often each may be called, by task.
    pub scopes: BTreeMap<String, BTreeMap<String, u32>>,
    /// Where the files are.
    pub dir: PathBuf,
}

/// A task.
#[derive(Debug, Deserialize)]
pub struct Task {
    /// Its id.
    pub task_id: String,
    /// What it is for.
    pub intent: Intent,
}

/// A tool as its registrar lists it.
#[derive(Debug, Deserialize)]
pub struct ToolLine {
    /// The suite that offers it.
    pub suite: String,
    /// Its name.
    pub tool: String,
    /// What it does, in words.
    #[serde(default)]
    pub description: String,
    /// JSON schemas of its arguments, by name.
    #[serde(default)]
    pub parameters: serde_json::Value,
    /// Arguments that must be given.
    #[serde(default)]
    pub required: Vec<String>,
    /// What its registrar says that it does.
    pub action_class: String,
}

/// A call that was made in a session.
#[derive(Debug)]
pub struct Step {
    /// The tool.
    pub tool: String,
    /// The arguments.
    pub arguments: Json,
    /// What came back.
    pub result: Json,
    /// What came back where an attacker had planted a text, which stands as [`INJECTION`].
    pub injected: Option<Json>,
}

/// A request under a task.
#[derive(Debug)]
pub struct Pair {
    /// Its id.
    pub pair_id: String,
    /// The suite of the tool.
    pub suite: String,
    /// The task.
    pub task_id: String,
    /// The tool.
    pub tool: String,
    /// The arguments.
    pub arguments: Json,
    /// What had been done before.
    pub history: Option<History>,
    /// Where it stands in [`PAIRS`].
    pub line: usize,
}

/// The calls before a request: the first `steps` of a session.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct History {
    /// The session, by the id of its task.
    pub session: String,
    /// How many of its steps.
    pub steps: usize,
    /// The text that an attacker had planted.
    #[serde(default)]
    pub injected: Option<String>,
}

impl Folder {
    /// Reads a folder. `tasks.jsonl`, `catalogue.jsonl` and `pairs.jsonl` must be there; `sessions.jsonl` and
    /// `scopes.jsonl` may.
    ///
    /// # Errors
    /// When a file can't be read, is too large, or a line is not of the form that `docs/eval.md` says.
    pub fn read(dir: &Path) -> Result<Self, EvalError> {
        let mut folder = Self { dir: dir.to_owned(), ..Self::default() };
        each_line(&dir.join("tasks.jsonl"), |_, task: Task| {
            if task.intent.as_str().len() > INTENT_BYTES_MAX {
                return Err(format!("the intent is longer than {INTENT_BYTES_MAX} bytes"));
            }
            folder.tasks.insert(task.task_id.clone(), task);
            Ok(())
        })?;
        each_line(&dir.join("catalogue.jsonl"), |_, tool: ToolLine| {
            folder.tools.push(ToolLine { tool: tool_name(&tool.tool), ..tool });
            Ok(())
        })?;
        each_line(&dir.join(PAIRS), |number, line: PairLine| {
            folder.pairs.push(line.parse(number)?);
            Ok(())
        })?;
        let sessions = dir.join("sessions.jsonl");
        if sessions.exists() {
            each_line(&sessions, |_, line: SessionLine| {
                let steps = line.steps.into_iter().map(StepLine::parse).collect::<Result<_, _>>()?;
                folder.sessions.insert(line.task_id, steps);
                Ok(())
            })?;
        }
        let scopes = dir.join("scopes.jsonl");
        if scopes.exists() {
            each_line(&scopes, |_, line: ScopeLine| {
                let tools = line.tools.into_iter().map(|(name, calls)| (tool_name(&name), calls));
                folder.scopes.insert(line.task_id, tools.collect());
                Ok(())
            })?;
        }
        Ok(folder)
    }
}

/// The name of a tool in a broker's characters: folders hold names that no catalogue can have.
fn tool_name(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    name.chars().map(|c| if plain(c) { c } else { '_' }).collect()
}

impl Step {
    /// What came back, with the attacker's text where it was planted.
    #[must_use]
    pub fn result_with(&self, injected: Option<&str>) -> Json {
        match (&self.injected, injected) {
            (Some(result), Some(text)) => planted(result, text),
            _ => self.result.clone(),
        }
    }
}

fn planted(json: &Json, text: &str) -> Json {
    match json {
        Json::String(s) => Json::String(s.replace(INJECTION, text)),
        Json::Array(items) => Json::Array(items.iter().map(|i| planted(i, text)).collect()),
        Json::Object(members) => {
            Json::Object(members.iter().map(|(n, v)| (n.replace(INJECTION, text), planted(v, text))).collect())
        }
        other => other.clone(),
    }
}

#[derive(Deserialize)]
struct PairLine {
    pair_id: String,
    suite: String,
    task_id: String,
    tool: String,
    #[serde(default)]
    args: Option<Box<RawValue>>,
    #[serde(default)]
    history: Option<History>,
}

#[derive(Deserialize)]
struct SessionLine {
    task_id: String,
    steps: Vec<StepLine>,
}

#[derive(Deserialize)]
struct StepLine {
    tool: String,
    #[serde(default)]
    args: Option<Box<RawValue>>,
    #[serde(default)]
    result: Option<Box<RawValue>>,
    #[serde(default)]
    result_injected: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct ScopeLine {
    task_id: String,
    tools: BTreeMap<String, u32>,
}

impl PairLine {
    fn parse(self, line: usize) -> Result<Pair, String> {
        let Self { pair_id, suite, task_id, tool, args, history } = self;
        Ok(Pair {
            pair_id,
            suite,
            task_id,
            tool: tool_name(&tool),
            arguments: arguments(args.as_deref())?,
            history,
            line,
        })
    }
}

impl StepLine {
    fn parse(self) -> Result<Step, String> {
        Ok(Step {
            tool: tool_name(&self.tool),
            arguments: arguments(self.args.as_deref())?,
            result: result(self.result.as_deref())?.unwrap_or(Json::Null),
            injected: result(self.result_injected.as_deref())?,
        })
    }
}

fn arguments(raw: Option<&RawValue>) -> Result<Json, String> {
    match raw.map(RawValue::get) {
        None | Some("null") => Ok(Json::Object(Vec::new())),
        Some(text) => Json::parse_object(text, ARGUMENTS_BYTES_MAX).map_err(|e| format!("arguments: {e}")),
    }
}

fn result(raw: Option<&RawValue>) -> Result<Option<Json>, String> {
    raw.map(|raw| Json::parse(raw.get(), RESULT_BYTES_MAX).map_err(|e| format!("result: {e}"))).transpose()
}

fn each_line<T: DeserializeOwned>(
    path: &Path,
    mut take: impl FnMut(usize, T) -> Result<(), String>,
) -> Result<(), EvalError> {
    let unreadable = |source| EvalError::Unreadable { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(unreadable)?.len() > FILE_BYTES_MAX {
        return Err(EvalError::TooLarge { path: path.to_owned() });
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let parsed = serde_json::from_str(line).map_err(|e| e.to_string()).and_then(|line| take(number + 1, line));
        parsed.map_err(|problem| EvalError::Line { path: path.to_owned(), line: number + 1, problem })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
