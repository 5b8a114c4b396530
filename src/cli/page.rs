//! Listings that come a page at a time.

use crate::cli::output::say;

/// Which part of a listing.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::cli) struct Page {
    /// How many at most; 0 takes the broker's default.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(in crate::cli) limit: u32,
    /// Go on where an earlier listing said.
    #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    pub(in crate::cli) page_token: String,
}

/// Says how to go on, where there is more.
pub(in crate::cli) fn say_more(next_page_token: &str) {
    if !next_page_token.is_empty() {
        say(&format!("there are more: --page-token {next_page_token}"));
    }
}
