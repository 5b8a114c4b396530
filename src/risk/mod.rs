//! Risk: signals add up to a score, a score falls into a band of the identity class, a band sets a floor for the outcome; and what
//! is usual for an identity, from which some of the signals follow;
//! what thresholds would have meant, and whether scores are what they were.
//! Pure. Knows neither policies nor how evidence came about; a score is an input to policy and never the judge.

pub mod assess;
pub mod behaviour;
pub mod beside;
pub mod calibrate;
pub mod derive;
pub mod drift;
pub mod table;
