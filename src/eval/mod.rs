//! Folders of tasks and calls judged by the same code as requests.
