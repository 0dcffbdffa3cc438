use std::{
    convert::Infallible,
    sync::{Mutex, OnceLock, PoisonError},
};

use super::waits::{self, Cell};

/// A value made by the first caller, with the others waiting for it.
pub struct Singleton<T> {
    name: &'static str,
    value: OnceLock<T>,
    turn: Mutex<()>,
}

impl<T> Singleton<T> {
    /// Empty; `name` is the function's, for the message of a panic.
    pub const fn new(name: &'static str) -> Self {
        Self { name, value: OnceLock::new(), turn: Mutex::new(()) }
    }

    /// The value, made by `init` where there is none yet.
    ///
    /// # Panics
    ///
    /// When `init` needs this very value, directly or through other singletons. A panic of `init` leaves it empty.
    #[inline]
    pub fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        let Ok(value) = self.get_or_try_init(|| Ok::<T, Infallible>(init()));
        value
    }

    /// As [`get_or_init`](Self::get_or_init); an `Err` is not kept, the next caller tries again.
    #[inline]
    pub fn get_or_try_init<E>(&self, init: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        match self.value.get() {
            Some(value) => Ok(value),
            None => self.initialize(init),
        }
    }

    #[cold]
    fn initialize<E>(&self, init: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        let cell = Cell::of(self, self.name);
        let waiting = waits::wait_for(cell);
        // A run that panicked has stored nothing, so its poison says nothing.
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        drop(waiting);
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        let running = waits::initializing(cell);
        let value = init()?;
        drop(running);
        Ok(self.value.get_or_init(|| value))
    }
}
