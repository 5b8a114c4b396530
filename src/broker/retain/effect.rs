//! What another look at a live grant does to it.

use super::Candidate;
use crate::model::decision::{Decision, Outcome};
use crate::model::reason::ReasonCode;
use crate::pb::journal::grant_reconsidered::Effect;

/// What the answer means for the grant that was granted with that outcome `then`; `None` when it stays as it is.
pub(super) fn effect_of(decision: &Decision, then: Outcome, candidate: &Candidate) -> Option<Effect> {
    // INVARIANT: what can't be undone takes a rule. An evaluation that failed is no rule.
    let says = |code| decision.reasons.iter().any(|r| r.code == code);
    let (failed, outlived) = (says(ReasonCode::PolicyError), says(ReasonCode::OutlivesTask));
    match decision.in_force() {
        // What was narrowed when it was granted is not worse for being narrowed still, unless it is for what came since.
        now if now <= then && !outlived => {
            // Where policy only observes, what it would have taken is kept; each such answer is recorded once.
            let news = decision.observed_only() && candidate.observed != Some(decision.outcome);
            match (candidate.drifting, news) {
                (true, _) => Some(Effect::Restored),
                (false, true) => Some(Effect::Kept),
                (false, false) => None,
            }
        }
        Outcome::Denied if !failed => Some(Effect::Revoked),
        _ => (!candidate.drifting).then_some(Effect::Suspended),
    }
}

/// True for what takes something away: it may use the space that is held back.
pub(super) fn tightens(effect: Effect) -> bool {
    matches!(effect, Effect::Suspended | Effect::Revoked)
}
