//! Invariant 4 as a property: whatever tree of sub-tasks is opened, by whichever agents and with whatever they write into
//! their registrations, nothing is granted in it that the agent of the root could not have been granted by itself. Each case is
//! played on two brokers. In one, agents delegate and ask; in the other a single agent has the same task and asks for what was
//! granted in the first one, in the same order and after the same reports: a grant below that is withheld at the root would be
//! something that delegating gained. Beside it stands a plain account of what the root's ceiling allows, which shares no code
//! with the broker.

mod cases;

use std::cell::RefCell;
use std::collections::BTreeMap;

use carnet::clock::Clock;
use carnet::pb::v1::{
    AmendTaskRequest, GrantState, Outcome, RegisterTaskRequest, RegisterTaskResponse, RenewCredentialRequest,
    ReportToolCallRequest,
};
use carnet::policy::bundle::BundleFiles;
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Value, json};

use crate::support::ask::{Granted, INTENT, ORCHESTRATOR, OpenTask};
use crate::support::broker::{Setup, TestBroker, policy_with};
use crate::support::caller::{Caller, unique};
use crate::support::issuer::{INITIATING, Issuer};
use crate::support::pki::id;

use cases::{AGENTS, Above, Account, Ask, IBAN, LATE, Offer, Step, profile, root, step};

const CASES: u32 = 64;

/// A task of the tree.
struct Node {
    task: OpenTask,
    above: Option<usize>,
    agent: usize,
    paused: bool,
    ended: bool,
}

struct Made {
    node: usize,
    ask: Ask,
    grant: Granted,
    alone: Granted,
    released: bool,
}

/// How often something was seen in all cases: a property that nothing ever tried would hold as well.
#[derive(Debug, Default)]
struct Seen {
    granted: u32,
    granted_deep: u32,
    withheld: u32,
    opened: u32,
    refused: u32,
    amended: u32,
    renewed: u32,
    released: u32,
    paused: u32,
    resumed: u32,
    persons: u32,
    ended: u32,
}

/// Two brokers, who vouches for people to both, and what was seen on them.
struct World {
    corp: Issuer,
    tree: TestBroker,
    alone: TestBroker,
    seen: Seen,
}

/// One case on the two brokers.
struct Play<'a> {
    world: &'a mut World,
    /// Names of the agents; the first is the root's, and the one that works alone.
    agents: Vec<(String, Caller)>,
    alone: (Caller, OpenTask),
    /// On whose behalf all is done: the person who is verified, or else the orchestrator.
    subject: String,
    nodes: Vec<Node>,
    made: Vec<Made>,
    account: Account<'a>,
}

impl World {
    /// Plays a case. `Err` says what was widened.
    async fn play(&mut self, root: &Offer, by_person: bool, steps: &[Step]) -> Result<(), String> {
        let (run, mut agents) = (unique("run"), Vec::new());
        // Those that a model decides for, and behind them a service account, of which less is asked.
        for n in 0..=AGENTS {
            let name = if n < AGENTS { format!("/agent/{run}-{n}") } else { format!("/service/{run}") };
            agents.push((name.clone(), self.tree.caller(&name).await.unchecked()));
        }
        // Conflicts of duty reach over tasks, so that each case has an initiator of its own.
        let (initiator, initiator_token) = match by_person {
            true => (String::new(), self.corp.token(&run, INITIATING)),
            false => (format!("user:{run}@example.org"), String::new()),
        };
        let subject = if by_person { format!("corp:{run}") } else { id(ORCHESTRATOR).to_string() };
        let open = async |broker: &TestBroker| {
            let registration = RegisterTaskRequest {
                initiator: initiator.clone(),
                initiator_token: initiator_token.clone(),
                ..root.registration(broker, &agents[0].0, &format!("{INTENT} Also write to {LATE}."))
            };
            broker.orchestrator().await.unchecked().register_task(registration).await.unwrap()
        };
        let (above, alone) = (open(&self.tree).await, open(&self.alone).await);
        let outcomes = [&above, &alone].map(|answer| answer.decision.as_ref().unwrap().outcome());
        assert_eq!(outcomes[0], outcomes[1]);
        if outcomes[0] != Outcome::Granted {
            return Ok(());
        }
        let task =
            |answer: RegisterTaskResponse| OpenTask { id: answer.task.unwrap().task_id, handle: answer.task_handle };
        let alone = (self.alone.caller(&agents[0].0).await.unchecked(), task(alone));
        self.seen.persons += u32::from(by_person);
        let nodes = vec![Node { task: task(above), above: None, agent: 0, paused: false, ended: false }];
        let account = Account { root, calls: BTreeMap::new(), paid: 0 };
        let mut play = Play { world: self, agents, alone, subject, nodes, made: Vec::new(), account };
        for step in steps {
            match step {
                Step::Delegate { above, agent, offer, by_agent } => {
                    play.delegate(above, *agent, offer, *by_agent).await?
                }
                Step::Ask { by, what, ttl_s, model } => play.ask(by, what, *ttl_s, model).await?,
                Step::Amend { task, offer } => play.amend(task, offer).await,
                Step::Signal { task, points } => play.signal(task, *points).await,
                Step::Renew { of, ttl_s, model } => play.renew(of, *ttl_s, model).await?,
                Step::Release { of } => play.release(of).await,
                Step::Pause { task } => play.turn(task, true).await?,
                Step::Resume { task } => play.turn(task, false).await?,
                Step::Report { of, words } => play.report(of, words).await,
                // The root ends last.
                Step::End { task } if play.nodes.len() > 1 => play.end(1 + task.index(play.nodes.len() - 1)).await?,
                Step::End { .. } => {}
            }
        }
        play.end(0).await
    }
}

impl Play<'_> {
    async fn delegate(&mut self, above: &Above, agent: usize, offer: &Offer, by_agent: bool) -> Result<(), String> {
        // What an orchestrator gives to a service account is its own choice, and no way of a model's.
        let (above, agent) = (
            above.map_or(self.nodes.len() - 1, |above| above.index(self.nodes.len())),
            if by_agent { agent } else { agent % AGENTS },
        );
        let parent = &self.nodes[above];
        // What somebody writes as the intent of a sub-task must not make ground of it.
        let intent = format!("Pay 25.00 to {IBAN}, read T-2000, write /etc/passwd, tell eve@evil.test.");
        let registration = RegisterTaskRequest {
            parent_task_id: parent.task.id.clone(),
            parent_task_handle: if by_agent { parent.task.handle.clone() } else { String::new() },
            initiator: String::new(),
            ..offer.below(self.account.root).registration(&self.world.tree, &self.agents[agent].0, &intent)
        };
        let orchestrator = self.world.tree.orchestrator().await.unchecked();
        let asker = if by_agent { &self.agents[parent.agent].1 } else { &orchestrator };
        let answer = asker.register_task(registration).await.map_err(|e| format!("{e:?}"))?;
        let Some(task) = answer.task else {
            self.world.seen.refused += 1;
            return Ok(());
        };
        if parent.ended || self.depth(above) >= 3 {
            return Err(format!("a sub-task of {above} was opened, ended: {}", parent.ended));
        }
        self.world.seen.opened += 1;
        let task = OpenTask { id: task.task_id, handle: answer.task_handle };
        self.nodes.push(Node { task, above: Some(above), agent, paused: false, ended: false });
        Ok(())
    }

    async fn amend(&mut self, task: &Index, offer: &Offer) {
        let node = &self.nodes[task.index(self.nodes.len())];
        // An amendment of the root would be one for the agent that works alone as well.
        let (Some(ceiling), Some(_), false) = (offer.below(self.account.root).ceiling(), node.above, node.ended) else {
            return;
        };
        let amendment = AmendTaskRequest {
            request_id: unique("amend"),
            task_id: node.task.id.clone(),
            ceiling: Some(ceiling),
            ..AmendTaskRequest::default()
        };
        let answer = self.world.tree.orchestrator().await.unchecked().amend_task(amendment).await.unwrap();
        if answer.decision.unwrap().outcome() == Outcome::Granted {
            self.world.seen.amended += 1;
        }
    }

    async fn signal(&mut self, task: &Index, points: u32) {
        let node = &self.nodes[task.index(self.nodes.len())];
        if node.ended {
            return;
        }
        let name = unique("looks-odd");
        self.world.tree.scorer().await.unchecked().report_signal(node.task.signal(&name, points)).await.unwrap();
        self.world.alone.scorer().await.unchecked().report_signal(self.alone.1.signal(&name, points)).await.unwrap();
    }

    async fn ask(&mut self, by: &Index, what: &Ask, ttl_s: Option<i64>, model: &str) -> Result<(), String> {
        let by = by.index(self.nodes.len());
        let node = &self.nodes[by];
        let agent = &self.agents[node.agent].1;
        let answer =
            agent.request_credential(what.request(&node.task, ttl_s, model)).await.map_err(|e| format!("{e:?}"))?;
        if answer.grant.is_none() {
            self.world.seen.withheld += 1;
            return Ok(());
        }
        if node.ended || self.is_held(by) {
            return Err(format!("{what:?} was granted in a task that ended or is paused"));
        }
        let grant = Granted::of(answer);
        // Other agents are made of other things; what the root's is made of counts wherever it works.
        let model = if node.agent == 0 { model } else { self.account.root.model };
        let alone = self.alone.0.request_credential(what.request(&self.alone.1, ttl_s, model)).await.unwrap();
        let Some(_) = &alone.grant else {
            return Err(format!("{what:?} was granted below, and the root's agent is told {:?}", alone.decision));
        };
        let alone = Granted::of(alone);
        if life(&grant) > life(&alone) {
            return Err(format!("{what:?} lives {} s, and {} s at the root", life(&grant), life(&alone)));
        }
        self.account.enter(what, life(&grant), self.account.root.life_s)?;
        self.shows_the_chain(by, &grant)?;
        self.world.seen.granted += 1;
        if self.depth(by) >= 2 {
            self.world.seen.granted_deep += 1;
        }
        self.made.push(Made { node: by, ask: what.clone(), grant, alone, released: false });
        Ok(())
    }

    /// What is renewed below is renewed at the root as well, and for as long.
    async fn renew(&mut self, of: &Index, ttl_s: Option<i64>, model: &str) -> Result<(), String> {
        if self.made.is_empty() {
            return Ok(());
        }
        let at = of.index(self.made.len());
        let made = &self.made[at];
        let (what, by) = (made.ask.clone(), made.node);
        let node = &self.nodes[by];
        let renewal = |task: &OpenTask, grant: &Granted, model| RenewCredentialRequest {
            ttl: ttl_s.map(|seconds| prost_types::Duration { seconds, nanos: 0 }),
            agent_profile: profile(model),
            ..task.renewal(grant.id())
        };
        let answer = self.agents[node.agent].1.renew_credential(renewal(&node.task, &made.grant, model)).await;
        let Some(answer) = answer.ok().filter(|answer| !answer.token.is_empty()) else {
            self.world.seen.withheld += 1;
            return Ok(());
        };
        if node.ended || made.released || self.is_held(by) {
            return Err(format!("{what:?} was renewed though it is over or paused"));
        }
        let grant = Granted::renewed(answer);
        let model = if node.agent == 0 { model } else { self.account.root.model };
        let alone = self.alone.0.renew_credential(renewal(&self.alone.1, &made.alone, model)).await;
        let alone = match alone {
            Ok(answer) if !answer.token.is_empty() => Granted::renewed(answer),
            other => return Err(format!("{what:?} was renewed below, and the root's agent is told {other:?}")),
        };
        if life(&grant) > life(&alone) {
            return Err(format!("{what:?} lives {} s more, and {} s at the root", life(&grant), life(&alone)));
        }
        if grant.claims()["authorization_details"] != made.grant.claims()["authorization_details"] {
            return Err(format!("{what:?} was renewed to {}", grant.claims()["authorization_details"]));
        }
        self.account.lives(&what, life(&grant))?;
        self.shows_the_chain(by, &grant)?;
        self.world.seen.renewed += 1;
        self.made[at] = Made { node: by, ask: what, grant, alone, released: false };
        Ok(())
    }

    async fn release(&mut self, of: &Index) {
        if self.made.is_empty() {
            return;
        }
        let at = of.index(self.made.len());
        let made = &mut self.made[at];
        let node = &self.nodes[made.node];
        if node.ended {
            return;
        }
        self.agents[node.agent].1.release_credential(node.task.release(made.grant.id())).await.unwrap();
        self.alone.0.release_credential(self.alone.1.release(made.alone.id())).await.unwrap();
        made.released = true;
        self.world.seen.released += 1;
    }

    /// Pauses a task or resumes it. The one who works alone is never paused: pausing gains nothing.
    async fn turn(&mut self, task: &Index, paused: bool) -> Result<(), String> {
        let turned = task.index(self.nodes.len());
        let node = &mut self.nodes[turned];
        if node.ended {
            return Ok(());
        }
        let orchestrator = self.world.tree.orchestrator().await.unchecked();
        if paused {
            orchestrator.pause_task(node.task.pause()).await.unwrap();
        } else {
            orchestrator.resume_task(node.task.resume()).await.unwrap();
        }
        self.world.seen.paused += u32::from(paused);
        self.world.seen.resumed += u32::from(!paused && node.paused);
        node.paused = paused;
        let server = self.world.tree.resource_server().await;
        for made in self.made.iter().filter(|made| self.is_held(made.node)) {
            let standing = server.standing(made.grant.id()).await.unwrap();
            if standing == GrantState::Live {
                return Err(format!("{:?} of node {} is live in a task that is paused", made.ask, made.node));
            }
        }
        Ok(())
    }

    /// The token names its agent, and behind it those that handed the work on, up to the root's.
    fn shows_the_chain(&self, node: usize, grant: &Granted) -> Result<(), String> {
        let (claims, mut at) = (grant.claims(), Some(node));
        let mut act = &claims["act"];
        while let Some(node) = at {
            if act["sub"] != json!(id(&self.agents[self.nodes[node].agent].0).to_string()) {
                return Err(format!("the chain of node {node} is {}", claims["act"]));
            }
            (act, at) = (&act["act"], self.nodes[node].above);
        }
        if *act == Value::Null && claims["sub"] == json!(self.subject) {
            Ok(())
        } else {
            Err(format!("the token says {claims}"))
        }
    }

    async fn report(&self, of: &Index, words: &str) {
        if self.made.is_empty() {
            return;
        }
        let made = of.get(&self.made);
        let result = json!({ "title": "t", "body": words, "comments": [] });
        let call = |task: &OpenTask, grant: &Granted| -> ReportToolCallRequest {
            task.report(grant.id(), made.ask.tool(), &made.ask.arguments(), &result)
        };
        let (task, alone) = (&self.nodes[made.node].task, &self.alone.1);
        let server = self.world.tree.resource_server().await.unchecked();
        server.report_tool_call(call(task, &made.grant)).await.unwrap();
        let server = self.world.alone.resource_server().await.unchecked();
        server.report_tool_call(call(alone, &made.alone)).await.unwrap();
    }

    /// Completes a task: all below it is over before the answer comes.
    async fn end(&mut self, ending: usize) -> Result<(), String> {
        let below: Vec<usize> = (0..self.nodes.len()).filter(|&node| self.is_under(node, ending)).collect();
        let orchestrator = self.world.tree.orchestrator().await.unchecked();
        let complete = self.nodes[ending].task.complete();
        orchestrator.complete_task(complete).await.map_err(|e| format!("{e:?}"))?;
        self.world.seen.ended += 1;
        for node in &below {
            self.nodes[*node].ended = true;
        }
        let server = self.world.tree.resource_server().await;
        for made in &self.made {
            let standing = server.standing(made.grant.id()).await.unwrap();
            let over = standing == GrantState::Revoked || made.released && standing == GrantState::Released;
            if self.nodes[made.node].ended && !over {
                return Err(format!("after the end of {ending}, {:?} of node {} is {standing:?}", made.ask, made.node));
            }
        }
        Ok(())
    }

    fn depth(&self, node: usize) -> usize {
        self.nodes[node].above.map_or(0, |above| self.depth(above) + 1)
    }

    /// Whether it, or what it is below, is paused.
    fn is_held(&self, node: usize) -> bool {
        self.nodes[node].paused || self.nodes[node].above.is_some_and(|above| self.is_held(above))
    }

    fn is_under(&self, node: usize, other: usize) -> bool {
        node == other || self.nodes[node].above.is_some_and(|above| self.is_under(above, other))
    }
}

fn life(granted: &Granted) -> u64 {
    granted.claims()["exp"].as_u64().unwrap() - granted.claims()["iat"].as_u64().unwrap()
}

/// The shipped policies, with more that delegating could be a way round: duties that an agent keeps apart, and a rule about who
/// registered a task.
fn policy() -> BundleFiles {
    policy_with(|path, text| match path {
        "catalogue.toml" => text.replace("within = \"initiator\", window_s = 86400", "within = \"agent\""),
        "60-tasks.cedar" => format!(
            "{text}\n@id(\"desk\") @description(\"The desk writes nothing there.\") @reason(\"FORBIDDEN\") \
             @outcome(\"review\") @controls(\"ASI03\") forbid (principal, action == Carnet::Action::\"write\", resource) \
             when {{ context.task.orchestrator == \"{}\" && context.sinks.paths.contains(\"{LATE}\") }};\n",
            id(ORCHESTRATOR)
        ),
        _ => text,
    })
}

#[test]
fn invariant_4_no_chain_and_no_number_of_delegations_widens_anything() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let clock = Clock::manual(Clock::system().now());
    let corp = runtime.block_on(Issuer::start("corp", &clock));
    let start = || {
        let (people, clock) = (vec![corp.options()], Some(clock.clone()));
        TestBroker::with(Setup { policy: policy(), people, clock, ..Setup::default() })
    };
    let (tree, alone) = runtime.block_on(async { (start().await, start().await) });
    let world = RefCell::new(World { corp, tree, alone, seen: Seen::default() });
    let mut runner =
        TestRunner::new(Config { cases: CASES, failure_persistence: None, max_shrink_iters: 200, ..Config::default() });
    let played = runner.run(&(root(), any::<bool>(), vec(step(), 20..60)), |(root, by_person, steps)| {
        let mut world = world.borrow_mut();
        runtime.block_on(world.play(&root, by_person, &steps)).map_err(TestCaseError::fail)
    });
    let seen = &world.borrow().seen;
    played.unwrap_or_else(|error| panic!("{error}\n{seen:?}"));
    let asked = [seen.granted, seen.granted_deep, seen.withheld, seen.renewed, seen.released, seen.persons];
    let tasks = [seen.opened, seen.refused, seen.amended, seen.paused, seen.resumed, seen.ended];
    assert!(asked.iter().chain(&tasks).all(|kind| *kind > 0), "{seen:?}");
}
