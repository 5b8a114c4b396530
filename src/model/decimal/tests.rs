//! Spellings, order and limits of decimals.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use proptest::prelude::*;

use super::*;

fn d(s: &str) -> Decimal {
    s.parse().unwrap()
}

#[test]
fn spellings_of_one_number_are_equal() {
    for s in ["10.5", "10.50", "1.05e1", "105e-1", "0010.500"] {
        assert_eq!(d(s), d("10.5"), "{s}");
        assert_eq!(d(s).to_string(), "10.5");
    }
    assert_eq!(d("-0.0"), Decimal::ZERO);
    assert_eq!(d("1e3").to_string(), "1000");
    assert_eq!(d("-0.05").to_string(), "-0.05");
}

#[test]
fn what_is_no_decimal_is_refused() {
    for s in ["", "-", ".", "1.", ".5", "+1", "1e", "1e1.5", "0x1", "1 ", "NaN", "inf", "1,5", "--1", "١"] {
        assert!(s.parse::<Decimal>().is_err(), "{s:?}");
    }
    for s in ["1e400", "1e-400", &"9".repeat(31), "1e30", "1e2147483647", "0.1e-2147483648"] {
        assert_eq!(s.parse::<Decimal>(), Err(ParseDecimalError::TooLong), "{s}");
    }
}

#[test]
fn a_record_with_a_longer_number_than_is_taken_today_opens() {
    for written in ["20.000000000000000000000000000001", "-99999999.999999999999999999999999999999"] {
        let json = format!("\"{written}\"");
        let opened: Decimal = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&opened).unwrap(), json);
        assert_eq!(written.parse::<Decimal>(), Err(ParseDecimalError::TooLong), "from outside it is refused");
        assert_eq!(opened.checked_add(Decimal::ZERO), None, "and nothing is made of it");
        assert_eq!(opened.cmp(&d("0")), if opened.is_negative() { Ordering::Less } else { Ordering::Greater });
    }
    assert!(serde_json::from_str::<Decimal>(&format!("\"{}\"", "9".repeat(40))).is_err());
}

/// Numbers of every length and with every number of places.
fn any_decimal() -> impl Strategy<Value = Decimal> {
    ("-?[0-9]{1,30}", 0..=30_i32).prop_map(|(digits, places)| d(&format!("{digits}e-{places}")))
}

proptest! {
    #[test]
    fn whatever_is_reckoned_reads_back(numbers in proptest::collection::vec(any_decimal(), 1..5)) {
        let mut sum = Decimal::ZERO;
        for n in numbers {
            for made in [sum.checked_add(n), sum.checked_sub(n), n.checked_sub(sum)].into_iter().flatten() {
                let written = made.to_string();
                prop_assert_eq!(written.parse(), Ok(made), "{}", written);
                let json = serde_json::to_string(&made).unwrap();
                prop_assert_eq!(serde_json::from_str::<Decimal>(&json).unwrap(), made);
                sum = made;
            }
        }
    }

    #[test]
    fn sums_and_order_agree_with_integers(a in -1_000_000_i64..1_000_000, b in -1_000_000_i64..1_000_000) {
        let cents = |v: i64| d(&format!("{v}e-2"));
        prop_assert_eq!(cents(a).checked_add(cents(b)).unwrap(), cents(a + b));
        prop_assert_eq!(cents(a).checked_sub(cents(b)).unwrap(), cents(a - b));
        prop_assert_eq!(cents(a).cmp(&cents(b)), a.cmp(&b));
        prop_assert_eq!(d(&cents(a).to_string()), cents(a));
    }

    #[test]
    fn parsing_never_panics(s in "[-+0-9.eE]{0,40}") {
        let _ = s.parse::<Decimal>();
    }
}
