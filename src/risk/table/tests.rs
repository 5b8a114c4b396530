//! What a risk table accepts and refuses.

use super::*;

const GOOD: &str = r#"
[signals.unlisted]
cap = 10
[signals.sink_in_text]
points = 20
cap = 35
explanation = "a value that decides where something goes stands only in text"
[bands.default]
elevated = 20
high = 50
critical = 80
[bands.human]
elevated = 60
high = 90
critical = 101
[floors]
high = "step_up"
critical = "review"
[floors.service_account]
elevated = "step_up"
[drift]
unanswered_after_s = 900
"#;

#[test]
fn a_table_is_read_with_bands_and_floors_by_class() {
    let t = RiskTable::parse(GOOD).unwrap();
    assert_eq!(t.drift_unanswered_after(), Duration::from_secs(900));
    assert_eq!(t.psi_threshold_milli(), 250, "unless it says otherwise");
    let lower = RiskTable::parse(&format!("{GOOD}psi_threshold = 0.1")).unwrap();
    assert_eq!(lower.psi_threshold_milli(), 100);
    assert_eq!(t.weight(&"sink_in_text".parse().unwrap()).points, 20);
    assert_eq!(t.weight(&"anything".parse().unwrap()).cap, 10);
    assert!(t.listed("anything").is_none());
    let (agent, human) = (IdentityClass::AiAgent, IdentityClass::Human);
    let rows = [(0, Band::Low), (19, Band::Low), (20, Band::Elevated), (50, Band::High), (80, Band::Critical)];
    for (points, band) in rows {
        assert_eq!(t.band(agent, Score::from_points(points)), band, "{points}");
    }
    assert_eq!(t.band(human, Score::from_points(100)), Band::High, "101 is never reached");
    assert_eq!(t.floor(agent, Band::Elevated), Outcome::Granted);
    assert_eq!(t.floor(agent, Band::High), Outcome::StepUp);
    assert_eq!(t.floor(agent, Band::Critical), Outcome::Review);
    assert_eq!(t.floor(IdentityClass::ServiceAccount, Band::Elevated), Outcome::StepUp);
    assert_eq!(t.floor(IdentityClass::ServiceAccount, Band::Critical), Outcome::Review);
}

#[test]
fn a_floor_never_denies() {
    let text = GOOD.replace(r#"critical = "review""#, r#"critical = "denied""#);
    let problems = RiskTable::parse(&text).unwrap_err().problems();
    assert!(problems.iter().any(|p| p.contains("does not deny")), "{problems:?}");
}

#[test]
fn broken_tables_are_refused_with_every_problem() {
    let rows = [
        ("no unlisted", GOOD.replace("unlisted]", "listed]"), "`signals.unlisted` is missing"),
        ("a weight above 100", GOOD.replace("cap = 35", "cap = 101"), "0 to 100"),
        ("falling thresholds", GOOD.replace("high = 50", "high = 90"), "do not fall"),
        ("a threshold of 0", GOOD.replace("elevated = 20", "elevated = 0"), "do not fall"),
        ("an unknown class", GOOD.replace("bands.human", "bands.robot"), "`bands.robot`"),
        ("a class without bands", GOOD.replace("bands.default", "bands.ai_agent"), "`bands.scorer` is missing"),
        ("falling floors", GOOD.replace(r#"high = "step_up""#, r#"elevated = "review""#), "asks for less"),
        ("an unknown band", GOOD.replace(r#"high = "step_up""#, r#"low = "step_up""#), "neither a band"),
        ("waiting for longer than a token lives", GOOD.replace("900", "901"), "unanswered_after_s"),
        ("a threshold that chance reaches", format!("{GOOD}psi_threshold = 0.01"), "psi_threshold"),
        ("a threshold of nothing", format!("{GOOD}psi_threshold = nan"), "psi_threshold"),
    ];
    for (name, text, expected) in rows {
        let problems = RiskTable::parse(&text).expect_err(name).problems();
        assert!(problems.iter().any(|p| p.contains(expected)), "{name}: {problems:?}");
    }
}

#[test]
fn what_is_not_of_the_form_is_told_with_its_line() {
    for (name, text, expected) in [
        ("unknown member", GOOD.replace("points = 20", "weight = 20"), 5),
        ("unknown section", GOOD.replace("[drift]", "[drifts]"), 21),
        ("negative points", GOOD.replace("points = 20", "points = -1"), 5),
        ("no TOML", "[".to_owned(), 1),
    ] {
        match RiskTable::parse(&text) {
            Err(RiskError::Syntax { line, .. }) => assert_eq!(line, expected, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}
