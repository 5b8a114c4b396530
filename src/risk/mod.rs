//! Signals to score and band.
