//! What a check says of a bundle that starts, and would not do all that somebody may expect of it.

use std::fs;

use carnet::server::serve::check;

use super::Machine;
use crate::support::pki::soon;

const ISSUER: &str = "[[people.issuers]]\nname = \"corp\"\nissuer = \"https://idp.example.org\"\n\
    audience = \"https://carnet.example.org/people\"\n";

/// Somebody who may do that, in the group that owns what is paid with.
fn person(may: &str) -> String {
    format!(
        "{ISSUER}[[people.persons]]\nname = \"bea@example.org\"\nmay = [{may:?}]\n\
         accounts = [{{ issuer = \"corp\", subject = \"1\" }}]\n\
         [[people.groups]]\nname = \"group:finance\"\nmembers = [\"bea@example.org\"]\n"
    )
}

async fn warned(machine: &Machine, more: &str) -> Vec<String> {
    soon(check(machine.settings_with(more))).await.unwrap().warnings().to_vec()
}

#[tokio::test]
async fn owners_for_whom_nobody_could_answer_are_told() {
    let machine = Machine::new();
    let told = warned(&machine, "").await;
    let [told] = told.as_slice() else { panic!("{told:?}") };
    for part in ["`large-amount` would ask owners of tools", "`group:finance`", "whoever reviews is asked instead"] {
        assert!(told.contains(part), "no `{part}` in {told}");
    }
    // Who may read may not answer.
    assert!(warned(&machine, &person("read")).await[0].contains("`group:finance`"));
    let told = warned(&machine, &person("approve")).await;
    assert!(told[0].contains("`group:workplace`") && !told[0].contains("group:finance"), "{told:?}");
    // Where no policy asks an owner, nobody need be there.
    for file in fs::read_dir(machine.pki.path("policy")).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "cedar") {
            let text = fs::read_to_string(&file).unwrap();
            fs::write(&file, text.replace("@route(\"owner\")\n", "")).unwrap();
        }
    }
    assert!(warned(&machine, "").await.is_empty());
}

#[tokio::test]
async fn an_end_of_observing_that_is_past_is_told() {
    let machine = Machine::new();
    let observe = machine.pki.path("policy/observe.toml");
    let over = async |until: &str| {
        fs::write(&observe, format!("until = {until}\n")).unwrap();
        warned(&machine, "").await.iter().any(|told| told.contains("`observe.toml` is over"))
    };
    assert!(over("2020-01-01T00:00:00Z").await);
    assert!(!over("2999-01-01T00:00:00Z").await);
}
