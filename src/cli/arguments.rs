//! Arguments that several commands take: which task, what the agent is made of, ids for the timeline. And what an answer of
//! policy means for the exit code.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::broker::amend_asking::wire_ceiling;
use crate::cli::error::{CliError, Exit};
use crate::cli::given;
use crate::cli::output::paint::{Paint, Tone, tone_of};
use crate::cli::output::{Output, say};
use crate::cli::shown;
use crate::pb::v1;

/// Which task, and the proof of running it.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::cli) struct TaskArgument {
    /// The task.
    #[arg(required_unless_present = "task_file", conflicts_with = "task_file")]
    task: Option<String>,
    /// A file that `task register --save` wrote: the task and its handle.
    #[arg(long, value_name = "FILE")]
    task_file: Option<PathBuf>,
    /// The task's handle, which its agent shows.
    #[arg(long, env = "CARNET_TASK_HANDLE", hide_env_values = true, value_name = "HANDLE")]
    task_handle: Option<String>,
}

/// A task and its handle; the handle may be empty where none is needed.
pub(in crate::cli) struct KnownTask {
    pub(in crate::cli) id: String,
    pub(in crate::cli) handle: Zeroizing<String>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct TaskFile {
    task_id: String,
    task_handle: String,
}

impl TaskArgument {
    /// The task that is meant.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub(in crate::cli) fn known(&self) -> Result<KnownTask, CliError> {
        let shown = self.task_handle.clone();
        match (&self.task, &self.task_file) {
            (Some(id), _) => Ok(KnownTask { id: id.clone(), handle: shown.unwrap_or_default().into() }),
            (None, Some(path)) => {
                let known = read_task(path)?;
                Ok(KnownTask { handle: shown.map_or(known.handle, Into::into), ..known })
            }
            (None, None) => Err(CliError::local("which task?")),
        }
    }
}

/// Reads what [`keep_task`] wrote.
///
/// # Errors
/// When the file cannot be used.
pub(in crate::cli) fn read_task(path: &Path) -> Result<KnownTask, CliError> {
    let text = given::kept_secret(path)?;
    let file: TaskFile = serde_json::from_str(&text).map_err(|_| {
        CliError::local(format!("`{}` holds no task; `task register --save` writes one", path.display()))
    })?;
    Ok(KnownTask { id: file.task_id, handle: file.task_handle.into() })
}

/// Keeps a task and its handle in a file that only its owner may read.
///
/// # Errors
/// When it cannot be written.
pub(in crate::cli) fn keep_task(path: &Path, task: &v1::Task, handle: &str) -> Result<(), CliError> {
    let file = TaskFile { task_id: task.task_id.clone(), task_handle: handle.to_owned() };
    let text = serde_json::to_string(&file).map(Zeroizing::new);
    let text = text.map_err(|error| CliError::because("the task cannot be written down", error))?;
    given::keep_secret(path, &text)?;
    say(&format!("the task and its handle are kept in `{}`", path.display()));
    Ok(())
}

/// What the agent is made of.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Agent profile")]
pub(in crate::cli) struct ProfileArguments {
    /// Name and version of the model.
    #[arg(long, default_value = "")]
    model: String,
    /// Digest of the system prompt.
    #[arg(long, default_value = "", value_name = "DIGEST")]
    prompt_digest: String,
    /// Digest of the corpus that it retrieves from.
    #[arg(long, default_value = "", value_name = "DIGEST")]
    corpus_digest: String,
    /// Digest of the tool definitions that it was shown.
    #[arg(long, default_value = "", value_name = "DIGEST")]
    tools_digest: String,
}

impl ProfileArguments {
    pub(in crate::cli) fn wire(&self) -> v1::AgentProfile {
        v1::AgentProfile {
            model: self.model.clone(),
            prompt_digest: self.prompt_digest.clone(),
            corpus_digest: self.corpus_digest.clone(),
            tools_digest: self.tools_digest.clone(),
        }
    }
}

/// Ids that let one timeline be told later.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Timeline")]
pub(in crate::cli) struct ContextArguments {
    /// Id of the prompt that led to it.
    #[arg(long, default_value = "", value_name = "ID")]
    prompt_id: String,
    /// Id of the model's tool call.
    #[arg(long, default_value = "", value_name = "ID")]
    tool_call_id: String,
    /// W3C `traceparent`.
    #[arg(long, env = "TRACEPARENT", default_value = "", value_name = "TRACE")]
    traceparent: String,
}

impl ContextArguments {
    pub(in crate::cli) fn wire(&self) -> v1::RequestContext {
        v1::RequestContext {
            prompt_id: self.prompt_id.clone(),
            tool_call_id: self.tool_call_id.clone(),
            traceparent: self.traceparent.clone(),
        }
    }
}

/// A ceiling, as JSON of the form that the record keeps, or as a list of tools.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Ceiling")]
pub(in crate::cli) struct CeilingArguments {
    /// The most that any grant may cover, as JSON (docs/ceilings.md): in place, `@file` or `@-`.
    #[arg(long, value_name = "JSON")]
    ceiling: Option<String>,
    /// A tool of the ceiling, with the number of its grants if that is to be limited; may be repeated.
    #[arg(long = "allow", value_name = "TOOL[=CALLS]", conflicts_with = "ceiling")]
    tools: Vec<String>,
}

impl CeilingArguments {
    /// The ceiling; `None` when none is declared.
    ///
    /// # Errors
    /// When it is malformed.
    pub(in crate::cli) fn wire(&self) -> Result<Option<v1::Ceiling>, CliError> {
        if let Some(given) = &self.ceiling {
            let text = given::text(given)?;
            let ceiling: crate::model::ceiling::Ceiling =
                serde_json::from_str(&text).map_err(|error| CliError::because("the ceiling is malformed", error))?;
            return Ok(Some(wire_ceiling(&ceiling)));
        }
        if self.tools.is_empty() {
            return Ok(None);
        }
        let tools = self.tools.iter().map(|text| {
            let (tool, calls) = match text.split_once('=') {
                Some((tool, calls)) => {
                    let calls = calls.parse().map_err(|_| CliError::local(format!("`{text}` is no `TOOL=CALLS`")))?;
                    (tool, Some(calls))
                }
                None => (text.as_str(), None),
            };
            Ok(v1::ToolCeiling { tool: tool.to_owned(), calls_max: calls, ..v1::ToolCeiling::default() })
        });
        Ok(Some(v1::Ceiling { tools: tools.collect::<Result<_, CliError>>()?, ..v1::Ceiling::default() }))
    }
}

/// Says a decision in words on stderr, and how the command ends with it.
pub(in crate::cli) fn settled(decision: &v1::Decision, out: Output) -> Exit {
    let word = shown::outcome(decision.outcome);
    if out.is_table() {
        let paint = Paint::for_stream(std::io::IsTerminal::is_terminal(&std::io::stderr()));
        let reasons: Vec<&str> = decision.reasons.iter().map(|reason| reason.code.as_str()).collect();
        let why = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join(", ")) };
        let why = match decision.approval_id.as_str() {
            "" => why,
            id => format!("{why} ({id})"),
        };
        let why = match decision.observed_only {
            true => format!(", observed only; policy's answer is {}{why}", shown::outcome(decision.would_be)),
            false => why,
        };
        say(&format!("{}{why}", paint.tone(tone_of(word).unwrap_or(Tone::Strong), word)));
    }
    match v1::Outcome::try_from(decision.outcome) {
        Ok(v1::Outcome::Granted | v1::Outcome::Narrowed) => Exit::Done,
        Ok(v1::Outcome::StepUp | v1::Outcome::Review) => Exit::Pending,
        Ok(v1::Outcome::Denied | v1::Outcome::Unspecified) | Err(_) => Exit::Denied,
    }
}

/// The decision inside of an answer.
///
/// # Errors
/// When the broker left it out.
pub(in crate::cli) fn decided(decision: Option<v1::Decision>) -> Result<v1::Decision, CliError> {
    decision.ok_or_else(|| CliError::remote("the broker's answer holds no decision", "it is of another version"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;

    #[test]
    fn a_ceiling_is_taken_with_its_patterns_and_refused_with_what_is_wrong() {
        let given = |json: &str| CeilingArguments { ceiling: Some(json.to_owned()), tools: Vec::new() }.wire();
        let whole = r#"{"data_classes":["internal"],"tools":[{"tool":"mail.send","resource_patterns":["outbox/*"],
            "sinks":[{"sink":"to","patterns":[{"domain":"*.acme.test"},{"account_set":"team"}]}]}]}"#;
        let wire = given(whole).unwrap().unwrap();
        assert_eq!(wire.data_classes, ["internal"]);
        assert_eq!(wire.tools[0].resource_patterns, ["outbox/*"]);
        let patterns: Vec<_> = wire.tools[0].sinks[0].patterns.iter().map(shown::pattern_in_words).collect();
        assert_eq!(patterns, [("domain", "*.acme.test"), ("account_set", "team")]);
        for wrong in [r#"{"domain":"*acme.test"}"#, r#"{"regex":".*"}"#, r#""*.acme.test""#] {
            let json = format!(r#"{{"tools":[{{"tool":"t","sinks":[{{"sink":"to","patterns":[{wrong}]}}]}}]}}"#);
            assert!(given(&json).is_err(), "{wrong}");
        }
    }
}
