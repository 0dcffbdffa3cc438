//! Walks the transitions of single flight one by one (`src/flight`; `flight_model.rs` explores their interleavings).

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
};

use self::flight::{CROWD, Flights, Join, Lead, Lookup, Wait, Waited, Waits};

#[allow(dead_code, unused_imports, reason = "the tests use a part of it")]
#[path = "../src/flight/mod.rs"]
mod flight;
#[allow(dead_code, unused_imports, reason = "what flight needs of it")]
#[path = "../src/sync.rs"]
mod sync;

impl Lookup<String> for &str {
    fn hash(&self) -> u64 {
        self.bytes().fold(7, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn is(&self, key: &String) -> bool {
        self == key
    }

    fn to_key(&self) -> String {
        (*self).to_owned()
    }
}

type Text = Flights<String, str>;

fn flights() -> Text {
    Flights::new(Waits::new())
}

fn lead(flights: &Text, key: &str) -> Lead<String, str> {
    match flights.join(&key, None) {
        Join::Lead(lead) => lead,
        _ => panic!("there is a run for {key}"),
    }
}

fn wait(flights: &Text, key: &str) -> Wait<String, str> {
    match flights.join(&key, None) {
        Join::Wait(wait) => wait,
        _ => panic!("there is no run for {key}"),
    }
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Woken {
    fn times(&self) -> usize {
        self.0.load(SeqCst)
    }
}

fn poll<F: Future + Unpin>(future: &mut F, woken: &Arc<Woken>) -> Option<F::Output> {
    match Pin::new(future).poll(&mut Context::from_waker(&Waker::from(Arc::clone(woken)))) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn done(waited: Option<Waited<String, str>>) -> Option<Arc<str>> {
    match waited {
        Some(Waited::Done(value)) => Some(value),
        _ => None,
    }
}

fn taken_over(waited: Option<Waited<String, str>>) -> Lead<String, str> {
    match waited {
        Some(Waited::Lead(lead)) => lead,
        _ => panic!("the lead was not handed over"),
    }
}

#[test]
fn a_run_that_finishes_stores_once_and_answers_everybody() {
    let (flights, woken) = (flights(), Arc::default());
    let lead = lead(&flights, "a");
    assert!(!lead.has_waiters());
    let (mut asleep, mut not_polled_yet) = (wait(&flights, "a"), wait(&flights, "a"));
    assert!(poll(&mut asleep, &woken).is_none());
    assert!(lead.has_waiters() && flights.len() == 1);

    let mut stores = 0;
    assert!(lead.finish("x".into(), || stores += 1));

    assert_eq!((stores, woken.times(), flights.len()), (1, 1, 0));
    assert_eq!(done(poll(&mut asleep, &woken)).as_deref(), Some("x"));
    assert_eq!(done(poll(&mut not_polled_yet, &woken)).as_deref(), Some("x"));
    assert!(matches!(flights.join(&"a", None), Join::Lead(_)), "later calls run anew");
}

#[test]
fn keys_do_not_meet() {
    let flights = flights();
    let _leads: Vec<_> = (0..1_000).map(|number| lead(&flights, &number.to_string())).collect();
    assert_eq!(flights.len(), 1_000);
    wait(&flights, "77");
}

#[test]
fn the_leader_that_panics_hands_over() {
    let (flights, woken) = (flights(), Arc::default());
    let lead = lead(&flights, "a");
    let mut waiting = wait(&flights, "a");
    assert!(poll(&mut waiting, &woken).is_none());

    catch_unwind(AssertUnwindSafe(move || {
        let _lead = lead;
        panic!("the body fails");
    }))
    .unwrap_err();

    assert_eq!(woken.times(), 1);
    assert!(taken_over(poll(&mut waiting, &woken)).finish("x".into(), || ()));
}

#[test]
fn a_store_that_panics_hands_over_and_poisons_nothing() {
    let (flights, woken) = (flights(), Arc::default());
    let lead = lead(&flights, "a");
    let mut waiting = wait(&flights, "a");
    assert!(poll(&mut waiting, &woken).is_none());

    catch_unwind(AssertUnwindSafe(|| lead.finish("x".into(), || panic!("the store fails")))).unwrap_err();

    assert_eq!(woken.times(), 1);
    assert!(taken_over(poll(&mut waiting, &woken)).finish("y".into(), || ()), "the next one may still store");
    catch_unwind(AssertUnwindSafe(|| flights.invalidate(&"a", || panic!("the removal fails")))).unwrap_err();
    drop(self::lead(&flights, "a"));
}

#[test]
fn a_pending_store_that_panics_or_is_dropped_makes_way() {
    let flights = flights();
    let storing = lead(&flights, "a").publish("x".into());
    assert!(matches!(flights.join(&"a", None), Join::Ready(value) if &*value == "x"));
    catch_unwind(AssertUnwindSafe(|| storing.commit(|| panic!("the store fails")))).unwrap_err();

    let storing = lead(&flights, "a").publish("x".into());
    assert_eq!(flights.len(), 1);
    drop(storing);
    assert_eq!(flights.len(), 0);
    drop(lead(&flights, "a"));
}

#[test]
fn a_later_call_takes_over_where_no_waiter_has_yet() {
    let (flights, woken) = (flights(), Arc::default());
    let first = lead(&flights, "a");
    let mut waiting = wait(&flights, "a");
    assert!(poll(&mut waiting, &woken).is_none());
    drop(first);

    let second = lead(&flights, "a");
    assert!(poll(&mut waiting, &woken).is_none(), "somebody leads again");
    second.answer("x".into());
    assert_eq!(done(poll(&mut waiting, &woken)).as_deref(), Some("x"));
}

#[test]
fn a_detached_run_answers_its_callers_and_never_stores() {
    let (flights, woken) = (flights(), Arc::default());
    let older = lead(&flights, "a");
    let mut waiting = wait(&flights, "a");
    assert_eq!(flights.invalidate(&"a", || 5), 5);
    assert!(older.is_detached());

    let newer = lead(&flights, "a");
    assert!(!newer.is_detached() && flights.len() == 2);
    assert!(!older.finish("old".into(), || panic!("it has stored")));
    assert_eq!(done(poll(&mut waiting, &woken)).as_deref(), Some("old"));
    wait(&flights, "a");
    assert!(newer.finish("new".into(), || ()));
}

#[test]
fn a_group_takes_its_own_runs_and_no_others() {
    let flights = flights();
    let (inside, outside) = (lead(&flights, "a:1"), lead(&flights, "b:1"));
    flights.invalidate_where(|key| key.starts_with("a:"));
    assert!(inside.is_detached() && !outside.is_detached());
}

#[test]
fn a_scattered_run_is_led_by_eight_at_once_and_the_next_when_one_fails() {
    let (flights, woken) = (flights(), Arc::default());
    let first = lead(&flights, "a");
    let mut waits: Vec<_> = (0..CROWD + 2).map(|_| wait(&flights, "a")).collect();
    assert!(waits.iter_mut().all(|wait| poll(wait, &woken).is_none()));

    first.scatter();
    assert_eq!(woken.times(), CROWD);
    let mut leads: Vec<_> = waits.drain(..CROWD).map(|mut wait| taken_over(poll(&mut wait, &woken))).collect();
    assert!(waits.iter_mut().all(|wait| poll(wait, &woken).is_none()), "more than eight lead");

    leads.remove(0).scatter();
    assert_eq!(woken.times(), CROWD + 1);
    leads.push(taken_over(poll(&mut waits[0], &woken)));

    assert!(leads.remove(3).finish("x".into(), || ()));
    assert!(leads.iter().all(|lead| poll(&mut lead.overtaken(), &woken).as_deref() == Some("x")));
    assert_eq!(done(poll(&mut waits[1], &woken)).as_deref(), Some("x"));
    assert!(!leads.remove(0).finish("y".into(), || panic!("a second success has stored")));
}

#[test]
fn a_waiter_that_is_dropped_when_its_turn_has_come_passes_it_on() {
    let (flights, woken, last_woken) = (flights(), Arc::default(), Arc::default());
    let first = lead(&flights, "a");
    let mut waits: Vec<_> = (0..CROWD).map(|_| wait(&flights, "a")).collect();
    assert!(waits.iter_mut().all(|wait| poll(wait, &woken).is_none()));
    let mut last = wait(&flights, "a");
    assert!(poll(&mut last, &last_woken).is_none());

    first.scatter();
    assert_eq!((woken.times(), last_woken.times()), (CROWD, 0));
    drop(waits);
    assert_eq!(last_woken.times(), 1);
    drop(taken_over(poll(&mut last, &last_woken)));
    assert_eq!(flights.len(), 0);
}

#[test]
fn a_run_waits_for_those_its_body_calls_for_as_long_as_it_does() {
    let waits = Waits::new();
    let (flights, other_cache) = (Text::new(waits.clone()), Text::new(waits.clone()));
    let outer = lead(&flights, "a");
    let Join::Lead(mut inner) = other_cache.join(&"b", Some(outer.id())) else { panic!("there is a run") };
    assert!(matches!(flights.join(&"a", Some(inner.id())), Join::Cycle), "the chain leads through two caches");
    assert!(matches!(flights.join(&"a", Some(outer.id())), Join::Cycle), "it calls itself");

    let edge = inner.take_edge();
    assert!(edge.is_some() && matches!(flights.join(&"a", Some(inner.id())), Join::Cycle));
    drop(edge);
    assert!(matches!(flights.join(&"a", Some(inner.id())), Join::Wait(_)), "the outer run waits no more");
    assert_eq!(waits.len(), 0);
}

#[test]
fn a_refusal_of_one_wait_leaves_the_others_of_that_run() {
    let waits = Waits::new();
    let flights = Text::new(waits.clone());
    let (outer, inner) = (lead(&flights, "a"), lead(&flights, "b"));
    let first = flights.join(&"b", Some(outer.id()));
    let second = flights.join(&"b", Some(outer.id()));
    drop(first);
    assert!(matches!(flights.join(&"a", Some(inner.id())), Join::Cycle), "one of two equal waits is left");
    drop(second);
    assert_eq!(waits.len(), 0);
}

#[test]
fn idle_waits_for_detached_runs_and_pending_stores() {
    let (flights, woken) = (flights(), Arc::default());
    let mut idle = flights.idle();
    assert!(poll(&mut flights.idle(), &woken).is_some());
    let older = lead(&flights, "a");
    let newer = flights.supersede(&"a", None);
    assert!(poll(&mut idle, &woken).is_none());
    drop(older);
    let storing = newer.publish("x".into());
    assert!(poll(&mut idle, &woken).is_none());
    assert!(storing.commit(|| ()));
    assert!(woken.times() >= 1 && poll(&mut idle, &woken).is_some());
}

#[test]
fn a_refresh_leads_only_where_nobody_runs() {
    let flights = flights();
    let refresh = flights.lead_if_idle(&"a").expect("nobody runs");
    assert!(flights.lead_if_idle(&"a").is_none() && flights.lead_if_idle(&"b").is_some());
    assert!(matches!(flights.join(&"a", None), Join::Wait(_)), "whoever has nothing to answer waits for it");
    assert!(refresh.finish("x".into(), || ()));
    assert!(flights.lead_if_idle(&"a").is_some());
}

#[test]
fn a_run_is_retired_by_its_name_and_no_other_run_with_it() {
    let flights = flights();
    let old = lead(&flights, "a");
    flights.retire(&"a", old.id());
    assert!(old.is_detached());
    let new = lead(&flights, "a");
    flights.retire(&"a", old.id());
    assert!(!new.is_detached(), "two that retire the same run do not retire the next one");
    assert!(!old.finish("old".into(), || panic!("a retired run stores nothing")));
    assert!(new.finish("new".into(), || ()));
}
