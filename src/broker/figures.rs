//! Figures: what is recorded from now on, told to the metrics as it is folded, and what stands now. Nothing is decided by them.

use crate::broker::Broker;
use crate::broker::record::{band, outcome};
use crate::journal::projection::Recorded;
use crate::journal::terms::kind_name;
use crate::metrics::Metrics;
use crate::model::facts::Question;
use crate::model::grant::GrantStanding;
use crate::model::identity::IdentityClass;
use crate::pb::journal::Decision;
use crate::pb::journal::event::Payload;

/// What stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Tasks that have not ended.
    pub tasks_open: u64,
    /// Requests that wait for a person.
    pub approvals_waiting: u64,
    /// Those of them that were escalated.
    pub approvals_escalated: u64,
    /// Break-glass that stands open.
    pub glasses_open: u64,
    /// Post-reviews of break-glass that nobody has closed.
    pub glass_reviews_open: u64,
    /// Those of them that are overdue.
    pub glass_reviews_overdue: u64,
    /// Grants whose tokens may be used.
    pub grants_live: u64,
    /// Grants that are suspended.
    pub grants_suspended: u64,
    /// Events in the record.
    pub events: u64,
    /// Entries that wait to be recorded.
    pub waiting: u64,
    /// Bytes of the record.
    pub bytes: u64,
    /// Revision of the policy bundle in force; 0 when there is none.
    pub policy_revision: u64,
    /// Activations of policy that wait for a second person.
    pub policy_proposals: u64,
}

impl Broker {
    /// Tells these metrics what is recorded from now on; what was recorded before was counted when it happened. The first to
    /// be told are told for good.
    pub fn count_into(&self, metrics: &Metrics) {
        metrics.torn(self.0.torn_bytes);
        self.0.known.count_into(metrics.clone());
        self.0.notifier.count_into(metrics);
        self.0.scorers.count_into(metrics.clone());
    }

    /// Each scorer, and whether it is left alone for a while.
    #[must_use]
    pub fn scorer_pauses(&self) -> Vec<(String, bool)> {
        let paused = self.0.scorers.paused(&self.0.clock);
        self.0.scorers.names().map(|name| (name.to_owned(), paused.contains(&name))).collect()
    }

    /// What stands now.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let state = self.0.known.look();
        let now = self.now(&state);
        let mut figures = Figures {
            tasks_open: state.by.deadlines.len() as u64,
            approvals_waiting: state.approvals.count_waiting() as u64,
            approvals_escalated: state.approvals.count_escalated() as u64,
            events: state.next,
            waiting: self.0.journal.waiting() as u64,
            bytes: self.0.journal.bytes(),
            policy_revision: state.policy.as_ref().map(|p| p.revision).unwrap_or_default(),
            policy_proposals: state.proposals.open(now).count() as u64,
            ..Figures::default()
        };
        (figures.glasses_open, figures.glass_reviews_open, figures.glass_reviews_overdue) = state.glasses.counts(now);
        for grant in state.grants.values().filter(|g| g.is_open(now)) {
            match &grant.standing {
                GrantStanding::Open(causes) if causes.is_empty() => figures.grants_live += 1,
                GrantStanding::Open(_) => figures.grants_suspended += 1,
                GrantStanding::Revoked | GrantStanding::Released => {}
            }
        }
        figures
    }
}

/// Counts one event.
pub(in crate::broker) fn count(metrics: &Metrics, recorded: &Recorded) {
    let kind = kind_name(&recorded.event);
    metrics.recorded(kind);
    if let Some(what) = kind.strip_prefix("break_glass_") {
        metrics.break_glass(what);
    }
    let decision = match &recorded.event.payload {
        Some(Payload::TaskDecided(e)) => e.decision.as_ref(),
        Some(Payload::TaskAmended(e)) => e.decision.as_ref(),
        Some(Payload::CredentialDecided(e)) => e.decision.as_ref(),
        Some(Payload::GrantReconsidered(e)) => e.decision.as_ref(),
        Some(Payload::BreakGlassOpened(e)) => e.decision.as_ref(),
        _ => None,
    };
    if let Some(decision) = decision {
        count_decision(metrics, decision);
    }
}

fn count_decision(metrics: &Metrics, decision: &Decision) {
    let question = match decision.question.as_str() {
        "request" => Question::Request,
        "retain" => Question::Retain,
        "register" => Question::Register,
        "amend" => Question::Amend,
        "break_glass" => Question::BreakGlass,
        _ => return,
    };
    if let (Some(outcome), Some(band)) = (outcome(decision.outcome), band(decision.band)) {
        let reasons = decision.reasons.iter().filter_map(|r| r.code.parse().ok());
        metrics.decided(question, outcome, band, reasons);
        let observed = IdentityClass::ALL.into_iter().find(|class| class.as_str() == decision.observed_class);
        if let Some(class) = observed.filter(|_| decision.instead != 0) {
            metrics.observed_only(class, outcome);
        }
    }
}
