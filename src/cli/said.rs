//! Which of the ways to a broker was asked for. What was typed goes before what the environment says, and nobody acts as somebody
//! else than was said.

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, FromArgMatches};

/// As whom a command asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Said {
    /// As a person.
    Person,
    /// As a workload, by its certificate or by a token.
    Workload,
    /// As the operator.
    Operator,
    /// Nothing was said.
    Nothing,
}

/// The arguments that name a way, where a command has them.
const WAYS: [(&str, Said); 5] = [
    ("people", Said::Person),
    ("bearer", Said::Workload),
    ("socket", Said::Workload),
    ("operator_socket", Said::Operator),
    ("data_dir", Said::Operator),
];
/// Those of them that say so in the environment, too. Where a Workload API is says no more than that there is one, and goes last.
const IN_ENVIRONMENT: [(&str, &str); 4] = [
    ("people", "CARNET_PEOPLE"),
    ("bearer", "CARNET_BEARER"),
    ("operator_socket", "CARNET_OPERATOR_SOCKET"),
    ("socket", "SPIFFE_ENDPOINT_SOCKET"),
];

/// It is read off the other arguments and has none of its own.
impl clap::Args for Said {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}

impl FromArgMatches for Said {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let from = |id, source| matches.try_contains_id(id).is_ok() && matches.value_source(id) == Some(source);
        let typed: Vec<(&str, Self)> = WAYS.into_iter().filter(|(id, _)| from(id, ValueSource::CommandLine)).collect();
        if let Some((one, said)) = typed.first() {
            let other = typed.iter().find(|(_, other)| other != said);
            return other.map_or(Ok(*said), |(other, _)| {
                let (one, other) = (flag(one), flag(other));
                Err(conflict(&format!("`{one}` and `{other}` name two ways to ask: choose one")))
            });
        }
        let mut set = IN_ENVIRONMENT.into_iter().filter(|(id, _)| from(id, ValueSource::EnvVariable));
        let Some((one, variable)) = set.next() else { return Ok(Self::Nothing) };
        let other = set.next().filter(|(id, _)| *id != "socket");
        other.map_or_else(
            || Ok(WAYS.into_iter().find(|(id, _)| *id == one).map_or(Self::Nothing, |(_, said)| said)),
            |(other, another)| {
                let (one, other) = (flag(one), flag(other));
                Err(conflict(&format!("`{variable}` and `{another}` are both set: choose by `{one}` or `{other}`")))
            },
        )
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn flag(id: &str) -> String {
    format!("--{}", id.replace('_', "-"))
}

fn conflict(message: &str) -> clap::Error {
    clap::Error::raw(ErrorKind::ArgumentConflict, format!("{message}\n"))
}
