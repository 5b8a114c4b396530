//! Policy bundles for brokers of tests.

use std::path::Path;

use carnet::policy::bundle::BundleFiles;

use super::pki::DOMAIN;

/// The policy bundle that Carnet ships, with the identities of the tests' trust domain. Its own tests name others, and are
/// run elsewhere.
pub fn shipped_policy() -> BundleFiles {
    policy_with(|_, text| text)
}

/// The same with files changed.
pub fn policy_with(change: impl Fn(&str, String) -> String) -> BundleFiles {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/policy");
    let files = BundleFiles::read_dir(&folder).unwrap();
    let kept = files.iter().filter(|(path, _)| !path.starts_with("tests/")).map(|(path, content)| {
        let text = String::from_utf8(content.to_vec()).unwrap();
        let text = if path == "identities.toml" { identities(&text) } else { text };
        (path.to_owned(), change(path, text).into_bytes())
    });
    BundleFiles::new(kept).unwrap()
}

fn identities(shipped: &str) -> String {
    let own = shipped.replace("spiffe://dev.carnet.test/", &format!("spiffe://{DOMAIN}/"));
    format!(
        "{own}\n[[identity]]\npattern = \"spiffe://{DOMAIN}/resource-of/tickets\"\nclass = \"resource_server\"\nowner = \
         \"group:support\"\naudiences = [\"https://tickets.dev.carnet.test\"]\n"
    )
}
