//! What it takes to put a policy bundle in force: whose signatures it must have, and how many persons. What policy says is in the
//! bundle and not here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::config::people::PeopleSettings;
use crate::config::quantity::Span;
use crate::config::settings::{Check, TOLD_CHARS_MAX};
use crate::model::limits::SIGNING_KEYS_MAX;
use crate::model::person::Right;

/// As it was written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenPolicy {
    #[serde(default)]
    signing_keys: Vec<WrittenKey>,
    signatures_required: Option<u32>,
    activation_persons: Option<u32>,
    proposal_stands: Option<Span>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenKey {
    name: String,
    public_key: Option<String>,
    public_key_file: Option<PathBuf>,
}

/// What it takes to put a policy bundle in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySettings {
    /// Whose signatures count; without any a bundle need not be signed.
    pub signing_keys: Vec<SigningKeySettings>,
    /// How many signers must have signed: 0 exactly when there are no keys.
    pub signatures_required: u32,
    /// How many persons it takes: 1 or 2.
    pub activation_persons: u32,
    /// How long a proposal waits for the second.
    pub proposal_stands: Duration,
}

/// A key that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKeySettings {
    /// Whose it is.
    pub name: String,
    /// Where it stands.
    pub key: PublicKeySource,
}

/// Where a public key stands: a JWK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKeySource {
    /// In the configuration itself.
    Text(String),
    /// In a file.
    File(PathBuf),
}

/// Time for the second person to be found and to look, when the file does not say.
pub const PROPOSAL_STANDS_DEFAULT: Duration = Duration::from_secs(3600);
/// Most persons that it can take.
const PERSONS_MAX: u32 = 2;
const MINUTE: Duration = Duration::from_secs(60);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// Says what was written means, or tells `check` what is wrong with it.
pub(super) fn policy(check: &mut Check, written: WrittenPolicy, people: Option<&PeopleSettings>) -> PolicySettings {
    let WrittenPolicy { signing_keys, signatures_required, activation_persons, proposal_stands } = written;
    if signing_keys.len() > SIGNING_KEYS_MAX {
        check.problem("policy.signing_keys", format!("are more than {SIGNING_KEYS_MAX}"));
    }
    let signing_keys: Vec<SigningKeySettings> =
        signing_keys.into_iter().filter_map(|written| signing_key(check, written)).collect();
    let names: BTreeSet<&str> = signing_keys.iter().map(|key| key.name.as_str()).collect();
    let mut alike: BTreeMap<String, &str> = BTreeMap::new();
    for name in names.iter().copied() {
        if let Some(first) = alike.insert(as_heard(name), name) {
            // Signers are counted by name: two keys of one person would make two of them.
            let first = told(first).escape_debug().to_string();
            check.problem(
                &format!("policy.signing_keys `{}`", told(name).escape_debug()),
                format!("differs from `{first}` by case or blanks alone: a signer has one name"),
            );
        }
    }
    let required = signatures_required.unwrap_or(u32::from(!names.is_empty()));
    match (required, names.len()) {
        (0, 1..) => {
            check.problem("policy.signatures_required", "is 0, so the signatures of `signing_keys` mean nothing")
        }
        (1.., 0) => check.problem("policy.signatures_required", "means nothing without `signing_keys`"),
        (required, names) if usize::try_from(required).is_ok_and(|required| required > names) => {
            check.problem("policy.signatures_required", format!("is above the number of signers, {names}"));
        }
        _ => {}
    }
    let persons = check.within("policy.activation_persons", activation_persons.unwrap_or(1), 1..=PERSONS_MAX);
    // What is wrong with people is told there.
    if let Some(people) = people.filter(|_| (2..=PERSONS_MAX).contains(&persons)) {
        let may = people.persons.iter().filter(|person| person.may.contains(&Right::ActivatePolicy)).count();
        if people.door.is_none() || may < 2 {
            check.problem(
                "policy.activation_persons",
                format!("takes the people's door, and two persons who may activate policy; there are {may}"),
            );
        }
    }
    let stands = proposal_stands.unwrap_or(Span(PROPOSAL_STANDS_DEFAULT));
    let stands = check.within("policy.proposal_stands", stands, Span(MINUTE)..=Span(WEEK));
    PolicySettings {
        signing_keys,
        signatures_required: required,
        activation_persons: persons,
        proposal_stands: stands.0,
    }
}

/// The name without what is not heard of it.
fn as_heard(name: &str) -> String {
    name.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect()
}

fn told(name: &str) -> String {
    name.chars().take(TOLD_CHARS_MAX).collect()
}

fn signing_key(check: &mut Check, written: WrittenKey) -> Option<SigningKeySettings> {
    let setting = format!("policy.signing_keys `{}`", told(&written.name));
    let key = match (written.public_key, written.public_key_file) {
        (Some(text), None) => PublicKeySource::Text(text),
        (None, Some(file)) => PublicKeySource::File(file),
        _ => {
            check.problem(&setting, "needs either `public_key` or `public_key_file`");
            return None;
        }
    };
    Some(SigningKeySettings { name: written.name, key })
}

#[cfg(test)]
mod tests;
