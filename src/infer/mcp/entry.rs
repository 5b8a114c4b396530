//! Proposals as entries of `catalogue.toml`, with what was hinted and what to look at in comments above each.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::is_hidden;
use super::propose::{Proposal, one_line};
use crate::catalogue::tool::{Catalogue, OutsiderFields};

/// Longest comment line; longer ones are cut.
const COMMENT_CHARS_MAX: usize = 300;

/// The text for these proposals. `against` is the catalogue that they are meant for: its data classes are declared there.
#[must_use]
pub fn text(proposals: &[&Proposal], against: Option<&Catalogue>) -> String {
    let mut out = String::from(HEAD);
    let classes: BTreeSet<&str> =
        proposals.iter().flat_map(|p| &p.tool.data_classes).map(|class| class.as_str()).collect();
    let missing: Vec<&str> =
        classes.into_iter().filter(|class| !against.is_some_and(|catalogue| catalogue.declares(class))).collect();
    if !missing.is_empty() {
        let comment = if against.is_some() { "# " } else { "" };
        if against.is_some() {
            out.push_str("\n# To be declared with the others:");
        }
        let _infallible = writeln!(out, "\n{comment}[data_classes]");
        for class in missing {
            let _infallible = writeln!(out, "{comment}{} = \"sensitive\"", quoted(class));
        }
    }
    for proposal in proposals {
        write(proposal, &mut out);
    }
    out
}

const HEAD: &str = "\
# Proposed from what a server says of its tools. It proves nothing: its hints made entries stricter, and none milder.
# Nobody owns these tools yet, so none of them is granted. Whoever puts an owner here has read the definition, and answers for it.
";

fn write(proposal: &Proposal, out: &mut String) {
    let tool = &proposal.tool;
    let mut line = |text: String| {
        let _infallible = writeln!(out, "{text}");
    };
    line(String::new());
    for mark in &proposal.marks {
        line(format!("# LOOK: {}", one_line(mark, COMMENT_CHARS_MAX)));
    }
    let hints: Vec<String> = proposal.hints.given().iter().map(|(name, hint)| format!("{name} = {hint}")).collect();
    if !hints.is_empty() {
        line(format!("# hinted by its server: {}", hints.join(", ")));
    }
    for why in &proposal.because {
        line(format!("# {}", one_line(why, COMMENT_CHARS_MAX)));
    }
    line(format!("[tools.{}]", quoted(tool.name.as_str())));
    line(format!("description = {}", quoted(&tool.description)));
    line(format!("effect = {}", quoted(tool.effect.as_str())));
    line(format!("privilege = {}", tool.privilege));
    if !tool.data_classes.is_empty() {
        line(format!("data_classes = {}", list(tool.data_classes.iter().map(|class| class.as_str()))));
    }
    line("# owner = \"group:…\" is missing: who answers for it?".to_owned());
    match &tool.audience {
        Some(audience) => line(format!("audience = {}", quoted(audience.as_str()))),
        None => line("# audience = \"https://…\" is missing: any resource server may offer it.".to_owned()),
    }
    if !tool.sinks.is_empty() {
        let sinks = tool.sinks.iter().map(|s| format!("{} = {}", quoted(&s.name), quoted(s.kind.as_str())));
        line(format!("sinks = {{ {} }}", sinks.collect::<Vec<_>>().join(", ")));
    }
    match &tool.outsider_fields {
        OutsiderFields::None => {}
        OutsiderFields::All => line("outsider_fields = \"all\"".to_owned()),
        OutsiderFields::Paths(paths) => {
            line(format!("outsider_fields = {}", list(paths.iter().map(String::as_str))));
        }
    }
    if let Some(digest) = &tool.definition_digest {
        line(format!("definition_digest = {}", quoted(digest)));
    }
}

fn list<'a>(items: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", items.map(quoted).collect::<Vec<_>>().join(", "))
}

/// A basic string of TOML, in which nothing is hidden.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() || is_hidden(c) => {
                let _infallible = write!(out, "\\U{:08X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
