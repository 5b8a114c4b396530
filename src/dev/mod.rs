//! The dev CA, its Workload API, and the demo.

pub mod ca;
pub mod workload_api;
