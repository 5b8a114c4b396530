//! Policy bundles and what they decide: loading, strict checks, evaluation by Cedar, and the permit that a decision
//! becomes. Does no I/O but reading a folder, and knows nothing of the journal, of tokens or of callers' connections.

mod answer;
mod approving;
pub mod bundle;
pub mod cases;
pub mod controls;
pub mod decide;
pub mod error;
pub mod explain;
pub mod format;
pub mod manifest;
mod nesting;
pub mod observe;
pub mod permit;
pub mod route;
pub mod rules;
pub mod signers;
pub mod without;

mod combine;
mod context;
mod detail;
mod expression;
mod glass;
mod monotone;
mod names;
mod reads;
mod registration;
mod schema;
mod slices;
mod structure;
mod words;
