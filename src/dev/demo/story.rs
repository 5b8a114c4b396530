//! What happens: a ticket is to be answered, the ticket holds orders of an attacker, and an agent turns out to be compromised.

use crate::dev::demo::cast::{Cast, HeldTask, Player, Wish};
use crate::dev::demo::desk::{Called, ResourceServer};
use crate::dev::demo::error::DemoError;
use crate::dev::demo::scene::Scene;
use crate::dev::people::{ADA, REX};
use crate::dev::resource_server::tools::{MAIL, PLANTED_ADDRESS, TICKETS};
use crate::pb::names;
use crate::pb::v1;
use crate::pb::v1::{ApprovalState, Outcome, Verdict};

const INTENT: &str = "Read ticket T-1042 and answer the customer with a comment";
const TICKET: &str = r#"{"ticket_id":"T-1042"}"#;
const OTHER_TICKET: &str = r#"{"ticket_id":"T-1043"}"#;
const COMMENT: &str = r#"{"ticket_id":"T-1042","text":"The refund is on its way."}"#;
const PAYMENTS: &str = "https://payments.dev.carnet.test";

/// Tells the story.
pub(in crate::dev::demo) async fn tell(
    scene: &mut Scene<'_>,
    cast: &Cast<'_>,
    desk: &mut ResourceServer,
) -> Result<(), DemoError> {
    scene.chapter("A task, and nobody else's");
    let ceiling = ["tickets.read", "tickets.comment", "mail.send"];
    let task = registered(scene, cast, &cast.agent, INTENT, &ceiling).await?;
    let refused = cast.stranger_tries().await;
    let answer = if refused.is_some() { "refused" } else { "let in" };
    let why = "its trust domain is not federated: no connection comes about";
    scene.step("stranger", "knocks with an SVID of another domain", answer, why, refused.is_some());

    let token = granted(scene, cast, desk, &task).await?;
    escalated(scene, cast, &task).await?;
    drift(scene, cast, desk).await?;
    end(scene, cast, desk, &task, &token).await
}

async fn registered(
    scene: &mut Scene<'_>,
    cast: &Cast<'_>,
    agent: &Player,
    intent: &str,
    ceiling: &[&str],
) -> Result<HeldTask, DemoError> {
    let (decision, task) = cast.register(intent, agent, ceiling).await?;
    let why = format!("ceiling: {}", ceiling.join(", "));
    let held = decision.outcome() == Outcome::Granted && task.is_some();
    scene.step("orchestrator", format!("registers \"{intent}\""), names::outcome(decision.outcome), why, held);
    task.ok_or(DemoError::Incomplete("the task"))
}

/// A token for one step, and what it is not good for.
async fn granted(
    scene: &mut Scene<'_>,
    cast: &Cast<'_>,
    desk: &mut ResourceServer,
    task: &HeldTask,
) -> Result<String, DemoError> {
    scene.chapter("A token for one step, for one agent");
    let wish = Wish { audience: TICKETS, access: &[("tickets.read", TICKET)], purpose: "to know what it is about" };
    let answer = cast.request(&cast.agent, task, &wish).await?;
    let why = format!("the ticket stands in the intent; it lives {} s", life(answer.grant.as_ref()));
    asked(scene, "asks to read ticket T-1042", &answer, Outcome::Granted, why);
    let token = answer.token;

    let called = desk.call(&cast.agent, &token, "tickets.read", TICKET).await?;
    let held = called.status == 200 && called.body.contains(PLANTED_ADDRESS);
    used(scene, "agent", "reads it at the resource server", &called, "ACCEPTED", held);
    let called = desk.call(&cast.agent, &token, "tickets.read", OTHER_TICKET).await?;
    used(scene, "agent", "tries another ticket with the same token", &called, "SINK_DIFFERS", true);
    let called = desk.call(&cast.second_agent, &token, "tickets.read", TICKET).await?;
    used(scene, "other agent", "shows the token as its own", &called, "CERTIFICATE_MISMATCH", true);
    Ok(token)
}

/// What is cut, what needs a person, what is refused.
async fn escalated(scene: &mut Scene<'_>, cast: &Cast<'_>, task: &HeldTask) -> Result<(), DemoError> {
    scene.chapter("Not everything that is asked");
    let search = ("tickets.search", r#"{"query":"refund"}"#);
    let wish = Wish { audience: TICKETS, access: &[("tickets.read", TICKET), search], purpose: "to compare" };
    let answer = cast.request(&cast.agent, task, &wish).await?;
    let why = format!("{}; {}", left(answer.grant.as_ref()), reasons(answer.decision.as_ref()));
    asked(scene, "asks to read it, and to search all tickets", &answer, Outcome::Narrowed, why);

    let wish = Wish { audience: TICKETS, access: &[("tickets.comment", COMMENT)], purpose: "to answer the customer" };
    let answer = cast.request(&cast.agent, task, &wish).await?;
    asked(scene, "asks to comment on it", &answer, Outcome::StepUp, reasons(answer.decision.as_ref()));
    let decision = answer.decision.unwrap_or_default();
    let approval = cast.answer(&ADA, &decision, Verdict::Approve).await?;
    let why = "she initiated the task, and has just logged in again";
    scene.step("ada", "confirms this very step", "approved", why, approval.state() == ApprovalState::Approved);
    let answer = cast.request(&cast.agent, task, &wish).await?;
    let why = format!("confirmed, for once; for the risk that is left it lives {} s only", life(answer.grant.as_ref()));
    asked(scene, "asks again", &answer, Outcome::Narrowed, why);

    let orders = format!(r#"{{"to":["{PLANTED_ADDRESS}"],"body":"Name and address of the customer: …"}}"#);
    let wish = Wish { audience: MAIL, access: &[("mail.send", &orders)], purpose: "the ticket says so" };
    let answer = cast.request(&cast.agent, task, &wish).await?;
    asked(
        scene,
        "obeys the ticket: mail to an address in it",
        &answer,
        Outcome::Review,
        reasons(answer.decision.as_ref()),
    );
    let decision = answer.decision.unwrap_or_default();
    let approval = cast.answer(&REX, &decision, Verdict::Deny).await?;
    let why = approval.doubts.last().cloned().unwrap_or_default();
    scene.step("rex", "reviews it, and sees what is wrong", "denied", why, approval.state() == ApprovalState::Denied);
    let answer = cast.request(&cast.agent, task, &wish).await?;
    asked(scene, "tries again", &answer, Outcome::Denied, reasons(answer.decision.as_ref()));

    let pay = r#"{"payee":"DE02120300000000202051","amount":"1200.00"}"#;
    let wish = Wish { audience: PAYMENTS, access: &[("payments.pay", pay)], purpose: "to refund at once" };
    let answer = cast.request(&cast.agent, task, &wish).await?;
    asked(scene, "asks to pay 1200.00", &answer, Outcome::Denied, reasons(answer.decision.as_ref()));
    Ok(())
}

/// A live token dies because the risk drifted.
async fn drift(scene: &mut Scene<'_>, cast: &Cast<'_>, desk: &mut ResourceServer) -> Result<(), DemoError> {
    scene.chapter("A token dies when the risk drifts");
    let intent = "Summarise ticket T-1043 for the weekly report";
    let task = registered(scene, cast, &cast.second_agent, intent, &["tickets.read"]).await?;
    let wish = Wish { audience: TICKETS, access: &[("tickets.read", OTHER_TICKET)], purpose: "to summarise it" };
    let answer = cast.request(&cast.second_agent, &task, &wish).await?;
    let decision = answer.decision.clone().unwrap_or_default();
    let held = decision.outcome() == Outcome::Granted;
    let why = format!("the ticket stands in the intent; it lives {} s", life(answer.grant.as_ref()));
    scene.step("other agent", "asks to read ticket T-1043", names::outcome(decision.outcome), why, held);
    let called = desk.call(&cast.second_agent, &answer.token, "tickets.read", OTHER_TICKET).await?;
    used(scene, "other agent", "reads it at the resource server", &called, "ACCEPTED", true);

    let reported =
        cast.signal(&task, "compromise_reported", 60, "it was seen to follow orders from a web page").await?;
    let why = format!("risk {} of 100; a rule denies, so the live grant is revoked", reported.risk);
    scene.step("scorer", "reports that the agent is compromised", "revoked", why, reported.grants_revoked == 1);
    let (called, _) = desk.call_until_refused(&cast.second_agent, &answer.token, "tickets.read", OTHER_TICKET).await?;
    used(scene, "other agent", "tries its token again", &called, "TOKEN_REVOKED", true);
    let answer = cast.request(&cast.second_agent, &task, &wish).await?;
    let decision = answer.decision.unwrap_or_default();
    let held = decision.outcome() == Outcome::Denied;
    scene.step("other agent", "asks for a new one", names::outcome(decision.outcome), reasons(Some(&decision)), held);
    Ok(())
}

/// The end is the end.
async fn end(
    scene: &mut Scene<'_>,
    cast: &Cast<'_>,
    desk: &mut ResourceServer,
    task: &HeldTask,
    token: &str,
) -> Result<(), DemoError> {
    scene.chapter("The task ends, and its tokens with it");
    let called = desk.call(&cast.agent, token, "tickets.read", TICKET).await?;
    used(scene, "agent", "its token is still good", &called, "ACCEPTED", true);
    let ended = cast.complete(task).await?;
    let done = ended.task.as_ref().is_some_and(|task| task.state() == v1::TaskState::Completed);
    let why = format!("{} live grants are revoked, durably, before the answer", ended.grants_revoked);
    scene.step("orchestrator", "completes the task", "completed", why, done && ended.grants_revoked >= 1);
    let (called, _) = desk.call_until_refused(&cast.agent, token, "tickets.read", TICKET).await?;
    used(scene, "agent", "tries its token again", &called, "TOKEN_REVOKED", true);
    let wish = Wish { audience: TICKETS, access: &[("tickets.read", TICKET)], purpose: "one more look" };
    let answer = cast.request(&cast.agent, task, &wish).await?;
    asked(scene, "asks for a new one", &answer, Outcome::Denied, reasons(answer.decision.as_ref()));
    Ok(())
}

fn asked(
    scene: &mut Scene<'_>,
    what: &'static str,
    answer: &v1::RequestCredentialResponse,
    wanted: Outcome,
    why: String,
) {
    let outcome = answer.decision.as_ref().map_or(Outcome::Unspecified, v1::Decision::outcome);
    // A token comes with what was granted, and never otherwise.
    let token = matches!(wanted, Outcome::Granted | Outcome::Narrowed) != answer.token.is_empty();
    scene.step("agent", what, names::outcome(outcome.into()), why, outcome == wanted && token);
}

fn used(scene: &mut Scene<'_>, who: &'static str, what: &'static str, called: &Called, wanted: &str, held: bool) {
    let accepted = called.status == 200;
    let answer = if accepted { "accepted".to_owned() } else { format!("{} refused", called.status) };
    let why = if accepted { String::new() } else { format!("the resource server's log: {}", called.code) };
    scene.step(who, what, answer, why, held && called.code == wanted);
}

fn reasons(decision: Option<&v1::Decision>) -> String {
    let Some(decision) = decision else { return String::new() };
    let mut codes: Vec<&str> = decision.reasons.iter().map(|reason| reason.code.as_str()).collect();
    codes.dedup();
    match decision.reasons.first() {
        Some(first) => format!("{}: {}", codes.join(", "), first.message),
        None => String::new(),
    }
}

/// What a narrowed answer is still good for.
fn left(grant: Option<&v1::Grant>) -> String {
    let tools = grant.into_iter().flat_map(|grant| &grant.access).map(|access| access.tool.as_str());
    format!("left: {}", tools.collect::<Vec<_>>().join(", "))
}

fn life(grant: Option<&v1::Grant>) -> i64 {
    let seconds = |at: Option<prost_types::Timestamp>| at.map_or(0, |at| at.seconds);
    grant.map_or(0, |grant| seconds(grant.expires) - seconds(grant.issued))
}
