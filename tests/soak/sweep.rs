//! Invalidations and values put by hand, at random, in the middle of it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use fastrand::Rng;
use memory_core::{FmCache, FmCacheManager, FmError};

use crate::{
    call::{Call, Shape, now},
    ledger::Ledger,
    service,
    stop::Stop,
};

/// The questions that are asked most now: few enough to be hit, and close to each other.
#[derive(Clone)]
pub(crate) struct Hot(Arc<Mutex<Vec<Call>>>);

impl Hot {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        Self(Arc::new(Mutex::new(Self::roll(rng))))
    }

    pub(crate) fn pick(&self, rng: &mut Rng) -> Call {
        let calls = self.0.lock().unwrap();
        calls[rng.usize(..calls.len())].clone()
    }

    fn change(&self, rng: &mut Rng) {
        *self.0.lock().unwrap() = Self::roll(rng);
    }

    /// Of each shape one question, and the same of others.
    fn roll(rng: &mut Rng) -> Vec<Call> {
        let of_shape = |shape| {
            let call = Call::of_shape(shape, rng);
            [call.of_another(rng), call.of_another(rng), call]
        };
        Shape::ALL.into_iter().flat_map(of_shape).collect()
    }
}

/// What is invalidated at a stroke.
#[derive(Clone, Debug)]
pub(crate) enum Sweep {
    One(Call),
    Namespace(&'static str),
    Tag(String),
    All,
}

impl Sweep {
    fn random(hot: &Hot, rng: &mut Rng) -> Self {
        let call = hot.pick(rng);
        let tags = [
            "items".to_owned(),
            "coloured".to_owned(),
            "feeds".to_owned(),
            format!("user:{}", call.user),
            call.user.clone(),
            format!("owner:{}", call.arguments.first().map_or("", String::as_str)),
        ];
        match rng.u8(..100) {
            0..82 => Self::One(call),
            82..88 => Self::Namespace(["profiles", "excused"][rng.usize(..2)]),
            88..99 => Self::Tag(tags[rng.usize(..tags.len())].clone()),
            _ => Self::All,
        }
    }

    /// Whether a value for this question is gone with it.
    pub(crate) fn covers(&self, call: &Call) -> bool {
        // A body of this shape stores by itself: what it began before an invalidation it may store after it.
        if call.shape == Shape::Direct {
            return false;
        }
        match self {
            Self::One(one) => one == call,
            Self::Namespace("profiles") => call.shape == Shape::Profile,
            Self::Namespace(_) => call.shape == Shape::Excused,
            Self::Tag(tag) => tags_of(call).contains(tag),
            Self::All => true,
        }
    }

    async fn act(&self) -> Result<(), FmError> {
        match self {
            Self::One(call) => service::forget(call).await.map(drop),
            Self::Namespace(namespace) => FmCacheManager::clear_namespace(namespace).await.map(drop),
            Self::Tag(tag) => FmCacheManager::invalidate_tag(tag).await,
            Self::All => FmCacheManager::clear().await.map(drop),
        }
    }
}

/// The tags that the service gives to values for this question.
fn tags_of(call: &Call) -> Vec<String> {
    match call.shape {
        Shape::Item => vec!["items".to_owned(), format!("owner:{}", call.arguments[0])],
        Shape::Red | Shape::Blue => vec!["coloured".to_owned()],
        Shape::Feed => vec!["feeds".to_owned(), format!("user:{}", call.user)],
        Shape::Secret => vec![call.user.clone()],
        _ => Vec::new(),
    }
}

/// Invalidates in one process until it is stopped.
pub(crate) async fn run(cache: FmCache, service: usize, hot: Hot, ledger: Arc<Ledger>, stop: Stop, mut rng: Rng) {
    let mut changed = now();
    while !stop.is_set() {
        tokio::time::sleep(Duration::from_millis(rng.u64(5..40))).await;
        if now() > changed + 1_500_000 {
            hot.change(&mut rng);
            changed = now();
        }
        cache.scope(step(service, &hot, &ledger, &mut rng)).await;
    }
}

async fn step(service: usize, hot: &Hot, ledger: &Ledger, rng: &mut Rng) {
    if rng.u8(..100) < 20 {
        let call = hot.pick(rng);
        if let Err(error) = service::prime(&call).await {
            ledger.violation(format!("a value could not be put: {error}: {call:?}"));
        }
        return;
    }
    let (sweep, began) = (Sweep::random(hot, rng), now());
    match sweep.act().await {
        Ok(()) => ledger.swept(sweep, service, began),
        Err(error) => ledger.violation(format!("an invalidation failed: {error}: {sweep:?}")),
    }
}
