//! A bundle without some of its policies, to see what each of them contributes. For trying out, never for a broker.

use std::path::Path;

use super::bundle::BundleFiles;
use super::error::{BundleError, Problem};
use super::rules::parse;
use crate::model::id::PolicyId;

/// The files without the policies of these ids.
///
/// # Errors
/// When a policy of that id is in none of them, or a file with policies does not parse.
pub fn without(files: &BundleFiles, ids: &[PolicyId]) -> Result<BundleFiles, BundleError> {
    let (mut left_out, mut problems) = (vec![false; ids.len()], Vec::new());
    let mut kept = Vec::new();
    for (path, content) in files.iter() {
        if Path::new(path).extension().is_none_or(|extension| extension != "cedar") {
            kept.push((path.to_owned(), content.to_vec()));
            continue;
        }
        match lessened(path, content, ids, &mut left_out) {
            Ok(text) => kept.push((path.to_owned(), text)),
            Err(found) => problems.extend(found),
        }
    }
    for (id, found) in ids.iter().zip(left_out) {
        if !found {
            problems.push(Problem::new("", format!("there is no policy `{id}`")));
        }
    }
    if problems.is_empty() { BundleFiles::new(kept) } else { Err(BundleError::Invalid(problems)) }
}

fn lessened(path: &str, content: &[u8], ids: &[PolicyId], left_out: &mut [bool]) -> Result<Vec<u8>, Vec<Problem>> {
    let text = std::str::from_utf8(content).map_err(|_| vec![Problem::new(path, "not UTF-8")])?;
    let set = parse(path, text)?;
    let (mut rest, mut all) = (Vec::new(), true);
    for policy in set.policies() {
        let named = ids.iter().zip(&mut *left_out).find(|(id, _)| policy.annotation("id") == Some(id.as_str()));
        match named {
            Some((_, found)) => (*found, all) = (true, false),
            None => rest.push(policy.to_string()),
        }
    }
    Ok(if all { content.to_vec() } else { rest.join("\n").into_bytes() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;

    fn files() -> BundleFiles {
        let policies =
            "@id(\"one\")\npermit (principal, action, resource);\n@id(\"two\")\nforbid (principal, action, resource);";
        let files = [("a.cedar", policies), ("catalogue.toml", "@id(\"one\")")];
        BundleFiles::new(files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))).unwrap()
    }

    #[test]
    fn the_others_stay_as_they_are() {
        let less = without(&files(), &["one".parse().unwrap()]).unwrap();
        let texts: Vec<_> = less.iter().map(|(_, content)| std::str::from_utf8(content).unwrap()).collect();
        assert!(!texts[0].contains("permit") && texts[0].contains("@id(\"two\")"), "{}", texts[0]);
        assert_eq!(texts[1], "@id(\"one\")", "policies stand in `.cedar` alone");
        assert_eq!(without(&files(), &[]).unwrap(), files());
    }

    #[test]
    fn a_policy_that_is_not_there_is_no_policy_less() {
        let refused = without(&files(), &["one".parse().unwrap(), "three".parse().unwrap()]).unwrap_err();
        assert!(refused.to_string().contains("`three`"), "{refused}");
    }
}
