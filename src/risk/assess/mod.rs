//! From signals to a score with what it is made of. More signals, or more points, never lower a score.

use std::collections::BTreeMap;

use super::derive;
use super::table::RiskTable;
use crate::catalogue::tool::Catalogue;
use crate::model::facts::Facts;
use crate::model::id::SignalName;
use crate::model::identity::IdentityClass;
use crate::model::risk::{Assessment, Contribution, Score};

/// The source of signals that Carnet derives itself.
pub const OWN_SOURCE: &str = "carnet";

impl RiskTable {
    /// The score of these facts, its band for the class of the principal, and what each signal added.
    ///
    /// A signal of one name and source counts once, at its highest, up to the cap of its name; names that the table does not
    /// list count up to the cap of `unlisted`. Contributions come highest first, then by name and source.
    #[must_use]
    pub fn assess(&self, catalogue: &Catalogue, facts: &Facts) -> Assessment {
        let mut highest: BTreeMap<(SignalName, String), Contribution> = BTreeMap::new();
        let derived = derive::derive(catalogue, facts).into_iter().filter_map(|d| {
            let (name, weight) = self.listed(d.name)?;
            Some((name.clone(), OWN_SOURCE.to_owned(), weight.points.saturating_mul(d.units), d.explanation))
        });
        let reported = facts.signals.iter().map(|s| {
            let words = if s.explanation.is_empty() { &self.weight(&s.name).explanation } else { &s.explanation };
            (s.name.clone(), s.source.clone(), s.points, words.clone())
        });
        for (signal, source, points, explanation) in derived.chain(reported) {
            let counted = points.min(self.weight(&signal).cap);
            let of = Contribution { signal: signal.clone(), source: source.clone(), points, counted, explanation };
            match highest.entry((signal, source)) {
                std::collections::btree_map::Entry::Vacant(e) => drop(e.insert(of)),
                std::collections::btree_map::Entry::Occupied(mut e) if of.points > e.get().points => {
                    e.insert(of);
                }
                std::collections::btree_map::Entry::Occupied(_) => {}
            }
        }
        let mut contributions: Vec<Contribution> = highest.into_values().collect();
        // A stable sort: equals stay in the order of their names and sources.
        contributions.sort_by_key(|c| std::cmp::Reverse(c.counted));
        let sum = contributions.iter().fold(0_u32, |sum, c| sum.saturating_add(c.counted));
        let score = Score::from_points(sum);
        // Where a person decides to go ahead, the bands are those of people, whoever it is for.
        let class = if facts.opening.is_some() { IdentityClass::Human } else { facts.principal.class };
        Assessment { score, band: self.band(class, score), contributions }
    }
}

#[cfg(test)]
mod tests;
