//! `batch = ids`: one call for many ids, an entry for each.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    hash::Hash,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Json, extract::State};
use memory_core::{FmCacheManager, FmError, memorize};
use tokio::{join, task::yield_now, time};

use crate::{alone, cache, seconds};

/// A table of users that can be slow, or down; it has those below 100.
#[derive(Clone, Debug, Default)]
struct Table {
    asked: Arc<Mutex<Vec<Vec<u32>>>>,
    takes: Arc<Mutex<Duration>>,
    is_down: Arc<Mutex<bool>>,
}

impl Table {
    async fn find(&self, ids: &[u32]) -> Result<HashMap<u32, String>, String> {
        self.asked.lock().unwrap().push(ids.to_vec());
        let (takes, is_down) = (*self.takes.lock().unwrap(), *self.is_down.lock().unwrap());
        time::sleep(takes).await;
        if is_down { Err("down".to_owned()) } else { Ok(named(ids.iter().copied().filter(|id| *id < 100))) }
    }

    fn take(&self, length: u64) {
        *self.takes.lock().unwrap() = seconds(length);
    }

    fn is_down(&self, is_down: bool) {
        *self.is_down.lock().unwrap() = is_down;
    }

    /// What each run was asked for since the last question.
    fn asked(&self) -> Vec<Vec<u32>> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn named(ids: impl IntoIterator<Item = u32>) -> HashMap<u32, String> {
    ids.into_iter().map(|id| (id, format!("user {id}"))).collect()
}

#[memorize(expire = 60, batch = ids, skip(table))]
async fn users(table: Table, ids: Vec<u32>) -> Result<HashMap<u32, String>, String> {
    table.find(&ids).await
}

#[tokio::test]
async fn only_what_is_absent_is_asked_for_once_and_in_the_order_of_the_call() {
    let table = Table::default();
    alone(async {
        assert_eq!(users(table.clone(), vec![9, 2, 7]).await, Ok(named([9, 2, 7])));
        assert_eq!(table.asked(), [[9, 2, 7]]);
        assert_eq!(users(table.clone(), vec![8, 2, 3, 8, 3, 9]).await, Ok(named([8, 2, 3, 9])));
        assert_eq!(table.asked(), [[8, 3]]);
        assert_eq!(users(table.clone(), vec![3, 7]).await, Ok(named([3, 7])), "all is there");
        assert_eq!(users(table.clone(), Vec::new()).await, Ok(HashMap::new()), "nothing is asked for");
        assert_eq!(table.asked(), [[0_u32; 0]; 0]);
        let stats = FmCacheManager::stats();
        assert_eq!((stats.hits, stats.misses, stats.runs, stats.stores), (4, 5, 2, 5));
    })
    .await;
}

#[memorize(expire = 60, batch = ids, cache_none = 5, skip(table))]
async fn remembered(table: Table, ids: Vec<u32>) -> Result<HashMap<u32, String>, String> {
    table.find(&ids).await
}

#[tokio::test(start_paused = true)]
async fn ids_that_do_not_come_back_count_as_none() {
    let table = Table::default();
    alone(async {
        for _ in 0..2 {
            assert_eq!(users(table.clone(), vec![1, 100, 101]).await, Ok(named([1])));
        }
        assert_eq!(table.asked(), [vec![1, 100, 101], vec![100, 101]], "`None` is not stored by default");
        for _ in 0..2 {
            assert_eq!(remembered(table.clone(), vec![1, 100]).await, Ok(named([1])));
        }
        assert_eq!(table.asked(), [[1, 100]]);
        assert_eq!(remembered::peek(100).await.unwrap(), Some(None));
        assert_eq!(remembered::peek(1).await.unwrap(), Some(Some("user 1".to_owned())));
        time::advance(seconds(6)).await;
        assert_eq!(remembered(table.clone(), vec![1, 100]).await, Ok(named([1])));
        assert_eq!(table.asked(), [[100]], "`cache_none` has an expiry of its own");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn batches_side_by_side_share_the_runs_under_way() {
    let table = Table::default();
    table.take(1);
    alone(async {
        let all = || users(table.clone(), vec![3, 2, 1]);
        let began = time::Instant::now();
        let answers = join!(users(table.clone(), vec![1, 2]), users(table.clone(), vec![2, 3]), all(), all());
        assert_eq!(answers, (Ok(named([1, 2])), Ok(named([2, 3])), Ok(named([1, 2, 3])), Ok(named([1, 2, 3]))));
        assert_eq!(table.asked(), [vec![1, 2], vec![3]]);
        assert_eq!(began.elapsed(), seconds(1), "nobody waits for one run after the other");
    })
    .await;
}

#[tokio::test]
async fn a_thousand_batches_that_overlap_ask_for_each_id_once() {
    let table = Table::default();
    let cache = cache();
    let calls = (0..1_000_u32).map(|call| {
        let (cache, table) = (cache.clone(), table.clone());
        tokio::spawn(async move {
            let ids: Vec<u32> = (0..10).map(|step| (call * 7 + step * 3) % 100).collect();
            assert_eq!(cache.scope(users(table, ids.clone())).await, Ok(named(ids)));
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    let mut asked = table.asked().concat();
    asked.sort_unstable();
    assert_eq!(asked, (0..100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_that_of_everybody_who_waits_for_one_of_its_ids() {
    let table = Table::default();
    table.take(1);
    table.is_down(true);
    alone(async {
        let down = Err("down".to_owned());
        let later = async {
            yield_now().await;
            table.is_down(false);
            join!(users(table.clone(), vec![2, 3]), users(table.clone(), vec![3, 4]))
        };
        let (first, (second, third)) = join!(users(table.clone(), vec![1, 2]), later);
        assert_eq!((first, second), (down.clone(), down));
        assert_eq!(third, Ok(named([3, 4])), "the run for 3 was another");
        assert_eq!(table.asked(), [vec![1, 2], vec![3], vec![4]]);
        assert_eq!(users(table.clone(), vec![1, 2, 4]).await, Ok(named([1, 2, 4])), "no failure is stored");
        assert_eq!(table.asked(), [[1, 2]]);
    })
    .await;
}

#[tokio::test]
async fn companions_speak_of_one_id() {
    let table = Table::default();
    alone(async {
        users(table.clone(), vec![1, 2, 3, 4]).await.unwrap();
        table.asked();
        assert_eq!(users::peek(1).await.unwrap(), Some("user 1".to_owned()));
        assert_eq!(users::peek(5).await.unwrap(), None);
        assert!(users::invalidate(1).await.unwrap());
        assert!(!users::invalidate(1).await.unwrap());
        assert_eq!(users::invalidate_many([1, 2, 3]).await.unwrap(), 2);
        assert_eq!(users::invalidate_many(HashSet::new()).strict().await.unwrap(), 0);
        users::put(2, "put".to_owned()).await.unwrap();
        let found = users(table.clone(), vec![1, 2, 4]).await.unwrap();
        assert_eq!((found.len(), found[&2].as_str()), (3, "put"));
        assert_eq!(table.asked(), [[1]]);
        assert_ne!(users::key(1), users::key(2));
        assert_eq!(users::refresh(table.clone(), vec![2, 4]).await, Ok(named([2, 4])));
        assert_eq!(users::uncached(table.clone(), vec![4]).await, Ok(named([4])));
        assert_eq!(table.asked(), [vec![2, 4], vec![4]]);
        assert_eq!(users(table.clone(), vec![2]).await, Ok(named([2])), "the refreshed value");
        assert_eq!(table.asked(), [[0_u32; 0]; 0]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_id_that_is_invalidated_during_the_run_is_not_stored() {
    let table = Table::default();
    table.take(2);
    alone(async {
        let middle = async {
            time::sleep(seconds(1)).await;
            users::invalidate_many([2]).await.unwrap();
        };
        let (answer, ()) = join!(users(table.clone(), vec![1, 2, 3]), middle);
        assert_eq!(answer, Ok(named([1, 2, 3])));
        users(table.clone(), vec![1, 2, 3]).await.unwrap();
        assert_eq!(table.asked(), [vec![1, 2, 3], vec![2]]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_run_goes_on_when_its_caller_goes_away() {
    let table = Table::default();
    table.take(2);
    alone(async {
        time::timeout(seconds(1), users(table.clone(), vec![1, 2])).await.unwrap_err();
        assert_eq!(users(table.clone(), vec![2, 3]).await, Ok(named([2, 3])));
        assert_eq!(users(table.clone(), vec![1]).await, Ok(named([1])));
        assert_eq!(table.asked(), [vec![1, 2], vec![3]]);
    })
    .await;
}

#[memorize(expire = 60, stale_while_revalidate = 30, stale_if_error = 600, batch = ids, skip(table))]
async fn stale(table: Table, ids: Vec<u32>) -> Result<HashMap<u32, String>, String> {
    table.find(&ids).await
}

#[tokio::test(start_paused = true)]
async fn stale_values_are_answered_at_once_and_refreshed_in_one_run() {
    let table = Table::default();
    alone(async {
        stale(table.clone(), vec![1, 2]).await.unwrap();
        time::advance(seconds(50)).await;
        stale(table.clone(), vec![3]).await.unwrap();
        time::advance(seconds(20)).await;
        table.asked();
        table.take(1);
        let began = time::Instant::now();
        assert_eq!(stale(table.clone(), vec![1, 2, 3]).await, Ok(named([1, 2, 3])));
        assert_eq!(began.elapsed(), Duration::ZERO);
        FmCacheManager::settle().await;
        assert_eq!(table.asked(), [[1, 2]]);
        assert_eq!(stale(table.clone(), vec![1, 2, 3]).await, Ok(named([1, 2, 3])));
        assert_eq!(table.asked(), [[0_u32; 0]; 0]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_excused_where_every_id_has_an_older_value() {
    let table = Table::default();
    alone(async {
        stale(table.clone(), vec![1, 2]).await.unwrap();
        time::advance(seconds(100)).await;
        table.asked();
        table.is_down(true);
        assert_eq!(stale(table.clone(), vec![1, 2]).await, Ok(named([1, 2])));
        assert_eq!(stale(table.clone(), vec![1, 3]).await, Err("down".to_owned()), "nothing stands in for 3");
        assert_eq!(table.asked(), [vec![1, 2], vec![3]], "what failed is not asked for at once again");
    })
    .await;
}

#[memorize(expire = 60, timeout = 2, batch = ids, skip(table))]
async fn limited(table: Table, ids: Vec<u32>) -> Result<HashMap<u32, String>, FmError> {
    Ok(table.find(&ids).await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_run_that_takes_too_long_is_ended_for_all() {
    let table = Table::default();
    table.take(9);
    alone(async {
        let (one, other) = join!(limited(table.clone(), vec![1, 2]), limited(table.clone(), vec![2]));
        assert!(one.unwrap_err().is_timeout());
        assert!(other.unwrap_err().is_timeout());
        table.take(1);
        assert_eq!(limited(table.clone(), vec![1, 2]).await.unwrap(), named([1, 2]), "the keys are free");
        assert_eq!(table.asked(), [[1, 2], [1, 2]]);
    })
    .await;
}

#[memorize(expire = 60, batch = ids, skip(table))]
async fn fragile(table: Table, ids: Vec<u32>) -> HashMap<u32, String> {
    let is_first = table.asked.lock().unwrap().is_empty();
    let found = table.find(&ids).await.unwrap();
    assert!(!is_first, "the first run panics");
    found
}

#[tokio::test(start_paused = true)]
async fn a_panic_reaches_its_caller_and_the_waiters_run_again() {
    let table = Table::default();
    table.take(1);
    let cache = cache();
    let spawn = |ids| tokio::spawn(cache.scope(fragile(table.clone(), ids)));
    let (first, second) = (spawn(vec![1, 2]), spawn(vec![2, 3]));
    assert!(first.await.unwrap_err().is_panic());
    assert_eq!(second.await.unwrap(), named([2, 3]));
    assert_eq!(table.asked(), [vec![1, 2], vec![3], vec![2]]);
}

#[memorize(
    expire = |name| if name.ends_with('1') { 10 } else { 60 },
    tags = [format!("user-{ids}"), "users"],
    cache_if = |name| !name.ends_with('9'),
    refresh_if = ids == 7,
    batch = ids,
    skip(table),
)]
async fn judged(table: Table, ids: Vec<u32>) -> Result<HashMap<u32, String>, String> {
    table.find(&ids).await
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_entries_is_said_of_each_id_and_value() {
    let table = Table::default();
    alone(async {
        judged(table.clone(), vec![1, 2, 7, 9]).await.unwrap();
        table.asked();
        judged(table.clone(), vec![1, 2, 7, 9]).await.unwrap();
        assert_eq!(table.asked(), [[7, 9]], "7 is refreshed, 9 was not to be stored");
        time::advance(seconds(11)).await;
        judged(table.clone(), vec![1, 2]).await.unwrap();
        assert_eq!(table.asked(), [[1]], "its value said 10 s");
        FmCacheManager::invalidate_tag("user-2").await.unwrap();
        judged(table.clone(), vec![1, 2]).await.unwrap();
        assert_eq!(table.asked(), [[2]]);
        FmCacheManager::invalidate_tag("users").await.unwrap();
        judged(table.clone(), vec![1, 2]).await.unwrap();
        assert_eq!(table.asked(), [[1, 2]]);
    })
    .await;
}

#[memorize(expire = 60, batch = ids, skip(table))]
async fn itself(table: Table, ids: Vec<u32>) -> Result<HashMap<u32, String>, String> {
    let found = table.find(&ids).await?;
    if table.asked.lock().unwrap().len() < 2 {
        return Box::pin(itself(table.clone(), ids)).await;
    }
    Ok(found)
}

#[tokio::test]
async fn a_batch_that_asks_itself_for_its_own_ids_ends() {
    let table = Table::default();
    alone(async {
        assert_eq!(itself(table.clone(), vec![1, 2]).await, Ok(named([1, 2])));
        assert_eq!(table.asked(), [[1, 2], [1, 2]], "the inner call runs uncached");
    })
    .await;
}

#[memorize(expire = 60, batch = ids)]
async fn handler(State(table): State<Table>, Json(ids): Json<Vec<u32>>) -> Result<Json<BTreeMap<u32, String>>, String> {
    Ok(Json(table.find(&ids).await?.into_iter().collect()))
}

#[memorize(expire = 60, batch = names, skip(table))]
async fn borrowed(table: &Table, names: &[String], lang: &str) -> HashMap<String, usize> {
    let ids: Vec<u32> = names.iter().map(|name| name.len() as u32).collect();
    drop(table.find(&ids).await);
    names.iter().map(|name| (name.clone(), name.len() + lang.len())).collect()
}

#[memorize(expire = 60, batch = ids, skip(table), memory_only)]
async fn set(table: Table, ids: BTreeSet<u32>) -> BTreeMap<u32, Arc<str>> {
    let ids: Vec<u32> = ids.into_iter().collect();
    table.find(&ids).await.unwrap().into_iter().map(|(id, name)| (id, name.into())).collect()
}

#[memorize(expire = 60, batch = ids, skip(table))]
async fn generic<K>(table: Table, ids: Vec<K>) -> HashMap<K, String>
where
    K: serde::Serialize + Clone + Eq + Hash + Into<u32> + Send + Sync + 'static,
{
    let found = table.find(&ids.iter().cloned().map(Into::into).collect::<Vec<u32>>()).await.unwrap();
    ids.into_iter().filter_map(|id| Some((id.clone(), found.get(&id.into())?.clone()))).collect()
}

#[derive(Default)]
struct Service(Table);

impl Service {
    #[memorize(expire = 60, batch = ids, skip(self))]
    pub(crate) async fn users(&self, ids: Vec<u32>) -> Result<HashMap<u32, String>, String> {
        self.0.find(&ids).await
    }
}

#[memorize(expire = 60, batch = ids, in_place, skip(table))]
async fn in_place(table: Table, ids: Vec<u32>) -> Result<HashMap<u32, String>, String> {
    let not_send = std::rc::Rc::new(table);
    not_send.find(&ids).await
}

#[tokio::test]
async fn every_shape_of_function_asks_only_for_what_is_absent() {
    alone(async {
        let table = Table::default();
        for ids in [vec![1, 2], vec![2, 3]] {
            let Json(found) = handler(State(table.clone()), Json(ids.clone())).await.unwrap();
            assert_eq!(found.into_keys().collect::<Vec<_>>(), ids);
        }
        assert_eq!(table.asked(), [vec![1, 2], vec![3]]);
        assert!(handler::invalidate(3).await.unwrap());

        let names = ["a", "bb", "ccc"].map(str::to_owned);
        assert_eq!(borrowed(&table, &names[..2], "en").await.len(), 2);
        assert_eq!(borrowed(&table, &names[1..], "en").await["ccc"], 5);
        assert_eq!(borrowed(&table, &names[1..2], "deu").await["bb"], 5, "another language is another entry");
        assert_eq!(table.asked(), [vec![1, 2], vec![3], vec![2]]);
        assert_eq!(borrowed::invalidate_many(names, "en").await.unwrap(), 3);

        set(table.clone(), BTreeSet::from([2, 1])).await;
        assert_eq!(set(table.clone(), BTreeSet::from([1, 5])).await.len(), 2);
        assert_eq!(table.asked(), [vec![1, 2], vec![5]]);

        generic(table.clone(), vec![1_u8, 2]).await;
        generic(table.clone(), vec![2_u8, 3]).await;
        generic(table.clone(), vec![2_u32]).await;
        assert_eq!(table.asked(), [vec![1, 2], vec![3], vec![2]]);
        assert_eq!(generic::invalidate_many::<u8>([1, 2, 3]).await.unwrap(), 3);

        let service = Service::default();
        service.users(vec![1, 2]).await.unwrap();
        service.users(vec![3, 2]).await.unwrap();
        assert_eq!(service.0.asked(), [vec![1, 2], vec![3]]);
        assert_eq!(Service::users_invalidate_many([1, 3]).await.unwrap(), 2);
        assert!(Service::users_invalidate(2).await.unwrap());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn in_the_task_of_the_caller_runs_are_shared_and_handed_over() {
    let table = Table::default();
    table.take(2);
    alone(async {
        let gone = time::timeout(seconds(1), in_place(table.clone(), vec![1, 2]));
        let (gone, answer) = join!(gone, in_place(table.clone(), vec![2, 3]));
        gone.unwrap_err();
        assert_eq!(answer, Ok(named([2, 3])));
        assert_eq!(table.asked(), [vec![1, 2], vec![3], vec![2]]);
    })
    .await;
}
