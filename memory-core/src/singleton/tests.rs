use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::Poll,
    thread,
};

use super::{AsyncSingleton, Singleton};

type Boxed = Pin<Box<dyn Future<Output = &'static u32> + Send>>;

fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic.downcast_ref::<String>().map_or("no text", String::as_str)
}

#[test]
fn sixty_four_racing_threads_run_it_once() {
    static CELL: Singleton<usize> = Singleton::new("racing");
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let barrier = Barrier::new(64);
    let seen: Vec<&'static usize> = thread::scope(|scope| {
        let race = || {
            barrier.wait();
            CELL.get_or_init(|| {
                thread::yield_now();
                RUNS.fetch_add(1, SeqCst) + 7
            })
        };
        let racers: Vec<_> = (0..64).map(|_| scope.spawn(race)).collect();
        racers.into_iter().map(|racer| racer.join().expect("a racer panicked")).collect()
    });
    assert_eq!(RUNS.load(SeqCst), 1);
    assert!(seen.iter().all(|value| std::ptr::eq(*value, seen[0]) && **value == 7));
}

#[test]
fn an_error_or_a_panic_leaves_it_to_the_next() {
    static CELL: Singleton<u32> = Singleton::new("failing");
    assert_eq!(CELL.get_or_try_init(|| Err("down")), Err("down"));
    assert!(thread::spawn(|| *CELL.get_or_init(|| panic!("no"))).join().is_err());
    assert_eq!(CELL.get_or_try_init(|| Ok::<_, &str>(3)), Ok(&3));
    assert_eq!(CELL.get_or_try_init(|| Err("not run")), Ok(&3));
}

#[test]
fn one_that_needs_itself_panics_and_says_its_name() {
    static CELL: Singleton<u32> = Singleton::new("narcissus");
    fn get() -> &'static u32 {
        CELL.get_or_init(|| *get())
    }
    let panic = thread::spawn(get).join().expect_err("it ended");
    assert!(message(&*panic).contains("`narcissus` asks for `narcissus`"), "{}", message(&*panic));
    assert_eq!(CELL.get_or_init(|| 1), &1, "nothing is poisoned");
}

#[test]
fn two_threads_whose_singletons_need_each_other_end() {
    static CHICKEN: Singleton<u32> = Singleton::new("chicken");
    static EGG: Singleton<u32> = Singleton::new("egg");
    static BOTH_BEGAN: Barrier = Barrier::new(2);
    let chicken = thread::spawn(|| {
        *CHICKEN.get_or_init(|| {
            BOTH_BEGAN.wait();
            EGG.get_or_init(|| 10) + 1
        })
    });
    let egg = thread::spawn(|| {
        *EGG.get_or_init(|| {
            BOTH_BEGAN.wait();
            CHICKEN.get_or_init(|| 20) + 1
        })
    });
    let ends = [chicken.join(), egg.join()];
    let panicked = ends.iter().filter(|end| end.is_err()).count();
    assert_eq!(panicked, 1, "the one that would close the circle panics, the other goes on");
}

#[tokio::test]
async fn sixty_four_racing_tasks_run_it_once() {
    static CELL: AsyncSingleton<usize> = AsyncSingleton::new("racing");
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let racer = || async {
        CELL.get_or_init(async || {
            tokio::task::yield_now().await;
            RUNS.fetch_add(1, SeqCst) + 7
        })
        .await
    };
    let racers: Vec<_> = (0..64).map(|_| tokio::spawn(racer())).collect();
    for racer in racers {
        assert_eq!(racer.await.expect("a racer panicked"), &7);
    }
    assert_eq!(RUNS.load(SeqCst), 1);
}

#[tokio::test]
async fn an_async_error_is_not_kept() {
    static CELL: AsyncSingleton<u32> = AsyncSingleton::new("failing");
    assert_eq!(CELL.get_or_try_init(async || Err("down")).await, Err("down"));
    assert_eq!(CELL.get_or_try_init(async || Ok::<_, &str>(3)).await, Ok(&3));
    assert_eq!(CELL.get_or_try_init(async || Err("not run")).await, Ok(&3));
}

#[tokio::test]
async fn a_cancelled_run_hands_over_to_the_next() {
    static CELL: AsyncSingleton<u32> = AsyncSingleton::new("cancelled");
    let mut second = Box::pin(CELL.get_or_init(async || 2));
    {
        let mut first = pin!(CELL.get_or_init(std::future::pending));
        poll_fn(|context| {
            assert!(first.as_mut().poll(context).is_pending(), "it hangs");
            assert!(second.as_mut().poll(context).is_pending(), "it waits for the first");
            Poll::Ready(())
        })
        .await;
    }
    assert_eq!(second.await, &2);
}

#[tokio::test]
async fn an_async_one_that_needs_itself_panics() {
    static CELL: AsyncSingleton<u32> = AsyncSingleton::new("echo");
    fn get() -> Boxed {
        Box::pin(CELL.get_or_init(async || {
            tokio::task::yield_now().await;
            *get().await
        }))
    }
    let panic = tokio::spawn(get()).await.expect_err("it ended").into_panic();
    assert!(message(&*panic).contains("`echo` asks for `echo`"), "{}", message(&*panic));
    assert_eq!(CELL.get_or_init(async || 1).await, &1, "nothing is poisoned");
}

#[tokio::test]
async fn two_tasks_whose_singletons_need_each_other_end() {
    static CHICKEN: AsyncSingleton<u32> = AsyncSingleton::new("chicken");
    static EGG: AsyncSingleton<u32> = AsyncSingleton::new("egg");
    fn chicken() -> Boxed {
        Box::pin(CHICKEN.get_or_init(async || {
            tokio::task::yield_now().await;
            egg().await + 1
        }))
    }
    fn egg() -> Boxed {
        Box::pin(EGG.get_or_init(async || {
            tokio::task::yield_now().await;
            chicken().await + 1
        }))
    }
    let (chicken, egg) = (tokio::spawn(chicken()), tokio::spawn(egg()));
    assert!(chicken.await.is_err() || egg.await.is_err());
}
