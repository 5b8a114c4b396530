//! The HTTPS edge: JWKS, health, metrics.
