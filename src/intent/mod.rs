//! Intent: what a task is for and what its family has seen, against what is asked: ceiling, provenance of sinks, taint,
//! fit of the intent, conflicts of duty, budgets. Pure: knows neither policies nor how reports and grants are recorded.
//!
//! [`judge::entries`] is what a broker and an evaluation both call; [`session::Session`] and [`usage::Usage`] are the folds
//! that it needs.

pub mod ceiling;
pub mod compare;
mod digests;
pub mod echo;
pub mod fit;
pub mod judge;
mod leaves;
mod refused;
pub mod session;
pub(crate) mod spelling;
pub mod task;
mod told;
mod trace;
pub mod usage;
mod walk;
pub(crate) mod words;
