//! The rooms of the house, checked: what each may name, which crates live where, and how its files are kept. It reads text, so
//! a macro can hide a path; unit tests, which may reach further, stand in sibling `tests.rs` files and are left out of the edges.

mod scan;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use scan::{Source, all_rust, sources};
use table::{ASSERTIONS, CRATES, May, ROOMS, Room};

#[test]
fn the_table_lists_every_room_and_no_other() {
    let listed: BTreeSet<&str> = ROOMS.iter().map(|room| room.name).collect();
    assert_eq!(listed.len(), ROOMS.len(), "a room stands twice");
    let built = sources();
    let unlisted: BTreeSet<&str> =
        built.iter().filter_map(Source::room).filter(|room| !listed.contains(room)).collect();
    assert!(unlisted.is_empty(), "rooms that the table does not list: {unlisted:?}");
}

/// Each room names only rooms above it, so there can be no cycle once the edges hold.
#[test]
fn the_table_points_upwards() {
    for (at, room) in ROOMS.iter().enumerate() {
        if let May::Name(rooms) = room.may {
            for named in rooms {
                assert!(index(named) < at, "`{}` lists `{named}`, which does not stand above it", room.name);
            }
        }
    }
}

#[test]
fn a_room_names_only_what_the_table_allows() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|s| !s.is_test()) {
        let Some(room) = source.room() else { continue };
        for (named, line) in source.named_rooms() {
            if named != room && !allowed(room, &named) {
                wrong.push(format!("{}:{line}: `{room}` may not name `{named}`", source.path));
            }
        }
        wrong.extend(
            source.escapes().into_iter().map(|line| format!("{}:{line}: `super` leaves the room", source.path)),
        );
    }
    report(&wrong);
}

#[test]
fn the_root_of_the_library_and_the_binary_know_nothing() {
    for source in sources() {
        match source.path.as_str() {
            "src/lib.rs" => assert!(source.named_rooms().is_empty(), "src/lib.rs is a map and names no room"),
            "src/main.rs" => {
                let named: BTreeSet<String> = source.named_rooms().into_iter().map(|(room, _)| room).collect();
                assert!(named.iter().all(|room| room == "cli"), "src/main.rs names {named:?}, it may name only `cli`");
            }
            _ => {}
        }
    }
}

#[test]
fn every_listed_edge_between_built_rooms_is_used() {
    let sources = sources();
    let built = built(&sources);
    let mut used: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for source in sources.iter().filter(|s| !s.is_test()) {
        if let Some(room) = source.room() {
            used.entry(room).or_default().extend(source.named_rooms().into_iter().map(|(named, _)| named));
        }
    }
    let mut unused = Vec::new();
    for Room { name, may } in ROOMS.iter().filter(|room| built.contains(room.name)) {
        if let May::Name(rooms) = may {
            let idle = rooms.iter().filter(|r| built.contains(**r) && !used.get(name).is_some_and(|u| u.contains(**r)));
            unused.extend(idle.map(|r| format!("`{name}` is allowed to name `{r}` and does not")));
        }
    }
    report(&unused);
}

#[test]
fn crates_stay_in_their_rooms() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|s| !s.is_test()) {
        for (name, rooms) in CRATES {
            for line in source.names_crate(name) {
                if !source.room().is_some_and(|room| rooms.contains(&room)) {
                    wrong.push(format!("{}:{line}: crate `{name}` lives only in {rooms:?}", source.path));
                }
            }
        }
    }
    report(&wrong);
}

#[test]
fn witnesses_are_asserted_only_where_the_table_says() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|s| !s.is_test()) {
        for line in source.names_word("assertion") {
            if !source.room().is_some_and(|room| ASSERTIONS.contains(&room)) {
                wrong.push(format!("{}:{line}: only {ASSERTIONS:?} may write `assertion`", source.path));
            }
        }
    }
    report(&wrong);
}

#[test]
fn every_file_says_what_it_is() {
    let mut wrong = Vec::new();
    for source in all_rust() {
        let opening = source.text.lines().take_while(|line| line.starts_with("//!")).count();
        if opening == 0 || opening > OPENING_LINES_MAX {
            wrong
                .push(format!("{}: opens with {opening} lines of `//!`, wanted 1 to {OPENING_LINES_MAX}", source.path));
        }
    }
    report(&wrong);
}

/// What is written by hand: data that a program writes, goldens and vectors, is as long as it is.
#[test]
fn no_file_is_too_long() {
    let lengths = all_rust().into_iter().map(|s| (s.text.lines().count(), s.path));
    let long: Vec<String> =
        lengths.filter(|(n, _)| *n > FILE_LINES_MAX).map(|(n, path)| format!("{path}: {n} lines")).collect();
    report(&long);
}

#[test]
fn no_file_or_module_has_a_name_that_says_nothing() {
    let mut wrong = Vec::new();
    for source in all_rust() {
        let parts = source.path.trim_end_matches(".rs").split('/').map(str::to_owned);
        let names = parts.chain(source.modules()).filter(|part| EMPTY_NAMES.contains(&part.as_str()));
        wrong.extend(names.map(|name| format!("{}: `{name}` says nothing", source.path)));
    }
    report(&wrong);
}

/// The reader of text is itself tried, so that the tests above cannot pass because it sees nothing.
#[test]
fn the_reader_sees_paths_and_not_words() {
    let text = r##"//! What it is.
use crate::model::{id::TaskId, time};
use crate::{clock::Clock, entropy, identity::{peer::X, caller}};
// crate::journal is a comment, "crate::mint" a string
/* crate::policy /* nested */ */
const A: &str = "crate::risk \" crate::seal"; const B: &str = r#"crate::token"#; const C: char = '"';
fn f<'a>(x: &'a str) { super::super::broker::go(x); ::prost::encode(); other::prost::y(); clap ::z(); }
"##;
    let source = Source { path: "src/grpc/a.rs".into(), text: text.into() };
    let named: Vec<String> = source.named_rooms().into_iter().map(|(room, _)| room).collect();
    assert_eq!(named, ["model", "clock", "entropy", "identity"]);
    assert_eq!(source.escapes(), [7]);
    assert_eq!(source.names_crate("prost"), [7]);
    assert_eq!(source.names_crate("clap"), [7]);
    assert!(source.names_crate("peer").is_empty());
    assert_eq!(source.names_word("go"), [7]);
    assert!(source.names_word("journal").is_empty());
}

fn allowed(room: &str, named: &str) -> bool {
    let at = index(room);
    match ROOMS[at].may {
        May::Name(rooms) => rooms.contains(&named),
        May::NameAnyAbove => ROOMS.iter().position(|r| r.name == named).is_some_and(|above| above < at),
    }
}

fn index(name: &str) -> usize {
    ROOMS.iter().position(|room| room.name == name).unwrap_or_else(|| panic!("the table has no room `{name}`"))
}

/// Rooms that hold more than the line that says what they will be.
fn built(sources: &[Source]) -> BTreeSet<&str> {
    let holds_code = |s: &&Source| !s.is_test() && s.holds_code();
    sources.iter().filter(holds_code).filter_map(Source::room).collect()
}

fn report(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// A file's opening is read at a glance.
const OPENING_LINES_MAX: usize = 6;
/// Above this a file holds more than one thing.
const FILE_LINES_MAX: usize = 500;
/// Names that could stand on anything.
const EMPTY_NAMES: [&str; 7] = ["util", "utils", "helper", "helpers", "common", "misc", "manager"];
