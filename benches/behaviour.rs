//! What learning from a grant and looking at a request cost, for an agent of which as much is known as is kept.

#![expect(clippy::unwrap_used, reason = "a benchmark may fail by panicking")]

use std::hint::black_box;

use carnet::model::id::{Audience, ToolName};
use carnet::model::time::Timestamp;
use carnet::risk::behaviour::model::{Model, Step, TOOLS_MAX, Trail};
use criterion::{Criterion, criterion_group, criterion_main};

const START_S: u64 = 1_793_610_000;
const DAY_S: u64 = 24 * 3600;

fn benchmarks(c: &mut Criterion) {
    let audience: Audience = "https://mail.test".parse().unwrap();
    let tools: Vec<ToolName> = (0..TOOLS_MAX).map(|n| format!("tool-{n}").parse().unwrap()).collect();
    let step = |n: usize, at_s: u64, model: &mut Model, trail: &mut Trail| {
        let tool = tools.get(n % tools.len()).unwrap();
        model.learn(
            trail,
            &Step { at: Timestamp::from_secs(at_s), audience: &audience, tools: &[tool], resources: &[] },
        );
    };
    let mut model = Model::new(Timestamp::from_secs(START_S));
    for session in 0..1000_usize {
        let mut trail = Trail::default();
        for n in 0..20 {
            step(session + n * (session % 7 + 1), START_S + session as u64 / 50 * DAY_S, &mut model, &mut trail);
        }
    }
    let now_s = START_S + 20 * DAY_S;
    let mut trail = Trail::default();
    step(1, now_s, &mut model, &mut trail);
    let asked: Vec<&ToolName> = tools.iter().skip(50).take(1).collect();
    let many: Vec<&ToolName> = tools.iter().skip(40).take(16).collect();
    let looked = |tools: &[&ToolName]| {
        model.look(Some(&trail), &Step { at: Timestamp::from_secs(now_s), audience: &audience, tools, resources: &[] })
    };
    assert!(looked(&asked).enough);
    c.bench_function("behaviour: look at one tool", |b| b.iter(|| black_box(looked(black_box(&asked)))));
    c.bench_function("behaviour: look at sixteen tools", |b| b.iter(|| black_box(looked(black_box(&many)))));
    let mut n = 0;
    let mut taught = model.clone();
    c.bench_function("behaviour: learn from a grant", |b| {
        b.iter(|| {
            n += 1;
            if n % 20 == 0 {
                trail = Trail::default();
            }
            step(n * 7, now_s, &mut taught, &mut trail);
        });
    });
}

criterion_group!(benches, benchmarks);
criterion_main!(benches);
