//! Calls of which values were told by their digests, because content must not leave a site. A whole value is found again by its
//! digest; where a text would have to be searched, the answer is that it may stand there.

use std::cell::LazyCell;
use std::collections::BTreeSet;

use super::super::digests::{self, Told};
use super::super::leaves::Leaf;
use super::super::{spelling, told, walk};
use super::{ReportedCall, Reporter, SESSION_BYTES_MAX, Session, sent_back};
use crate::catalogue::tool::Tool;
use crate::intent::task::Intent;
use crate::model::ceiling::Ceiling;
use crate::model::digested::{DigestKey, DigestedField, DigestedKind};
use crate::model::json::Json;
use crate::model::spiffe_id::SpiffeId;

/// Most different words of what is sent that are looked for among digests: a bound on work. Others count as the agent's own.
const WORDS_MAX: usize = 1024;

/// What of a call was told by digests.
#[derive(Debug, Clone, Copy)]
pub struct Digested<'a> {
    /// The key of the family.
    pub key: &'a DigestKey,
    /// Of the arguments.
    pub arguments: &'a [DigestedField],
    /// Of the result.
    pub result: &'a [DigestedField],
    /// True when the call was made under a grant and its sinks are the granted ones, so that they were judged and recorded as sent
    /// before.
    pub granted: bool,
}

impl Session {
    /// Takes in a reported call of which some values were told by digests; `call` holds the others. As for [`Session::report_by`].
    pub fn report_digested(
        &mut self,
        call: &ReportedCall<'_>,
        digested: &Digested<'_>,
        agent: Option<&SpiffeId>,
        intent: &Intent,
        declared: &[&Ceiling],
    ) {
        // What an agent says that it sent takes nothing from anybody: it may as well say nothing.
        if call.reporter != Reporter::Agent {
            self.sent_unread |= digested.arguments.iter().any(|field| !is_known(call.spec, digested, field));
        }
        let before = self.calls.len();
        self.report_by(call, agent, intent, declared);
        // Without its call no value can be kept; the session said then that it overflowed.
        let Ok(index) = u16::try_from(before) else { return };
        if self.calls.len() == before {
            return;
        }
        let (unread, sent) = (self.sent_unread, &self.sent);
        let paths: Vec<String> = digested.result.iter().map(|field| walk::named(&field.path)).collect();
        let told = digested.result.iter().zip(&paths).map(|(field, path)| {
            // What the agent has sent since it knew it comes back as no more than that; where it stood before, it is what it was.
            let standing = call.standing(path, || sent_back(sent.knew(digests::name(&field.hmac)), unread));
            let standing = if holds_outsiders(call.spec, field, path) { standing.of_outsiders() } else { standing };
            // As for values: who is not believed names no field.
            Told { field, path: told::field(call, call.reporter.is_believed(), path), call: index, standing }
        });
        let calls = &self.calls;
        let tool_of = |call: u16| calls.get(usize::from(call)).map_or(u16::MAX, |c| c.tool);
        let room = self.leaves.digest_room(SESSION_BYTES_MAX);
        let fits = self.leaves.digests.keep(digested.key, told, &tool_of, room);
        self.overflowed |= !fits;
    }

    /// True for a value that is known by its digest and may be no more than what the agent sent: whether it was could not be told
    /// when it came. What was sent later counts too, but for what was known as ground when it was sent. `is_echo` is what
    /// [`Session::echoes`] says of the value.
    pub(in crate::intent) fn is_sent_digest(&self, leaf: &Leaf<'_>, is_echo: impl FnOnce() -> bool) -> bool {
        leaf.digest.is_some_and(|digest| !self.sent.knew(digest)) && is_echo()
    }

    /// True when a value is no more than what the agent sent.
    pub(in crate::intent) fn echoes(&self, value: &str) -> bool {
        self.sent.is_echoed_by(value)
    }

    /// What of the arguments of a call is ground by its digest now, as far as it stands there whole or as a word.
    pub(super) fn known_by_digest(&self, arguments: &Json) -> BTreeSet<u64> {
        if self.leaves.digests.is_empty() {
            return BTreeSet::new();
        }
        let mut words = BTreeSet::new();
        walk::leaves(arguments, &mut |_, text| {
            for word in std::iter::once(text).chain(spelling::tokens(text)) {
                if words.len() < WORDS_MAX {
                    words.insert(word);
                }
            }
        });
        let mut known = BTreeSet::new();
        for word in words {
            let is_echo = LazyCell::new(|| self.sent.is_echoed_by(word));
            let found = self.leaves.digests.ground(word).into_iter();
            known.extend(found.filter(|digest| self.sent.knew(*digest) || !*is_echo));
        }
        known
    }
}

/// True for what may hold what outsiders wrote, though they write no field of that path: a text that is told for more than one
/// field.
fn holds_outsiders(spec: Option<&Tool>, field: &DigestedField, path: &str) -> bool {
    let is_text = field.kind == DigestedKind::Text;
    field.kind.may_hold_prose() && spec.is_some_and(|spec| spec.outsider_fields.may_stand_below(path, is_text))
}

/// True for an argument that is known though its report tells a digest alone: a sink, of a call under a grant.
fn is_known(spec: Option<&Tool>, digested: &Digested<'_>, field: &DigestedField) -> bool {
    digested.granted && spec.is_some_and(|spec| spec.sinks.iter().any(|sink| sink.name == field.path))
}

#[cfg(test)]
mod tests;
