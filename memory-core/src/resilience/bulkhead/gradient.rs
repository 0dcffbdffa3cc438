//! How many calls an upstream can take at once, learned from how long they take.
//!
//! The gradient controller of [Envoy's adaptive concurrency filter][envoy]: the time that a call takes while the upstream has
//! little to do, by the time it takes now, says by how much the limit is to change. That time is measured anew once in a while,
//! with as few calls as the limit may be, since under a load that lasts every call is slow.
//!
//! [envoy]: https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/adaptive_concurrency_filter

use std::time::Duration;

use tokio::time::Instant;

/// The limit is set anew after this time at the earliest.
const WINDOW: Duration = Duration::from_millis(100);

/// And when it can be judged by so many calls.
const ENOUGH: usize = 10;

/// More calls than this say nothing new about a window.
const AT_MOST: usize = 1_000;

/// What a call may take longer than in an idle upstream before the limit goes down.
const TOLERANCE: f64 = 1.25;

/// What takes no time at all is taken for this, so that it can be divided by.
const SHORTEST: Duration = Duration::from_nanos(1);

/// How far one window changes the limit at most, the headroom apart.
const STEPS: std::ops::RangeInclusive<f64> = 0.5..=2.0;

/// After this time the upstream is measured again, if it has much to do.
const MEASURED_FOR: Duration = Duration::from_secs(60);

/// And after so many windows in a row that left the limit where it can't go down: it may be that all calls take longer now.
const LOW_WINDOWS: u32 = 5;

/// The limit, and what is known of the upstream.
#[derive(Debug)]
pub(super) struct Gradient {
    least: f64,
    most: f64,
    /// The limit, but while the upstream is measured.
    limit: f64,
    window: Window,
    phase: Phase,
    /// Windows in a row with the limit at its least.
    low: u32,
}

#[derive(Debug)]
enum Phase {
    /// Few calls are let through, to see how long they take.
    Measuring,
    /// How long a call takes with little to do, and until when that is believed.
    Following { idle: Duration, until: Instant },
}

#[derive(Debug)]
struct Window {
    began: Instant,
    took: Vec<Duration>,
    /// How many of them were cut, because they took too long.
    cut: usize,
    /// Whether more than half of the limit was in use.
    crowded: bool,
}

/// A call that is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) began: Instant,
    pub(super) ended: Instant,
    /// Whether it was cut, because it took too long.
    pub(super) cut: bool,
    /// How many calls were under way, this one included.
    pub(super) under_way: usize,
}

impl Gradient {
    pub(super) fn new(least: usize, most: usize, now: Instant) -> Self {
        let (least, most) = (least as f64, most as f64);
        Self { least, most, limit: least, window: Window::new(now), phase: Phase::Measuring, low: 0 }
    }

    /// So many calls may be under way now.
    pub(super) fn limit(&self) -> usize {
        match self.phase {
            Phase::Measuring => self.least as usize,
            Phase::Following { .. } => self.limit as usize,
        }
    }

    /// Learns from a call. The limit may be another afterwards.
    pub(super) fn learn(&mut self, sample: Sample) {
        // What began before the window waits in the upstream with more calls than the window is about.
        if matches!(self.phase, Phase::Measuring) && sample.began < self.window.began {
            return;
        }
        self.window.add(sample, self.limit());
        let now = sample.ended;
        let Some(took) = self.window.verdict(now) else { return };
        let Window { crowded, cut, took: all, .. } = std::mem::replace(&mut self.window, Window::new(now));
        match self.phase {
            // An upstream that does not answer cannot be measured.
            Phase::Measuring if cut * 2 > all.len() => {}
            Phase::Measuring => self.phase = Phase::Following { idle: took, until: now + MEASURED_FOR },
            Phase::Following { idle, until } => self.follow(took, idle.min(took), until, crowded, now),
        }
    }

    fn follow(&mut self, took: Duration, idle: Duration, until: Instant, crowded: bool, now: Instant) {
        let gradient = TOLERANCE * idle.max(SHORTEST).div_duration_f64(took.max(SHORTEST));
        let held = self.limit * gradient.clamp(*STEPS.start(), *STEPS.end());
        // Without some headroom a limit that is too low would never be found out to be.
        let next = (held + held.sqrt()).clamp(self.least, self.most);
        if next < self.limit || crowded {
            self.limit = next;
        }
        self.low = if gradient < 1.0 && self.limit <= self.least { self.low + 1 } else { 0 };
        let is_outdated = now >= until || self.low >= LOW_WINDOWS;
        self.phase = match (is_outdated, crowded) {
            (false, _) => Phase::Following { idle, until },
            (true, true) => {
                self.low = 0;
                Phase::Measuring
            }
            // With little to do this window was a measurement.
            (true, false) => Phase::Following { idle: took, until: now + MEASURED_FOR },
        };
    }
}

impl Window {
    fn new(now: Instant) -> Self {
        Self { began: now, took: Vec::new(), cut: 0, crowded: false }
    }

    fn add(&mut self, Sample { began, ended, cut, under_way }: Sample, limit: usize) {
        self.crowded |= under_way * 2 > limit;
        if self.took.len() < AT_MOST {
            self.cut += usize::from(cut);
            self.took.push(ended.duration_since(began));
        }
    }

    /// What half of the calls took at most, once there are enough.
    fn verdict(&mut self, now: Instant) -> Option<Duration> {
        if self.took.len() < ENOUGH || now.duration_since(self.began) < WINDOW {
            return None;
        }
        let middle = self.took.len() / 2;
        let (_, median, _) = self.took.select_nth_unstable(middle);
        Some(*median)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_from_before_are_no_measurement() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut gradient = Gradient::new(2, 100, at(1_000));
        let mut ended = |began, ended| {
            gradient.learn(Sample { began: at(began), ended: at(ended), cut: false, under_way: 2 });
            gradient.limit()
        };
        assert!((0..50).all(|number| ended(0, 1_100 + number) == 2), "they waited for more calls than two");
        assert!((0..10).all(|_| ended(1_240, 1_250) == 2), "now it is measured");
        assert!((0..10).map(|_| ended(1_340, 1_350)).last() > Some(2));
    }
}
