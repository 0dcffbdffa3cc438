//! The canonical serializer: any `Serialize` value as words.
//!
//! The width of an integer, the kind of a compound and the names in it are part of the encoding, so that two values
//! of an untagged enum differ whenever their types do. Maps are sorted. One pass, nothing is built besides the words.

use std::fmt::{self, Display, Write as _};

use serde::{
    Serialize,
    ser::{
        SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
        SerializeTupleVariant, Serializer,
    },
};
use smallvec::SmallVec;

use super::words::{self, Int, StringWriter, Words, tag};

/// Why a value cannot be part of a key: its own `Serialize` said so.
#[derive(Debug)]
pub(super) struct Refusal(Box<str>);

impl Refusal {
    pub(super) fn into_message(self) -> Box<str> {
        self.0
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

impl serde::ser::Error for Refusal {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string().into())
    }
}

type Encoded = Result<(), Refusal>;

/// Writes one value.
pub(super) struct Encoder<'a> {
    words: &'a mut Words,
}

impl<'a> Encoder<'a> {
    pub(super) fn new(words: &'a mut Words) -> Self {
        Self { words }
    }

    fn value<T: Serialize + ?Sized>(self, value: &T) -> Encoded {
        value.serialize(self)
    }

    fn named(self, tag: u8, name: &str) -> Self {
        self.words.tag(tag);
        self.words.string(name);
        self
    }

    fn variant(self, tag: u8, name: &str, variant: &str) -> Self {
        let this = self.named(tag, name);
        this.words.string(variant);
        this
    }

    fn open(self, tag: u8) -> Compound<'a> {
        self.words.tag(tag);
        self.items()
    }

    fn items(self) -> Compound<'a> {
        Compound { words: self.words }
    }
}

macro_rules! integers {
    ($($method:ident: $ty:ident,)*) => {$(
        fn $method(self, value: $ty) -> Encoded {
            self.words.integer(Int::from(value).of_width(stringify!($ty)));
            Ok(())
        }
    )*};
}

impl<'a> Serializer for Encoder<'a> {
    type Ok = ();
    type Error = Refusal;
    type SerializeSeq = Compound<'a>;
    type SerializeTuple = Compound<'a>;
    type SerializeTupleStruct = Compound<'a>;
    type SerializeTupleVariant = Compound<'a>;
    type SerializeMap = Entries<'a>;
    type SerializeStruct = Compound<'a>;
    type SerializeStructVariant = Compound<'a>;

    integers! {
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u128: u128,
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
    }

    /// The common type of an id carries no mark.
    fn serialize_u64(self, value: u64) -> Encoded {
        self.words.integer(Int::from(value));
        Ok(())
    }

    fn serialize_bool(self, value: bool) -> Encoded {
        self.words.push(words::bool(value));
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Encoded {
        self.words.f32(value);
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Encoded {
        self.words.f64(value);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Encoded {
        self.words.push(words::char(value));
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Encoded {
        self.words.string(value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Encoded {
        self.words.bytes(value);
        Ok(())
    }

    fn serialize_none(self) -> Encoded {
        self.words.tag(tag::NONE);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Encoded {
        self.words.tag(tag::SOME);
        self.value(value)
    }

    fn serialize_unit(self) -> Encoded {
        self.words.tag(tag::UNIT);
        Ok(())
    }

    fn serialize_unit_struct(self, name: &'static str) -> Encoded {
        self.named(tag::UNIT_STRUCT, name);
        Ok(())
    }

    fn serialize_unit_variant(self, name: &'static str, _: u32, variant: &'static str) -> Encoded {
        self.variant(tag::UNIT_VARIANT, name, variant);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Encoded {
        self.named(tag::NEWTYPE_STRUCT, name).value(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Encoded {
        self.variant(tag::NEWTYPE_VARIANT, name, variant).value(value)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Compound<'a>, Refusal> {
        Ok(self.open(tag::SEQ))
    }

    fn serialize_tuple(self, _: usize) -> Result<Compound<'a>, Refusal> {
        Ok(self.open(tag::TUPLE))
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Compound<'a>, Refusal> {
        Ok(self.named(tag::TUPLE_STRUCT, name).items())
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound<'a>, Refusal> {
        Ok(self.variant(tag::TUPLE_VARIANT, name, variant).items())
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Entries<'a>, Refusal> {
        self.words.tag(tag::MAP);
        Ok(Entries { words: self.words, starts: SmallVec::new() })
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Compound<'a>, Refusal> {
        Ok(self.named(tag::STRUCT, name).items())
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound<'a>, Refusal> {
        Ok(self.variant(tag::STRUCT_VARIANT, name, variant).items())
    }

    /// Written as it is formatted: no string is built.
    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Encoded {
        let mut writer = StringWriter::new(self.words);
        let written = write!(writer, "{value}");
        writer.finish();
        written.map_err(serde::ser::Error::custom)
    }
}

/// The items of a compound, up to an end.
pub(super) struct Compound<'a> {
    words: &'a mut Words,
}

impl Compound<'_> {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Encoded {
        value.serialize(Encoder::new(self.words))
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Encoded {
        self.words.string(name);
        self.item(value)
    }

    fn close(self) -> Encoded {
        self.words.tag(tag::END);
        Ok(())
    }
}

macro_rules! items {
    ($($trait:ident::$method:ident,)*) => {$(
        impl $trait for Compound<'_> {
            type Ok = ();
            type Error = Refusal;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Encoded {
                self.item(value)
            }

            fn end(self) -> Encoded {
                self.close()
            }
        }
    )*};
}
macro_rules! fields {
    ($($trait:ident,)*) => {$(
        impl $trait for Compound<'_> {
            type Ok = ();
            type Error = Refusal;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Encoded {
                self.field(name, value)
            }

            fn end(self) -> Encoded {
                self.close()
            }
        }
    )*};
}
items! {
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
}
fields! { SerializeStruct, SerializeStructVariant, }

/// The entries of a map, sorted at its end; duplicates stay.
pub(super) struct Entries<'a> {
    words: &'a mut Words,
    starts: SmallVec<[usize; 8]>,
}

impl SerializeMap for Entries<'_> {
    type Ok = ();
    type Error = Refusal;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Encoded {
        self.starts.push(self.words.len());
        key.serialize(Encoder::new(self.words))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Encoded {
        value.serialize(Encoder::new(self.words))
    }

    fn end(self) -> Encoded {
        self.words.sort_entries(&self.starts);
        self.words.tag(tag::END);
        Ok(())
    }
}
