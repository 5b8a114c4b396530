//! From settings to what it takes to put a policy bundle in force, and a look at the bundle that the configuration names.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use crate::broker::proposals::{ActivationSettings, Persons};
use crate::broker::routing::Directory;
use crate::config::policy::{PolicySettings, PublicKeySource, SigningKeySettings};
use crate::model::id::Owner;
use crate::model::time::Timestamp;
use crate::policy::bundle::{BundleFiles, PolicyBundle};
use crate::policy::rules::Route;
use crate::policy::signers::{EndorsementError, SignerKey, Signers, endorsement};
use crate::server::error::ServerError;

/// Most names that one warning tells.
const NAMES_TOLD_MAX: usize = 8;
/// Largest file of a public key that is read.
const KEY_FILE_BYTES_MAX: u64 = 4 << 10;

/// What it takes to put a bundle in force. Blocking I/O.
///
/// # Errors
/// When a public key cannot be read or is none, or the keys do not go together.
pub(in crate::server) fn activation(settings: &PolicySettings) -> Result<ActivationSettings, ServerError> {
    let keys = settings.signing_keys.iter().map(signing_key).collect::<Result<Vec<_>, _>>()?;
    let signers = if keys.is_empty() {
        None
    } else {
        let needed = usize::try_from(settings.signatures_required).unwrap_or(usize::MAX);
        Some(Arc::new(Signers::new(keys, needed)?))
    };
    let persons = if settings.activation_persons > 1 { Persons::Two } else { Persons::One };
    Ok(ActivationSettings { signers, persons, proposal_stands: settings.proposal_stands })
}

fn signing_key(settings: &SigningKeySettings) -> Result<SignerKey, ServerError> {
    let refuse = |cause: Box<dyn std::error::Error + Send + Sync>| ServerError::SigningKey {
        name: settings.name.clone(),
        cause,
    };
    let text = match &settings.key {
        PublicKeySource::Text(text) => text.clone(),
        PublicKeySource::File(path) => {
            let mut text = String::new();
            let file = fs::File::open(path).map_err(|e| refuse(Box::new(e)))?;
            file.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text).map_err(|e| refuse(Box::new(e)))?;
            text
        }
    };
    SignerKey::parse(&settings.name, &text).map_err(|e| refuse(Box::new(e)))
}

/// The configured bundle, its files and what is wrong with its signatures, if anything is: loaded and tested. Blocking I/O.
///
/// # Errors
/// When it does not load, or fails its tests.
pub(in crate::server) fn configured(
    folder: &Path,
    signers: Option<&Signers>,
) -> Result<(BundleFiles, Option<EndorsementError>, PolicyBundle), ServerError> {
    let files = BundleFiles::read_dir(folder).map_err(ServerError::Policy)?;
    let unsigned = endorsement(&files, signers).err();
    let bundle = PolicyBundle::load(files.clone()).map_err(ServerError::Policy)?;
    let report = bundle.run_tests();
    let failed = report.failures().len();
    if failed > 0 {
        return Err(ServerError::PolicyTests { failed });
    }
    Ok((files, unsigned, bundle))
}

/// What somebody should know of the bundle who is about to put it in force here, one sentence each: nothing of it keeps it from that.
pub(in crate::server) fn warnings(bundle: &PolicyBundle, directory: &Directory, now: Timestamp) -> Vec<String> {
    let mut told = Vec::new();
    let routed = bundle.rules().filter(|rule| rule.route == Route::Owner).map(|rule| rule.id.as_str());
    let routed = listed(&routed.collect::<Vec<_>>());
    let owners: BTreeSet<&Owner> = bundle.catalogue().tools().filter_map(|tool| tool.owner.as_ref()).collect();
    let unanswered: Vec<&str> = directory.nobody_for(owners).into_iter().map(Owner::as_str).collect();
    if !routed.is_empty() && !unanswered.is_empty() {
        told.push(format!(
            "{routed} would ask owners of tools, and nobody in `people.persons` who may approve answers for {}: whoever reviews is \
             asked instead",
            listed(&unanswered)
        ));
    }
    if bundle.observe().is_some_and(|observe| observe.until() <= now) {
        told.push(
            "the `until` of `observe.toml` is over: nothing would only be observed, all of the bundle is enforced"
                .to_owned(),
        );
    }
    told
}

/// The first of many names.
fn listed(names: &[&str]) -> String {
    let more = names.len().saturating_sub(NAMES_TOLD_MAX);
    let mut told: Vec<String> = names.iter().take(NAMES_TOLD_MAX).map(|name| format!("`{name}`")).collect();
    told.extend((more > 0).then(|| format!("{more} more")));
    told.join(", ")
}
