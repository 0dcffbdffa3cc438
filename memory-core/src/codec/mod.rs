//! Values as bytes: an envelope that says whose they are, until when they are fresh, and whether they are intact.
//!
//! The value itself is MessagePack with named fields and human-readable forms: self-describing, so that
//! `#[serde(flatten)]`, untagged enums and `serde_json::Value` come back as they went in.

mod envelope;
mod faithful;

use std::io::ErrorKind;

use rmp_serde::decode::Error;
use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};

pub(crate) use self::envelope::open;
pub use self::envelope::{Damage, Meta};
use crate::error::{FmError, Kind};

/// Nesting beyond this is not stored: reading it back would need a deep stack.
const DEEPEST: u16 = 128;

/// An envelope around a value.
///
/// # Errors
///
/// The value's own `Serialize` fails, or its bytes would read back as something else: a `Some` around nothing
/// (`Some(None)`, `Some(())`) has the form of a `None`.
pub(crate) fn encode<T: Serialize + ?Sized>(meta: &Meta<'_>, value: &T) -> Result<Vec<u8>, FmError> {
    faithful::check(value, DEEPEST).map_err(|error| refused(meta, error))?;
    let mut out = envelope::begin(meta);
    write(&mut out, value).map_err(|error| refused(meta, error))?;
    envelope::seal(&mut out);
    Ok(out)
}

/// The value in the body of an opened envelope.
///
/// # Errors
///
/// It was another type, or its form has changed, or bytes are left over.
pub(crate) fn decode_value<T: DeserializeOwned>(meta: &Meta<'_>, body: &[u8]) -> Result<T, Damage> {
    if meta.type_name != std::any::type_name::<T>() {
        return Err(Damage::OtherType { stored: meta.type_name.into() });
    }
    let mut reader = rmp_serde::Deserializer::from_read_ref(body).with_human_readable();
    reader.set_max_depth(usize::from(DEEPEST) * 4);
    let value = T::deserialize(&mut reader).map_err(|error| Damage::Value(error.to_string()))?;
    match IgnoredAny::deserialize(&mut reader) {
        Err(Error::InvalidMarkerRead(error)) if error.kind() == ErrorKind::UnexpectedEof => Ok(value),
        _ => Err(Damage::Value("bytes are left over".into())),
    }
}

/// How long the value would be as bytes: counted, not built.
pub(crate) fn weigh<T: Serialize + ?Sized>(value: &T) -> u64 {
    let mut count = Count(0);
    // A value that fails to serialise weighs what came before the failure.
    let _ = write(&mut count, value);
    count.0
}

fn write<W: std::io::Write, T: Serialize + ?Sized>(out: &mut W, value: &T) -> Result<(), rmp_serde::encode::Error> {
    value.serialize(&mut rmp_serde::Serializer::new(out).with_human_readable().with_struct_map())
}

fn refused(meta: &Meta<'_>, error: impl std::error::Error + Send + Sync + 'static) -> FmError {
    FmError::with_source(Kind::Codec, format!("a `{}` cannot be stored as bytes: {error}", meta.type_name), error)
}

struct Count(u64);

impl std::io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
