//! Places, counted for each of those who take them and given back when they are dropped, and the handshakes under way. It keeps
//! one party, who need not have proven anything, from taking what others need.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::AbortHandle;

use crate::model::spiffe_id::SpiffeId;

/// Places of which each taker may have so many.
#[derive(Debug)]
pub(in crate::identity) struct Places<K> {
    taken: Arc<Mutex<HashMap<K, usize>>>,
    each_max: usize,
}

/// A place that is taken.
#[derive(Debug)]
pub(in crate::identity) struct Place<K: Eq + Hash> {
    taken: Arc<Mutex<HashMap<K, usize>>>,
    by: K,
}

impl<K: Eq + Hash + Clone> Places<K> {
    pub(in crate::identity) fn new(each_max: usize) -> Self {
        Self { taken: Arc::default(), each_max }
    }

    /// `None` when this taker has as many as it may.
    pub(in crate::identity) fn take(&self, by: K) -> Option<Place<K>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(by.clone()).or_default();
        if *count >= self.each_max {
            return None;
        }
        *count += 1;
        Some(Place { taken: Arc::clone(&self.taken), by })
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let left = taken.get_mut(&self.by).map(|count| {
            *count = count.saturating_sub(1);
            *count
        });
        if left == Some(0) {
            taken.remove(&self.by);
        }
    }
}

/// What an open connection occupies for as long as it lives.
#[derive(Debug)]
pub(in crate::identity) struct Seat {
    pub(in crate::identity) _connection: OwnedSemaphorePermit,
    pub(in crate::identity) _host: Place<IpAddr>,
    pub(in crate::identity) _identity: Option<Place<SpiffeId>>,
}

/// The handshakes under way, the oldest first; or connections through which nothing was shown yet.
#[derive(Debug, Clone, Default)]
pub(in crate::identity) struct UnderWay(Arc<Mutex<BTreeMap<u64, (SocketAddr, AbortHandle)>>>);

impl UnderWay {
    /// Begins a handshake, whose task `spawn` makes. The task holds what [`UnderWay::ending`] gives until it is over.
    pub(in crate::identity) fn begin(&self, n: u64, address: SocketAddr, spawn: impl FnOnce() -> AbortHandle) {
        // Held while the task is made, so that it cannot have ended before it is known.
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        begun.insert(n, (address, spawn()));
    }

    /// The handshake is over when this is dropped, however it came to that. To be made inside its task: one that is dropped
    /// unbegun is dropped by whoever began it, and has nothing to tell.
    pub(in crate::identity) fn ending(&self, n: u64) -> Ending {
        Ending { under_way: self.clone(), n }
    }

    /// Gives up the oldest one when there are `max`, of that host or of any, and tells where it came from. Who means to shake
    /// hands has done so long before as many others have come.
    pub(in crate::identity) fn make_room(&self, of: Option<IpAddr>, max: usize) -> Option<SocketAddr> {
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut those = begun.iter().filter(|(_, (address, _))| of.is_none_or(|of| host(*address) == of));
        let first = *those.next()?.0;
        if those.count() + 1 < max {
            return None;
        }
        let (address, oldest) = begun.remove(&first)?;
        drop(begun);
        oldest.abort();
        Some(address)
    }
}

/// A handshake that is under way for as long as this lives.
#[derive(Debug)]
pub(in crate::identity) struct Ending {
    under_way: UnderWay,
    n: u64,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.under_way.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.n);
    }
}

/// What one party commonly has in its hands: an IPv4 address, or the /64 of an IPv6 address.
pub(crate) fn host(address: SocketAddr) -> IpAddr {
    match address.ip().to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests;
