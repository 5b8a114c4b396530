//! The services of `carnet.v1`, one file each: decode, call one verb, encode.

use std::sync::Arc;

use tonic::{Code, Request, Status};

use crate::broker::Broker;
use crate::broker::caller::Caller;
use crate::broker::error::BrokerError;
use crate::grpc::status;
use crate::metrics::Metrics;
use crate::model::reason::ReasonCode;

pub(in crate::grpc) mod approval;
pub(in crate::grpc) mod audit;
pub(in crate::grpc) mod break_glass;
pub(in crate::grpc) mod credential;
pub(in crate::grpc) mod notification;
pub(in crate::grpc) mod policy;
pub(in crate::grpc) mod revocation;
pub(in crate::grpc) mod risk;
pub(in crate::grpc) mod signal;
pub(in crate::grpc) mod task;

/// What every service has at hand. Clones share it.
#[derive(Clone)]
pub(in crate::grpc) struct Edge {
    broker: Broker,
    metrics: Metrics,
}

impl Edge {
    pub(in crate::grpc) const fn new(broker: Broker, metrics: Metrics) -> Self {
        Self { broker, metrics }
    }

    /// The status of an error that a verb or a codec gave; counted, and its cause told to the log.
    #[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
    fn refuse(&self, error: BrokerError) -> Status {
        self.metrics.refused(error.code());
        status::log(&error);
        status::of(&error)
    }

    /// Who calls, as the door said.
    fn caller<T>(&self, request: &Request<T>) -> Result<Arc<Caller>, Status> {
        let caller = request.extensions().get::<Arc<Caller>>();
        caller.cloned().ok_or_else(|| status::refusal(Code::Unauthenticated, ReasonCode::Unauthenticated))
    }
}
