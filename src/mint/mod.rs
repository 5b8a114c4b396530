//! Keys and their rotation, signing.
