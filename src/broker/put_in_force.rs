//! How a policy bundle comes to be in force: it is signed as it must be, its revision rises, nothing comes back unnoticed, and
//! where two persons are needed the second of them does it. Otherwise it is proposed.

use std::sync::Arc;

use crate::broker::activate::{ACTIVATE, checked};
use crate::broker::answer::Activated;
use crate::broker::ask::Target;
use crate::broker::caller::{Caller, broker_actor};
use crate::broker::error::BrokerError;
use crate::broker::gather::no_context;
use crate::broker::proposals::{Before, Persons, Proposal};
use crate::broker::record::{SYSTEM_STREAM, event};
use crate::broker::state::State;
use crate::broker::{Broker, TRIES_MAX, ordinary};
use crate::identity::people::VerifiedPerson;
use crate::journal::entry::Entry;
use crate::journal::guards::{Expect, GuardKey};
use crate::model::id::{InitiatorName, PolicyProposalId};
use crate::model::limits::{
    POLICY_PROPOSALS_MAX, POLICY_PROPOSALS_PER_PERSON_MAX, POLICY_REVISION_MAX, POLICY_REVISION_STEP_MAX,
};
use crate::model::person::Right;
use crate::model::reason::ReasonCode;
use crate::model::signer::Signer;
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::pb::journal::BundleFile;
use crate::pb::journal::event::Payload;
use crate::policy::bundle::{BundleFiles, PolicyBundle};
use crate::policy::signers::{Endorsement, endorsement};

/// On whose behalf a bundle is put in force.
#[derive(Debug, Clone)]
pub(in crate::broker) enum By {
    /// A person or the operator asks for it.
    Caller(Caller),
    /// It is configured. Whoever writes the configuration is asked for no second person, and at a first start there is nobody to ask.
    Configuration,
}

/// How it is wanted.
#[derive(Debug)]
pub(in crate::broker) struct Wanted {
    /// As this revision; for what is configured, the one that it has when its manifest names none.
    pub(in crate::broker) revision: u64,
    /// The digest that was looked at.
    pub(in crate::broker) digest: Option<String>,
    /// True to go back to what was in force before.
    pub(in crate::broker) going_back: bool,
}

/// What came of it.
#[derive(Debug)]
pub(in crate::broker) enum Settled {
    /// It is in force; live grants are still to be decided again.
    InForce(Activated),
    /// It waits for a second person.
    Proposed(PolicyProposalId, Proposal),
}

/// A bundle that loads, passes its tests, and is signed as it must be.
struct Candidate {
    bundle: Arc<PolicyBundle>,
    digest: String,
    revision: u64,
    owner: String,
    signed_by: Vec<Signer>,
    manifest: Vec<u8>,
    going_back: bool,
}

/// What one look comes to.
enum Attempt {
    Activate(Entry, Confirmed),
    Propose(Entry, PolicyProposalId),
    /// The same person has proposed the same before.
    Waits(PolicyProposalId, Proposal),
}

/// What an activation says beside its candidate.
#[derive(Debug, Clone, Default)]
struct Confirmed {
    returns_to: Option<Before>,
    proposal: String,
    proposed_by: String,
}

impl Broker {
    /// Loads, tests, holds the signatures against the configuration, and activates or proposes.
    pub(in crate::broker) async fn put_in_force(
        &self,
        by: By,
        files: BundleFiles,
        wanted: Wanted,
    ) -> Result<Settled, BrokerError> {
        let candidate = self.candidate(&by, files, wanted).await?;
        self.0.bundles.keep(candidate.bundle.clone());
        for _ in 0..TRIES_MAX {
            match self.step_into_force(&by, &candidate)? {
                Attempt::Waits(id, proposal) => return Ok(Settled::Proposed(id, proposal)),
                Attempt::Propose(entry, id) => {
                    if self.append(entry).await?.is_none() {
                        continue;
                    }
                    let state = self.0.known.look();
                    let proposal = state.proposals.open(Timestamp::default()).find(|(known, _)| *known == id);
                    let (_, proposal) = proposal.ok_or(BrokerError::Conflict)?;
                    return Ok(Settled::Proposed(id, proposal.clone()));
                }
                Attempt::Activate(entry, confirmed) => {
                    let Some(committed) = self.append(entry).await? else { continue };
                    self.warn_of_observing();
                    let observing = self.observing_now();
                    let activated = candidate.activated(confirmed, committed.last());
                    return Ok(Settled::InForce(Activated { observing, ..activated }));
                }
            }
        }
        Err(BrokerError::Conflict)
    }

    async fn candidate(&self, by: &By, files: BundleFiles, wanted: Wanted) -> Result<Candidate, BrokerError> {
        let (signers, now) = (self.0.settings.activation.signers.clone(), self.now(&self.0.known.look()));
        let loaded = tokio::task::spawn_blocking(move || {
            // Of what is not signed nothing is read.
            let endorsed = endorsement(&files, signers.as_deref()).map_err(|e| e.to_string())?;
            let manifest = files.manifest().unwrap_or_default().to_vec();
            let bundle = PolicyBundle::load(files).map_err(|e| e.to_string())?;
            match checked(&bundle, now).problems.first() {
                None => Ok((Arc::new(bundle), endorsed, manifest)),
                Some((path, problem)) => Err(format!("{path}: {problem}")),
            }
        });
        let loaded = loaded.await.map_err(BrokerError::internal)?;
        let (bundle, endorsed, manifest) = loaded.map_err(|problem| rejected("bundle", problem))?;
        let digest = bundle.digest().to_string();
        if wanted.digest.is_some_and(|expected| expected != digest) {
            return Err(rejected("digest", "is not the digest of the bundle"));
        }
        let Endorsement { statement, signed_by } = endorsed;
        let named = statement.as_ref().map(|statement| statement.revision);
        let revision = match by {
            By::Configuration => named.unwrap_or(wanted.revision),
            By::Caller(_) => wanted.revision,
        };
        if let Some(named) = named.filter(|named| *named != revision && self.0.settings.activation.signers.is_some()) {
            return Err(rejected("revision", format!("is not the one that is signed, {named}")));
        }
        // Without keys a manifest is no more than what somebody says, and of another revision it says nothing.
        let statement = statement.filter(|statement| statement.revision == revision);
        // Nor is one kept that is about something else: who has it later would take it for what this was activated by.
        let manifest = if statement.is_some() { manifest } else { Vec::new() };
        let owner = statement.map(|statement| statement.owner.to_string()).unwrap_or_default();
        Ok(Candidate { bundle, digest, revision, owner, signed_by, manifest, going_back: wanted.going_back })
    }

    /// One look: what is to be recorded now.
    fn step_into_force(&self, by: &By, candidate: &Candidate) -> Result<Attempt, BrokerError> {
        let state = self.0.known.look();
        let mut keys = vec![GuardKey::policy()];
        let person = match by {
            By::Configuration => None,
            By::Caller(caller) => {
                self.may_change(&state, caller, (ACTIVATE, Right::ActivatePolicy))?;
                match caller {
                    Caller::Person(person) => Some(person.as_ref()),
                    Caller::Operator { .. } | Caller::Workload(_) => None,
                }
            }
        };
        keys.extend(person.map(|person| GuardKey::initiator(person.name())));
        if state.policy.as_ref().is_some_and(|p| candidate.revision <= p.revision) {
            return Err(rejected("revision", "is not above the one in force"));
        }
        let step = candidate.revision.saturating_sub(state.policy.as_ref().map_or(0, |p| p.revision));
        if candidate.revision > POLICY_REVISION_MAX || step > POLICY_REVISION_STEP_MAX {
            let problem = format!(
                "is above {POLICY_REVISION_MAX}, or by more than {POLICY_REVISION_STEP_MAX} above the one in force"
            );
            return Err(rejected("revision", problem));
        }
        let returns_to = returns_to(&state, &candidate.digest);
        if let Some(before) = returns_to.filter(|_| !candidate.going_back) {
            let Before { revision, position } = before;
            let problem = format!("is false, but the bundle was in force as revision {revision} (position {position})");
            return Err(rejected("going_back", problem));
        }
        let alone = matches!(by, By::Configuration) || self.0.settings.activation.persons == Persons::One;
        let confirmed = if alone {
            Confirmed { returns_to, ..Confirmed::default() }
        } else {
            keys.push(GuardKey::policy_proposals());
            let person = person.ok_or(BrokerError::NotPermitted { code: ReasonCode::TwoPersonsNeeded })?;
            // A clock that was set back would let a proposal stand for longer.
            let now = self.now_to_grant(&state)?;
            match self.seconded(&state, person, candidate, now) {
                Seconded::ByAnother(id, proposal) => {
                    // He may be blocked at this moment.
                    keys.push(GuardKey::initiator(&proposal.by));
                    Confirmed { returns_to, proposal: id.to_string(), proposed_by: proposal.by.to_string() }
                }
                Seconded::Own(id, proposal) => return Ok(Attempt::Waits(id, proposal.clone())),
                Seconded::Not => {
                    let (event, id) = self.proposal(&state, (by, person), (candidate, returns_to), now)?;
                    return Ok(Attempt::Propose(ordinary(event, expects(&state, keys)), id));
                }
            }
        };
        let payload = Payload::PolicyActivated(candidate.payload(&confirmed));
        let event = event(SYSTEM_STREAM.to_owned(), by.actor(), &no_context(), payload);
        Ok(Attempt::Activate(ordinary(event, expects(&state, keys)), confirmed))
    }

    /// Whether another person has proposed just this, and could still do so.
    fn seconded<'s>(
        &self,
        state: &'s State,
        person: &VerifiedPerson,
        candidate: &Candidate,
        now: Timestamp,
    ) -> Seconded<'s> {
        let still_may = |name: &InitiatorName| {
            let people = self.0.people.as_ref();
            people.is_some_and(|people| people.may(name, Right::ActivatePolicy))
                && !state.blocks.contains_key(&Target::Initiator(name.clone()))
        };
        let mut own = Seconded::Not;
        for (id, proposal) in state.proposals.open(now).filter(|(_, proposal)| candidate.is_of(proposal)) {
            if proposal.by == *person.name() {
                own = Seconded::Own(id, proposal);
            } else if still_may(&proposal.by) {
                return Seconded::ByAnother(id, proposal);
            }
        }
        own
    }

    /// The event that proposes it, while there is room for another.
    fn proposal(
        &self,
        state: &State,
        (by, person): (&By, &VerifiedPerson),
        (candidate, returns_to): (&Candidate, Option<Before>),
        now: Timestamp,
    ) -> Result<(pb::Event, PolicyProposalId), BrokerError> {
        let of_person = state.proposals.open(now).filter(|(_, proposal)| proposal.by == *person.name()).count();
        if of_person >= POLICY_PROPOSALS_PER_PERSON_MAX || state.proposals.open(now).count() >= POLICY_PROPOSALS_MAX {
            let problem = format!(
                "{POLICY_PROPOSALS_PER_PERSON_MAX} proposals of one person or {POLICY_PROPOSALS_MAX} of all wait already"
            );
            return Err(BrokerError::above_limit("bundle", problem));
        }
        let id = PolicyProposalId::new(now, self.0.entropy.bytes().map_err(BrokerError::unavailable)?);
        let payload = pb::PolicyProposed {
            proposal_id: id.to_string(),
            digest: candidate.digest.clone(),
            revision: candidate.revision,
            owner: candidate.owner.clone(),
            signed_by: recorded(&candidate.signed_by),
            returns_to: returns_to.map(wire_return),
            until_ms: now.after(self.0.settings.activation.proposal_stands).as_millis(),
        };
        let payload = Payload::PolicyProposed(payload);
        Ok((event(SYSTEM_STREAM.to_owned(), by.actor(), &no_context(), payload), id))
    }
}

/// Who has proposed the same.
enum Seconded<'s> {
    /// Somebody else, who still may.
    ByAnother(PolicyProposalId, &'s Proposal),
    /// The same person.
    Own(PolicyProposalId, &'s Proposal),
    /// Nobody who counts.
    Not,
}

impl By {
    fn actor(&self) -> pb::Actor {
        match self {
            Self::Caller(caller) => caller.actor(),
            Self::Configuration => broker_actor(),
        }
    }
}

impl Candidate {
    /// True when just this was proposed: the same files as the same revision, with the same owner.
    fn is_of(&self, proposal: &Proposal) -> bool {
        (&proposal.digest, proposal.revision, &proposal.owner) == (&self.digest, self.revision, &self.owner)
    }

    fn payload(&self, confirmed: &Confirmed) -> pb::PolicyActivated {
        let file =
            |(path, content): (&str, &[u8])| BundleFile { path: path.to_owned(), content: content.to_vec().into() };
        pb::PolicyActivated {
            digest: self.digest.clone(),
            revision: self.revision,
            files: self.bundle.files().iter().map(file).collect(),
            owner: self.owner.clone(),
            signed_by: recorded(&self.signed_by),
            manifest: self.manifest.clone().into(),
            returns_to: confirmed.returns_to.map(wire_return),
            proposal_id: confirmed.proposal.clone(),
            proposed_by: confirmed.proposed_by.clone(),
        }
    }

    fn activated(&self, confirmed: Confirmed, position: u64) -> Activated {
        let (digest, revision) = (&self.digest, self.revision);
        if let Some(Before { revision: before, .. }) = confirmed.returns_to {
            tracing::warn!(digest, revision, before, "policy goes back to what was in force before");
        }
        Activated {
            digest: digest.clone(),
            revision,
            position,
            grants_suspended: 0,
            grants_revoked: 0,
            families_owed: 0,
            owner: self.owner.clone(),
            signed_by: self.signed_by.clone(),
            proposed_by: confirmed.proposed_by,
            returns_to: confirmed.returns_to,
            observing: None,
        }
    }
}

/// When files of that digest were in force; `None` for those that are, and for what never was.
pub(in crate::broker) fn returns_to(state: &State, digest: &str) -> Option<Before> {
    let in_force = state.policy.as_ref().is_some_and(|policy| policy.digest == digest);
    state.policies_before.find(digest).filter(|_| !in_force)
}

fn recorded(signers: &[Signer]) -> Vec<pb::PolicySigner> {
    signers.iter().map(wire_signer).collect()
}

/// A signer as it stands in events.
pub(in crate::broker) fn wire_signer(signer: &Signer) -> pb::PolicySigner {
    pb::PolicySigner { name: signer.name.clone(), key_id: signer.key_id.clone() }
}

pub(in crate::broker) fn rejected(field: &'static str, problem: impl Into<String>) -> BrokerError {
    BrokerError::Invalid { code: ReasonCode::PolicyRejected, field, problem: problem.into() }
}

const fn wire_return(before: Before) -> pb::PolicyReturn {
    pb::PolicyReturn { revision: before.revision, position: before.position }
}

fn expects(state: &State, keys: Vec<GuardKey>) -> Vec<Expect> {
    keys.into_iter().map(|key| Expect { key, at: state.marks.at(&key) }).collect()
}
