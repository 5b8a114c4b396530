//! Compiles the protobuf definitions, without protoc, and leaves a descriptor set for reflection and for tests. What merely reads
//! SVIDs needs none of them.

use std::error::Error;

#[cfg(feature = "verifier")]
const PROTOS: [&str; 14] = [
    "carnet/v1/common.proto",
    "carnet/v1/task.proto",
    "carnet/v1/credential.proto",
    "carnet/v1/revocation.proto",
    "carnet/v1/signal.proto",
    "carnet/v1/audit.proto",
    "carnet/v1/approval.proto",
    "carnet/v1/break_glass.proto",
    "carnet/v1/notification.proto",
    "carnet/v1/policy.proto",
    "carnet/v1/risk.proto",
    "carnet/v1/scorer.proto",
    "carnet/journal/v1/event.proto",
    "spiffe/workload.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    #[cfg(feature = "verifier")]
    definitions()?;
    Ok(())
}

#[cfg(feature = "verifier")]
fn definitions() -> Result<(), Box<dyn Error>> {
    use std::path::PathBuf;
    use std::{env, fs};

    use prost::Message as _;

    let descriptors = protox::compile(PROTOS, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("carnet.descriptors.bin"), descriptors.encode_to_vec())?;
    let mut wire = descriptors.clone();
    // What others serve is not told as our own.
    let is_ours = |name: &str| name.starts_with("carnet/v1/") && name != "carnet/v1/scorer.proto";
    wire.file.retain(|file| is_ours(file.name()) || file.name().starts_with("google/"));
    fs::write(out.join("carnet.wire.bin"), wire.encode_to_vec())?;
    tonic_prost_build::configure().build_transport(false).bytes(".carnet").compile_fds(descriptors)?;
    Ok(())
}
