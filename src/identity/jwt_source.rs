//! What the Workload API says about JWT-SVIDs: the JWT authorities of each trust domain, followed as they change, and SVIDs of
//! our own on demand. The library's client is not used for this: it drops a whole bundle for one bad key, and reads no `use`.

use std::fmt;
use std::time::Duration;

use tonic::{Status, Streaming};

use super::jwt_svid::JwtAuthorities;
use super::workload::{IdentityChanges, MATERIAL_MAX, Workload};
pub use super::workload_api::Held;
use super::workload_api::{Changes, Client, Feed, Followed, Wakes, asked, connect};
use crate::model::spiffe_id::{SpiffeId, TrustDomain};
use crate::pb::workload as pb;

/// The JWT authorities as the Workload API gives them, kept current until the last clone is dropped.
#[derive(Clone)]
pub struct JwtSource {
    followed: Followed<JwtFeed>,
    patience: Duration,
}

impl JwtSource {
    /// Follows the Workload API that gave a workload its identity. Whoever is given another identity asks again at once: with
    /// an identity that was gone, its JWT bundles were too. Must be called within a Tokio runtime.
    #[must_use]
    pub fn follow(workload: &Workload) -> Self {
        let followed = Followed::begin(workload.endpoint(), workload.changes());
        Self { followed, patience: workload.patience() }
    }

    /// How they stand now. Without the Workload API, what it said last stands.
    #[must_use]
    pub fn held(&self) -> Held<JwtAuthorities> {
        self.followed.told().held
    }

    /// Waits until something was heard, at most so long.
    pub async fn heard(&self, within: Duration) -> Held<JwtAuthorities> {
        self.followed.heard(within).await
    }

    /// How often the stream has ended or could not be had.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.followed.failures()
    }

    /// True while none are given, and that may change in a moment.
    pub(in crate::identity) fn is_unsettled(&self) -> bool {
        self.awaited().is_some()
    }

    /// Waits while it is so.
    pub(in crate::identity) async fn settled(&self) {
        let mut changes = self.changes();
        while let Some(left) = self.awaited() {
            changes.come_to(|held| matches!(held, Held::Given(_)), left).await;
        }
    }

    fn awaited(&self) -> Option<Duration> {
        let told = self.followed.told();
        let left = self.patience.saturating_sub(told.since.elapsed());
        (!matches!(told.held, Held::Given(_)) && !left.is_zero()).then_some(left)
    }

    /// Tells of changes from now on.
    pub(in crate::identity) fn changes(&self) -> Changes<JwtAuthorities> {
        self.followed.changes()
    }
}

impl fmt::Debug for JwtSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtSource").field("held", &self.held()).finish_non_exhaustive()
    }
}

/// `FetchJWTBundles`.
struct JwtFeed;

impl Feed for JwtFeed {
    type Given = JwtAuthorities;
    type Message = pb::JwtBundlesResponse;
    const NAME: &'static str = "JWT bundles";

    async fn open(mut client: Client) -> Result<Streaming<Self::Message>, Status> {
        Ok(client.fetch_jwt_bundles(asked(pb::JwtBundlesRequest {})).await?.into_inner())
    }

    fn read(message: &Self::Message) -> Held<JwtAuthorities> {
        Held::Given(authorities(message))
    }

    fn is_same(_old: &JwtAuthorities, _new: &JwtAuthorities) -> bool {
        false
    }
}

impl Wakes for IdentityChanges {
    async fn wait(&mut self) -> bool {
        self.changed().await
    }
}

fn authorities(message: &pb::JwtBundlesResponse) -> JwtAuthorities {
    let (_, bundles_max, bytes_max) = MATERIAL_MAX;
    let named = message.bundles.iter().filter_map(|(id, keys)| {
        let name = id.parse::<SpiffeId>().ok().filter(|id| id.path().is_empty()).map(|id| id.trust_domain());
        let text = std::str::from_utf8(keys).ok().filter(|text| text.len() <= bytes_max);
        if name.is_none() || text.is_none() {
            // Whatever it was, its trust domain has no keys from now on.
            tracing::warn!(trust_domain = ?id, bytes = keys.len(), "a JWT bundle is of no use: it has no name, is no text, or too large");
        }
        Some((name?, text?))
    });
    if message.bundles.len() > bundles_max {
        tracing::warn!(
            bundles = message.bundles.len(),
            bundles_max,
            "there are too many JWT bundles: some are left out"
        );
    }
    JwtAuthorities::of(named.take(bundles_max).collect::<Vec<(TrustDomain, &str)>>())
}

/// A JWT-SVID that the Workload API gave us to show to somebody.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnJwtSvid {
    /// Whom it names.
    pub spiffe_id: String,
    /// The token: a secret for as long as it lives.
    pub token: String,
    /// What the Workload API says it is for.
    pub hint: String,
}

impl fmt::Debug for OwnJwtSvid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnJwtSvid").field("spiffe_id", &self.spiffe_id).finish_non_exhaustive()
    }
}

/// Asks the Workload API for JWT-SVIDs for these audiences: of one identity, or of all that are ours.
///
/// # Errors
/// As the Workload API answers.
pub async fn fetch_jwt_svids(
    workload: &Workload,
    audience: Vec<String>,
    spiffe_id: String,
) -> Result<Vec<OwnJwtSvid>, Status> {
    let mut client = connect(workload.endpoint()).await?;
    let answer = client.fetch_jwtsvid(asked(pb::JwtsvidRequest { audience, spiffe_id })).await?.into_inner();
    let own = |svid: pb::Jwtsvid| OwnJwtSvid { spiffe_id: svid.spiffe_id, token: svid.svid, hint: svid.hint };
    Ok(answer.svids.into_iter().map(own).collect())
}
