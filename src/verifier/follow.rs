//! Follows the issuer's `Watch` stream and comes back when it breaks. The channel is the host's: mutual TLS with its own
//! SVID, to the broker and nobody else.

use std::time::Duration;

use tonic::transport::Channel;

use super::revocations::{RevocationView, UnknownMessageError};
use crate::model::id::Audience;
use crate::pb::v1::WatchRequest;
use crate::pb::v1::revocation_service_client::RevocationServiceClient;

/// What is followed.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// The host's own audiences; empty follows all of them.
    pub audiences: Vec<Audience>,
    /// A stream that is silent for so long is given up: longer than the issuer's heartbeat, shorter than the age that the
    /// view may reach.
    pub silence_max: Duration,
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The issuer refused, or the connection broke.
    #[error("the revocation stream ended")]
    Stream(#[source] Box<tonic::Status>),
    /// The issuer ended it.
    #[error("the revocation stream was ended by the issuer")]
    Ended,
    /// Nothing came for too long.
    #[error("the revocation stream is silent")]
    Silent,
    /// A message made no sense.
    #[error("the revocation stream makes no sense")]
    Unknown(#[source] UnknownMessageError),
}

/// Follows for as long as it is polled: a task of its own. Streams that end are begun again after a pause that grows while
/// nothing is heard.
pub async fn follow(channel: Channel, subscription: &Subscription, view: &RevocationView) {
    let mut pause = PAUSE_MIN;
    loop {
        let mut heard = false;
        let error = follow_once(channel.clone(), subscription, view, &mut heard).await;
        tracing::warn!(error = &error as &dyn std::error::Error, "revocations are not followed at this moment");
        if heard {
            pause = PAUSE_MIN;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

async fn follow_once(
    channel: Channel,
    subscription: &Subscription,
    view: &RevocationView,
    heard: &mut bool,
) -> FollowError {
    let request = WatchRequest {
        after: view.begin(),
        audiences: subscription.audiences.iter().map(Audience::to_string).collect(),
    };
    let mut client = RevocationServiceClient::new(channel);
    let within = subscription.silence_max;
    let mut stream = match tokio::time::timeout(within, client.watch(request)).await {
        Err(_) => return FollowError::Silent,
        Ok(Err(status)) => return FollowError::Stream(Box::new(status)),
        Ok(Ok(response)) => response.into_inner(),
    };
    loop {
        match tokio::time::timeout(within, stream.message()).await {
            Err(_) => return FollowError::Silent,
            Ok(Err(status)) => return FollowError::Stream(Box::new(status)),
            Ok(Ok(None)) => return FollowError::Ended,
            Ok(Ok(Some(message))) => {
                if let Err(error) = view.apply(&message) {
                    return FollowError::Unknown(error);
                }
                *heard = true;
            }
        }
    }
}

const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
