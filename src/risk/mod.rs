//! Risk: signals add up to a score, a score falls into a band of the identity class, a band sets a floor for the outcome.
//! Pure. Knows neither policies nor how evidence came about; a score is an input to policy and never the judge.

pub mod assess;
pub mod derive;
pub mod table;
