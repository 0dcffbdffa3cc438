//! Arguments as parts of a key, by what their types can do.
//!
//! An expansion writes `argument(&mut key, part, (&&&part).way())`: method lookup tries the longest chain of
//! references first, so the first trait below whose bound holds gives the way.

use std::{collections::HashSet, sync::Arc};

use serde::Serialize;

use crate::key::{CacheKey, KeyBuf};
#[cfg(feature = "axum")]
use crate::key::{KeyArg, Wraps};

/// One argument, on its way into a key.
pub struct Part<'a, T: ?Sized>(pub &'a T);

impl<T: ?Sized> Clone for Part<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Part<'_, T> {}

/// What no request holds as it is, so that a function which takes it is no handler.
macro_rules! never_extracted {
    ($($ty:ty)*) => {$(
        impl Part<'_, $ty> {
            /// Whether an axum handler could take this argument.
            #[inline]
            pub fn can_be_extracted(self) -> bool {
                false
            }
        }
    )*};
}
never_extracted!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64 bool char);

/// What a request may hold.
pub trait Extracted: Sized {
    /// Whether an axum handler could take this argument.
    #[inline]
    fn can_be_extracted(self) -> bool {
        true
    }
}

impl<T: ?Sized> Extracted for Part<'_, T> {}

/// What is keyed as its inside.
macro_rules! peeled {
    ($($outer:ty => |$value:ident| $inside:expr;)*) => {$(
        impl<'a, T: ?Sized> Part<'a, $outer> {
            /// The inside of this argument.
            #[inline]
            pub fn peel(self) -> Part<'a, T> {
                let $value = self.0;
                Part($inside)
            }
        }
    )*};
}
peeled! {
    &T => |value| value;
    Box<T> => |value| value;
    Arc<T> => |value| value;
}

#[cfg(feature = "axum")]
mod extractors {
    use std::sync::Arc;

    use axum::{
        Extension, Form, Json,
        extract::{Path, Query},
    };

    use super::{KeyArg, KeyBuf, Part, ValueArg, Wraps};

    macro_rules! extractors {
        ($($outer:ident)*) => {$(
            impl<'a, T> Part<'a, $outer<T>> {
                /// The inside of this extractor.
                #[inline]
                pub fn peel(self) -> Part<'a, T> {
                    Part(&self.0.0)
                }
            }

            impl<T> KeyArg<T, $outer<T>> for T {
                fn push_arg(self, key: &mut KeyBuf, whole: impl FnOnce(&$outer<T>, &mut KeyBuf)) {
                    whole(&$outer(self), key);
                }
            }

            impl<T: ?Sized> KeyArg<T, $outer<Arc<T>>> for Arc<T> {
                fn push_arg(self, key: &mut KeyBuf, whole: impl FnOnce(&$outer<Arc<T>>, &mut KeyBuf)) {
                    whole(&$outer(self), key);
                }
            }

            impl<T> KeyArg<T, $outer<Arc<T>>> for T {
                fn push_arg(self, key: &mut KeyBuf, whole: impl FnOnce(&$outer<Arc<T>>, &mut KeyBuf)) {
                    whole(&$outer(Arc::new(self)), key);
                }
            }

            impl<T> Wraps<T> for $outer<T> {}
            impl<T: ?Sized> Wraps<T> for $outer<Arc<T>> {}

            impl<T> ValueArg<$outer<T>> for T {
                fn into_value(self) -> $outer<T> {
                    $outer(self)
                }
            }
        )*};
    }
    extractors!(Path Query Json Form Extension);

    #[diagnostic::do_not_recommend]
    impl<T> super::IsAxumState for axum::extract::State<T> {}
}

/// The end of peeling: an argument that is keyed as it is.
pub trait Unpeeled: Sized {
    /// This argument.
    #[inline]
    fn peel(self) -> Self {
        self
    }
}

impl<T: ?Sized> Unpeeled for Part<'_, T> {}

/// The types that a key holds bare.
pub trait Bare {
    /// Adds it to a key.
    fn push_bare(&self, key: &mut KeyBuf);
}

macro_rules! bare {
    ($($ty:ty: |$value:ident, $key:ident| $push:expr;)*) => {$(
        impl Bare for $ty {
            #[cfg_attr(not(debug_assertions), inline(always))]
            fn push_bare(&self, $key: &mut KeyBuf) {
                let $value = self;
                $push;
            }
        }
    )*};
}
bare! {
    u8: |value, key| key.push_u8(*value);
    u16: |value, key| key.push_u16(*value);
    u32: |value, key| key.push_u32(*value);
    u64: |value, key| key.push_u64(*value);
    u128: |value, key| key.push_u128(*value);
    usize: |value, key| key.push_usize(*value);
    i8: |value, key| key.push_i8(*value);
    i16: |value, key| key.push_i16(*value);
    i32: |value, key| key.push_i32(*value);
    i64: |value, key| key.push_i64(*value);
    i128: |value, key| key.push_i128(*value);
    isize: |value, key| key.push_isize(*value);
    f32: |value, key| key.push_f32(*value);
    f64: |value, key| key.push_f64(*value);
    bool: |value, key| key.push_bool(*value);
    char: |value, key| key.push_char(*value);
    str: |value, key| key.push_str(value);
    String: |value, key| key.push_str(value);
}

/// Equal sets iterate in different orders; this makes them one key. (Maps are sorted when they are serialised; a set is not
/// told from a list then.)
impl<T: Serialize + Ord, S> Bare for HashSet<T, S> {
    fn push_bare(&self, key: &mut KeyBuf) {
        let mut items: Vec<&T> = self.iter().collect();
        items.sort_unstable();
        key.push(&items);
    }
}

/// The way of a bare type.
pub struct AsBare;
/// The way of a type that says what its key is.
pub struct AsCacheKey;
/// The way of everything else that can be serialised.
pub struct AsSerialize;
/// No way.
pub struct NoWay;

/// First choice.
pub trait ByBare {
    /// How this argument enters a key.
    #[inline]
    fn way(&self) -> AsBare {
        AsBare
    }
}

impl<T: Bare + ?Sized> ByBare for &&Part<'_, T> {}

/// Second choice.
pub trait ByCacheKey {
    /// How this argument enters a key.
    #[inline]
    fn way(&self) -> AsCacheKey {
        AsCacheKey
    }
}

impl<T: CacheKey + ?Sized> ByCacheKey for &Part<'_, T> {}

/// Third choice.
pub trait BySerialize {
    /// How this argument enters a key.
    #[inline]
    fn way(&self) -> AsSerialize {
        AsSerialize
    }
}

impl<T: Serialize + ?Sized> BySerialize for Part<'_, T> {}

/// No choice left.
pub trait NoKey: Sized {
    /// How this argument enters a key: not at all.
    #[inline]
    fn way(self) -> NoWay {
        NoWay
    }
}

impl<T: ?Sized> NoKey for Part<'_, T> {}

/// How a `T` enters a key.
#[diagnostic::on_unimplemented(
    message = "`{T}` can't be part of a cache key",
    label = "neither `Serialize` nor `CacheKey`",
    note = "leave the argument out with `skip(..)`, or say what identifies the call with `key = ..`"
)]
pub trait Way<T: ?Sized> {
    /// Adds `value` to `key`.
    fn push(value: &T, key: &mut KeyBuf);
}

#[diagnostic::do_not_recommend]
impl<T: Bare + ?Sized> Way<T> for AsBare {
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn push(value: &T, key: &mut KeyBuf) {
        value.push_bare(key);
    }
}

#[diagnostic::do_not_recommend]
impl<T: CacheKey + ?Sized> Way<T> for AsCacheKey {
    #[inline]
    fn push(value: &T, key: &mut KeyBuf) {
        value.push_key(key);
    }
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> Way<T> for AsSerialize {
    #[inline]
    fn push(value: &T, key: &mut KeyBuf) {
        key.push(value);
    }
}

/// Adds an argument to a key.
#[cfg_attr(not(debug_assertions), inline(always))]
pub fn argument<T: ?Sized, W: Way<T>>(key: &mut KeyBuf, part: Part<'_, T>, _: W) {
    W::push(part.0, key);
}

/// What a companion takes where `key = ..` computes with a `T`: a `T`, or the inside of an extractor.
#[diagnostic::on_unimplemented(message = "`{Self}` is not a `{T}`", label = "expected a `{T}`")]
pub trait ValueArg<T> {
    /// The value.
    fn into_value(self) -> T;
}

impl<T> ValueArg<T> for T {
    fn into_value(self) -> T {
        self
    }
}

/// `axum::extract::State`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not axum's `State`",
    label = "spelled `State`, which is never part of the key",
    note = "rename the type, or import it under another name, so that nothing is left out of the key by mistake"
)]
pub trait IsAxumState {}

/// Proves that what is spelled `State` is axum's.
#[inline]
pub fn axum_state<T: IsAxumState>(_: &T) {}
