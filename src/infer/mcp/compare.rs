//! A listing held against the catalogue that was made from an earlier one: which definitions changed, which tools are new, and
//! which are gone. A tool that keeps its name and changes its definition is another tool.

use super::Listing;
use crate::catalogue::tool::{Catalogue, Tool};
use crate::model::id::{Audience, ToolName};
use crate::model::sink::alike;

/// How a tool stands to the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The definition is the one that the catalogue pins.
    Same,
    /// The definition is another one.
    Changed,
    /// The catalogue has the tool and pins no definition.
    Unpinned,
    /// The catalogue has no such tool.
    Added,
    /// The catalogue has no such tool, and one whose name it can be taken for.
    LooksLike(ToolName),
    /// The catalogue gives the name to another audience.
    OfAnother(Audience),
    /// The catalogue has the tool, and the listing does not.
    Gone,
}

impl Standing {
    /// The name in lists.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Changed => "changed",
            Self::Unpinned => "unpinned",
            Self::Added => "added",
            Self::LooksLike(_) => "looks_like",
            Self::OfAnother(_) => "of_another",
            Self::Gone => "gone",
        }
    }

    /// What else is to be told.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::LooksLike(other) => format!("can be taken for `{}`", other.as_str().escape_debug()),
            Self::OfAnother(audience) => format!("is offered by {audience}"),
            Self::Unpinned => "the catalogue has no `definition_digest` for it".to_owned(),
            _ => String::new(),
        }
    }
}

/// Every tool of the listing in its order, then those that are gone. The server's own are those of its audience; where none is
/// named, those that pin a definition.
#[must_use]
pub fn compare(listing: &Listing, catalogue: &Catalogue, audience: Option<&Audience>) -> Vec<(ToolName, Standing)> {
    let mut out = Vec::new();
    for listed in &listing.tools {
        let standing = match catalogue.tool(&listed.name) {
            Some(known) => of_known(known, &listed.definition_digest, audience),
            None => {
                let mut names = catalogue.tools().map(|tool| &tool.name);
                let other = names.find(|name| alike::are(name.as_str(), listed.name.as_str()));
                other.map_or(Standing::Added, |other| Standing::LooksLike(other.clone()))
            }
        };
        out.push((listed.name.clone(), standing));
    }
    let own = |tool: &&Tool| match audience {
        Some(audience) => tool.audience.as_ref() == Some(audience),
        None => tool.definition_digest.is_some(),
    };
    let listed = |tool: &&Tool| listing.tools.iter().any(|listed| listed.name == tool.name);
    let gone = catalogue.tools().filter(own).filter(|tool| !listed(tool));
    out.extend(gone.map(|tool| (tool.name.clone(), Standing::Gone)));
    out
}

fn of_known(known: &Tool, digest: &str, audience: Option<&Audience>) -> Standing {
    match (&known.audience, audience, &known.definition_digest) {
        (Some(other), Some(own), _) if other != own => Standing::OfAnother(other.clone()),
        (_, _, None) => Standing::Unpinned,
        (_, _, Some(pinned)) if pinned == digest => Standing::Same,
        _ => Standing::Changed,
    }
}
