//! Exact decimal numbers for amounts: never floats. Two spellings of one number are equal. What is read from outside and what
//! is reckoned keep to the same limits, so that every number that is written down is read back.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::limits::NUMBER_DIGITS_MAX;

/// A decimal number: `units × 10^-scale`, in lowest form (no trailing zeros after the point).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "String")]
pub struct Decimal {
    units: i128,
    scale: u32,
}

/// A string that is no decimal number within the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseDecimalError {
    /// Something other than digits, one sign, one point and an exponent.
    #[error("not a decimal number")]
    Syntax,
    /// More digits than an amount has, once the exponent is written out.
    #[error("more than {NUMBER_DIGITS_MAX} digits")]
    TooLong,
}

impl Decimal {
    /// Nothing.
    pub const ZERO: Self = Self { units: 0, scale: 0 };

    /// True below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.units < 0
    }

    /// How many places it has behind its point.
    #[must_use]
    pub const fn places(self) -> u32 {
        self.scale
    }

    /// What stands before its point and, in units of the last of so many places, what stands behind it, without its sign.
    /// Further places are cut off.
    #[must_use]
    pub fn parts(self, places: u32) -> (u128, u128) {
        let (units, one) = (self.units.unsigned_abs(), 10_u128.pow(self.scale));
        let behind = units % one;
        let fraction = match places.checked_sub(self.scale) {
            Some(more) => behind.saturating_mul(10_u128.pow(more)),
            None => behind / 10_u128.pow(self.scale - places),
        };
        (units / one, fraction)
    }

    /// The sum; `None` when it has more than [`NUMBER_DIGITS_MAX`] digits, or places behind its point.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let units = self.at_scale(scale)?.checked_add(other.at_scale(scale)?)?;
        let sum = Self { units, scale }.lowest();
        (sum.units.unsigned_abs() < UNITS_END && sum.scale <= NUMBER_DIGITS_MAX).then_some(sum)
    }

    /// The difference; `None` as for [`Decimal::checked_add`].
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.checked_add(Self { units: other.units.checked_neg()?, scale: other.scale })
    }

    fn at_scale(self, scale: u32) -> Option<i128> {
        let factor = 10_i128.checked_pow(scale.checked_sub(self.scale)?)?;
        self.units.checked_mul(factor)
    }

    fn lowest(mut self) -> Self {
        while self.scale > 0 && self.units % 10 == 0 {
            self.units /= 10;
            self.scale -= 1;
        }
        self
    }
}

impl FromStr for Decimal {
    type Err = ParseDecimalError;

    /// Reads the number syntax of JSON (RFC 8259 §6), also with leading zeros.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        read(s, NUMBER_DIGITS_MAX)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    /// From a record. It may hold longer numbers than are taken today, and must open all the same.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        read(&text, RECORDED_DIGITS_MAX).map_err(de::Error::custom)
    }
}

fn read(s: &str, digits_max: u32) -> Result<Decimal, ParseDecimalError> {
    use ParseDecimalError::{Syntax, TooLong};
    if s.len() > 4 * NUMBER_DIGITS_MAX as usize {
        return Err(TooLong);
    }
    let (mantissa, exponent) = match s.split_once(['e', 'E']) {
        None => (s, 0),
        Some((m, e)) => (m, e.strip_prefix('+').unwrap_or(e).parse::<i32>().map_err(|_| Syntax)?),
    };
    let (negative, digits) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || digits.ends_with('.') {
        return Err(Syntax);
    }
    let text = format!("{whole}{fraction}");
    let text = text.trim_start_matches('0');
    if text.is_empty() {
        return Ok(Decimal::ZERO);
    }
    let fraction_len = i32::try_from(fraction.len()).map_err(|_| TooLong)?;
    let scale = fraction_len.checked_sub(exponent).ok_or(TooLong)?;
    if text.len() > digits_max as usize || scale.unsigned_abs() > NUMBER_DIGITS_MAX {
        return Err(TooLong);
    }
    let mut units: i128 = text.parse().map_err(|_| TooLong)?;
    if scale < 0 {
        let factor = 10_i128.checked_pow(scale.unsigned_abs()).ok_or(TooLong)?;
        units = units.checked_mul(factor).filter(|u| u.unsigned_abs() < UNITS_END).ok_or(TooLong)?;
    }
    let units = if negative { -units } else { units };
    Ok(Decimal { units, scale: u32::try_from(scale).unwrap_or(0) }.lowest())
}

/// The first number of units that has too many digits.
const UNITS_END: u128 = 10_u128.pow(NUMBER_DIGITS_MAX);
/// Most digits of a number in a record: all that 128 bits hold.
const RECORDED_DIGITS_MAX: u32 = 39;

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let scale = self.scale.max(other.scale);
        match (self.at_scale(scale), other.at_scale(scale)) {
            (Some(a), Some(b)) => a.cmp(&b),
            // INVARIANT: only a number too large to be scaled up overflows, and then its sign and size decide.
            (None, _) => self.units.cmp(&0),
            (_, None) => 0.cmp(&other.units),
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scale == 0 {
            return write!(f, "{}", self.units);
        }
        let sign = if self.units < 0 { "-" } else { "" };
        let factor = 10_u128.pow(self.scale);
        let units = self.units.unsigned_abs();
        write!(f, "{sign}{}.{:0width$}", units / factor, units % factor, width = self.scale as usize)
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Decimal> for String {
    fn from(d: Decimal) -> String {
        d.to_string()
    }
}

#[cfg(test)]
mod tests;
