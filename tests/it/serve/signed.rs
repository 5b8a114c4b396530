//! What a check says of the signatures of the configured bundle, and what it is no obstacle to.

use std::fs;

use carnet::config::settings::Settings;
use carnet::mint::author::AuthorKey;
use carnet::policy::bundle::BundleFiles;
use carnet::policy::manifest::{MANIFEST, Manifest, Statement};
use carnet::server::error::ServerError;
use carnet::server::serve::check;
use carnet::server::start::Drained;
use carnet::token::header::SigningAlgorithm;

use super::Machine;
use crate::support::pki::soon;

fn sign(machine: &Machine, key: &AuthorKey) {
    let digest = BundleFiles::read_dir(&machine.pki.path("policy")).unwrap().digest().to_string();
    let owner = "group:security".parse().unwrap();
    let mut manifest = Manifest::new(Statement { digest, revision: 4, owner });
    key.sign(&mut manifest).unwrap();
    fs::write(machine.pki.path("policy").join(MANIFEST), manifest.to_text()).unwrap();
}

/// The settings of a broker that wants a signature by the key in that file.
fn wants(machine: &Machine, file: &str) -> Settings {
    let file = machine.pki.path(file);
    machine.settings_with(&format!("[[policy.signing_keys]]\nname = \"ada\"\npublic_key_file = {file:?}"))
}

#[tokio::test]
async fn a_check_tells_what_is_wrong_with_the_signatures_of_what_it_would_put_in_force() {
    let machine = Machine::new();
    let refused = async |settings: Settings| soon(check(settings)).await.unwrap_err();
    let missing = refused(wants(&machine, "ada.pub")).await;
    assert!(matches!(missing, ServerError::SigningKey { .. }), "{missing:?}");
    let (ada, _) = AuthorKey::create(&machine.pki.path("ada"), SigningAlgorithm::Ed25519).unwrap();
    let (eve, _) = AuthorKey::create(&machine.pki.path("eve"), SigningAlgorithm::Ed25519).unwrap();
    let private = refused(wants(&machine, "ada")).await;
    assert!(matches!(private, ServerError::SigningKey { .. }), "{private:?}");
    let unsigned = refused(wants(&machine, "ada.pub")).await;
    assert!(matches!(unsigned, ServerError::PolicySignatures(_)), "{unsigned:?}");
    sign(&machine, &eve);
    let foreign = refused(wants(&machine, "ada.pub")).await;
    assert!(matches!(foreign, ServerError::PolicySignatures(_)), "{foreign:?}");
    sign(&machine, &ada);
    let checked = soon(check(wants(&machine, "ada.pub"))).await.unwrap();
    assert_eq!(checked.unsigned(), None);
    let running = soon(checked.start()).await.unwrap();
    assert_eq!(running.broker().figures().policy_revision, 4);
    assert_eq!(soon(running.shutdown()).await, Drained::Whole);
}

#[tokio::test]
async fn what_is_in_force_goes_on_when_keys_are_configured_later() {
    let machine = Machine::new();
    assert_eq!(soon(machine.start().await.shutdown()).await, Drained::Whole);
    AuthorKey::create(&machine.pki.path("ada"), SigningAlgorithm::Es256).unwrap();
    let checked = soon(check(wants(&machine, "ada.pub"))).await.unwrap();
    assert_eq!(checked.unsigned(), Some("the bundle is not signed: it has no `bundle.sig`"));
    let running = soon(checked.start()).await.unwrap();
    assert_eq!(running.broker().figures().policy_revision, 1);
    assert_eq!(soon(running.shutdown()).await, Drained::Whole);
}
