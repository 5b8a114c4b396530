//! How deeply a policy nests, looked at before it is parsed: the parser, and all that walks a policy after it, recurses with it, and a
//! stack that is used up ends the process. It knows brackets, strings and comments, and nothing of the language.

/// Deepest nesting of brackets: many times what a person can follow.
const DEPTH_MAX: usize = 64;
/// Most operators of one policy: chains of them nest without brackets.
const OPERATORS_MAX: usize = 1024;
/// What makes an expression deeper by one, a bracket aside.
const OPERATORS: &[u8] = b"&|+-*!.=<>";

/// What is too deep in the text of a file, with the line where it is; nothing when all of it can be parsed.
#[must_use]
pub(in crate::policy) fn problem(text: &str) -> Option<String> {
    let (mut depth, mut operators, mut line) = (0_usize, 0_usize, 1_usize);
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'\n' => line += 1,
            b'"' => at = string_end(bytes, at, &mut line),
            b'/' if bytes.get(at) == Some(&b'/') => {
                at += bytes.iter().skip(at).position(|b| *b == b'\n').unwrap_or(bytes.len());
            }
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b';' if depth == 0 => operators = 0,
            // An `if` takes the place of a bracket.
            b'i' if bytes.get(at) == Some(&b'f') => operators += 1,
            other if OPERATORS.contains(other) => operators += 1,
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Some(format!("line {line}: brackets are nested deeper than {DEPTH_MAX}"));
        }
        if operators > OPERATORS_MAX {
            return Some(format!("line {line}: a policy has more than {OPERATORS_MAX} operators"));
        }
    }
    None
}

/// Where a string that began before `at` is over.
fn string_end(bytes: &[u8], mut at: usize, line: &mut usize) -> usize {
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'\\' => at += 1,
            b'"' => break,
            b'\n' => *line += 1,
            _ => {}
        }
    }
    at
}

#[cfg(test)]
mod tests;
