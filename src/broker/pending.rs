//! Reading approvals: the queue of those who are asked, one approval with all that is to be judged, and the stream of what happens
//! to them. What is shown is the wire's messages, as with the record.

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::broker::Broker;
use crate::broker::amend_asking::listed_amendment;
use crate::broker::approvals::{About, Approval, ApprovalStanding};
use crate::broker::approve::{may_answer_but_for_policy, policy_word, visible};
use crate::broker::approving::PolicyWord;
use crate::broker::ask::{ApprovalsPage, ListApprovals};
use crate::broker::audit::wire_access;
use crate::broker::caller::Caller;
use crate::broker::error::BrokerError;
use crate::broker::fitting::{self, doubts_in_a_list, fitted};
use crate::broker::gather::active;
use crate::broker::grants::{AskedOfPeople, covered};
use crate::broker::read::page_size;
use crate::broker::record::{wire_band, wire_outcome};
use crate::broker::routing;
use crate::broker::state::State;
use crate::broker::summary::timestamp;
use crate::broker::words::DecisionWords;
use crate::model::approval::{ApprovalFacts, Verdict};
use crate::model::decision::{Outcome, Reason};
use crate::model::id::{ApprovalId, InitiatorName, TaskId};
use crate::model::person::Right;
use crate::model::time::Timestamp;
use crate::pb::v1;
use crate::policy::decide::decide;

/// Messages that wait for a slow reader; it is waited for, and sees of each approval only the latest.
const QUEUE_MAX: usize = 64;

/// Most approvals that are looked at for one reader before others are; each costs a read of the journal.
const NEWS_MAX: usize = 64;

/// Least that are looked at together for a list of what is for one person: of many that policy keeps from him, few pages come about.
const LOOKED_AT_ONCE: usize = 64;

/// An approval as it was looked at, with what only the words say still missing.
struct Looked {
    root: TaskId,
    position: u64,
    shown: v1::Approval,
    /// What policy has to say of a yes of who looks.
    word: Option<PolicyWord>,
}

impl Looked {
    /// Asks policy, which takes its time: never under the lock.
    fn heard(mut self) -> Self {
        if let Some(word) = self.word.take() {
            self.shown.may_approve &= word.refusal().is_none();
        }
        self
    }
}

impl Broker {
    /// Approvals that the caller may see, newest first, of those that wait the escalated ones before the others; with them where the
    /// page ended when there may be more.
    ///
    /// # Errors
    /// When the page is above its limit, or the record cannot be read.
    pub async fn list_approvals(
        &self,
        caller: &Caller,
        ask: ListApprovals,
    ) -> Result<(Vec<v1::Approval>, Option<ApprovalsPage>), BrokerError> {
        let _place = self.enter_apart(caller)?;
        let size = page_size(ask.page_size)?;
        let (mut looked, mut after): (Vec<(ApprovalsPage, Looked)>, _) = (Vec::new(), ask.after);
        loop {
            let many = if ask.for_me { LOOKED_AT_ONCE.max(size + 1) } else { size + 1 };
            let found = self.look_at_some(caller, ListApprovals { after, ..ask }, many);
            let ended = found.len() < many;
            after = found.last().map(|(page, _)| *page);
            if ask.for_me {
                let may = |(_, one): &(ApprovalsPage, Looked)| one.shown.may_approve;
                let heard = move |_: &Self| {
                    let heard = found.into_iter().map(|(page, one)| (page, one.heard()));
                    Ok(heard.filter(may).collect::<Vec<_>>())
                };
                looked.extend(self.reading(heard).await?);
            } else {
                looked = found;
            }
            // Those that policy keeps from the caller leave room for others behind them.
            if ended || looked.len() > size {
                break;
            }
        }
        let more = looked.len() > size;
        looked.truncate(size);
        let pages: Vec<ApprovalsPage> = looked.iter().map(|(page, _)| *page).collect();
        let told = self.reading(move |this| Ok(looked.into_iter().map(|(_, one)| this.with_doubts(one)).collect()));
        let mut told: Vec<v1::Approval> = told.await?;
        let fits = fitting::of_one_page(&told);
        let more = more || fits < told.len();
        told.truncate(fits);
        Ok((told, pages.get(fits.wrapping_sub(1)).copied().filter(|_| more)))
    }

    /// Some of those that the caller may see, as they are listed, from behind `after` on; where they are to be for him, all but for what
    /// policy says.
    fn look_at_some(&self, caller: &Caller, ask: ListApprovals, many: usize) -> Vec<(ApprovalsPage, Looked)> {
        let state = self.0.known.look();
        let now = self.now(&state);
        let waits = ask.state == v1::ApprovalState::Pending;
        // What is escalated while somebody turns pages keeps its place.
        let began = ask.after.map_or(state.next, |page| page.began);
        let page = |(last, approval): &(ApprovalId, &Approval)| {
            let escalated = waits && approval.escalated.is_some_and(|escalated| escalated.position < began);
            ApprovalsPage { began, escalated, last: *last }
        };
        let wanted = |one: &(ApprovalId, &Approval)| {
            state_of(one.1, now) == ask.state && ask.after.is_none_or(|after| page(one).is_behind(after))
        };
        let below = ask.after.filter(|_| !waits).map(|page| page.last);
        let all: Box<dyn Iterator<Item = (ApprovalId, &Approval)> + '_> = match caller {
            // What concerns others is not looked at for who may see none of it.
            Caller::Person(person) if !person.may(Right::Approve) && !person.may(Right::Read) => {
                let tasks = state.by.tasks_of_initiator.get(person.name());
                Box::new(state.approvals.of_tasks(tasks.into_iter().flatten(), below).into_iter().filter(wanted))
            }
            // However many there were, few of them wait.
            _ if waits => Box::new(state.approvals.listed_waiting().into_iter().filter(wanted)),
            _ => Box::new(state.approvals.listed(below).filter(wanted)),
        };
        let seen = |one: (ApprovalId, &Approval)| {
            let looked = self.looked(&state, caller, one.0, now)?;
            (!ask.for_me || looked.shown.may_approve).then(|| (page(&one), looked))
        };
        if waits {
            let (first, rest): (Vec<_>, Vec<_>) = all.partition(|one| page(one).escalated);
            first.into_iter().chain(rest).filter_map(seen).take(many).collect()
        } else {
            all.filter_map(seen).take(many).collect()
        }
    }

    /// One approval, with the decision that it is about: there, what a list shortens is whole.
    ///
    /// # Errors
    /// `NotFound` when it is not for the caller.
    pub async fn get_approval(&self, caller: &Caller, id: ApprovalId) -> Result<v1::GetApprovalResponse, BrokerError> {
        let _place = self.enter_apart(caller)?;
        let place = self.sought(caller, id, "GetApproval")?;
        let shown = self.approval(caller, id).await?;
        self.reading(move |this| {
            let record = this.record_of(place.approval.decision)?;
            let words = this.asked_of_people(place.position, place.root).ok().map(AskedOfPeople::words);
            let preview = words.and_then(|words| this.preview(id, &place.approval, words));
            // There is no token in an amendment.
            let is_amendment = matches!(place.approval.about, About::Amendment(_));
            let granted = preview.as_ref().filter(|_| !is_amendment);
            Ok(fitted(v1::GetApprovalResponse {
                approval: Some(shown),
                record: Some(record),
                would_cover: granted.into_iter().flat_map(covered).map(|access| wire_access(&access)).collect(),
                ttl_max_s: granted
                    .and_then(|words| u32::try_from(words.decision.ttl_max.as_secs()).ok())
                    .unwrap_or_default(),
                would_amend: is_amendment && preview.is_some() && place.approval.is_open(),
                left_out: Vec::new(),
            }))
        })
        .await
    }

    /// Follows approvals that the caller may see: those that wait, or all that changed after `after`, and then each that changes.
    ///
    /// # Errors
    /// When the caller has too much in flight.
    pub fn watch_approvals(
        &self,
        caller: &Caller,
        after: u64,
    ) -> Result<ReceiverStream<v1::WatchApprovalsResponse>, BrokerError> {
        let _place = self.enter_apart(caller)?;
        let (send, receive) = mpsc::channel(QUEUE_MAX);
        let follower = Follower { broker: self.clone(), caller: caller.clone(), after, begins: after == 0 };
        tokio::spawn(follower.run(send));
        Ok(ReceiverStream::new(receive))
    }

    /// The approval as it stands now.
    pub(in crate::broker) async fn approval(
        &self,
        caller: &Caller,
        id: ApprovalId,
    ) -> Result<v1::Approval, BrokerError> {
        let looked = {
            let state = self.0.known.look();
            let now = self.now(&state);
            self.looked(&state, caller, id, now).ok_or(BrokerError::NotFound { what: "approval" })?
        };
        self.reading(move |this| Ok(this.with_doubts(looked))).await
    }

    fn looked(&self, state: &State, caller: &Caller, id: ApprovalId, now: Timestamp) -> Option<Looked> {
        let (approval, task) = visible(state, caller, id)?;
        let directory = &self.0.settings.directory;
        // What was settled stays so; of what waits, a yes counts while its person may give it.
        let reviewed = approval.standing == ApprovalStanding::Pending && approval.asks() == Outcome::Review;
        let vote = |(person, verdict, time): &(InitiatorName, Verdict, Timestamp)| v1::Vote {
            person: person.to_string(),
            verdict: wire_verdict(*verdict).into(),
            time: Some(timestamp(*time)),
            lapsed: reviewed && !directory.has(person),
        };
        let may = |verdict| {
            let answers =
                approval.waits(now).then(|| may_answer_but_for_policy((state, directory), caller, approval, verdict));
            answers.and_then(Result::ok)
        };
        let approver = may(Verdict::Approved);
        let word = approver.and_then(|person| policy_word((state, directory), person, approval, Verdict::Approved));
        let (route, route_note) = routing::shown(state, directory, approval);
        let shown = v1::Approval {
            approval_id: id.to_string(),
            state: state_of(approval, now).into(),
            outcome: wire_outcome(approval.asks()).into(),
            task_id: approval.task.to_string(),
            agent: approval.agent.to_string(),
            initiator: approval.initiator.to_string(),
            initiator_verified: task.initiator.verified,
            audience: String::new(),
            tools: Vec::new(),
            band: wire_band(approval.band).into(),
            decision_id: approval.decision.to_string(),
            asked: Some(timestamp(approval.asked)),
            until: Some(timestamp(approval.until)),
            approvals_needed: approval.needed,
            votes: approval.votes.iter().map(vote).collect(),
            grant_id: match approval.standing {
                ApprovalStanding::Used(grant) => grant.to_string(),
                _ => String::new(),
            },
            doubts: Vec::new(),
            may_approve: approver.is_some(),
            may_deny: may(Verdict::Denied).is_some(),
            position: approval.changed,
            route: route.into(),
            owners: approval.owners.iter().cloned().collect(),
            route_note,
            escalated_at: approval.escalated.map(|escalated| timestamp(escalated.at)),
            // Without words it is told by who asks, and nothing else.
            amendment: match &approval.about {
                About::Amendment(by) => Some(v1::Amendment { asked_by: by.to_string(), ..v1::Amendment::default() }),
                About::Credential => None,
            },
        };
        Some(Looked { root: task.root, position: approval.position, shown, word })
    }

    /// Adds what only the record says, long words shortened. Of words that were erased, or do not open, the codes are left.
    fn with_doubts(&self, looked: Looked) -> v1::Approval {
        let Looked { root, position, mut shown, .. } = looked.heard();
        match self.asked_of_people(position, root) {
            Ok(asked) => {
                asked.audience().clone_into(&mut shown.audience);
                let words = asked.words();
                shown.amendment = listed_amendment(&words.facts);
                shown.tools = words.access.iter().map(|access| access.tool.to_string()).collect();
                shown.doubts = doubts_in_a_list(words.decision.reasons.iter().map(Reason::in_words));
            }
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "an approval is told without words")
            }
        }
        shown
    }

    /// What a grant, or an amendment, would come to, if this were approved now. `None` when it would be none.
    fn preview(&self, id: ApprovalId, approval: &Approval, mut words: DecisionWords) -> Option<DecisionWords> {
        let bundle = active(&self.0.known.look()).ok()?.1;
        words.facts.approval = Some(ApprovalFacts {
            id,
            verdict: Verdict::Approved,
            by: Vec::new(),
            policy_digest: approval.policy_digest.clone(),
            band: approval.band,
            cures: approval.doubts.clone(),
            until: Timestamp::MAX,
            used: false,
        });
        words.decision = decide(&bundle, &words.facts);
        words.decision.outcome.is_grant().then_some(words)
    }
}

/// Where it stands, by the record and the clock.
fn state_of(approval: &Approval, now: Timestamp) -> v1::ApprovalState {
    let over = approval.until <= now;
    match approval.standing {
        ApprovalStanding::Pending if over => v1::ApprovalState::Unanswered,
        ApprovalStanding::Pending => v1::ApprovalState::Pending,
        ApprovalStanding::Answered(Verdict::Approved) if over => v1::ApprovalState::Lapsed,
        ApprovalStanding::Answered(Verdict::Approved) => v1::ApprovalState::Approved,
        ApprovalStanding::Answered(Verdict::Denied) => v1::ApprovalState::Denied,
        ApprovalStanding::Answered(Verdict::Unanswered) => v1::ApprovalState::Unanswered,
        ApprovalStanding::Used(_) | ApprovalStanding::Extended(_) => v1::ApprovalState::Used,
        ApprovalStanding::Withdrawn => v1::ApprovalState::Withdrawn,
        ApprovalStanding::Closed => v1::ApprovalState::Closed,
    }
}

const fn wire_verdict(verdict: Verdict) -> v1::Verdict {
    match verdict {
        Verdict::Approved => v1::Verdict::Approve,
        Verdict::Denied => v1::Verdict::Deny,
        Verdict::Unanswered => v1::Verdict::Unspecified,
    }
}

struct Follower {
    broker: Broker,
    caller: Caller,
    /// The position up to which everything was told.
    after: u64,
    /// True until what waited at the beginning was told, and nothing else of that time.
    begins: bool,
}

impl Follower {
    async fn run(mut self, send: mpsc::Sender<v1::WatchApprovalsResponse>) {
        use v1::watch_approvals_response::Event;
        let mut durable = self.broker.0.journal.durable();
        let mut beat = tokio::time::interval(self.broker.0.settings.heartbeat);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let message = |event| v1::WatchApprovalsResponse { event: Some(event) };
        loop {
            durable.borrow_and_update();
            let Ok(news) = self.news().await else { return };
            let more = news.len() >= NEWS_MAX;
            for approval in news {
                if send.send(message(Event::Approval(approval))).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                () = std::future::ready(()), if more => {}
                changed = durable.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                _ = beat.tick() => {
                    if send.send(message(Event::Heartbeat(self.after))).await.is_err() {
                        return;
                    }
                }
                () = send.closed() => return,
            }
        }
    }

    /// What was not told yet, in the order in which it happened, as much as is told at a time.
    async fn news(&mut self) -> Result<Vec<v1::Approval>, BrokerError> {
        let mut looked: Vec<Looked> = {
            let state = self.broker.0.known.look();
            let now = self.broker.now(&state);
            let begins = std::mem::take(&mut self.begins);
            let wanted = |approval: &Approval| !begins || approval.waits(now);
            let mut looked = Vec::new();
            let mut told = state.next.saturating_sub(1);
            for (id, approval) in state.approvals.changed_after(self.after) {
                // All that one event changed is told together.
                if looked.len() >= NEWS_MAX && approval.changed > self.after {
                    told = self.after;
                    self.begins = begins;
                    break;
                }
                self.after = approval.changed;
                if wanted(approval) {
                    looked.extend(self.broker.looked(&state, &self.caller, id, now));
                }
            }
            self.after = told;
            looked
        };
        // Who goes on after the first of several that one event changed is told the others again.
        let positions: Vec<u64> = looked.iter().map(|one| one.shown.position).collect();
        for (one, next) in looked.iter_mut().zip(positions.iter().skip(1)) {
            if one.shown.position == *next {
                one.shown.position -= 1;
            }
        }
        if looked.is_empty() {
            return Ok(Vec::new());
        }
        self.broker.reading(move |this| Ok(looked.into_iter().map(|one| this.with_doubts(one)).collect())).await
    }
}
