//! Decisions: what policy answered, and why.

use serde::{Deserialize, Serialize};

use super::id::{ApprovalId, GlassId, PolicyId, ToolName};
use super::reason::ReasonCode;
use super::risk::Assessment;
use super::time::Ttl;

/// What policy answered, mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A token as asked.
    Granted,
    /// A token with less.
    Narrowed,
    /// Nothing yet: the initiator must confirm this very request.
    StepUp,
    /// Nothing yet: an independent reviewer must approve.
    Review,
    /// Nothing.
    Denied,
}

impl Outcome {
    /// Every outcome, mildest first.
    pub const ALL: [Self; 5] = [Self::Granted, Self::Narrowed, Self::StepUp, Self::Review, Self::Denied];

    /// The name in policies and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Narrowed => "narrowed",
            Self::StepUp => "step_up",
            Self::Review => "review",
            Self::Denied => "denied",
        }
    }

    /// True when people may cure it.
    #[must_use]
    pub const fn waits_for_people(self) -> bool {
        matches!(self, Self::StepUp | Self::Review)
    }

    /// True when it comes with a token.
    #[must_use]
    pub const fn is_grant(self) -> bool {
        matches!(self, Self::Granted | Self::Narrowed)
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One reason of a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What it is.
    pub code: ReasonCode,
    /// Which entry it concerns, from 0; `None` when it concerns the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<u32>,
    /// The policy that gave it, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyId>,
    /// What it is about, in a few words for a reviewer: never told to an agent.
    #[serde(default)]
    pub detail: String,
}

impl Reason {
    /// One sentence for a reviewer: what is doubtful, and of which value, with the place where it stands.
    #[must_use]
    pub fn in_words(&self) -> String {
        let sentence = self.code.for_reviewer();
        match self.code {
            _ if self.detail.is_empty() => sentence.to_owned(),
            // What is said of values is the whole of it.
            ReasonCode::SinkInText
            | ReasonCode::SinkUnseen
            | ReasonCode::SinkNotNamed
            | ReasonCode::ContentDictated => format!("{}.", self.detail),
            _ => format!("{}: {}.", sentence.trim_end_matches('.'), self.detail),
        }
    }
}

/// What was decided about one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryDecision {
    /// The tool asked for.
    pub tool: ToolName,
    /// Its own outcome; an entry that is `narrowed` here is left out of the grant when others remain.
    pub outcome: Outcome,
    /// True when the grant covers it.
    pub included: bool,
    /// The actions that are granted; empty unless included.
    pub actions: Vec<String>,
    /// The resources that are granted.
    pub resources: Vec<String>,
    /// How many calls the token is good for; `None` when there is no limit.
    pub calls_max: Option<u32>,
    /// True when policy would not have included it, and it is included because policy only observes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub observed_only: bool,
}

/// What policy answered to one question. A function of the facts and the policy bundle alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The answer.
    pub outcome: Outcome,
    /// Why, strictest first. `granted` has none.
    pub reasons: Vec<Reason>,
    /// The policies that determined it, permits included, in the order of their ids.
    pub policies: Vec<PolicyId>,
    /// What was decided about each entry, in the order of the request.
    pub entries: Vec<EntryDecision>,
    /// The risk that it was decided at.
    pub risk: Assessment,
    /// The longest life of the token, by the strictest policy that applied.
    pub ttl_max: Ttl,
    /// Approvals that would cure it; 0 when none can or none is needed.
    pub approvals_needed: u32,
    /// The approval without which it would not be a grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalId>,
    /// The glass without which it would not be a grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub glass: Option<GlassId>,
    /// What was done instead, where policy only observes and its answer was not enforced: granted, or narrowed by what observing
    /// does not lift. `None` where the answer holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead: Option<Outcome>,
    /// True when the token is to be bound to no key, because the caller proved none and policy grants it nevertheless.
    #[serde(default)]
    pub unbound: bool,
}

impl Decision {
    /// True when policy's answer was only observed: something is granted that it would have withheld.
    #[must_use]
    pub const fn observed_only(&self) -> bool {
        self.instead.is_some()
    }

    /// What holds: the answer, or what was done instead of it.
    #[must_use]
    pub const fn in_force(&self) -> Outcome {
        match self.instead {
            Some(instead) => instead,
            None => self.outcome,
        }
    }

    /// True when it comes with a token.
    #[must_use]
    pub const fn grants(&self) -> bool {
        self.in_force().is_grant()
    }

    /// The same as if its answer had been enforced: what it would have covered, and nothing that was granted all the same.
    #[must_use]
    pub fn enforced(&self) -> Self {
        let mut enforced = Self { instead: None, ..self.clone() };
        enforced.unbound &= self.outcome.is_grant();
        for entry in enforced.entries.iter_mut().filter(|entry| entry.observed_only) {
            (entry.included, entry.observed_only) = (false, false);
            (entry.actions, entry.resources) = (Vec::new(), Vec::new());
        }
        enforced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(code: ReasonCode, detail: &str) -> String {
        Reason { code, entry: Some(0), policy: None, detail: detail.to_owned() }.in_words()
    }

    #[test]
    fn a_reviewer_reads_one_sentence_for_each_reason() {
        let place = "`to` stands only in the text of `mail.read`'s result, in `body` (call 3)";
        assert_eq!(told(ReasonCode::SinkInText, place), format!("{place}."));
        assert_eq!(
            told(ReasonCode::HighPrivilege, "privilege 70"),
            "The privilege of the tool asks for a review: privilege 70."
        );
        assert_eq!(told(ReasonCode::HighPrivilege, ""), "The privilege of the tool asks for a review.");
    }
}
