//! Where the bundle in force only observes: until when and for whom, as the broker tells it, and its end, which is recorded when it
//! comes. What is let through meanwhile is recorded with its decision, and told in its token.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::broker::Broker;
use crate::broker::caller::broker_actor;
use crate::broker::error::BrokerError;
use crate::broker::gather::no_context;
use crate::broker::record::{SYSTEM_STREAM, event};
use crate::broker::state::ActivePolicy;
use crate::journal::entry::{Entry, EntryClass};
use crate::journal::guards::{Expect, GuardKey};
use crate::model::identity::IdentityClass;
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;
use crate::policy::observe::Observe;

/// For whom a bundle only observes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observing {
    /// Until when.
    pub until: Timestamp,
    /// The classes of identities.
    pub classes: Vec<IdentityClass>,
    /// True when that is past.
    pub over: bool,
}

impl Observing {
    /// As it would be if the bundle were activated now.
    pub(in crate::broker) fn from_now(observe: &Observe, now: Timestamp) -> Self {
        let until = observe.ends(now);
        Self { until, classes: observe.classes().collect(), over: until <= now }
    }
}

impl std::fmt::Display for Observing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let classes: Vec<&str> = self.classes.iter().map(|class| class.as_str()).collect();
        let at = i64::try_from(self.until.as_secs()).ok().and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok());
        let until = at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default();
        write!(f, "{} until {until}", classes.join(", "))
    }
}

impl ActivePolicy {
    /// For whom the bundle only observes; `None` when it says so of nobody.
    pub(in crate::broker) fn observing(&self, now: Timestamp) -> Option<Observing> {
        let observe = self.bundle.as_ref()?.observe()?;
        let until = observe.ends(self.activated);
        // Once its end is on record it is over, whatever a clock that was set back says.
        Some(Observing { until, classes: observe.classes().collect(), over: self.observed || until <= now })
    }

    /// Until when the bundle only observes identities of that class; `None` when its answer holds.
    pub(in crate::broker) fn observes_until(&self, class: IdentityClass, now: Timestamp) -> Option<Timestamp> {
        let observing = self.observing(now).filter(|observing| !observing.over)?;
        observing.classes.contains(&class).then_some(observing.until)
    }
}

impl Broker {
    /// Every class of identities that policy decides about, and until when it is only observed.
    #[must_use]
    pub fn observed_classes(&self) -> Vec<(IdentityClass, Option<Timestamp>)> {
        let state = self.0.known.look();
        let now = self.now(&state);
        let until = |class| state.policy.as_ref().and_then(|policy| policy.observes_until(class, now));
        let asking = IdentityClass::ALL.into_iter().filter(|class| class.is_decided_about());
        asking.map(|class| (class, until(class))).collect()
    }

    /// For whom the bundle in force only observes at the moment.
    pub(in crate::broker) fn observing_now(&self) -> Option<Observing> {
        let state = self.0.known.look();
        let now = self.now(&state);
        state.policy.as_ref().and_then(|policy| policy.observing(now)).filter(|observing| !observing.over)
    }

    /// Says loudly that policy only observes.
    pub(in crate::broker) fn warn_of_observing(&self) {
        if let Some(observing) = self.observing_now() {
            tracing::warn!("policy only observes {observing}: what it would withhold from them is granted");
        }
    }

    /// Records that the bundle in force no longer only observes, and has live grants decided again. Decisions do not wait for it: they
    /// go by the clock.
    pub(in crate::broker) async fn end_observing(&self) -> Result<(), BrokerError> {
        let Some((ended, expect)) = self.observing_ended() else { return Ok(()) };
        let event = event(SYSTEM_STREAM.to_owned(), broker_actor(), &no_context(), Payload::ObservingEnded(ended));
        let entry = Entry { events: vec![event], expects: vec![expect], class: EntryClass::End };
        // Another bundle meanwhile is looked at by the next sweep.
        let Some(committed) = self.append(entry).await? else { return Ok(()) };
        tracing::warn!("policy no longer only observes: what it withholds is withheld from here on");
        let (this, position) = (self.clone(), committed.last());
        // Deadlines do not wait for grants, of which there may be very many. What is left undone is resumed.
        tokio::spawn(async move { this.reconsider_all(&broker_actor(), position).await });
        Ok(())
    }

    /// What is to be recorded of its end, when that has come and is not on record; and that the bundle is still the same.
    fn observing_ended(&self) -> Option<(pb::ObservingEnded, Expect)> {
        let state = self.0.known.look();
        let now = self.now(&state);
        let policy = state.policy.as_ref().filter(|policy| !policy.observed)?;
        let observing = policy.observing(now).filter(|observing| observing.over)?;
        let ended = pb::ObservingEnded {
            policy_digest: policy.digest.clone(),
            policy_revision: policy.revision,
            until_ms: observing.until.as_millis(),
            classes: observing.classes.iter().map(ToString::to_string).collect(),
        };
        let key = GuardKey::policy();
        Some((ended, Expect { key, at: state.marks.at(&key) }))
    }
}
