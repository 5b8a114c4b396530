//! `carnet credential`: what agents ask for, one for each step of their task.

mod get;
mod release;
mod renew;
mod request;

pub(in crate::cli) use request::AccessArguments;

use std::path::{Path, PathBuf};

use crate::cli::arguments::{decided, settled};
use crate::cli::error::{CliError, Exit};
use crate::cli::given;
use crate::cli::output::value::Value;
use crate::cli::output::{Output, say};
use crate::cli::shown;
use crate::identity::presented::Presented;
use crate::pb::v1;

#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// Ask for a credential.
    Request(request::Args),
    /// Ask for a new token under a grant; decided again, and the old token dies.
    Renew(renew::Args),
    /// Give a grant back early.
    Release(release::Args),
    /// Show a grant; never its token.
    Get(get::Args),
}

pub(in crate::cli) async fn run(command: Command, out: Output) -> Result<Exit, CliError> {
    match command {
        Command::Request(args) => request::run(args, out).await,
        Command::Renew(args) => renew::run(args, out).await,
        Command::Release(args) => release::run(args, out).await,
        Command::Get(args) => get::run(args, out).await,
    }
}

/// Where the token goes.
#[derive(Debug, Clone, clap::Args)]
struct TokenPlace {
    /// Keep the token in this file, which only its owner may read, and do not print it.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Keep the certificate (PEM) that the token is bound to in this file, as `verify --certificate` takes it.
    #[arg(long, value_name = "FILE")]
    save_certificate: Option<PathBuf>,
}

impl TokenPlace {
    fn path(&self) -> Option<&Path> {
        self.save.as_deref()
    }

    /// Keeps the certificate that the answer came over, when it is asked for.
    fn keep_certificate(&self, presented: &Presented) -> Result<(), CliError> {
        let Some(path) = &self.save_certificate else { return Ok(()) };
        let pem =
            presented.pem().ok_or_else(|| CliError::local("the token is bound to no certificate: none was shown"))?;
        std::fs::write(path, pem).map_err(|error| CliError::because(format!("`{}`", path.display()), error))
    }
}

/// Shows what was decided, and the grant with its token where there is one.
fn show(
    decision: Option<v1::Decision>,
    grant: Option<&v1::Grant>,
    token: String,
    place: &TokenPlace,
    out: Output,
) -> Result<Exit, CliError> {
    let decision = decided(decision)?;
    let mut fields = vec![("decision", shown::decision(&decision))];
    if let Some(grant) = grant {
        fields.push(("grant", shown::grant(grant)));
        match place.path() {
            Some(path) => {
                given::keep_secret(path, &token)?;
                say(&format!("the token is kept in `{}`", path.display()));
            }
            None => fields.push(("token", token.into())),
        }
    }
    out.record(&Value::Fields(fields))?;
    Ok(settled(&decision, out))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;

    #[test]
    fn no_certificate_is_kept_of_a_door_that_asks_for_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("certificate.pem");
        let place = TokenPlace { save: None, save_certificate: Some(path.clone()) };
        let refused = place.keep_certificate(&Presented::default()).unwrap_err();
        assert!(refused.to_string().contains("bound to no certificate"), "{refused}");
        assert!(!path.exists());
    }
}
