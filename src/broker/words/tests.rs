//! What is recorded is written only when it reads back.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::sync::Arc;

use serde::{Deserializer, Serializer};

use super::*;
use crate::entropy::Entropy;
use crate::intent::usage::Amounts;
use crate::seal::sealer::{COMMON, KeyFiles};

/// Written as one thing, and read as another: a defect.
#[derive(Debug)]
struct Defect;

impl Serialize for Defect {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("twelve")
    }
}

impl<'de> Deserialize<'de> for Defect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u32::deserialize(deserializer).map(|_| Self)
    }
}

#[test]
fn words_that_do_not_read_back_are_not_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let files = KeyFiles { master_key: dir.path().join("master"), task_keys: dir.path().join("task-keys") };
    let sealer = Sealer::load(&files, Arc::new(crate::disk::RealDisk), Entropy::danger_seeded(1)).unwrap();
    let context = Context { kind: "draws", id: "1" };
    let refused = seal(&sealer, COMMON, context, &Defect).unwrap_err();
    assert!(matches!(refused, WordsError::Decode(_)), "{refused:?}");
    assert!(matches!(BrokerError::from(refused), BrokerError::Internal(_)));
    let sound: Amounts = vec![("amount".to_owned(), "0.1".parse().unwrap())];
    let sealed = seal(&sealer, COMMON, context, &sound).unwrap();
    assert_eq!(open::<Amounts>(&sealer, COMMON, context, &sealed).unwrap(), sound);
    let unread = seal_derived(&sealer, COMMON, context, &sound).unwrap();
    assert_eq!(open::<Amounts>(&sealer, COMMON, context, &unread).unwrap(), sound, "nor does it matter who looked");
}

#[test]
fn ceilings_that_were_recorded_without_what_of_them_is_ground_are_ground() {
    let amended: AmendWords = serde_json::from_str(r#"{"ceiling":{"tools":[]},"by_orchestrator":true}"#).unwrap();
    assert!(amended.by_orchestrator && amended.grounds.is_none() && amended.named_no_more.is_empty());
    let profile = serde_json::to_string(&AgentProfile::default()).unwrap();
    let words =
        format!(r#"{{"intent":"tidy up","ceiling":{{"tools":[]}},"by_orchestrator":true,"profile":{profile}}}"#);
    let mut words: TaskWords = serde_json::from_str(&words).unwrap();
    assert_eq!(words.declared(), words.ceiling.as_ref());
    let less = Ceiling::default();
    words.amend(AmendWords { grounds: Some(less.clone()), ..amended });
    assert_eq!(words.declared(), Some(&less));
    words.by_orchestrator = false;
    assert_eq!(words.declared(), None, "what an agent wrote declares nothing");
}
