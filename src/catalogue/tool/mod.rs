//! The catalogue of tools: what each does, who answers for it, which of its arguments are sinks, and what outsiders can
//! write into its results.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::accounts::AccountSets;
use super::{CatalogueError, Problems};
use crate::model::access::Effect;
use crate::model::glass::names_break_glass;
use crate::model::id::{Audience, DataClass, Owner, ToolName};
use crate::model::limits::{CATALOGUE_TOOLS_MAX, DESCRIPTION_BYTES_MAX, NAME_BYTES_MAX, TOOL_LIST_MAX};
use crate::model::pattern::AccountSet;
use crate::model::sink::{SinkKind, SinkSpec, alike};

/// Longest window of a conflict, in seconds: 30 days, as long as a task may live.
pub const DUTY_WINDOW_SECONDS_MAX: u64 = 30 * 24 * 3600;

/// The action of a tool that names none: an MCP tool call.
pub const ACTION_DEFAULT: &str = "tools/call";

/// Every tool that may be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalogue {
    tools: BTreeMap<ToolName, Tool>,
    ordinary: BTreeSet<DataClass>,
    declared: BTreeSet<DataClass>,
    account_sets: AccountSets,
}

/// One tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// Its name.
    pub name: ToolName,
    /// What it does, in words.
    pub description: String,
    /// What it does to the world.
    pub effect: Effect,
    /// How much harm it can do, 0 to 100.
    pub privilege: u8,
    /// The classes of data that it touches.
    pub data_classes: Vec<DataClass>,
    /// Those of `data_classes` that are sensitive.
    pub sensitive: Vec<DataClass>,
    /// Who answers for it. Without one it is never granted.
    pub owner: Option<Owner>,
    /// The one resource server that offers it; `None` when any may.
    pub audience: Option<Audience>,
    /// What can be done with it; never empty.
    pub actions: Vec<String>,
    /// The arguments that decide where something goes or what is touched.
    pub sinks: Vec<SinkSpec>,
    /// What outsiders can write into its results.
    pub outsider_fields: OutsiderFields,
    /// Tools that must not be combined with it. Stands at both tools.
    pub conflicts: Vec<Conflict>,
    /// Uses of one grant; `None` when there is no limit.
    pub calls_max: Option<u32>,
    /// SHA-256 of its definition as the server lists it, hexadecimal.
    pub definition_digest: Option<String>,
}

/// A tool that must not be combined with another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conflict {
    /// The other tool.
    pub with: ToolName,
    /// Whose use of both is meant.
    #[serde(default)]
    pub within: ConflictScope,
    /// How long an earlier use in another task counts, in seconds; without it, for [`DUTY_WINDOW_SECONDS_MAX`]. Within one
    /// task every use counts.
    #[serde(default)]
    pub window_s: Option<u64>,
}

/// Whose uses of two tools are taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConflictScope {
    /// One task family's.
    #[default]
    Task,
    /// One agent's, over all its tasks.
    Agent,
    /// One initiator's, over all agents.
    Initiator,
}

impl ConflictScope {
    /// The name in catalogues and facts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Agent => "agent",
            Self::Initiator => "initiator",
        }
    }
}

/// What outsiders can write into a tool's results.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum OutsiderFields {
    /// Nothing.
    #[default]
    None,
    /// Everything.
    All,
    /// These fields and what lies below them, and every value that is no field of anything: member names joined by dots, arrays
    /// are entered. `**.name` is the member of that name wherever it stands, `**` every field. What is excepted begins with `!`:
    /// `!` alone is a value that is no field, `!**.name` the member of that name itself, where the name may begin with a `*`.
    Paths(Vec<String>),
}

/// Excepts what is no field: the items of a bare list.
const EXCEPT_BARE: &str = "!";

impl OutsiderFields {
    /// True when outsiders can write the field of that path (member names joined by dots, without array indexes).
    #[must_use]
    pub fn covers(&self, path: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            // A bare value has no field that could be told apart.
            Self::Paths(paths) if path.is_empty() => !paths.iter().any(|p| p == EXCEPT_BARE),
            Self::Paths(paths) => {
                let excepted = |p: &String| p.strip_prefix("!**.").is_some_and(|name| is_named(path, name));
                let said = |p: &String| match p.strip_prefix("**.") {
                    Some(name) => path.split('.').any(|part| part == name),
                    None if p == "**" => true,
                    None => path.strip_prefix(p.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')),
                };
                paths.iter().any(said) && !paths.iter().any(excepted)
            }
        }
    }

    /// True when what outsiders can write may stand below the field of that path; with `anywhere`, also what may stand at any place.
    #[must_use]
    pub fn may_stand_below(&self, path: &str, anywhere: bool) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Paths(paths) => paths.iter().any(|p| match p.strip_prefix("**.") {
                Some(_) => anywhere,
                None if p == "**" => true,
                None => p.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')),
            }),
        }
    }

    /// As much of a path as is of the tool's own naming: of a field that outsiders can write, what stands here, because the names of members
    /// below it are theirs too.
    #[must_use]
    pub fn own_names<'a>(&self, path: &'a str) -> &'a str {
        let end = |part: &String| match part.strip_prefix("**.") {
            Some(name) => {
                let mut end = 0;
                path.split('.').find_map(|member| {
                    let here = end + member.len();
                    end = here + 1;
                    (member == name).then_some(here)
                })
            }
            // Whoever writes all of it names all of it, but for the members that are excepted.
            None if part == "**" => (self.covers(path) || path.contains('.')).then_some(0),
            None => {
                let rest = path.strip_prefix(part.as_str())?;
                (rest.is_empty() || rest.starts_with('.')).then_some(part.len())
            }
        };
        let end = match self {
            Self::None => None,
            Self::All => Some(0),
            Self::Paths(paths) => paths.iter().filter_map(end).min(),
        };
        end.and_then(|end| path.get(..end)).unwrap_or(path)
    }
}

/// True when the last member of a path has that name; a name that begins with `*` is the end of one.
fn is_named(path: &str, name: &str) -> bool {
    let last = path.rsplit('.').next().unwrap_or(path);
    match name.strip_prefix('*') {
        Some(end) => last.ends_with(end),
        None => last == name,
    }
}

impl Tool {
    /// True when data can leave through it: it sends, or it reads what a URL names.
    #[must_use]
    pub fn is_way_out(&self) -> bool {
        self.effect == Effect::Send
            || (self.effect == Effect::Read && self.sinks.iter().any(|s| s.kind == SinkKind::Url))
    }

    /// True when its results hold something that outsiders can write.
    #[must_use]
    pub fn reads_outsiders(&self) -> bool {
        self.outsider_fields != OutsiderFields::None
    }

    /// The sink of that name.
    #[must_use]
    pub fn sink(&self, name: &str) -> Option<&SinkSpec> {
        self.sinks.iter().find(|s| s.name == name)
    }
}

impl Catalogue {
    /// Reads `catalogue.toml`.
    ///
    /// # Errors
    /// When it is not of the documented form, or breaks rules: then every problem is listed.
    pub fn parse(text: &str) -> Result<Self, CatalogueError> {
        let file: CatalogueText = toml::from_str(text).map_err(|e| CatalogueError::syntax(text, &e))?;
        let mut problems = Problems::default();
        let mut ordinary = BTreeSet::new();
        let mut declared = BTreeSet::new();
        for (name, class) in &file.data_classes {
            if let Some(parsed) = problems.parse::<DataClass>(name, "data class", name) {
                if *class == Sensitivity::Ordinary {
                    ordinary.insert(parsed.clone());
                }
                declared.insert(parsed);
            }
        }
        let account_sets = AccountSets::of(file.account_sets, &mut problems);
        let mut tools = Vec::new();
        for (name, tool) in file.tools {
            for class in &tool.data_classes {
                problems.check(&name, declared.contains(class), format!("data class `{class}` is not declared"));
            }
            if let Some(parsed) = problems.parse(&name, "tool name", &name) {
                tools.push(tool.into_tool(parsed, &ordinary, &mut problems));
            }
        }
        Ok(Self { account_sets, ..Self::build(tools, ordinary, declared, problems)? })
    }

    /// A catalogue of these tools, by the same rules; `conflicts` are made to stand at both tools.
    ///
    /// # Errors
    /// When a rule is broken or a name stands twice.
    pub fn from_tools(tools: Vec<Tool>) -> Result<Self, CatalogueError> {
        let declared = tools.iter().flat_map(|t| t.data_classes.iter().cloned()).collect();
        Self::build(tools, BTreeSet::new(), declared, Problems::default())
    }

    /// The tool of that name.
    #[must_use]
    pub fn tool(&self, name: &ToolName) -> Option<&Tool> {
        self.tools.get(name)
    }

    /// Every tool, by name.
    pub fn tools(&self) -> impl Iterator<Item = &Tool> {
        self.tools.values()
    }

    /// True unless the class is declared ordinary: a class that nobody declared is treated as sensitive.
    #[must_use]
    pub fn is_sensitive(&self, class: &DataClass) -> bool {
        !self.ordinary.contains(class)
    }

    /// True when a data class of that name is declared.
    #[must_use]
    pub fn declares(&self, class: &str) -> bool {
        class.parse::<DataClass>().is_ok_and(|class| self.declared.contains(&class))
    }

    /// How many accounts that set has; `None` when there is no such set.
    #[must_use]
    pub fn accounts_of(&self, set: &AccountSet) -> Option<usize> {
        self.account_sets.len_of(set)
    }

    /// True when that set has an account, as values of the kind are compared; a set that there is not has none.
    #[must_use]
    pub fn set_has(&self, set: &AccountSet, kind: SinkKind, account: &str) -> bool {
        self.account_sets.has(set, kind, account)
    }

    /// The sets that have it.
    pub fn sets_with<'a>(&'a self, kind: SinkKind, account: &'a str) -> impl Iterator<Item = &'a AccountSet> + 'a {
        self.account_sets.with(kind, account)
    }

    fn build(
        tools: Vec<Tool>,
        ordinary: BTreeSet<DataClass>,
        declared: BTreeSet<DataClass>,
        mut problems: Problems,
    ) -> Result<Self, CatalogueError> {
        problems.check("", tools.len() <= CATALOGUE_TOOLS_MAX, format!("more than {CATALOGUE_TOOLS_MAX} tools"));
        let mut by_name = BTreeMap::new();
        for tool in tools {
            check_tool(&tool, &mut problems);
            let name = tool.name.clone();
            if by_name.insert(name.clone(), tool).is_some() {
                problems.add(name.as_str(), "the tool stands twice");
            }
        }
        close_conflicts(&mut by_name, &mut problems);
        problems.finish(Self { tools: by_name, ordinary, declared, account_sets: AccountSets::default() })
    }
}

fn check_tool(tool: &Tool, problems: &mut Problems) {
    let at = tool.name.as_str();
    problems.check(at, tool.privilege <= 100, "privilege is above 100");
    problems.check(at, tool.description.len() <= DESCRIPTION_BYTES_MAX, "description is too long");
    let lists = [
        ("data classes", tool.data_classes.len()),
        ("actions", tool.actions.len()),
        ("sinks", tool.sinks.len()),
        ("conflicts", tool.conflicts.len()),
    ];
    for (what, len) in lists {
        problems.check(at, len <= TOOL_LIST_MAX, format!("more than {TOOL_LIST_MAX} {what}"));
    }
    problems.check(at, !tool.actions.is_empty(), "no action is listed");
    // Whoever asked for it would be refused, and it would count against the task.
    let asks = names_break_glass(at) || tool.actions.iter().any(|action| names_break_glass(action));
    problems.check(at, !asks, "the tool or one of its actions is named like break-glass, which is no tool");
    for action in &tool.actions {
        let ok = !action.is_empty() && action.len() <= NAME_BYTES_MAX && !action.chars().any(char::is_control);
        problems.check(at, ok, format!("action `{}` is empty, too long or not printable", action.escape_debug()));
    }
    let mut names = BTreeSet::new();
    for sink in &tool.sinks {
        problems.check(at, is_path(&sink.name), format!("sink `{}` is no path", sink.name.escape_debug()));
        let confused = names.iter().find(|other: &&&String| alike::paths_are(other, &sink.name));
        if let Some(other) = confused {
            problems.add(at, format!("sinks `{other}` and `{}` can be taken for each other", sink.name));
        }
        problems.check(at, names.insert(&sink.name), format!("sink `{}` stands twice", sink.name));
    }
    if let OutsiderFields::Paths(paths) = &tool.outsider_fields {
        for path in paths {
            problems.check(at, is_outsider_field(path), format!("outsider field `{}` is no path", path.escape_debug()));
        }
    }
    problems.check(at, tool.calls_max != Some(0), "calls_max is 0");
    if let Some(digest) = &tool.definition_digest {
        let ok = digest.len() == 64 && digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        problems.check(at, ok, "definition_digest is not 64 lower-case hexadecimal digits");
    }
}

fn is_path(path: &str) -> bool {
    path.len() <= NAME_BYTES_MAX
        && path.split('.').all(|part| !part.is_empty())
        && !path.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// An exception is of one member by its name, or by how that ends.
fn is_outsider_field(path: &str) -> bool {
    let says_something = match path.strip_prefix('!') {
        None | Some("") => true,
        Some(except) => except.strip_prefix("**.").is_some_and(|name| !name.contains('.') && name != "*"),
    };
    is_path(path) && says_something
}

/// A conflict that stands at one tool is made to stand at the other too, so that the order of use does not matter.
fn close_conflicts(tools: &mut BTreeMap<ToolName, Tool>, problems: &mut Problems) {
    let stated: Vec<(ToolName, Conflict)> =
        tools.values().flat_map(|t| t.conflicts.iter().map(|c| (t.name.clone(), c.clone()))).collect();
    for (name, conflict) in stated {
        if conflict.with == name {
            problems.add(name.as_str(), "conflicts with itself");
            continue;
        }
        let window = conflict.window_s.unwrap_or(1);
        let ok = (1..=DUTY_WINDOW_SECONDS_MAX).contains(&window);
        problems.check(name.as_str(), ok, format!("window_s is not from 1 to {DUTY_WINDOW_SECONDS_MAX}"));
        // Within a task every use counts: a window would say that some do not.
        let windowed = conflict.within == ConflictScope::Task && conflict.window_s.is_some();
        problems.check(name.as_str(), !windowed, "window_s means nothing within a task");
        let back = Conflict { with: name.clone(), ..conflict.clone() };
        match tools.get_mut(&conflict.with) {
            Some(other) if !other.conflicts.contains(&back) => other.conflicts.push(back),
            Some(_) => {}
            None => problems.add(name.as_str(), format!("conflicts with `{}`, which is no tool", conflict.with)),
        }
    }
    for tool in tools.values_mut() {
        tool.conflicts.sort();
        tool.conflicts.dedup();
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogueText {
    #[serde(default)]
    data_classes: BTreeMap<String, Sensitivity>,
    #[serde(default)]
    account_sets: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    tools: BTreeMap<String, ToolText>,
}

#[derive(Deserialize, PartialEq, Eq, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum Sensitivity {
    Ordinary,
    Sensitive,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolText {
    description: String,
    effect: Effect,
    privilege: u8,
    #[serde(default)]
    data_classes: Vec<DataClass>,
    #[serde(default)]
    owner: Option<Owner>,
    #[serde(default)]
    audience: Option<Audience>,
    #[serde(default)]
    actions: Vec<String>,
    #[serde(default)]
    sinks: BTreeMap<String, SinkKind>,
    #[serde(default)]
    outsider_fields: OutsiderText,
    #[serde(default)]
    conflicts: Vec<Conflict>,
    #[serde(default)]
    calls_max: Option<u32>,
    #[serde(default)]
    definition_digest: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OutsiderText {
    Word(String),
    Paths(Vec<String>),
}

impl Default for OutsiderText {
    fn default() -> Self {
        Self::Word("none".to_owned())
    }
}

impl ToolText {
    fn into_tool(self, name: ToolName, ordinary: &BTreeSet<DataClass>, problems: &mut Problems) -> Tool {
        let outsider_fields = match self.outsider_fields {
            OutsiderText::Word(word) if word == "none" => OutsiderFields::None,
            OutsiderText::Word(word) => {
                problems.check(name.as_str(), word == "all", "outsider_fields is neither `none`, `all` nor a list");
                OutsiderFields::All
            }
            OutsiderText::Paths(paths) if paths.is_empty() => OutsiderFields::None,
            OutsiderText::Paths(paths) => OutsiderFields::Paths(paths),
        };
        let actions = if self.actions.is_empty() { vec![ACTION_DEFAULT.to_owned()] } else { self.actions };
        Tool {
            name,
            description: self.description,
            effect: self.effect,
            privilege: self.privilege,
            sensitive: self.data_classes.iter().filter(|c| !ordinary.contains(*c)).cloned().collect(),
            data_classes: self.data_classes,
            owner: self.owner,
            audience: self.audience,
            actions,
            sinks: self.sinks.into_iter().map(|(name, kind)| SinkSpec { name, kind }).collect(),
            outsider_fields,
            conflicts: self.conflicts,
            calls_max: self.calls_max.or_else(|| self.effect.is_effectful().then_some(1)),
            definition_digest: self.definition_digest,
        }
    }
}

#[cfg(test)]
mod tests;
