//! Calls that each caller keeps open: from before its message is read, until its answer has gone or its stream is over. It bounds
//! what a caller can make the broker hold without ever finishing a request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::broker::Broker;
use crate::broker::caller::Caller;
use crate::broker::error::BrokerError;

/// For each request that may be in flight, so many calls may be open: streams last, and messages take time to arrive.
const OPEN_FOR_EACH_IN_FLIGHT: u32 = 2;

/// How many calls each caller has open.
#[derive(Debug, Default)]
pub(in crate::broker) struct OpenCalls(Arc<Mutex<HashMap<Arc<str>, u32>>>);

/// A call that is open until this is dropped.
#[derive(Debug)]
pub struct OpenCall {
    calls: Arc<Mutex<HashMap<Arc<str>, u32>>>,
    caller: Arc<str>,
}

impl OpenCalls {
    fn open(&self, caller: &str, max: u32) -> Result<OpenCall, BrokerError> {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let caller = match calls.get_key_value(caller) {
            Some((_, open)) if *open >= max => return Err(BrokerError::RateLimited),
            Some((name, _)) => Arc::clone(name),
            None => caller.into(),
        };
        *calls.entry(Arc::clone(&caller)).or_default() += 1;
        Ok(OpenCall { calls: Arc::clone(&self.0), caller })
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let left = calls.get_mut(&self.caller).map(|open| {
            *open = open.saturating_sub(1);
            *open
        });
        if left == Some(0) {
            calls.remove(&self.caller);
        }
    }
}

impl Broker {
    /// Takes a place among the calls that the caller has open. To be asked before its message is read.
    ///
    /// # Errors
    /// `RateLimited` when it has too many.
    pub fn open_call(&self, caller: &Caller) -> Result<OpenCall, BrokerError> {
        self.open_among(&self.0.open_calls, caller)
    }

    /// The same for a call that ends something: whatever else the caller has open does not stand in its way.
    ///
    /// # Errors
    /// `RateLimited` when it has too many of these.
    pub fn open_end(&self, caller: &Caller) -> Result<OpenCall, BrokerError> {
        self.open_among(&self.0.open_ends, caller)
    }

    fn open_among(&self, calls: &OpenCalls, caller: &Caller) -> Result<OpenCall, BrokerError> {
        let max = self.0.settings.limits.in_flight.saturating_mul(OPEN_FOR_EACH_IN_FLIGHT);
        match caller {
            Caller::Workload(w) => calls.open(w.peer.spiffe_id().as_str(), max),
            Caller::Person(_) => calls.open(&caller.id(), max),
            Caller::Operator { .. } => calls.open("operator", max),
        }
    }

    /// Counts a call that reaches no verb against the rate of whoever makes it.
    ///
    /// # Errors
    /// `RateLimited` when it is above its rate.
    pub fn charge(&self, caller: &str) -> Result<(), BrokerError> {
        self.0.limiter.enter(caller, self.0.clock.now()).map(drop)
    }
}
