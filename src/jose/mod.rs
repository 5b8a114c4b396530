//! The one strict door for every incoming JWT.
