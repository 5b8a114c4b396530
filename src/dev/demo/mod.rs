//! The demo: the whole story over real gRPC and mutual TLS, told step by step to whoever listens, each step held against what
//! it should be. It prints nothing itself.

mod cast;
mod desk;
pub mod error;
mod evidence;
mod scene;
mod story;

use std::path::Path;

use crate::dev::broker::{DevBroker, DevOptions};
use crate::dev::demo::cast::Cast;
use crate::dev::demo::desk::ResourceServer;
use crate::dev::demo::error::DemoError;
use crate::dev::demo::scene::Scene;

/// Something that is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A chapter begins.
    Chapter(&'static str),
    /// A sentence in between.
    Remark(String),
    /// A step, and whether it went as it should.
    Step(Step),
}

/// One step of the story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Who did it.
    pub who: &'static str,
    /// What it was.
    pub what: String,
    /// What came of it, in a word.
    pub answer: String,
    /// Why, or what it means.
    pub why: String,
    /// False when something else should have come of it.
    pub held: bool,
}

/// How the demo ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// Steps that went as they should.
    pub held: usize,
    /// Steps that did not.
    pub failed: usize,
}

/// Who is told.
pub type Listener<'a> = Box<dyn FnMut(Told) + Send + 'a>;

/// Runs the demo; `program` is the `carnet` that is running, for the resource server's process.
///
/// # Errors
/// When something cannot be started or asked. A step that went otherwise than it should is told, and counted.
pub async fn run(program: &Path, listener: Listener<'_>) -> Result<Ending, DemoError> {
    let mut scene = Scene::new(listener);
    let broker = DevBroker::start(DevOptions::default()).await?;
    let told = play(program, &broker, &mut scene).await;
    broker.shutdown().await;
    told.map(|()| scene.ending())
}

async fn play(program: &Path, broker: &DevBroker, scene: &mut Scene<'_>) -> Result<(), DemoError> {
    let mut resource_server = ResourceServer::start(program, broker).await?;
    scene.remark(format!("broker           {}  {}", broker.address(), broker.spiffe_id()));
    scene.remark(format!(
        "resource server  {}  a process of its own, pid {}",
        resource_server.address(),
        resource_server.pid()
    ));
    let cast = Cast::assemble(broker).await?;
    let kept = evidence::Kept::take(broker).await?;
    story::tell(scene, &cast, &mut resource_server).await?;
    evidence::check(scene, broker, &kept).await?;
    resource_server.end().await
}
