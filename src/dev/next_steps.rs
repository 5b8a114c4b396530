//! What to try with a running dev broker: commands that work as they stand, in this order, from any folder.

use std::path::Path;

use crate::dev::broker::DevBroker;
use crate::dev::error::DevError;
use crate::dev::identities::{AGENT, Member, ORCHESTRATOR, RESOURCE_SERVER, SCORER};
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
    let mut step = |about, words: Vec<&str>, rest: Vec<String>| {
        let words = words.into_iter().map(quoted).chain(rest.iter().map(|word| quoted(word)));
        let command = std::iter::once(place.program.clone()).chain(words).collect::<Vec<_>>().join(" ");
        steps.push(NextStep { about, command });
    };
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
