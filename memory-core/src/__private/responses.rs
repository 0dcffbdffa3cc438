//! Return types that are responses, and what is stored of them.

use std::{
    marker::PhantomData,
    task::{Context, Poll},
};

use axum::{
    Json,
    http::{HeaderMap, StatusCode},
    response::{Html, Response},
};

use super::{
    outcome::{Layers, Shaped, Stored},
    share::Failure,
    wrapping::Wrapping,
};
use crate::{
    cache::outcome::{Fate, Outcome, Split},
    http::{FmJson, Head, Page, StoredJson, poll_whole},
};

/// How a value is stored as something else.
pub trait Form: 'static {
    /// The value.
    type Value;
    /// What is stored of it.
    type Stored;

    /// What is stored.
    fn store(value: Self::Value) -> Self::Stored;
    /// The value again.
    fn value(stored: Self::Stored) -> Self::Value;

    /// Whom the value may reach.
    fn fate(_: &Self::Value) -> Fate {
        Fate::Stored
    }

    /// Whether it tells of a failure.
    fn is_failure(_: &Self::Value) -> bool {
        false
    }

    /// Ready once all of it is there.
    fn poll_whole(_: &mut Self::Value, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

/// Stored as its inside.
pub struct AsInside<O, T>(PhantomData<fn() -> (O, T)>);
/// Stored with its bytes.
pub struct AsJson<T>(PhantomData<fn() -> T>);
/// Stored as status, headers and body.
pub struct AsPage;

macro_rules! stored_as_inside {
    ($($outer:ident)*) => {$(
        impl<T: 'static> Form for AsInside<$outer<()>, T> {
            type Value = $outer<T>;
            type Stored = T;

            fn store($outer(inside): $outer<T>) -> T {
                inside
            }

            fn value(inside: T) -> $outer<T> {
                $outer(inside)
            }
        }

        impl<T, W> Layers<$outer<T>, W> {
            /// Peels what is stored as its inside.
            pub fn json(self) -> In<AsInside<$outer<()>, T>, W> {
                In(PhantomData)
            }
        }
    )*};
}
stored_as_inside!(Json Html);

impl<T: 'static> Form for AsJson<T> {
    type Value = FmJson<T>;
    type Stored = StoredJson<T>;

    fn store(json: FmJson<T>) -> StoredJson<T> {
        StoredJson(json)
    }

    fn value(StoredJson(json): StoredJson<T>) -> FmJson<T> {
        json
    }

    fn fate(json: &FmJson<T>) -> Fate {
        if FmJson::bytes(json).is_some() { Fate::Stored } else { Fate::Shared }
    }
}

impl<T, W> Layers<FmJson<T>, W> {
    /// Peels an `FmJson`.
    pub fn json(self) -> In<AsJson<T>, W> {
        In(PhantomData)
    }
}

impl Form for AsPage {
    type Value = Response;
    type Stored = Page;

    fn store(response: Response) -> Page {
        Page::of(response)
    }

    fn value(page: Page) -> Response {
        page.into_response()
    }

    fn fate(response: &Response) -> Fate {
        Page::fate_of(response)
    }

    fn is_failure(response: &Response) -> bool {
        response.status().is_server_error()
    }

    fn poll_whole(response: &mut Response, context: &mut Context<'_>) -> Poll<()> {
        poll_whole(response, context)
    }
}

impl<W> Layers<Response, W> {
    /// Peels a `Response`.
    pub fn json(self) -> In<AsPage, W> {
        In(PhantomData)
    }
}

/// A value in the form `F`, inside the layers `W`.
pub struct In<F, W>(PhantomData<fn() -> (F, W)>);

impl<F, W> Clone for In<F, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F, W> Copy for In<F, W> {}

impl<F: Form, W: Wrapping> In<F, W> {
    /// What is stored, to ask what it can do.
    pub fn stored(self) -> Stored<W::Stored<F::Stored>> {
        Stored(PhantomData)
    }

    /// What a failure is, to ask what it can do.
    pub fn failure(self) -> Failure<W::Failure> {
        Failure(PhantomData)
    }
}

impl<F: Form, W: Wrapping> Shaped for In<F, W> {
    type Return = W::Return<F::Value>;
    type Failure = W::Failure;
}

impl<F: Form, W: Wrapping + 'static> Outcome for In<F, W>
where
    W::Stored<F::Stored>: Clone + Send + Sync + 'static,
{
    type Return = W::Return<F::Value>;
    type Stored = W::Stored<F::Stored>;
    type Absent = W::Absent;
    type Failure = W::Failure;

    fn split(self, returned: Self::Return) -> Split<Self::Stored, Self::Absent, Self::Failure> {
        W::split(returned).map(|stored| W::map(stored, F::store))
    }

    fn value(self, stored: Self::Stored) -> Self::Return {
        W::value(W::map(stored, F::value))
    }

    fn absent(self, absent: Self::Absent) -> Self::Return {
        W::absent(absent)
    }

    fn failed(self, failure: Self::Failure) -> Self::Return {
        W::failed(failure)
    }

    fn is_none(self, returned: &Self::Return) -> bool {
        W::is_none(returned)
    }

    fn is_err(self, returned: &Self::Return) -> bool {
        W::is_err(returned) || W::inner(returned).is_some_and(F::is_failure)
    }

    fn fate(self, returned: &Self::Return) -> Fate {
        W::fate(returned).max(W::inner(returned).map_or(Fate::Stored, F::fate))
    }

    fn poll_whole(self, returned: &mut Self::Return, context: &mut Context<'_>) -> Poll<()> {
        W::inner_mut(returned).map_or(Poll::Ready(()), |value| F::poll_whole(value, context))
    }
}

/// The last of a tuple that begins with these parts of a response, inside `W`.
macro_rules! beside {
    ($($layer:ident($($part:ty => $field:ident),* $(; without $absent:ident)?);)*) => {$(
        #[doc = concat!("The last of `(", $(stringify!($part), ", ",)* "..)`, inside `W`, stored with what is before it.")]
        pub struct $layer<W>(PhantomData<fn() -> W>);

        impl<T, W> Layers<($($part,)* T), W> {
            /// Peels what a response begins with.
            pub fn head(self) -> Layers<T, $layer<W>> {
                Layers(PhantomData)
            }
        }

        impl<W: Wrapping> $layer<W> {
            fn head_of<T>(returned: &W::Return<($($part,)* T)>) -> Option<Head> {
                W::inner(returned).map(|($($field,)* _)| Head { $($field: $field.clone(),)* $($absent: Default::default())? })
            }
        }

        impl<W: Wrapping> Wrapping for $layer<W> {
            type Return<T> = W::Return<($($part,)* T)>;
            type Stored<T> = W::Stored<(Head, T)>;
            type Absent = W::Absent;
            type Failure = W::Failure;

            fn split<T>(returned: Self::Return<T>) -> Split<Self::Stored<T>, W::Absent, W::Failure> {
                let apart = |($($field,)* rest): ($($part,)* T)| (Head { $($field,)* $($absent: Default::default())? }, rest);
                W::split(returned).map(|stored| W::map(stored, apart))
            }

            fn value<T>(stored: Self::Stored<T>) -> Self::Return<T> {
                W::value(W::map(stored, |(head, rest): (Head, T)| ($(head.$field,)* rest)))
            }

            fn wrap<T>(value: T) -> Self::Return<T> {
                let head = Head::default();
                W::wrap(($(head.$field,)* value))
            }

            fn absent<T>(absent: W::Absent) -> Self::Return<T> {
                W::absent(absent)
            }

            fn failed<T>(failure: W::Failure) -> Self::Return<T> {
                W::failed(failure)
            }

            fn map<T, U>(stored: Self::Stored<T>, change: impl FnOnce(T) -> U) -> Self::Stored<U> {
                W::map(stored, |(head, rest)| (head, change(rest)))
            }

            fn present<T>(stored: Self::Stored<Option<T>>) -> Option<Self::Stored<T>> {
                W::present(W::map(stored, |(head, rest): (Head, Option<T>)| rest.map(|rest| (head, rest))))
            }

            fn inner<T>(returned: &Self::Return<T>) -> Option<&T> {
                W::inner(returned).map(|tuple: &($($part,)* T)| {
                    let ($($field,)* rest) = tuple;
                    let _ = ($($field,)*);
                    rest
                })
            }

            fn inner_mut<T>(returned: &mut Self::Return<T>) -> Option<&mut T> {
                W::inner_mut(returned).map(|tuple: &mut ($($part,)* T)| {
                    let ($($field,)* rest) = tuple;
                    let _ = ($($field,)*);
                    rest
                })
            }

            fn fate<T>(returned: &Self::Return<T>) -> Fate {
                W::fate(returned).max(Self::head_of(returned).map_or(Fate::Stored, |head| head.fate()))
            }

            fn is_none<T>(returned: &Self::Return<T>) -> bool {
                W::is_none(returned)
            }

            fn is_err<T>(returned: &Self::Return<T>) -> bool {
                W::is_err(returned) || Self::head_of(returned).is_some_and(|head| head.status.is_server_error())
            }
        }
    )*};
}
beside! {
    BesideStatus(StatusCode => status; without headers);
    BesideHeaders(HeaderMap => headers; without status);
    BesideBoth(StatusCode => status, HeaderMap => headers);
}
