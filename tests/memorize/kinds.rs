//! The kinds of functions: methods, generics, traits, sync ones, and other attributes beside `#[memorize]`.

use std::{borrow::Cow, fmt::Display, marker::PhantomData, sync::Arc};

use async_trait::async_trait;
use memory_core::{FmCacheManager, default_retry, memorize};
use serde::{Serialize, de::DeserializeOwned};
use tracing::Instrument;

use crate::{Logs, Runs, alone, cache};

#[derive(Clone, Serialize)]
struct Shop {
    name: String,
    #[serde(skip)]
    runs: Runs,
}

impl Shop {
    fn new(name: &str, runs: &Runs) -> Self {
        Self { name: name.to_owned(), runs: runs.clone() }
    }

    /// Keyed by the shop too.
    #[memorize]
    pub(crate) async fn price(&self, id: u32) -> String {
        self.runs.begin();
        format!("{} {id}", self.name)
    }

    /// Keyed by the number alone.
    #[memorize(skip(self))]
    pub(crate) async fn anywhere(&self, id: u32) -> String {
        self.runs.begin();
        format!("{} {id}", self.name)
    }

    #[memorize]
    pub(crate) async fn shared(self: Arc<Self>, id: u32) -> String {
        self.runs.begin();
        format!("{} {id}", self.name)
    }

    #[memorize(skip(runs), in_impl)]
    pub(crate) async fn count(limit: u32, runs: Runs) -> u32 {
        runs.begin();
        limit
    }

    #[memorize(skip(self))]
    pub(crate) fn at_once(&self, id: u32) -> u32 {
        self.runs.begin();
        id
    }
}

#[tokio::test(start_paused = true)]
async fn methods_are_keyed_by_self_unless_it_is_skipped() {
    let runs = Runs::default();
    alone(async {
        let (one, two) = (Shop::new("one", &runs), Shop::new("two", &runs));
        for _ in 0..2 {
            assert_eq!((one.price(1).await, two.price(1).await), ("one 1".to_owned(), "two 1".to_owned()));
        }
        assert_eq!(runs.take(), 2);
        assert_eq!((one.anywhere(1).await, two.anywhere(1).await), ("one 1".to_owned(), "one 1".to_owned()));
        assert_eq!(runs.take(), 1);
        let one = Arc::new(one);
        assert_eq!((one.clone().shared(1).await, one.clone().shared(1).await.as_str()), ("one 1".to_owned(), "one 1"));
        assert_eq!(runs.take(), 1);
        assert_eq!((Shop::count(3, runs.clone()).await, Shop::count(3, runs.clone()).await), (3, 3));
        assert_eq!((one.at_once(1), two.at_once(1)), (1, 1));
        assert_eq!(runs.take(), 2);

        assert!(one.price_invalidate(1).await.unwrap());
        assert_eq!(
            (one.price_peek(1).await.unwrap(), two.price_peek(1).await.unwrap().as_deref()),
            (None, Some("two 1"))
        );
        two.price_put(1, "cheap".to_owned()).await.unwrap();
        assert_eq!(two.price(1).await, "cheap");
        assert_eq!(two.price_refresh(1).await, "two 1");
        assert_eq!(two.price_uncached(2).await, "two 2");
        assert!(Shop::anywhere_invalidate(1).await.unwrap());
        assert!(Shop::count_invalidate(3).await.unwrap());
        assert!(Shop::at_once_invalidate(1).unwrap());
        assert_ne!(one.price_key(1), two.price_key(1));
    })
    .await;
}

#[memorize(skip(runs))]
async fn load<T>(id: u32, runs: Runs) -> Option<T>
where
    T: From<u8> + Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    runs.begin();
    (id > 0).then(|| T::from(7))
}

#[memorize(skip(runs))]
async fn fill<const N: usize, T: Display + Serialize + Send + Clone + 'static>(value: T, runs: Runs) -> Vec<String> {
    runs.begin();
    vec![value.to_string(); N]
}

#[memorize(skip(runs))]
async fn shown(value: impl Display + Serialize + Send + 'static, runs: Runs) -> String {
    runs.begin();
    value.to_string()
}

struct Typed<T>(PhantomData<T>);

impl<T: Send + 'static> Typed<T> {
    #[memorize(skip(runs))]
    pub(crate) async fn name(runs: Runs) -> String {
        runs.begin();
        std::any::type_name::<Self>().to_owned()
    }
}

#[tokio::test(start_paused = true)]
async fn type_and_const_parameters_and_self_are_in_the_key() {
    let runs = Runs::default();
    alone(async {
        for _ in 0..2 {
            assert_eq!(load::<u16>(1, runs.clone()).await, Some(7_u16));
            assert_eq!(load::<u32>(1, runs.clone()).await, Some(7_u32));
        }
        assert_eq!(runs.take(), 2);
        assert!(load::<u16>(0, runs.clone()).await.is_none() && load::<u16>(0, runs.clone()).await.is_none());
        assert_eq!(runs.take(), 2, "None is told through the parameter");
        assert!(load::invalidate::<u16>(1).await.unwrap());
        assert_eq!(load::peek::<u32>(1).await.unwrap(), Some(Some(7)));

        for _ in 0..2 {
            assert_eq!(fill::<2, _>("a", runs.clone()).await, ["a", "a"]);
            assert_eq!(fill::<1, _>("a", runs.clone()).await, ["a"]);
            assert_eq!(fill::<1, _>('a', runs.clone()).await, ["a"]);
        }
        assert_eq!(runs.take(), 3);
        assert!(fill::invalidate::<1, char>('a').await.unwrap());

        for _ in 0..2 {
            assert_eq!(shown("1", runs.clone()).await, "1");
            assert_eq!(shown(1_u8, runs.clone()).await, "1");
            assert_eq!(shown(1_u16, runs.clone()).await, "1");
        }
        assert_eq!(runs.take(), 3);

        for _ in 0..2 {
            assert!(Typed::<u8>::name(runs.clone()).await.contains("u8"));
            assert!(Typed::<String>::name(runs.clone()).await.contains("String"));
        }
        assert_eq!(runs.take(), 2);
        assert!(Typed::<u8>::name_invalidate().await.unwrap());
    })
    .await;
}

trait Rates {
    fn rate(&self, currency: &str) -> impl Future<Output = u32> + Send;
    fn pick(&self, id: u32) -> u32;
}

impl Rates for Shop {
    #[memorize(skip(self))]
    async fn rate(&self, currency: &str) -> u32 {
        self.runs.begin();
        currency.len() as u32
    }

    #[memorize]
    fn pick(&self, id: u32) -> u32 {
        self.runs.begin();
        id
    }
}

#[async_trait]
trait Store: Send + Sync {
    async fn read(&self, id: u32) -> Result<String, String>;
    async fn with_default(&self, id: u32) -> String;
}

#[async_trait]
impl Store for Shop {
    #[memorize]
    async fn read(&self, id: u32) -> Result<String, String> {
        self.runs.begin();
        if id == 0 { Err(self.name.clone()) } else { Ok(format!("{} {id}", self.name)) }
    }

    #[memorize(expire = 1, key = (self.name, id))]
    async fn with_default(&self, id: u32) -> String {
        self.runs.begin();
        self.name.repeat(id as usize)
    }
}

#[tokio::test(start_paused = true)]
async fn methods_of_traits_are_memorized_per_implementation() {
    let runs = Runs::default();
    alone(async {
        let shop = Shop::new("one", &runs);
        assert_eq!((shop.rate("kr").await, shop.rate("kr").await, shop.rate("eur").await), (2, 2, 3));
        assert_eq!((shop.pick(1), shop.pick(1)), (1, 1));
        assert_eq!(runs.take(), 3);
        let stores: [Arc<dyn Store>; 2] = [Arc::new(shop), Arc::new(Shop::new("two", &runs))];
        for store in &stores {
            assert_eq!(store.read(1).await, store.read(1).await);
            assert!(store.read(0).await.is_err() && store.read(0).await.is_err());
            assert_eq!(store.with_default(2).await, store.with_default(2).await);
        }
        assert_eq!(runs.take(), 8);
        assert_ne!(stores[0].read(1).await, stores[1].read(1).await);
        assert_eq!(runs.take(), 0);
    })
    .await;
}

#[memorize(skip(runs))]
async fn borrowed(a: &str, b: Option<&str>, c: Cow<'_, str>, d: &[u8], runs: Runs) -> String {
    runs.begin();
    format!("{a}{b:?}{c}{d:?}")
}

#[derive(Serialize)]
struct View<'a> {
    text: &'a str,
}

#[memorize(skip(runs))]
async fn viewed(view: View<'_>, list: &[&str], runs: Runs) -> usize {
    runs.begin();
    view.text.len() + list.len()
}

#[memorize(key = x + y)]
async fn patterned(Point { x, y }: Point, (_first, [second, ..]): (u8, [u8; 3]), mut runs: Runs) -> i32 {
    runs.begin();
    runs = Runs::default();
    x + y + i32::from(second) + i32::from(runs.begin() as u8)
}

struct Point {
    x: i32,
    y: i32,
}

#[tokio::test(start_paused = true)]
async fn arguments_may_be_borrowed_or_patterns() {
    let runs = Runs::default();
    alone(async {
        for text in ["x", "x", "y"] {
            let text = text.to_owned();
            borrowed(&text, Some(&text), Cow::Borrowed(&text), text.as_bytes(), runs.clone()).await;
        }
        borrowed("x", None, Cow::Owned("x".to_owned()), b"x", runs.clone()).await;
        assert_eq!(runs.take(), 3);
        assert!(borrowed::invalidate("x", None, "x".into(), b"x").await.unwrap());
        for text in ["x", "x", "y"] {
            assert_eq!(viewed(View { text }, &[text, text], runs.clone()).await, 3);
        }
        assert_eq!(runs.take(), 2);
        assert_eq!(patterned(Point { x: 1, y: 2 }, (1, [2, 3, 4]), runs.clone()).await, 3 + 3 + 1 - 1);
        assert_eq!(patterned(Point { x: 2, y: 1 }, (1, [9, 9, 9]), runs.clone()).await, 6);
        assert_eq!(runs.take(), 1);
    })
    .await;
}

#[memorize(skip(runs))]
#[allow(dead_code)]
fn sync_one(id: u32, runs: Runs) -> Option<u32> {
    runs.begin();
    (id > 0).then_some(id)
}

#[test]
fn a_sync_function_has_sync_companions_and_needs_no_runtime() {
    let runs = Runs::default();
    let cache = cache();
    let on = sync_one::on(&cache);
    assert_eq!(on.refresh(1, runs.clone()), Some(1));
    assert_eq!(on.peek(1).unwrap(), Some(Some(1)));
    assert!(on.invalidate(1).unwrap() && !on.invalidate(1).unwrap());
    on.put(1, Some(5)).unwrap();
    on.put(2, None).unwrap();
    assert_eq!((on.peek(1).unwrap(), on.peek(2).unwrap()), (Some(Some(5)), None));
    assert_eq!(on.uncached(1, runs.clone()), Some(1));
    assert_eq!(runs.take(), 2);
}

#[test]
fn a_sync_function_called_by_many_threads_runs_once() {
    #[memorize(skip(runs, cache), cache = cache)]
    fn slow(id: u32, runs: Runs, cache: &memory_core::FmCache) -> u32 {
        while cache.stats().misses < 8 {
            std::thread::yield_now();
        }
        runs.begin();
        id
    }

    let runs = Runs::default();
    let cache = cache();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(slow(1, runs.clone(), &cache), 1));
        }
    });
    assert_eq!(runs.take(), 1);
}

#[tracing::instrument(name = "outer_span", skip(runs))]
#[memorize(skip(runs))]
async fn instrument_first(id: u32, runs: Runs) -> u32 {
    tracing::info!("in the body");
    runs.begin();
    id
}

#[memorize(skip(runs))]
#[tracing::instrument(name = "outer_span", skip(runs))]
async fn memorize_first(id: u32, runs: Runs) -> u32 {
    tracing::info!("in the body");
    runs.begin();
    id
}

#[tokio::test(start_paused = true)]
async fn instrument_is_inside_whichever_is_written_first_and_the_callers_span_is_inherited() {
    let logs = Logs::capture();
    let runs = Runs::default();
    alone(async {
        for _ in 0..3 {
            let span = tracing::info_span!("request");
            async {
                instrument_first(1, runs.clone()).await;
                memorize_first(1, runs.clone()).await;
            }
            .instrument(span)
            .await;
        }
    })
    .await;
    assert_eq!(runs.take(), 2);
    let lines = logs.lines("INFO", "in the body");
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line.contains("request:outer_span{id=1}")), "{lines:?}");
    alone(async {
        assert!(!instrument_first::invalidate(1).await.unwrap() && !memorize_first::invalidate(1).await.unwrap());
        assert_eq!(FmCacheManager::stats().runs, 0);
    })
    .await;
}

#[default_retry(wait_min = 0, wait_max = 0)]
#[memorize(skip(runs))]
async fn retry_first(id: u32, runs: Runs) -> std::io::Result<u32> {
    if runs.begin() < 3 { Err(std::io::ErrorKind::ConnectionReset.into()) } else { Ok(id) }
}

#[memorize(skip(runs))]
#[default_retry(wait_min = 0, wait_max = 0)]
async fn retry_last(id: u32, runs: Runs) -> std::io::Result<u32> {
    if runs.begin() < 3 { Err(std::io::ErrorKind::ConnectionReset.into()) } else { Ok(id) }
}

#[tokio::test(start_paused = true)]
async fn memorize_is_outside_of_retry_whichever_is_written_first() {
    alone(async {
        for _ in 0..2 {
            let runs = Runs::default();
            assert_eq!(retry_first(1, runs.clone()).await.unwrap(), 1);
            assert_eq!(retry_last(1, runs.clone()).await.unwrap(), 1);
        }
        let stats = FmCacheManager::stats();
        assert_eq!((stats.runs, stats.failures, stats.hits), (2, 0, 2), "a run is all attempts together");
        assert!(retry_first::invalidate(1).await.unwrap() && retry_last::invalidate(1).await.unwrap());
    })
    .await;
}
