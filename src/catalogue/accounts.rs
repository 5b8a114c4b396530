//! Sets of accounts that ceilings name: who is in one is looked up, never copied.

use std::collections::BTreeMap;

use super::Problems;
use crate::model::limits::{ACCOUNT_SETS_MAX, CEILING_VALUES_MAX, SINK_VALUE_BYTES_MAX};
use crate::model::pattern::AccountSet;
use crate::model::sink::{SinkKind, SinkSpec};

/// Every set of a catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct AccountSets(BTreeMap<AccountSet, Accounts>);

/// The accounts of one set, in order: as they stand, and as addresses are compared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Accounts {
    plain: Vec<String>,
    addresses: Vec<String>,
}

impl AccountSets {
    /// Those of a file, with every problem of them.
    pub(super) fn of(file: BTreeMap<String, Vec<String>>, problems: &mut Problems) -> Self {
        let many = file.len() > ACCOUNT_SETS_MAX;
        problems.check("", !many, format!("more than {ACCOUNT_SETS_MAX} account sets"));
        let mut sets = BTreeMap::new();
        for (name, accounts) in file {
            let many = accounts.len() > CEILING_VALUES_MAX;
            problems.check(&name, !many, format!("more than {CEILING_VALUES_MAX} accounts in one set"));
            let is_account = |text: &String| {
                (1..=SINK_VALUE_BYTES_MAX).contains(&text.len())
                    && text.trim() == text
                    && !text.contains('*')
                    && !text.chars().any(char::is_control)
            };
            for account in accounts.iter().filter(|account| !is_account(account)) {
                problems.add(&name, format!("`{}` is no account as it stands in a call", account.escape_debug()));
            }
            if let Some(parsed) = problems.parse(&name, "account set", &name) {
                sets.insert(parsed, Accounts::of(accounts));
            }
        }
        Self(sets)
    }

    /// How many accounts a set has; `None` when there is no such set.
    pub(super) fn len_of(&self, set: &AccountSet) -> Option<usize> {
        self.0.get(set).map(|accounts| accounts.plain.len())
    }

    /// True when a set has that account, as values of the kind are compared.
    pub(super) fn has(&self, set: &AccountSet, kind: SinkKind, value: &str) -> bool {
        self.0.get(set).is_some_and(|accounts| accounts.has(kind, value))
    }

    /// The sets that have it.
    pub(super) fn with<'a>(&'a self, kind: SinkKind, value: &'a str) -> impl Iterator<Item = &'a AccountSet> + 'a {
        self.0.iter().filter(move |(_, accounts)| accounts.has(kind, value)).map(|(set, _)| set)
    }
}

impl Accounts {
    fn of(mut plain: Vec<String>) -> Self {
        let mut addresses: Vec<String> = plain.iter().map(|account| as_address(account)).collect();
        for list in [&mut plain, &mut addresses] {
            list.sort_unstable();
            list.dedup();
        }
        Self { plain, addresses }
    }

    fn has(&self, kind: SinkKind, value: &str) -> bool {
        let is_in = |list: &[String], value: &str| list.binary_search_by(|own| own.as_str().cmp(value)).is_ok();
        match kind {
            SinkKind::Address => is_in(&self.addresses, &as_address(value)),
            _ => is_in(&self.plain, value),
        }
    }
}

fn as_address(text: &str) -> String {
    let address = SinkSpec { name: String::new(), kind: SinkKind::Address };
    // What is too long is in no set.
    address.canonical_text(text).unwrap_or_default()
}
