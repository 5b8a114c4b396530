//! The device flow (RFC 8628) a step at a time: what an issuer's answers mean, and how long to wait before the next question.
//! It asks nobody and reads no clock. What an issuer says goes to a terminal without its control characters.

use std::time::Duration;

use zeroize::{Zeroize as _, Zeroizing};

use crate::cli::error::CliError;
use crate::cli::output::paint::harmless;
use crate::jose::jws::Unverified;
use crate::jose::profile::{ACCESS_TOKEN, ID_TOKEN};
use crate::model::json::Json;
use crate::model::person::PersonTokenKind;
use crate::model::time::Timestamp;

/// §3.4
pub(in crate::cli::login) const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// How long to wait between two questions when the issuer does not say (§3.2), and how much longer when it is asked too often
/// (§3.5).
const INTERVAL_DEFAULT: Duration = Duration::from_secs(5);
const SLOW_DOWN_BY: Duration = Duration::from_secs(5);
/// Least time between two questions, whatever the issuer says.
const INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Longest life of a code that we go along with.
const CODE_LIFE_MAX: Duration = Duration::from_secs(1800);
/// How much the issuer's clock and ours may differ.
const SKEW: Duration = Duration::from_secs(15);

/// What an issuer answered. It may hold secrets, and is wiped.
pub(in crate::cli::login) struct Answer {
    status: u16,
    said: Json,
}

impl Answer {
    /// An answer with that text; one that is no object says nothing.
    pub(in crate::cli::login) fn new(status: u16, text: &str) -> Self {
        Self { status, said: Json::parse_object(text, ANSWER_BYTES_MAX).unwrap_or(Json::Null) }
    }

    /// The token of that kind, where it is one that may be shown as ours is (RFC 6750).
    ///
    /// # Errors
    /// When there is none.
    pub(in crate::cli::login) fn token(&self, kind: PersonTokenKind) -> Result<Zeroizing<String>, CliError> {
        let member = kind.as_str();
        let Some(token) = self.text(member) else {
            return Err(CliError::remote(
                format!("the issuer gave no `{member}`"),
                "ask for another scope or audience",
            ));
        };
        let bearer = self.text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("Bearer"));
        if kind == PersonTokenKind::AccessToken && !bearer {
            return Err(CliError::remote("the token cannot be used", "its `token_type` is not `Bearer`"));
        }
        Ok(Zeroizing::new(token.to_owned()))
    }

    /// How many seconds the access token is good for, where the issuer says so.
    pub(in crate::cli::login) fn expires_in(&self) -> Option<u64> {
        self.number("expires_in")
    }

    /// What the issuer says went wrong (RFC 6749 §5.2).
    fn refused(&self) -> CliError {
        let Some(code) = self.text("error") else {
            return CliError::remote("the issuer refused", format!("it answers with status {}", self.status));
        };
        let why = match self.text("error_description") {
            Some(why) => format!("{code}: {why}"),
            None => code.to_owned(),
        };
        CliError::remote("the issuer refused", harmless(&why, false))
    }

    fn text(&self, member: &str) -> Option<&str> {
        match self.said.member(member) {
            Some(Json::String(text)) => Some(text),
            _ => None,
        }
    }

    fn number(&self, member: &str) -> Option<u64> {
        match self.said.member(member) {
            Some(Json::Number(digits)) => digits.parse().ok(),
            _ => None,
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        wipe(&mut self.said);
    }
}

fn wipe(json: &mut Json) {
    match json {
        Json::Null | Json::Bool(_) => {}
        Json::Number(text) | Json::String(text) => text.zeroize(),
        Json::Array(items) => items.iter_mut().for_each(wipe),
        Json::Object(members) => members.iter_mut().for_each(|(_, value)| wipe(value)),
    }
}

/// A login that was begun: what the person is to do, and until when.
pub(in crate::cli::login) struct Begun {
    pub(in crate::cli::login) device_code: Zeroizing<String>,
    pub(in crate::cli::login) life: Duration,
    pub(in crate::cli::login) pace: Pace,
    code: String,
    open: String,
    open_complete: Option<String>,
}

impl Begun {
    /// What the issuer answered to the first request (§3.2).
    ///
    /// # Errors
    /// When it refused, or left out what it must say.
    pub(in crate::cli::login) fn read(answer: &Answer) -> Result<Self, CliError> {
        if answer.status != 200 {
            return Err(answer.refused());
        }
        let required = |member: &str| {
            answer.text(member).ok_or_else(|| CliError::remote(format!("the issuer gave no `{member}`"), "it must"))
        };
        let seconds = |member| answer.number(member).map(Duration::from_secs);
        let shown = |text: &str| harmless(text, false).into_owned();
        Ok(Self {
            device_code: Zeroizing::new(required("device_code")?.to_owned()),
            life: seconds("expires_in").unwrap_or(CODE_LIFE_MAX).min(CODE_LIFE_MAX),
            pace: Pace(seconds("interval").unwrap_or(INTERVAL_DEFAULT).clamp(INTERVAL_MIN, CODE_LIFE_MAX)),
            code: shown(required("user_code")?),
            open: shown(required("verification_uri")?),
            open_complete: answer.text("verification_uri_complete").map(shown),
        })
    }

    /// What the person is told.
    pub(in crate::cli::login) fn told(&self) -> Vec<String> {
        let first = format!("open {} and enter the code {}", self.open, self.code);
        let other = self.open_complete.as_ref().map(|complete| format!("or open {complete}"));
        std::iter::once(first).chain(other).collect()
    }
}

/// How long to wait between two questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli::login) struct Pace(Duration);

/// What to do after a question.
#[derive(Debug)]
pub(in crate::cli::login) enum Step {
    /// The answer holds the tokens.
    Done,
    /// Ask again.
    Again,
    /// The person will not, or the code is of no use any more.
    Refused(CliError),
}

impl Pace {
    pub(in crate::cli::login) const fn interval(self) -> Duration {
        self.0
    }

    /// What an answer means; `None` when there was none. An issuer that is away for a moment, or has too much to do, does not
    /// end a login that the person may have confirmed already: it is asked less often (§3.5).
    pub(in crate::cli::login) fn step(&mut self, answer: Option<&Answer>) -> Step {
        let Some(answer) = answer else {
            self.0 *= 2;
            return Step::Again;
        };
        match (answer.status, answer.text("error")) {
            (200, _) => Step::Done,
            (_, Some("authorization_pending")) => Step::Again,
            (_, Some("slow_down")) => {
                self.0 += SLOW_DOWN_BY;
                Step::Again
            }
            (429 | 500.., _) => {
                self.0 *= 2;
                Step::Again
            }
            _ => Step::Refused(answer.refused()),
        }
    }
}

/// Holds that the person logged in not longer ago than was asked for when the login began: `max_age` is no parameter of the
/// device flow, and issuers may pass it over.
///
/// # Errors
/// When the token says otherwise, or nothing.
pub(in crate::cli::login) fn hold_fresh(
    token: &str,
    kind: PersonTokenKind,
    begun: Timestamp,
    max_age: Duration,
) -> Result<(), CliError> {
    let profile = match kind {
        PersonTokenKind::AccessToken => &ACCESS_TOKEN,
        PersonTokenKind::IdToken => &ID_TOKEN,
    };
    let claims = Unverified::parse(token, profile).and_then(|token| token.danger_unverified_claims());
    let logged_in = claims.ok().and_then(|claims| claims.numeric_date("auth_time").ok().flatten());
    let refused = |why: &str| Err(CliError::remote("the issuer did not let you log in afresh", why));
    match logged_in {
        None => refused("its token does not say when you logged in"),
        Some(at) if begun.since(at) > max_age.saturating_add(SKEW) => refused("log out there first"),
        Some(_) => Ok(()),
    }
}

/// Largest answer of an issuer.
const ANSWER_BYTES_MAX: usize = 256 << 10;

#[cfg(test)]
mod tests;
