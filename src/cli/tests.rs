//! What is typed is what is meant: the definition of the command line holds together, and exit codes are those that are told.

use clap::CommandFactory as _;

use super::*;

#[test]
fn the_command_line_is_well_defined() {
    Cli::command().debug_assert();
}

#[test]
fn help_and_version_are_no_errors_and_misuse_is_ours() {
    let run = |arguments: &[&str]| {
        let arguments = std::iter::once("carnet").chain(arguments.iter().copied());
        super::run(arguments.map(OsString::from))
    };
    assert_eq!(run(&["--version"]), Exit::Done);
    assert_eq!(run(&["audit", "--help"]), Exit::Done);
    assert_eq!(run(&["frobnicate"]), Exit::Local);
    assert_eq!(run(&["verify", "token", "--issuer", "i", "--audience", "a"]), Exit::Local);
}

#[test]
fn exit_codes_are_those_that_the_help_tells() {
    let codes = [Exit::Done, Exit::Local, Exit::Remote, Exit::Denied, Exit::Pending, Exit::Unverified];
    assert_eq!(codes.map(|exit| exit as u8), [0, 1, 2, 3, 4, 5]);
}
