//! What commands print: data on stdout in the form that was asked for, prose on stderr. Colour only where a person looks, and
//! nothing that somebody else wrote reaches a terminal with its control characters.

pub(in crate::cli) mod paint;
mod table;
pub(in crate::cli) mod value;
mod yaml;

use std::io::{self, IsTerminal as _, Write as _};

use crate::cli::output::paint::Paint;
use crate::cli::output::value::Value;

/// The form of the data on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// Aligned, for eyes.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
}

/// Where a command prints.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Output {
    format: Format,
    paint: Paint,
}

impl Output {
    /// Prints in that form; colours when stdout is a terminal and `NO_COLOR` is not set.
    pub(in crate::cli) fn new(format: Format) -> Self {
        Self { format, paint: Paint::for_stream(io::stdout().is_terminal()) }
    }

    /// True when a person reads it.
    pub(in crate::cli) fn is_table(self) -> bool {
        self.format == Format::Table
    }

    /// How text is coloured on stdout.
    pub(in crate::cli) const fn paint(self) -> Paint {
        self.paint
    }

    /// Prints one object.
    pub(in crate::cli) fn record(self, value: &Value) -> io::Result<()> {
        match self.format {
            Format::Table => self.text(&table::record(value, self.paint)),
            Format::Json | Format::Yaml => self.document(value),
        }
    }

    /// Prints a list of objects; a table shows those of their fields that are named in `columns`.
    pub(in crate::cli) fn rows(self, columns: &[&str], rows: Vec<Value>) -> io::Result<()> {
        match self.format {
            Format::Table => self.text(&table::rows(columns, &rows, self.paint)),
            Format::Json | Format::Yaml => self.document(&Value::List(rows)),
        }
    }

    fn document(self, value: &Value) -> io::Result<()> {
        match self.format {
            Format::Yaml => self.text(&yaml::document(value)),
            Format::Json | Format::Table => {
                let json = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
                self.text(&(json + "\n"))
            }
        }
    }

    /// Prints text as it is.
    pub(in crate::cli) fn text(self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

/// Says something to the person at the terminal: on stderr, so that it never mixes with data. That nobody reads it is no error.
pub(in crate::cli) fn say(text: &str) {
    let _nobody_reads = writeln!(io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests;
