//! Which tools touch sensitive classes of data, from the words of their names.

use crate::intent::words::singular;

/// Nouns by which a tool's name speaks of a class.
const CLASSES: &[(&str, &str)] = &[
    (
        "financial",
        "bank account payment card payee holding portfolio transaction balance invoice salary payroll tax loan investment \
         wallet fund",
    ),
    ("health", "patient health medical clinical diagnosis prescription medication therapy treatment"),
    ("credentials", "password credential secret token apikey otp passcode"),
    ("pii", "passport ssn identity personal profile biometric"),
    ("activity", "history log surveillance tracking"),
];

/// A person and what is known of them, together, are personal data as well.
const PERSONS: &str = "user customer employee guest person member client contact student resident tenant";
const KNOWN: &str = "detail information info address data record phone email birthday";

/// The names of all classes.
pub fn names() -> impl Iterator<Item = &'static str> {
    CLASSES.iter().map(|(class, _)| *class)
}

/// The classes that a tool's name speaks of.
#[must_use]
pub fn of(name: &[String]) -> Vec<&'static str> {
    let words: Vec<&str> = name.iter().map(|w| singular(w)).collect();
    let speaks_of = |list: &str| words.iter().any(|w| list.split(' ').any(|l| l == *w));
    let of_person = speaks_of(PERSONS) && speaks_of(KNOWN);
    let named = |(class, list): &(&'static str, &'static str)| {
        (speaks_of(list) || *class == "pii" && of_person).then_some(*class)
    };
    CLASSES.iter().filter_map(named).collect()
}
