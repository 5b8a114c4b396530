//! The command line: one command per file. Commands that talk to a broker do so over its gRPC, like everybody else; what they
//! print goes through `output`, and how they end through `error`.

mod approval;
mod arguments;
mod audit;
mod bearer;
mod bench;
mod block;
mod break_glass;
mod catalogue;
mod credential;
mod demo;
mod dev;
mod door;
pub mod error;
mod given;
mod key;
mod login;
mod notify;
pub mod output;
mod page;
mod person;
mod policy;
mod resource_server;
mod revoke;
mod risk;
mod said;
mod serve;
mod shown;
mod signal;
mod task;
mod tool_call;
mod verify;
mod way;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::error::{CliError, Exit, chain};
use crate::cli::output::paint::{Paint, Tone};
use crate::cli::output::{Format, Output, say};

/// Task-scoped, short-lived credentials for AI agents, and the record of every decision.
///
/// Begin with `carnet demo`; go on with `carnet dev`.
#[derive(Debug, clap::Parser)]
#[command(name = "carnet", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    /// The form of the data on stdout; prose goes to stderr.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show the whole story on this machine, and check it.
    Demo(demo::Args),
    /// Run a broker for development, with a CA and identities to try it with.
    Dev(dev::Args),
    /// Run a broker.
    Serve(serve::Args),
    /// Log in as a person, and keep the token for other commands.
    Login(login::Args),
    /// Tasks: what credentials are asked for.
    #[command(subcommand)]
    Task(task::Command),
    /// Credentials: one for each step of a task.
    #[command(subcommand)]
    Credential(credential::Command),
    /// End grants before their time.
    #[command(subcommand)]
    Revoke(revoke::Command),
    /// Blocks that revoking an agent, an initiator, an audience or everything left behind.
    #[command(subcommand)]
    Block(block::Command),
    /// What waits for people: list it, look at it, approve or deny it.
    #[command(subcommand)]
    Approval(approval::Command),
    /// Break-glass: what people open for an agent in an emergency, and its review afterwards.
    #[command(subcommand)]
    BreakGlass(break_glass::Command),
    /// Webhooks: what people's own systems were told.
    #[command(subcommand)]
    Notify(notify::Command),
    /// Evidence about risk.
    #[command(subcommand)]
    Signal(signal::Command),
    /// Calls that were made.
    #[command(subcommand)]
    ToolCall(tool_call::Command),
    /// Check a token as a resource server does.
    Verify(verify::Args),
    /// The record: search it, read it, take it away and check it.
    #[command(subcommand)]
    Audit(audit::Command),
    /// What is learned from outcomes: thresholds against labels, and drift.
    #[command(subcommand)]
    Risk(risk::Command),
    /// Policy bundles.
    #[command(subcommand)]
    Policy(policy::Command),
    /// The tools that may be asked for.
    #[command(subcommand)]
    Catalogue(catalogue::Command),
    /// The keys that sign tokens.
    #[command(subcommand)]
    Key(key::Command),
    /// Load a broker and measure it.
    #[command(subcommand)]
    Bench(bench::Command),
    /// The resource server of the demo.
    #[command(hide = true)]
    DevResourceServer(resource_server::Args),
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 something is wrong on this side, 2 the broker refused the call or could not be reached,
3 denied, 4 a person has to approve first, 5 what was to be verified does not hold.";

/// Runs the command that the process was called with.
#[must_use]
pub fn main() -> ExitCode {
    run(std::env::args_os()).into()
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, and go to stdout.
            let exit = if error.use_stderr() { Exit::Local } else { Exit::Done };
            let _nobody_reads = error.print();
            return exit;
        }
    };
    let out = Output::new(cli.output);
    let command = match cli.command {
        // The load generator starts runtimes of its own.
        Command::Bench(command) => return ended(bench::run(command, out)),
        other => other,
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&CliError::because("no runtime can be started", error)),
    };
    let result = runtime.block_on(dispatch(command, out));
    // Whatever still runs in the background has nothing to say any more.
    runtime.shutdown_background();
    ended(result)
}

fn ended(result: Result<Exit, CliError>) -> Exit {
    match result {
        Ok(exit) => exit,
        Err(error) if error.is_broken_pipe() => Exit::Done,
        Err(error) => fail(&error),
    }
}

async fn dispatch(command: Command, out: Output) -> Result<Exit, CliError> {
    match command {
        Command::Demo(args) => demo::run(args, out).await,
        Command::Dev(args) => dev::run(args, out).await,
        Command::Serve(args) => serve::run(args).await,
        Command::Login(args) => login::run(args, out).await,
        Command::Task(command) => task::run(command, out).await,
        Command::Credential(command) => credential::run(command, out).await,
        Command::Revoke(command) => revoke::run(command, out).await,
        Command::Block(command) => block::run(command, out).await,
        Command::Approval(command) => approval::run(command, out).await,
        Command::BreakGlass(command) => break_glass::run(command, out).await,
        Command::Notify(command) => notify::run(command, out).await,
        Command::Signal(command) => signal::run(command, out).await,
        Command::ToolCall(command) => tool_call::run(command, out).await,
        Command::Verify(args) => verify::run(args, out).await,
        Command::Audit(command) => audit::run(command, out).await,
        Command::Risk(command) => risk::run(command, out).await,
        Command::Policy(command) => policy::run(command, out).await,
        Command::Catalogue(command) => catalogue::run(command, out).await,
        Command::Key(command) => key::run(command, out),
        Command::Bench(command) => bench::run(command, out),
        Command::DevResourceServer(args) => resource_server::run(args).await,
    }
}

fn fail(error: &CliError) -> Exit {
    let paint = Paint::for_stream(std::io::stderr().is_terminal());
    let text = output::paint::harmless(&chain(error), true).into_owned();
    say(&format!("{} {text}", paint.tone(Tone::Bad, "error:")));
    error.exit()
}
