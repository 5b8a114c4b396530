//! `carnet policy whatif`.

use std::path::PathBuf;

use crate::cli::door::OperatorFirst;
use crate::cli::error::{CliError, Exit};
use crate::cli::given::{self, When};
use crate::cli::output::value::Value;
use crate::cli::output::{Output, say};
use crate::cli::policy::{load, wire};
use crate::cli::shown::{outcome, time};
use crate::pb::v1;
use crate::pb::v1::policy_service_client::PolicyServiceClient;
use crate::pb::v1::what_if_response::Part;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The candidate: a bundle that is not in force.
    #[arg(long, value_name = "DIR")]
    policy: PathBuf,
    /// Decisions not before: a time, or how long ago.
    #[arg(long, value_name = "WHEN", value_parser = given::when)]
    since: When,
    /// Decisions before: a time, or how long ago.
    #[arg(long, value_name = "WHEN", value_parser = given::when)]
    until: Option<When>,
    #[command(flatten)]
    door: OperatorFirst,
}

/// What a reader of the figures has to know.
const CAVEAT: &str = "Recorded facts are conclusions: ceiling, origin of values and fit of the intent stand as they were concluded \
                      under the catalogue of their time.";

pub(in crate::cli) async fn run(args: Args, out: Output) -> Result<Exit, CliError> {
    // What does not load is told here, file by file.
    let bundle = load(&args.policy)?;
    let request = v1::WhatIfRequest {
        bundle: Some(wire(bundle.files())),
        from: Some(args.since.wire_ago()),
        until: args.until.map(When::wire_ago),
    };
    let mut client = PolicyServiceClient::new(args.door.channel().await?);
    let mut parts = client.what_if(request).await?.into_inner();
    let (mut flips, mut reroutes, mut tally) = (Vec::new(), Vec::new(), None);
    while let Some(message) = parts.message().await? {
        match message.part {
            Some(Part::Flip(flip)) => flips.push(flip),
            Some(Part::Reroute(reroute)) => reroutes.push(reroute),
            Some(Part::Tally(found)) => tally = Some(found),
            None => {}
        }
    }
    let tally =
        tally.ok_or_else(|| CliError::remote("the answer is not whole", "the stream ended before its tally"))?;
    // What would be granted beyond what was is what hurts.
    flips.sort_by_key(|flip: &v1::WhatIfFlip| (!flip.looser, flip.position));
    if out.is_table() {
        let columns = ["turns", "position", "was", "would_be", "question", "tools", "because", "decision_id"];
        out.rows(&columns, flips.iter().map(value).collect())?;
        if !reroutes.is_empty() {
            out.text("\n")?;
            let columns = ["position", "owners_were", "owners_would_be", "question", "tools", "decision_id"];
            out.rows(&columns, reroutes.iter().map(rerouted).collect())?;
        }
        out.text("\n")?;
        let columns = ["was", "would_be", "decisions"];
        out.rows(&columns, tally.pairs.iter().map(pair).collect())?;
        if !tally.policies.is_empty() {
            out.text("\n")?;
            out.rows(&["policy", "gained", "lost"], tally.policies.iter().map(policy).collect())?;
        }
    } else {
        out.record(&document(&flips, &reroutes, &tally))?;
    }
    told(&tally);
    Ok(Exit::Done)
}

fn told(tally: &v1::WhatIfTally) {
    let v1::WhatIfTally { decisions, looser, stricter, erased, unreadable, listed, .. } = tally;
    say(&format!("{decisions} decisions: {looser} would be more permissive, {stricter} stricter"));
    if tally.rerouted > 0 {
        say(&format!("{} reviews would stay reviews, and be for other owners of tools", tally.rerouted));
    }
    if tally.reroutes_listed < tally.rerouted {
        say(&format!("only the first {} of those are listed; all are counted", tally.reroutes_listed));
    }
    if tally.lives_longer + tally.lives_shorter > 0 {
        say(&format!("tokens of {} would live longer, of {} shorter", tally.lives_longer, tally.lives_shorter));
    }
    if *erased > 0 {
        say(&format!("{erased} more were erased: what they were made from is gone, so nobody can decide them again"));
    }
    if *unreadable > 0 {
        say(&format!("{unreadable} more cannot be read: the broker's log says why"));
    }
    if *listed < looser + stricter {
        say(&format!("only the first {listed} flips are listed; all are counted"));
    }
    if tally.stopped_at.is_some() {
        say(&format!(
            "there are more decisions than one run takes: go on with --since {}",
            time(tally.stopped_at).inline()
        ));
    }
    say(CAVEAT);
}

fn document(flips: &[v1::WhatIfFlip], reroutes: &[v1::WhatIfReroute], tally: &v1::WhatIfTally) -> Value {
    Value::Fields(vec![
        ("digest", tally.digest.as_str().into()),
        ("decisions", tally.decisions.into()),
        ("looser", tally.looser.into()),
        ("stricter", tally.stricter.into()),
        ("rerouted", tally.rerouted.into()),
        ("erased", tally.erased.into()),
        ("unreadable", tally.unreadable.into()),
        ("lives_longer", tally.lives_longer.into()),
        ("lives_shorter", tally.lives_shorter.into()),
        ("listed", tally.listed.into()),
        ("reroutes_listed", tally.reroutes_listed.into()),
        ("stopped_at", time(tally.stopped_at)),
        ("pairs", tally.pairs.iter().map(pair).collect()),
        ("policies", tally.policies.iter().map(policy).collect()),
        ("flips", flips.iter().map(value).collect()),
        ("reroutes", reroutes.iter().map(rerouted).collect()),
        ("note", CAVEAT.into()),
    ])
}

fn pair(pair: &v1::WhatIfPair) -> Value {
    Value::Fields(vec![
        ("was", outcome(pair.was).into()),
        ("would_be", outcome(pair.would_be).into()),
        ("decisions", pair.decisions.into()),
    ])
}

fn policy(policy: &v1::WhatIfPolicy) -> Value {
    Value::Fields(vec![
        ("policy", policy.policy.as_str().into()),
        ("gained", policy.gained.into()),
        ("lost", policy.lost.into()),
    ])
}

fn rerouted(reroute: &v1::WhatIfReroute) -> Value {
    let list = |items: &[String]| items.iter().map(String::as_str).collect::<Value>();
    // None is whoever reviews.
    Value::Fields(vec![
        ("position", reroute.position.into()),
        ("decision_id", reroute.decision_id.as_str().into()),
        ("time", time(reroute.time)),
        ("question", reroute.question.as_str().into()),
        ("owners_were", list(&reroute.owners_were)),
        ("owners_would_be", list(&reroute.owners_would_be)),
        ("agent", reroute.agent.as_str().into()),
        ("task_id", reroute.task_id.as_str().into()),
        ("tools", list(&reroute.tools)),
        ("policy_digest", reroute.policy_digest.as_str().into()),
    ])
}

fn value(flip: &v1::WhatIfFlip) -> Value {
    let list = |items: &[String]| items.iter().map(String::as_str).collect::<Value>();
    let signed = |sign: char, ids: &[String]| ids.iter().map(|id| format!("{sign}{id}")).collect::<Vec<_>>();
    let because = [signed('+', &flip.policies_gained), signed('-', &flip.policies_lost)].concat();
    Value::Fields(vec![
        ("turns", if flip.looser { "looser" } else { "stricter" }.into()),
        ("position", flip.position.into()),
        ("decision_id", flip.decision_id.as_str().into()),
        ("time", time(flip.time)),
        ("question", flip.question.as_str().into()),
        ("was", outcome(flip.was).into()),
        ("would_be", outcome(flip.would_be).into()),
        ("reasons_were", list(&flip.reasons_were)),
        ("reasons_would_be", list(&flip.reasons_would_be)),
        ("policies_gained", list(&flip.policies_gained)),
        ("policies_lost", list(&flip.policies_lost)),
        ("approvals_were", flip.approvals_were.into()),
        ("approvals_would_be", flip.approvals_would_be.into()),
        ("agent", flip.agent.as_str().into()),
        ("task_id", flip.task_id.as_str().into()),
        ("tools", list(&flip.tools)),
        ("policy_digest", flip.policy_digest.as_str().into()),
        ("because", because.iter().map(String::as_str).collect()),
    ])
}
