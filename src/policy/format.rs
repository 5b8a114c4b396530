//! The one form of a file of policies: Cedar's own formatter over each policy, with comments where they stood. What it gives is
//! used only when it says the same: the same policies with the same annotations, and the same comments in the same order.

use cedar_policy::ffi::{FormattingAnswer, FormattingCall, format};
use serde_json::{Value, json};

use super::error::Problem;
use super::rules::parse;

/// Widest line that is aimed at. An annotation is never broken.
pub const LINE_CHARS: usize = 100;
/// Blanks of one level.
const INDENT_CHARS: usize = 2;
/// How often a text is formatted at most until it no longer changes.
const ROUNDS_MAX: usize = 4;

/// The text in its one form.
///
/// # Errors
/// When it does not parse, or cannot be formatted without changing what it says; with the line, where one is to blame.
pub fn formatted(path: &str, text: &str) -> Result<String, Vec<Problem>> {
    let meaning = meaning(path, text)?;
    let comments = comments(text);
    let mut now = text.to_owned();
    for _ in 0..ROUNDS_MAX {
        let next = once(path, &now)?;
        if self::meaning(path, &next)? != meaning {
            return Err(vec![Problem::new(
                path,
                "formatting would change what a policy means, so it is left as it is",
            )]);
        }
        if let Some(lost) = first_difference(&comments, &self::comments(&next)) {
            let message =
                format!("formatting would lose or move the comment `{lost}`: put it on a line above the policy");
            return Err(vec![Problem::new(path, message)]);
        }
        if next == now {
            return Ok(now);
        }
        now = next;
    }
    Err(vec![Problem::new(path, "formatting comes to no end")])
}

fn once(path: &str, text: &str) -> Result<String, Vec<Problem>> {
    let broken = |line: usize| vec![Problem::new(path, format!("line {line}: the policy has no end"))];
    let mut parts = Vec::new();
    for piece in pieces(text).map_err(broken)? {
        parts.push(match piece {
            Piece::Note(note) => note.lines().map(str::trim).collect::<Vec<_>>().join("\n"),
            Piece::Policy(policy) => pretty(policy).map_err(|message| vec![Problem::new(path, message)])?,
        });
    }
    let mut out = parts.join("\n\n");
    if !out.is_empty() {
        out.push('\n');
    }
    Ok(out)
}

fn pretty(policy: &str) -> Result<String, String> {
    let call = json!({ "policyText": policy, "lineWidth": LINE_CHARS, "indentWidth": INDENT_CHARS });
    let call: FormattingCall = serde_json::from_value(call).map_err(|e| e.to_string())?;
    match format(call) {
        FormattingAnswer::Success { formatted_policy } => Ok(formatted_policy.trim_end().to_owned()),
        FormattingAnswer::Failure { errors } => {
            Err(errors.into_iter().map(|e| e.message).collect::<Vec<_>>().join("; "))
        }
    }
}

/// What a text says to Cedar: its policies in their order, with their annotations.
fn meaning(path: &str, text: &str) -> Result<Vec<Value>, Vec<Problem>> {
    let set = parse(path, text)?;
    // Ids are numbers in the order of the text: `policy0`, `policy1`, …
    let mut policies: Vec<_> = set.policies().collect();
    policies.sort_by_key(|policy| {
        let id = policy.id().to_string();
        (id.len(), id)
    });
    let json = |policy: &cedar_policy::Policy| policy.to_json().map_err(|e| vec![Problem::new(path, e.to_string())]);
    policies.into_iter().map(json).collect()
}

/// A part of a file.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    /// Comments that stand by themselves.
    Note(&'a str),
    /// A policy, with the comments above it and the one behind it.
    Policy(&'a str),
}

/// The parts of a file: comments that an empty line sets apart stand by themselves, all others belong to a policy.
///
/// # Errors
/// The line at which a policy begins that does not end.
fn pieces(text: &str) -> Result<Vec<Piece<'_>>, usize> {
    let mut out = Vec::new();
    // Where the comments begin that stand right above.
    let mut above: Option<usize> = None;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let line = rest.split_inclusive('\n').next().unwrap_or(rest);
        let trimmed = line.trim();
        if trimmed.is_empty() {
            out.extend(above.take().and_then(|from| text.get(from..at)).map(Piece::Note));
            at += line.len();
        } else if trimmed.starts_with("//") {
            above.get_or_insert(at);
            at += line.len();
        } else {
            let from = above.take().unwrap_or(at);
            let begins = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
            at += policy_len(rest).ok_or(begins)?;
            out.extend(text.get(from..at).map(Piece::Policy));
        }
    }
    out.extend(above.and_then(|from| text.get(from..)).map(Piece::Note));
    Ok(out)
}

/// How far the policy goes with which a text begins: through its semicolon, and a comment behind it on the same line.
fn policy_len(text: &str) -> Option<usize> {
    let end = Tokens::new(text).find(|token| token.text == ";").map(|token| token.at + 1)?;
    let line = text.get(end..)?.split('\n').next().unwrap_or_default();
    let is_comment = line.trim_start().starts_with("//");
    Some(if is_comment { end + line.len() } else { end })
}

/// The comments of a text, in their order.
fn comments(text: &str) -> Vec<String> {
    Tokens::new(text).filter(|token| token.text.starts_with("//")).map(|token| token.text.trim().to_owned()).collect()
}

fn first_difference<'a>(before: &'a [String], after: &'a [String]) -> Option<&'a str> {
    let differs = before.iter().zip(after).find(|(b, a)| b != a).map(|(b, _)| b.as_str());
    differs.or_else(|| before.get(after.len()).or_else(|| after.get(before.len())).map(String::as_str))
}

/// The comments, strings and semicolons of a text: all that it takes to tell where policies end.
struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

struct Token<'a> {
    at: usize,
    text: &'a str,
}

impl<'a> Tokens<'a> {
    const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let rest = self.text.get(self.at..)?;
        let next = [rest.find("//"), rest.find('"'), rest.find(';')].into_iter().flatten().min()?;
        let token = rest.get(next..)?;
        let len = match token.as_bytes().first()? {
            b'/' => token.find('\n').unwrap_or(token.len()),
            b'"' => string_len(token),
            _ => 1,
        };
        let at = self.at + next;
        self.at = at + len;
        Some(Token { at, text: token.get(..len)? })
    }
}

/// Length of the string with which a text begins, with its quotes.
fn string_len(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests;
