//! The end of the story: the record is taken away and checked without the broker, and a change of one byte is found.

use tonic::transport::Channel;

use crate::audit::export::ExportWriter;
use crate::audit::note::VerifierKey;
use crate::audit::tree::Frontier;
use crate::audit::verify::{VerifyError, verify};
use crate::dev::broker::DevBroker;
use crate::dev::demo::error::DemoError;
use crate::dev::demo::scene::Scene;
use crate::identity::client::connect_unix;
use crate::pb::v1::audit_service_client::AuditServiceClient;
use crate::pb::v1::export_events_response::Part;
use crate::pb::v1::{ExportEventsRequest, GetCheckpointRequest};

/// What was kept elsewhere before anything happened.
pub(in crate::dev::demo) struct Kept {
    key: VerifierKey,
    checkpoint: String,
    size: u64,
}

impl Kept {
    /// Takes a checkpoint and the log's public key from the broker.
    pub(in crate::dev::demo) async fn take(broker: &DevBroker) -> Result<Self, DemoError> {
        let mut client = AuditServiceClient::new(operator(broker).await?);
        let answer = client.get_checkpoint(GetCheckpointRequest {}).await?.into_inner();
        let key = answer.verifier_key.parse().map_err(DemoError::LogKey)?;
        Ok(Self { key, checkpoint: answer.checkpoint, size: answer.size })
    }
}

async fn operator(broker: &DevBroker) -> Result<Channel, DemoError> {
    Ok(connect_unix(&broker.operator_socket()).await?)
}

/// Exports the record, checks it, spoils it, and checks it again.
pub(in crate::dev::demo) async fn check(
    scene: &mut Scene<'_>,
    broker: &DevBroker,
    kept: &Kept,
) -> Result<(), DemoError> {
    scene.chapter("The record is checked without the broker");
    let mut export = export(operator(broker).await?).await?;
    let report = verify(export.as_slice(), &kept.key, 0, Some(&kept.checkpoint)).map_err(DemoError::Record)?;
    let events = report.head.size - report.from;
    scene.step(
        "reviewer",
        format!("verifies an export of {events} events offline"),
        "holds",
        format!("it continues the checkpoint kept at the start ({} events)", kept.size),
        report.kept == Some(kept.size) && events > kept.size,
    );
    // One bit in the middle, as a forger with access to the disk might change it.
    let middle = export.len() / 2;
    if let Some(byte) = export.get_mut(middle) {
        *byte ^= 1;
    }
    let spoiled = verify(export.as_slice(), &kept.key, 0, Some(&kept.checkpoint));
    let (answer, why) = match &spoiled {
        Ok(_) => ("holds", "the change went unnoticed".to_owned()),
        Err(error) => ("found", found(error)),
    };
    scene.step("forger", "changes one bit of the export", answer, why, spoiled.is_err());
    Ok(())
}

fn found(error: &VerifyError) -> String {
    match error {
        VerifyError::Root { .. } => "the events do not lead to the signed root".to_owned(),
        other => other.to_string(),
    }
}

async fn export(channel: Channel) -> Result<Vec<u8>, DemoError> {
    let mut client = AuditServiceClient::new(channel);
    let mut parts = client.export_events(ExportEventsRequest { from: 0, size: 0 }).await?.into_inner();
    let mut writer = ExportWriter::new(Vec::new(), &Frontier::default()).map_err(DemoError::Export)?;
    let mut checkpoint = None;
    while let Some(message) = parts.message().await? {
        match message.part {
            Some(Part::Event(event)) => writer.event(&event.stored).map_err(DemoError::Export)?,
            Some(Part::Checkpoint(note)) => checkpoint = Some(note),
            Some(Part::Beginning(_)) | None => {}
        }
    }
    let checkpoint = checkpoint.ok_or(DemoError::Incomplete("the checkpoint"))?;
    writer.finish(&checkpoint).map_err(DemoError::Export)
}
