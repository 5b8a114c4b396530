//! What a listed tool would be in a catalogue, and why: the strictest that its name, the first word of its description and its
//! server's hints say. An effect that nobody can name may do anything.

use super::schema::{self, Schema};
use super::{Hints, ListedTool, is_hidden};
use crate::catalogue::tool::{ACTION_DEFAULT, OutsiderFields, Tool};
use crate::infer::{outsiders, privilege, sensitive, sinks};
use crate::intent::fit::implied_by_verb;
use crate::intent::words::{name_words, singular};
use crate::model::access::Effect;
use crate::model::id::{Audience, DataClass};
use crate::model::limits::TOOL_LIST_MAX;
use crate::model::sink::{SinkKind, SinkSpec, alike};

/// Characters of a description that are kept: enough to say what a tool is for.
const DESCRIPTION_CHARS_MAX: usize = 500;
/// The least privilege of what a server itself calls destructive.
const DESTRUCTIVE_PRIVILEGE: u8 = 60;
/// Verbs of tools that only look, as names have them.
const READS: &str = "get list view search find read fetch show retrieve check query lookup describe count browse inspect \
    summarize summarise compare preview";
/// Effects, the most harmful first.
const HARM: [Effect; 6] =
    [Effect::Execute, Effect::Administer, Effect::Spend, Effect::Delete, Effect::Send, Effect::Write];

/// An entry, to be owned by a person before it is one.
#[derive(Debug)]
pub struct Proposal {
    /// The entry: without an owner, so that it is never granted as it stands.
    pub tool: Tool,
    /// What the server hinted.
    pub hints: Hints,
    /// Why the entry is as it is.
    pub because: Vec<String>,
    /// What a person should look at before owning it.
    pub marks: Vec<String>,
}

/// The entry for a listed tool.
#[must_use]
pub fn propose(listed: &ListedTool, audience: Option<&Audience>) -> Proposal {
    let words = name_words(listed.name.as_str());
    let (mut because, mut marks) = (Vec::new(), Vec::new());
    let (named, why) = named_effect(&words, &listed.description);
    because.push(why);
    let effect = hinted(named, listed.hints, &mut because);
    let schema = Schema::of(&listed.input_schema);
    marks.extend(schema.marks.iter().map(|mark| format!("its schema {mark}")));
    let sinks = all_sinks(&words, effect, &schema, &mut marks);
    let description = name_words(&listed.description);
    let outsider_fields = match named {
        _ if listed.hints.open_world == Some(true) => OutsiderFields::All,
        Effect::Read => outsiders::of(&words, &description, &sinks),
        Effect::Execute => OutsiderFields::All,
        _ => OutsiderFields::None,
    };
    let classes: Vec<DataClass> = sensitive::of(&words).into_iter().filter_map(|class| class.parse().ok()).collect();
    let least = if listed.hints.destructive == Some(true) { DESTRUCTIVE_PRIVILEGE } else { 0 };
    marks.extend(looked_at(listed));
    // By MCP's defaults a tool reaches others and destroys. Taken at that word, most of what changes anything would be a deletion.
    if effect == Effect::Write && listed.hints.open_world.is_none() {
        marks.push(
            "its server does not say that it keeps to itself: if it reaches others, its effect is `send`".to_owned(),
        );
    }
    Proposal {
        tool: Tool {
            name: listed.name.clone(),
            description: one_line(&listed.description, DESCRIPTION_CHARS_MAX),
            effect,
            privilege: privilege(effect, !classes.is_empty()).max(least),
            sensitive: classes.clone(),
            data_classes: classes,
            owner: None,
            audience: audience.cloned(),
            actions: vec![ACTION_DEFAULT.to_owned()],
            sinks,
            outsider_fields,
            conflicts: Vec::new(),
            calls_max: effect.is_effectful().then_some(1),
            definition_digest: Some(listed.definition_digest.clone()),
        },
        hints: listed.hints,
        because,
        marks,
    }
}

/// What the name says, and why. A description may only make it more.
fn named_effect<'a>(words: &'a [String], description: &str) -> (Effect, String) {
    let strictest = |effects: &[Effect]| HARM.into_iter().find(|effect| effects.contains(effect));
    let verb = |word: &str| implied_by_verb(word).and_then(|(effects, noun_too)| Some((strictest(effects)?, noun_too)));
    let reads = |word: &&String| READS.split(' ').any(|read| read == word.as_str());
    let harm = |effect: Effect| HARM.iter().position(|e| *e == effect).unwrap_or(HARM.len());
    // Names have their verb at the beginning or at the end.
    let only_reads = words.first().iter().chain(&words.last()).any(reads);
    // A word that is a noun as often is a verb where it begins, or where it ends and nothing else is one: `tickets.comment`.
    let plain = |(at, word): (usize, &'a String)| {
        let (effect, noun_too) = verb(word).filter(|_| !reads(&word))?;
        (!noun_too || at == 0).then_some((effect, word))
    };
    let from_name = words.iter().enumerate().filter_map(plain).min_by_key(|(effect, _)| harm(*effect)).or_else(|| {
        let last = words.last().filter(|_| !only_reads)?;
        Some((verb(last)?.0, last))
    });
    let led_by =
        leading_verb(description).and_then(|lead| Some((verb(&lead).filter(|(_, noun_too)| !noun_too)?.0, lead)));
    match (from_name, led_by) {
        (Some((effect, word)), Some((more, lead))) if harm(more) < harm(effect) => {
            (more, format!("{more}: `{lead}` begins its description, and `{word}` in its name is less"))
        }
        (Some((effect, word)), _) => (effect, format!("{effect}: `{word}` in its name")),
        (None, Some((effect, lead))) if only_reads => (effect, format!("{effect}: `{lead}` begins its description")),
        (None, None) if only_reads => (Effect::Read, "read: its name says so, and nothing says otherwise".to_owned()),
        (None, _) => (Effect::Execute, "execute: its name does not say what it does, so it may do anything".to_owned()),
    }
}

/// The base form of the verb that a description begins with: `Deletes a file` → `delete`.
fn leading_verb(description: &str) -> Option<String> {
    let first = name_words(description).into_iter().next()?;
    let stems = [first.as_str(), singular(&first), first.strip_suffix("es").unwrap_or(&first)];
    stems.into_iter().find(|stem| implied_by_verb(stem).is_some()).map(str::to_owned)
}

/// What the hints make of an effect: more, or nothing.
fn hinted(named: Effect, hints: Hints, because: &mut Vec<String>) -> Effect {
    let mut effect = named;
    let mut raise = |from: &[Effect], to: Effect, why: &str| {
        if from.contains(&effect) {
            effect = to;
            because.push(format!("{to}: {why}"));
        }
    };
    if hints.read_only == Some(false) {
        raise(&[Effect::Read], Effect::Write, "its server hints that it does more than read");
    }
    if hints.open_world == Some(true) {
        raise(&[Effect::Write], Effect::Send, "its server hints that it reaches others");
    }
    if hints.destructive == Some(true) {
        raise(&[Effect::Read, Effect::Write], Effect::Delete, "its server hints that it destroys");
    }
    let milder = [
        (hints.read_only == Some(true) && effect != Effect::Read, "readOnlyHint"),
        (hints.destructive == Some(false) && effect == Effect::Delete, "destructiveHint"),
        (hints.open_world == Some(false) && effect == Effect::Send, "openWorldHint"),
    ];
    for (_, hint) in milder.into_iter().filter(|(holds, _)| *holds) {
        because.push(format!("`{hint}` says less, and is not taken at its word"));
    }
    effect
}

/// The last member of a path.
fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// Sinks by the names of arguments, then by their formats, which say more.
fn all_sinks(words: &[String], effect: Effect, schema: &Schema, marks: &mut Vec<String>) -> Vec<SinkSpec> {
    let mut sinks = sinks::of(words, effect, schema.arguments(), schema.required());
    for sink in schema.formatted(effect) {
        match sinks.iter_mut().find(|known| known.name == sink.name) {
            Some(known) => known.kind = sink.kind,
            None => sinks.push(sink),
        }
    }
    sinks.sort_by(|a, b| a.name.cmp(&b.name));
    let mut kept: Vec<SinkSpec> = Vec::new();
    for sink in sinks {
        match kept.iter().find(|other| alike::paths_are(&other.name, &sink.name)) {
            Some(other) => {
                marks.push(format!("its arguments `{}` and `{}` can be taken for each other", other.name, sink.name));
            }
            None => kept.push(sink),
        }
    }
    if kept.len() >= TOOL_LIST_MAX {
        kept.truncate(TOOL_LIST_MAX);
        marks.push(format!("it has {TOOL_LIST_MAX} sinks or more, and the rest is not listed"));
    }
    for name in schema::unnameable(schema.arguments()) {
        marks.push(format!("its argument `{name}` can be no sink, because no catalogue can name it"));
    }
    if effect != Effect::Read {
        marks.extend(schema.unseen(&kept));
        let texts = kept.iter().filter(|sink| sink.kind == SinkKind::Other && sinks::says_how_much(last(&sink.name)));
        marks.extend(texts.map(|sink| {
            format!(
                "its argument `{}` is named like an amount and takes text: no cap can be held against it",
                sink.name
            )
        }));
    }
    if effect != Effect::Read && kept.is_empty() && schema.takes_any() {
        marks.push("none of its arguments was taken for a sink".to_owned());
    }
    kept
}

/// What a person should look at in the definition itself.
fn looked_at(listed: &ListedTool) -> Vec<String> {
    let mut marks = Vec::new();
    if !listed.hidden.is_empty() {
        marks.push(format!("characters that nobody sees stand in {}", listed.hidden.join(", ")));
    }
    if listed.description.chars().count() > DESCRIPTION_CHARS_MAX {
        marks.push("its description is longer than what is kept of it here: read the rest".to_owned());
    }
    let hints = listed.hints;
    if hints.read_only == Some(true) && hints.destructive == Some(true) {
        marks.push("its server hints that it only reads, and that it destroys".to_owned());
    }
    marks
}

/// Text on one line, without what cannot be seen.
#[must_use]
pub fn one_line(text: &str, chars_max: usize) -> String {
    let visible: String = text.chars().map(|c| if is_hidden(c) { '\u{fffd}' } else { c }).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(chars_max).collect()
}
