//! What is counted stands in the text, under the names that dashboards rely on.

use super::*;

#[test]
fn what_was_counted_stands_in_the_text() {
    let metrics = Metrics::new().unwrap();
    metrics.decided(Question::Request, Outcome::Denied, Band::High, [ReasonCode::NoPermit]);
    metrics.refused(ReasonCode::NotFound);
    metrics.rpc_answered("/carnet.v1.TaskService/GetTask", "OK", Duration::from_micros(300));
    metrics.committed(Duration::from_micros(150));
    metrics.recorded("revoked");
    metrics.torn(17);
    metrics.scored("judge", "answered", Duration::from_millis(20));
    metrics.connected(Connection::Refused);
    let text = metrics.render().unwrap();
    for line in [
        r#"carnet_decisions_total{outcome="denied",question="request"} 1"#,
        r#"carnet_decision_reasons_total{code="NO_PERMIT"} 1"#,
        r#"carnet_decision_bands_total{band="high"} 1"#,
        r#"carnet_refusals_total{code="NOT_FOUND"} 1"#,
        r#"carnet_rpcs_total{code="OK",method="/carnet.v1.TaskService/GetTask"} 1"#,
        r#"carnet_rpc_seconds_bucket{method="/carnet.v1.TaskService/GetTask",le="0.00025"} 0"#,
        r#"carnet_rpc_seconds_bucket{method="/carnet.v1.TaskService/GetTask",le="0.0005"} 1"#,
        "carnet_journal_commits_total 1",
        r#"carnet_events_total{kind="revoked"} 1"#,
        "carnet_journal_torn_bytes_total 17",
        r#"carnet_scorer_questions_total{result="answered",scorer="judge"} 1"#,
        r#"carnet_scorer_seconds_bucket{scorer="judge",le="0.025"} 1"#,
        r#"carnet_connections_total{result="refused"} 1"#,
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
}

#[test]
fn a_reading_leaves_what_it_does_not_know() {
    let metrics = Metrics::new().unwrap();
    metrics.read(&Reading {
        grants_live: Some(4),
        svid_expires_in: Some(Duration::from_secs(60)),
        trust_authorities: vec![("a.test".to_owned(), 2), ("b.test".to_owned(), 0)],
        workload_api_connected: Some(false),
        issuers: vec![("corp".to_owned(), false, 2)],
        scorers: vec![("judge".to_owned(), true)],
        ..Reading::default()
    });
    metrics.read(&Reading { grants_live: Some(u64::MAX), ..Reading::default() });
    let text = metrics.render().unwrap();
    assert!(text.contains("carnet_svid_expiry_seconds 60\n"));
    assert!(text.contains("carnet_trust_authorities{trust_domain=\"a.test\"} 2\n"), "{text}");
    assert!(text.contains("carnet_trust_authorities{trust_domain=\"b.test\"} 0\n"), "{text}");
    assert!(text.contains("carnet_workload_api_connected 0\n"), "{text}");
    assert!(text.contains("carnet_issuer_reachable{issuer=\"corp\"} 0\n"), "{text}");
    assert!(text.contains("carnet_issuer_keys{issuer=\"corp\"} 2\n"), "{text}");
    assert!(text.contains("carnet_scorer_paused{scorer=\"judge\"} 1\n"), "{text}");
    assert!(text.contains("carnet_grants{standing=\"live\"} 922337"), "what is too large stays at the most: {text}");
}

#[test]
fn an_rpc_in_flight_is_counted_until_it_is_dropped() {
    let metrics = Metrics::new().unwrap();
    let (one, _another_kind) = (metrics.rpc_began(), metrics.watch_began());
    assert!(metrics.render().unwrap().contains("carnet_rpcs_in_flight 1\n"));
    drop(one);
    assert!(metrics.render().unwrap().contains("carnet_rpcs_in_flight 0\n"));
}

#[test]
fn every_name_is_ours_and_counters_say_total() {
    let metrics = Metrics::new().unwrap();
    metrics.refused(ReasonCode::NotFound);
    for line in metrics.render().unwrap().lines().filter_map(|l| l.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        assert!(name.starts_with("carnet_"), "{name}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
    }
}

#[test]
fn an_index_that_there_is_no_more_is_no_longer_told() {
    let metrics = Metrics::new().unwrap();
    let both = vec![("ai_agent", "tools", 0.375), ("ai_agent", "scores", 0.1)];
    metrics.read(&Reading { drift: both, ..Reading::default() });
    metrics.read(&Reading { drift: vec![("ai_agent", "tools", 0.375)], ..Reading::default() });
    assert!(!metrics.render().unwrap().contains("scores"));
    let line = r#"carnet_drift_psi{class="ai_agent",what="tools"} 0.375"#;
    assert!(metrics.render().unwrap().lines().any(|l| l == line), "{line}");
    metrics.read(&Reading::default());
    assert!(!metrics.render().unwrap().contains("carnet_drift_psi{"));
}
