//! What a listing says of its tools: names, descriptions and JSON schemas become effects, sinks, sensitive classes and the fields
//! that outsiders write. Rules with a reason, the same for every tool; none knows a tool by name.

pub mod mcp;
pub mod outsiders;
pub mod sensitive;
pub mod sinks;
pub mod text;

use crate::model::access::Effect;

/// How much harm a tool can do, 0 to 100, by what can be undone: a read of ordinary data 10, of sensitive data 30; a change 30;
/// what was sent can't be taken back, 50; what was deleted or paid neither, nor what was done with rights or by running
/// something, 60. Nothing reaches 70: a listing says nothing of who verified the initiator, which such tools would turn on.
#[must_use]
pub const fn privilege(effect: Effect, sensitive: bool) -> u8 {
    match effect {
        Effect::Read if sensitive => 30,
        Effect::Read => 10,
        Effect::Write => 30,
        Effect::Send => 50,
        Effect::Delete | Effect::Spend | Effect::Administer | Effect::Execute => 60,
    }
}
