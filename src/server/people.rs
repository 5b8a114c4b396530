//! From settings to whoever verifies people.

use crate::broker::routing::Directory;
use crate::clock::Clock;
use crate::config::people::{IssuerSettings, PeopleSettings, PersonSettings};
use crate::identity::error::IdentityError;
use crate::identity::people::token::TokenRules;
use crate::identity::people::{IssuerOptions, People, PersonOptions};
use crate::identity::web::WebRoots;
use crate::model::id::Owner;

/// Who vouches for people; `None` when no issuer is configured.
///
/// # Errors
/// When the roots of an issuer's web server cannot be read.
pub(in crate::server) fn people(settings: &PeopleSettings, clock: &Clock) -> Result<Option<People>, IdentityError> {
    if settings.issuers.is_empty() {
        return Ok(None);
    }
    let issuers = settings.issuers.iter().map(issuer).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(People::new(issuers, persons(settings), settings.fresh_within, clock)))
}

/// Who reviews, and who answers for whom.
pub(in crate::server) fn directory(settings: &PeopleSettings, escalate_to: Vec<Owner>) -> Directory {
    Directory::new(&persons(settings), settings.groups.clone(), escalate_to)
}

fn persons(settings: &PeopleSettings) -> Vec<PersonOptions> {
    let person = |person: &PersonSettings| PersonOptions {
        name: person.name.clone(),
        accounts: person.accounts.clone(),
        may: person.may.clone(),
    };
    settings.persons.iter().map(person).collect()
}

fn issuer(settings: &IssuerSettings) -> Result<IssuerOptions, IdentityError> {
    Ok(IssuerOptions {
        name: settings.name.clone(),
        rules: TokenRules {
            issuer: settings.issuer.clone(),
            kind: settings.token,
            algorithms: settings.algorithms.clone(),
            clients: settings.clients.clone(),
            life_max: settings.token_life_max,
        },
        audience: settings.audience.clone(),
        initiator_audience: settings.initiator_audience.clone(),
        initiator_clients: settings.initiator_clients.clone(),
        roots: WebRoots::load(settings.ca_file.as_deref())?,
    })
}
