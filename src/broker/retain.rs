//! Deciding live grants again: the same `decide` over what was recorded with the grant and what is known now. A worse answer
//! suspends, a denial by a rule revokes, and what was suspended by drift is restored when the answer is good again.
//! The cause is recorded first and alone, so that nothing about the grants can keep it out. From then on new grants are decided
//! with it in mind, and the family owes its older ones another look: in appends of bounded size, until one says that all were
//! had. What a crash or a full disk leaves undone is resumed.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::broker::Broker;
use crate::broker::asking::carried;
use crate::broker::caller::broker_actor;
use crate::broker::error::BrokerError;
use crate::broker::gather::{View, active, no_context};
use crate::broker::glass_use::carried_glass;
use crate::broker::grants::{covered, covers_less};
use crate::broker::record::{self, event, family_stream};
use crate::broker::state::{State, TRUST_BLOCK, Tally};
use crate::broker::words::DecisionWords;
use crate::intent::judge::Asked as Judged;
use crate::journal::Attending;
use crate::journal::entry::{Entry, EntryClass};
use crate::journal::guards::{Expect, GuardKey};
use crate::model::decision::{Decision, Outcome};
use crate::model::facts::{FACTS_VERSION, Facts, Question};
use crate::model::grant::{GrantStanding, SuspensionCause};
use crate::model::id::{DecisionId, GrantId, Jti, TaskId};
use crate::model::risk::{Signal, keep_higher};
use crate::model::task::TaskState;
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::pb::journal::event::Payload;
use crate::pb::journal::grant_reconsidered::Effect;
use crate::pb::wire::encoded_len;
use crate::policy::decide::decide;

mod batch;
mod effect;

pub(in crate::broker) use batch::with_signals;

use batch::Batch;
use effect::{effect_of, tightens};

/// Most grants that are decided again before what was decided is recorded.
const CHUNK_GRANTS_MAX: usize = 128;
/// Bytes after which what was decided is recorded. With one more event it is far from what an append may hold.
const CHUNK_BYTES_MAX: usize = 2 << 20;
/// Longest event that says why; a longer one says only what became of the grant.
const EVENT_BYTES_MAX: usize = 4 << 20;
/// How long a verb may be at work on a family before a sweep thinks that it was left.
const LEFT_AFTER: Duration = Duration::from_secs(5);

/// Why grants are decided again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::broker) enum Trigger {
    Signal,
    ToolReport,
    /// Another grant of the family: what it may read counts as read from then on.
    Granted,
    Amended,
    PolicyActivated,
    /// Policy only observed, and no longer does.
    ObservingEnded,
}

impl Trigger {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Signal => "signal",
            Self::ToolReport => "tool_report",
            Self::Granted => "granted",
            Self::Amended => "task_amended",
            Self::PolicyActivated => "policy_activated",
            Self::ObservingEnded => "observing_ended",
        }
    }
}

/// One pass over a family: its grants that are older than the cause and that no event has ended. What has expired is among
/// them, as for every other end: the clock that says so may be wrong, and they are forgotten soon enough.
struct Pass {
    root: TaskId,
    /// Position of the cause.
    through: u64,
    trigger: Trigger,
    amended: BTreeSet<TaskId>,
    ids: Vec<GrantId>,
    actor: pb::Actor,
}

/// One look at some of them.
struct Chunk {
    /// How many ids of the pass it covers.
    ids: usize,
    candidates: Vec<Candidate>,
    /// The tasks that they are of, each by itself: a sub-task has its own standing, audiences, deadline and ceilings. `None`
    /// when its words are gone.
    views: HashMap<TaskId, Option<View>>,
    policy: Expect,
}

struct Candidate {
    /// Its place among the ids of the chunk.
    n: usize,
    id: GrantId,
    task: TaskId,
    jti: Jti,
    position: u64,
    expires: Timestamp,
    drifting: bool,
    /// What policy answered last where that was not enforced.
    observed: Option<Outcome>,
    /// True when its task, or one above, was amended.
    amended: bool,
    expect: Expect,
}

/// What became of a grant; without a decision where none could be made.
type Verdict = (Effect, Option<(Facts, Decision)>);

impl Broker {
    /// Records a cause, and decides the live grants of the family again when it makes that necessary. Goes on when the caller
    /// goes away; others wait for its sync, but not for what follows. Gives the position of the cause and what became of the
    /// grants; `None` when a guard no longer held.
    ///
    /// # Errors
    /// As [`Broker::reconsider`]; the cause may be recorded then.
    pub(in crate::broker) async fn record_cause(
        &self,
        root: TaskId,
        entry: Entry,
        actor: pb::Actor,
        attending: Option<Attending>,
    ) -> Result<Option<(u64, Tally)>, BrokerError> {
        let this = self.clone();
        let recorded = tokio::spawn(async move {
            let appended = this.append(entry).await;
            drop(attending);
            let Some(committed) = appended? else { return Ok(None) };
            let tally = this.reconsider(root, committed.first(), &actor).await?;
            Ok(Some((committed.first(), tally)))
        });
        recorded.await.map_err(BrokerError::internal)?
    }

    /// Decides the live grants of a family again, if that is owed for `cause` or something later. Returns what it did to them.
    ///
    /// # Errors
    /// When the journal cannot be written, or no policy bundle is in force. It is resumed then.
    pub(in crate::broker) async fn reconsider(
        &self,
        root: TaskId,
        cause: u64,
        actor: &pb::Actor,
    ) -> Result<Tally, BrokerError> {
        let mut tally = Tally::default();
        let Some(pass) = self.pass(root, cause, actor) else { return Ok(tally) };
        let pass = Arc::new(pass);
        let (mut at, mut size, mut tries) = (0, CHUNK_GRANTS_MAX, 0);
        loop {
            let chunk = self.chunk(&pass, at, size, &|_| {})?;
            let (this, pass_) = (self.clone(), Arc::clone(&pass));
            // It reads the journal.
            let judged = tokio::task::spawn_blocking(move || this.judge_again(&pass_, &chunk));
            let (judged, decided) = judged.await.map_err(BrokerError::internal)??;
            let last = at + decided >= pass.ids.len();
            match self.record_again(&pass, judged, last, tries, &mut tally).await? {
                true if last => return Ok(tally),
                true => (at, size, tries) = (at + decided, (size * 2).min(CHUNK_GRANTS_MAX), 0),
                // Fewer at a time meet less of what happens meanwhile.
                false => (size, tries) = ((size / 2).max(1), tries + 1),
            }
            if tries >= super::TRIES_MAX {
                return Err(BrokerError::Conflict);
            }
        }
    }

    /// Finishes what was begun and left, by a crash or because an append failed; at the start of a broker, all that is owed.
    /// That can be much, and no door waits for it: what is granted meanwhile is decided with every cause in mind.
    pub(in crate::broker) async fn resume_reconsidering(&self, at_start: bool) {
        let left: Vec<TaskId> = {
            let state = self.0.known.look();
            let now = self.now(&state);
            if active(&state).is_err() {
                return;
            }
            let since = |root: &TaskId| Some(state.families.get(root)?.due.as_ref()?.since);
            let left = |root: &&TaskId| at_start || since(root).is_some_and(|at| at.after(LEFT_AFTER) <= now);
            state.by.due.iter().filter(left).copied().collect()
        };
        for root in left {
            if let Err(error) = self.reconsider(root, 0, &broker_actor()).await {
                let error = &error as &dyn std::error::Error;
                tracing::error!(%root, error, "live grants could not be decided again");
            }
        }
    }

    /// The class of a report for which there is no ordinary room: what is held back is for it, too, when a grant of the family
    /// would be suspended or revoked because of it. `suppose` changes a look at a task to what it would be then.
    ///
    /// # Errors
    /// `StorageFull` when nothing would.
    pub(in crate::broker) async fn class_on_a_full_disk(
        &self,
        root: TaskId,
        suppose: impl Fn(&mut View) + Send + 'static,
    ) -> Result<EntryClass, BrokerError> {
        let this = self.clone();
        // It reads the journal.
        let tightens = tokio::task::spawn_blocking(move || this.would_tighten(root, &suppose));
        if tightens.await.map_err(BrokerError::internal)?? {
            Ok(EntryClass::End)
        } else {
            Err(BrokerError::StorageFull)
        }
    }

    fn would_tighten(&self, root: TaskId, suppose: &dyn Fn(&mut View)) -> Result<bool, BrokerError> {
        let ids = self.0.known.look().standing_by_life(root);
        let (through, trigger, amended) = (u64::MAX, Trigger::Signal, BTreeSet::new());
        let pass = Pass { root, through, trigger, amended, ids, actor: broker_actor() };
        for at in (0..pass.ids.len()).step_by(CHUNK_GRANTS_MAX) {
            let chunk = self.chunk(&pass, at, CHUNK_GRANTS_MAX, suppose)?;
            let tightened = |candidate| {
                let verdict = self.verdict(&pass, &chunk, candidate);
                verdict.is_some_and(|(effect, _)| tightens(effect))
            };
            if chunk.candidates.iter().any(tightened) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn pass(&self, root: TaskId, cause: u64, actor: &pb::Actor) -> Option<Pass> {
        let state = self.0.known.look();
        let due = state.families.get(&root)?.due.as_ref().filter(|due| due.position >= cause)?;
        // What was granted later was decided with the cause in mind: guards saw to that.
        let older = |id: &GrantId| state.grants.get(id).is_some_and(|g| g.position < due.position);
        let ids = state.standing_by_life(root).into_iter().filter(older).collect();
        let (through, trigger, amended) = (due.position, due.trigger, due.amended.clone());
        Some(Pass { root, through, trigger, amended, ids, actor: actor.clone() })
    }

    fn chunk(&self, pass: &Pass, at: usize, size: usize, suppose: &dyn Fn(&mut View)) -> Result<Chunk, BrokerError> {
        let state = self.0.known.look();
        let now = self.now(&state);
        active(&state)?;
        let ids: Vec<GrantId> = pass.ids.iter().skip(at).take(size).copied().collect();
        let candidates: Vec<_> = ids.iter().enumerate().filter_map(|(n, id)| candidate(&state, pass, n, *id)).collect();
        let mut views = HashMap::new();
        for candidate in &candidates {
            views.entry(candidate.task).or_insert_with(|| {
                let mut view = View::of(&state, candidate.task, None, now).ok().flatten()?;
                suppose(&mut view);
                Some(view)
            });
        }
        let key = GuardKey::policy();
        Ok(Chunk { ids: ids.len(), candidates, views, policy: Expect { key, at: state.marks.at(&key) } })
    }

    /// Decides the candidates again, until there is enough to record; how many ids of the pass that covers.
    fn judge_again(&self, pass: &Pass, chunk: &Chunk) -> Result<(Batches, usize), BrokerError> {
        let mut out = Batches {
            tighter: Batch::new(EntryClass::End, chunk.policy),
            looser: Batch::new(EntryClass::Ordinary, chunk.policy),
        };
        for candidate in &chunk.candidates {
            let Some((effect, decided)) = self.verdict(pass, chunk, candidate) else { continue };
            let view = chunk.views.get(&candidate.task).and_then(Option::as_ref);
            let batch = if tightens(effect) { &mut out.tighter } else { &mut out.looser };
            batch.expect(candidate.expect);
            // To loosen, everything that was looked at must still be so; to tighten, it is enough that the grant is as it was.
            if !tightens(effect) {
                view.into_iter().flat_map(|view| &view.expects).for_each(|expect| batch.expect(*expect));
            }
            let payload = pb::GrantReconsidered {
                task_id: candidate.task.to_string(),
                grant_id: candidate.id.to_string(),
                jti: candidate.jti.to_string(),
                decision: None,
                effect: effect.into(),
                trigger: pass.trigger.as_str().to_owned(),
                signals_back: 0,
            };
            let full = match decided.zip(view) {
                Some(((facts, decision), view)) => self.with_decision(batch, &payload, view, facts, decision)?,
                None => None,
            };
            batch.push(pass.event(Payload::GrantReconsidered(full.unwrap_or(payload))));
            if out.tighter.bytes() + out.looser.bytes() >= CHUNK_BYTES_MAX {
                return Ok((out, candidate.n + 1));
            }
        }
        Ok((out, chunk.ids))
    }

    /// The event with the decision in it; `None` when that would be too long, or its words can no longer be sealed.
    fn with_decision(
        &self,
        batch: &mut Batch,
        bare: &pb::GrantReconsidered,
        view: &View,
        facts: Facts,
        decision: Decision,
    ) -> Result<Option<pb::GrantReconsidered>, BrokerError> {
        let id = self.new_decision_id()?;
        let mut words = DecisionWords::bare(facts, decision);
        // What an inline scorer said stands with its grant alone.
        let shared = words.facts.signals == *view.signals;
        let signals_back = if shared { batch.share_signals(&mut words, &view.signals) } else { 0 };
        let sealed = match self.seal_decision(view.root, id, &words) {
            Ok(sealed) => sealed,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(grant = bare.grant_id, error, "the words of a decision could not be sealed");
                return Ok(None);
            }
        };
        let decision = record::decision(id, &words.decision, &words.facts, &view.policy, &view.bundle, sealed);
        let full = pb::GrantReconsidered { decision: Some(decision), signals_back, ..bare.clone() };
        if encoded_len(&full) > EVENT_BYTES_MAX {
            return Ok(None);
        }
        if shared && signals_back == 0 {
            batch.holds_signals();
        }
        Ok(Some(full))
    }

    /// Records what was decided; after the last of a pass, that it is done. False when something changed meanwhile.
    async fn record_again(
        &self,
        pass: &Pass,
        judged: Batches,
        last: bool,
        tries: usize,
        tally: &mut Tally,
    ) -> Result<bool, BrokerError> {
        let Batches { mut tighter, looser } = judged;
        // What cannot be restored now is restored when it is renewed.
        if !looser.is_empty() && tries < super::TRIES_MAX / 2 {
            match self.append(looser.into_entry()).await {
                Ok(None) => return Ok(false),
                Ok(Some(_)) | Err(BrokerError::StorageFull) => {}
                Err(error) => return Err(error),
            }
        }
        if last {
            let done = pb::FamilyReconsidered { root_task_id: pass.root.to_string(), through: pass.through };
            tighter.push(pass.event(Payload::FamilyReconsidered(done)));
        }
        if tighter.is_empty() {
            return Ok(true);
        }
        let Some(committed) = self.append(tighter.into_entry()).await? else { return Ok(false) };
        for position in committed.first()..=committed.last() {
            let one = self.tally(position);
            tally.suspended += one.suspended;
            tally.revoked += one.revoked;
        }
        Ok(true)
    }

    /// What the grant comes to now; `None` when it stays as it is.
    fn verdict(&self, pass: &Pass, chunk: &Chunk, candidate: &Candidate) -> Option<Verdict> {
        let view = chunk.views.get(&candidate.task).and_then(Option::as_ref);
        let again = view.map(|view| self.decide_again(pass.root, candidate, view));
        match again {
            Some(Ok((facts, decision, then))) => {
                let effect = effect_of(&decision, then, candidate)?;
                Some((effect, Some((facts, decision))))
            }
            Some(Err(error)) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(grant = %candidate.id, error, "a live grant could not be decided again");
                (!candidate.drifting).then_some((Effect::Suspended, None))
            }
            None => (!candidate.drifting).then_some((Effect::Suspended, None)),
        }
    }

    fn decide_again(
        &self,
        root: TaskId,
        candidate: &Candidate,
        view: &View,
    ) -> Result<(Facts, Decision, Outcome), BrokerError> {
        let recorded = self.recorded_decision(candidate.position, root)?;
        let mut facts = retain_facts(view, &recorded.words);
        facts.task.outlived = candidate.expires > view.deadline;
        if candidate.amended {
            let now = view.judge(&covered(&recorded.words), Judged::Live)?;
            for (entry, now) in facts.entries.iter_mut().zip(now) {
                entry.ceiling = now.ceiling;
            }
        }
        let decision = decide(&view.bundle, &facts);
        // What covers less than it did is worse, though it was narrowed then as well.
        let then = if covers_less(&facts, &decision) { Outcome::Granted } else { recorded.words.decision.in_force() };
        Ok((facts, decision, then))
    }

    /// A new id for a decision.
    pub(in crate::broker) fn new_decision_id(&self) -> Result<DecisionId, BrokerError> {
        let random = self.0.entropy.bytes().map_err(BrokerError::unavailable)?;
        Ok(DecisionId::new(self.0.clock.now(), random))
    }
}

/// What was decided, by what it relies on.
struct Batches {
    /// Suspensions and revocations: they may use the space that is held back.
    tighter: Batch,
    /// Restorations, and what is kept because policy only observes.
    looser: Batch,
}

impl Pass {
    fn event(&self, payload: Payload) -> pb::Event {
        event(family_stream(self.root), self.actor.clone(), &no_context(), payload)
    }
}

fn candidate(state: &State, pass: &Pass, n: usize, id: GrantId) -> Option<Candidate> {
    let grant = state.grants.get(&id).filter(|g| !g.standing.is_ended() && g.position < pass.through)?;
    let drifting = matches!(&grant.standing, GrantStanding::Open(causes) if causes.contains(&SuspensionCause::Drift));
    let amended =
        !pass.amended.is_empty() && state.lineage(grant.task).iter().any(|(task, _)| pass.amended.contains(task));
    let key = GuardKey::grant(&id);
    let expect = Expect { key, at: state.marks.at(&key) };
    let (task, jti, position, expires) = (grant.task, grant.jti, grant.position, grant.expires);
    let observed = grant.observed;
    Some(Candidate { n, id, task, jti, position, expires, drifting, observed, amended, expect })
}

/// The facts of a grant now: what was concluded when it was granted, with what the task has come to since.
fn retain_facts(view: &View, words: &DecisionWords) -> Facts {
    let then = &words.facts;
    let included = then.entries.iter().zip(&words.decision.entries).filter(|(_, d)| d.included);
    let entries = included.map(|(entry, decided)| {
        let mut entry = entry.clone();
        entry.actions = decided.actions.clone();
        entry.resources = decided.resources.clone();
        entry
    });
    let mut task = view.task_facts(then.audience.as_ref());
    // A pause and trust that was withdrawn suspend by themselves, and a block has revoked: none is a reason to end a grant here.
    task.blocks.retain(|kind| kind != TRUST_BLOCK);
    if task.state == TaskState::Paused {
        task.state = TaskState::Active;
    }
    let principal = view.principal_now(&then.principal);
    let observing = view.policy.observes_until(principal.class, view.now);
    Facts {
        version: FACTS_VERSION,
        question: Question::Retain,
        now: view.now,
        principal,
        initiator: then.initiator.clone(),
        task,
        audience: then.audience.clone(),
        entries: entries.collect(),
        session: view.session_facts(),
        // A later look would count the step itself, and others that came since.
        behaviour: then.behaviour.clone(),
        signals: with_carried(view, words),
        ttl_asked: None,
        registration: None,
        approval: carried(words),
        glass: carried_glass(words),
        opening: None,
        approving: None,
        observing,
    }
}

/// The signals of the family, with what scorers said when it was granted: nothing of it is lowered while the grant lives.
fn with_carried(view: &View, words: &DecisionWords) -> Vec<Signal> {
    let mut signals = view.signals.as_ref().clone();
    keep_higher(&mut signals, carried_scores(words));
    signals
}

/// What scorers said when a grant was made or renewed.
pub(in crate::broker) fn carried_scores(words: &DecisionWords) -> Vec<Signal> {
    words.facts.signals.iter().filter(|signal| signal.is_score()).cloned().collect()
}
