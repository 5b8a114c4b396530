//! Bundles, evaluation, permits.
