//! How break-glass is opened: how long it stands open, how long its tokens live, and when its review is overdue.

use std::time::Duration;

use crate::config::file::BreakGlass;
use crate::config::quantity::Span;
use crate::config::settings::Check;
use crate::model::glass::{LIFE_DEFAULT, REVIEW_WITHIN_DEFAULT};
use crate::model::limits::{GLASS_SECONDS_MAX, TTL_SECONDS_DEFAULT, TTL_SECONDS_MAX};
use crate::model::time::Ttl;

/// How break-glass is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakGlassSettings {
    /// How long it stands open when who opens it does not say.
    pub life_default: Duration,
    /// How long it may stand open.
    pub life_max: Duration,
    /// The longest life of a token that was granted through it.
    pub ttl_max: Ttl,
    /// How long after its time a post-review is overdue.
    pub review_within: Duration,
}

const SECOND: Duration = Duration::from_secs(1);
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

/// Says what was written means, or tells `check` what is wrong with it.
pub(super) fn break_glass(check: &mut Check, written: &BreakGlass) -> BreakGlassSettings {
    let mut span = |setting, value: Option<Span>, default, max| {
        check.within(setting, value.unwrap_or(Span(default)), Span(SECOND)..=Span(max)).0
    };
    let longest = Duration::from_secs(GLASS_SECONDS_MAX);
    let life_max = span("break_glass.life_max", written.life_max, longest, longest);
    let life_default = span("break_glass.life_default", written.life_default, LIFE_DEFAULT.min(life_max), longest);
    let ttl_default = Duration::from_secs(TTL_SECONDS_DEFAULT);
    let ttl = span("break_glass.ttl_max", written.ttl_max, ttl_default, Duration::from_secs(TTL_SECONDS_MAX));
    let review_within = span("break_glass.review_within", written.review_within, REVIEW_WITHIN_DEFAULT, MONTH);
    if life_default > life_max {
        check.problem("break_glass.life_default", "is above `break_glass.life_max`");
    }
    let ttl_max = check.kept("break_glass.ttl_max", Ttl::from_secs(ttl.as_secs())).unwrap_or(Ttl::DEFAULT);
    BreakGlassSettings { life_default, life_max, ttl_max, review_within }
}
