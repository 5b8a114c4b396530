//! Amendments to more wait for people as requests do: what they are shown, what their answer is good for, and what becomes of a task
//! whose extension is taken back.

mod denied;
mod left;
mod races;
mod undone;

use carnet::audit::export::ExportWriter;
use carnet::audit::tree::Frontier;
use carnet::audit::verify::verify;
use carnet::model::facts::Facts;
use carnet::pb::journal as pb;
use carnet::pb::v1::target::Target;
use carnet::policy::bundle::{BundleFiles, PolicyBundle};
use carnet::policy::decide::decide;

use super::super::support::ask::{
    AGENT, ORCHESTRATOR, SECOND_AGENT, access, audience_of, ceiling, lifting, revocation,
};
use super::super::support::caller::unique;
use super::super::support::pki::id;
use super::*;

impl World {
    /// A task that Ann verifiedly initiated, under a ceiling of these tools, with who registered it and its agent.
    async fn under(&self, tools: &[&str]) -> (Caller, Caller, OpenTask) {
        let token = self.corp.token("1001", INITIATING);
        let registration = v1::RegisterTaskRequest { ceiling: Some(ceiling(tools)), ..self.initiated_by(token) };
        let orchestrator = self.broker.orchestrator().await;
        let task = orchestrator.open(registration).await;
        (orchestrator, self.broker.agent().await, task)
    }

    async fn sam(&self) -> Caller {
        self.corp("1006").await
    }
}

fn amendment(task: &OpenTask) -> v1::AmendTaskRequest {
    v1::AmendTaskRequest { request_id: unique("amend"), task_id: task.id.clone(), ..v1::AmendTaskRequest::default() }
}

fn to_tools(task: &OpenTask, tools: &[&str]) -> v1::AmendTaskRequest {
    v1::AmendTaskRequest { ceiling: Some(ceiling(tools)), ..amendment(task) }
}

/// The same under another request id.
fn anew(request: &v1::AmendTaskRequest) -> v1::AmendTaskRequest {
    v1::AmendTaskRequest { request_id: unique("amend"), ..request.clone() }
}

/// Asks for an amendment that waits for people.
async fn asked(orchestrator: &Caller, request: v1::AmendTaskRequest) -> v1::Decision {
    let answer = orchestrator.amend_task(request).await.unwrap();
    let decision = answer.decision.unwrap();
    assert!(matches!(decision.outcome(), Outcome::StepUp | Outcome::Review), "{decision:?}");
    assert!(!decision.approval_id.is_empty());
    decision
}

/// Asks for an amendment that is in force then.
async fn amended(orchestrator: &Caller, request: v1::AmendTaskRequest) -> (v1::Decision, v1::Task) {
    let answer = orchestrator.amend_task(request).await.unwrap();
    let decision = answer.decision.unwrap();
    assert_eq!(decision.outcome(), Outcome::Granted, "{decision:?}");
    (decision, answer.task.unwrap())
}

/// Asks for an amendment that is denied, and says why.
async fn denied(orchestrator: &Caller, request: v1::AmendTaskRequest) -> Vec<String> {
    let decision = orchestrator.amend_task(request).await.unwrap().decision.unwrap();
    assert_eq!(decision.outcome(), Outcome::Denied, "{decision:?}");
    codes(&decision)
}

/// The same ceiling, with what it says of a sink of one of its tools.
fn limiting(mut of: v1::Ceiling, tool: &str, sink: v1::SinkCeiling) -> v1::Ceiling {
    of.tools.iter_mut().find(|limits| limits.tool == tool).unwrap().sinks.push(sink);
    of
}

fn values(sink: &str, values: &[&str]) -> v1::SinkCeiling {
    let values = values.iter().map(ToString::to_string).collect();
    v1::SinkCeiling { sink: sink.to_owned(), values, ..v1::SinkCeiling::default() }
}

/// What the task's ceiling lists for a sink of a tool.
fn listed_for(task: &v1::Task, tool: &str, sink: &str) -> Vec<String> {
    let limits = task.ceiling.iter().flat_map(|ceiling| &ceiling.tools).find(|limits| limits.tool == tool);
    let sinks = limits.into_iter().flat_map(|limits| &limits.sinks);
    sinks.filter(|limits| limits.sink == sink).flat_map(|limits| limits.values.clone()).collect()
}

fn tools(task: &v1::Task) -> Vec<&str> {
    task.ceiling.iter().flat_map(|ceiling| &ceiling.tools).map(|tool| tool.tool.as_str()).collect()
}

fn back(decision: &v1::Decision) -> v1::WithdrawApprovalRequest {
    v1::WithdrawApprovalRequest { approval_id: decision.approval_id.clone(), reason: "by mistake".to_owned() }
}

async fn in_force(world: &World) -> Vec<pb::TaskAmended> {
    let events = world.broker.record.of_kind("task_amended").await.into_iter();
    let amended = events.filter_map(|event| match event.payload {
        Payload::TaskAmended(amended) => Some(amended),
        _ => None,
    });
    amended.filter(|amended| amended.applied).collect()
}

#[tokio::test]
async fn what_a_reviewer_approves_is_in_force_with_the_next_try_and_the_record_says_by_whom() {
    let world = World::new().await;
    let (orchestrator, agent, task) = world.under(&["tickets.read"]).await;
    assert_eq!(agent.withheld(task.writing()).await.0, Outcome::Denied);
    let more = to_tools(&task, &["tickets.read", "files.write"]);
    let decision = asked(&orchestrator, more.clone()).await;
    assert_eq!((decision.outcome(), codes(&decision)), (Outcome::Review, vec!["WIDENING_NEEDS_APPROVAL".to_owned()]));
    for again in [more.clone(), anew(&more)] {
        assert_eq!(asked(&orchestrator.again(), again).await.approval_id, decision.approval_id, "one question");
    }

    assert_eq!(refused(&world.ann().await, &decision).await, not_permitted("NOT_INDEPENDENT"), "who initiated it");
    assert_eq!(refused(&world.corp("1002").await, &decision).await, not_permitted("RIGHT_MISSING"));
    assert_eq!(refused(&orchestrator, &decision).await, not_permitted("METHOD_NOT_ALLOWED"), "who asks");
    let rae = world.rae().await;
    assert_eq!(approve(&rae, &decision).await.state(), ApprovalState::Approved);
    assert_eq!(agent.withheld(task.writing()).await.0, Outcome::Denied, "nothing has changed yet");
    let (granted, now) = amended(&orchestrator, more.clone()).await;
    assert_eq!(
        (granted.approval_id.as_str(), tools(&now)),
        (decision.approval_id.as_str(), vec!["tickets.read", "files.write"])
    );
    agent.granted(task.writing()).await;
    assert_eq!(state(&rae, &decision.approval_id).await, ApprovalState::Used);
    let (again, _) = amended(&orchestrator.again(), more).await;
    assert_eq!(again.decision_id, granted.decision_id, "the same answer to the same request");

    let operator = world.broker.operator().await;
    let record = operator.decision(&granted.decision_id).await.unwrap();
    assert_eq!((record.approved_by, record.approval_id), (vec!["rae@example.org".to_owned()], decision.approval_id));
    assert_eq!(record.amendment.unwrap().adds, ["reaches `files.write`"]);
    let facts: Facts = serde_json::from_str(&record.facts_json).unwrap();
    let replayed = decide(&PolicyBundle::load(shipped_policy()).unwrap(), &facts);
    assert_eq!(replayed.approval.map(|id| id.to_string()), Some(granted.approval_id), "it can be decided again");
    let search = v1::SearchEventsRequest {
        initiator: "ann@example.org".to_owned(),
        kind: "task_amended".to_owned(),
        ..v1::SearchEventsRequest::default()
    };
    let found = operator.audit().search_events(search).await.unwrap().into_inner().events;
    let told: Vec<_> = found.iter().map(|event| event.summary.as_str()).collect();
    assert!(told[0].contains("amended to more by approval_") && told[1].contains("waits for people"), "{told:?}");

    let export = world.broker.record.export(0).await;
    let mut writer = ExportWriter::new(Vec::new(), &Frontier::default()).unwrap();
    export.events.iter().for_each(|event| writer.event(&event.stored).unwrap());
    let checkpoint = operator.audit().get_checkpoint(v1::GetCheckpointRequest {}).await.unwrap().into_inner();
    let file = writer.finish(&export.checkpoint).unwrap();
    verify(file.as_slice(), &checkpoint.verifier_key.parse().unwrap(), 0, None).unwrap();
}

#[tokio::test]
async fn who_is_asked_sees_what_the_task_has_and_what_it_would_have() {
    let world = World::new().await;
    let (orchestrator, _, task) = world.under(&["tickets.read", "mail.send"]).await;
    let before = orchestrator.task(&task.id, "").await.unwrap().deadline.unwrap();
    let later = world.broker.at(Duration::from_secs(7200));
    let more = v1::AmendTaskRequest { deadline: Some(later), ..to_tools(&task, &["tickets.read", "files.write"]) };
    let decision = asked(&orchestrator, more).await;

    let rae = world.rae().await;
    let shown = get(&rae, &decision.approval_id).await.unwrap();
    assert!(shown.would_amend && shown.would_cover.is_empty() && shown.ttl_max_s == 0, "{shown:?}");
    let whole = shown.record.unwrap().amendment.unwrap();
    assert_eq!(whole.asked_by, id(ORCHESTRATOR).to_string());
    assert_eq!((whole.deadline_before.unwrap(), whole.deadline.unwrap()), (before, later));
    let named = |ceiling: Option<v1::Ceiling>| -> Vec<String> {
        ceiling.into_iter().flat_map(|ceiling| ceiling.tools).map(|tool| tool.tool).collect()
    };
    assert_eq!(named(whole.ceiling_before), ["tickets.read", "mail.send"]);
    assert_eq!(named(whole.ceiling), ["tickets.read", "files.write"]);
    let approval = shown.approval.unwrap();
    assert_eq!((approval.initiator.as_str(), approval.initiator_verified), ("ann@example.org", true));
    assert!(approval.may_approve && approval.may_deny && approval.doubts[0].contains("approv"), "{approval:?}");
    let waiting = listed(&rae, ApprovalState::Pending).await;
    let brief = waiting[0].amendment.clone().unwrap();
    assert_eq!(
        (brief.adds, brief.takes),
        (vec!["reaches `files.write`".to_owned()], vec!["reaches `mail.send`".to_owned()])
    );
    assert_eq!((brief.deadline_before, brief.deadline), (Some(before), Some(later)));
    assert_eq!(waiting.len(), 1);
}

#[tokio::test]
async fn a_denial_stands_for_what_would_be_added_whatever_is_asked_for_with_it() {
    let world = World::new().await;
    let (orchestrator, _, task) = world.under(&["tickets.read"]).await;
    let more = to_tools(&task, &["tickets.read", "files.write"]);
    let decision = asked(&orchestrator, more.clone()).await;
    assert_eq!(answer(&world.rae().await, &decision, Verdict::Deny).await.unwrap().state(), ApprovalState::Denied);
    let first = |codes: Vec<String>| codes[0].clone();
    assert_eq!(first(denied(&orchestrator, more.clone()).await), "APPROVAL_DENIED");
    let and_more = to_tools(&task, &["tickets.read", "tickets.search", "files.write"]);
    assert_eq!(first(denied(&orchestrator, and_more).await), "APPROVAL_DENIED", "with something else");
    let (_, _, other) = world.under(&["tickets.search"]).await;
    let elsewhere = to_tools(&other, &["tickets.search", "files.write"]);
    assert_eq!(first(denied(&orchestrator, elsewhere).await), "APPROVAL_DENIED", "in another task");
    // A change for nothing in between does not make it another question.
    amended(
        &orchestrator,
        v1::AmendTaskRequest { deadline: Some(world.broker.at(Duration::from_secs(1500))), ..amendment(&task) },
    )
    .await;
    assert_eq!(first(denied(&orchestrator, anew(&more)).await), "APPROVAL_DENIED");
    asked(&orchestrator, to_tools(&task, &["tickets.read", "tickets.search"])).await;

    let longer =
        |secs| v1::AmendTaskRequest { deadline: Some(world.broker.at(Duration::from_secs(secs))), ..amendment(&task) };
    let decision = asked(&orchestrator, longer(7200)).await;
    answer(&world.rae().await, &decision, Verdict::Deny).await.unwrap();
    assert_eq!(first(denied(&orchestrator, longer(7199)).await), "APPROVAL_DENIED", "a little less of it");

    world.broker.advance(ApprovalSettings::default().denial_stands);
    let next = asked(&orchestrator, anew(&more)).await;
    assert_ne!(next.approval_id, decision.approval_id);
}

#[tokio::test]
async fn an_approval_is_good_for_the_very_amendment_of_the_task_as_it_was_shown() {
    let world = World::new().await;
    let (orchestrator, _, task) = world.under(&["tickets.read", "tickets.search"]).await;
    let more = to_tools(&task, &["tickets.read", "tickets.search", "files.write"]);
    let decision = asked(&orchestrator, more.clone()).await;
    let rae = world.rae().await;
    approve(&rae, &decision).await;
    let other = to_tools(&task, &["tickets.read", "tickets.search", "files.write", "calendar.list"]);
    let other = asked(&orchestrator, other).await;
    assert_ne!(other.approval_id, decision.approval_id, "something else is another question");
    let also_longer =
        v1::AmendTaskRequest { deadline: Some(world.broker.at(Duration::from_secs(7200))), ..anew(&more) };
    assert_ne!(asked(&orchestrator, also_longer).await.approval_id, decision.approval_id);

    // The task is not what they were shown any more.
    amended(&orchestrator, to_tools(&task, &["tickets.read"])).await;
    for closed in [&decision, &other] {
        assert_eq!(state(&rae, &closed.approval_id).await, ApprovalState::Closed);
    }
    assert_eq!(refused(&rae, &other).await.1, "APPROVAL_CLOSED");
    let next = asked(&orchestrator, anew(&more)).await;
    assert_ne!(next.approval_id, decision.approval_id);

    // Under another bundle it counts no more.
    approve(&rae, &next).await;
    let bundle = policy_with(|path, text| if path == "risk.toml" { format!("{text}\n# changed\n") } else { text });
    world.broker.activate(&bundle).await;
    let last = asked(&orchestrator, anew(&more)).await;
    assert_ne!(last.approval_id, next.approval_id);
    approve(&rae, &last).await;
    // Nor in a higher band.
    for (name, points) in [("anomaly", 45), ("injection_suspected", 45)] {
        world.broker.scorer().await.report_signal(task.signal(name, points)).await.unwrap();
    }
    assert_ne!(asked(&orchestrator, anew(&more)).await.approval_id, last.approval_id);
}

#[tokio::test]
async fn tries_at_the_same_time_use_an_approval_once() {
    let world = World::new().await;
    let (orchestrator, _, task) = world.under(&["tickets.read"]).await;
    let more = to_tools(&task, &["tickets.read", "files.write"]);
    approve(&world.rae().await, &asked(&orchestrator, more.clone()).await).await;
    let tries = (0..16).map(|_| {
        let (orchestrator, request) = (orchestrator.unchecked(), anew(&more));
        tokio::spawn(async move { orchestrator.amend_task(request).await.unwrap() })
    });
    for tried in tries.collect::<Vec<_>>() {
        let answer = tried.await.unwrap();
        // Who comes second asks for what the task has by then.
        assert_eq!(answer.decision.unwrap().outcome(), Outcome::Granted);
    }
    let applied = in_force(&world).await;
    let by_approval: Vec<bool> = applied.iter().map(|amended| !amended.approval_id.is_empty()).collect();
    assert_eq!(by_approval.iter().filter(|by| **by).count(), 1, "{by_approval:?}");
    assert!(by_approval[0] && applied[0].widened && applied[1..].iter().all(|amended| !amended.widened));
}

#[tokio::test]
async fn what_nobody_answers_is_denied_and_what_nobody_uses_lapses() {
    let settings = ApprovalSettings { answer_within: Duration::from_secs(60), ..ApprovalSettings::default() };
    let world = World::asking(settings).await;
    let (orchestrator, _, task) = world.under(&["tickets.read"]).await;
    let more = to_tools(&task, &["tickets.read", "files.write"]);
    let decision = asked(&orchestrator, more.clone()).await;
    world.broker.advance(Duration::from_secs(61));
    assert_eq!(denied(&orchestrator, anew(&more)).await[0], "APPROVAL_UNANSWERED", "before it is recorded");
    world.broker.sweep().await;
    assert_eq!(denied(&orchestrator, anew(&more)).await[0], "APPROVAL_UNANSWERED", "and after");
    assert_eq!(state(&world.rae().await, &decision.approval_id).await, ApprovalState::Unanswered);
    world.broker.advance(settings.denial_stands);
    let next = asked(&orchestrator, anew(&more)).await;
    approve(&world.rae().await, &next).await;
    world.broker.advance(settings.use_within);
    assert_eq!(state(&world.rae().await, &next.approval_id).await, ApprovalState::Lapsed);
    assert_ne!(asked(&orchestrator, anew(&more)).await.approval_id, next.approval_id);
    assert!(in_force(&world).await.is_empty());
}

#[tokio::test]
async fn a_sub_task_never_has_more_than_its_parent_whatever_people_say() {
    let world = World::new().await;
    let (orchestrator, agent, parent) = world.under(&["tickets.read", "files.write"]).await;
    let below = v1::RegisterTaskRequest {
        parent_task_id: parent.id.clone(),
        initiator: String::new(),
        ceiling: Some(ceiling(&["tickets.read"])),
        ..world.broker.task(INTENT)
    };
    let below = orchestrator.open(below).await;
    let beyond = to_tools(&below, &["tickets.read", "mail.send"]);
    assert!(denied(&orchestrator, beyond).await.contains(&"PARENT_EXCEEDED".to_owned()));
    let rae = world.rae().await;
    assert!(listed(&rae, ApprovalState::Pending).await.is_empty(), "nobody is asked");
    // Within the parent, people decide; once that has less, what they said is good for nothing.
    let within = to_tools(&below, &["tickets.read", "files.write"]);
    let decision = asked(&orchestrator, within.clone()).await;
    approve(&rae, &decision).await;
    amended(&orchestrator, to_tools(&parent, &["tickets.read"])).await;
    assert!(denied(&orchestrator, within).await.contains(&"PARENT_EXCEEDED".to_owned()));
    assert_eq!(agent.withheld(below.writing()).await.0, Outcome::Denied);
}

#[tokio::test]
async fn to_less_nobody_is_asked_however_odd_it_looks() {
    let world = World::new().await;
    let (orchestrator, _, task) = world.under(&["tickets.read", "mail.send", "files.write"]).await;
    for (name, points) in [("anomaly", 45), ("injection_suspected", 45)] {
        world.broker.scorer().await.report_signal(task.signal(name, points)).await.unwrap();
    }
    let (less, now) = amended(&orchestrator, to_tools(&task, &["tickets.read"])).await;
    assert!(less.band() >= v1::Band::High, "{less:?}");
    assert!(less.approval_id.is_empty() && tools(&now) == ["tickets.read"]);
    let sooner = v1::AmendTaskRequest { deadline: Some(world.broker.at(Duration::from_secs(60))), ..amendment(&task) };
    amended(&orchestrator, sooner).await;
    let more = asked(&orchestrator, to_tools(&task, &["tickets.read", "mail.send"])).await;
    assert!(codes(&more).len() > 1, "all that is doubtful is shown: {more:?}");
}

#[tokio::test]
async fn what_was_approved_outlives_a_restart() {
    let mut world = World::new().await;
    let (orchestrator, _, task) = world.under(&["tickets.read"]).await;
    let more = to_tools(&task, &["tickets.read", "files.write"]);
    let decision = asked(&orchestrator, more.clone()).await;
    world.broker.restart().await;
    let rae = world.rae().await;
    assert_eq!(listed(&rae, ApprovalState::Pending).await[0].approval_id, decision.approval_id);
    approve(&rae, &decision).await;
    world.broker.restart().await;
    let (granted, _) = amended(&world.broker.orchestrator().await, more).await;
    assert_eq!(granted.approval_id, decision.approval_id);
    world.broker.agent().await.granted(task.writing()).await;
}

/// The shipped bundle, in which the initiator confirms what is amended to more.
fn confirmed() -> BundleFiles {
    let policy = policy_with(|path, text| match path {
        "60-tasks.cedar" => text.replace(
            "@reason(\"WIDENING_NEEDS_APPROVAL\")\n@outcome(\"review\")",
            "@reason(\"WIDENING_NEEDS_APPROVAL\")\n@outcome(\"step_up\")",
        ),
        _ => text,
    });
    assert_ne!(policy, shipped_policy());
    policy
}

#[tokio::test]
async fn reviewers_answer_for_an_initiator_who_confirms_no_amendment_in_time() {
    let after = Duration::from_secs(30);
    let approvals =
        ApprovalSettings { escalate_step_up: true, escalate_after: Some(after), ..ApprovalSettings::default() };
    let world = World::set_up(|_| {}, Setup { policy: confirmed(), approvals, ..Setup::default() }).await;
    let (orchestrator, agent, task) = world.under(&["tickets.read"]).await;
    let more = to_tools(&task, &["tickets.read", "files.write"]);
    let decision = asked(&orchestrator, more.clone()).await;
    assert_eq!(decision.outcome(), Outcome::StepUp);
    assert_eq!(refused(&world.rae().await, &decision).await, not_permitted("NOT_INITIATOR"));
    world.broker.advance(after);
    world.broker.sweep().await;
    let again = asked(&orchestrator, anew(&more)).await;
    assert_eq!(again.approval_id, decision.approval_id, "the same question");
    assert_eq!(refused(&world.ann().await, &decision).await, not_permitted("NOT_INDEPENDENT"), "a review");
    assert_eq!(approve(&world.rae().await, &decision).await.state(), ApprovalState::Approved);
    let (granted, _) = amended(&orchestrator, more).await;
    assert_eq!(granted.approval_id, decision.approval_id);
    agent.granted(task.writing()).await;
    // It is taken back like any other.
    world.rae().await.withdraw_approval(back(&decision)).await.unwrap();
    assert_eq!(tools(&orchestrator.task(&task.id, "").await.unwrap()), ["tickets.read"]);
}

#[tokio::test]
async fn the_initiator_confirms_a_step_up_and_nobody_else() {
    let world = World::set_up(|_| {}, Setup { policy: confirmed(), ..Setup::default() }).await;
    let (orchestrator, _, task) = world.under(&["tickets.read"]).await;
    let before = world.ann().await;
    let more = to_tools(&task, &["tickets.read", "files.write"]);
    let decision = asked(&orchestrator, more.clone()).await;
    assert_eq!(decision.outcome(), Outcome::StepUp);
    world.broker.advance(Duration::from_secs(2));
    let stale = (Code::Unauthenticated, "AUTHENTICATION_STALE".to_owned());
    assert_eq!(refused(&before, &decision).await, stale, "who authenticated before it was asked");
    assert_eq!(refused(&world.rae().await, &decision).await, not_permitted("NOT_INITIATOR"));
    approve(&world.ann().await, &decision).await;
    amended(&orchestrator, more).await;
    // Of a task whose initiator was only named it is a review.
    let named = v1::RegisterTaskRequest { ceiling: Some(ceiling(&["tickets.read"])), ..world.broker.task(INTENT) };
    let named = orchestrator.open(named).await;
    let decision = asked(&orchestrator, to_tools(&named, &["tickets.read", "files.write"])).await;
    assert_eq!(decision.outcome(), Outcome::Review);
}

#[tokio::test]
async fn who_answers_for_the_agent_or_for_who_asks_is_not_enough_alone() {
    for owned in ["/agent/*\"", "/orchestrator/**\""] {
        let policy = policy_with(|path, text| match path {
            "identities.toml" => {
                let (head, tail) = text.split_once(owned).unwrap();
                let (own, rest) = tail.split_once("[[identity]]").unwrap();
                let own: Vec<_> = own.lines().filter(|line| !line.starts_with("owner")).collect();
                format!("{head}{owned}\n{}\nowner = \"rae@example.org\"\n\n[[identity]]{rest}", own.join("\n"))
            }
            _ => text,
        });
        let world = World::set_up(|_| {}, Setup { policy, ..Setup::default() }).await;
        let (orchestrator, _, task) = world.under(&["tickets.read"]).await;
        let decision = asked(&orchestrator, to_tools(&task, &["tickets.read", "files.write"])).await;
        assert_eq!(approve(&world.rae().await, &decision).await.state(), ApprovalState::Pending, "{owned}");
        assert_eq!(approve(&world.sam().await, &decision).await.state(), ApprovalState::Approved, "{owned}");
    }
}

#[tokio::test]
async fn who_answers_for_an_agent_below_is_not_enough_alone_while_that_works() {
    let owned = format!("\n[[identity]]\npattern = \"{}\"\nclass = \"ai_agent\"\n", id(SECOND_AGENT));
    let policy = policy_with(|path, text| match path {
        "identities.toml" => format!("{text}{owned}owner = \"rae@example.org\"\n"),
        _ => text,
    });
    let world = World::set_up(|_| {}, Setup { policy, ..Setup::default() }).await;
    let (orchestrator, _, task) = world.under(&["tickets.read"]).await;
    let below = |parent: &OpenTask, agent: &str| v1::RegisterTaskRequest {
        parent_task_id: parent.id.clone(),
        initiator: String::new(),
        agent: id(agent).to_string(),
        ..world.broker.task(INTENT)
    };
    // Two steps down: what the root may, it may.
    let middle = orchestrator.open(below(&task, AGENT)).await;
    let helping = orchestrator.open(below(&middle, SECOND_AGENT)).await;
    let decision = asked(&orchestrator, to_tools(&task, &["tickets.read", "files.write"])).await;
    assert_eq!(approve(&world.rae().await, &decision).await.state(), ApprovalState::Pending);
    assert_eq!(approve(&world.sam().await, &decision).await.state(), ApprovalState::Approved);
    orchestrator.complete_task(helping.complete()).await.unwrap();
    let next = asked(&orchestrator, to_tools(&task, &["tickets.read", "tickets.search"])).await;
    assert_eq!(approve(&world.rae().await, &next).await.state(), ApprovalState::Approved, "it is over");
}

#[tokio::test]
async fn no_more_amendments_wait_than_may_and_a_block_of_who_asks_closes_them() {
    let settings = ApprovalSettings { pending_per_agent_max: 1, ..ApprovalSettings::default() };
    let world = World::asking(settings).await;
    let (orchestrator, agent, task) = world.under(&["tickets.read", "mail.send"]).await;
    let more = to_tools(&task, &["tickets.read", "mail.send", "files.write"]);
    let decision = asked(&orchestrator, more.clone()).await;
    let refused = orchestrator.amend_task(to_tools(&task, &["tickets.search"])).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (Code::FailedPrecondition, "TOO_MANY_PENDING"));
    // The places of the agent are its own, whoever orchestrates its tasks.
    let waits = pending(&agent, to_eve(&task)).await;
    let two = json!({ "to": ["mallory@evil.test"], "subject": "s", "body": "b" });
    let refused = agent.request_credential(task.step("mail.send", &two)).await.unwrap_err();
    assert_eq!(refused.reason, "TOO_MANY_PENDING");
    answer(&world.rae().await, &waits, Verdict::Deny).await.unwrap();
    approve(&world.rae().await, &decision).await;
    let operator = world.broker.operator().await;
    let blocked = Target::Agent(id(ORCHESTRATOR).to_string());
    operator.revoke(revocation(blocked.clone())).await.unwrap();
    assert_eq!(state(&world.rae().await, &decision.approval_id).await, ApprovalState::Closed);
    operator.lift_block(lifting(blocked)).await.unwrap();
    assert_ne!(asked(&orchestrator, anew(&more)).await.approval_id, decision.approval_id);
}
