//! A router whose handlers use one cache.

use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use super::FmCache;
use crate::backend::BoxFuture;

impl FmCache {
    /// A tower layer that [`scope`](FmCache::scope)s every request of a router to this cache.
    ///
    /// # Examples
    ///
    /// ```
    /// # use memory_core::{FmCacheManager, FmMemoryBackend};
    /// # fn main() -> Result<(), memory_core::FmError> {
    /// let cache = FmCacheManager::builder(FmMemoryBackend::new()).prefix("admin").build()?;
    /// let router: axum::Router = axum::Router::new().layer(cache.layer());
    /// # Ok(()) }
    /// ```
    pub fn layer(&self) -> FmCacheLayer {
        FmCacheLayer { cache: self.clone() }
    }
}

/// See [`FmCache::layer`].
#[derive(Clone, Debug)]
pub struct FmCacheLayer {
    cache: FmCache,
}

/// A service whose calls use one cache. See [`FmCache::layer`].
#[derive(Clone, Debug)]
pub struct FmCacheService<S> {
    cache: FmCache,
    inner: S,
}

impl<S> Layer<S> for FmCacheLayer {
    type Service = FmCacheService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        FmCacheService { cache: self.cache.clone(), inner }
    }
}

impl<S, R> Service<R> for FmCacheService<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let surroundings = self.cache.surroundings();
        let response = surroundings.clone().sync_scope(|| self.inner.call(request));
        Box::pin(surroundings.scope(response))
    }
}

#[cfg(all(test, feature = "memory"))]
mod tests {
    use std::future::{Ready, ready};

    use super::*;
    use crate::{FmCacheManager, FmMemoryBackend};

    /// Looks at its surroundings in the call itself, not in the future that it returns.
    struct Eager;

    impl Service<()> for Eager {
        type Response = String;
        type Error = ();
        type Future = Ready<Result<String, ()>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, (): ()) -> Self::Future {
            ready(Ok(FmCacheManager::current().prefix().to_owned()))
        }
    }

    #[tokio::test]
    async fn a_service_that_works_in_its_call_is_scoped_too() {
        let cache = FmCache::builder(FmMemoryBackend::new()).prefix("admin").build().unwrap();
        assert_eq!(cache.layer().layer(Eager).call(()).await.unwrap(), "admin");
    }
}
