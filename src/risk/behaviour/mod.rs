//! Behaviour: what an identity is usually granted, learned from grants alone and a session at a time, and what about a request
//! does not fit. Bounded in memory, updated and looked at in steps that do not grow with history; a fold can rebuild it.
//! Advisory: it gives rise to signals, and never to an outcome. `docs/risk.md` tells it to operators.

mod counts;
mod look;
pub mod model;
mod pace;
pub mod words;

/// Other sessions from which on something can be called unusual, of all or of those that had the tool before. What occurred in
/// none of twenty occurs, nineteen times out of twenty, in less than one of seven.
pub const SESSIONS_ENOUGH: u32 = 20;
/// Different days on which they must have begun, so that no burst of tasks teaches what is usual.
pub const DAYS_ENOUGH: u32 = 3;
/// What occurred in fewer sessions is rare, however few there are: one task teaches nobody what is usual, nor do two.
pub const USUAL_MIN: u32 = 3;
/// What occurred in less than one of so many is rare.
pub const RARE_SHARE: u32 = 100;
/// How long an identity must be known before days of the week are told apart, in seconds: each has come twice by then.
pub const WEEKDAYS_AFTER_SECONDS: u64 = 14 * 24 * 3600;
/// Age from which on an SVID is old, and again for each time it has lived as long, in seconds. SPIRE issues them for an hour.
pub const SVID_OLD_SECONDS: u64 = 24 * 3600;

/// How often something is seen that is too rare to be usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rarity {
    Never,
    Rarely,
}

/// How unusual what was seen so often is; `None` when it is usual, or too little is known.
const fn rarity(times: u32, of: u32) -> Option<Rarity> {
    if of < SESSIONS_ENOUGH {
        None
    } else if times == 0 {
        Some(Rarity::Never)
    } else if is_usual(times, of) {
        None
    } else {
        Some(Rarity::Rarely)
    }
}

/// True for what was seen often enough, whether or not much is known.
const fn is_usual(times: u32, of: u32) -> bool {
    times >= USUAL_MIN && times.saturating_mul(RARE_SHARE) >= of
}

#[cfg(test)]
mod tests;
