//! Which members of the context the policies of a bundle read. Most bundles read a third of what could be said; to say the rest
//! would cost more than to evaluate the policies.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::expression::{conditions, operation, parts};

/// The members of the context that some policy may read.
#[derive(Debug, Default)]
pub(in crate::policy) struct Reads {
    /// A policy reads the context as a whole, or in a way that is not understood.
    whole: bool,
    members: BTreeMap<String, Extent>,
}

/// How much of a member is read.
#[derive(Debug, PartialEq, Eq)]
enum Extent {
    /// As it is, whatever it holds.
    Whole,
    /// These members of a record.
    Inner(BTreeSet<String>),
}

impl Reads {
    /// What these policies read, in Cedar's JSON form. A policy that has none could read everything.
    pub(in crate::policy) fn of<'a>(policies: impl IntoIterator<Item = Option<&'a Value>>) -> Self {
        let mut reads = Self::default();
        for policy in policies {
            match policy.filter(|p| p.get("conditions").is_some_and(Value::is_array)) {
                Some(policy) => conditions(policy).for_each(|(_, body)| reads.visit(body)),
                None => reads.whole = true,
            }
        }
        reads
    }

    /// Some policy may read this member, or what it holds.
    pub(in crate::policy) fn member(&self, name: &str) -> bool {
        self.whole || self.members.contains_key(name)
    }

    /// Some policy may read this member of a record.
    pub(in crate::policy) fn inner(&self, record: &str, name: &str) -> bool {
        self.whole
            || match self.members.get(record) {
                Some(Extent::Whole) => true,
                Some(Extent::Inner(names)) => names.contains(name),
                None => false,
            }
    }

    #[cfg(test)]
    pub(in crate::policy) fn everything() -> Self {
        Self { whole: true, ..Self::default() }
    }

    fn visit(&mut self, expr: &Value) {
        match path(expr).as_deref() {
            Some([]) => self.whole = true,
            Some([member]) => drop(self.members.insert((*member).to_owned(), Extent::Whole)),
            Some([record, member, ..]) => {
                let extent = self.members.entry((*record).to_owned()).or_insert(Extent::Inner(BTreeSet::new()));
                if let Extent::Inner(names) = extent {
                    names.insert((*member).to_owned());
                }
            }
            None => match parts(expr) {
                Some(parts) => parts.into_iter().for_each(|part| self.visit(part)),
                None => self.whole = true,
            },
        }
    }
}

/// The names that lead from the context to what the expression reads; `None` when it reads something else, or more than that.
fn path(expr: &Value) -> Option<Vec<&str>> {
    match operation(expr)? {
        ("Var", Value::String(name)) if name == "context" => Some(Vec::new()),
        ("." | "has", operands) => {
            let mut names = path(operands.get("left")?)?;
            match operands.get("attr")? {
                Value::String(name) => names.push(name),
                Value::Array(several) => names.extend(several.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?),
                _ => return None,
            }
            Some(names)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
