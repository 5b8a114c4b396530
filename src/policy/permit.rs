//! The permit: the witness that a verified caller was granted something. It is made here alone, is not cloned, and is
//! consumed by what drafts the token.

use crate::identity::caller::VerifiedCaller;
use crate::model::decision::Decision;

/// A caller and the decision that grants it something.
#[derive(Debug)]
pub struct Permit {
    caller: VerifiedCaller,
    decision: Decision,
}

/// A decision that grants nothing: not an error, an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(pub Box<Decision>);

impl Permit {
    /// The permit that a decision amounts to. The caller is used up either way: a new request is verified anew.
    ///
    /// # Errors
    /// The decision, when it comes with no token.
    pub fn from_decision(caller: VerifiedCaller, decision: Decision) -> Result<Self, Refused> {
        if decision.grants() { Ok(Self { caller, decision }) } else { Err(Refused(Box::new(decision))) }
    }

    /// Who was granted it.
    #[must_use]
    pub const fn caller(&self) -> &VerifiedCaller {
        &self.caller
    }

    /// What was granted, and why.
    #[must_use]
    pub const fn decision(&self) -> &Decision {
        &self.decision
    }
}

#[cfg(test)]
mod tests;
