//! Wiring: a broker with its doors, from parts that are at hand (`start`) or from settings (`serve`), and its orderly end. It
//! decides nothing; whoever embeds a broker starts here.

mod descriptors;
pub mod doors;
pub mod error;
pub mod folder;
pub mod log;
pub mod operator;
mod people;
mod policy;
mod scorers;
pub mod serve;
pub mod start;
mod webhooks;
