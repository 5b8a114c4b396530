//! The ids of framework items that a policy's `@controls` may name, as data: OWASP Top 10 for Agentic Applications
//! 2026, OWASP NHI Top 10 2025, NIST CSF 2.0, NIST AI RMF 1.0, CSA MAESTRO.

/// True when a framework has an item of that id, and a broker's policy can be evidence for it.
#[must_use]
pub fn is_known(id: &str) -> bool {
    SINGLE.contains(&id) || rmf(id)
}

/// Why an id may not be named, when it is an item of a framework all the same.
#[must_use]
pub fn not_claimable(id: &str) -> bool {
    NOT_CLAIMABLE.contains(&id)
}

fn rmf(id: &str) -> bool {
    let Some((function, number)) = id.split_once(' ') else { return false };
    let Some((category, item)) = number.split_once('.') else { return false };
    RMF.iter().any(|(f, c, items)| {
        *f == function
            && *c == category
            && item.parse::<u8>().is_ok_and(|i| i >= 1 && i <= *items && i.to_string() == item)
    })
}

/// Items where a broker has no control to show: naming them would flatter a report.
const NOT_CLAIMABLE: &[&str] = &["ASI04", "ASI05", "ASI06", "NHI3", "NHI6"];

const SINGLE: &[&str] = &[
    "ASI01", "ASI02", "ASI03", "ASI07", "ASI08", "ASI09", "ASI10", // OWASP agentic
    "NHI1", "NHI2", "NHI4", "NHI5", "NHI7", "NHI8", "NHI9", "NHI10", // OWASP non-human identities
    "PR.AA-01", "PR.AA-02", "PR.AA-03", "PR.AA-04", "PR.AA-05", "PR.AA-06", "PR.PS-04", // NIST CSF
    "DE.CM-01", "DE.CM-02", "DE.CM-03", "DE.CM-06", "DE.CM-09", // NIST CSF
    "DE.AE-02", "DE.AE-03", "DE.AE-04", "DE.AE-06", "DE.AE-07", "DE.AE-08", // NIST CSF
    "RS.MA-01", "RS.MA-02", "RS.MA-03", "RS.MA-04", "RS.MA-05", "RS.AN-03", "RS.AN-06", "RS.AN-07",
    "RS.AN-08", // NIST CSF
    "RS.CO-02", "RS.CO-03", "RS.MI-01", "RS.MI-02", // NIST CSF
    "L1", "L2", "L3", "L4", "L5", "L6", "L7", // CSA MAESTRO layers
];

/// NIST AI RMF: function, category, number of its subcategories.
const RMF: &[(&str, &str, u8)] = &[
    ("GOVERN", "1", 7),
    ("GOVERN", "2", 3),
    ("GOVERN", "3", 2),
    ("GOVERN", "4", 3),
    ("GOVERN", "5", 2),
    ("GOVERN", "6", 2),
    ("MAP", "1", 6),
    ("MAP", "2", 3),
    ("MAP", "3", 5),
    ("MAP", "4", 2),
    ("MAP", "5", 2),
    ("MEASURE", "1", 3),
    ("MEASURE", "2", 13),
    ("MEASURE", "3", 3),
    ("MEASURE", "4", 3),
    ("MANAGE", "1", 4),
    ("MANAGE", "2", 4),
    ("MANAGE", "3", 2),
    ("MANAGE", "4", 3),
];
