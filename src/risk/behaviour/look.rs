//! What about a step does not fit what is known of an identity. The session that asks is left out of every number: what it did
//! before is no reason to do it again.

use super::counts::Key;
use super::model::{Kind, Model, Step, Trail, hour_of, weekday_of};
use super::pace::{Window, level};
use super::{DAYS_ENOUGH, SESSIONS_ENOUGH, WEEKDAYS_AFTER_SECONDS, is_usual, rarity};
use crate::model::behaviour::{BehaviourFacts, Frequency, Unusual};
use crate::model::id::ToolName;
use crate::model::time::Timestamp;

impl Model {
    /// Looks at a step that is asked for.
    #[must_use]
    pub fn look(&self, trail: Option<&Trail>, step: &Step<'_>) -> BehaviourFacts {
        let own = trail.filter(|trail| self.counts(trail));
        let (all, days) = self.extent();
        let sessions = all.saturating_sub(u32::from(own.is_some()));
        let enough = sessions >= SESSIONS_ENOUGH && days >= DAYS_ENOUGH;
        let mut look = Look { model: self, own, sessions, unusual: Vec::new() };
        if enough {
            look.at_tools(trail.and_then(|trail| trail.last.as_ref()), step.tools);
            look.at_audience(Key::audience(step.audience));
            look.at_resources(step.resources);
            look.at_time(step.at);
            look.at_pace(step.at);
        }
        BehaviourFacts { sessions, days, enough, unusual: look.unusual }
    }
}

struct Look<'a> {
    model: &'a Model,
    /// The session that asks, when it is among those that are counted.
    own: Option<&'a Trail>,
    /// The others.
    sessions: u32,
    unusual: Vec<Unusual>,
}

impl Look<'_> {
    fn at_tools(&mut self, last: Option<&ToolName>, tools: &[&ToolName]) {
        let mut before = last;
        for tool in tools.iter().copied() {
            // A tool that is unusual by itself is so after whatever else.
            match self.rare(Kind::Tool, Key::tool(tool), self.sessions) {
                Some(seen) => self.add(Unusual::Tool { tool: tool.clone(), seen }),
                None => self.at_pair(before, tool),
            }
            before = Some(tool);
        }
    }

    fn at_pair(&mut self, after: Option<&ToolName>, tool: &ToolName) {
        let of = after.map_or(self.sessions, |after| self.others(Kind::Tool, Key::tool(after)).0);
        if let Some(seen) = self.rare(Kind::Pair, Key::pair(after, tool), of) {
            self.add(Unusual::Sequence { after: after.cloned(), tool: tool.clone(), seen });
        }
    }

    fn at_audience(&mut self, key: Key) {
        if let Some(seen) = self.rare(Kind::Audience, key, self.sessions) {
            self.add(Unusual::Audience { seen });
        }
    }

    fn at_resources(&mut self, digests: &[u64]) {
        // To whoever has something new often, new things are usual.
        if is_usual(self.others(Kind::Resource, Key::fresh()).1, self.sessions) {
            return;
        }
        let mut number = 0_u32;
        let mut rarest: Option<Frequency> = None;
        for digest in digests {
            if let Some(seen) = self.rare(Kind::Resource, Key::resource(*digest), self.sessions) {
                number = number.saturating_add(1);
                rarest = rarest.filter(|known| known.times <= seen.times).or(Some(seen));
            }
        }
        if let Some(seen) = rarest {
            self.add(Unusual::Resource { number, seen });
        }
    }

    fn at_time(&mut self, at: Timestamp) {
        let (hour, weekday) = (hour_of(at), weekday_of(at));
        let of = |counts: fn(&super::model::Span) -> &[u32], place: u8| {
            let [now, before] = [&self.model.now, &self.model.before]
                .map(|span| counts(span).get(usize::from(place)).copied().unwrap_or_default());
            now.saturating_add(before)
        };
        let hours = of(|span| &span.hours, hour).saturating_sub(self.own.is_some_and(|t| t.was_at_work(hour)).into());
        let on_it = self.own.is_some_and(|t| t.was_at_work_on(weekday));
        let weekdays = of(|span| &span.weekdays, weekday).saturating_sub(on_it.into());
        if let Some(seen) = rare(hours, self.sessions) {
            self.add(Unusual::Hour { hour, seen });
        }
        let known_s = at.since(self.model.since()).as_secs();
        if let Some(seen) = rare(weekdays, self.sessions).filter(|_| known_s >= WEEKDAYS_AFTER_SECONDS) {
            self.add(Unusual::Weekday { weekday, seen });
        }
    }

    fn at_pace(&mut self, at: Timestamp) {
        for window in Window::ALL {
            let grants = self.model.with_one_more(window, at);
            if grants < window.unremarkable() {
                continue;
            }
            let (reached, known) = (level(grants), self.model.levels(window));
            if let Some(seen) = rare(known.at_least(reached), known.total()) {
                self.add(Unusual::Rate { window_s: window.seconds(), grants, as_many: 1 << reached, seen });
            }
        }
    }

    /// How often it was seen in other sessions, when that is rare among so many.
    fn rare(&self, kind: Kind, key: Key, of: u32) -> Option<Frequency> {
        let (least, most) = self.others(kind, key);
        rarity(most, of).map(|_| Frequency { times: most, of, at_most: least < most })
    }

    /// In how many other sessions it was seen: at least and at most.
    fn others(&self, kind: Kind, key: Key) -> (u32, u32) {
        let bounds = self.model.seen(kind, key);
        let own = u32::from(self.own.is_some_and(|trail| trail.has_taught(key)));
        (bounds.least.saturating_sub(own), bounds.most.saturating_sub(own))
    }

    fn add(&mut self, unusual: Unusual) {
        if !self.unusual.contains(&unusual) {
            self.unusual.push(unusual);
        }
    }
}

fn rare(times: u32, of: u32) -> Option<Frequency> {
    rarity(times, of).map(|_| Frequency { times, of, at_most: false })
}
