//! Asking for a credential: look, judge, decide, record, and only then let the token go.

use crate::broker::Broker;
use crate::broker::answer::{Answered, Decided, Difference, GrantView};
use crate::broker::ask::{RequestContext, RequestCredential, ShownHandle};
use crate::broker::asking::Pending;
use crate::broker::caller::{Caller, Refusal, WorkloadCaller, broker_actor};
use crate::broker::draws::Draws;
use crate::broker::error::BrokerError;
use crate::broker::gather::{Asked, View};
use crate::broker::glass_use::{asks_for_glass, carried_glass, used_event};
use crate::broker::grants::covered;
use crate::broker::hidden::Sought;
use crate::broker::ordinary;
use crate::broker::plan::{differences, unminted};
use crate::broker::record::{self, asked_digest, event, family_stream};
use crate::broker::register::request_id_reused;
use crate::broker::scorers::{Scored, Scoring, Trail};
use crate::broker::state::{Answer, Family};
use crate::broker::words::DecisionWords;
use crate::intent::judge::Asked as Judged;
use crate::journal::entry::{Committed, Entry};
use crate::journal::guards::{Expect, GuardKey};
use crate::mint::draft::Draft;
use crate::mint::token::Token;
use crate::model::access::Access;
use crate::model::approval::{ApprovalFacts, Verdict};
use crate::model::decision::{Decision, Outcome};
use crate::model::facts::{Facts, Question};
use crate::model::grant::GrantStanding;
use crate::model::id::{Audience, DecisionId, GlassId, GrantId, Jti, TaskId};
use crate::model::identity::Authentication;
use crate::model::limits::{ACCESS_ENTRIES_MAX, PURPOSE_BYTES_MAX};
use crate::model::reason::ReasonCode;
use crate::model::risk::{Signal, keep_higher};
use crate::model::task::AgentProfile;
use crate::model::time::Ttl;
use crate::pb::journal::event::Payload;
use crate::policy::decide::decide;
use crate::policy::permit::Permit;

/// What one attempt came to.
pub(in crate::broker) enum Attempt {
    /// The answer was recorded before, or nothing is to be recorded.
    Done(Box<Answered>),
    /// Something changed meanwhile.
    Again,
}

/// What is asked, the same for a request and for a renewal.
#[derive(Clone, Copy)]
pub(in crate::broker) struct Asking<'a> {
    pub(in crate::broker) workload: &'a WorkloadCaller,
    pub(in crate::broker) request_id: &'a crate::model::id::RequestId,
    pub(in crate::broker) task: TaskId,
    pub(in crate::broker) audience: &'a Audience,
    pub(in crate::broker) access: &'a [Access],
    pub(in crate::broker) ttl: Option<Ttl>,
    pub(in crate::broker) purpose: &'a str,
    pub(in crate::broker) profile: &'a AgentProfile,
    pub(in crate::broker) context: &'a RequestContext,
    pub(in crate::broker) asked: [u8; 32],
    /// The grant that is renewed, and the token that dies with it.
    pub(in crate::broker) renews: Option<(GrantId, Jti)>,
    /// The approval that it was granted by.
    pub(in crate::broker) approval: Option<&'a ApprovalFacts>,
    /// What its agent was made of when that approved it.
    pub(in crate::broker) approved: Option<&'a AgentProfile>,
    /// What it was opened by break-glass through.
    pub(in crate::broker) glass: Option<GlassId>,
    /// How its request fitted what the agent was granted before.
    pub(in crate::broker) behaviour: Option<&'a crate::model::behaviour::BehaviourFacts>,
    /// What scorers said of it before.
    pub(in crate::broker) scores: &'a [Signal],
}

impl Broker {
    /// Decides on a credential for one step. A denial is an answer. When this returns a token, its evidence is durable.
    ///
    /// # Errors
    /// `NotFound` when the task is not the agent's, or the handle is wrong; `Invalid` for a malformed ask; `Precondition` when
    /// a retry asks for a token that is dead.
    pub async fn request_credential(&self, caller: &Caller, ask: RequestCredential) -> Result<Answered, BrokerError> {
        let mut scoring = Scoring::new(self.enter(caller)?);
        let workload = self.own_task(caller, ask.task, &ask.handle, "RequestCredential")?;
        check(&ask)?;
        let asking = Asking {
            workload,
            request_id: &ask.request_id,
            task: ask.task,
            audience: &ask.audience,
            access: &ask.access,
            ttl: ask.ttl,
            purpose: &ask.purpose,
            profile: &ask.profile,
            context: &ask.context,
            asked: digest(&ask),
            renews: None,
            approval: None,
            approved: None,
            glass: None,
            behaviour: None,
            scores: &[],
        };
        for _ in 0..super::TRIES_MAX {
            if let Attempt::Done(answered) = self.attempt(&asking, &mut scoring).await? {
                return Ok(*answered);
            }
        }
        Err(BrokerError::Conflict)
    }

    pub(in crate::broker) async fn attempt(
        &self,
        asking: &Asking<'_>,
        scoring: &mut Scoring<'_>,
    ) -> Result<Attempt, BrokerError> {
        let resources = match asking.renews {
            Some(_) => Vec::new(),
            None => self.resources_of(asking.workload.peer.spiffe_id(), asking.access)?,
        };
        let looked = {
            let state = self.0.known.look();
            let task = state.tasks.get(&asking.task).ok_or(BrokerError::NotFound { what: "task" })?;
            match task.answers.get(asking.request_id.as_str()) {
                Some(answer) => Err((*answer, task.root)),
                None => {
                    let now = self.now_to_grant(&state)?;
                    let more = asking.renews.is_none() && state.has_no_room(task.root, now);
                    if more || state.families.get(&task.root).is_some_and(Family::is_answered_out) {
                        let problem = "the task has too many grants or answers, with those above and below it";
                        return Err(BrokerError::above_limit("task_id", problem));
                    }
                    let view = View::of(&state, asking.task, Some(asking.audience), now)?;
                    let mut view = view.ok_or(BrokerError::NotFound { what: "task" })?;
                    view.look_back(&state, asking, &resources);
                    if let Some(renewal) = asking.renews {
                        view.renewing(&state, renewal)?;
                    }
                    Ok(view)
                }
            }
        };
        let mut view = match looked {
            Ok(view) => view,
            Err((answer, root)) => {
                // What the first try may have left undone.
                self.reconsider(root, answer.position, &asking.workload.actor()).await?;
                let asked = (asking.asked, asking.workload.peer.authentication());
                let answered = self.reading(move |this| this.answered_again(answer, root, asked)).await?;
                return Ok(Attempt::Done(Box::new(answered)));
            }
        };
        // As the bundle has it that decides, which may not be the one that was in force when the request came in.
        let workload = WorkloadCaller::under(&view.bundle, &asking.workload.peer)?;
        let (asking, now) = (&Asking { workload: &workload, ..*asking }, view.now);
        // An answer is the same again only for who proves himself in the same way.
        let usual = asking.workload.peer.authentication().proves_key();
        if usual && let Some((decided, position)) = self.0.repeats.find(asking.task, asking.asked, &view.expects, now) {
            let code = decided.reasons.first().map_or(ReasonCode::Forbidden, |(code, _)| *code);
            self.note_refused_request(asking, code);
            return Ok(Attempt::Done(Box::new(Answered { decided, grant: None, position })));
        }
        let relied_on = view.expects.clone();
        view.expect_unanswered(&asking.task.to_string(), asking.request_id);
        let entries = view.judge(asking.access, if view.renews { Judged::Live } else { Judged::New })?;
        let (profile, approved) = (asking.profile, asking.approved);
        let asked = Asked { audience: Some(asking.audience), ttl: asking.ttl, profile, approved };
        let mut facts = view.facts(Question::Request, asking.workload, asked, entries);
        keep_higher(&mut facts.signals, asking.scores.iter().cloned());
        let before = self.remembered_scores(asking, &view, &facts)?;
        keep_higher(&mut facts.signals, before);
        let mut decision = self.decide_with_people(asking, &mut view, &mut facts)?;
        match self.with_scores(asking, &view, &mut facts, &decision, scoring).await? {
            Scored::Asked => return Ok(Attempt::Again),
            Scored::Added => decision = self.decide_with_people(asking, &mut view, &mut facts)?,
            Scored::Nothing => {}
        }
        let trail = self.trail(asking, &view, &facts, &decision);
        if decision.grants() {
            return self.grant(asking, view, (facts, decision), trail).await;
        }
        let mut pending = None;
        if decision.outcome.waits_for_people() {
            let covers = self.covers(asking, &view)?;
            let note = |code| self.note_refused_request(asking, code);
            pending = Some(self.pending(note, &view, covers, (&facts, &decision))?);
        }
        let asks = pending.as_ref().is_some_and(|pending| pending.asked.is_some());
        let signals = asks_for_glass(&decision);
        let (mut entry, decided) = self.refusal(asking, &view, (facts, decision), pending)?;
        if signals {
            entry.events.extend(self.asked_for_glass((asking.task, view.root), &view.signals, now)?);
        }
        let appended = if signals {
            // Goes on when the caller goes away: who asks for it does not put off what follows from that.
            let recorded = self.record_cause(view.root, entry, broker_actor(), None).await;
            if matches!(recorded, Err(BrokerError::StorageFull)) {
                self.count_asked_for_glass(asking.task).await;
            }
            recorded?.map(|(position, _)| position)
        } else {
            self.append(entry).await?.map(|committed| committed.first())
        };
        let Some(position) = appended else { return Ok(Attempt::Again) };
        if let Some(trail) = trail {
            self.ask_trailing(trail, decided.id);
        }
        // A denial is the answer to its own request id for good, so each is recorded for itself.
        if usual && decided.outcome != Outcome::Denied {
            let touches = asks || view.is_shown_first(asking.profile);
            let relies_on = if touches { since(relied_on, GuardKey::usage(&view.root), position) } else { relied_on };
            self.0.repeats.keep(asking.task, asking.asked, relies_on, now, (decided.clone(), position));
        }
        Ok(Attempt::Done(Box::new(Answered { decided, grant: None, position })))
    }

    /// Decides, with what people answered or opened where policy does not decide alone.
    fn decide_with_people(
        &self,
        asking: &Asking<'_>,
        view: &mut View,
        facts: &mut Facts,
    ) -> Result<Decision, BrokerError> {
        facts.approval = asking.approval.cloned();
        facts.glass = None;
        let mut decision = decide(&view.bundle, facts);
        if decision.outcome.waits_for_people() || decision.observed_only() {
            let covers = self.covers(asking, view)?;
            let answer = self.answer_of_people(asking, view, &covers, (&*facts, &decision))?;
            // What is only observed is granted unasked and uses no approval up; what a person refused stays refused.
            let counts = |answer: &ApprovalFacts| !decision.observed_only() || answer.verdict == Verdict::Denied;
            if let Some(answer) = answer.filter(counts) {
                facts.approval = Some(answer);
                decision = decide(&view.bundle, facts);
            }
        }
        // Last, so that it is used for nothing that is granted without.
        if !decision.grants() && self.through_glass(asking, view, facts)? {
            decision = decide(&view.bundle, facts);
        }
        Ok(decision)
    }

    fn refusal(
        &self,
        asking: &Asking<'_>,
        view: &View,
        (facts, decision): (Facts, Decision),
        pending: Option<Pending>,
    ) -> Result<(Entry, Decided), BrokerError> {
        let id = self.new_decision_id()?;
        let words = asking.words(facts, decision, Vec::new());
        let mut decided = Decided::new(id, &words.decision, Vec::new());
        let mut payload = self.decided_event(asking, view, id, &words, (None, pending.as_ref()))?;
        let mut expects = view.expects.clone();
        if let Some(pending) = pending {
            decided.approval = Some(pending.id);
            payload.approval_id = pending.id.to_string();
            payload.asked_people = pending.asked;
            expects.extend(pending.expects);
        }
        let event = event(
            family_stream(view.root),
            asking.workload.actor(),
            asking.context,
            Payload::CredentialDecided(payload),
        );
        Ok((ordinary(event, expects), decided))
    }

    async fn grant(
        &self,
        asking: &Asking<'_>,
        view: View,
        (facts, decision): (Facts, Decision),
        trail: Option<Trail>,
    ) -> Result<Attempt, BrokerError> {
        let id = self.new_decision_id()?;
        let life = self.life(asking, &view, &facts, &decision)?;
        let differences = differences(asking, &decision, life.ttl);
        let words = asking.words(facts, decision, differences);
        let decided = Decided::new(id, &words.decision, words.differences.clone());
        let mut verified = self.0.trust.recheck(&asking.workload.peer, view.now);
        if verified.is_err() {
            self.0.trust.settled().await;
            verified = self.0.trust.recheck(&asking.workload.peer, self.0.clock.now());
        }
        let verified = verified?;
        let permit = Permit::from_decision(verified, words.decision.clone());
        let permit = permit.map_err(|_| BrokerError::internal(NotAGrantError))?;
        let plan = self.plan(asking, &view, &words, &life)?;
        let (grant, jti) = (plan.grant, plan.jti);
        let access = covered(&words);
        let draws = Draws::of(&view, &access)?;
        let mut granted = self.grant_event(asking, &view, &access, &plan, &draws)?;
        granted.approval_id = words.decision.approval.map(|id| id.to_string()).unwrap_or_default();
        if let Some(glass) = carried_glass(&words) {
            (granted.break_glass_id, granted.break_glass_by) = (glass.id.to_string(), glass.by.to_string());
        }
        let event = self.decided_event(asking, &view, id, &words, (Some(granted), None))?;
        let event = {
            let payload = Payload::CredentialDecided(event);
            record::event(family_stream(view.root), asking.workload.actor(), asking.context, payload)
        };
        let seal = |claims: &[u8]| {
            let context = format!("carnet/claims/{jti}");
            self.0.sealer.seal(view.root, &context, claims).map_err(Into::into)
        };
        let mut entry = ordinary(event, view.expects.clone());
        entry.events.extend(used_event(asking, &view, &words, (grant, id)));
        let draft = Draft::new(permit, &plan, &self.0.keys, entry, seal);
        let draft = draft.map_err(unminted)?;
        let (this, root, actor) = (self.clone(), view.root, asking.workload.actor());
        // Goes on when the caller goes away: what it lets in counts against older grants before its token is there to be used.
        let appended = tokio::spawn(async move {
            let Some(committed) = this.append(draft).await? else { return Ok(None) };
            if let Some(trail) = trail {
                this.ask_trailing(trail, id);
            }
            this.reconsider(root, committed.first(), &actor).await?;
            Ok::<_, BrokerError>(Some(committed))
        });
        let Some(committed) = appended.await.map_err(BrokerError::internal)?? else { return Ok(Attempt::Again) };
        let position = committed.first();
        if let Some(glass) = words.decision.glass {
            tracing::warn!(%glass, %grant, task = %asking.task, "break-glass was used for a grant");
        }
        let (view, token) = self.let_go((grant, jti), committed, (&words, &view.policy.digest))?;
        Ok(Attempt::Done(Box::new(Answered { decided, grant: Some((view, token)), position })))
    }

    /// Releases the token of a committed grant, unless something that was committed since has ended or suspended it.
    fn let_go(
        &self,
        (grant, jti): (GrantId, Jti),
        committed: Committed<Draft>,
        (words, policy_digest): (&DecisionWords, &str),
    ) -> Result<(GrantView, Token), BrokerError> {
        let known = self.live_grant(grant, jti)?;
        self.still_observed(words, policy_digest)?;
        let token = self.0.keys.release(committed).map_err(BrokerError::unavailable)?;
        Ok((self.view_of(grant, &known, words), token))
    }

    /// The grant, when the token of that `jti` is its current one and may be used.
    fn live_grant(&self, id: GrantId, jti: Jti) -> Result<crate::broker::state::Grant, BrokerError> {
        let state = self.0.known.look();
        let gone = |code| BrokerError::Precondition { code, decision: None };
        let grant = state.grants.get(&id).ok_or_else(|| gone(ReasonCode::GrantExpired))?;
        if grant.expires <= self.now(&state) || grant.standing == GrantStanding::Released {
            return Err(gone(ReasonCode::GrantExpired));
        }
        if grant.jti != jti || grant.standing.is_ended() {
            return Err(gone(ReasonCode::GrantRevoked));
        }
        if !grant.standing.is_live() {
            return Err(gone(ReasonCode::GrantSuspended));
        }
        Ok(grant.clone())
    }

    /// Holds that a token of what policy would have withheld leaves only while that policy still only observes, by the clock: the grant
    /// is on record, and is decided again with the next sweep.
    fn still_observed(&self, words: &DecisionWords, policy_digest: &str) -> Result<(), BrokerError> {
        if !words.decision.observed_only() {
            return Ok(());
        }
        let state = self.0.known.look();
        let (now, until) = (self.now(&state), words.facts.observing);
        // Under another bundle it was decided again, or is about to be.
        let decides = state.policy.as_ref().filter(|policy| policy.digest == policy_digest);
        if decides.is_some_and(|policy| policy.observed || until.is_none_or(|until| until <= now)) {
            return Err(BrokerError::Precondition { code: ReasonCode::GrantSuspended, decision: None });
        }
        Ok(())
    }

    /// The answer that was given to the same request id before; a grant's token is signed again from its recorded claims. One
    /// that is bound to a key is not for a caller who proved none.
    fn answered_again(
        &self,
        answer: Answer,
        root: TaskId,
        (asked, shown): ([u8; 32], Authentication),
    ) -> Result<Answered, BrokerError> {
        if answer.asked != self.keyed(root, asked)? {
            return Err(request_id_reused());
        }
        let recorded = self.recorded_decision(answer.position, root)?;
        let id: DecisionId = recorded.decision.decision_id.parse().map_err(BrokerError::internal)?;
        let decided = Decided::new(id, &recorded.words.decision, recorded.words.differences.clone());
        let position = answer.position;
        let Some(granted) = recorded.event.grant else { return Ok(Answered { decided, grant: None, position }) };
        if !granted.unbound && !shown.proves_key() {
            return Err(BrokerError::Precondition { code: ReasonCode::KeyNotProven, decision: Some(id) });
        }
        let grant = granted.grant_id.parse().map_err(BrokerError::internal)?;
        let jti: Jti = granted.jti.parse().map_err(BrokerError::internal)?;
        let known = self.live_grant(grant, jti)?;
        self.still_observed(&recorded.words, &recorded.decision.policy_digest)?;
        let context = format!("carnet/claims/{jti}");
        let open = |sealed: &[u8]| self.0.sealer.open(root, &context, sealed).map_err(Into::into);
        let token = self.0.keys.reissue(&self.0.journal, answer.position, open).map_err(BrokerError::unavailable)?;
        Ok(Answered { decided, grant: Some((self.view_of(grant, &known, &recorded.words), token)), position })
    }

    /// The workload, when it is the task's agent and shows its handle. What is not its own looks as if it did not exist; the
    /// attempt is recorded.
    pub(in crate::broker) fn own_task<'a>(
        &self,
        caller: &'a Caller,
        id: TaskId,
        handle: &ShownHandle,
        rpc: &'static str,
    ) -> Result<&'a WorkloadCaller, BrokerError> {
        let workload = caller.workload()?;
        let state = self.0.known.look();
        let is_agent = state.tasks.get(&id).is_some_and(|task| caller.is(&task.agent));
        if is_agent && self.handle_fits(id, handle) {
            return Ok(workload);
        }
        Err(self.hidden(&state, caller, id, Sought { rpc, what: "task" }))
    }

    /// Counts a request that leaves no event of its own.
    pub(in crate::broker) fn note_refused_request(&self, asking: &Asking<'_>, code: ReasonCode) {
        self.note_refusal(Refusal {
            subject: asking.workload.peer.spiffe_id().to_string(),
            rpc: "RequestCredential",
            code,
            peer_address: asking.workload.peer.address(),
            task: Some(asking.task),
        });
    }
}

impl Asking<'_> {
    fn words(&self, facts: Facts, decision: Decision, differences: Vec<Difference>) -> DecisionWords {
        DecisionWords {
            facts,
            decision,
            access: self.access.to_vec(),
            purpose: self.purpose.to_owned(),
            differences,
            profile: self.profile.clone(),
        }
    }
}

/// The same guards as they are once an event at that position has touched one of them: it was appended, so none had changed.
pub(in crate::broker) fn since(mut expects: Vec<Expect>, touched: GuardKey, position: u64) -> Vec<Expect> {
    for expect in expects.iter_mut().filter(|expect| expect.key == touched) {
        expect.at = position + 1;
    }
    expects
}

fn check(ask: &RequestCredential) -> Result<(), BrokerError> {
    if ask.access.is_empty() {
        return Err(BrokerError::invalid("access", "missing"));
    }
    if ask.access.len() > ACCESS_ENTRIES_MAX {
        return Err(BrokerError::above_limit("access", format!("more than {ACCESS_ENTRIES_MAX} entries")));
    }
    if ask.purpose.len() > PURPOSE_BYTES_MAX {
        return Err(BrokerError::above_limit("purpose", format!("longer than {PURPOSE_BYTES_MAX} bytes")));
    }
    Ok(())
}

fn digest(ask: &RequestCredential) -> [u8; 32] {
    let access = serde_json::to_vec(&ask.access).unwrap_or_default();
    let profile = serde_json::to_vec(&ask.profile).unwrap_or_default();
    let ttl = ask.ttl.map(Ttl::as_secs).unwrap_or_default();
    let parts: [&[u8]; 6] =
        [b"request", ask.audience.as_str().as_bytes(), &access, &ttl.to_be_bytes(), ask.purpose.as_bytes(), &profile];
    asked_digest(&parts)
}

/// A decision that grants made no permit.
#[derive(Debug, thiserror::Error)]
#[error("a decision that grants made no permit")]
struct NotAGrantError;
