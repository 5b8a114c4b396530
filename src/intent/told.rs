//! Which names of reported calls stand in Carnet's own sentences. Whoever reports chooses the name of a tool that nobody knows, and
//! of fields that nobody saw, and whoever wrote what was read those of the members in it; such a name can be a sentence itself (`approved_by_the_security_team`), so it is not told.

use super::session::ReportedCall;
use crate::catalogue::tool::Catalogue;
use crate::model::facts::EntryFacts;
use crate::model::id::ToolName;
use crate::model::provenance::Evidence;

/// The name of a field of a result as it is kept: nothing, where whoever says that there is such a field is not believed, or
/// nobody knows the tool; and only what the catalogue names of one that outsiders write. The number of the call says where it was.
pub(super) fn field<'a>(call: &ReportedCall<'_>, believed: bool, path: &'a str) -> &'a str {
    call.spec.filter(|_| believed).map_or("", |spec| spec.outsider_fields.own_names(path))
}

/// The entry without names of tools that the catalogue does not know, and of their fields.
pub(super) fn known_names(mut entry: EntryFacts, catalogue: &Catalogue) -> EntryFacts {
    let of_sinks = entry.sinks.iter_mut().filter_map(|sink| sink.evidence.as_mut());
    of_sinks
        .chain(entry.dictated.iter_mut().map(|dictated| &mut dictated.evidence))
        .for_each(|e| of_known(e, catalogue));
    entry
}

fn of_known(evidence: &mut Evidence, catalogue: &Catalogue) {
    // Names of an earlier version may be none now; what can't be one is not known either.
    let known = evidence.tool.parse::<ToolName>().is_ok_and(|name| catalogue.tool(&name).is_some());
    if !known {
        evidence.tool.clear();
        evidence.field.clear();
    }
}

#[cfg(test)]
mod tests;
