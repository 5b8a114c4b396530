//! The X.509 trust bundles of the Workload API, each for its own trust domain. A flaw concerns the trust domain that it is about
//! and no other: whose bundle cannot be read has no authorities, and what a message does not name is withdrawn.

use std::collections::BTreeMap;
use std::sync::Arc;

use tonic::{Status, Streaming};

use super::svid::certificates;
use super::workload::MATERIAL_MAX;
use super::workload_api::{Client, Feed, Held, Wakes, asked};
use crate::model::spiffe_id::{SpiffeId, TrustDomain};
use crate::pb::workload as pb;

/// The certificates of each trust bundle, in DER, in their order.
pub(in crate::identity) type X509Bundles = Arc<BTreeMap<TrustDomain, Vec<Vec<u8>>>>;

/// `FetchX509SVID`, as far as trust goes by it.
pub(in crate::identity) struct X509Feed;

impl Feed for X509Feed {
    type Given = X509Bundles;
    type Message = pb::X509svidResponse;
    const NAME: &'static str = "X.509 trust bundles";

    async fn open(mut client: Client) -> Result<Streaming<Self::Message>, Status> {
        Ok(client.fetch_x509svid(asked(pb::X509svidRequest {})).await?.into_inner())
    }

    fn read(message: &Self::Message) -> Held<X509Bundles> {
        let (svids_max, bundles_max, _) = MATERIAL_MAX;
        let mut bundles = BTreeMap::new();
        for svid in message.svids.iter().take(svids_max) {
            let Ok(id) = svid.spiffe_id.parse::<SpiffeId>() else {
                tracing::warn!(spiffe_id = ?svid.spiffe_id, "an SVID of ours names nobody: its trust bundle is left out");
                continue;
            };
            // Of several identities in one trust domain the first says what it is.
            bundles.entry(id.trust_domain()).or_insert_with(|| authorities(&svid.spiffe_id, &svid.bundle));
        }
        if bundles.is_empty() {
            return Held::Withdrawn;
        }
        // In the order of their names, so that it is always the same ones that are too many.
        let mut named: Vec<_> = message.federated_bundles.iter().collect();
        named.sort_unstable_by_key(|(name, _)| *name);
        if named.len() > bundles_max {
            tracing::warn!(bundles = named.len(), bundles_max, "there are too many trust bundles: some are left out");
        }
        for (name, bundle) in named.into_iter().take(bundles_max) {
            let id = name.parse::<SpiffeId>().ok().filter(|id| id.path().is_empty());
            match id.map(|id| id.trust_domain()) {
                None => tracing::warn!(?name, "a trust bundle is of no trust domain: it is left out"),
                // Nobody else says whom our own trust domain trusts.
                Some(own) if bundles.contains_key(&own) => {
                    tracing::warn!(trust_domain = %own, "a federated trust bundle of our own trust domain is left out");
                }
                Some(other) => drop(bundles.insert(other, authorities(name, bundle))),
            }
        }
        Held::Given(Arc::new(bundles))
    }

    fn is_same(old: &X509Bundles, new: &X509Bundles) -> bool {
        old == new
    }
}

/// The certificates of a bundle; none when it cannot be read as a whole.
fn authorities(of: &str, bundle: &[u8]) -> Vec<Vec<u8>> {
    let (_, _, bytes_max) = MATERIAL_MAX;
    let read = if bundle.len() > bytes_max { None } else { certificates(bundle) };
    if read.as_ref().is_none_or(Vec::is_empty) {
        tracing::warn!(
            ?of,
            bytes = bundle.len(),
            "a trust bundle cannot be read, or is empty: nobody of it is trusted"
        );
    }
    read.unwrap_or_default().into_iter().map(<[u8]>::to_vec).collect()
}

impl Wakes for spiffe::X509SourceUpdates {
    async fn wait(&mut self) -> bool {
        self.changed().await.is_ok()
    }
}

#[cfg(test)]
mod tests;
