//! Reading break-glass: what was opened and why, what it was used for, and what a reviewer found. Agents read none of it.

use crate::broker::Broker;
use crate::broker::ask::ListBreakGlass;
use crate::broker::audit::wire_access;
use crate::broker::caller::Caller;
use crate::broker::error::BrokerError;
use crate::broker::glass_after::{NO_SUCH, sees_glasses};
use crate::broker::glasses::Glass;
use crate::broker::grants::UnreadError;
use crate::broker::read::page_size;
use crate::broker::record::family_stream;
use crate::broker::summary::timestamp;
use crate::broker::words::{self, Context, Sentence};
use crate::model::glass::GlassVerdict;
use crate::model::id::GlassId;
use crate::model::time::Timestamp;
use crate::pb::journal::event::Payload;
use crate::pb::v1;
use crate::seal::sealer::COMMON;

impl Broker {
    /// One glass.
    ///
    /// # Errors
    /// `NotFound` when there is none, or not for the caller.
    pub async fn get_break_glass(&self, caller: &Caller, id: GlassId) -> Result<v1::BreakGlass, BrokerError> {
        let _place = self.enter_apart(caller)?;
        if !sees_glasses(caller) {
            return Err(NO_SUCH);
        }
        self.shown_glass(id).await
    }

    /// Glasses, newest first; with them the id of the last of the page when there may be more.
    ///
    /// # Errors
    /// When the page is above its limit, or the record cannot be read.
    pub async fn list_break_glass(
        &self,
        caller: &Caller,
        ask: ListBreakGlass,
    ) -> Result<(Vec<v1::BreakGlass>, Option<GlassId>), BrokerError> {
        let _place = self.enter_apart(caller)?;
        let size = page_size(ask.page_size)?;
        if !sees_glasses(caller) {
            return Ok((Vec::new(), None));
        }
        let (mut found, now): (Vec<(GlassId, Glass)>, Timestamp) = {
            let state = self.0.known.look();
            let wanted = |(_, glass): &(GlassId, &Glass)| {
                (!ask.review_open || glass.review.is_none()) && ask.task.is_none_or(|task| glass.task == task)
            };
            let listed = state.glasses.listed(ask.after).filter(wanted).take(size + 1);
            (listed.map(|(id, glass)| (id, glass.clone())).collect(), self.now(&state))
        };
        let more = found.len() > size;
        found.truncate(size);
        let last = found.last().filter(|_| more).map(|(id, _)| *id);
        let told =
            self.reading(move |this| Ok(found.iter().map(|(id, glass)| this.listed_glass(*id, glass, now)).collect()));
        Ok((told.await?, last))
    }

    /// A glass as it stands now.
    pub(in crate::broker) async fn shown_glass(&self, id: GlassId) -> Result<v1::BreakGlass, BrokerError> {
        let (glass, now) = {
            let state = self.0.known.look();
            (state.glasses.find(id).cloned().ok_or(NO_SUCH)?, self.now(&state))
        };
        self.reading(move |this| this.told_glass(id, &glass, now)).await
    }

    /// One of a list: what cannot be read of it hides neither it nor the others.
    fn listed_glass(&self, id: GlassId, glass: &Glass, now: Timestamp) -> v1::BreakGlass {
        self.told_glass(id, glass, now).unwrap_or_else(|error| {
            let error = &error as &dyn std::error::Error;
            tracing::error!(glass = %id, error, "the words of a break-glass could not be read");
            v1::BreakGlass { unread: true, ..bare(id, glass, now) }
        })
    }

    fn told_glass(&self, id: GlassId, glass: &Glass, now: Timestamp) -> Result<v1::BreakGlass, BrokerError> {
        let mut shown = bare(id, glass, now);
        let recorded = self.0.journal.read(glass.position).map_err(BrokerError::unavailable)?;
        let Some(Payload::BreakGlassOpened(opened)) = &recorded.event.payload else {
            return Err(BrokerError::internal(NotOpenedError(glass.position)));
        };
        let Some(decision) = &opened.decision else {
            return Err(BrokerError::internal(NotOpenedError(glass.position)));
        };
        match self.whole_words(recorded.position, &recorded.event, decision) {
            Ok(words) => {
                shown.access = words.access.first().map(wire_access);
                shown.justification = words.purpose;
            }
            Err(UnreadError::Erased) => shown.erased = true,
            Err(UnreadError::Unread(error)) => return Err(error),
        }
        if let Some(review) = &glass.review {
            let context = Context { kind: "glass-reviewed", id: &id.to_string() };
            let own = self.open_reason(&family_stream(glass.root), context, &review.sealed);
            let common = || words::open::<Sentence>(&self.0.sealer, COMMON, context, &review.sealed);
            match own.or_else(|error| common().map(|note| note.text).map_err(|_| error)) {
                Ok(note) => shown.note = note,
                Err(error) if error.is_erased() => shown.erased = true,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(shown)
    }
}

/// A glass without words.
fn bare(id: GlassId, glass: &Glass, now: Timestamp) -> v1::BreakGlass {
    let review = glass.review.as_ref();
    v1::BreakGlass {
        break_glass_id: id.to_string(),
        state: state_of(glass, now).into(),
        task_id: glass.task.to_string(),
        agent: glass.agent.to_string(),
        initiator: glass.initiator.to_string(),
        audience: glass.audience.to_string(),
        access: None,
        opened_by: glass.by.to_string(),
        justification: String::new(),
        opened: Some(timestamp(glass.opened)),
        until: Some(timestamp(glass.closed.map_or(glass.until, |closed| closed.min(glass.until)))),
        uses_max: glass.uses_max,
        uses: glass.uses(),
        grant_ids: glass.grants.iter().map(ToString::to_string).collect(),
        decision_id: glass.decision.to_string(),
        review_open: review.is_none(),
        review_by: Some(timestamp(glass.review_by)),
        verdict: match review.map(|review| review.verdict) {
            None => v1::BreakGlassVerdict::Unspecified,
            Some(GlassVerdict::Justified) => v1::BreakGlassVerdict::Justified,
            Some(GlassVerdict::Unjustified) => v1::BreakGlassVerdict::Unjustified,
        }
        .into(),
        reviewed_by: review.map(|review| review.by.to_string()).unwrap_or_default(),
        reviewed: review.map(|review| timestamp(review.at)),
        note: String::new(),
        erased: false,
        denied_before: glass.denied_before,
        unread: false,
    }
}

/// Where it stands, by the record and the clock.
fn state_of(glass: &Glass, now: Timestamp) -> v1::BreakGlassState {
    if glass.closed.is_some() {
        v1::BreakGlassState::Closed
    } else if glass.until <= now {
        v1::BreakGlassState::Lapsed
    } else if glass.uses() >= glass.uses_max {
        v1::BreakGlassState::UsedUp
    } else {
        v1::BreakGlassState::Open
    }
}

/// The record holds something else at that position.
#[derive(Debug, thiserror::Error)]
#[error("position {0} holds no break-glass that was opened")]
struct NotOpenedError(u64);
