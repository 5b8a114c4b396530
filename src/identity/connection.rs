//! A connection whose peer is verified: bytes for gRPC, and [`VerifiedPeer`] for its requests. It says when it should be wound
//! down, ends itself when the SVID that opened it does, and soon after trust in it was withdrawn.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::crowd::Seat;
use super::gathered::Gathered;
use super::guarded::{Ended, Guarded, Reins, Watched, pass_through};
use super::listen::Accepted;
use super::peer::VerifiedPeer;
use super::serve::Served;
use super::trust::Trust;
use crate::model::spiffe_id::SpiffeId;
use crate::model::time::Timestamp;

/// How long a connection outlives the withdrawal of trust in it: its requests are refused meanwhile and are told why, and its
/// streams end with it.
pub const WITHDRAWN_AFTER: Duration = Duration::from_secs(2);
/// How long before its end a connection is wound down at the latest: workloads have had their next SVID for long then.
pub const RETIRED_BEFORE_MAX: Duration = Duration::from_secs(60);
/// How soon after our own SVID came from another authority than the one before a connection is wound down, at the earliest;
/// and over how long those of all peers are spread. An authority that has a successor may soon be gone from the trust bundle,
/// and with it whoever still shows an SVID of it: peers have their next ones at about the same time as we do.
pub const SUPERSEDED_AFTER: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(5));
/// The part of its life that a connection is wound down before its end, when that is shorter than [`RETIRED_BEFORE_MAX`].
const RETIRED_BEFORE_PART: u32 = 4;

/// A connection over mutual TLS.
pub struct PeerConnection<IO = TcpStream> {
    tls: Guarded<Gathered<TlsStream<IO>>>,
    peer: Arc<VerifiedPeer>,
    reins: Reins,
    seat: Option<Seat>,
}

impl<IO> PeerConnection<IO> {
    /// Must be called within a Tokio runtime.
    pub(in crate::identity) fn new(tls: TlsStream<IO>, peer: Arc<VerifiedPeer>, trust: Trust) -> Self {
        let (tls, end) = Guarded::new(Gathered::new(tls));
        let (reins, watched) = Reins::new();
        tokio::spawn(watch(trust, Arc::clone(&peer), watched, end));
        Self { tls, peer, reins, seat: None }
    }

    /// Who is on the other side.
    #[must_use]
    pub const fn peer(&self) -> &Arc<VerifiedPeer> {
        &self.peer
    }

    /// Returns when the connection should be wound down (in HTTP/2: GOAWAY), so that its client opens another one with its next
    /// SVID before this one ends; also when the connection has gone. To be taken once; a second one returns at once.
    pub fn retirement(&mut self) -> impl Future<Output = ()> + Send + use<IO> {
        self.reins.retirement()
    }
}

/// Sees to retirement and end; gone with the connection.
async fn watch(trust: Trust, peer: Arc<VerifiedPeer>, watched: Watched, mut end: oneshot::Sender<Ended>) {
    let Watched { retire, cut } = watched;
    let now = trust.clock().now();
    // Our own SVID is what the other side trusts: a connection that outlived it would be ended from there.
    let (own_end, authority) = match trust.view().readiness(now) {
        Ok(own) => (own.not_after, own.authority_key.clone()),
        Err(_) => (Timestamp::MAX, None),
    };
    let until = peer.expires_at().min(own_end);
    let before = (until.since(now) / RETIRED_BEFORE_PART).min(RETIRED_BEFORE_MAX);
    let retired = async {
        tokio::select! {
            () = trust.clock().reach(now.after(until.since(now) - before)) => {}
            () = superseded(&trust, &peer, authority.as_ref()) => {}
        }
        drop(retire);
        std::future::pending::<Infallible>().await
    };
    let why = tokio::select! {
        () = end.closed() => return,
        () = trust.clock().reach(peer.expires_at()) => Ended::Expired,
        () = withdrawn(&trust, &peer) => Ended::Withdrawn,
        _ = cut => Ended::Cut,
        never = retired => match never {},
    };
    tracing::debug!(peer = %peer.spiffe_id(), %why, "the connection is closed");
    let _connection_gone = end.send(why);
}

/// Returns some time after our own SVID has come to be signed by another authority than `authority`.
async fn superseded(trust: &Trust, peer: &VerifiedPeer, authority: Option<&Vec<u8>>) {
    let mut changes = trust.changes();
    while trust.view().own.as_ref().map_or(authority, |own| own.authority_key.as_ref()) == authority {
        if !changes.changed().await {
            return std::future::pending().await;
        }
    }
    let (least, spread) = SUPERSEDED_AFTER;
    let part = peer.certificate_thumbprint().and_then(|t| t.as_bytes().first().copied()).unwrap_or_default();
    let clock = trust.clock();
    clock.reach(clock.now().after(least + spread * u32::from(part) / 256)).await;
}

/// Returns when trust in the peer is gone and has not come back for a moment.
async fn withdrawn(trust: &Trust, peer: &Arc<VerifiedPeer>) {
    loop {
        let _why = trust.lost(peer).await;
        tokio::time::sleep(WITHDRAWN_AFTER).await;
        if trust.recheck(peer, trust.clock().now()).is_err() {
            return;
        }
    }
}

impl<IO> Served for PeerConnection<IO> {
    fn reins(&mut self) -> &mut Reins {
        &mut self.reins
    }
}

impl Accepted for PeerConnection {
    fn identity(&self) -> Option<&SpiffeId> {
        Some(self.peer.spiffe_id())
    }

    fn occupy(&mut self, seat: Seat) {
        self.seat = Some(seat);
    }
}

impl<IO> Connected for PeerConnection<IO> {
    type ConnectInfo = Arc<VerifiedPeer>;

    fn connect_info(&self) -> Self::ConnectInfo {
        Arc::clone(&self.peer)
    }
}

pass_through!([IO: AsyncRead + AsyncWrite + Unpin] PeerConnection<IO>, tls);
