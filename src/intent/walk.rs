//! The leaves of a JSON value, each with its path: member names joined by dots, arrays entered, as sinks are named. A member
//! name that is itself a value (an id, a title) stands as `*` in paths, and is a leaf of its own.

use crate::model::json::Json;

/// Longest member name that is taken for a name of the tool's own choosing.
const NAME_BYTES_MAX: usize = 40;
/// Digits from which on a member name is taken for a value.
const NAME_DIGITS_MAX: usize = 3;
/// Stands in a path for a member name that is a value.
const ANY: &str = "*";

/// Calls `each` with the path and the text of every string, number and member name, in the order of the text.
pub(super) fn leaves<'a>(json: &'a Json, each: &mut impl FnMut(&str, &'a str)) {
    walk(json, &mut String::new(), each);
}

/// The path of a value that was told without what stands around it, as [`leaves`] would name it.
pub(super) fn named(path: &str) -> String {
    let part = |name| if is_schema(name) { name } else { ANY };
    if path.is_empty() { String::new() } else { path.split('.').map(part).collect::<Vec<_>>().join(".") }
}

fn walk<'a>(json: &'a Json, path: &mut String, each: &mut impl FnMut(&str, &'a str)) {
    match json {
        // A truth value or an absence names nothing.
        Json::Null | Json::Bool(_) => {}
        Json::Number(text) | Json::String(text) => {
            if !text.is_empty() {
                each(path, text);
            }
        }
        Json::Array(items) => items.iter().for_each(|item| walk(item, path, each)),
        Json::Object(members) => {
            let len = path.len();
            for (name, value) in members {
                if !path.is_empty() {
                    path.push('.');
                }
                if is_schema(name) {
                    path.push_str(name);
                } else {
                    path.push_str(ANY);
                    each(path, name);
                }
                walk(value, path, each);
                path.truncate(len);
            }
        }
    }
}

/// True when a member name looks like the tool's own choice, and not like a value.
fn is_schema(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '$'))
        && name.bytes().filter(u8::is_ascii_digit).count() <= NAME_DIGITS_MAX
}

#[cfg(test)]
mod tests;
