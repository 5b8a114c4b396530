//! A scorer that implements `RiskScorer`, over mutual TLS: it sees our SVID, and must be who it is said to be.

use std::time::Duration;

use tonic::transport::Channel;
use tonic::{Code, Request};

use crate::broker::scorers::{Answering, RiskScorer, ScorerFault};
use crate::identity::client::{Dialer, ServerIdentity};
use crate::identity::error::IdentityError;
use crate::identity::workload::Workload;
use crate::model::limits::{QUESTION_BYTES_MAX, SCORE_BYTES_MAX};
use crate::model::spiffe_id::SpiffeId;
use crate::pb::v1::ScoreRequest;
use crate::pb::v1::risk_scorer_client::RiskScorerClient;

/// Of an answer that it does not take such a question.
const NOT_TAKEN: &str = "the question was not taken";

/// Asks one scorer. The connection is made when it is first used, and made again when it was lost.
#[derive(Debug, Clone)]
pub struct GrpcScorer {
    client: RiskScorerClient<Channel>,
}

impl GrpcScorer {
    /// One at `target` (`host:port`). Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// When the target is malformed, or there is no SVID to present.
    pub fn new(target: &str, workload: &Workload, expected: SpiffeId) -> Result<Self, IdentityError> {
        let channel = Dialer::new(target, workload, ServerIdentity::Exact(expected))?.channel_lazy()?;
        let client = RiskScorerClient::new(channel)
            .max_decoding_message_size(SCORE_BYTES_MAX)
            .max_encoding_message_size(QUESTION_BYTES_MAX * 2);
        Ok(Self { client })
    }
}

impl RiskScorer for GrpcScorer {
    fn score<'a>(&'a self, asked: &'a ScoreRequest, within: Duration) -> Answering<'a> {
        let (mut client, mut request) = (self.client.clone(), Request::new(asked.clone()));
        request.set_timeout(within);
        Box::pin(async move {
            match client.score(request).await {
                Ok(answer) => Ok(answer.into_inner()),
                // The code alone: what the other side says in words may hold anything.
                Err(status) => Err(fault(status.code())),
            }
        })
    }
}

/// What an answer of that code comes to: a failure, unless the question alone may be to blame.
fn fault(code: Code) -> ScorerFault {
    match code {
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => ScorerFault::Form(NOT_TAKEN),
        code => ScorerFault::Refused(format!("{code:?}")),
    }
}
