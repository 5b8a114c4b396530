//! Keys that are fetched, withheld, replaced and too old.

use std::sync::atomic::AtomicUsize;

use super::*;

struct Source {
    document: Result<String, ()>,
    asked: AtomicUsize,
}

impl Source {
    fn new(document: Result<&str, ()>) -> Self {
        Self { document: document.map(str::to_owned), asked: AtomicUsize::new(0) }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl FetchKeys for Source {
    fn fetch(&self) -> Pin<Box<dyn Future<Output = Result<String, FetchError>> + Send + '_>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.document.clone().map_err(|()| FetchError("down".into()));
        Box::pin(async move { answer })
    }
}

const KEY: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"a","use":"sig","alg":"Ed25519"}]}"#;
const COOLDOWN: Duration = Duration::from_secs(30);

fn settings() -> Settings {
    let mut settings = Settings::new("https://carnet.test".parse().unwrap(), "https://mail.test".parse().unwrap());
    settings.keys_age_max = Duration::from_secs(3600);
    settings.refresh_cooldown = COOLDOWN;
    settings
}

fn keys() -> (IssuerKeys, Clock) {
    let clock = Clock::manual(Timestamp::from_secs(1_790_000_000));
    (IssuerKeys::new(&settings(), clock.clone()), clock)
}

#[tokio::test]
async fn an_unknown_key_causes_one_fetch_in_a_while() {
    let (keys, clock) = keys();
    let source = Source::new(Ok(KEY));
    keys.refresh(&source).await.unwrap();
    for _ in 0..10 {
        assert!(matches!(keys.find("b"), Err(Refusal::KeyUnknown)));
        assert!(matches!(keys.refresh(&source).await, Err(RefreshError::Cooldown)));
    }
    assert_eq!(source.asked(), 1);
    clock.advance(COOLDOWN);
    keys.refresh(&source).await.unwrap();
    assert_eq!(source.asked(), 2);
    assert!(keys.find("a").is_ok());
}

#[tokio::test]
async fn keys_that_are_too_old_verify_nothing() {
    let (keys, clock) = keys();
    assert!(matches!(keys.find("a"), Err(Refusal::KeysStale)), "none at first");
    keys.install(KEY).unwrap();
    clock.advance(Duration::from_secs(3600));
    assert!(keys.find("a").is_ok(), "control");
    clock.advance(Duration::from_millis(1));
    assert!(matches!(keys.find("a"), Err(Refusal::KeysStale)));
    assert!(matches!(keys.refresh(&Source::new(Err(()))).await, Err(RefreshError::Fetch(_))));
    assert!(matches!(keys.find("a"), Err(Refusal::KeysStale)), "a failed fetch makes nothing younger");
}

#[tokio::test]
async fn an_issuer_without_keys_is_believed_and_nonsense_is_not() {
    let (keys, clock) = keys();
    keys.install(KEY).unwrap();
    clock.advance(COOLDOWN);
    assert!(matches!(keys.refresh(&Source::new(Ok("[]"))).await, Err(RefreshError::Malformed(_))));
    assert!(keys.find("a").is_ok(), "what was known stays");
    clock.advance(COOLDOWN);
    keys.refresh(&Source::new(Ok(r#"{"keys":[]}"#))).await.unwrap();
    assert!(matches!(keys.find("a"), Err(Refusal::KeyUnknown)));
}

#[test]
fn keys_are_fetched_again_within_a_minute_so_that_a_distrusted_one_is_gone() {
    let (keys, clock) = keys();
    assert_eq!(keys.pause(), COOLDOWN, "nothing is known yet");
    keys.install(KEY).unwrap();
    assert_eq!(keys.pause(), Duration::from_secs(60));
    clock.advance(Duration::from_secs(20));
    assert_eq!(keys.pause(), Duration::from_secs(40), "somebody else fetched them meanwhile");
    clock.advance(Duration::from_secs(600));
    assert_eq!(keys.pause(), COOLDOWN, "the last attempts failed");
}

#[test]
fn a_key_id_is_a_name_and_nothing_else() {
    let (keys, _) = keys();
    keys.install(KEY).unwrap();
    for id in ["", "A", "a ", "../a", "a' OR '1'='1", "https://evil.test/keys"] {
        assert!(matches!(keys.find(id), Err(Refusal::KeyUnknown)), "{id}");
    }
}
