//! Whether a value comes back from MessagePack as it went in.
//!
//! MessagePack writes `Some(x)` as `x` and `None` as nil, so `Some` around a nil would come back as `None`. A wrong
//! value is worse than none: such a value is refused. This looks at a value without writing it.

use std::fmt::{self, Display};

use serde::{
    Serialize,
    ser::{
        SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
        SerializeTupleVariant, Serializer,
    },
};

/// Refuses a value that would come back as another one, or that is nested deeper than `depth`.
pub(super) fn check<T: Serialize + ?Sized>(value: &T, depth: u16) -> Result<(), Unfaithful> {
    value.serialize(Looker { depth }).map(drop)
}

/// Why a value cannot be stored as bytes.
#[derive(Debug)]
pub(super) struct Unfaithful(String);

impl Display for Unfaithful {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unfaithful {}

impl serde::ser::Error for Unfaithful {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// How a value begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Nil,
    Other,
}

type Looked = Result<Form, Unfaithful>;

#[derive(Clone, Copy)]
struct Looker {
    /// How many more compounds may be inside one another.
    depth: u16,
}

impl Looker {
    fn deeper(self) -> Result<Self, Unfaithful> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Self { depth }),
            None => Err(Unfaithful("it is nested too deep".into())),
        }
    }

    fn inside<T: Serialize + ?Sized>(self, value: &T) -> Looked {
        value.serialize(self.deeper()?)?;
        Ok(Form::Other)
    }
}

macro_rules! scalars {
    ($($method:ident: $ty:ty,)*) => {$(
        fn $method(self, _: $ty) -> Looked {
            Ok(Form::Other)
        }
    )*};
}

impl Serializer for Looker {
    type Ok = Form;
    type Error = Unfaithful;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    scalars! {
        serialize_bool: bool, serialize_char: char, serialize_str: &str, serialize_bytes: &[u8],
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128,
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_f32: f32, serialize_f64: f64,
    }

    fn serialize_none(self) -> Looked {
        Ok(Form::Nil)
    }

    fn serialize_unit(self) -> Looked {
        Ok(Form::Nil)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Looked {
        match value.serialize(self)? {
            Form::Nil => Err(Unfaithful("a `Some` around nothing cannot be told from `None`".into())),
            Form::Other => Ok(Form::Other),
        }
    }

    fn serialize_unit_struct(self, _: &'static str) -> Looked {
        Ok(Form::Other)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Looked {
        Ok(Form::Other)
    }

    /// Written as its inside.
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Looked {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Looked {
        self.inside(value)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Unfaithful> {
        self.deeper()
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Unfaithful> {
        self.deeper()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Unfaithful> {
        self.deeper()
    }

    fn serialize_tuple_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Result<Self, Unfaithful> {
        self.deeper()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self, Unfaithful> {
        self.deeper()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Unfaithful> {
        self.deeper()
    }

    fn serialize_struct_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Result<Self, Unfaithful> {
        self.deeper()
    }

    fn collect_str<T: Display + ?Sized>(self, _: &T) -> Looked {
        Ok(Form::Other)
    }
}

/// The items of a compound are looked at one by one; the compound itself is never nil.
macro_rules! compounds {
    ($($trait:ident { $($method:ident($($name:ident)?),)* })*) => {$(
        impl $trait for Looker {
            type Ok = Form;
            type Error = Unfaithful;

            $(fn $method<T: Serialize + ?Sized>(&mut self, $($name: &'static str,)? value: &T) -> Result<(), Unfaithful> {
                $(let _ = $name;)?
                value.serialize(*self).map(drop)
            })*

            fn end(self) -> Looked {
                Ok(Form::Other)
            }
        }
    )*};
}
compounds! {
    SerializeSeq { serialize_element(), }
    SerializeTuple { serialize_element(), }
    SerializeTupleStruct { serialize_field(), }
    SerializeTupleVariant { serialize_field(), }
    SerializeMap { serialize_key(), serialize_value(), }
    SerializeStruct { serialize_field(name), }
    SerializeStructVariant { serialize_field(name), }
}
