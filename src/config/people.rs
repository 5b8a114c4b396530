//! People: their door, the issuers of their tokens, and whose accounts are whose.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::config::quantity::Span;
use crate::config::settings::{CertificateSource, Check, TOLD_CHARS_MAX};
use crate::identity::web::HttpsUrl;
use crate::jose::algorithm::Algorithm;
use crate::model::id::{InitiatorName, Owner};
use crate::model::limits::{NAME_BYTES_MAX, REFERENCE_BYTES_MAX};
use crate::model::person::{PersonTokenKind, Right};
use crate::model::spiffe_pattern::Pattern;

/// People, as the file has them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct People {
    enabled: Option<bool>,
    listen: Option<String>,
    certificate_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    fresh_within: Option<Span>,
    #[serde(default)]
    issuers: Vec<WrittenIssuer>,
    #[serde(default)]
    persons: Vec<WrittenPerson>,
    #[serde(default)]
    groups: Vec<WrittenGroup>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenIssuer {
    name: String,
    issuer: String,
    token: Option<String>,
    audience: Option<String>,
    initiator_audience: Option<String>,
    algorithms: Option<Vec<String>>,
    #[serde(default)]
    clients: Vec<String>,
    initiator_clients: Option<BTreeMap<String, Vec<String>>>,
    token_life_max: Option<Span>,
    ca_file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPerson {
    name: String,
    accounts: Vec<WrittenAccount>,
    #[serde(default)]
    may: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenGroup {
    name: String,
    members: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAccount {
    issuer: String,
    subject: String,
}

/// People: who vouches for them, who they are, and their door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeopleSettings {
    /// Their door; `None` when it stays shut.
    pub door: Option<PeopleDoorSettings>,
    /// How long ago a person may have authenticated for what reaches far.
    pub fresh_within: Duration,
    /// Who vouches for them; without any, nobody is a person.
    pub issuers: Vec<IssuerSettings>,
    /// Whose accounts are whose.
    pub persons: Vec<PersonSettings>,
    /// Who is in which group: owners of tools, mostly.
    pub groups: BTreeMap<Owner, BTreeSet<InitiatorName>>,
}

impl PeopleSettings {
    /// True when a person or a group has that name.
    pub(in crate::config) fn knows(&self, name: &Owner) -> bool {
        self.groups.contains_key(name) || self.persons.iter().any(|person| person.name.as_str() == name.as_str())
    }
}

/// The people's door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeopleDoorSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What it shows: people's machines know no trust bundle, so never the SVID.
    pub certificate: CertificateSource,
}

/// An issuer of people's tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerSettings {
    /// What it is called here.
    pub name: String,
    /// `iss`, an https URL.
    pub issuer: String,
    /// Which of its tokens are for us.
    pub token: PersonTokenKind,
    /// The audience of tokens that people show themselves.
    pub audience: Option<String>,
    /// The audience of tokens that orchestrators hand over.
    pub initiator_audience: Option<String>,
    /// What it signs with.
    pub algorithms: Vec<Algorithm>,
    /// The clients that may get tokens for us; empty for any.
    pub clients: Vec<String>,
    /// The clients whose tokens orchestrators may hand over, each with those orchestrators; `None` for those of `clients`, by any.
    pub initiator_clients: Option<BTreeMap<String, Vec<Pattern>>>,
    /// The longest life of a token that is accepted.
    pub token_life_max: Duration,
    /// The roots of its web server; `None` for the system's.
    pub ca_file: Option<PathBuf>,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonSettings {
    /// The name in records and tokens.
    pub name: InitiatorName,
    /// Issuer and `sub` of each account.
    pub accounts: Vec<(String, String)>,
    /// What the person may do.
    pub may: BTreeSet<Right>,
}

/// How fresh is fresh when the file does not say: time to log in and look at what is asked.
pub const FRESH_WITHIN_DEFAULT: Duration = Duration::from_secs(15 * 60);
/// Longest life of a person's token when the file does not say.
pub const PERSON_TOKEN_LIFE_MAX_DEFAULT: Duration = Duration::from_secs(2 * 3600);
/// What issuers sign with when the file does not say. RS256 is what every one of them can (OpenID Connect Core §15.1).
const ALGORITHMS_DEFAULT: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::Ps256];
/// Most issuers, and most accounts of all people: both are kept in memory and looked at by eye.
const ISSUERS_MAX: usize = 16;
const ACCOUNTS_MAX: usize = 100_000;
/// Most groups, and most members of all of them: they are looked through for each approval that is shown.
const GROUPS_MAX: usize = 1024;
const MEMBERS_MAX: usize = 10_000;
/// Most clients of an issuer, and most patterns of orchestrators that one of them has.
const CLIENTS_MAX: usize = 256;
/// The scheme of the names of workloads: a person's must not look like one.
const SPIFFE: &str = "spiffe";
const MINUTE: Duration = Duration::from_secs(60);

/// Says what was written means, or tells `check` what is wrong with it.
pub(super) fn people(check: &mut Check, written: People) -> Option<PeopleSettings> {
    let People { enabled, listen, certificate_file, key_file, fresh_within, issuers, persons, groups } = written;
    let fresh = Span(MINUTE)..=Span(MINUTE * 60 * 12);
    let fresh_within = check.within("people.fresh_within", fresh_within.unwrap_or(Span(FRESH_WITHIN_DEFAULT)), fresh).0;
    if issuers.len() > ISSUERS_MAX {
        check.problem("people.issuers", format!("are more than {ISSUERS_MAX}"));
    }
    let issuers: Vec<IssuerSettings> = issuers.into_iter().filter_map(|written| issuer(check, written)).collect();
    for (at, one) in issuers.iter().enumerate() {
        let before = issuers.iter().take(at);
        if before.clone().any(|other| other.name == one.name) || before.clone().any(|other| other.issuer == one.issuer)
        {
            check.problem(&format!("people.issuers `{}`", one.name), "stands twice, by its name or its issuer");
        }
    }
    let persons = named(check, persons, &issuers);
    let groups = grouped(check, groups, &persons);
    let door = if enabled == Some(true) {
        if !issuers.iter().any(|issuer| issuer.audience.is_some()) {
            check.problem("people.enabled", "no issuer has an `audience`, so nobody could come in");
        }
        let listen = check.address("people.listen", listen, "0.0.0.0:7446");
        let files = certificate_file.zip(key_file);
        let files = check.required("people.certificate_file, people.key_file", files);
        let certificate = files.map(|(certificate, key)| CertificateSource::Files { certificate, key });
        Some(PeopleDoorSettings { listen: listen?, certificate: certificate? })
    } else {
        None
    };
    Some(PeopleSettings { door, fresh_within, issuers, persons, groups })
}

fn issuer(check: &mut Check, written: WrittenIssuer) -> Option<IssuerSettings> {
    let shown: String = written.name.chars().take(NAME_BYTES_MAX).collect();
    let setting = |what: &str| format!("people.issuers `{shown}`.{what}");
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if written.name.is_empty() || written.name.len() > NAME_BYTES_MAX || !written.name.chars().all(plain) {
        check.problem(&setting("name"), "is empty, too long, or not of lower-case letters, digits and `-`");
    }
    if written.name == SPIFFE {
        check.problem(&setting("name"), "would make people look like workloads");
    }
    let is_url = HttpsUrl::plain(&written.issuer).is_ok();
    if !is_url || !written.issuer.chars().all(|c| c.is_ascii_graphic()) {
        check.problem(&setting("issuer"), "is no `https` URL, or has a user, a query or a fragment");
    }
    let kind = written.token.as_deref().unwrap_or(PersonTokenKind::AccessToken.as_str());
    let token = PersonTokenKind::ALL.into_iter().find(|known| known.as_str() == kind);
    if token.is_none() {
        check.problem(&setting("token"), format!("`{kind}` is neither `access_token` nor `id_token`"));
    }
    for (what, text) in [("audience", &written.audience), ("initiator_audience", &written.initiator_audience)] {
        if text.as_ref().is_some_and(|text| !is_reference(text)) {
            check.problem(&setting(what), "is empty, too long, or holds control characters");
        }
    }
    match (&written.audience, &written.initiator_audience) {
        (None, None) => check.problem(&setting("audience"), "is missing, and so is `initiator_audience`"),
        (Some(own), Some(handed_over)) if own == handed_over => {
            check.problem(&setting("initiator_audience"), "is `audience`: an orchestrator could act as the person");
        }
        _ => {}
    }
    if written.clients.len() > CLIENTS_MAX || !written.clients.iter().all(|client| is_reference(client)) {
        check.problem(
            &setting("clients"),
            format!("are more than {CLIENTS_MAX}, or one of them is no name of a client"),
        );
    }
    let initiator_clients = written.initiator_clients.map(|table| {
        if written.initiator_audience.is_none() {
            check.problem(&setting("initiator_clients"), "mean nothing without `initiator_audience`");
        }
        initiator_clients(check, &setting("initiator_clients"), table)
    });
    let algorithms = match written.algorithms {
        None => ALGORITHMS_DEFAULT.to_vec(),
        Some(names) => {
            if names.is_empty() {
                check.problem(&setting("algorithms"), "an empty list would let nobody in");
            }
            let parse =
                |name: &String| check.kept(&setting("algorithms"), name.parse().map_err(|e| format!("`{name}`: {e}")));
            names.iter().filter_map(parse).collect()
        }
    };
    let life = written.token_life_max.unwrap_or(Span(PERSON_TOKEN_LIFE_MAX_DEFAULT));
    let life = check.within(&setting("token_life_max"), life, Span(MINUTE)..=Span(MINUTE * 60 * 24)).0;
    Some(IssuerSettings {
        name: written.name,
        issuer: written.issuer,
        token: token?,
        audience: written.audience,
        initiator_audience: written.initiator_audience,
        algorithms,
        clients: written.clients,
        initiator_clients,
        token_life_max: life,
        ca_file: written.ca_file,
    })
}

/// Which orchestrators may hand over the tokens of which clients.
fn initiator_clients(
    check: &mut Check,
    setting: &str,
    table: BTreeMap<String, Vec<String>>,
) -> BTreeMap<String, Vec<Pattern>> {
    if table.is_empty() || table.len() > CLIENTS_MAX {
        check.problem(setting, format!("are none or more than {CLIENTS_MAX}; without the table, those of `clients`"));
    }
    let mut clients = BTreeMap::new();
    for (client, patterns) in table {
        let setting = format!("{setting} `{}`", client.chars().take(TOLD_CHARS_MAX).collect::<String>());
        if !is_reference(&client) {
            check.problem(&setting, "is empty, too long, or holds control characters");
        }
        if patterns.is_empty() || patterns.len() > CLIENTS_MAX {
            check.problem(&setting, format!("has no orchestrator, or more than {CLIENTS_MAX}"));
        }
        let parse = |text: &String| check.kept(&setting, text.parse::<Pattern>().map_err(|e| format!("`{text}`: {e}")));
        clients.insert(client, patterns.iter().filter_map(parse).collect());
    }
    clients
}

/// Whether that can be the name of a client, or an audience.
fn is_reference(text: &str) -> bool {
    !text.is_empty() && text.len() <= REFERENCE_BYTES_MAX && !text.chars().any(char::is_control)
}

fn named(check: &mut Check, written: Vec<WrittenPerson>, issuers: &[IssuerSettings]) -> Vec<PersonSettings> {
    let urls: BTreeMap<&str, &str> = issuers.iter().map(|i| (i.name.as_str(), i.issuer.as_str())).collect();
    let (mut names, mut taken, mut persons) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for WrittenPerson { name, accounts, may } in written {
        let setting = format!("people.persons `{}`", name.chars().take(TOLD_CHARS_MAX).collect::<String>());
        let Some(parsed) = check.kept(&setting, name.parse::<InitiatorName>()) else { continue };
        if !names.insert(parsed.clone()) {
            check.problem(&setting, "stands twice");
        }
        // Accounts that are nobody's are called so.
        if name.split_once(':').is_some_and(|(issuer, _)| urls.contains_key(issuer)) {
            check.problem(&setting, "begins as the names of accounts that stand in no row do");
        }
        if name.split_once(':').is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case(SPIFFE)) {
            check.problem(&setting, "would look like a workload");
        }
        if accounts.is_empty() {
            check.problem(&setting, "has no account, and so is nobody");
        }
        let mut own = Vec::new();
        for WrittenAccount { issuer, subject } in accounts {
            match urls.get(issuer.as_str()) {
                None => check.problem(&setting, format!("`{issuer}` is no issuer")),
                Some(_) if subject.is_empty() => check.problem(&setting, "has an account without a subject"),
                Some(url) => own.push(((*url).to_owned(), subject)),
            }
        }
        for account in &own {
            if !taken.insert(account.clone()) {
                check.problem(&setting, "has an account that is somebody's already");
            }
        }
        let may = may.iter().filter_map(|right| check.kept(&setting, right.parse::<Right>())).collect();
        persons.push(PersonSettings { name: parsed, accounts: own, may });
    }
    if taken.len() > ACCOUNTS_MAX {
        check.problem("people.persons", format!("have more than {ACCOUNTS_MAX} accounts"));
    }
    persons
}

fn grouped(
    check: &mut Check,
    written: Vec<WrittenGroup>,
    persons: &[PersonSettings],
) -> BTreeMap<Owner, BTreeSet<InitiatorName>> {
    let known: BTreeSet<&str> = persons.iter().map(|person| person.name.as_str()).collect();
    let mut groups: BTreeMap<Owner, BTreeSet<InitiatorName>> = BTreeMap::new();
    for WrittenGroup { name, members } in written {
        let setting = format!("people.groups `{}`", name.chars().take(TOLD_CHARS_MAX).collect::<String>());
        let Some(parsed) = check.kept(&setting, name.parse::<Owner>()) else { continue };
        if known.contains(name.as_str()) {
            check.problem(&setting, "has the name of a person");
        }
        if members.is_empty() {
            check.problem(&setting, "has no member, and so answers for nothing");
        }
        let mut own = BTreeSet::new();
        for member in members {
            let shown: String = member.chars().take(TOLD_CHARS_MAX).collect();
            if !known.contains(member.as_str()) {
                check.problem(&setting, format!("`{shown}` is none of `people.persons`"));
            } else if let Some(member) = check.kept(&setting, member.parse::<InitiatorName>())
                && !own.insert(member)
            {
                check.problem(&setting, format!("`{shown}` stands in it twice"));
            }
        }
        if groups.insert(parsed, own).is_some() {
            check.problem(&setting, "stands twice");
        }
    }
    if groups.len() > GROUPS_MAX || groups.values().map(BTreeSet::len).sum::<usize>() > MEMBERS_MAX {
        check.problem("people.groups", format!("are more than {GROUPS_MAX}, or have more than {MEMBERS_MAX} members"));
    }
    groups
}
