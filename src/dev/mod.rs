//! Development: a certificate authority, a Workload API, a broker on loopback that is built as `serve` builds one, and the demo
//! with its resource server. Nothing in here is meant to protect anything.

pub mod broker;
pub mod bundle;
pub mod ca;
pub mod demo;
pub mod error;
pub mod folder;
pub mod identities;
pub mod next_steps;
pub mod people;
pub mod resource_server;
pub mod workload_api;
pub mod world;
