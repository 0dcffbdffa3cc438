use std::{convert::Infallible, future::poll_fn, pin::pin, sync::OnceLock};

use tokio::sync::Mutex;

use super::waits::{self, Cell};

/// A value made by the first task that asks, with the others waiting for it.
pub struct AsyncSingleton<T> {
    name: &'static str,
    value: OnceLock<T>,
    turn: Mutex<()>,
}

impl<T> AsyncSingleton<T> {
    /// Empty; `name` is the function's, for the message of a panic.
    pub const fn new(name: &'static str) -> Self {
        Self { name, value: OnceLock::new(), turn: Mutex::const_new(()) }
    }

    /// The value, made by `init` where there is none yet.
    ///
    /// # Panics
    ///
    /// When `init` needs this very value, directly or through other singletons. A panic of `init` leaves it empty.
    ///
    /// # Cancel safety
    ///
    /// A caller that is dropped while it runs `init` hands over to the next one, which starts `init` anew.
    pub async fn get_or_init<F>(&self, init: F) -> &T
    where
        F: AsyncFnOnce() -> T,
    {
        let Ok(value) = self.get_or_try_init(async move || Ok::<T, Infallible>(init().await)).await;
        value
    }

    /// As [`get_or_init`](Self::get_or_init); an `Err` is not kept, the next caller tries again.
    pub async fn get_or_try_init<E, F>(&self, init: F) -> Result<&T, E>
    where
        F: AsyncFnOnce() -> Result<T, E>,
    {
        match self.value.get() {
            Some(value) => Ok(value),
            None => self.initialize(init).await,
        }
    }

    async fn initialize<E, F>(&self, init: F) -> Result<&T, E>
    where
        F: AsyncFnOnce() -> Result<T, E>,
    {
        let cell = Cell::of(self, self.name);
        let waiting = waits::wait_for(cell);
        let _turn = self.turn.lock().await;
        drop(waiting);
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        let mut run = pin!(init());
        let polled = poll_fn(|context| {
            // Whatever this poll asks for is asked for by this initializer, on whichever thread it happens to be.
            let _running = waits::initializing(cell);
            run.as_mut().poll(context)
        });
        let value = polled.await?;
        Ok(self.value.get_or_init(|| value))
    }
}
