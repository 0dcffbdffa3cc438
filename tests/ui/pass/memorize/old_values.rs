//! Old values, timeouts and tags, on every kind of function, from every kind of expression.
#![deny(warnings)]
use std::{fmt, io, time::Duration};

use memory_core::{FmError, is_retryable_error, memorize};

#[memorize(
    expire = 60,
    refresh_ahead = 0.8,
    stale_while_revalidate = 30,
    stale_if_error = 3600,
    stale_on = is_retryable_error,
    soft_timeout = 0.2,
    timeout = 2,
    tags = ["all", format!("id:{id}"), id]
)]
async fn everything(id: u64) -> Result<u64, FmError> {
    Ok(id)
}

#[derive(Debug)]
enum AppError {
    Cache(FmError),
    Io(io::Error),
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cache(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AppError {}

impl From<FmError> for AppError {
    fn from(error: FmError) -> Self {
        Self::Cache(error)
    }
}

impl From<io::Error> for AppError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

type AppResult<T> = Result<T, AppError>;

fn is_down(error: &AppError) -> bool {
    matches!(error, AppError::Io(_))
}

#[memorize(stale_if_error = limit, stale_on = is_down, stale_on_none, timeout = limit * 2, soft_timeout = limit, skip(limit))]
async fn by_argument(name: &str, limit: Duration) -> AppResult<Option<String>> {
    Err(io::Error::other("down"))?;
    Ok(Some(name.to_owned()))
}

#[memorize(stale_if_error = 5, stale_on = |error| matches!(error, AppError::Io(_)), tags = |names| names.iter().flatten().cloned().collect::<Vec<_>>())]
async fn by_value(id: u64) -> AppResult<Vec<String>> {
    Ok(vec![id.to_string()])
}

const TAGS: &[&str] = &["fixed", "and", "many"];

#[memorize(tags = TAGS, stale_while_revalidate = Duration::from_secs(5))]
async fn generic<T: serde::Serialize + Clone + Send + Sync + 'static>(value: T) -> u64 {
    drop(value);
    1
}

#[memorize(stale_while_revalidate = 5, stale_on_none, tags = ["sync"])]
fn in_sync(id: u64) -> Option<u64> {
    (id > 0).then_some(id)
}

struct Service {
    name: String,
}

trait Find {
    async fn find(&self, id: u64) -> AppResult<u64>;
}

impl Find for Service {
    #[memorize(skip(self), timeout = 2, soft_timeout = 1, stale_if_error = 60, tags = [self.name.as_str()])]
    async fn find(&self, id: u64) -> AppResult<u64> {
        Ok(id)
    }
}

impl Service {
    #[memorize(skip(self), timeout = 2, refresh_ahead = 0.5, tags = [format!("{}:{id}", self.name)])]
    pub async fn load(&self, id: u64) -> Result<u64, anyhow::Error> {
        Ok(id)
    }

    #[memorize(in_impl, stale_while_revalidate = 5, tags = [id])]
    pub async fn associated(id: u64) -> u64 {
        id
    }
}

fn tags_of(names: &AppResult<Vec<String>>) -> Vec<String> {
    names.iter().flatten().cloned().collect()
}

fn life_of(names: &AppResult<Vec<String>>) -> u64 {
    names.as_ref().map_or(1, |names| names.len() as u64)
}

#[memorize(expire = |names| life_of(names), cache_if = |names| names.is_ok(), tags = |names| tags_of(names))]
async fn by_named_functions(id: u64) -> AppResult<Vec<String>> {
    Ok(vec![id.to_string()])
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let service = Service { name: "shop".to_owned() };
        assert_eq!(everything(1).await.unwrap(), 1);
        assert!(by_argument("a", Duration::from_secs(1)).await.is_err_and(|error| is_down(&error)));
        assert_eq!(by_value(1).await.unwrap(), ["1"]);
        assert_eq!(by_named_functions(1).await.unwrap(), ["1"]);
        assert_eq!((generic(2).await, in_sync(3)), (1, Some(3)));
        assert_eq!((service.find(4).await.unwrap(), service.load(5).await.unwrap()), (4, 5));
        assert_eq!(Service::associated(6).await, 6);
        memory_core::FmCacheManager::invalidate_tag("shop:5").await.unwrap();
        assert!(service.load_peek_is_gone().await);
    });
}

impl Service {
    async fn load_peek_is_gone(&self) -> bool {
        Self::load_peek(5).await.unwrap().is_none()
    }
}
