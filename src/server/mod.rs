//! Wiring and drain.
