//! What the entries of one request let in for each other: a request that reads and sends is to be no way round what is asked of one
//! that reads and of another that sends.

use std::borrow::Cow;

use crate::catalogue::tool::{Catalogue, Tool};
use crate::model::ceiling::{Breach, CeilingFit};
use crate::model::facts::{EntryFacts, Facts, LetInBy, SessionFacts};

/// The session as an entry of a request meets it: with what the other entries let in, in whatever order they stand. What is left
/// out for the ceiling lets nothing in; what a policy leaves out does, or more risk, by which policies leave more out, could ask
/// less.
#[must_use]
pub fn session_beside<'a>(catalogue: &Catalogue, facts: &'a Facts, entry: usize) -> Cow<'a, SessionFacts> {
    session_with(catalogue, facts, |at| at != entry)
}

/// The session as at least one of the entries meets it.
#[must_use]
pub fn session_of_request<'a>(catalogue: &Catalogue, facts: &'a Facts) -> Cow<'a, SessionFacts> {
    session_with(catalogue, facts, |_| true)
}

fn session_with<'a>(catalogue: &Catalogue, facts: &'a Facts, others: impl Fn(usize) -> bool) -> Cow<'a, SessionFacts> {
    let mut session = Cow::Borrowed(&facts.session);
    if facts.entries.len() < 2 {
        return session;
    }
    let stays_out = |entry: &EntryFacts| catalogue.tool(&entry.tool).is_some_and(|tool| is_left_out(entry, tool));
    // Where nothing would be left a person is asked for all of it.
    let all_stay_out = facts.entries.iter().all(stays_out);
    for (at, entry) in facts.entries.iter().enumerate() {
        if others(at) && (all_stay_out || !stays_out(entry)) {
            let_in(catalogue, &mut session, entry);
        }
    }
    session
}

fn let_in(catalogue: &Catalogue, session: &mut Cow<'_, SessionFacts>, entry: &EntryFacts) {
    let tool = catalogue.tool(&entry.tool);
    let by = || LetInBy { tool: tool.map(|tool| tool.name.clone()), ..LetInBy::default() };
    if !session.untrusted_input && tool.is_none_or(Tool::reads_outsiders) {
        let session = session.to_mut();
        (session.untrusted_input, session.untrusted_by) = (true, Some(by()));
    }
    let own = tool.into_iter().flat_map(Tool::carries).cloned();
    for class in own.chain(catalogue.carries_named(tool, &entry.data_classes)) {
        if !session.carries.contains(&class) {
            let session = session.to_mut();
            let place = session.carries.partition_point(|known| *known < class);
            session.carries_by.insert(class.clone(), by());
            session.carries.insert(place, class);
        }
    }
}

/// True when policy leaves it out for its ceiling, where other entries remain: a read that goes beyond it, of which nothing within is
/// left.
#[must_use]
pub fn is_left_out(entry: &EntryFacts, tool: &Tool) -> bool {
    let CeilingFit::Outside { breaches } = &entry.ceiling else { return false };
    if tool.effect.is_effectful() {
        // That is refused.
        return false;
    }
    let is_cut = |breach: &Breach| matches!(breach, Breach::Action { .. } | Breach::Resource { .. });
    let action_is_out =
        |name: &String| breaches.iter().any(|b| matches!(b, Breach::Action { action } if action == name));
    let resource_is_out =
        |name: &String| breaches.iter().any(|b| matches!(b, Breach::Resource { resource } if resource == name));
    let asked = if entry.actions.is_empty() { &tool.actions } else { &entry.actions };
    let mut known = asked.iter().filter(|action| tool.actions.contains(action)).peekable();
    let no_action = known.peek().is_some() && known.all(action_is_out);
    let no_resource = !entry.resources.is_empty() && entry.resources.iter().all(resource_is_out);
    breaches.is_empty() || !breaches.iter().all(is_cut) || no_action || no_resource
}

#[cfg(test)]
mod tests;
