//! Misuse of the witnesses must not compile. Each file of `tests/compile_fail` names, line by line, the errors that it must
//! meet (`//~ E0599`), and `control.rs` none. Errors are compared by line and code, not by their words, so that these tests
//! mean the same under every compiler.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use serde_json::Value;

/// Where an error is, and its code.
type Errors = BTreeSet<(usize, String)>;

#[test]
fn misuse_of_a_witness_does_not_compile() {
    let library = Library::find();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile_fail");
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.iter().any(|file| file.ends_with("control.rs")), "the chain as it is meant must be there");
    for file in files {
        let expected = expected(&fs::read_to_string(&file).unwrap());
        let is_control = file.ends_with("control.rs");
        assert_eq!(expected.is_empty(), is_control, "{}: what does it prove?", file.display());
        assert_eq!(library.compile(&file), expected, "{}", file.display());
    }
}

fn expected(text: &str) -> Errors {
    let marked =
        text.lines().enumerate().filter_map(|(at, line)| Some((at + 1, line.split_once("//~ ")?.1.to_owned())));
    marked.collect()
}

/// The library that this very test was linked against.
struct Library {
    rlib: PathBuf,
    rustc: PathBuf,
}

impl Library {
    fn find() -> Self {
        // It lies beside this test and was there just before it: what other features or profiles left behind is older.
        let test = env::current_exe().unwrap();
        let linked = fs::metadata(&test).unwrap().modified().unwrap();
        let files = fs::read_dir(test.parent().unwrap()).unwrap().map(|entry| entry.unwrap());
        let libraries = files.filter(|file| {
            let name = file.file_name().into_string().unwrap();
            name.starts_with("libcarnet-") && name.ends_with(".rlib")
        });
        let dated = libraries.map(|file| (file.metadata().unwrap().modified().unwrap(), file.path()));
        let (_, rlib) = dated.filter(|(built, _)| *built <= linked).max().expect("the library lies beside its tests");
        // The compiler that belongs to this cargo, where both stand side by side.
        let beside = env::var_os("CARGO").map(|cargo| PathBuf::from(cargo).with_file_name("rustc"));
        let rustc = env::var_os("RUSTC").map(PathBuf::from).or(beside.filter(|path| path.is_file()));
        Self { rlib, rustc: rustc.unwrap_or_else(|| PathBuf::from("rustc")) }
    }

    fn compile(&self, file: &Path) -> Errors {
        let deps = self.rlib.parent().unwrap();
        let out = tempfile::tempdir().unwrap();
        let output = Command::new(&self.rustc)
            .args(["--edition", "2024", "--crate-type", "lib", "--emit", "metadata", "--error-format", "json"])
            .arg("--out-dir")
            .arg(out.path())
            .arg("--extern")
            .arg(format!("carnet={}", self.rlib.display()))
            .arg("-L")
            .arg(format!("dependency={}", deps.display()))
            .arg(file)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        let errors: Errors = text.lines().filter_map(|line| error(&serde_json::from_str(line).unwrap())).collect();
        assert_eq!(output.status.success(), errors.is_empty(), "{}: {text}", file.display());
        errors
    }
}

fn error(diagnostic: &Value) -> Option<(usize, String)> {
    if diagnostic["level"] != "error" {
        return None;
    }
    // The last words, without a place, only count the errors.
    let span = diagnostic["spans"].as_array()?.iter().find(|span| span["is_primary"] == true)?;
    let line = usize::try_from(span["line_start"].as_u64()?).ok()?;
    let code = diagnostic["code"]["code"].as_str().or_else(|| diagnostic["message"].as_str())?;
    Some((line, code.to_owned()))
}
