//! Golden files: what they hold is compared, and rewritten only when `CARNET_UPDATE_GOLDEN=1` asks for it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The variable that rewrites golden files instead of comparing them.
const UPDATE: &str = "CARNET_UPDATE_GOLDEN";

/// Where the golden file of that name lies.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// What the golden file holds; empty when there is none yet.
pub fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_default()
}

/// Holds `actual` against the golden file, or writes it.
pub fn check(name: &str, actual: &str) {
    if env::var_os(UPDATE).is_some_and(|v| v == "1") {
        fs::create_dir_all(path("")).unwrap();
        fs::write(path(name), actual).unwrap();
        return;
    }
    let expected = read(name);
    if let Some((n, (is, was))) = lines(actual, &expected).enumerate().find(|(_, (is, was))| is != was) {
        panic!(
            "tests/golden/{name}, line {}:\n  golden: {was}\n  now:    {is}\nif that is meant, refresh it: {UPDATE}=1 cargo test --test it",
            n + 1
        );
    }
}

fn lines<'a>(a: &'a str, b: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let count = a.lines().count().max(b.lines().count());
    (0..count).map(|n| (a.lines().nth(n).unwrap_or("(nothing)"), b.lines().nth(n).unwrap_or("(nothing)")))
}
