//! The load generator: many agents over mutual TLS against a broker, embedded or elsewhere, and beside it, in the same run,
//! a bare tonic echo over as many connections, so that a figure means something on any machine.

pub mod error;
pub mod plan;
pub mod report;
pub mod run;

mod cost;
mod drive;
mod echo;
mod embedded;
mod errand;
mod record;
mod remote;
mod revoke;
mod site;
mod steps;
mod verify;
