//! Ceiling, provenance, taint, fit: pure.
