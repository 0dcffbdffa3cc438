//! The promises about consistency, in many worlds; and that a broken one would be found.
//!
//! `FM_SIM_SEED=123 cargo test -p memory-core --features test-util --test simulation -- replay --nocapture` shows one world
//! (`FM_SIM_PLANT=1`, `2` or `3` plants a bug in it), and `FM_SIM_SEEDS=10000` has the others run in so many.

use std::{ops::Range, time::Instant};

use memory_core::test_util::{Bug, Report, Simulation, Violation};

const BUGS: [Bug; 3] = [Bug::GenerationsUnchecked, Bug::ReconnectIgnored, Bug::StoredAfterInvalidate];

/// In so many worlds a planted bug is found.
const FOUND_WITHIN: u64 = 100;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|number| number.parse().expect("a number"))
}

/// A part of the seeds that are asked for, so that the parts run side by side.
fn seeds(part: u64) -> Range<u64> {
    let half = number("FM_SIM_SEEDS").unwrap_or(300).div_ceil(2);
    part * half..(part + 1) * half
}

fn explore(part: u64) {
    let began = Instant::now();
    let mut sum = Report::default();
    for seed in seeds(part) {
        match Simulation::new(seed).run() {
            Ok(report) => sum.add(&report),
            Err(violation) => panic!("{violation}"),
        }
    }
    println!("{:?} in {:?}: {sum:?}", seeds(part), began.elapsed());
    assert!(sum.values > 0 && sum.replayed > 0 && sum.crashes > 0 && sum.breaks > 0, "worlds in which nothing happens");
}

#[test]
fn promises_hold_in_one_half_of_the_worlds() {
    explore(0);
}

#[test]
fn promises_hold_in_the_other_half() {
    explore(1);
}

#[test]
fn a_seed_is_one_history() {
    for seed in 0..5 {
        let run = || Simulation::new(seed).run().expect("a world that keeps its promises");
        assert_eq!(run(), run());
    }
    let fingerprint = |seed| Simulation::new(seed).run().unwrap().fingerprint;
    assert_ne!(fingerprint(0), fingerprint(1));
}

/// The first world that shows a planted bug.
fn first_violation(bug: Bug) -> Box<Violation> {
    let found = (0..FOUND_WITHIN).find_map(|seed| Simulation::new(seed).plant(bug).run().err());
    found.unwrap_or_else(|| panic!("{bug:?} is not found"))
}

#[test]
fn a_planted_bug_is_found_and_its_seed_shows_it_again() {
    for bug in BUGS {
        let found = first_violation(bug);
        println!("{bug:?}: seed {}: {}", found.seed(), found.promise());
        let again = Simulation::new(found.seed()).plant(bug).run().unwrap_err();
        assert_eq!(found.to_string(), again.to_string());
        assert!(found.to_string().contains(&format!("FM_SIM_SEED={}", found.seed())));
        assert!(Simulation::new(found.seed()).run().is_ok(), "it is the bug that is found");
    }
}

#[test]
fn replay() {
    let Some(seed) = number("FM_SIM_SEED") else { return };
    let mut simulation = Simulation::new(seed);
    if let Some(bug) = number("FM_SIM_PLANT") {
        simulation = simulation.plant(BUGS[bug as usize - 1]);
    }
    match simulation.run() {
        Ok(report) => println!("{report:#?}"),
        Err(violation) => panic!("{violation}"),
    }
}
