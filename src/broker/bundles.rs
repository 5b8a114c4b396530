//! Policy bundles that were loaded, by digest: the one in force, those that the record names, and candidates.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::pb::journal::BundleFile;
use crate::policy::bundle::{BundleFiles, PolicyBundle};

/// Bundles that are kept loaded.
const BUNDLES_MAX: usize = 16;

/// Loaded bundles. Clones share them.
#[derive(Debug, Clone, Default)]
pub(in crate::broker) struct Bundles(Arc<Mutex<HashMap<String, Arc<PolicyBundle>>>>);

impl Bundles {
    /// Keeps a bundle, so that its activation need not load it again.
    pub(in crate::broker) fn keep(&self, bundle: Arc<PolicyBundle>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= BUNDLES_MAX {
            kept.clear();
        }
        kept.insert(bundle.digest().to_string(), bundle);
    }

    /// The bundle of that digest; loaded from its recorded files when it is not kept. `None` when this version of Carnet cannot
    /// load it, or the files have another digest.
    pub(in crate::broker) fn bundle(&self, digest: &str, files: &[BundleFile]) -> Option<Arc<PolicyBundle>> {
        if let Some(bundle) = self.kept(digest) {
            return Some(bundle);
        }
        let files = files.iter().map(|f| (f.path.clone(), f.content.to_vec()));
        let loaded = BundleFiles::new(files).map_err(|e| e.to_string());
        let loaded = loaded.and_then(|files| PolicyBundle::load(files).map_err(|e| e.to_string()));
        match loaded {
            Ok(bundle) if bundle.digest().to_string() == digest => {
                let bundle = Arc::new(bundle);
                self.keep(bundle.clone());
                Some(bundle)
            }
            Ok(_) => {
                tracing::error!(digest, "a recorded policy bundle has another digest");
                None
            }
            Err(problem) => {
                tracing::error!(digest, problem, "a recorded policy bundle does not load");
                None
            }
        }
    }

    fn kept(&self, digest: &str) -> Option<Arc<PolicyBundle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }
}
