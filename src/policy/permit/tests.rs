//! Only a decision that grants becomes a permit.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use super::*;
use crate::model::decision::Outcome;
use crate::model::risk::Assessment;
use crate::model::time::Ttl;

#[test]
fn only_a_grant_becomes_a_permit() {
    for outcome in Outcome::ALL {
        let decision = Decision {
            outcome,
            reasons: Vec::new(),
            policies: Vec::new(),
            entries: Vec::new(),
            risk: Assessment::default(),
            ttl_max: Ttl::from_secs(60).unwrap(),
            approvals_needed: 0,
            approval: None,
            glass: None,
            instead: None,
            unbound: false,
        };
        let caller = VerifiedCaller::stand_in("spiffe://td/agent");
        match Permit::from_decision(caller, decision.clone()) {
            Ok(permit) => {
                assert!(matches!(outcome, Outcome::Granted | Outcome::Narrowed));
                assert_eq!(permit.decision(), &decision);
                assert_eq!(permit.caller().spiffe_id().as_str(), "spiffe://td/agent");
            }
            Err(Refused(told)) => {
                assert!(matches!(outcome, Outcome::StepUp | Outcome::Review | Outcome::Denied));
                assert_eq!(*told, decision);
            }
        }
    }
}
