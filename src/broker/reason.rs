//! Reasons that people give for an end, a pause, a revocation: sealed where they stand, and opened for reviewers. And the
//! digests by which words are recognised and not known.

use crate::broker::Broker;
use crate::broker::error::BrokerError;
use crate::broker::record::family_of;
use crate::broker::summary::summary;
use crate::broker::words::{self, Context, Sentence, WordsError};
use crate::journal::projection::Recorded;
use crate::model::id::TaskId;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;
use crate::pb::v1;

/// What the digests of what was asked are for.
pub(in crate::broker) const ASKED: &str = "asked";

impl Broker {
    /// The digest of what was asked, keyed by the family: it tells whether the same was asked, and confirms no guess at the
    /// words once the key is gone.
    pub(in crate::broker) fn keyed(&self, family: TaskId, asked: [u8; 32]) -> Result<[u8; 32], BrokerError> {
        self.0.sealer.digest(family, ASKED, &asked).map_err(BrokerError::unavailable)
    }

    /// Seals a reason for an event of that stream. One that cannot be sealed is left out: an end does not wait for its reason.
    pub(in crate::broker) fn seal_reason(&self, stream: &str, context: Context<'_>, reason: &str) -> bytes::Bytes {
        if reason.is_empty() {
            return bytes::Bytes::new();
        }
        let sentence = Sentence { text: reason.to_owned() };
        words::seal(&self.0.sealer, family_of(stream), context, &sentence).unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "a reason could not be sealed");
            bytes::Bytes::new()
        })
    }

    /// Opens what [`Broker::seal_reason`] made; empty when there was none.
    pub(in crate::broker) fn open_reason(
        &self,
        stream: &str,
        context: Context<'_>,
        sealed: &[u8],
    ) -> Result<String, WordsError> {
        if sealed.is_empty() {
            return Ok(String::new());
        }
        Ok(words::open::<Sentence>(&self.0.sealer, family_of(stream), context, sealed)?.text)
    }

    /// The event as a reviewer's list shows it: with the reason that was given for it.
    pub(in crate::broker) fn told(&self, recorded: &Recorded) -> v1::EventSummary {
        let mut told = summary(recorded);
        let Some((context, sealed)) = place(&recorded.event) else { return told };
        match self.open_reason(&recorded.event.stream, context, sealed) {
            Ok(reason) if reason.is_empty() => {}
            Ok(reason) => told.summary = format!("{}: {reason}", told.summary),
            Err(error) if error.is_erased() => {}
            // Altered words are not passed over in silence.
            Err(_) => told.summary.push_str(" (its reason does not open)"),
        }
        told
    }
}

/// Where the reason of an event stands.
fn place(event: &pb::Event) -> Option<(Context<'_>, &[u8])> {
    let (kind, id, sealed) = match event.payload.as_ref()? {
        Payload::Revoked(e) => ("revoked", &e.target, &e.sealed),
        Payload::BlockLifted(e) => ("lifted", &e.target, &e.sealed),
        Payload::TaskEnded(e) => ("end", &e.task_id, &e.sealed),
        Payload::TaskPaused(e) => ("pause", &e.task_id, &e.sealed),
        Payload::ApprovalAnswered(e) => ("answer", &e.approval_id, &e.sealed),
        Payload::BreakGlassClosed(e) => ("glass-closed", &e.glass_id, &e.sealed),
        Payload::BreakGlassReviewed(e) => ("glass-reviewed", &e.glass_id, &e.sealed),
        Payload::DecisionLabelled(e) => ("label", &e.label_id, &e.sealed),
        Payload::ApprovalWithdrawn(e) => ("withdrawn", &e.approval_id, &e.sealed),
        _ => return None,
    };
    Some((Context { kind, id }, sealed))
}
