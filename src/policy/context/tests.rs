//! Amounts in Cedar's decimals, and contexts that conform to the schema.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use super::*;

fn amount(value: &str) -> SinkFacts {
    SinkFacts {
        name: "amount".to_owned(),
        kind: SinkKind::Amount,
        value: value.to_owned(),
        provenance: Provenance::Intent,
        evidence: None,
        beside_intent: false,
    }
}

#[test]
fn what_a_call_moves_is_never_understated() {
    let rows: [(&[&str], &str); 11] = [
        (&[], "0.0000"),
        (&["1", "250.5", "3"], "254.5000"),
        (&["9000", "9000"], "18000.0000"),
        (&["9000", "-9000"], "18000.0000"),
        (&["-900"], "900.0000"),
        (&["0.00001"], "0.0001"),
        (&["12.34567"], "12.3457"),
        (&["0.99991"], "1.0000"),
        (&["922337203685477.5807"], "922337203685477.5807"),
        (&["1000000000000000000"], "922337203685477.5807"),
        (&["no amount"], "922337203685477.5807"),
    ];
    for (values, expected) in rows {
        let sinks: Vec<_> = values.iter().map(|v| amount(v)).collect();
        assert_eq!(written(amount_max(&sinks)), expected, "{values:?}");
        assert!(decimal(amount_max(&sinks)).is_some(), "{values:?}");
    }
}
