//! What it takes to activate policy is said whole, or refused by its name.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use crate::config::policy::{PROPOSAL_STANDS_DEFAULT, PublicKeySource};
use crate::config::settings::Settings;
use crate::config::{ConfigError, Environment, parse};

const LEAST: &str = r#"
data_dir = "/d"
policy_dir = "/p"
issuer = "https://carnet.example.org"
[workloads]
trust_domains = ["example.org"]
endpoint_socket = "unix:///s"
"#;
const KEY: &str = "[[policy.signing_keys]]\nname = \"ada\"\npublic_key_file = \"/k/ada.pub\"\n";
const PEOPLE: &str = r#"
[people]
enabled = true
certificate_file = "/c"
key_file = "/k"
[[people.issuers]]
name = "corp"
issuer = "https://idp.example.org"
audience = "a"
"#;

fn person(n: u32, may: &str) -> String {
    format!(
        "[[people.persons]]\nname = \"p{n}\"\naccounts = [{{ issuer = \"corp\", subject = \"{n}\" }}]\nmay = [\"{may}\"]\n"
    )
}

fn parsed(more: &str) -> Settings {
    parse(&format!("{LEAST}{more}"), &Environment::new()).unwrap()
}

fn refused(more: &str) -> String {
    match parse(&format!("{LEAST}{more}"), &Environment::new()).unwrap_err() {
        ConfigError::Refused(problems) => {
            assert_eq!(problems.len(), 1, "{more}: {problems:?}");
            format!("{}: {}", problems[0].setting, problems[0].problem)
        }
        other => other.to_string(),
    }
}

#[test]
fn without_keys_nothing_is_signed_and_one_person_is_enough() {
    let policy = parsed("").policy;
    assert_eq!((policy.signing_keys.len(), policy.signatures_required, policy.activation_persons), (0, 0, 1));
    assert_eq!(policy.proposal_stands, PROPOSAL_STANDS_DEFAULT);
}

#[test]
fn with_keys_one_signature_is_needed_unless_more_are_said() {
    let policy = parsed(KEY).policy;
    assert_eq!(policy.signatures_required, 1);
    assert_eq!(policy.signing_keys[0].key, PublicKeySource::File("/k/ada.pub".into()));
    let two = "[[policy.signing_keys]]\nname = \"bob\"\npublic_key = '{}'\n";
    let policy = parsed(&format!("[policy]\nsignatures_required = 2\n{KEY}{two}")).policy;
    assert_eq!(policy.signatures_required, 2);
    assert_eq!(policy.signing_keys[1].key, PublicKeySource::Text("{}".to_owned()));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let twice = format!("[policy]\nsignatures_required = 2\n{KEY}{}", KEY.replace("ada.pub", "ada-next.pub"));
    let one =
        format!("{PEOPLE}{}{}[policy]\nactivation_persons = 2\n", person(1, "activate_policy"), person(2, "read"));
    for (more, expected) in [
        ("[policy]\nsignatures_required = 1\n".to_owned(), "means nothing without"),
        (format!("[policy]\nsignatures_required = 0\n{KEY}"), "mean nothing"),
        // A signer with two keys is one signer.
        (twice, "above the number of signers, 1"),
        ("[[policy.signing_keys]]\nname = \"ada\"\n".to_owned(), "policy.signing_keys `ada`: needs either"),
        (format!("{KEY}public_key = '{{}}'\n"), "policy.signing_keys `ada`: needs either"),
        (
            format!("{KEY}{}", KEY.replace("\"ada\"", "\"Ada \"")),
            "policy.signing_keys `ada`: differs from `Ada ` by case or blanks alone",
        ),
        ("[policy]\nactivation_persons = 3\n".to_owned(), "not between `1` and `2`"),
        ("[policy]\nactivation_persons = 2\n".to_owned(), "takes the people's door"),
        (one, "there are 1"),
        ("[policy]\nproposal_stands = \"1s\"\n".to_owned(), "policy.proposal_stands"),
        ("[policy]\nsigners = []\n".to_owned(), "malformed"),
    ] {
        let told = refused(&more);
        assert!(told.contains(expected), "{more}: {told}");
    }
}

#[test]
fn two_persons_who_may_are_enough() {
    let people = format!("{PEOPLE}{}{}", person(1, "activate_policy"), person(2, "activate_policy"));
    assert_eq!(parsed(&format!("{people}[policy]\nactivation_persons = 2\n")).policy.activation_persons, 2);
}
