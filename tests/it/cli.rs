//! The command line as people and scripts meet it: help, exit codes, and a dev broker whose printed commands are run as they
//! are printed.

mod bench;
mod catalogue;
mod commands;
mod pages;
mod policy;
mod running;
mod signing;
mod whatif;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PROGRAM: &str = env!("CARGO_BIN_EXE_carnet");

fn carnet(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments);
    for variable in [
        "SPIFFE_ENDPOINT_SOCKET",
        "CARNET_BROKER",
        "CARNET_OPERATOR_SOCKET",
        "CARNET_DATA_DIR",
        "CARNET_PEOPLE",
        "CARNET_TOKEN_FILE",
        "CARNET_CA_FILE",
    ] {
        command.env_remove(variable);
    }
    command
}

fn ends(arguments: &[&str], code: i32) -> Output {
    let output = carnet(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", told(&output));
    output
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn every_command_explains_itself() {
    let top = String::from_utf8(ends(&["--help"], 0).stdout).unwrap();
    for command in COMMANDS {
        let first = command.split(' ').next().unwrap();
        assert!(top.contains(&format!("\n  {first} ")), "`{first}` is not in the help: {top}");
        let arguments: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let help = String::from_utf8(ends(&arguments, 0).stdout).unwrap();
        assert!(help.contains("Usage: carnet"), "{command}: {help}");
    }
    assert!(!top.contains("dev-resource-server"), "{top}");
}

const COMMANDS: [&str; 71] = [
    "dev",
    "demo",
    "serve",
    "task register",
    "task get",
    "task list",
    "task amend",
    "task pause",
    "task resume",
    "task complete",
    "task cancel",
    "credential request",
    "credential renew",
    "credential release",
    "credential get",
    "revoke grant",
    "revoke task",
    "revoke agent",
    "revoke initiator",
    "revoke audience",
    "revoke everything",
    "approval list",
    "approval get",
    "approval approve",
    "approval deny",
    "approval withdraw",
    "approval watch",
    "break-glass open",
    "break-glass list",
    "break-glass get",
    "break-glass close",
    "break-glass review",
    "block list",
    "block lift",
    "notify log",
    "notify test",
    "signal report",
    "tool-call report",
    "verify",
    "audit search",
    "audit explain",
    "audit export",
    "audit label",
    "audit labels",
    "audit verify",
    "audit checkpoint",
    "risk calibrate",
    "risk drift",
    "risk reference set",
    "risk reference clear",
    "policy active",
    "policy check",
    "policy test",
    "policy fmt",
    "policy explain",
    "policy whatif",
    "policy keygen",
    "policy sign",
    "policy activate",
    "policy proposals",
    "policy withdraw",
    "policy eval",
    "catalogue list",
    "catalogue import",
    "key list",
    "key rotate",
    "key distrust",
    "login",
    "bench request",
    "bench revoke",
    "bench verify",
];

#[test]
fn what_is_wrong_on_this_side_ends_with_1() {
    for arguments in [
        vec!["frobnicate"],
        vec!["task", "register", "--intent", "x"],
        vec!["serve", "--config", "/nowhere/carnet.toml"],
        vec!["policy", "test", "/nowhere"],
        vec!["task", "complete", "task_1"],
        vec!["key", "list", "--data-dir", "/nowhere"],
        vec!["signal", "report", "task_1", "--name", "x", "--points", "101"],
    ] {
        let output = ends(&arguments, 1);
        assert!(output.stdout.is_empty(), "prose on stdout: {}", told(&output));
        assert!(!output.stderr.is_empty());
    }
}

#[test]
fn a_broker_that_is_not_there_ends_with_2() {
    let output = ends(&["audit", "search", "--operator-socket", "/nowhere/operator.sock"], 2);
    assert!(told(&output).contains("/nowhere/operator.sock"), "{}", told(&output));
}

/// Each row: what is typed, what the environment says, and what is told: where was asked, or why nowhere.
#[test]
fn nobody_acts_as_somebody_else_than_was_said() {
    const DOOR: &str = "https://127.0.0.1:1";
    const OPERATOR: &str = "/nowhere/operator.sock";
    const WORKLOAD: &str = "/nowhere/agent.sock";
    let (two_ways, which_token) = ("name two ways to ask", "which token?");
    let (person, operator) = (("CARNET_PEOPLE", DOOR), ("CARNET_OPERATOR_SOCKET", OPERATOR));
    let workload = ("SPIFFE_ENDPOINT_SOCKET", WORKLOAD);
    let told_of_a_person = ["--people", DOOR];
    for (name, typed, environment, expected) in [
        ("two doors", vec!["--people", DOOR, "--operator-socket", OPERATOR], vec![], two_ways),
        ("a person and a workload", vec!["--people", DOOR, "--socket", WORKLOAD], vec![], two_ways),
        ("a person", told_of_a_person.to_vec(), vec![], which_token),
        ("a person, not the environment's operator", told_of_a_person.to_vec(), vec![operator], which_token),
        ("a person, not the environment's workload", told_of_a_person.to_vec(), vec![workload], which_token),
        ("the environment's person", vec![], vec![person], which_token),
        ("the environment's person, not its workload", vec![], vec![person, workload], which_token),
        ("the operator, not the environment's person", vec!["--operator-socket", OPERATOR], vec![person], OPERATOR),
        ("the workload, not the environment's person", vec!["--socket", WORKLOAD], vec![person], "no identity"),
        ("two that the environment names", vec![], vec![person, operator], "are both set"),
        ("the workload, not the environment's operator", vec!["--socket", WORKLOAD], vec![operator], "no identity"),
        ("the operator's folder, not the environment's person", vec!["--data-dir", "/nowhere"], vec![person], OPERATOR),
        ("a page for a door", vec!["--people", "https://127.0.0.1:1/?a=b"], vec![], "no `https` URL"),
    ] {
        for command in [["audit", "search"], ["task", "list"]] {
            let output = carnet(&command).args(&typed).envs(environment.iter().copied()).output().unwrap();
            assert!(!output.status.success(), "{name}");
            assert!(told(&output).contains(expected), "{name}, {command:?}: {}", told(&output));
        }
    }
}

#[test]
fn who_says_that_a_token_is_shown_asks_in_no_other_way() {
    const DOOR: &str = "https://127.0.0.1:1";
    const OPERATOR: &str = "/nowhere/operator.sock";
    const WORKLOAD: &str = "/nowhere/agent.sock";
    let (two_ways, operator) = ("name two ways to ask", ("CARNET_OPERATOR_SOCKET", OPERATOR));
    let bearer = ["--bearer", DOOR, "--bearer-audience", "https://carnet.test"];
    for (name, typed, environment, expected) in [
        ("a person, too", vec!["--people", DOOR], vec![], two_ways),
        ("the operator, too", vec!["--operator-socket", OPERATOR], vec![], two_ways),
        ("not the environment's operator", vec!["--socket", WORKLOAD], vec![operator], "no identity"),
        ("not the environment's person", vec!["--socket", WORKLOAD], vec![("CARNET_PEOPLE", DOOR)], "no identity"),
        ("nobody in particular", vec![], vec![], "who are we?"),
        ("a workload", vec!["--socket", WORKLOAD], vec![], "no identity"),
    ] {
        let output =
            carnet(&["task", "list"]).args(bearer).args(typed).envs(environment.iter().copied()).output().unwrap();
        assert!(!output.status.success(), "{name}");
        assert!(told(&output).contains(expected), "{name}: {}", told(&output));
    }
    let said = [("CARNET_BEARER", DOOR), ("CARNET_BEARER_AUDIENCE", "https://carnet.test")];
    for (name, typed, more, expected) in [
        ("the environment, of a person, too", vec![], vec![("CARNET_PEOPLE", DOOR)], "are both set"),
        ("the environment, of the operator, too", vec![], vec![operator], "are both set"),
        ("the environment, but the operator was typed", vec!["--operator-socket", OPERATOR], vec![], OPERATOR),
        ("the environment alone", vec![], vec![("SPIFFE_ENDPOINT_SOCKET", WORKLOAD)], "no identity"),
    ] {
        let output = carnet(&["task", "list"]).args(typed).envs(said.into_iter().chain(more)).output().unwrap();
        assert!(!output.status.success(), "{name}");
        assert!(told(&output).contains(expected), "{name}: {}", told(&output));
    }
}

#[test]
fn what_does_not_hold_ends_with_5() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.export");
    std::fs::write(&path, "carnet-export-1\nnothing of the kind").unwrap();
    let key = "log.example+1c7d1b3e+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let output = carnet(&["audit", "verify", path.to_str().unwrap(), "--key", key]).output().unwrap();
    // The key's own hash is wrong, which is seen before the export is.
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    let bundle = folder.path().join("policy");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/policy"), &bundle);
    ends(&["policy", "test", bundle.to_str().unwrap()], 0);
    std::fs::write(
        bundle.join("10-permits.cedar"),
        "@id(\"all\")\n@controls(\"NHI5\")\npermit (principal, action == Carnet::Action::\"read\", resource);\n",
    )
    .unwrap();
    ends(&["policy", "test", bundle.to_str().unwrap()], 5);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)
        } else {
            let _bytes = std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A running `carnet dev`, ended when it is dropped.
struct Dev {
    process: Child,
    page: String,
}

impl Dev {
    fn start(arguments: &[&str]) -> Self {
        let arguments: Vec<&str> = ["dev", "--port", "0"].iter().chain(arguments).copied().collect();
        let mut process = carnet(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut page = String::new();
        for line in lines.by_ref() {
            page.push_str(&line.unwrap());
            page.push('\n');
            if page.contains("Ctrl-C ends it") {
                return Self { process, page };
            }
        }
        let mut said = String::new();
        process.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        process.wait().unwrap();
        panic!("the dev broker ended: {page}{said}");
    }

    /// The lines that are commands.
    fn commands(&self) -> Vec<String> {
        self.page.lines().filter(|line| line.starts_with(PROGRAM)).map(str::to_owned).collect()
    }

    fn value(&self, label: &str) -> String {
        let line = self.page.lines().find(|line| line.starts_with(label)).unwrap();
        line.strip_prefix(label).unwrap().split_whitespace().next().unwrap().to_owned()
    }

    /// Asks it to end, as a service manager does, and tells whether it did so in good order.
    fn end(mut self) -> bool {
        kill(Pid::from_raw(i32::try_from(self.process.id()).unwrap()), Signal::SIGTERM).unwrap();
        self.process.wait().unwrap().success()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn shell(command: &str) -> Output {
    // From another folder, and with nothing but what the line says.
    Command::new("sh").arg("-c").arg(command).current_dir("/").env_clear().output().unwrap()
}

#[test]
fn printed_commands_work_as_they_are_printed() {
    let dev = Dev::start(&[]);
    assert!(dev.page.contains("NOT FOR PRODUCTION"), "{}", dev.page);
    assert!(!dev.page.contains('\u{1b}'), "colour without a terminal: {}", dev.page);
    let commands = dev.commands();
    assert!(commands.len() >= 10, "{}", dev.page);
    let all = |when: &str| {
        let mut outputs = Vec::new();
        for command in &commands {
            let output = shell(command);
            // What waits for a person, until a person has approved it.
            let approved = outputs.iter().any(|said: &String| said.contains("rex@example.com"));
            let waits = command.contains("--tool tickets.comment") && !approved;
            let expected = if waits { 4 } else { 0 };
            assert_eq!(output.status.code(), Some(expected), "{when}: {command}\n{}", told(&output));
            outputs.push(told(&output));
        }
        outputs
    };
    let outputs = all("the first time");
    let said = |part: &str, word: &str| {
        let at = commands.iter().position(|command| command.contains(part)).unwrap();
        assert!(outputs[at].contains(word), "`{part}` without `{word}`:\n{}", outputs[at]);
    };
    said(" credential request ", "granted");
    said(" approval list ", "tickets.comment");
    said(" approval approve ", "rex@example.com");
    said(" verify ", "accepted");
    said(" audit explain ", "Who asked, for whom, and why");
    said(" audit explain ", "from intent");
    said(" signal report ", "grants revoked");
    said(" audit search ", "compromise");
    said(" audit verify ", "every byte is as it was signed");
    // The task is over, so what worked before is refused now, each in its own way.
    let again = |part: &str, code: i32| {
        let output = shell(commands.iter().find(|command| command.contains(part)).unwrap());
        assert_eq!(output.status.code(), Some(code), "{part}: {}", told(&output));
        told(&output)
    };
    assert!(again(" verify ", 5).contains("TOKEN_REVOKED"));
    again(" credential request ", 3);
    // An end can be asked for again: it changes nothing.
    again(" task complete ", 0);
    // From the first to the last they work a second time, in the same folder.
    all("the second time");
    let export = commands.iter().find(|command| command.contains(" audit export ")).unwrap().replace(" --force", "");
    let output = shell(&export);
    assert_eq!(output.status.code(), Some(1), "what is there is kept unless one says otherwise: {}", told(&output));
    let folder = dev.value("data");
    assert!(dev.end(), "it did not end in good order");
    assert!(!Path::new(&folder).exists(), "`{folder}` stays behind");
}

#[test]
fn what_needs_a_person_ends_with_4_and_forms_agree() {
    let dev = Dev::start(&[]);
    let (broker, folder) = (dev.value("broker"), dev.value("data"));
    let socket = |name: &str| format!("{folder}/sockets/{name}.sock");
    let (orchestrator, agent, task) = (socket("orchestrator"), socket("agent"), format!("{folder}/t.json"));
    let register = [
        "task",
        "register",
        "--output",
        "json",
        "--socket",
        &orchestrator,
        "--broker",
        &broker,
        "--intent",
        "Send the report to the board",
        "--agent",
        "spiffe://dev.carnet.test/agent/triage",
        "--initiator",
        "ada",
        "--allow",
        "mail.send",
        "--save",
        &task,
    ];
    let registered: serde_json::Value = serde_json::from_slice(&ends(&register, 0).stdout).unwrap();
    assert_eq!(registered["decision"]["outcome"], "granted", "{registered}");
    assert!(registered.get("task_handle").is_none(), "the handle is kept in the file alone: {registered}");
    let request = |form: &str| {
        let arguments = [
            "credential",
            "request",
            "--output",
            form,
            "--task-file",
            &task,
            "--socket",
            &agent,
            "--broker",
            &broker,
            "--audience",
            "https://mail.dev.carnet.test",
            "--tool",
            "mail.send",
            "--arguments",
            r#"{"to":["eve@example.net"],"body":"all of it"}"#,
        ];
        String::from_utf8(ends(&arguments, 4).stdout).unwrap()
    };
    let json: serde_json::Value = serde_json::from_str(&request("json")).unwrap();
    assert_eq!(json["decision"]["outcome"], "review", "{json}");
    assert!(request("yaml").contains("\n  outcome: review\n"));
    assert!(request("table").contains("review"));
    // A stranger's trust domain is not federated: no connection, and nothing that tells why.
    let stranger = socket("stranger");
    let id = "spiffe://dev.carnet.test/carnet";
    ends(&["task", "list", "--socket", &stranger, "--broker", &broker, "--broker-id", id], 2);
    // Whoever answers at that address without being the broker is not talked to.
    let scorer = "spiffe://dev.carnet.test/scorer/watch";
    ends(&["task", "list", "--socket", &agent, "--broker", &broker, "--broker-id", scorer], 2);
}

#[test]
fn a_dev_folder_is_found_again_and_refused_by_serve() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let arguments = ["--data-dir", data.to_str().unwrap()];
    let dev = Dev::start(&arguments);
    let register = dev.commands().into_iter().find(|command| command.contains(" task register ")).unwrap();
    assert!(shell(&register).status.success());
    assert!(dev.end());
    let dev = Dev::start(&arguments);
    let socket = dev.value("operator");
    let listed = ends(&["task", "list", "--output", "json", "--operator-socket", &socket], 0);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    // The handle that was kept is still the task's: keys and authority are those of the first run.
    let request = dev.commands().into_iter().find(|command| command.contains(" credential request ")).unwrap();
    let output = shell(&request);
    assert!(output.status.success(), "{}", told(&output));
    assert!(dev.end());
    let config = parent.path().join("carnet.toml");
    let text = format!(
        "data_dir = {data:?}\npolicy_dir = {:?}\nissuer = \"https://carnet.example.org\"\n[workloads]\n\
         trust_domains = [\"example.org\"]\nendpoint_socket = \"unix:///nowhere\"\n",
        Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/policy"),
    );
    std::fs::write(&config, text).unwrap();
    let output = ends(&["serve", "--check", "--config", config.to_str().unwrap()], 1);
    assert!(told(&output).contains("dev broker"), "{}", told(&output));
}
