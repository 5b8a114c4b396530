//! The demo, as a user runs it: the built binary, its output and its exit code.

use std::process::{Command, Output};

fn demo(arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_carnet")).arg("demo").args(arguments).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}\n{told}", output.status);
    output
}

#[test]
fn the_whole_story_is_told_and_holds() {
    let text = String::from_utf8(demo(&[]).stdout).unwrap();
    assert!(!text.contains('✗'), "{text}");
    assert!(!text.contains('\u{1b}'), "colour without a terminal: {text}");
    // Every outcome that the story is about, with the reasons that belong to it.
    for (step, answer) in [
        ("asks to read ticket T-1042", "granted"),
        ("tries another ticket with the same token", "SINK_DIFFERS"),
        ("shows the token as its own", "CERTIFICATE_MISMATCH"),
        ("asks to read it, and to search all tickets", "narrowed"),
        ("asks to read it, and to search all tickets", "CEILING_EXCEEDED"),
        ("asks to read it, and to search all tickets", "left: tickets.read"),
        ("asks to comment on it", "step-up"),
        ("asks to comment on it", "TAINTED_EXIT"),
        ("confirms this very step", "approved"),
        ("asks again", "narrowed"),
        ("obeys the ticket", "review"),
        ("reviews it", "denied"),
        ("tries again", "APPROVAL_DENIED"),
        ("asks to pay", "denied"),
        ("asks to pay", "CEILING_EXCEEDED"),
        ("asks to read ticket T-1043", "granted"),
        ("asks to read ticket T-1043", "the ticket stands in the intent"),
        ("reports that the agent is compromised", "revoked"),
        ("completes the task", "completed"),
        ("verifies an export", "holds"),
        ("changes one bit", "found"),
    ] {
        let told = text.lines().find(|line| line.contains(step)).unwrap_or_else(|| panic!("no `{step}` in {text}"));
        assert!(told.contains(answer), "`{step}` without `{answer}`: {told}");
    }
    // What it says to try next works as it is printed, from another folder and with nothing but what the line says.
    let printed = |line: &&str| line.starts_with(env!("CARGO_BIN_EXE_carnet"));
    let commands: Vec<&str> = text.lines().filter(printed).collect();
    assert!(commands.iter().any(|command| command.ends_with(" dev")), "{text}");
    for command in commands {
        // `dev` stays until it is ended; what it prints is tried elsewhere.
        let command = if command.ends_with(" dev") { format!("{command} --help") } else { command.to_owned() };
        let output = Command::new("sh").arg("-c").arg(&command).current_dir("/").env_clear().output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
    // Stable enough to paste: no line has an id that differs from run to run.
    let random = |word: &str| word.len() >= 24 && word.bytes().all(|b| b.is_ascii_hexdigit());
    assert!(!text.split(|c: char| !c.is_ascii_alphanumeric()).any(random), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 200), "{text}");
}

#[test]
fn the_story_is_told_to_machines_too() {
    let steps: serde_json::Value = serde_json::from_slice(&demo(&["--output", "json"]).stdout).unwrap();
    let steps = steps.as_array().unwrap();
    assert!(steps.len() > 20, "{steps:?}");
    assert!(steps.iter().all(|step| step["held"] == true), "{steps:?}");
}
