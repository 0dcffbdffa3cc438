//! The history, put in order by subject.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::history::{Act, Answer, Event, Process, Target, Text, What};

/// A moment: the place in the history, and the instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    pub(super) place: usize,
    pub(super) at: Duration,
}

/// Where a value comes from.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) key: Text,
    pub(super) process: Process,
    pub(super) began: Moment,
    pub(super) ended: Option<Moment>,
    pub(super) by_hand: bool,
}

/// An operation of a client.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) number: u64,
    pub(super) process: Process,
    pub(super) act: Act,
    pub(super) began: Moment,
    pub(super) ended: Option<(Moment, Answer)>,
    /// When the store had missed it.
    pub(super) missed: Option<Moment>,
    /// When the store had caught up on it.
    pub(super) replayed: Option<Moment>,
}

/// Something under way in one process for one key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) began: usize,
    pub(super) ended: usize,
}

/// The spans that have not ended yet, by the number of the flight: of which process and key, and which of theirs.
type Open = HashMap<u64, Vec<((Process, Text), usize)>>;

#[derive(Default)]
pub(super) struct Facts {
    pub(super) values: HashMap<u64, Value>,
    pub(super) operations: BTreeMap<u64, Operation>,
    /// Runs, and reads and writes of the store.
    pub(super) flights: HashMap<(Process, Text), Vec<Span>>,
    /// When the subscription of a process was not there.
    pub(super) bus_down: HashMap<Process, Vec<(Duration, Duration)>>,
    /// The places where it was there again, and everything older distrusted.
    resyncs: HashMap<Process, Vec<usize>>,
}

impl Facts {
    pub(super) fn of(events: &[Event]) -> Self {
        let mut facts = Self::default();
        let mut open = Open::new();
        for (place, event) in events.iter().enumerate() {
            let Some(process) = event.process else { continue };
            let moment = Moment { place, at: event.at };
            facts.operate(process, moment, &event.what);
            facts.make(process, moment, &event.what);
            facts.fly(process, place, &event.what, &mut open);
            facts.hear(process, place, event);
        }
        facts
    }

    fn operate(&mut self, process: Process, moment: Moment, what: &What) {
        match what {
            What::Began { operation, act } => {
                let begun = Operation {
                    number: *operation,
                    process,
                    act: act.clone(),
                    began: moment,
                    ended: None,
                    missed: None,
                    replayed: None,
                };
                self.operations.insert(*operation, begun);
            }
            What::Ended { operation, answer } => {
                self.operation(*operation, |found| found.ended = Some((moment, answer.clone())));
            }
            What::Missed { operation } => self.operation(*operation, |found| found.missed = Some(moment)),
            What::Replayed { operation } => self.operation(*operation, |found| found.replayed = Some(moment)),
            _ => {}
        }
    }

    fn operation(&mut self, number: u64, change: impl FnOnce(&mut Operation)) {
        if let Some(found) = self.operations.get_mut(&number) {
            change(found);
        }
    }

    fn make(&mut self, process: Process, moment: Moment, what: &What) {
        let (number, key, by_hand) = match what {
            What::RunBegan { value, key, .. } => (*value, key, false),
            What::Began { operation, act: Act::Set { key, .. } } => (*operation, key, true),
            What::Ended { answer: Answer::GaveUp | Answer::Hung, .. } => return,
            What::RunEnded { value: number, .. } | What::Ended { operation: number, .. } => {
                if let Some(value) = self.values.get_mut(number) {
                    value.ended = Some(moment);
                }
                return;
            }
            _ => return,
        };
        self.values.insert(number, Value { key: key.clone(), process, began: moment, ended: None, by_hand });
    }

    fn fly(&mut self, process: Process, place: usize, what: &What, open: &mut Open) {
        match what {
            What::RunBegan { value, key, .. } => self.take_off(process, place, *value, std::slice::from_ref(key), open),
            What::FlightBegan { flight, keys } => self.take_off(process, place, *flight, keys, open),
            What::RunEnded { value: flight, .. } | What::FlightEnded { flight } => {
                for (subject, index) in open.remove(flight).unwrap_or_default() {
                    if let Some(span) = self.flights.get_mut(&subject).and_then(|spans| spans.get_mut(index)) {
                        span.ended = place;
                    }
                }
            }
            _ => {}
        }
    }

    fn take_off(&mut self, process: Process, place: usize, flight: u64, keys: &[Text], open: &mut Open) {
        for key in keys {
            let subject = (process, key.clone());
            let spans = self.flights.entry(subject.clone()).or_default();
            open.entry(flight).or_default().push((subject, spans.len()));
            // What goes on at once is still the same: a run that is being stored, a read that prolongs a life.
            let run = spans.iter().find(|span| span.ended.checked_add(1) == Some(place));
            let began = run.map_or(place, |run| run.began);
            spans.push(Span { began, ended: usize::MAX });
        }
    }

    fn hear(&mut self, process: Process, place: usize, event: &Event) {
        if let What::BusUp = event.what {
            self.resyncs.entry(process).or_default().push(place);
        }
        let downs = self.bus_down.entry(process).or_insert_with(|| vec![(Duration::ZERO, Duration::MAX)]);
        match &event.what {
            What::BusUp => {
                if let Some((_, until)) = downs.last_mut().filter(|(_, until)| *until == Duration::MAX) {
                    *until = event.at;
                }
            }
            What::BusDown if downs.last().is_none_or(|(_, until)| *until != Duration::MAX) => {
                downs.push((event.at, Duration::MAX));
            }
            _ => {}
        }
    }

    /// Whether a process has begun to listen between these places: `Some(true)` when it had listened before.
    pub(super) fn has_resynced(&self, process: Process, from: usize, until: usize) -> Option<bool> {
        let places = self.resyncs.get(&process)?;
        let last = places.iter().rposition(|place| (from..until).contains(place))?;
        Some(last > 0)
    }

    /// Whether a process was subscribed for all of this time.
    pub(super) fn was_subscribed(&self, process: Process, from: Duration, until: Duration) -> bool {
        self.bus_down.get(&process).is_some_and(|downs| downs.iter().all(|(down, up)| *up < from || until < *down))
    }
}

impl Operation {
    /// What it takes out of the cache: an invalidation its target, a write by hand what was there before.
    pub(super) fn target(&self) -> Option<(Target, bool)> {
        match &self.act {
            Act::Invalidate { target, strict } => Some((target.clone(), *strict)),
            Act::Set { key, strict } => Some((Target::Key(key.clone()), *strict)),
            Act::Compute(_) | Act::Get(_) => None,
        }
    }

    /// When it returned, if it did.
    pub(super) fn returned(&self) -> Option<Moment> {
        match &self.ended {
            Some((_, Answer::GaveUp | Answer::Hung)) | None => None,
            Some((moment, _)) => Some(*moment),
        }
    }

    /// From when on it holds for whoever reads the store.
    pub(super) fn held_in_the_store(&self) -> Option<Moment> {
        let returned = self.returned()?;
        match self.missed {
            None => Some(returned),
            Some(_) => self.replayed.map(|replayed| replayed.max(returned)),
        }
    }
}
