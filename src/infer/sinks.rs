//! Which arguments decide where something goes or what is touched, from their names and JSON schemas.

// * A truth value, a choice of an enumeration, a mode (`permission`, `action`, `status`), content (`body`, `title`, `reason`),
//   a time and a form (`limit`, `format`) are no sinks: the first are spelled otherwise than people say them, the others
//   say what or when, not where.
// * What the name says is then taken at its word: a URL, an amount, an account, an id, a path, an address, in this order
//   of what the last word says (`file_id` is an id, `webhook_url` a URL).
// * An amount is a number by its schema as well. Where texts are taken (`budget: "35 EUR"`) nothing can be added up or held to a
//   cap, and a call that the tool takes would be refused as malformed: it is judged as any other text.
// * Any other text that must be given is a sink of tools that send, spend, delete, execute or administer: what their
//   registrar did not call content may say whom they hit. Not of tools that write: their ids and paths say what is changed.
// * Reads have the sinks that name one object or lead outside: URL, account, id, path. What a search looks for is no object.
// * Objects are entered by their `properties`; where the schema has none, by the names that the description puts in quotes.
//   Arrays stand for their items, alternatives for each of theirs, and a type that may be null for what it is otherwise.

use serde_json::{Map, Value};

use crate::intent::words::{name_words, singular};
use crate::model::access::Effect;
use crate::model::limits::{NAME_BYTES_MAX, TOOL_LIST_MAX};
use crate::model::sink::{SinkKind, SinkSpec};

/// Deepest object that is entered.
pub(in crate::infer) const DEPTH_MAX: usize = 4;
/// Most arrays and alternatives that are gone through between two names.
const TURNS_MAX: usize = 8;

/// The sinks of a tool.
#[must_use]
pub fn of(tool: &[String], effect: Effect, parameters: &Value, required: &[String]) -> Vec<SinkSpec> {
    let mut out = Vec::new();
    // Some registrars list a whole schema, some its properties alone.
    let members = match (parameters.get("type"), parameters.get("properties")) {
        (Some(Value::String(kind)), Some(members)) if kind == "object" => members,
        _ => parameters,
    };
    let tool = Tool { words: tool, effect };
    if let Value::Object(members) = members {
        for (name, schema) in members {
            tool.argument(name, name, schema, required.contains(name), DEPTH_MAX, &mut out);
        }
    }
    // What is written on a payment that names where it goes: `reference`, with no word of what it would refer to.
    let pays = |out: &[SinkSpec]| out.iter().any(|s| matches!(s.kind, SinkKind::Account | SinkKind::Address));
    if effect == Effect::Spend && pays(&out) {
        out.retain(|s| !matches!(s.name.as_str(), "reference" | "ref"));
    }
    // What may be a number or a text is a number that may be spelled as one (decimals are listed so).
    out.sort_by(|a, b| a.name.cmp(&b.name).then((a.kind != SinkKind::Amount).cmp(&(b.kind != SinkKind::Amount))));
    out.dedup_by(|a, b| a.name == b.name);
    out.truncate(TOOL_LIST_MAX);
    out
}

/// True when a name says that its values are amounts.
pub(in crate::infer) fn says_how_much(name: &str) -> bool {
    named(&name_words(name)) == Some(SinkKind::Amount)
}

/// True when a name says that its values lead somewhere.
pub(in crate::infer) fn says_where(name: &str) -> bool {
    named(&name_words(name)).is_some()
}

struct Tool<'a> {
    words: &'a [String],
    effect: Effect,
}

impl Tool<'_> {
    fn argument(&self, path: &str, name: &str, schema: &Value, required: bool, depth: usize, out: &mut Vec<SinkSpec>) {
        let ok = !path.chars().any(|c| c.is_control() || c.is_whitespace()) && path.split('.').all(|p| !p.is_empty());
        if depth == 0 || path.len() > NAME_BYTES_MAX || !ok {
            return;
        }
        self.shaped(&Argument { path, name, required, depth }, schema, &[], TURNS_MAX, out);
    }

    /// What an argument is by a schema of it. `said` is what the schemas around this one say of it.
    fn shaped(&self, of: &Argument<'_>, schema: &Value, said: &[&str], turns: usize, out: &mut Vec<SinkSpec>) {
        let Some(left) = turns.checked_sub(1) else { return };
        let own = schema.get("description").and_then(Value::as_str);
        let said: Vec<&str> = said.iter().copied().chain(own).collect();
        let options = alternatives(schema);
        for option in &options {
            self.shaped(of, option, &said, left, out);
        }
        for shape in shapes(schema) {
            match shape {
                Shape::Object(members) => {
                    let needed = required_of(schema);
                    for (member, schema) in members {
                        let required = of.required && needed.contains(&member.as_str());
                        self.argument(&format!("{}.{member}", of.path), member, schema, required, of.depth - 1, out);
                    }
                }
                Shape::Items(items) => self.shaped(of, items, &said, left, out),
                // What the alternatives say of a value goes before what all of them have in common.
                _ if !options.is_empty() => {}
                Shape::Unlisted => {
                    for member in said.iter().flat_map(|said| quoted(said)) {
                        if let Some(kind) = self.kind(member, false, Given::Anything) {
                            out.push(SinkSpec { name: format!("{}.{member}", of.path), kind });
                        }
                    }
                }
                Shape::Plain(given) => {
                    let kind = self.kind(of.name, of.required, given);
                    out.extend(kind.map(|kind| SinkSpec { name: of.path.to_owned(), kind }));
                }
            }
        }
    }

    fn kind(&self, name: &str, required: bool, given: Given) -> Option<SinkKind> {
        let words = name_words(name);
        let kind = named(&words).map(|kind| match kind {
            SinkKind::Amount if given != Given::Number => SinkKind::Other,
            kind => kind,
        });
        let kind = kind.filter(|kind| match self.effect {
            Effect::Read => match kind {
                SinkKind::Url => true,
                SinkKind::Account | SinkKind::Id | SinkKind::Path => !self.searches(),
                SinkKind::Address | SinkKind::Amount | SinkKind::Other => false,
            },
            _ => true,
        });
        let hits = !matches!(self.effect, Effect::Read | Effect::Write);
        kind.or_else(|| {
            (hits && required && given == Given::Text && !says_what_or_when(&words)).then_some(SinkKind::Other)
        })
    }

    fn searches(&self) -> bool {
        self.words.iter().any(|w| matches!(w.as_str(), "search" | "find" | "query" | "lookup"))
    }
}

/// An argument, on the way through its schema.
struct Argument<'a> {
    path: &'a str,
    name: &'a str,
    required: bool,
    depth: usize,
}

/// What the values of a schema can be.
enum Shape<'a> {
    /// Objects with these members.
    Object(&'a Map<String, Value>),
    /// Objects whose members are not listed.
    Unlisted,
    /// Arrays of such items.
    Items(&'a Value),
    Plain(Given),
}

/// What a plain value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    Text,
    Number,
    /// Nothing says what.
    Anything,
}

/// What its values can be; nothing of what is a choice.
fn shapes(schema: &Value) -> Vec<Shape<'_>> {
    if schema.get("enum").is_some() || schema.get("const").is_some() {
        return Vec::new();
    }
    let members = schema.get("properties").and_then(Value::as_object);
    let mut out: Vec<Shape<'_>> = items(schema).map(Shape::Items).collect();
    let has_items = !out.is_empty();
    out.extend(members.map(Shape::Object));
    let kinds: Vec<&str> = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        // A schema that says nothing is taken for text.
        _ if out.is_empty() => vec!["string"],
        _ => Vec::new(),
    };
    for kind in kinds {
        match kind {
            "boolean" | "null" => {}
            "object" if members.is_some() => {}
            "object" => out.push(Shape::Unlisted),
            "array" if has_items => {}
            "array" | "string" => out.push(Shape::Plain(Given::Text)),
            "number" | "integer" => out.push(Shape::Plain(Given::Number)),
            _ => out.push(Shape::Plain(Given::Anything)),
        }
    }
    out
}

/// The schemas of the items of an array: of all, and of the first ones.
fn items(schema: &Value) -> impl Iterator<Item = &Value> {
    let all = schema.get("items").filter(|items| !items.is_array()).into_iter();
    let each = ["prefixItems", "items"].into_iter().filter_map(move |word| schema.get(word)?.as_array());
    all.chain(each.flatten())
}

/// The schemas of which one applies. Those that only say what must be given are no schemas of a value.
fn alternatives(schema: &Value) -> Vec<&Value> {
    let says = ["type", "properties", "items", "prefixItems", "enum", "const", "anyOf", "oneOf"];
    let itself = says.iter().filter(|word| !matches!(**word, "anyOf" | "oneOf")).any(|w| schema.get(w).is_some());
    let options = ["anyOf", "oneOf"].into_iter().filter_map(|word| schema.get(word)?.as_array()).flatten();
    options.filter(|option| !itself || says.iter().any(|word| option.get(word).is_some())).collect()
}

/// The members that must be given, in whatever alternative.
fn required_of(schema: &Value) -> Vec<&str> {
    let options = ["anyOf", "oneOf"].into_iter().filter_map(|word| schema.get(word)?.as_array()).flatten();
    let lists = std::iter::once(schema).chain(options).filter_map(|schema| schema.get("required")?.as_array());
    lists.flatten().filter_map(Value::as_str).collect()
}

/// The member names that a description puts in quotes.
fn quoted(description: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = description;
    while let Some(open) = rest.find(['"', '\'', '`']) {
        let Some(quote) = rest.get(open..).and_then(|r| r.chars().next()) else { break };
        let Some(inner) = rest.get(open + quote.len_utf8()..) else { break };
        let Some(close) = inner.find(quote) else { break };
        let name = inner.get(..close).unwrap_or("");
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if is_name {
            out.push(name);
            rest = inner.get(close + 1..).unwrap_or("");
        } else {
            rest = inner;
        }
    }
    out
}

/// What a name says that its values are.
fn named(words: &[String]) -> Option<SinkKind> {
    // The name of a channel names the channel; a name alone is content.
    let words = match words {
        [rest @ .., last] if last == "name" && rest.last().is_some_and(|w| names_an_object(singular(w))) => rest,
        _ => words,
    };
    let last = singular(words.last()?);
    let any = |list: &str| words.iter().any(|w| holds(list, singular(w)));
    if says_what_or_when(words) && !holds(IDS, last) {
        return None;
    }
    if holds(URLS, last) {
        return Some(SinkKind::Url);
    }
    if holds(AMOUNTS, last) {
        return Some(SinkKind::Amount);
    }
    if any(ACCOUNTS) {
        return Some(SinkKind::Account);
    }
    if holds(IDS, last) {
        return Some(SinkKind::Id);
    }
    if any(PATHS) {
        return Some(SinkKind::Path);
    }
    (any(ADDRESSES) || holds(TARGETS, last)).then_some(SinkKind::Address)
}

fn names_an_object(word: &str) -> bool {
    [PATHS, ADDRESSES, ACCOUNTS].iter().any(|list| holds(list, word))
}

fn says_what_or_when(words: &[String]) -> bool {
    let last = words.last().map_or("", |w| singular(w));
    [CONTENT, TIMES, FORMS, MODES].iter().any(|list| holds(list, last))
}

fn holds(list: &str, word: &str) -> bool {
    list.split(' ').any(|w| w == word)
}

const URLS: &str = "url uri link href website webpage webhook domain host hostname endpoint site";
const AMOUNTS: &str = "amount price sum fee quantity total cost payment budget tip";
const ACCOUNTS: &str = "account iban bic payee wallet card beneficiary payment bank creditor debtor";
const IDS: &str = "id uuid guid number no key ref reference sha hash username handle slug code isbn sku identifier";
const PATHS: &str = "path file filename folder directory dir filepath";
const ADDRESSES: &str = "email mail recipient to cc bcc participant attendee invitee guest receiver phone telephone mobile contact address \
     destination addressee fax user member channel group";
/// Where something leads or to whom it is given, when nothing stands behind it: a `target_language` is none.
const TARGETS: &str = "target assignee";
const CONTENT: &str = "body content text subject message title description summary note comment reason query keyword \
    search term expression thought prompt caption label tag name question answer topic detail data information info \
    purpose memo remark feedback review instruction location place";
const TIMES: &str = "date time day start end hour minute duration until since year month week timezone deadline frequency \
    range period schedule";
const FORMS: &str = "limit page size max min count offset sort order format language unit currency locale result height \
    width color colour";
const MODES: &str = "permission role action operation status state type mode level priority visibility access scope \
    category kind method option setting flag";
