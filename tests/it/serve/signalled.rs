//! `carnet serve` as a service manager meets it: a process that is asked to end, finishes what was begun, and says so.

use std::process::Stdio;
use std::time::Duration;

use carnet::identity::client::connect_unix;
use carnet::pb::v1::ListTasksRequest;
use carnet::pb::v1::task_service_client::TaskServiceClient;
use carnet::server::start::Drained;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use super::Machine;
use crate::support::pki::soon;

fn serve(machine: &Machine) -> Child {
    let config = machine.pki.path("carnet.toml");
    std::fs::write(&config, machine.text("")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_carnet"));
    command.arg("serve").arg("--config").arg(config).env_clear().env("SPIFFE_ENDPOINT_SOCKET", machine.own.endpoint());
    command.stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
}

#[tokio::test]
async fn a_service_manager_that_ends_it_is_told_that_all_was_finished() {
    let machine = Machine::new();
    let socket = machine.pki.path("data/operator.sock");
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let process = serve(&machine);
        let operator = soon(async {
            loop {
                match connect_unix(&socket).await {
                    Ok(channel) => break channel,
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        })
        .await;
        let mut tasks = TaskServiceClient::new(operator);
        soon(tasks.list_tasks(ListTasksRequest::default())).await.unwrap();
        kill(Pid::from_raw(i32::try_from(process.id().unwrap()).unwrap()), signal).unwrap();
        let ended = soon(process.wait_with_output()).await.unwrap();
        assert_eq!(ended.status.code(), Some(0), "{signal}: {}", String::from_utf8_lossy(&ended.stderr));
        assert!(!socket.exists(), "{signal}: the socket goes with the broker");
    }
    assert_eq!(soon(machine.start().await.shutdown()).await, Drained::Whole, "the folder serves again");
}
