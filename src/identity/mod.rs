//! SVIDs, trust bundles, the Workload API.
