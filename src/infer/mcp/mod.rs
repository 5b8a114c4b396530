//! A server's own listing of its tools, the answer to MCP's `tools/list` (2025-06-18), on its way into a catalogue. The server is
//! not trusted: what it hints may make an entry stricter and never milder, what it hides is told, and nobody owns what it lists.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::model::id::ToolName;
use crate::model::json::{Json, ParseJsonError};
use crate::model::sink::alike;

mod canonical;
pub mod compare;
pub mod entry;
pub mod propose;
mod schema;

/// Longest listing, in bytes: a thousand tools with long schemas.
pub const LISTING_BYTES_MAX: usize = 8 << 20;
/// Most tools of one listing: more than any person reads, and than any model is shown.
pub const LISTED_TOOLS_MAX: usize = 1024;
/// Longest definition of one tool, in bytes.
pub const DEFINITION_BYTES_MAX: usize = 256 << 10;
/// Most places of hidden characters that are told of one tool.
const HIDDEN_PLACES_MAX: usize = 8;

/// Why a listing cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    /// Longer than [`LISTING_BYTES_MAX`].
    #[error("the listing is longer than {LISTING_BYTES_MAX} bytes")]
    TooLong,
    /// It is no JSON, or not of the form that MCP says.
    #[error("no answer to `tools/list`")]
    Malformed(#[source] serde_json::Error),
    /// It is JSON and holds no list of tools.
    #[error("no answer to `tools/list`: neither an array, nor an object with `tools` or `result.tools`")]
    NoTools,
    /// The server answered with an error.
    #[error("the server answered with an error: {0}")]
    Refused(String),
    /// More than [`LISTED_TOOLS_MAX`] tools.
    #[error("more than {LISTED_TOOLS_MAX} tools")]
    TooMany,
    /// A tool is not of the form that MCP says.
    #[error("tool {number}{}: {problem}", named(.name))]
    Tool {
        /// Which, from 1.
        number: usize,
        /// Its name, where it has one.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Two tools have one name.
    #[error("tool {number} has the name `{name}` of tool {first}")]
    Twice {
        /// The later one, from 1.
        number: usize,
        /// The earlier one.
        first: usize,
        /// The name.
        name: ToolName,
    },
    /// Two names can be taken for each other.
    #[error("tool {number}, `{}`, can be taken for `{}`, tool {first}", .name.as_str().escape_debug(), .other.as_str().escape_debug())]
    LookAlike {
        /// The later one, from 1.
        number: usize,
        /// The earlier one.
        first: usize,
        /// Its name.
        name: ToolName,
        /// The name of the earlier one.
        other: ToolName,
    },
}

fn named(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" (`{}`)", name.escape_debug()) }
}

/// A listing.
#[derive(Debug)]
pub struct Listing {
    /// The tools, in their order.
    pub tools: Vec<ListedTool>,
    /// True when the server has more pages, which are not here.
    pub has_more: bool,
}

/// A tool as its server defines it.
#[derive(Debug)]
pub struct ListedTool {
    /// Its name.
    pub name: ToolName,
    /// Its title for eyes; empty when it has none.
    pub title: String,
    /// What it does, in the server's words; empty when there are none.
    pub description: String,
    /// The schema of its arguments.
    pub input_schema: Value,
    /// What the server hints.
    pub hints: Hints,
    /// SHA-256 of the definition in its canonical form: RFC 8785 of the tool as it is listed, without `_meta`. Hexadecimal.
    pub definition_digest: String,
    /// Where the definition holds characters that a person does not see and a model reads.
    pub hidden: Vec<String>,
}

/// MCP's `annotations`. By the specification they are hints, and not to be relied on unless the server is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hints {
    /// `readOnlyHint`
    pub read_only: Option<bool>,
    /// `destructiveHint`
    pub destructive: Option<bool>,
    /// `idempotentHint`
    pub idempotent: Option<bool>,
    /// `openWorldHint`
    pub open_world: Option<bool>,
}

impl Hints {
    /// Those that were given, by their names.
    #[must_use]
    pub fn given(self) -> Vec<(&'static str, bool)> {
        let all = [
            ("readOnlyHint", self.read_only),
            ("destructiveHint", self.destructive),
            ("idempotentHint", self.idempotent),
            ("openWorldHint", self.open_world),
        ];
        all.into_iter().filter_map(|(name, hint)| Some((name, hint?))).collect()
    }
}

/// An answer of JSON-RPC, or its result alone.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Option<Vec<&'a RawValue>>,
    #[serde(borrow, rename = "nextCursor")]
    next_cursor: Option<&'a RawValue>,
}

/// Reads a listing: the whole answer of JSON-RPC, its `result`, or the array of tools alone.
///
/// # Errors
/// When it is not of that form, above a limit, or names a tool twice or so that it can be taken for another.
pub fn read(text: &str) -> Result<Listing, ListingError> {
    if text.len() > LISTING_BYTES_MAX {
        return Err(ListingError::TooLong);
    }
    let (raw, has_more) = if text.trim_start().starts_with('[') {
        (serde_json::from_str::<Vec<&RawValue>>(text).map_err(ListingError::Malformed)?, false)
    } else {
        let mut answer: Answer<'_> = serde_json::from_str(text).map_err(ListingError::Malformed)?;
        if let Some(error) = answer.error {
            return Err(ListingError::Refused(error.get().chars().take(ERROR_CHARS_MAX).collect()));
        }
        if let Some(result) = answer.result {
            answer = serde_json::from_str(result.get()).map_err(ListingError::Malformed)?;
        }
        let has_more = answer.next_cursor.is_some_and(|cursor| !matches!(cursor.get(), "null" | "\"\""));
        (answer.tools.ok_or(ListingError::NoTools)?, has_more)
    };
    if raw.len() > LISTED_TOOLS_MAX {
        return Err(ListingError::TooMany);
    }
    let mut tools: Vec<ListedTool> = Vec::new();
    for (at, raw) in raw.into_iter().enumerate() {
        let number = at + 1;
        let tool = tool(raw.get()).map_err(|(name, problem)| ListingError::Tool { number, name, problem })?;
        for (before, other) in tools.iter().enumerate() {
            let first = before + 1;
            if other.name == tool.name {
                return Err(ListingError::Twice { number, first, name: tool.name });
            }
            if alike::are(other.name.as_str(), tool.name.as_str()) {
                return Err(ListingError::LookAlike { number, first, name: tool.name, other: other.name.clone() });
            }
        }
        tools.push(tool);
    }
    Ok(Listing { tools, has_more })
}

/// Characters of a server's error that are told.
const ERROR_CHARS_MAX: usize = 300;

/// The tool; or its name, where it has one, and what is wrong with it.
fn tool(text: &str) -> Result<ListedTool, (String, String)> {
    let unnamed = |problem: String| (String::new(), problem);
    let json = Json::parse(text, DEFINITION_BYTES_MAX).map_err(|error| unnamed(in_words(&error)))?;
    let name = string(&json, "name").map_err(unnamed)?.ok_or_else(|| unnamed("`name` is missing".to_owned()))?;
    let broken = |problem: String| (name.clone(), problem);
    let parsed: ToolName = name.parse().map_err(|error| broken(format!("`name`: {error}")))?;
    let object = |member: &str| match json.member(member) {
        None => Ok(None),
        Some(object @ Json::Object(_)) => Ok(Some(object)),
        Some(_) => Err(broken(format!("`{member}` is no object"))),
    };
    let schema = object("inputSchema")?.ok_or_else(|| broken("`inputSchema` is missing".to_owned()))?;
    object("outputSchema")?;
    // What was parsed once is bounded, and parses again.
    let input_schema = serde_json::from_str(&schema.to_text()).map_err(|error| broken(error.to_string()))?;
    let hints = object("annotations")?.map_or(Ok(Hints::default()), hints).map_err(broken)?;
    let mut hidden = Vec::new();
    find_hidden(&json, "", &mut hidden);
    hidden.truncate(HIDDEN_PLACES_MAX);
    Ok(ListedTool {
        title: string(&json, "title").map_err(broken)?.unwrap_or_default(),
        description: string(&json, "description").map_err(broken)?.unwrap_or_default(),
        definition_digest: canonical::digest(&json).map_err(broken)?,
        name: parsed,
        input_schema,
        hints,
        hidden,
    })
}

fn in_words(error: &ParseJsonError) -> String {
    match error {
        ParseJsonError::Syntax(cause) => format!("{error}: {cause}"),
        other => other.to_string(),
    }
}

fn string(json: &Json, member: &str) -> Result<Option<String>, String> {
    match (json, json.member(member)) {
        (Json::Object(_), None) => Ok(None),
        (_, Some(Json::String(text))) => Ok(Some(text.clone())),
        (Json::Object(_), Some(_)) => Err(format!("`{member}` is no string")),
        _ => Err("it is no object".to_owned()),
    }
}

fn hints(annotations: &Json) -> Result<Hints, String> {
    let hint = |name: &str| match annotations.member(name) {
        None => Ok(None),
        Some(Json::Bool(hint)) => Ok(Some(*hint)),
        Some(_) => Err(format!("`annotations.{name}` is neither true nor false")),
    };
    Ok(Hints {
        read_only: hint("readOnlyHint")?,
        destructive: hint("destructiveHint")?,
        idempotent: hint("idempotentHint")?,
        open_world: hint("openWorldHint")?,
    })
}

/// The places of characters that are not seen: in values, and in names of members.
fn find_hidden(json: &Json, path: &str, out: &mut Vec<String>) {
    if out.len() >= HIDDEN_PLACES_MAX {
        return;
    }
    match json {
        Json::String(text) if text.chars().any(is_hidden) => out.push(path.to_owned()),
        Json::Array(items) => items.iter().for_each(|item| find_hidden(item, path, out)),
        Json::Object(members) => {
            for (name, value) in members {
                let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                if name.chars().any(is_hidden) {
                    out.push(at.escape_debug().to_string());
                }
                find_hidden(value, &at, out);
            }
        }
        _ => {}
    }
}

/// True for characters that take no room, or turn the order of others round: a person reads past them, a model does not.
pub(in crate::infer) fn is_hidden(c: char) -> bool {
    let is_layout = matches!(c, '\n' | '\r' | '\t');
    c.is_control() && !is_layout
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests;
