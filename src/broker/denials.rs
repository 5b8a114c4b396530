//! What people denied, as it is known again in whichever task: by what was asked for, however it is spelled and whatever else is asked
//! for with it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::broker::approvals::Covers;
use crate::model::approval::ApprovalFacts;
use crate::model::decimal::Decimal;
use crate::model::id::TaskId;
use crate::model::time::Timestamp;

/// What somebody asks for, thing by thing. Digests under a key of the broker, so that values say nothing to who reads the state; what
/// amounts come to is kept as it is, because it is compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::broker) struct Shape {
    /// Who asks, and where; or all that there is to know it by.
    key: Covers,
    /// Each thing that is asked for.
    parts: BTreeSet<Covers>,
    /// What each sink that is an amount comes to, without its sign.
    amounts: Vec<(Covers, Decimal)>,
}

impl Shape {
    /// What is known again by one digest, or not at all.
    pub(in crate::broker) const fn exact(key: Covers) -> Self {
        Self { key, parts: BTreeSet::new(), amounts: Vec::new() }
    }

    /// Adds a thing that is asked for.
    pub(in crate::broker) fn add(&mut self, part: Covers) {
        self.parts.insert(part);
    }

    /// Adds to what a sink comes to.
    pub(in crate::broker) fn add_amount(&mut self, sink: Covers, amount: Decimal) {
        let size = if amount.is_negative() { Decimal::ZERO.checked_sub(amount).unwrap_or(amount) } else { amount };
        match self.amounts.iter_mut().find(|(known, _)| *known == sink) {
            // More than can be added up is not less than it was.
            Some((_, sum)) => *sum = sum.checked_add(size).unwrap_or(size.max(*sum)),
            None => self.amounts.push((sink, size)),
        }
    }

    /// True when `asked` is this, or this and more: a denial is not got round by asking for something beside it, or for a larger amount.
    fn is_within(&self, asked: &Self) -> bool {
        let reaches = |(sink, least): &(Covers, Decimal)| {
            asked.amounts.iter().any(|(own, amount)| own == sink && amount >= least)
        };
        self.key == asked.key && self.parts.is_subset(&asked.parts) && self.amounts.iter().all(reaches)
    }
}

/// A shape as events hold it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(in crate::broker) enum RecordedShape {
    /// Of amendments, of single values and of parts: one digest of all. So are the denials of credentials in older records, which nothing
    /// that is asked now comes to: what was denied then is asked anew.
    Exact(Covers),
    /// Thing by thing.
    Parts(Shape),
}

impl From<RecordedShape> for Shape {
    fn from(recorded: RecordedShape) -> Self {
        match recorded {
            RecordedShape::Exact(key) => Self::exact(key),
            RecordedShape::Parts(shape) => shape,
        }
    }
}

impl From<Shape> for RecordedShape {
    fn from(shape: Shape) -> Self {
        if shape.parts.is_empty() && shape.amounts.is_empty() { Self::Exact(shape.key) } else { Self::Parts(shape) }
    }
}

/// A denial that stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::broker) struct Denial {
    /// The family that it was denied to, under whose key a snapshot seals it.
    pub(in crate::broker) root: TaskId,
    pub(in crate::broker) shape: Shape,
    pub(in crate::broker) at: Timestamp,
    pub(in crate::broker) facts: ApprovalFacts,
    /// What scorers said of what was denied: source and points.
    pub(in crate::broker) scores: Vec<(String, u32)>,
}

/// All that are remembered.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::broker) struct Denials {
    by_key: BTreeMap<Covers, Vec<Denial>>,
}

impl Denials {
    /// True when some denial is remembered.
    pub(in crate::broker) fn any(&self) -> bool {
        !self.by_key.is_empty()
    }

    /// Those that stand, and are within one of these.
    pub(in crate::broker) fn within<'a>(&'a self, asked: &[Shape], now: Timestamp) -> impl Iterator<Item = &'a Denial> {
        asked.iter().flat_map(move |shape| {
            let known = self.by_key.get(&shape.key).into_iter().flatten();
            known.filter(move |denial| now < denial.facts.until && denial.shape.is_within(shape))
        })
    }

    /// What was said last of what is within one of these, as long as it stands.
    pub(in crate::broker) fn last(&self, asked: &[Shape], now: Timestamp) -> Option<&Denial> {
        self.within(asked, now).max_by_key(|denial| (denial.at, denial.root))
    }

    /// Remembers one, in the place of an earlier one of the same family: what another family was denied stays when this one is erased.
    /// They stand in the order in which they were denied, whichever is read first.
    pub(in crate::broker) fn remember(&mut self, denial: Denial) {
        let known = self.by_key.entry(denial.shape.key).or_default();
        known.retain(|earlier| (earlier.root, &earlier.shape) != (denial.root, &denial.shape));
        let place = known.partition_point(|earlier| (earlier.at, earlier.root) <= (denial.at, denial.root));
        known.insert(place, denial);
    }

    /// Lets go of those that stand no longer.
    pub(in crate::broker) fn forget(&mut self, now: Timestamp) {
        self.by_key.retain(|_, known| {
            known.retain(|denial| now < denial.facts.until);
            !known.is_empty()
        });
    }

    /// All that are remembered.
    pub(in crate::broker) fn all(&self) -> impl Iterator<Item = &Denial> {
        self.by_key.values().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::limits::NUMBER_DIGITS_MAX;

    fn shape(parts: &[u8], amounts: &[(u8, &str)]) -> Shape {
        let mut shape = Shape::exact([0; 32]);
        parts.iter().for_each(|part| shape.add([*part; 32]));
        amounts.iter().for_each(|(sink, amount)| shape.add_amount([*sink; 32], amount.parse().unwrap()));
        shape
    }

    #[test]
    fn what_was_denied_is_within_what_asks_for_it_and_more() {
        let denied = shape(&[1, 2], &[(9, "100")]);
        for (asked, within) in [
            (shape(&[1, 2], &[(9, "100")]), true),
            (shape(&[1, 2, 3], &[(9, "100.00"), (8, "1")]), true),
            (shape(&[1, 2], &[(9, "100.01")]), true),
            (shape(&[1, 2], &[(9, "60"), (9, "-40")]), true),
            (shape(&[1, 2], &[(9, "99.99")]), false),
            (shape(&[1, 2], &[(8, "100")]), false),
            (shape(&[1], &[(9, "100")]), false),
            (Shape::exact([1; 32]), false),
        ] {
            assert_eq!(denied.is_within(&asked), within, "{asked:?}");
        }
    }

    #[test]
    fn amounts_that_cannot_be_added_up_are_no_less_than_the_largest() {
        let most = "9".repeat(NUMBER_DIGITS_MAX as usize);
        let denied = shape(&[1], &[(9, &most)]);
        for amounts in [[(9, "1"), (9, &*most)], [(9, &*most), (9, "1")]] {
            assert!(denied.is_within(&shape(&[1], &amounts)), "{amounts:?}");
        }
    }

    #[test]
    fn shapes_of_older_records_are_read() {
        let old = serde_json::to_vec(&vec![[7_u8; 32]]).unwrap();
        let read: Vec<RecordedShape> = serde_json::from_slice(&old).unwrap();
        assert_eq!(read.into_iter().map(Shape::from).collect::<Vec<_>>(), [Shape::exact([7; 32])]);
        let own = shape(&[1, 2], &[(9, "12.5")]);
        let written = serde_json::to_vec(&RecordedShape::from(own.clone())).unwrap();
        assert_eq!(Shape::from(serde_json::from_slice::<RecordedShape>(&written).unwrap()), own);
    }
}
