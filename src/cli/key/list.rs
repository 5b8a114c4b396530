//! `carnet key list`.

use crate::cli::error::{CliError, Exit};
use crate::cli::given::rfc3339;
use crate::cli::key::Folder;
use crate::cli::output::Output;
use crate::cli::output::value::Value;
use crate::clock::Clock;
use crate::mint::view::KeyView;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    folder: Folder,
}

pub(in crate::cli) fn run(args: &Args, out: Output) -> Result<Exit, CliError> {
    let ring = args.folder.open()?;
    let keys = ring.keys(Clock::system().now());
    out.rows(&["key", "algorithm", "state", "published", "signs_from"], keys.iter().map(key).collect())?;
    Ok(Exit::Done)
}

fn key(key: &KeyView) -> Value {
    Value::Fields(vec![
        ("key", key.id.to_string().into()),
        ("algorithm", key.algorithm.as_str().into()),
        ("state", key.state.as_str().into()),
        ("published", rfc3339(key.published).into()),
        ("signs_from", key.signs_from.map(rfc3339).into()),
        ("distrusted", key.distrusted.map(rfc3339).into()),
    ])
}
