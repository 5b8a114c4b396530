//! The resource server's process as the demo sees it: where it listens, calls that agents make there, and what its own log
//! says about each. The caller is told less.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use hyper::Request;
use hyper::client::conn::http2;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::clock::Stopwatch;
use crate::dev::broker::DevBroker;
use crate::dev::demo::cast::Player;
use crate::dev::demo::error::DemoError;
use crate::dev::identities::RESOURCE_SERVER;
use crate::dev::resource_server::answer::CallText;
use crate::dev::resource_server::tools::{MAIL, TICKETS};
use crate::identity::client::{Dialer, ServerIdentity};
use crate::identity::get::read_body;
use crate::model::spiffe_id::SpiffeId;

/// How long the process may take to listen: it fetches keys and follows revocations first.
const LISTENING_WITHIN: Duration = Duration::from_secs(20);
/// How long its log may lag behind its answers.
const LOGGED_WITHIN: Duration = Duration::from_secs(5);
/// How long a revocation may take to arrive.
const REFUSED_WITHIN: Duration = Duration::from_secs(5);
/// How long it is waited before a call is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(2);
/// How long the process may take to end.
const ENDED_WITHIN: Duration = Duration::from_secs(5);
/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// The running process.
pub(in crate::dev::demo) struct ResourceServer {
    process: Child,
    // Held open: the process ends when it is closed.
    stdin: ChildStdin,
    log: Lines<BufReader<ChildStdout>>,
    address: String,
    pid: u32,
    id: SpiffeId,
}

/// What came of a call.
#[derive(Debug, Clone)]
pub(in crate::dev::demo) struct Called {
    /// The HTTP status.
    pub(in crate::dev::demo) status: u16,
    /// What the caller was told.
    pub(in crate::dev::demo) body: String,
    /// What the resource server's own log says.
    pub(in crate::dev::demo) code: String,
}

#[derive(Deserialize)]
struct Listening {
    listening: String,
}

#[derive(Deserialize)]
struct Logged {
    code: String,
}

impl ResourceServer {
    /// Starts the process and waits until it listens.
    pub(in crate::dev::demo) async fn start(program: &Path, broker: &DevBroker) -> Result<Self, DemoError> {
        let mut process = Command::new(program)
            .arg("dev-resource-server")
            .args(["--issuer", broker.issuer(), "--broker", &broker.address()])
            .args(["--broker-id", broker.spiffe_id().as_str()])
            .arg("--socket")
            .arg(broker.world().socket(&RESOURCE_SERVER))
            .args(["--audience", TICKETS, "--audience", MAIL])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed("does not start", error))?;
        let (Some(stdin), Some(stdout)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(DemoError::ResourceServer { problem: "has no pipes", cause: None });
        };
        let pid = process.id().unwrap_or_default();
        let mut log = BufReader::new(stdout).lines();
        let line = next_line(&mut log, LISTENING_WITHIN).await?;
        let listening: Listening = serde_json::from_str(&line).map_err(|error| failed("says nothing", error))?;
        Ok(Self { process, stdin, log, address: listening.listening, pid, id: RESOURCE_SERVER.spiffe_id()? })
    }

    pub(in crate::dev::demo) fn address(&self) -> &str {
        &self.address
    }

    pub(in crate::dev::demo) const fn pid(&self) -> u32 {
        self.pid
    }

    /// Calls a tool as that agent, with that token.
    pub(in crate::dev::demo) async fn call(
        &mut self,
        caller: &Player,
        token: &str,
        tool: &str,
        arguments: &str,
    ) -> Result<Called, DemoError> {
        let (status, body) = self.exchange(caller, token, tool, arguments).await?;
        let line = next_line(&mut self.log, LOGGED_WITHIN).await?;
        let logged: Logged = serde_json::from_str(&line).map_err(|error| failed("logs something else", error))?;
        Ok(Called { status, body, code: logged.code })
    }

    /// Calls until the call is refused, and tells after how long that was.
    pub(in crate::dev::demo) async fn call_until_refused(
        &mut self,
        caller: &Player,
        token: &str,
        tool: &str,
        arguments: &str,
    ) -> Result<(Called, Duration), DemoError> {
        let waited = Stopwatch::start();
        loop {
            let called = self.call(caller, token, tool, arguments).await?;
            if called.status != 200 || waited.elapsed() > REFUSED_WITHIN {
                return Ok((called, waited.elapsed()));
            }
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }

    async fn exchange(
        &self,
        caller: &Player,
        token: &str,
        tool: &str,
        arguments: &str,
    ) -> Result<(u16, String), DemoError> {
        let arguments =
            RawValue::from_string(arguments.to_owned()).map_err(|error| failed("is asked nonsense", error))?;
        let call = CallText { tool: tool.to_owned(), arguments };
        let call = serde_json::to_string(&call).map_err(|error| failed("is asked nonsense", error))?;
        let request = Request::post(format!("https://{}/call", self.address))
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .header(CONTENT_TYPE, "application/json")
            .body(call)
            .map_err(|error| failed("is asked nonsense", error))?;
        let expected = ServerIdentity::Exact(self.id.clone());
        let stream = Dialer::new(&self.address, &caller.workload, expected)?.dial().await;
        let stream = stream.map_err(|error| failed("cannot be reached", error))?;
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| failed("does not speak HTTP/2", error))?;
        let driven = tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(|error| failed("does not answer", error))?;
        let status = answer.status().as_u16();
        let body = read_body(answer.into_body(), ANSWER_BYTES_MAX).await;
        driven.abort();
        let body = body.map_err(|error| failed("breaks off its answer", error))?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// Ends the process in good order.
    pub(in crate::dev::demo) async fn end(self) -> Result<(), DemoError> {
        let Self { mut process, stdin, .. } = self;
        drop(stdin);
        match timeout(ENDED_WITHIN, process.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(_)) => Err(DemoError::ResourceServer { problem: "ended with an error", cause: None }),
            Ok(Err(error)) => Err(failed("does not end", error)),
            Err(_) => Err(DemoError::ResourceServer { problem: "does not end", cause: None }),
        }
    }
}

async fn next_line(log: &mut Lines<BufReader<ChildStdout>>, within: Duration) -> Result<String, DemoError> {
    match timeout(within, log.next_line()).await {
        Ok(Ok(Some(line))) => Ok(line),
        Ok(Ok(None)) => Err(DemoError::ResourceServer { problem: "has ended", cause: None }),
        Ok(Err(error)) => Err(failed("cannot be heard", error)),
        Err(_) => Err(DemoError::ResourceServer { problem: "says nothing", cause: None }),
    }
}

fn failed(problem: &'static str, cause: impl std::error::Error + Send + Sync + 'static) -> DemoError {
    DemoError::ResourceServer { problem, cause: Some(Box::new(cause)) }
}
