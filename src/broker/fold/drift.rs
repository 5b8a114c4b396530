//! Decisions as they are counted for their class, and what is recorded about those counts.

use super::{FoldError, Step};
use crate::broker::drift::{class_named, is_a_question};
use crate::model::id::{TaskId, ToolName};
use crate::model::identity::IdentityClass;
use crate::model::risk::Score;
use crate::model::time::Timestamp;
use crate::pb::journal as pb;
use crate::risk::drift::counts::{Counts, What};
use crate::risk::drift::watched::{Set, Window};

impl Step<'_> {
    /// Counts a decision for the class of who asked.
    pub(super) fn sample(&mut self, e: &pb::CredentialDecided, actor: Option<&pb::Actor>) {
        let class = actor.and_then(|actor| class_named(&actor.class));
        let (Some(class), Some(decision)) = (class.filter(|_| is_a_question(e)), &e.decision) else { return };
        // A tool that the catalogue did not know has no effect.
        let named = |c: &pb::Conclusion| ToolName::try_from(c.tool.clone()).ok().filter(|_| !c.effect.is_empty());
        let tools: Vec<Option<ToolName>> = decision.conclusions.iter().map(named).collect();
        let tools: Vec<Option<&ToolName>> = tools.iter().map(Option::as_ref).collect();
        let root = e.task_id.parse().ok().and_then(|id: TaskId| self.state.tasks.get(&id)).map(|task| task.root);
        let Some(family) = root.and_then(|root| self.state.families.get_mut(&root)) else { return };
        let watched = self.state.drift.0.entry(class).or_default();
        let added = family.counted.entry(class).or_default();
        watched.learn(added, Score::from_points(decision.risk), &tools, self.time);
    }

    pub(super) fn drift_reference_set(
        &mut self,
        e: &pb::DriftReferenceSet,
        actor: Option<&pb::Actor>,
    ) -> Result<(), FoldError> {
        let watched = self.state.drift.0.entry(class(&e.class)?).or_default();
        match e.reference.as_ref().filter(|_| !e.cleared) {
            Some(reference) => {
                let by = actor.map(|actor| actor.id.clone()).unwrap_or_default();
                watched.refer_to(window(reference)?, Set { by, at: self.time });
            }
            None => watched.clear(),
        }
        Ok(())
    }

    pub(super) fn drift_crossed(&mut self, name: &str, what: &str, begins: bool) -> Result<(), FoldError> {
        let what = What::ALL.into_iter().find(|each| each.as_str() == what).ok_or(FoldError::Value("index"))?;
        self.state.drift.0.entry(class(name)?).or_default().crossed(what, begins);
        Ok(())
    }

    /// What another bundle scored is not compared with what this one scores.
    pub(super) fn drift_begins_again(&mut self, digest: &str) {
        if self.state.policy.as_ref().is_some_and(|policy| policy.digest != digest) {
            self.state.drift.0.values_mut().for_each(crate::risk::drift::watched::Watched::begin_again);
        }
    }
}

fn class(name: &str) -> Result<IdentityClass, FoldError> {
    class_named(name).ok_or(FoldError::Value("class of identities"))
}

fn window(counts: &pb::DriftCounts) -> Result<Window, FoldError> {
    let scores = counts.scores.as_slice().try_into().map_err(|_| FoldError::Value("bins of scores"))?;
    let tools = counts.tools.iter().map(|tool| Ok((ToolName::try_from(tool.tool.clone())?, tool.count)));
    let tools = tools.collect::<Result<_, FoldError>>()?;
    Ok(Window {
        counts: Counts {
            samples: counts.samples,
            scores,
            tools,
            tools_other: counts.tools_other,
            families: counts.families,
        },
        from: Timestamp::from_millis(counts.from_ms),
        until: Timestamp::from_millis(counts.until_ms),
    })
}
