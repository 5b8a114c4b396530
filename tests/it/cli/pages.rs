//! What the pages for readers name is there: commands, files and folders.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::ends;

/// The pages, with their text.
fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = [root.join("README.md"), root.join("ARCHITECTURE.md")].into_iter().chain(docs);
    pages
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            (path, text)
        })
        .collect()
}

#[test]
fn every_command_that_a_page_names_exists() {
    let mut commands = BTreeSet::new();
    for (_, text) in pages() {
        // What stands between backticks.
        for code in text.split('`').skip(1).step_by(2).flat_map(str::lines) {
            let Some(words) = code.strip_prefix("carnet ") else { continue };
            let is_word =
                |word: &&str| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') && !word.starts_with('-');
            commands.insert(words.split_whitespace().take_while(is_word).collect::<Vec<_>>().join(" "));
        }
    }
    assert!(commands.len() >= 6, "{commands:?}");
    for command in commands {
        let arguments: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        ends(&arguments, 0);
    }
}

#[test]
fn every_page_that_a_page_links_to_exists() {
    for (page, text) in pages() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap();
            let is_ours = !path.is_empty() && !path.contains("://");
            assert!(!is_ours || page.parent().unwrap().join(path).exists(), "{}: `{link}`", page.display());
        }
    }
}
