//! When policy does not decide alone: what people said of the same request before, and otherwise that they are asked about it.
//! The same request, however often it is tried and under whichever id, is one question.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::broker::Broker;
use crate::broker::approvals::{ApprovalStanding, Covers};
use crate::broker::denials::Shape;
use crate::broker::error::BrokerError;
use crate::broker::gather::View;
use crate::broker::record::asked_digest;
use crate::broker::request::Asking;
use crate::broker::routing::answerable;
use crate::broker::words::{self, Context, DecisionWords};
use crate::intent::spelling;
use crate::journal::guards::{Expect, GuardKey};
use crate::model::approval::{ApprovalFacts, doubts};
use crate::model::decision::{Decision, Outcome};
use crate::model::facts::{EntryFacts, Facts, Question};
use crate::model::id::{ApprovalId, Audience};
use crate::model::limits::APPROVALS_PER_TASK_MAX;
use crate::model::reason::ReasonCode;
use crate::model::risk::Signal;
use crate::model::sink::SinkKind;
use crate::model::spiffe_id::SpiffeId;
use crate::pb::journal as pb;
use crate::policy::route;
use crate::seal::sealer::COMMON;

/// The question that a request waits on.
#[derive(Debug)]
pub(in crate::broker) struct Pending {
    pub(in crate::broker) id: ApprovalId,
    /// Set when it is asked from now on.
    pub(in crate::broker) asked: Option<pb::AskedPeople>,
    /// What an append that asks relies on beside the rest.
    pub(in crate::broker) expects: Vec<Expect>,
}

/// What of an entry is known again by itself: each place that it goes to. How much goes there, and what else it says, is no part.
#[derive(Debug, Clone, Copy)]
enum Parts {
    /// As they are remembered: also that something was denied of the tool, and whether that was all of it.
    Remembered,
    /// As they are looked for: what names no place is about all of the tool, so whatever was denied of that concerns it.
    Sought,
}

impl Parts {
    fn of(self, entry: &EntryFacts) -> Vec<[Cow<'_, str>; 2]> {
        let resources = entry.resources.iter().map(|resource| ["resource".into(), resource.into()]);
        let is_place = |kind: SinkKind| !matches!(kind, SinkKind::Amount | SinkKind::Other);
        let sinks = entry.sinks.iter().filter(|sink| is_place(sink.kind));
        // Whoever was refused in `to` is not to be had in `cc`.
        let sinks = sinks.map(|sink| [sink.kind.as_str().into(), spelling::key(sink.kind, &sink.value)]);
        let mut parts: Vec<[Cow<'_, str>; 2]> = resources.chain(sinks).collect();
        let whole = parts.is_empty();
        match self {
            Self::Remembered => {
                parts.extend(whole.then_some(WHOLE));
                parts.push(SOME);
            }
            Self::Sought => {
                parts.extend(whole.then_some(SOME));
                parts.push(WHOLE);
            }
        }
        parts
    }
}

/// No place was named.
const WHOLE: [Cow<'_, str>; 2] = [Cow::Borrowed("whole"), Cow::Borrowed("")];
/// Whatever was named.
const SOME: [Cow<'_, str>; 2] = [Cow::Borrowed("some"), Cow::Borrowed("")];

fn who(agent: &SpiffeId, audience: &Audience) -> [String; 2] {
    [agent.as_str().to_owned(), audience.to_string()]
}

fn recorded(signal: &Signal) -> pb::RecordedScore {
    pb::RecordedScore { source: signal.source.clone(), points: signal.points }
}

/// The approval that a grant was made of, as far as it concerns what was granted.
pub(in crate::broker) fn carried(words: &DecisionWords) -> Option<ApprovalFacts> {
    let used = words.decision.approval?;
    let approval = words.facts.approval.as_ref().filter(|approval| approval.id == used)?;
    Some(approval.of_granted(&words.decision.entries))
}

impl Broker {
    /// How the request is known again: by task, agent, audience, access and profile.
    pub(in crate::broker) fn covers(&self, asking: &Asking<'_>, view: &View) -> Result<Covers, BrokerError> {
        let profile = serde_json::to_vec(asking.profile).unwrap_or_default();
        let access = serde_json::to_vec(asking.access).unwrap_or_default();
        let task = asking.task.to_string();
        // A renewal adds no use, and who proved no key is given another kind of token: those are other questions.
        let kind = if asking.renews.is_some() { "renewal" } else { "grant" };
        let parts: [&[u8]; 8] = [
            b"approval",
            kind.as_bytes(),
            asking.workload.peer.authentication().as_str().as_bytes(),
            task.as_bytes(),
            view.agent.as_str().as_bytes(),
            asking.audience.as_str().as_bytes(),
            &access,
            &profile,
        ];
        self.keyed(view.root, asked_digest(&parts))
    }

    /// How what is in doubt is known again in other tasks: each entry by its tool and where it goes, whatever else the call says.
    /// Where only the whole is in doubt, all entries together.
    pub(in crate::broker) fn shapes(
        &self,
        (agent, audience): (&SpiffeId, &Audience),
        facts: &Facts,
        decision: &Decision,
    ) -> Result<Vec<Shape>, BrokerError> {
        let who = who(agent, audience);
        let entries = facts.entries.iter().zip(&decision.entries);
        let (doubtful, others): (Vec<_>, Vec<_>) = entries.partition(|(_, decided)| decided.outcome >= Outcome::StepUp);
        if doubtful.is_empty() {
            let all: Vec<&EntryFacts> = others.iter().map(|(entry, _)| *entry).collect();
            return Ok(vec![self.shape_of(&who, &all)?]);
        }
        doubtful.iter().map(|(entry, _)| self.shape_of(&who, &[*entry])).collect()
    }

    /// Every shape that a denial of what is asked may stand under: all entries together, and each by itself.
    pub(in crate::broker) fn all_shapes(
        &self,
        (agent, audience): (&SpiffeId, &Audience),
        facts: &Facts,
    ) -> Result<Vec<Shape>, BrokerError> {
        let who = who(agent, audience);
        let all: Vec<&EntryFacts> = facts.entries.iter().collect();
        let mut shapes = vec![self.shape_of(&who, &all)?];
        if let [_, _, ..] = *all {
            for entry in all {
                shapes.push(self.shape_of(&who, &[entry])?);
            }
        }
        Ok(shapes)
    }

    /// Under what a denial of this is remembered: the shapes of what was in doubt, and each part of the whole, which counts where
    /// policy only observes.
    pub(in crate::broker) fn denied_shapes(
        &self,
        of: (&SpiffeId, &Audience),
        facts: &Facts,
        decision: &Decision,
    ) -> Result<Vec<Shape>, BrokerError> {
        let mut shapes = self.shapes(of, facts, decision)?;
        shapes.extend(self.parts(of, facts, |entry| Parts::Remembered.of(entry))?.into_iter().map(Shape::exact));
        Ok(shapes)
    }

    /// Every shape and part under which a denial may stand that concerns anything of what is asked. Where policy only observes nobody
    /// is asked again, so what a person refused is not to be had beside something else, in parts, or in other numbers.
    pub(in crate::broker) fn observed_shapes(
        &self,
        of: (&SpiffeId, &Audience),
        facts: &Facts,
    ) -> Result<Vec<Shape>, BrokerError> {
        let mut shapes = self.all_shapes(of, facts)?;
        shapes.extend(self.parts(of, facts, |entry| Parts::Sought.of(entry))?.into_iter().map(Shape::exact));
        Ok(shapes)
    }

    /// Digests of the parts of every entry, each once.
    fn parts<'f>(
        &self,
        (agent, audience): (&SpiffeId, &Audience),
        facts: &'f Facts,
        parts: impl Fn(&'f EntryFacts) -> Vec<[Cow<'f, str>; 2]>,
    ) -> Result<BTreeSet<Covers>, BrokerError> {
        let who = who(agent, audience);
        let mut digests = BTreeSet::new();
        for entry in &facts.entries {
            for part in parts(entry) {
                let part = part.iter().map(AsRef::as_ref);
                let names = who.iter().map(String::as_str).chain([entry.tool.as_str()]).chain(part);
                let parts: Vec<&[u8]> = std::iter::once(&b"denied-part"[..]).chain(names.map(str::as_bytes)).collect();
                digests.insert(self.keyed(COMMON, asked_digest(&parts))?);
            }
        }
        Ok(digests)
    }

    /// The shape of these entries together. Values are what they come to, however they are spelled. Resources count where no sink says
    /// where it goes: beside sinks they are words, by which nothing becomes another access.
    fn shape_of(&self, who: &[String; 2], entries: &[&EntryFacts]) -> Result<Shape, BrokerError> {
        let digest = |what: &[&str]| {
            let parts = [b"denied".as_slice()].into_iter().chain(who.iter().map(String::as_bytes));
            let parts: Vec<&[u8]> = parts.chain(what.iter().map(|part| part.as_bytes())).collect();
            self.keyed(COMMON, asked_digest(&parts))
        };
        let mut shape = Shape::exact(digest(&["by"])?);
        for entry in entries {
            let tool = entry.tool.as_str();
            shape.add(digest(&["tool", tool])?);
            if entry.sinks.is_empty() && entry.resources.is_empty() {
                // Who names nothing asks for anything: that is more than any that is named.
                shape.add(digest(&["any", tool])?);
            }
            for resource in entry.resources.iter().filter(|_| entry.sinks.is_empty()) {
                shape.add(digest(&["resource", tool, resource])?);
            }
            for sink in &entry.sinks {
                let value = spelling::key(sink.kind, &sink.value);
                match value.parse().ok().filter(|_| sink.kind == SinkKind::Amount) {
                    Some(amount) => shape.add_amount(digest(&["amount", tool, &sink.name])?, amount),
                    None => shape.add(digest(&["value", tool, &sink.name, &value])?),
                }
            }
        }
        Ok(shape)
    }

    /// What people answered when this was asked before, as long as it stands; of an approval and a denial elsewhere, what was said
    /// last. Adds to the look what an append that uses an approval relies on: that nobody blocked who gave it.
    pub(in crate::broker) fn answer_of_people(
        &self,
        asking: &Asking<'_>,
        view: &mut View,
        covers: &Covers,
        (facts, decision): (&Facts, &Decision),
    ) -> Result<Option<ApprovalFacts>, BrokerError> {
        let agent = view.agent.clone();
        let of = (&agent, asking.audience);
        let observed = decision.observed_only();
        self.answer_to(view, (covers, observed), || {
            if observed { self.observed_shapes(of, facts) } else { self.shapes(of, facts, decision) }
        })
    }

    /// The same of whatever is known again by `covers`, and its denials by these shapes. Where it is `observed`, the append relies also
    /// on that nobody denied anything meanwhile, in whichever task: nobody is asked who would find it.
    pub(in crate::broker) fn answer_to(
        &self,
        view: &mut View,
        (covers, observed): (&Covers, bool),
        shapes: impl FnOnce() -> Result<Vec<Shape>, BrokerError>,
    ) -> Result<Option<ApprovalFacts>, BrokerError> {
        let (own, denials) = {
            let state = self.0.known.look();
            if observed {
                let key = GuardKey::denials();
                view.expects.push(Expect { key, at: state.marks.at(&key) });
            }
            let own = state.approvals.covering(covers).and_then(|(id, approval)| {
                let answer = approval.facts(id, &self.0.settings.approvals, view.now)?;
                let keys = answer.by.iter().map(GuardKey::initiator);
                view.expects.extend(keys.map(|key| Expect { key, at: state.marks.at(&key) }));
                Some((answer, approval.approved_at()))
            });
            (own, state.approvals.denials().any())
        };
        if !denials {
            return Ok(own.map(|(answer, _)| answer));
        }
        let shapes = shapes()?;
        let denial = self.0.known.look().approvals.denials().last(&shapes, view.now).cloned();
        Ok(match (own, denial) {
            (Some((answer, Some(approved))), Some(denial)) if approved > denial.at => Some(answer),
            (_, Some(denial)) => Some(denial.facts),
            (own, None) => own.map(|(answer, _)| answer),
        })
    }

    /// The question that the request waits on: one that is asked already and shows all there is to see, or one that is asked from
    /// now on. `note` counts a refusal.
    ///
    /// # Errors
    /// `Precondition` when as many wait as may.
    pub(in crate::broker) fn pending(
        &self,
        note: impl FnOnce(ReasonCode),
        view: &View,
        covers: Covers,
        (facts, decision): (&Facts, &Decision),
    ) -> Result<Pending, BrokerError> {
        let doubts = doubts(decision);
        let settings = &self.0.settings.approvals;
        // An amendment takes none of the agent's places: what one orchestrator asks must not shut the agent out for another.
        let asker = if facts.question == Question::Amend { &facts.principal.id } else { &view.agent };
        let owners: Vec<String> =
            route::owners(&view.bundle, facts, decision).iter().map(ToString::to_string).collect();
        let (replaces, expects, owners_absent) = {
            let state = self.0.known.look();
            let before = state.approvals.covering(&covers);
            if let Some((id, approval)) = before.filter(|(_, approval)| approval.waits(view.now)) {
                let (needed, digest) = (decision.approvals_needed, &view.policy.digest);
                if approval.shows(decision.outcome, needed, digest, decision.risk.band, &doubts) {
                    return Ok(Pending { id, asked: None, expects: Vec::new() });
                }
            }
            let replaces = before.filter(|(_, approval)| approval.is_open()).map(|(id, _)| id);
            let replaced = before.is_some_and(|(_, approval)| approval.standing == ApprovalStanding::Pending);
            let replaced = usize::from(replaced);
            let word = (!view.initiator.verified).then(|| view.orchestrator.clone());
            let behalf = (view.initiator.name.clone(), word);
            let (of_asker, of_initiator) = state.approvals.waiting(asker, &behalf);
            if of_asker >= settings.pending_per_agent_max.saturating_add(replaced)
                || of_initiator >= settings.pending_per_initiator_max.saturating_add(replaced)
            {
                drop(state);
                let code = ReasonCode::TooManyPending;
                note(code);
                return Err(BrokerError::Precondition { code, decision: None });
            }
            if state.approvals.count_of(view.id) >= APPROVALS_PER_TASK_MAX {
                let problem = format!("people were asked {APPROVALS_PER_TASK_MAX} times about the task");
                return Err(BrokerError::above_limit("task_id", problem));
            }
            let keys = [GuardKey::pending_of(asker), GuardKey::initiator_pending(&view.initiator.name)];
            let asked = owners.iter().map(String::as_str);
            let initiator = Some(&view.initiator.name).filter(|_| view.initiator.verified);
            let answerable: BTreeSet<&str> =
                answerable(&state, &self.0.settings.directory, initiator, asked.clone()).collect();
            let absent: Vec<String> = asked.filter(|owner| !answerable.contains(owner)).map(str::to_owned).collect();
            (replaces, keys.map(|key| Expect { key, at: state.marks.at(&key) }), absent)
        };
        let random = self.0.entropy.bytes().map_err(BrokerError::unavailable)?;
        let id = ApprovalId::new(view.now, random);
        let context = Context { kind: "doubts", id: &id.to_string() };
        let asked = pb::AskedPeople {
            covers: covers.to_vec().into(),
            answer_by_ms: view.now.after(settings.waits(view.unattended)).as_millis(),
            replaces: replaces.map(|id| id.to_string()).unwrap_or_default(),
            sealed_doubts: words::seal(&self.0.sealer, view.root, context, &doubts)?,
            scores: facts.signals.iter().filter(|signal| signal.is_score()).map(recorded).collect(),
            owners,
            owners_absent,
        };
        Ok(Pending { id, asked: Some(asked), expects: expects.to_vec() })
    }
}
