//! Approvals: what a person answered to a request that policy would not decide alone, and what the answer is good for.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::decision::{Decision, EntryDecision, Outcome};
use super::id::{ApprovalId, InitiatorName, PolicyId};
use super::reason::ReasonCode;
use super::risk::Band;
use super::time::Timestamp;

/// Time to be found, to look, and to ask back, when the operator does not say.
pub const ANSWER_WITHIN_DEFAULT: Duration = Duration::from_secs(3600);
/// As long as an agent that asks again now and then may take, when the operator does not say.
pub const USE_WITHIN_DEFAULT: Duration = Duration::from_secs(10 * 60);
/// Long enough that nobody is worn down by the same question, when the operator does not say.
pub const DENIAL_STANDS_DEFAULT: Duration = Duration::from_secs(15 * 60);
/// As many questions of one agent as a person can look at in one go, when the operator does not say.
pub const PENDING_PER_AGENT_DEFAULT: u32 = 8;
/// Those of a few agents that work for the same person, when the operator does not say.
pub const PENDING_PER_INITIATOR_DEFAULT: u32 = 32;
/// Of the time for an answer, what is gone when it is escalated, when the operator does not say: half of it is left for who is told then.
pub const ESCALATE_AFTER_PART: u32 = 2;

/// What became of the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Yes, by as many as it takes.
    Approved,
    /// No, by one of those who were asked.
    Denied,
    /// Nobody answered in the configured time.
    Unanswered,
}

impl Verdict {
    /// The name in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Unanswered => "unanswered",
        }
    }
}

/// One doubt that was shown to who approved, and that the approval cures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cure {
    /// The reason.
    pub code: ReasonCode,
    /// Which entry it concerned, from 0.
    #[serde(default)]
    pub entry: Option<u32>,
    /// The policy that gave it.
    #[serde(default)]
    pub policy: Option<PolicyId>,
    /// What it was about, part by part: another tool, another class of data is another doubt.
    #[serde(default)]
    pub about: BTreeSet<String>,
}

/// What stands between a class of data and what let it in, where it is told.
pub const FROM: &str = " from ";
/// How it begins where it is told what let untrusted input in.
pub const UNTRUSTED_FROM: &str = "untrusted input from ";

impl Cure {
    /// True when who was shown this was shown all of `doubt`, but for what is known anyway. Who was shown the floor of the highest band
    /// has seen more than that of the one below it: otherwise a higher score could be milder than a lower one.
    #[must_use]
    pub fn covers(&self, doubt: &Self, known: &BTreeSet<&str>) -> bool {
        let code =
            self.code == doubt.code || (self.code, doubt.code) == (ReasonCode::RiskCritical, ReasonCode::RiskHigh);
        (code, self.entry, &self.policy) == (true, doubt.entry, &doubt.policy)
            && doubt.about.iter().all(|part| self.about.contains(part) || known.contains(part.as_str()))
    }

    /// A doubt as a decision has it. Of what is counted, the number is no part of it: a score is bound by its band.
    #[must_use]
    pub fn new(code: ReasonCode, entry: Option<u32>, policy: Option<PolicyId>, detail: &str) -> Self {
        let counts = matches!(
            code,
            ReasonCode::RiskHigh | ReasonCode::RiskCritical | ReasonCode::TtlShortened | ReasonCode::SessionOverflow
        );
        let parts = detail.split(", ").filter(|part| !part.is_empty() && !counts);
        // What let it in is told, and is no part of it: it is the same data when it was reported since.
        let is_origin = |part: &&str| code == ReasonCode::TaintedExit && part.starts_with(UNTRUSTED_FROM);
        let about = |part: &str| match code {
            ReasonCode::TaintedExit => part.split(FROM).next().unwrap_or(part).to_owned(),
            _ => part.to_owned(),
        };
        Self { code, entry, policy, about: parts.filter(|part| !is_origin(part)).map(about).collect() }
    }
}

/// An answer, as a decision knows it. It is bound to what was shown: it cures those doubts and no others, under the policy bundle
/// that had them, in no higher band of risk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalFacts {
    /// Which approval.
    pub id: ApprovalId,
    /// The answer.
    pub verdict: Verdict,
    /// Who gave it.
    #[serde(default)]
    pub by: Vec<InitiatorName>,
    /// Digest of the policy bundle under which the request was shown, hexadecimal.
    pub policy_digest: String,
    /// The band of risk that was shown.
    pub band: Band,
    /// The doubts that were shown.
    #[serde(default)]
    pub cures: Vec<Cure>,
    /// When it is no longer good for a grant; of a denial, when the same may be asked again.
    pub until: Timestamp,
    /// True when a grant was made of it, which it goes on with: then its time does not matter.
    #[serde(default)]
    pub used: bool,
}

impl ApprovalFacts {
    /// True when that doubt was among those shown, but for what is known anyway.
    #[must_use]
    pub fn cures(&self, doubt: &Cure, known: &BTreeSet<&str>) -> bool {
        self.cures.iter().any(|cure| cure.covers(doubt, known))
    }

    /// The same for what was granted: entries that were left out are not counted any more.
    #[must_use]
    pub fn of_granted(&self, decided: &[EntryDecision]) -> Self {
        let mut places = Vec::with_capacity(decided.len());
        let mut next = 0_u32;
        for entry in decided {
            places.push(entry.included.then_some(next));
            next += u32::from(entry.included);
        }
        let place = |entry: u32| places.get(usize::try_from(entry).ok()?).copied().flatten();
        let cures = self.cures.iter().filter_map(|cure| match cure.entry {
            None => Some(cure.clone()),
            Some(entry) => place(entry).map(|entry| Cure { entry: Some(entry), ..cure.clone() }),
        });
        Self { cures: cures.collect(), used: true, ..self.clone() }
    }
}

/// A yes that a person would say to what people are asked about, as policies see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovingFacts {
    /// Who would say it.
    pub by: InitiatorName,
    /// True when that is who the task runs for, verified or merely named.
    #[serde(default)]
    pub initiated: bool,
    /// True when that person answers for an agent at work: on the task or above it, and of an amendment below it or as who asks.
    #[serde(default)]
    pub answers_for_agents: bool,
    /// What it takes: `step_up` or `review`.
    pub outcome: Outcome,
    /// The band of risk that was shown.
    pub band: Band,
    /// True when it is about a change of the task.
    #[serde(default)]
    pub amendment: bool,
    /// Owners of tools for whom policy wants somebody to answer.
    #[serde(default)]
    pub owners: BTreeSet<String>,
    /// Owners of the agents at work.
    #[serde(default)]
    pub agent_owners: BTreeSet<String>,
    /// Who said yes before.
    #[serde(default)]
    pub votes: BTreeSet<InitiatorName>,
    /// How many it takes.
    pub needed: u32,
    /// True when it would be approved by this yes.
    #[serde(default)]
    pub settles: bool,
    /// True when this yes, or one before it, is of somebody who answers for none of the agents at work.
    #[serde(default)]
    pub independent: bool,
}

/// The doubts of a decision, as somebody is shown them who is to approve it.
#[must_use]
pub fn doubts(decision: &Decision) -> Vec<Cure> {
    let cure = |r: &super::decision::Reason| Cure::new(r.code, r.entry, r.policy.clone(), &r.detail);
    decision.reasons.iter().map(cure).collect()
}
