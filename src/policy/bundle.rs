//! Policy bundles: a folder's files, and what they become once every check has passed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::path::Path;

use aws_lc_rs::digest;
use cedar_policy::{Entities, Entity, EntityUid, Schema};

use super::cases::{Case, TestReport};
use super::error::{BundleError, Problem};
use super::manifest::MANIFEST;
use super::names::{Kind, Types};
use super::observe::Observe;
use super::reads::Reads;
use super::rules::Rule;
use super::slices::Slices;
use super::{cases, rules, schema, words};
use crate::catalogue::identities::Identities;
use crate::catalogue::tool::Catalogue;
use crate::model::id::{PolicyId, ToolName};
use crate::model::limits::{BUNDLE_BYTES_MAX, BUNDLE_FILES_MAX, MANIFEST_BYTES_MAX, NAME_BYTES_MAX};
use crate::risk::table::RiskTable;

/// The files of a policy bundle, by their paths: relative, with forward slashes. The manifest stands apart, for it is about them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BundleFiles {
    files: BTreeMap<String, Vec<u8>>,
    manifest: Option<Vec<u8>>,
}

impl BundleFiles {
    /// A bundle of these files.
    ///
    /// # Errors
    /// When a path is absolute, leads out of the folder or stands twice, or there is too much.
    pub fn new(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Self, BundleError> {
        let (mut kept, mut problems, mut bytes) = (BTreeMap::new(), Vec::new(), 0_usize);
        let mut manifest = None;
        for (path, content) in files {
            if problems.len() >= BUNDLE_FILES_MAX {
                // More is of no use to anybody, and there may be any number.
                break;
            }
            if path == MANIFEST {
                if content.len() > MANIFEST_BYTES_MAX {
                    problems.push(Problem::new(&path, format!("more than {MANIFEST_BYTES_MAX} bytes")));
                }
                if manifest.replace(content).is_some() {
                    problems.push(Problem::new(&path, "the file stands twice"));
                }
                continue;
            }
            if !is_relative(&path) {
                problems.push(Problem::new(&path.escape_debug().to_string(), "not a relative path of plain names"));
                continue;
            }
            bytes = bytes.saturating_add(content.len());
            if kept.len() >= BUNDLE_FILES_MAX || bytes > BUNDLE_BYTES_MAX {
                let message = format!("more than {BUNDLE_FILES_MAX} files or {BUNDLE_BYTES_MAX} bytes");
                problems.push(Problem::new("", message));
                break;
            }
            if kept.insert(path.clone(), content).is_some() {
                problems.push(Problem::new(&path, "the file stands twice"));
            }
        }
        if problems.is_empty() { Ok(Self { files: kept, manifest }) } else { Err(BundleError::Invalid(problems)) }
    }

    /// The files below a folder. Names that begin with a dot are passed over, as editors and mounted volumes make them.
    ///
    /// # Errors
    /// When something cannot be read, or as [`BundleFiles::new`].
    pub fn read_dir(folder: &Path) -> Result<Self, BundleError> {
        let mut files = Vec::new();
        read_below(folder, "", &mut { ENTRIES_MAX }, &mut files)?;
        Self::new(files)
    }

    /// Every file but the manifest, by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, content)| (path.as_str(), content.as_slice()))
    }

    /// The manifest, as it was written.
    #[must_use]
    pub fn manifest(&self) -> Option<&[u8]> {
        self.manifest.as_deref()
    }

    /// The first that is no file of a bundle, or that [`BundleFiles::read_dir`] would pass over: what comes from elsewhere is not
    /// written to a folder with it.
    #[must_use]
    pub fn stranger(&self) -> Option<&str> {
        let is_hidden = |path: &str| path.split('/').any(|part| part.starts_with('.'));
        self.files.keys().map(String::as_str).find(|path| is_hidden(path) || !belongs(path))
    }

    /// Every file, and the manifest last.
    pub fn iter_with_manifest(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.iter().chain(self.manifest().map(|content| (MANIFEST, content)))
    }

    /// SHA-256 over paths and contents, each with its length before it; the manifest names it, and is not in it.
    #[must_use]
    pub fn digest(&self) -> BundleDigest {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(b"carnet policy bundle v1\n");
        for (path, content) in &self.files {
            for part in [path.as_bytes(), content] {
                hash.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
                hash.update(part);
            }
        }
        BundleDigest(hash.finish().as_ref().iter().map(|b| format!("{b:02x}")).collect())
    }
}

fn is_relative(path: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', ':']);
    path.len() <= 4 * NAME_BYTES_MAX && path.split('/').all(plain) && !path.chars().any(char::is_control)
}

fn read_below(
    folder: &Path,
    at: &str,
    left: &mut usize,
    files: &mut Vec<(String, Vec<u8>)>,
) -> Result<(), BundleError> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |source| BundleError::Read { path, source }
    };
    for entry in std::fs::read_dir(folder).map_err(failed(folder))? {
        let entry = entry.map_err(failed(folder))?;
        *left = left.checked_sub(1).ok_or_else(|| {
            BundleError::Invalid(vec![Problem::new(at, format!("more than {ENTRIES_MAX} files and folders"))])
        })?;
        let place = entry.path();
        let name = entry
            .file_name()
            .into_string()
            .map_err(|_| BundleError::Invalid(vec![Problem::new(at, "a file's name is not UTF-8")]))?;
        if name.starts_with('.') {
            continue;
        }
        let path = if at.is_empty() { name } else { format!("{at}/{name}") };
        // Follows links: mounted volumes are made of them.
        let about = std::fs::metadata(&place).map_err(failed(&place))?;
        if about.is_dir() {
            if path.matches('/').count() > FOLDERS_MAX {
                return Err(BundleError::Invalid(vec![Problem::new(&path, "folders are nested too deeply")]));
            }
            read_below(&place, &path, left, files)?;
        } else {
            let too_much = files.len() >= BUNDLE_FILES_MAX || about.len() > BUNDLE_BYTES_MAX as u64;
            if too_much {
                return Err(BundleError::Invalid(vec![Problem::new(&path, "too many files, or too large a one")]));
            }
            files.push((path, std::fs::read(&place).map_err(failed(&place))?));
        }
    }
    Ok(())
}

/// Deepest folder of a bundle.
const FOLDERS_MAX: usize = 8;
/// Most files and folders that are looked at: links may lead in circles.
const ENTRIES_MAX: usize = 4 * BUNDLE_FILES_MAX;

/// The digest that a bundle is known by: SHA-256, 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BundleDigest(String);

impl BundleDigest {
    /// The hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BundleDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A policy bundle that passed every check; it never changes.
#[derive(Debug)]
pub struct PolicyBundle {
    files: BundleFiles,
    digest: BundleDigest,
    catalogue: Catalogue,
    identities: Identities,
    risk: RiskTable,
    observe: Option<Observe>,
    rules: BTreeMap<PolicyId, Rule>,
    cases: Vec<Case>,
    types: Types,
    slices: Slices,
    reads: Reads,
    /// Every tool and every action.
    entities: Entities,
    /// The actions and the tools that policies name, to put a principal and the tool asked for beside them.
    named: Entities,
    tools: HashMap<ToolName, Entity>,
}

impl PolicyBundle {
    /// Loads a bundle: every file is known, read and checked; its tests are read and not run.
    ///
    /// # Errors
    /// Every problem with its file.
    pub fn load(files: BundleFiles) -> Result<Self, BundleError> {
        let mut problems = Vec::new();
        let texts = texts(&files, &mut problems);
        let read = |path: &str, problems: &mut Vec<Problem>| {
            let text = texts.get(path).copied();
            if text.is_none() && !files.files.contains_key(path) {
                problems.push(Problem::new(path, "the file is missing"));
            }
            text
        };
        let schema = read(SCHEMA, &mut problems).and_then(|text| tell(SCHEMA, schema::read(text), &mut problems));
        let catalogue = read(CATALOGUE, &mut problems)
            .and_then(|t| tell(CATALOGUE, Catalogue::parse(t).map_err(|e| e.problems()), &mut problems));
        let identities = read(IDENTITIES, &mut problems)
            .and_then(|t| tell(IDENTITIES, Identities::parse(t).map_err(|e| e.problems()), &mut problems));
        let risk = read(RISK, &mut problems)
            .and_then(|t| tell(RISK, RiskTable::parse(t).map_err(|e| e.problems()), &mut problems));
        let observe = texts.get(OBSERVE).and_then(|t| tell(OBSERVE, Observe::parse(t), &mut problems));
        let mut all = Vec::new();
        for (path, text) in texts.iter().filter(|(path, _)| path.ends_with(POLICIES_SUFFIX)) {
            all.extend(rules::read(path, text, &mut problems));
        }
        rules::check_all(&all, schema.as_ref(), &mut problems);
        let types = Types::new();
        let mut tests = Vec::new();
        if let (Some(catalogue), Some(risk)) = (&catalogue, &risk) {
            check_words(&all, words::Declared { catalogue, risk }, &mut problems);
        }
        if let (Some(catalogue), Some(identities)) = (&catalogue, &identities) {
            check_named(&all, catalogue, identities, &types, &mut problems);
            for (path, text) in texts.iter().filter(|(path, _)| is_test(path)) {
                tests.extend(cases::text::read(path, text, catalogue, &mut problems));
            }
        }
        let whole = (schema, catalogue, identities, risk);
        let (Some(schema), Some(catalogue), Some(identities), Some(risk), true) =
            (whole.0, whole.1, whole.2, whole.3, problems.is_empty())
        else {
            problems.sort();
            return Err(BundleError::Invalid(problems));
        };
        let slices = Slices::new(&all, &schema, &catalogue, &types);
        let parsed: Vec<_> = all.iter().map(|rule| rule.cedar.to_json().ok()).collect();
        let reads = Reads::of(parsed.iter().map(Option::as_ref));
        let Stores { entities, named, tools } = Stores::of(&schema, &catalogue, &all, &types)?;
        let digest = files.digest();
        let rules = all.into_iter().map(|r| (r.id.clone(), r)).collect();
        Ok(Self {
            files,
            digest,
            catalogue,
            identities,
            risk,
            observe,
            rules,
            cases: tests,
            types,
            slices,
            reads,
            entities,
            named,
            tools,
        })
    }

    /// The digest that it is known by.
    #[must_use]
    pub fn digest(&self) -> &BundleDigest {
        &self.digest
    }

    /// The files that it was loaded from.
    #[must_use]
    pub fn files(&self) -> &BundleFiles {
        &self.files
    }

    /// Its tools.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Its identities.
    #[must_use]
    pub fn identities(&self) -> &Identities {
        &self.identities
    }

    /// Its weights of signals and bands.
    #[must_use]
    pub fn risk(&self) -> &RiskTable {
        &self.risk
    }

    /// For whom it only observes; `None` when for nobody.
    #[must_use]
    pub const fn observe(&self) -> Option<&Observe> {
        self.observe.as_ref()
    }

    /// Its policies, by id.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values()
    }

    /// The cases of its tests, in the order of files.
    #[must_use]
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// Runs its tests.
    #[must_use]
    pub fn run_tests(&self) -> TestReport {
        cases::run(self, &self.cases)
    }

    /// The policy of that id.
    #[must_use]
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules.get(&id.parse::<PolicyId>().ok()?)
    }

    pub(in crate::policy) fn types(&self) -> &Types {
        &self.types
    }

    pub(in crate::policy) fn slices(&self) -> &Slices {
        &self.slices
    }

    pub(in crate::policy) fn reads(&self) -> &Reads {
        &self.reads
    }

    pub(in crate::policy) fn entities(&self) -> &Entities {
        &self.entities
    }

    /// A store of the tool asked for, the tools that policies name, and a principal with its groups: for bundles whose
    /// policies speak of groups. `None` when there can be none, and then nothing may be decided.
    pub(in crate::policy) fn entities_with(
        &self,
        tool: Option<&ToolName>,
        principal: &EntityUid,
        groups: &[EntityUid],
    ) -> Option<Entities> {
        let own = Entity::new_no_attrs(principal.clone(), groups.iter().cloned().collect());
        let tool = tool.and_then(|name| self.tools.get(name)).filter(|t| self.named.get(&t.uid()).is_none()).cloned();
        self.named.clone().add_entities([own].into_iter().chain(tool), None).ok()
    }
}

/// What was read; or nothing, and its problems.
fn tell<T>(path: &str, result: Result<T, Vec<String>>, problems: &mut Vec<Problem>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(messages) => {
            problems.extend(messages.into_iter().map(|m| Problem::new(path, m)));
            None
        }
    }
}

/// The files as texts. A file of no known name is a problem, or else a misspelt one would go unnoticed.
fn texts<'a>(files: &'a BundleFiles, problems: &mut Vec<Problem>) -> BTreeMap<&'a str, &'a str> {
    let mut out = BTreeMap::new();
    for (path, content) in files.iter() {
        let known = belongs(path);
        match std::str::from_utf8(content) {
            Ok(_) if !known => problems.push(Problem::new(path, "no file of this name belongs to a policy bundle")),
            Ok(text) => drop(out.insert(path, text)),
            Err(_) => problems.push(Problem::new(path, "not UTF-8")),
        }
    }
    if !out.keys().any(|path| path.ends_with(POLICIES_SUFFIX)) {
        problems.push(Problem::new("", "no `.cedar` file: without a permit everything would be denied"));
    }
    out
}

/// True for the path of a file that a bundle has something to say with.
fn belongs(path: &str) -> bool {
    [SCHEMA, CATALOGUE, IDENTITIES, RISK, OBSERVE].contains(&path)
        || path.ends_with(POLICIES_SUFFIX)
        || is_test(path)
        || path.ends_with(NOTES_SUFFIX)
}

fn is_test(path: &str) -> bool {
    path.starts_with(TESTS_FOLDER) && path.ends_with(TESTS_SUFFIX)
}

/// What policies name must exist: a rule about a tool, an owner or an audience that nobody has would never apply.
fn check_named(
    rules: &[Rule],
    catalogue: &Catalogue,
    identities: &Identities,
    types: &Types,
    problems: &mut Vec<Problem>,
) {
    let mut known: Vec<EntityUid> = Vec::new();
    for tool in catalogue.tools() {
        known.push(types.uid(Kind::Tool, tool.name.as_str()));
        known.extend(types.tool_groups(tool));
    }
    for identity in identities.all() {
        known.extend(identity.owner.iter().map(|o| types.uid(Kind::Owner, o.as_str())));
        known.extend(identity.audiences.iter().map(|a| types.uid(Kind::Audience, a.as_str())));
    }
    let known: HashSet<EntityUid> = known.into_iter().collect();
    let checked = [Kind::Tool, Kind::Owner, Kind::Audience].map(Kind::as_str);
    for rule in rules {
        for uid in rule.cedar.entity_literals() {
            if checked.contains(&uid.type_name().to_string().as_str()) && !known.contains(&uid) {
                problems.push(Problem::new(&rule.path, format!("policy `{}`: there is no {uid}", rule.id)));
            }
        }
    }
}

/// What policies compare with must be words that can occur.
fn check_words(rules: &[Rule], declared: words::Declared<'_>, problems: &mut Vec<Problem>) {
    for rule in rules {
        // What has no JSON form was told when the rule was read.
        let Ok(json) = rule.cedar.to_json() else { continue };
        for (attribute, word) in words::unknown(&json, declared) {
            let message = format!("policy `{}`: `{attribute}` is never `{}`", rule.id, word.escape_debug());
            problems.push(Problem::new(&rule.path, message));
        }
    }
}

/// Entities, built once.
struct Stores {
    entities: Entities,
    named: Entities,
    tools: HashMap<ToolName, Entity>,
}

impl Stores {
    fn of(schema: &Schema, catalogue: &Catalogue, rules: &[Rule], types: &Types) -> Result<Self, BundleError> {
        let failed =
            |e: &dyn std::error::Error| BundleError::Invalid(vec![Problem::new(CATALOGUE, schema::in_words(e))]);
        let actions = schema.action_entities().map_err(|e| failed(&e))?;
        let mut tools = HashMap::new();
        for tool in catalogue.tools() {
            tools.insert(tool.name.clone(), types.tool_entity(tool).map_err(|e| failed(&e))?);
        }
        let literals: HashSet<EntityUid> = rules.iter().flat_map(|rule| rule.cedar.entity_literals()).collect();
        let spoken_of = tools.values().filter(|tool| literals.contains(&tool.uid())).cloned();
        let named = actions.clone().add_entities(spoken_of, None).map_err(|e| failed(&e))?;
        let entities = actions.add_entities(tools.values().cloned(), None).map_err(|e| failed(&e))?;
        Ok(Self { entities, named, tools })
    }
}

const SCHEMA: &str = "schema.cedarschema";
const CATALOGUE: &str = "catalogue.toml";
const IDENTITIES: &str = "identities.toml";
const RISK: &str = "risk.toml";
/// The file that says for whom a bundle only observes.
pub const OBSERVE: &str = "observe.toml";
const POLICIES_SUFFIX: &str = ".cedar";
const NOTES_SUFFIX: &str = ".md";
const TESTS_FOLDER: &str = "tests/";
const TESTS_SUFFIX: &str = ".toml";

#[cfg(test)]
pub(in crate::policy) mod tests;
