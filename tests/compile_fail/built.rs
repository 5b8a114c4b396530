//! A permit is not put together from its parts.

use carnet::identity::caller::VerifiedCaller;
use carnet::model::decision::Decision;
use carnet::policy::permit::Permit;

pub fn builds(caller: VerifiedCaller, decision: Decision) {
    let _ = Permit { caller, decision }; //~ E0451
}
