//! The only room that sequences: one verb per file.
