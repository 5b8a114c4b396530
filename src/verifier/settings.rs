//! What a verifier is told about itself and its issuer.

use std::time::Duration;

use crate::model::id::Audience;
use crate::model::limits::{NOT_BEFORE_SKEW_SECONDS, TTL_SECONDS_MAX};
use crate::token::claims::Issuer;
use crate::token::header::TokenType;

/// Settings of a verifier. The limits are as good as the issuer's promises; making them shorter is always safe.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The one issuer, byte for byte.
    pub issuer: Issuer,
    /// Its own name, byte for byte.
    pub audience: Audience,
    /// The type of its tokens.
    pub kind: TokenType,
    /// The longest life of a token that it accepts.
    pub life_max: Duration,
    /// How far the issuer's clock may be ahead or behind.
    pub skew: Duration,
    /// How often it fetches the issuer's keys. This is the longest that a key which the issuer distrusts is still good here,
    /// as long as the issuer can be reached.
    pub keys_every: Duration,
    /// How old its copy of the issuer's keys may be when they cannot be fetched.
    pub keys_age_max: Duration,
    /// How long it waits between two attempts to fetch them, whoever shows it unknown keys.
    pub refresh_cooldown: Duration,
    /// How old its view of revocations may be. This is the longest that a revoked token can still be used here.
    pub view_age_max: Duration,
    /// Whether it accepts tokens that are bound to no key.
    pub binding: Binding,
    /// How long it remembers uses of a grant, at least. A grant that is older and that it has never met is not counted but
    /// refused, for it may have been used and forgotten.
    pub uses_memory: Duration,
    /// Most grants whose uses it counts at a time. When they are more, it refuses.
    pub uses_max: usize,
}

/// Whether a token must be bound to the key of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// It must be.
    Required,
    /// One that is not bound is good for whoever shows it.
    DangerUnboundAccepted,
}

impl Settings {
    /// The defaults for this issuer and this resource server.
    #[must_use]
    pub const fn new(issuer: Issuer, audience: Audience) -> Self {
        Self {
            issuer,
            audience,
            kind: TokenType::AccessToken,
            life_max: Duration::from_secs(TTL_SECONDS_MAX),
            skew: Duration::from_secs(NOT_BEFORE_SKEW_SECONDS),
            keys_every: Duration::from_secs(60),
            keys_age_max: Duration::from_secs(600),
            refresh_cooldown: Duration::from_secs(30),
            view_age_max: Duration::from_secs(15),
            binding: Binding::Required,
            uses_memory: Duration::from_secs(3600),
            uses_max: 1_000_000,
        }
    }
}
