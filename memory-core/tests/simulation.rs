//! The promises about consistency, in many worlds.

use memory_core::test_util::Simulation;

#[test]
fn first() {
    let mut bad = std::collections::BTreeMap::new();
    let start = std::time::Instant::now();
    let n = std::env::var("FM_SIM_SEEDS").map_or(300, |n| n.parse().unwrap());
    let mut sum = Simulation::new(u64::MAX).run().unwrap();
    for seed in 0..n {
        match Simulation::new(seed).run() {
            Ok(report) => sum.add(&report),
            Err(v) => {
                bad.entry(v.promise().to_owned()).or_insert_with(Vec::new).push((v.to_string().lines().count(), v));
            }
        }
    }
    println!("{sum:?} {:?}", start.elapsed());
    for (p, mut v) in bad {
        println!("### {p}: {} {:?}", v.len(), v.iter().map(|v| v.1.seed()).take(30).collect::<Vec<_>>());
        v.sort_by_key(|v| v.0);
        println!("{}", v[0].1);
    }
}
