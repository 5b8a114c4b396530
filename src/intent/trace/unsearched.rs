//! What may stand in a text of which only a digest is known. Nobody can search it, so the worst is taken for granted: a person
//! who can look into it is asked.

use super::super::leaves::Leaf;
use super::super::session::Session;
use super::super::walk;
use super::{DICTATED_BYTES_MIN, Ground};
use crate::catalogue::tool::Tool;
use crate::model::access::Access;
use crate::model::facts::{DictatedFacts, SinkFacts};
use crate::model::provenance::{Evidence, Provenance, Seen};
use crate::model::sink::{SinkKind, SinkSpec};

/// Most arguments and objects of one access that are told to be possibly dictated: one is enough to ask.
const TOLD_MAX: usize = 8;

/// Where a value may have been seen that nothing grounds and no search finds. Values that may be the agent's own words are then no
/// longer taken for that; of all others a person is asked anyway, and rather an independent one.
pub(super) fn seen(sink: &SinkSpec, session: &Session) -> Option<(Provenance, Option<Evidence>)> {
    let own_words = matches!(sink.kind, SinkKind::Amount | SinkKind::Other);
    let leaf = session.leaves().digests.unsearched(false).filter(|_| own_words)?;
    Some((Provenance::Text, Some(evidence(&leaf, session))))
}

/// Adds the arguments and the objects of an effectful access that outsiders may have dictated in what cannot be searched, where
/// a search would have found any: long arguments that the intent does not hold, and objects that it does not name.
pub(in crate::intent) fn dictated(
    access: &Access,
    tool: Option<&Tool>,
    sinks: &[SinkFacts],
    ground: &Ground<'_>,
    out: &mut Vec<DictatedFacts>,
) {
    let Some(leaf) = ground.session.leaves().digests.unsearched(true) else { return };
    let possibly = |name: &str, is_sink: bool| DictatedFacts {
        name: name.to_owned(),
        evidence: evidence(&leaf, ground.session),
        by_outsiders: true,
        is_sink,
    };
    let mut told = 0;
    let mut add = |out: &mut Vec<DictatedFacts>, name: &str, is_sink: bool| {
        if told < TOLD_MAX && !out.iter().any(|d| d.name == name && d.by_outsiders) {
            told += 1;
            out.push(possibly(name, is_sink));
        }
    };
    for sink in sinks {
        let is_object = matches!(sink.kind, SinkKind::Id | SinkKind::Path);
        if is_object && matches!(sink.provenance, Provenance::Field | Provenance::Argument) {
            add(out, &sink.name, true);
        }
    }
    walk::leaves(&access.arguments, &mut |path, text| {
        let is_sink = tool.is_some_and(|t| t.sink(path).is_some());
        if !is_sink && text.len() >= DICTATED_BYTES_MIN && !ground.intent.as_str().contains(text) {
            add(out, path, false);
        }
    });
}

fn evidence(leaf: &Leaf<'_>, session: &Session) -> Evidence {
    super::evidence(leaf, session, Some(Seen::Unsearched))
}
