//! What to try with a running dev broker: commands that work as they stand, in this order, from any folder.

use std::path::Path;

use crate::dev::broker::DevBroker;
use crate::dev::error::DevError;
use crate::dev::identities::{AGENT, Member, ORCHESTRATOR, RESOURCE_SERVER, SCORER};
use crate::dev::people::REX;
use crate::dev::resource_server::tools::TICKETS;

/// One thing to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextStep {
    /// What it does.
    pub about: &'static str,
    /// The command line, for a shell.
    pub command: String,
}

/// What the steps are filled in with.
struct Place<'a> {
    program: String,
    broker: &'a DevBroker,
}

/// The steps for this broker; `program` is the `carnet` that is running.
///
/// # Errors
/// Never for the members of the dev world.
pub fn next_steps(program: &Path, broker: &DevBroker) -> Result<Vec<NextStep>, DevError> {
    let place = Place { program: quoted(&program.display().to_string()), broker };
    let agent = AGENT.spiffe_id()?.to_string();
    let (task, token) = (place.file("task.json"), place.file("token"));
    let (kept, key, export) = (place.file("kept.note"), place.file("log.pub"), place.file("record.export"));
    let read = ["--tool", "tickets.read", "--arguments", r#"{"ticket_id":"T-1042"}"#];
    let operator = broker.operator_socket().display().to_string();
    let operator = ["--operator-socket", operator.as_str()];
    let mut steps = Vec::new();
    let mut step = |about, words: Vec<&str>, rest: Vec<String>| steps.push(place.step(about, words, &rest));
    step(
        "the orchestrator registers a task for the agent",
        vec![
            "task",
            "register",
            "--intent",
            "Read ticket T-1042 and answer the customer with a comment",
            "--agent",
            &agent,
            "--initiator",
            "ada@example.com",
            "--allow",
            "tickets.read",
            "--allow",
            "tickets.comment=1",
            "--save",
            &task,
        ],
        place.member(&ORCHESTRATOR),
    );
    step(
        "the agent asks for a token for one step of it",
        [
            ["credential", "request", "--task-file", &task].as_slice(),
            &["--audience", TICKETS],
            &read,
            &["--save", &token],
        ]
        .concat(),
        place.member(&AGENT),
    );
    let agent_socket = place.socket(&AGENT);
    step(
        "a resource server checks the token against the call, the agent's certificate and what was revoked",
        [["verify", &token, "--issuer", broker.issuer()].as_slice(), &["--audience", TICKETS], &read].concat(),
        [vec!["--certificate-of".to_owned(), agent_socket], place.member(&RESOURCE_SERVER)].concat(),
    );
    let (people, issuer) = (broker.people_door(), broker.people().url().to_owned());
    let ca_file = broker.people().ca_file().display().to_string();
    let kept_login = place.file("rex.token");
    let rex = ["--people", people.as_str(), "--token-file", &kept_login, "--ca-file", &ca_file];
    let comment = ["--tool", "tickets.comment", "--arguments", r#"{"ticket_id":"T-1042","text":"It is on its way."}"#];
    let ask = [["credential", "request", "--task-file", &task].as_slice(), &["--audience", TICKETS], &comment].concat();
    step(
        "it asks to answer the customer, which is a way out after untrusted input: that waits for a person",
        ask.clone(),
        place.member(&AGENT),
    );
    step(
        "a reviewer logs in; the issuer of this world asks for no password",
        [
            ["login", "--issuer", &issuer, "--client-id", REX.client].as_slice(),
            &["--ca-file", &ca_file, "--save", &kept_login],
        ]
        .concat(),
        Vec::new(),
    );
    step("and looks at what waits", [["approval", "list"].as_slice(), &rex].concat(), Vec::new());
    let list = place.step("", [["--output", "yaml", "approval", "list"].as_slice(), &rex].concat(), &[]).command;
    let mut approve =
        place.step("and approves it, the only one", [["approval", "approve"].as_slice(), &rex].concat(), &[]);
    approve.command.push_str(&format!(" $({list} | sed -n 's/.*approval_id: *//p')"));
    steps.push(approve);
    let mut step = |about, words: Vec<&str>, rest: Vec<String>| steps.push(place.step(about, words, &rest));
    step("the agent asks again", ask, place.member(&AGENT));
    step("you read why it was granted", [["audit", "explain"].as_slice(), &operator].concat(), Vec::new());
    step(
        "somebody who watches the agent reports that it is compromised: the token dies",
        vec![
            "signal",
            "report",
            "--task-file",
            &task,
            "--name",
            "compromise_reported",
            "--points",
            "60",
            "--explanation",
            "it was seen to follow orders from a web page",
        ],
        place.member(&SCORER),
    );
    step("the task ends", vec!["task", "complete", "--task-file", &task], place.member(&ORCHESTRATOR));
    step("you search the record", [["audit", "search"].as_slice(), &operator].concat(), Vec::new());
    step(
        "you keep a checkpoint and the log's public key, best somewhere else",
        [["audit", "checkpoint", "--save", &kept, "--save-key", &key].as_slice(), &operator].concat(),
        Vec::new(),
    );
    step(
        "you take the record away",
        [["audit", "export", &export, "--force"].as_slice(), &operator].concat(),
        Vec::new(),
    );
    step(
        "and check it without the broker: not a byte was changed",
        vec!["audit", "verify", &export, "--key", &key, "--checkpoint", &kept],
        Vec::new(),
    );
    Ok(steps)
}

impl Place<'_> {
    fn step(&self, about: &'static str, words: Vec<&str>, rest: &[String]) -> NextStep {
        let words = words.into_iter().map(quoted).chain(rest.iter().map(|word| quoted(word)));
        let command = std::iter::once(self.program.clone()).chain(words).collect::<Vec<_>>().join(" ");
        NextStep { about, command }
    }

    fn file(&self, name: &str) -> String {
        self.broker.folder().path().join(name).display().to_string()
    }

    fn socket(&self, member: &Member) -> String {
        self.broker.world().socket(member).display().to_string()
    }

    /// How a member is told who it is and where the broker is.
    fn member(&self, member: &Member) -> Vec<String> {
        ["--socket", &self.socket(member), "--broker", &self.broker.address()].map(str::to_owned).to_vec()
    }
}

/// A word as a shell reads it back.
#[must_use]
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '=' | '@' | ',' | '+');
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests;
