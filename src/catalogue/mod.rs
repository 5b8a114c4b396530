//! Tools, effects, identity classes and owners, as loaded from a policy bundle.
