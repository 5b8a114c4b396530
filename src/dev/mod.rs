//! The dev CA, its Workload API, and the demo.
