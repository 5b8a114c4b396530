//! Counters and their names.
