//! `expire` and its like take expressions: of the program, of an argument, of `self`; they run on a miss only.
use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use memory_core::{FOREVER, memorize};

static ASKED: AtomicU32 = AtomicU32::new(0);

struct Settings {
    cache_ttl: Duration,
}

fn get_settings() -> Settings {
    ASKED.fetch_add(1, Ordering::Relaxed);
    Settings { cache_ttl: Duration::from_secs(60) }
}

#[memorize(expire = get_settings().cache_ttl, jitter = 0.5, time_to_idle = Duration::from_secs(9))]
async fn configured(id: u64) -> u64 {
    id
}

#[memorize(expire = seconds)]
async fn of_an_argument(id: u64, seconds: u32) -> u64 {
    id + u64::from(seconds)
}

#[memorize(expire = FOREVER)]
async fn for_ever(id: u64) -> u64 {
    id
}

#[memorize(expire = |answer| match answer { Ok(0) => 0.0, Ok(_) => 0.5, Err(_) => 1e300 }, cache_err = u64::MAX)]
async fn of_the_value(id: u64) -> Result<u64, String> {
    Ok(id)
}

#[memorize(expire = -0.0)]
async fn never(id: u64) -> u64 {
    id
}

struct Service {
    ttl: f32,
}

impl Service {
    #[memorize(expire = self.ttl, skip(self))]
    pub async fn of_self(&self, id: u64) -> u64 {
        id
    }

    #[memorize(expire = self.ttl, skip(self))]
    async fn private(&self, id: u64) -> u64 {
        id
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!((configured(1).await, configured(1).await, configured(1).await), (1, 1, 1));
    assert_eq!(ASKED.load(Ordering::Relaxed), 1);
    assert_eq!((of_an_argument(1, 0).await, of_an_argument(1, 5).await), (1, 6));
    assert_eq!((of_an_argument::peek(1, 0).await.unwrap(), of_an_argument::peek(1, 5).await.unwrap()), (None, Some(6)));
    of_an_argument::put(1, 5, 7).await.unwrap();
    assert_eq!(of_an_argument(1, 5).await, 7);
    assert_eq!((for_ever(1).await, never(1).await), (1, 1));
    assert_eq!((for_ever::peek(1).await.unwrap(), never::peek(1).await.unwrap()), (Some(1), None));
    assert_eq!((of_the_value(0).await, of_the_value(1).await), (Ok(0), Ok(1)));
    assert!(of_the_value::peek(0).await.unwrap().is_none() && of_the_value::peek(1).await.unwrap().is_some());
    let (short, long) = (Service { ttl: 0.0 }, Service { ttl: 60.0 });
    assert_eq!((short.of_self(1).await, long.of_self(2).await, long.private(3).await), (1, 2, 3));
    assert_eq!((Service::of_self_peek(1).await.unwrap(), Service::of_self_peek(2).await.unwrap()), (None, Some(2)));
}
