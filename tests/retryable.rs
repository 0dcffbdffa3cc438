//! Which errors are worth a retry: by their type, through their sources, and with real `reqwest` errors.

use std::{
    error::Error,
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use memory_core::{FmError, RetryError, Retryable, is_retryable_error, retry, retry_on_status};

/// Counts the calls of a function.
#[derive(Clone, Default)]
struct Calls(Arc<AtomicU32>);

impl Calls {
    fn count(&self) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn made(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

/// The error of an application, as people write it.
#[derive(Debug, thiserror::Error, Retryable)]
enum AppError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("refused with {0}")]
    Refused(u16),
    #[error("busy")]
    #[retryable]
    Busy,
}

#[tokio::test(start_paused = true)]
async fn errors_are_judged_through_boxes_and_sources() {
    macro_rules! calls_with {
        ($ty:ty, $error:expr) => {{
            #[retry]
            async fn call(calls: &Calls) -> Result<(), $ty> {
                calls.count();
                Err($error)
            }
            let calls = Calls::default();
            assert!(call(&calls).await.is_err());
            calls.made()
        }};
    }
    assert_eq!(calls_with!(anyhow::Error, anyhow::Error::from(reset()).context("while fetching")), 3);
    assert_eq!(calls_with!(anyhow::Error, anyhow::anyhow!("no")), 1);
    assert_eq!(calls_with!(Box<dyn Error + Send + Sync>, reset().into()), 3);
    assert_eq!(calls_with!(Box<dyn Error + Send + Sync>, "no".into()), 1);
    assert_eq!(calls_with!(Box<dyn Error>, reset().into()), 3);
    assert_eq!(calls_with!(Arc<io::Error>, Arc::new(reset())), 3);
    assert_eq!(calls_with!(Arc<dyn Error + Send + Sync>, Arc::new(reset())), 3);
    assert_eq!(calls_with!(Box<io::Error>, Box::new(reset())), 3);
    assert_eq!(calls_with!(Arc<AppError>, Arc::new(AppError::Busy)), 3);
    assert_eq!(calls_with!(std::num::ParseIntError, "x".parse::<u8>().unwrap_err()), 1);
    assert_eq!(calls_with!(FmError, FmError::from(exhausted().await)), 3);
}

/// A `RetryError` whose cause is worth a retry.
async fn exhausted() -> RetryError {
    let outcome: Result<(), Box<dyn Error + Send + Sync>> =
        retry().when(is_retryable_error).reraise(false).run(|| async { Err(reset().into()) }).await;
    *outcome.unwrap_err().downcast().unwrap()
}

#[test]
fn is_retryable_error_looks_inside() {
    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer<S: Error + 'static>(#[source] S);
    let permanent = || "x".parse::<u8>().unwrap_err();

    assert!(is_retryable_error(&Outer(Outer(reset()))));
    assert!(is_retryable_error(&Outer(Arc::new(reset()))));
    assert!(is_retryable_error(&Outer(Box::new(reset()))));
    assert!(is_retryable_error(&Outer(Arc::new(Box::new(reset())))));
    assert!(is_retryable_error(&io::Error::other(Outer(reset()))));
    assert!(is_retryable_error(&io::Error::other("disk")), "I/O errors are");
    assert!(!is_retryable_error(&Outer(permanent())));
    assert!(!is_retryable_error(&Outer(Arc::new(permanent()))));
    let shared: Arc<dyn Error + Send + Sync> = Arc::new(reset());
    assert!(is_retryable_error(&Outer(shared)));
}

#[tokio::test]
async fn a_tokio_timeout_is_retryable() {
    let elapsed = tokio::time::timeout(Duration::ZERO, std::future::pending::<()>()).await.unwrap_err();
    assert!(is_retryable_error(&elapsed));
}

#[tokio::test(start_paused = true)]
async fn the_outermost_type_decides_for_itself() {
    #[derive(Debug, thiserror::Error)]
    #[error("stubborn")]
    struct Stubborn(#[source] io::Error);
    impl Retryable for Stubborn {
        fn is_retryable(&self) -> bool {
            false
        }
    }
    #[derive(Debug, thiserror::Error)]
    #[error(transparent)]
    struct Around(Stubborn);

    #[retry]
    async fn outermost(calls: &Calls) -> Result<(), Stubborn> {
        calls.count();
        Err(Stubborn(reset()))
    }
    #[retry]
    async fn inside(calls: &Calls) -> Result<(), Around> {
        calls.count();
        Err(Around(Stubborn(reset())))
    }
    let (asked, not_asked) = (Calls::default(), Calls::default());
    assert!(outermost(&asked).await.is_err());
    assert!(inside(&not_asked).await.is_err());
    assert_eq!((asked.made(), not_asked.made()), (1, 3));
}

#[test]
fn the_derive_sees_through_transparent_variants() {
    assert!(AppError::Io(reset()).is_retryable(), "where `source()` hides the cause");
    assert!(AppError::Io(reset()).source().is_none());
    assert!(AppError::Busy.is_retryable());
    assert!(!AppError::Refused(500).is_retryable());

    #[derive(Debug, thiserror::Error, Retryable)]
    enum Wrapped {
        #[error(transparent)]
        Other(#[from] anyhow::Error),
        #[error("nested")]
        Nested { source: Box<AppError>, at: u8 },
        #[error("never")]
        #[retryable(false)]
        Never(#[source] io::Error),
        #[error("generic")]
        Shared(#[source] Arc<dyn Error + Send + Sync>),
    }
    assert!(Wrapped::from(anyhow::Error::from(reset())).is_retryable());
    assert!(!Wrapped::from(anyhow::anyhow!("no")).is_retryable());
    assert!(Wrapped::Nested { source: Box::new(AppError::Busy), at: 0 }.is_retryable());
    assert!(!Wrapped::Never(reset()).is_retryable());
    assert!(Wrapped::Shared(Arc::new(reset())).is_retryable());
}

#[tokio::test(start_paused = true)]
async fn statuses_are_added_to_the_default() {
    let responded = |status: u16| {
        let response = axum::http::Response::builder().status(status).body("").unwrap();
        reqwest::Response::from(response).error_for_status().unwrap_err()
    };
    async fn calls(status: u16, respond: impl Fn(u16) -> reqwest::Error) -> u32 {
        let calls = Calls::default();
        let outcome: Result<(), reqwest::Error> = retry()
            .when(retry_on_status([408, 425, 429]))
            .run(|| {
                calls.count();
                let error = respond(status);
                async { Err(error) }
            })
            .await;
        assert!(outcome.is_err());
        calls.made()
    }
    assert_eq!(calls(429, responded).await, 3);
    assert_eq!(calls(503, responded).await, 3);
    assert_eq!(calls(404, responded).await, 1);
}

/// What a request to an upstream that answers `answer` ends with, its body decoded as JSON.
async fn request(answer: &'static [u8]) -> reqwest::Error {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer).await;
        }
    });
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answered = async { client.get(url).send().await?.error_for_status()?.json::<serde_json::Value>().await };
    answered.await.unwrap_err()
}

#[tokio::test]
async fn broken_transfers_are_retryable_and_bad_answers_are_not() {
    let broken_off: [&[u8]; 4] = [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"a\":",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n",
    ];
    for answer in broken_off {
        let error = request(answer).await;
        assert!(is_retryable_error(&error), "{error:?}");
    }
    let permanent: [&[u8]; 4] = [
        b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnope",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 8\r\n\r\nnot gzip",
        b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
    ];
    for answer in permanent {
        let error = request(answer).await;
        assert!(!is_retryable_error(&error), "{error:?}");
    }
    let bad_url = reqwest::Client::new().get("nowhere").send().await.unwrap_err();
    assert!(!is_retryable_error(&bad_url), "{bad_url:?}");
    let unavailable = request(b"HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\n\r\n").await;
    assert!(is_retryable_error(&unavailable));
}
