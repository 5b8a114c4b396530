//! Scorers as they are written, and what is wrong with others.

use super::*;
use crate::config::settings::Settings;
use crate::config::tests::{self, LEAST};
use crate::config::{Environment, parse};

const SHIPPED: &str = include_str!("../../../deploy/config/carnet.toml");
const GRPC: &str = r#"
[[scorers]]
name = "fraud"
kind = "grpc"
target = "scorer.example.org:8443"
spiffe_id = "spiffe://example.org/scorer/fraud"
"#;
const CHAT: &str = r#"
[[scorers]]
name = "judge"
kind = "chat"
url = "https://llm.example.org/v1/chat/completions"
model = "judge-2"
"#;

fn read(scorers: &str) -> Settings {
    parse(&format!("{LEAST}{scorers}"), &Environment::new()).unwrap()
}

fn refused(scorers: &str) -> Vec<String> {
    tests::refused(&format!("{LEAST}{scorers}")).into_iter().map(|problem| problem.setting).collect()
}

#[test]
fn the_examples_load_and_the_first_shows_the_defaults() {
    let lines =
        SHIPPED.lines().skip_while(|l| !l.starts_with("# --- external scorers")).take_while(|l| !l.starts_with('['));
    let kept = lines.filter_map(|l| l.strip_prefix("#   ")).fold(String::new(), |text, line| text + line + "\n");
    let examples = read(&kept).scorers;
    let [fraud, judge] = examples.as_slice() else { panic!("{examples:?}") };
    assert_eq!(*fraud, read(GRPC).scorers[0]);
    assert_eq!(judge.trails, Ttl::from_secs(60).ok());
    assert!(matches!(&judge.kind, ScorerKind::Chat { api_key_file: Some(_), ca_file: Some(_), .. }));
    assert!(read("").scorers.is_empty());
}

#[test]
fn silence_counts_the_cap_unless_it_is_said_otherwise() {
    let of = |more: &str| read(&format!("{GRPC}{more}")).scorers.remove(0);
    let (plain, capped) = (of(""), of("points = 70\n"));
    assert_eq!((plain.points, plain.absent, plain.absent_reading), (40, 40, 0));
    assert_eq!((capped.points, capped.absent, capped.absent_reading), (70, 70, 0));
    let reading = of("absent = 30\neffects = [\"read\", \"send\"]\n");
    assert_eq!((reading.absent, reading.absent_reading), (30, 30));
    assert_eq!(of("effects = [\"read\"]\nabsent_reading = 5\n").absent_reading, 5);
    assert!(plain.effects.iter().all(|effect| effect.is_effectful()) && plain.effects.len() == 6);
}

#[test]
fn what_is_wrong_is_told_with_its_name() {
    let at = |name: &str, setting: &str| vec![format!("scorers `{name}`: {setting}")];
    for (more, setting) in [
        ("points = 0\n", "points"),
        ("points = 101\nabsent = 40\n", "points"),
        ("points = 20\nabsent = 21\n", "absent"),
        ("absent_reading = 41\n", "absent_reading"),
        ("effects = []\n", "effects"),
        ("deadline = \"11s\"\n", "deadline"),
        ("mode = \"trailing\"\ndeadline = \"3m\"\n", "deadline"),
        ("mode = \"later\"\n", "mode"),
        ("life_max = \"10s\"\n", "life_max"),
        ("mode = \"trailing\"\nlife_max = \"16m\"\n", "life_max"),
        ("mode = \"trailing\"\nlife_max = \"1500ms\"\n", "life_max"),
        ("at_once = 0\n", "at_once"),
        ("failures = 0\n", "failures"),
        ("pause = \"2h\"\n", "pause"),
    ] {
        assert_eq!(refused(&format!("{GRPC}{more}")), at("fraud", setting), "{more}");
    }
    assert_eq!(refused(&GRPC.replace("\"grpc\"", "\"soap\"")), at("fraud", "kind"));
    assert_eq!(refused(&GRPC.replace("spiffe://", "https://")), at("fraud", "spiffe_id"));
    assert_eq!(refused(&CHAT.replace("https://", "http://")), at("judge", "url"));
    assert_eq!(refused(&CHAT.replace("model = \"judge-2\"", "")), at("judge", "model"));
    assert_eq!(refused(&format!("{GRPC}model = \"m\"\n")), ["scorers `fraud`"]);
    assert_eq!(refused(&format!("{CHAT}target = \"a:1\"\n")), ["scorers `judge`"]);
    assert_eq!(refused(&format!("{GRPC}{GRPC}")), ["scorers `fraud`"], "it stands twice");
    assert_eq!(refused(&GRPC.replace("\"fraud\"", "\"scorer:x\"")), ["scorers `scorer:x`"]);
    let many: String = (0..9).map(|n| GRPC.replace("fraud\"\nkind", &format!("f{n}\"\nkind"))).collect();
    assert_eq!(refused(&many), ["scorers"]);
}
