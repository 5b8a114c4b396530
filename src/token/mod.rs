//! The format of tokens.
