//! The canonical form of a definition, and its digest: JSON by RFC 8785 (JCS), so that any language has a library for it. What a
//! server adds to each answer (`_meta`) is left out, everything else that a model could be shown is in.

use std::fmt::Write as _;

use aws_lc_rs::digest::{self, SHA256};

use crate::model::json::Json;

/// Digest of a tool's definition, hexadecimal.
///
/// # Errors
/// When it holds a number that JCS has no form for.
pub(super) fn digest(tool: &Json) -> Result<String, String> {
    let definition = match tool {
        Json::Object(members) => Json::Object(members.iter().filter(|(name, _)| name != "_meta").cloned().collect()),
        other => other.clone(),
    };
    let digest = digest::digest(&SHA256, text(&definition)?.as_bytes());
    Ok(digest.as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _infallible = write!(hex, "{byte:02x}");
        hex
    }))
}

/// The canonical text.
///
/// # Errors
/// When it holds a number that JCS has no form for.
pub(super) fn text(json: &Json) -> Result<String, String> {
    let mut out = String::new();
    write(json, &mut out)?;
    Ok(out)
}

fn write(json: &Json, out: &mut String) -> Result<(), String> {
    match json {
        Json::Number(spelled) => out.push_str(&number(spelled)?),
        Json::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                write(item, out)?;
            }
            out.push(']');
        }
        Json::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            // §3.2.3: by UTF-16 code units.
            members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push('{');
            for (at, (name, value)) in members.into_iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                out.push_str(&Json::String(name.clone()).to_text());
                out.push(':');
                write(value, out)?;
            }
            out.push('}');
        }
        // §3.2.2.2: what has to be escaped, and nothing else, as it stands everywhere here.
        plain => out.push_str(&plain.to_text()),
    }
    Ok(())
}

/// §3.2.2.3: as ECMAScript writes a double.
fn number(spelled: &str) -> Result<String, String> {
    let value: f64 = spelled.parse().map_err(|_| format!("`{spelled}` is no number"))?;
    if !value.is_finite() {
        return Err(format!("the number `{spelled}` is too large"));
    }
    if value == 0.0 {
        return Ok("0".to_owned());
    }
    // The shortest digits that read back as the same double: `-1.25e-7`.
    let shortest = format!("{value:e}");
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().map_err(|_| format!("`{spelled}` is no number"))?;
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    let count = i32::try_from(digits.len()).map_err(|_| format!("`{spelled}` is too long"))?;
    // Where the point stands, counted from the first digit.
    let point = exponent + 1;
    let zeros = |n: i32| "0".repeat(usize::try_from(n).unwrap_or(0));
    let split = |at: i32| digits.split_at(usize::try_from(at).unwrap_or(0));
    let text = match point {
        _ if (count..=21).contains(&point) => format!("{digits}{}", zeros(point - count)),
        1..=21 => {
            let (whole, rest) = split(point);
            format!("{whole}.{rest}")
        }
        -5..=0 => format!("0.{}{digits}", zeros(-point)),
        _ => {
            let (first, rest) = split(1);
            let rest = if rest.is_empty() { String::new() } else { format!(".{rest}") };
            format!("{first}{rest}e{exponent:+}")
        }
    };
    Ok(format!("{sign}{text}"))
}

#[cfg(test)]
mod tests;
