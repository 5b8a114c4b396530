//! What people and agents wrote, encrypted per task.
