//! What a resource server's own record should hold of each check. Names come from tokens whose signature held, or not at
//! all; tokens, arguments and values never.

use super::refusal::Refusal;
use crate::model::id::{GrantId, Jti, TaskId, ToolName};
use crate::model::spiffe_id::SpiffeId;
use crate::model::time::Timestamp;
use crate::token::claims::Claims;

/// One check, told.
#[derive(Debug, Clone, Copy)]
pub struct Checked<'c> {
    /// When.
    pub time: Timestamp,
    /// `ACCEPTED`, or why not.
    pub code: &'static str,
    /// The tool that was called, as far as the check came to it.
    pub tool: Option<&'c ToolName>,
    /// Who and what for; `None` when no signature held.
    pub named: Option<Named<'c>>,
}

/// What the token names.
#[derive(Debug, Clone, Copy)]
pub struct Named<'c> {
    /// The token.
    pub jti: Jti,
    /// Its run.
    pub transaction: &'c str,
    /// Its task.
    pub task: TaskId,
    /// Its grant.
    pub grant: GrantId,
    /// Its agent.
    pub agent: &'c SpiffeId,
    /// On whose behalf.
    pub subject: &'c str,
}

/// Where checks are told; called in the course of the check, so it must not wait.
pub type AuditSink = Box<dyn Fn(&Checked<'_>) + Send + Sync>;

impl<'c> Checked<'c> {
    pub(super) fn new(
        time: Timestamp,
        claims: Option<&'c Claims>,
        tool: Option<&'c ToolName>,
        refusal: Option<&Refusal>,
    ) -> Self {
        let named = claims.map(|claims| Named {
            jti: claims.jti,
            transaction: &claims.txn,
            task: claims.task.id,
            grant: claims.task.grant,
            agent: &claims.client_id,
            subject: &claims.sub,
        });
        Self { time, code: refusal.map_or("ACCEPTED", Refusal::code), tool, named }
    }
}
