//! The policy bundle that Carnet ships (`deploy/policy`), inside of the binary, so that it needs no source tree.

use crate::policy::bundle::BundleFiles;
use crate::policy::error::BundleError;

/// The shipped bundle.
///
/// # Errors
/// Never for what is shipped: a test loads it.
pub fn shipped() -> Result<BundleFiles, BundleError> {
    BundleFiles::new(FILES.iter().map(|(path, content)| ((*path).to_owned(), content.to_vec())))
}

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        /// Every file of the folder; a test holds the list against it.
        const FILES: &[(&str, &[u8])] =
            &[$(($path, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/policy/", $path)))),*];
    };
}

files!(
    "10-permits.cedar",
    "20-provenance.cedar",
    "30-taint.cedar",
    "40-people.cedar",
    "50-risk.cedar",
    "60-tasks.cedar",
    "70-break-glass.cedar",
    "README.md",
    "catalogue.toml",
    "identities.toml",
    "risk.toml",
    "schema.cedarschema",
    "tests/break-glass.toml",
    "tests/people.toml",
    "tests/risk.toml",
    "tests/structure.toml",
    "tests/tasks.toml",
    "tests/use.toml",
);

#[cfg(test)]
mod tests;
