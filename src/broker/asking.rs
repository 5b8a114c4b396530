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
use crate::model::facts::{EntryFacts, Facts, Question, SinkFacts};
use crate::model::id::{ApprovalId, Audience};
use crate::model::limits::APPROVALS_PER_TASK_MAX;
use crate::model::provenance::Provenance;
use crate::model::reason::ReasonCode;
use crate::model::risk::Signal;
use crate::model::sink::SinkKind;
use crate::model::spiffe_id::SpiffeId;
use crate::pb::journal as pb;
use crate::policy::bundle::PolicyBundle;
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
    fn of<'f>(self, of: Of<'_>, entry: &'f EntryFacts) -> Vec<[Cow<'f, str>; 2]> {
        let resources = entry.resources.iter().map(|resource| ["resource".into(), resource.into()]);
        let sinks = entry.sinks.iter().filter(|sink| !is_shared(sink.kind));
        // Whoever was refused in `to` is not to be had in `cc`.
        let sinks = sinks.map(|sink| [sink.kind.as_str().into(), spelling::key(sink.kind, &sink.value)]);
        let sinks: Vec<[Cow<'f, str>; 2]> = sinks.collect();
        // Where values say where it goes, resources are words beside them, and no place in their stead.
        let whole = sinks.is_empty() && (entry.resources.is_empty() || of.goes_by_values(entry));
        let mut parts: Vec<[Cow<'f, str>; 2]> = resources.chain(sinks).collect();
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

/// What one of several entries is remembered under, of which only the whole was in doubt: asked for alone it is another question.
const APART: &str = "apart";

/// Who asks, of whom, and what is known of tools then.
#[derive(Debug, Clone, Copy)]
pub(in crate::broker) struct Of<'a> {
    pub(in crate::broker) agent: &'a SpiffeId,
    pub(in crate::broker) audience: &'a Audience,
    pub(in crate::broker) bundle: Option<&'a PolicyBundle>,
}

impl Of<'_> {
    fn who(self) -> [String; 2] {
        [self.agent.as_str().to_owned(), self.audience.to_string()]
    }

    /// True when values say where a call of that tool goes, whether this call has any or not.
    fn goes_by_values(self, entry: &EntryFacts) -> bool {
        let tool = self.bundle.and_then(|bundle| bundle.catalogue().tool(&entry.tool));
        !entry.sinks.is_empty() || tool.is_some_and(|tool| !tool.sinks.is_empty())
    }
}

/// The entries that are in doubt by themselves; of a decision that doubts only the whole, all.
fn in_doubt<'f>(facts: &'f Facts, decision: &Decision) -> (Vec<(u32, &'f EntryFacts)>, bool) {
    let entries = (0_u32..).zip(&facts.entries);
    let doubted = |index: u32| {
        let decided = usize::try_from(index).ok().and_then(|index| decision.entries.get(index));
        decided.is_some_and(|decided| decided.outcome >= Outcome::StepUp)
    };
    let doubtful: Vec<(u32, &EntryFacts)> = entries.clone().filter(|(index, _)| doubted(*index)).collect();
    if doubtful.is_empty() { (entries.collect(), false) } else { (doubtful, true) }
}

/// True when a reason of that entry says of the value that it is in doubt.
fn is_doubted(sink: &SinkFacts, entry: u32, decision: &Decision) -> bool {
    decision.reasons.iter().filter(|reason| reason.entry == Some(entry)).any(|reason| match reason.code {
        ReasonCode::SinkInText => sink.provenance == Provenance::Text,
        ReasonCode::SinkUnseen => sink.provenance == Provenance::None,
        ReasonCode::SinkNotNamed => sink.beside_intent,
        _ => false,
    })
}

/// True when something else is in doubt than the values of that entry: what it does, or what was read before. A score counts the very values.
fn is_doubted_beside(entry: u32, decision: &Decision) -> bool {
    let mut reasons = decision.reasons.iter().filter(|reason| reason.entry.is_none_or(|of| of == entry));
    reasons.any(|reason| {
        let of_values =
            matches!(reason.code, ReasonCode::SinkInText | ReasonCode::SinkUnseen | ReasonCode::SinkNotNamed);
        // Nobody is asked about a shorter life.
        !of_values && !matches!(reason.code, ReasonCode::RiskHigh | ReasonCode::RiskCritical | ReasonCode::TtlShortened)
    })
}

/// A value that is everybody's, such as a sum or a role: what is refused is that it goes there.
const fn is_shared(kind: SinkKind) -> bool {
    matches!(kind, SinkKind::Amount | SinkKind::Other)
}

/// Where something goes, whoever it is that it goes to.
const fn is_destination(kind: SinkKind) -> bool {
    matches!(kind, SinkKind::Address | SinkKind::Account | SinkKind::Url)
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
    fn shapes(&self, of: Of<'_>, facts: &Facts, decision: &Decision) -> Result<Vec<Shape>, BrokerError> {
        let (entries, one_by_one) = in_doubt(facts, decision);
        let entries: Vec<&EntryFacts> = entries.into_iter().map(|(_, entry)| entry).collect();
        match one_by_one {
            true => entries.into_iter().map(|entry| self.shape_of(of, &[entry])).collect(),
            false => Ok(vec![self.shape_of(of, &entries)?]),
        }
    }

    /// Every shape under which a denial may stand of what is in doubt now, and every value of that.
    pub(in crate::broker) fn sought_shapes(
        &self,
        of: Of<'_>,
        facts: &Facts,
        decision: &Decision,
    ) -> Result<Vec<Shape>, BrokerError> {
        let mut shapes = self.shapes(of, facts, decision)?;
        for (_, entry) in in_doubt(facts, decision).0 {
            shapes.extend(self.values_of(of, entry, |_| true)?);
        }
        Ok(shapes)
    }

    /// Every shape that a denial of what is asked may stand under: all entries together, each by itself, and each value.
    pub(in crate::broker) fn all_shapes(&self, of: Of<'_>, facts: &Facts) -> Result<Vec<Shape>, BrokerError> {
        let all: Vec<&EntryFacts> = facts.entries.iter().collect();
        let mut shapes = vec![self.shape_of(of, &all)?];
        if let [_, _, ..] = *all {
            for entry in &all {
                shapes.push(self.shape_of(of, &[*entry])?);
            }
        }
        for entry in all {
            shapes.extend(self.values_of(of, entry, |_| true)?);
        }
        Ok(shapes)
    }

    /// Under what a denial of this is remembered: the shapes of what was in doubt, what of each entry is refused whatever stands beside
    /// it, each of several entries of a whole as a person may open it by itself, and each part, which counts where policy only observes.
    pub(in crate::broker) fn denied_shapes(
        &self,
        of: Of<'_>,
        facts: &Facts,
        decision: &Decision,
    ) -> Result<Vec<Shape>, BrokerError> {
        let mut shapes = self.shapes(of, facts, decision)?;
        let (entries, one_by_one) = in_doubt(facts, decision);
        let apart = !one_by_one && entries.len() > 1;
        for (index, entry) in entries {
            shapes.extend(self.refused_alone(of, entry, |sink| is_doubted(sink, index, decision))?);
            if is_doubted_beside(index, decision) {
                // Who adds a value of which there is doubt does not take the place out of the denial.
                shapes.extend(self.values_of(of, entry, |sink| is_destination(sink.kind))?);
            }
            if apart {
                shapes.push(self.shape_under(APART, of, &[entry])?);
            }
        }
        shapes.extend(self.parts(of, facts, |entry| Parts::Remembered.of(of, entry))?.into_iter().map(Shape::exact));
        Ok(shapes)
    }

    /// Every shape and part under which a denial may stand that concerns anything of what is asked. Where policy only observes nobody
    /// is asked again, so what a person refused is not to be had beside something else, in parts, or in other numbers.
    pub(in crate::broker) fn observed_shapes(&self, of: Of<'_>, facts: &Facts) -> Result<Vec<Shape>, BrokerError> {
        let mut shapes = self.all_shapes(of, facts)?;
        shapes.extend(self.parts(of, facts, |entry| Parts::Sought.of(of, entry))?.into_iter().map(Shape::exact));
        Ok(shapes)
    }

    /// Every shape under which a denial may stand of what a person would open: also where it was denied beside something else.
    pub(in crate::broker) fn opened_shapes(&self, of: Of<'_>, facts: &Facts) -> Result<Vec<Shape>, BrokerError> {
        let mut shapes = self.all_shapes(of, facts)?;
        for entry in &facts.entries {
            shapes.push(self.shape_under(APART, of, &[entry])?);
        }
        Ok(shapes)
    }

    /// What of a denied entry is refused whatever else a call says beside it: each value that was in doubt; where none was, each place that
    /// it goes to. An amount or a role by itself is everybody's: it is refused for where it was to go, and alone only where no place is named.
    fn refused_alone(
        &self,
        of: Of<'_>,
        entry: &EntryFacts,
        is_doubted: impl Fn(&SinkFacts) -> bool,
    ) -> Result<Vec<Shape>, BrokerError> {
        if !entry.sinks.iter().any(&is_doubted) {
            return self.values_of(of, entry, |sink| is_destination(sink.kind));
        }
        let mut shapes = self.values_of(of, entry, &is_doubted)?;
        let to_somewhere = entry.sinks.iter().any(|sink| is_destination(sink.kind));
        let is_place = |sink: &SinkFacts| match to_somewhere {
            true => is_destination(sink.kind),
            false => !is_shared(sink.kind),
        };
        // A place in doubt is refused by itself. It does not make another question of the others, which anybody could add one to.
        let are_sure = entry.sinks.iter().any(|sink| is_place(sink) && !is_doubted(sink));
        let is_goal = |sink: &SinkFacts| is_place(sink) && !(are_sure && is_doubted(sink));
        let together = |which: &dyn Fn(&SinkFacts) -> bool| {
            let mut kept = entry.clone();
            kept.sinks.retain(|sink| is_goal(sink) || which(sink));
            self.shape_of(of, &[&kept])
        };
        let is_sum = |sink: &SinkFacts| sink.kind == SinkKind::Amount && is_doubted(sink);
        let is_word = |sink: &SinkFacts| sink.kind == SinkKind::Other && is_doubted(sink);
        let has_sum = entry.sinks.iter().any(is_sum);
        if has_sum {
            shapes.push(together(&is_sum)?);
        }
        if entry.sinks.iter().any(is_goal) {
            let words: BTreeSet<_> =
                entry.sinks.iter().filter(|sink| is_word(sink)).map(|sink| (&sink.name, &sink.value)).collect();
            for word in words {
                shapes.push(together(&|sink: &SinkFacts| is_word(sink) && (&sink.name, &sink.value) == word)?);
            }
        } else if !has_sum {
            shapes.push(together(&is_word)?);
        }
        Ok(shapes)
    }

    /// Each of these values by itself, but for those that are everybody's. Who was refused as one recipient is refused as another.
    fn values_of(
        &self,
        of: Of<'_>,
        entry: &EntryFacts,
        which: impl Fn(&SinkFacts) -> bool,
    ) -> Result<Vec<Shape>, BrokerError> {
        let (who, mut digests) = (of.who(), BTreeSet::new());
        for sink in entry.sinks.iter().filter(|sink| !is_shared(sink.kind) && which(sink)) {
            let (value, kind) = (spelling::key(sink.kind, &sink.value), sink.kind.as_str());
            // A place is the same under whichever name; what another value is only its name says.
            let name = if is_destination(sink.kind) { "" } else { sink.name.as_str() };
            let names = who.iter().map(String::as_str).chain([entry.tool.as_str(), kind, name, &value]);
            let parts: Vec<&[u8]> = std::iter::once("denied-value").chain(names).map(str::as_bytes).collect();
            digests.insert(self.keyed(COMMON, asked_digest(&parts))?);
        }
        Ok(digests.into_iter().map(Shape::exact).collect())
    }

    /// Digests of the parts of every entry, each once.
    fn parts<'f>(
        &self,
        of: Of<'_>,
        facts: &'f Facts,
        parts: impl Fn(&'f EntryFacts) -> Vec<[Cow<'f, str>; 2]>,
    ) -> Result<BTreeSet<Covers>, BrokerError> {
        let (who, mut digests) = (of.who(), BTreeSet::new());
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

    /// The shape of these entries together. Values are what they come to, however they are spelled. Resources count where the tool has
    /// no sinks to say where it goes: otherwise they are words, by which nothing becomes another access.
    fn shape_of(&self, of: Of<'_>, entries: &[&EntryFacts]) -> Result<Shape, BrokerError> {
        self.shape_under("by", of, entries)
    }

    /// The same under a name of its own: what is remembered under one is not found under another.
    fn shape_under(&self, name: &str, of: Of<'_>, entries: &[&EntryFacts]) -> Result<Shape, BrokerError> {
        let who = of.who();
        let digest = |what: &[&str]| {
            let parts = [b"denied".as_slice()].into_iter().chain(who.iter().map(String::as_bytes));
            let parts: Vec<&[u8]> = parts.chain(what.iter().map(|part| part.as_bytes())).collect();
            self.keyed(COMMON, asked_digest(&parts))
        };
        let mut shape = Shape::exact(digest(&[name])?);
        for entry in entries {
            let tool = entry.tool.as_str();
            shape.add(digest(&["tool", tool])?);
            let resources = if of.goes_by_values(entry) { &[][..] } else { entry.resources.as_slice() };
            if entry.sinks.is_empty() && resources.is_empty() {
                // Who names nothing asks for anything: that is more than any that is named.
                shape.add(digest(&["any", tool])?);
            }
            for resource in resources {
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
        let (agent, bundle) = (view.agent.clone(), view.bundle.clone());
        let of = Of { agent: &agent, audience: asking.audience, bundle: Some(bundle.as_ref()) };
        let observed = decision.observed_only();
        self.answer_to(view, (covers, observed), || {
            if observed { self.observed_shapes(of, facts) } else { self.sought_shapes(of, facts, decision) }
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

#[cfg(test)]
mod tests;
