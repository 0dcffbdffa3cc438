//! `#[cached_singleton]` and `#[fm_lru]`, as a service uses them.

use std::{
    borrow::Cow,
    collections::HashSet,
    fmt, io,
    path::Path,
    sync::{
        Arc, Barrier,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    thread,
};

use memory_core::{CacheInfo, FmLru, cached_singleton, fm_lru};
use tokio::sync::{Notify, oneshot};

fn info(hits: u64, misses: u64, maxsize: Option<u64>, currsize: u64) -> CacheInfo {
    CacheInfo { hits, misses, maxsize, currsize }
}

fn assert_send<T: Send>(value: T) -> T {
    value
}

mod singletons {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Settings {
        name: String,
    }

    impl Settings {
        fn standard() -> Self {
            Self { name: "standard".to_owned() }
        }

        #[cached_singleton]
        fn shared() -> Settings {
            Self::standard()
        }
    }

    #[test]
    fn sixty_four_racing_threads_run_it_once_and_share_one_value() {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        #[cached_singleton]
        fn get_settings() -> Settings {
            thread::yield_now();
            Settings { name: format!("run {}", RUNS.fetch_add(1, SeqCst) + 1) }
        }
        let start = Barrier::new(64);
        let seen: HashSet<usize> = thread::scope(|scope| {
            let race = || {
                start.wait();
                let settings: &'static Settings = get_settings();
                std::ptr::from_ref(settings).addr()
            };
            let racers: Vec<_> = (0..64).map(|_| scope.spawn(race)).collect();
            racers.into_iter().map(|racer| racer.join().expect("a racer panicked")).collect()
        });
        assert_eq!((RUNS.load(SeqCst), seen.len()), (1, 1));
        assert_eq!(get_settings().name, "run 1");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn sixty_four_racing_tasks_run_it_once() {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        #[cached_singleton]
        async fn get_pool() -> Result<u32, io::Error> {
            tokio::task::yield_now().await;
            Ok(RUNS.fetch_add(1, SeqCst) + 1)
        }
        let racers: Vec<_> = (0..64).map(|_| tokio::spawn(get_pool())).collect();
        for racer in racers {
            let pool: Result<&'static u32, io::Error> = racer.await.expect("a racer panicked");
            assert_eq!(pool.expect("no error"), &1);
        }
        assert_eq!(RUNS.load(SeqCst), 1);
    }

    #[test]
    fn an_error_is_not_kept() {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        #[cached_singleton]
        fn connect() -> Result<u32, String> {
            match RUNS.fetch_add(1, SeqCst) {
                0 => Err("down".to_owned()),
                run => Ok(run),
            }
        }
        assert_eq!(connect(), Err("down".to_owned()));
        assert_eq!((connect(), connect()), (Ok(&1), Ok(&1)));
    }

    #[test]
    fn a_result_with_one_parameter_is_spelled_result_too() {
        #[cached_singleton]
        fn root() -> io::Result<u32> {
            let parsed: u32 = "7".parse().map_err(io::Error::other)?;
            Ok(parsed)
        }
        let seen: io::Result<&'static u32> = root();
        assert_eq!(seen.expect("no error"), &7);
    }

    #[tokio::test]
    async fn the_one_that_was_cancelled_hands_over() {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        static BEGAN: Notify = Notify::const_new();
        #[cached_singleton]
        async fn value() -> u32 {
            let run = RUNS.fetch_add(1, SeqCst) + 1;
            if run == 1 {
                BEGAN.notify_one();
                std::future::pending::<()>().await;
            }
            run
        }
        let first = tokio::spawn(value());
        BEGAN.notified().await;
        let second = tokio::spawn(value());
        tokio::task::yield_now().await;
        first.abort();
        assert_eq!(second.await.expect("it ended"), &2);
    }

    #[test]
    fn one_that_needs_itself_panics_instead_of_hanging() {
        #[cached_singleton]
        fn narcissus() -> u32 {
            *narcissus() + 1
        }
        let panic = thread::spawn(narcissus).join().expect_err("it ended");
        let text = panic.downcast_ref::<String>().map_or("", String::as_str);
        assert!(text.contains("`narcissus`"), "{text}");
    }

    #[tokio::test]
    async fn an_async_one_that_needs_itself_panics_instead_of_hanging() {
        #[cached_singleton]
        async fn echo() -> u32 {
            *Box::pin(echo()).await + 1
        }
        assert!(tokio::spawn(echo()).await.is_err_and(|error| error.is_panic()));
    }

    #[tokio::test]
    async fn an_async_one_is_send_and_takes_question_marks_and_returns() {
        #[cached_singleton]
        async fn boxed() -> Result<Box<dyn fmt::Debug + Send + Sync>, Box<dyn std::error::Error + Send + Sync>> {
            if "1".parse::<u8>()? == 1 {
                return Ok(Box::new("early"));
            }
            Ok(Box::new(0))
        }
        assert_eq!(format!("{:?}", assert_send(boxed()).await.expect("no error")), "\"early\"");
    }

    #[test]
    fn an_associated_function_can_be_one() {
        assert!(std::ptr::eq(Settings::shared(), Settings::shared()));
        assert_eq!(Settings::shared(), &Settings { name: "standard".to_owned() });
    }

    #[test]
    fn a_value_that_is_an_option_or_a_reference_is_shared_as_it_is() {
        #[cached_singleton]
        fn nothing() -> Option<u32> {
            None
        }
        #[cached_singleton]
        fn word() -> &'static str {
            "word"
        }
        let (option, text): (&'static Option<u32>, &'static &'static str) = (nothing(), word());
        assert_eq!((option, *text), (&None, "word"));
    }
}

mod lru {
    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Config(String);

    impl Config {
        #[fm_lru(maxsize = 4)]
        fn load(name: &str) -> Self {
            Self(name.to_owned())
        }

        #[fm_lru(in_impl)]
        fn size(name: &str) -> usize {
            name.len()
        }
    }

    #[test]
    fn hits_and_misses_are_counted_as_functools_does() {
        #[fm_lru(maxsize = 2)]
        fn get_config(name: &str) -> Config {
            Config(name.to_owned())
        }
        assert_eq!(get_config::cache_info(), info(0, 0, Some(2), 0));
        assert_eq!(get_config("a"), Config("a".to_owned()));
        assert_eq!(get_config(&String::from("a")), Config("a".to_owned()));
        assert_eq!(get_config::cache_info(), info(1, 1, Some(2), 1));
        for name in ["b", "a", "c", "b"] {
            get_config(name);
        }
        assert_eq!(get_config::cache_info(), info(2, 4, Some(2), 2));
        get_config::cache_clear();
        assert_eq!(get_config::cache_info(), info(0, 0, Some(2), 0));
    }

    #[test]
    fn the_bound_is_128_or_what_it_says() {
        const BOUND: usize = 3;
        #[fm_lru]
        fn bare(n: u32) -> u32 {
            n
        }
        #[fm_lru()]
        fn empty(n: u32) -> u32 {
            n
        }
        #[fm_lru(maxsize = None)]
        fn unbounded(n: u32) -> u32 {
            n
        }
        #[fm_lru(maxsize = 0)]
        fn never(n: u32) -> u32 {
            n
        }
        #[fm_lru(maxsize = BOUND * 2)]
        fn computed(n: u32) -> u32 {
            n
        }
        for n in (0..200).chain(0..200) {
            assert_eq!([bare(n), empty(n), unbounded(n), never(n), computed(n)], [n; 5]);
        }
        assert_eq!(bare::cache_info(), info(0, 400, Some(128), 128));
        assert_eq!(empty::cache_info(), info(0, 400, Some(128), 128));
        assert_eq!(unbounded::cache_info(), info(200, 200, None, 200));
        assert_eq!(never::cache_info(), info(0, 400, Some(0), 0));
        assert_eq!(computed::cache_info(), info(0, 400, Some(6), 6));
    }

    /// Neither `Clone` nor `Send`.
    #[derive(Debug)]
    struct Refusal(#[expect(dead_code)] std::rc::Rc<()>);

    type Verdict<T> = Result<T, Refusal>;

    #[test]
    fn an_error_is_never_kept_whatever_the_result_is_called() {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        #[fm_lru]
        fn judge(allow: bool) -> Verdict<u32> {
            let run = RUNS.fetch_add(1, SeqCst);
            if allow { Ok(run) } else { Err(Refusal(std::rc::Rc::new(()))) }
        }
        assert!(judge(false).is_err() && judge(false).is_err());
        assert_eq!(judge::cache_info(), info(0, 2, Some(128), 0));
        assert_eq!((judge(true).ok(), judge(true).ok()), (Some(2), Some(2)));
        assert_eq!(judge::cache_info(), info(1, 3, Some(128), 1));
    }

    #[test]
    fn a_recursive_function_remembers_its_inner_calls() {
        #[fm_lru(maxsize = None)]
        fn fibonacci(n: u64) -> u64 {
            if n < 2 { n } else { fibonacci(n - 1) + fibonacci(n - 2) }
        }
        assert_eq!(fibonacci(90), 2_880_067_194_370_816_120);
        assert_eq!(fibonacci::cache_info(), info(88, 91, None, 91));
    }

    #[test]
    fn arguments_are_borrowed_owned_optional_or_patterns() {
        #[fm_lru]
        #[expect(clippy::too_many_arguments, reason = "one of each kind")]
        fn mixed(
            path: &Path,
            bytes: &[u8],
            title: Option<&str>,
            text: Cow<'_, str>,
            (left, mut right): (u8, u8),
            mut words: Vec<String>,
            _unused: bool,
            raw: fn(&str) -> usize,
        ) -> String {
            right += left;
            words.push(text.into_owned());
            format!("{} {bytes:?} {title:?} {right} {words:?} {}", path.display(), raw("four"))
        }
        fn call(title: Option<&str>, text: Cow<'_, str>, unused: bool) -> String {
            mixed(Path::new("/x"), &[1], title, text, (1, 2), vec!["w".to_owned()], unused, str::len)
        }
        let expected = "/x [1] Some(\"t\") 3 [\"w\", \"c\"] 4";
        assert_eq!(call(Some("t"), Cow::Borrowed("c"), true), expected);
        assert_eq!(call(Some(&String::from("t")), Cow::Owned("c".to_owned()), true), expected);
        assert_eq!(mixed::cache_info(), info(1, 1, Some(128), 1));
        call(None, Cow::Borrowed("c"), true);
        call(Some("t"), Cow::Borrowed("d"), true);
        call(Some("t"), Cow::Borrowed("c"), false);
        assert_eq!(mixed::cache_info(), info(1, 4, Some(128), 4), "every argument is part of the key");
    }

    #[test]
    fn neighbouring_arguments_do_not_run_together() {
        #[fm_lru]
        fn joined(left: &str, right: &str) -> String {
            format!("{left}|{right}")
        }
        assert_eq!(joined("ab", "c"), "ab|c");
        assert_eq!(joined("a", "bc"), "a|bc");
    }

    #[test]
    fn a_generic_function_has_a_store_for_each_instantiation() {
        trait Unit: 'static {
            const NAME: &'static str;
        }
        struct Metre;
        struct Mile;
        impl Unit for Metre {
            const NAME: &'static str = "m";
        }
        impl Unit for Mile {
            const NAME: &'static str = "mi";
        }
        #[fm_lru]
        fn label<'a, U: Unit, const N: usize>(amount: &'a str) -> String {
            format!("{amount}{}{N}", U::NAME)
        }
        assert_eq!([label::<Metre, 1>("3"), label::<Mile, 1>("3"), label::<Mile, 2>("3")], ["3m1", "3mi1", "3mi2"]);
        label::<Mile, 2>("3");
        assert_eq!(label::cache_info::<Metre, 1>(), info(0, 1, Some(128), 1));
        assert_eq!(label::cache_info::<Mile, 2>(), info(1, 1, Some(128), 1));
        label::cache_clear::<Mile, 2>();
        assert_eq!(label::cache_info::<Mile, 2>(), info(0, 0, Some(128), 0));
        assert_eq!(label::cache_info::<Mile, 1>(), info(0, 1, Some(128), 1));
    }

    #[test]
    fn an_associated_function_has_companions_beside_it() {
        assert_eq!((Config::load("a"), Config::load("a")), (Config("a".to_owned()), Config("a".to_owned())));
        assert_eq!(Config::load_cache_info(), info(1, 1, Some(4), 1));
        Config::load_cache_clear();
        assert_eq!(Config::load_cache_info(), info(0, 0, Some(4), 0));
        assert_eq!((Config::size("abc"), Config::size_cache_info()), (3, info(0, 1, Some(128), 1)));
        Config::size_cache_clear();
    }

    #[test]
    fn a_generic_impl_has_a_store_for_each_instantiation() {
        assert_eq!((Wrapped::<u8>::width("a"), Wrapped::<u32>::width("a")), (1, 4));
        assert_eq!((Wrapped::<u8>::width("a"), Wrapped::<u32>::width("a")), (1, 4));
        assert_eq!(Wrapped::<u8>::width_cache_info(), info(1, 1, Some(128), 1));
        Wrapped::<u8>::width_cache_clear();
        assert_eq!(Wrapped::<u32>::width_cache_info(), info(1, 1, Some(128), 1));
    }

    struct Wrapped<T>(std::marker::PhantomData<T>);

    impl<T: 'static> Wrapped<T> {
        #[fm_lru(in_impl)]
        fn width(_name: &str) -> usize {
            size_of::<T>()
        }
    }

    #[tokio::test]
    async fn a_recursive_async_function_remembers_its_inner_calls() {
        #[fm_lru(maxsize = None)]
        async fn fibonacci(n: u64) -> u64 {
            if n < 2 {
                return n;
            }
            tokio::task::yield_now().await;
            Box::pin(fibonacci(n - 1)).await + Box::pin(fibonacci(n - 2)).await
        }
        assert_eq!(tokio::spawn(fibonacci(50)).await.expect("it ended"), 12_586_269_025);
        assert_eq!(fibonacci::cache_info(), info(48, 51, None, 51));
    }

    #[test]
    fn a_panicking_body_counts_as_a_miss_and_breaks_nothing() {
        #[fm_lru]
        fn picky(n: u8) -> u8 {
            assert!(n != 13, "not that one");
            n
        }
        assert!(thread::spawn(|| picky(13)).join().is_err());
        assert_eq!((picky(1), picky(1)), (1, 1));
        assert_eq!(picky::cache_info(), info(1, 2, Some(128), 1));
    }

    #[tokio::test]
    async fn async_callers_that_miss_together_all_run() {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        #[fm_lru]
        async fn slow(name: &str) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
            let length: u32 = name.len().try_into()?;
            tokio::task::yield_now().await;
            Ok(length * 100 + RUNS.fetch_add(1, SeqCst))
        }
        let name = String::from("ab");
        let (one, other) = tokio::join!(assert_send(slow(&name)), slow("ab"));
        assert_eq!(HashSet::from([one.ok(), other.ok()]), HashSet::from([Some(200), Some(201)]));
        assert_eq!(slow::cache_info(), info(0, 2, Some(128), 1));
        assert_eq!(slow("ab").await.ok(), Some(200), "the first that came stays");
        assert_eq!(slow::cache_info(), info(1, 2, Some(128), 1));
    }

    #[tokio::test]
    async fn an_async_call_dropped_on_the_way_stores_nothing() {
        static RELEASE: Notify = Notify::const_new();
        #[fm_lru]
        async fn hangs(started: Arc<Signal>) -> u32 {
            started.send();
            RELEASE.notified().await;
            5
        }
        let (signal, started) = Signal::new();
        let task = tokio::spawn(hangs(signal));
        started.await.expect("it started");
        task.abort();
        assert!(task.await.is_err_and(|error| error.is_cancelled()));
        assert_eq!(hangs::cache_info(), info(0, 1, Some(128), 0));
    }

    /// A key that is equal to all others and can tell that a body started.
    struct Signal(std::sync::Mutex<Option<oneshot::Sender<()>>>);

    impl Signal {
        fn new() -> (Arc<Self>, oneshot::Receiver<()>) {
            let (sender, receiver) = oneshot::channel();
            (Arc::new(Self(std::sync::Mutex::new(Some(sender)))), receiver)
        }

        fn send(&self) {
            let sender = self.0.lock().expect("nothing panicked").take();
            sender.expect("sent once").send(()).expect("somebody listens");
        }
    }

    impl PartialEq for Signal {
        fn eq(&self, _: &Self) -> bool {
            true
        }
    }

    impl Eq for Signal {}

    impl std::hash::Hash for Signal {
        fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
    }

    #[test]
    fn many_threads_lose_no_count() {
        #[fm_lru(maxsize = 16)]
        fn square(n: u64) -> u64 {
            n * n
        }
        thread::scope(|scope| {
            for offset in 0..8 {
                scope.spawn(move || {
                    (0..1_000).for_each(|n| assert_eq!(square((n + offset) % 32), ((n + offset) % 32).pow(2)))
                });
            }
        });
        let info = square::cache_info();
        assert_eq!((info.hits + info.misses, info.currsize), (8_000, 16));
    }

    #[test]
    fn the_store_can_be_used_by_itself() {
        static SQUARES: FmLru<u64, u64> = FmLru::new(Some(2));
        assert_eq!(SQUARES.get(&3), None);
        SQUARES.insert(3, 9);
        assert_eq!((SQUARES.get(&3), SQUARES.cache_info()), (Some(9), info(1, 1, Some(2), 1)));
    }
}
