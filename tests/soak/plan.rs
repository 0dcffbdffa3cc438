//! How long it goes on and what happens when: from the environment and one seed.
//!
//! - `FM_SOAK_SEED`: makes the decisions of the run that printed it again;
//! - `FM_SOAK_SECONDS`: goes on for about so long, with outages now and then; without it, for half a minute;
//! - `FM_SOAK_OUTAGE`: how long those are, in seconds: `10-60`.

use std::{env, time::Duration};

use fastrand::Rng;

use crate::{faults::Fault, world::Configuration};

/// How long a fault lasts, in milliseconds, and the time between two.
const SHORT: std::ops::Range<u64> = 60..260;
const BETWEEN: std::ops::Range<u64> = 200..450;
/// How long an outage lasts at most where nobody has asked for long ones, in milliseconds.
const BRIEF: std::ops::Range<u64> = 700..1500;
/// How many faults come in the warm-up, and after it up to an outage.
const WARM: usize = 2;
const ROUND: usize = 6;

pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) seconds: Option<u64>,
    outage: std::ops::RangeInclusive<u64>,
}

/// Who decides about faults, among those who decide.
const SCRIPT: u64 = 3000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    WarmUp,
    Main,
}

/// Something that happens to Redis, for how long, and how long there is peace after it.
pub(crate) type Step = (Fault, Duration, Duration);

impl Plan {
    pub(crate) fn from_env() -> Self {
        let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
        let outage = env::var("FM_SOAK_OUTAGE").unwrap_or_else(|_| "10-60".to_owned());
        let (shortest, longest) = outage.split_once('-').expect("FM_SOAK_OUTAGE=10-60");
        Self {
            seed: number("FM_SOAK_SEED").unwrap_or_else(|| fastrand::u64(..)),
            seconds: number("FM_SOAK_SECONDS"),
            outage: shortest.parse().expect("seconds")..=longest.parse().expect("seconds"),
        }
    }

    /// For one who decides: the same for the same seed, whatever others do.
    pub(crate) fn rng(&self, configuration: Configuration, phase: Phase, who: u64) -> Rng {
        let mut rng = Rng::with_seed(self.seed ^ ((configuration as u64) << 56) ^ ((phase as u64) << 48) ^ (who << 16));
        Rng::with_seed(rng.u64(..))
    }

    /// How many requests a phase has at least.
    pub(crate) fn requests(&self, phase: Phase) -> u64 {
        match phase {
            Phase::WarmUp => 700,
            Phase::Main => 1500,
        }
    }

    /// How long a phase lasts at least.
    pub(crate) fn length(&self, configuration: Configuration, phase: Phase) -> Duration {
        let long = self.seconds.filter(|_| phase == Phase::Main);
        let share = if configuration == Configuration::Memory { 10 } else { 30 };
        long.map_or(Duration::from_secs(1), |seconds| Duration::from_millis(seconds * 10 * share))
    }

    /// What happens to Redis in a phase.
    pub(crate) fn script(&self, configuration: Configuration, phase: Phase) -> Vec<Step> {
        let mut rng = self.rng(configuration, phase, SCRIPT);
        let deck = self.deck(configuration);
        match phase {
            Phase::WarmUp => steps(&deck[..WARM], &mut rng),
            Phase::Main => self.rounds(self.length(configuration, phase), &deck[WARM..], &mut rng),
        }
    }

    /// All faults in an order such that configurations next to each other begin with different ones.
    fn deck(&self, configuration: Configuration) -> Vec<Fault> {
        let mut faults = Fault::ALL;
        Rng::with_seed(self.seed).shuffle(&mut faults);
        faults.rotate_left(configuration as usize * (WARM + ROUND) % Fault::ALL.len());
        faults.to_vec()
    }

    /// Some faults and an outage, until the time is over.
    fn rounds(&self, length: Duration, deck: &[Fault], rng: &mut Rng) -> Vec<Step> {
        let (mut script, mut deck) = (Vec::new(), deck.iter().chain(&Fault::ALL).copied().cycle());
        let mut outages = Fault::OUTAGES.into_iter().cycle().skip(rng.usize(..Fault::OUTAGES.len()));
        while script.is_empty() || lasts(&script) < length {
            let faults: Vec<Fault> = deck.by_ref().take(ROUND).collect();
            script.extend(steps(&faults, rng));
            script.push((outages.next().expect("a cycle"), self.outage(rng), ms(BETWEEN.end)));
        }
        script
    }

    fn outage(&self, rng: &mut Rng) -> Duration {
        match self.seconds {
            Some(_) => Duration::from_secs(rng.u64(self.outage.clone())),
            None => ms(rng.u64(BRIEF)),
        }
    }
}

fn steps(faults: &[Fault], rng: &mut Rng) -> Vec<Step> {
    let step = |fault: &Fault| (*fault, ms(rng.u64(SHORT)), ms(rng.u64(BETWEEN)));
    faults.iter().map(step).collect()
}

fn lasts(script: &[Step]) -> Duration {
    script.iter().map(|(_, length, peace)| *length + *peace).sum()
}

fn ms(length: u64) -> Duration {
    Duration::from_millis(length)
}
