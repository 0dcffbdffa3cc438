//! Arguments of every shape that serde knows, from alphabets in which everything looks like something else.

use memory_core::__private::key::KeyBuf;
use proptest::{collection::vec, prelude::*, sample::select};
use serde::{
    Serialize, Serializer,
    ser::{
        SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
        SerializeTupleVariant,
    },
};

/// Numbers around the bounds of each width and of the encoding's forms.
const NUMBERS: [i128; 17] = [
    0,
    1,
    -1,
    42,
    127,
    -128,
    255,
    65_535,
    1 << 31,
    (1 << 47) - 1,
    1 << 48,
    -(1 << 48) - 1,
    i64::MIN as i128,
    i64::MAX as i128,
    u64::MAX as i128,
    i128::MIN,
    i128::MAX,
];

const NAMES: [&str; 12] = ["", "a", "b", "Some", "None", "a!b", "a=1", "a.b", "é", "a_field_name", "()", "''"];

const STRINGS: [&str; 44] = [
    "",
    "a",
    "b",
    "c",
    "a:b",
    "b:c",
    ":",
    "::",
    "42",
    "-1",
    "1u32",
    "1.0",
    "1e7",
    "1.5f32",
    "NaN",
    "inf",
    "-inff32",
    "0xff",
    "true",
    "false",
    "None",
    "Some(1)",
    "()",
    "(,)",
    "[]",
    "a,b",
    "<a=1>",
    "'",
    "''",
    "'a'",
    "'a'char",
    "#",
    "@",
    "@a.b",
    "%",
    "%41",
    "A",
    "{}",
    "a!b",
    "é",
    "\0",
    "\0\0\0\0\0\0\0",
    "12345678",
    "12345678\0",
];

/// One value in serde's data model.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Bool(bool),
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    U128(u128),
    I8(i8),
    I16(i16),
    I32(i32),
    I64(i64),
    I128(i128),
    F32(f32),
    F64(f64),
    Char(char),
    Str(String),
    Bytes(Vec<u8>),
    None,
    Some(Box<Value>),
    Unit,
    UnitStruct(&'static str),
    Newtype(&'static str, Box<Value>),
    UnitVariant(&'static str, &'static str),
    NewtypeVariant(&'static str, &'static str, Box<Value>),
    Seq(Vec<Value>),
    Tuple(Vec<Value>),
    TupleStruct(&'static str, Vec<Value>),
    TupleVariant(&'static str, &'static str, Vec<Value>),
    Map(Vec<(Value, Value)>),
    Struct(&'static str, Vec<(&'static str, Value)>),
    StructVariant(&'static str, &'static str, Vec<(&'static str, Value)>),
}

/// One argument: statically typed, a type parameter, or through serde.
#[derive(Clone, Debug)]
pub(crate) enum Argument {
    Int(i128),
    Huge(u128),
    Str(String),
    Bool(bool),
    Char(char),
    F64(f64),
    Type(&'static str),
    Dynamic(Value),
}

impl Argument {
    pub(crate) fn push(&self, key: &mut KeyBuf) {
        match self {
            Self::Int(number) => key.push_i128(*number),
            Self::Huge(number) => key.push_u128(*number),
            Self::Str(text) => key.push_str(text),
            Self::Bool(bool) => key.push_bool(*bool),
            Self::Char(char) => key.push_char(*char),
            Self::F64(float) => key.push_f64(*float),
            Self::Type(name) => key.push_type(name),
            Self::Dynamic(value) => key.push(value),
        }
    }

    /// What makes two arguments equal, by other means than the encoding: the `Debug` text, where the static types
    /// and serde's agree.
    pub(crate) fn identity(&self) -> String {
        match self {
            Self::Int(number) => number.to_string(),
            Self::Huge(number) => number.to_string(),
            Self::Str(text) => Value::Str(text.clone()).identity(),
            Self::Bool(bool) => Value::Bool(*bool).identity(),
            Self::Char(char) => Value::Char(*char).identity(),
            Self::F64(float) => Value::F64(*float).identity(),
            Self::Dynamic(Value::U64(number)) => number.to_string(),
            Self::Dynamic(value) => value.identity(),
            Self::Type(name) => format!("type {name:?}"),
        }
    }
}

impl Value {
    fn identity(&self) -> String {
        format!("{:?}", self.clone().normalised())
    }

    /// With the entries of maps in one order.
    fn normalised(self) -> Self {
        let all = |values: Vec<Self>| values.into_iter().map(Self::normalised).collect();
        let fields = |fields: Vec<(&'static str, Self)>| fields.into_iter().map(|(k, v)| (k, v.normalised())).collect();
        match self {
            Self::Some(value) => Self::Some(Box::new(value.normalised())),
            Self::Newtype(name, value) => Self::Newtype(name, Box::new(value.normalised())),
            Self::NewtypeVariant(name, variant, value) => {
                Self::NewtypeVariant(name, variant, Box::new(value.normalised()))
            }
            Self::Seq(values) => Self::Seq(all(values)),
            Self::Tuple(values) => Self::Tuple(all(values)),
            Self::TupleStruct(name, values) => Self::TupleStruct(name, all(values)),
            Self::TupleVariant(name, variant, values) => Self::TupleVariant(name, variant, all(values)),
            Self::Struct(name, values) => Self::Struct(name, fields(values)),
            Self::StructVariant(name, variant, values) => Self::StructVariant(name, variant, fields(values)),
            Self::Map(entries) => {
                let mut entries: Vec<_> =
                    entries.into_iter().map(|(key, value)| (key.normalised(), value.normalised())).collect();
                entries.sort_by_key(|entry| format!("{entry:?}"));
                Self::Map(entries)
            }
            other => other,
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(value) => to.serialize_bool(*value),
            Self::U8(value) => to.serialize_u8(*value),
            Self::U16(value) => to.serialize_u16(*value),
            Self::U32(value) => to.serialize_u32(*value),
            Self::U64(value) => to.serialize_u64(*value),
            Self::U128(value) => to.serialize_u128(*value),
            Self::I8(value) => to.serialize_i8(*value),
            Self::I16(value) => to.serialize_i16(*value),
            Self::I32(value) => to.serialize_i32(*value),
            Self::I64(value) => to.serialize_i64(*value),
            Self::I128(value) => to.serialize_i128(*value),
            Self::F32(value) => to.serialize_f32(*value),
            Self::F64(value) => to.serialize_f64(*value),
            Self::Char(value) => to.serialize_char(*value),
            Self::Str(value) => to.serialize_str(value),
            Self::Bytes(value) => to.serialize_bytes(value),
            Self::None => to.serialize_none(),
            Self::Some(value) => to.serialize_some(value),
            Self::Unit => to.serialize_unit(),
            Self::UnitStruct(name) => to.serialize_unit_struct(name),
            Self::Newtype(name, value) => to.serialize_newtype_struct(name, value),
            Self::UnitVariant(name, variant) => to.serialize_unit_variant(name, 0, variant),
            Self::NewtypeVariant(name, variant, value) => to.serialize_newtype_variant(name, 0, variant, value),
            _ => self.serialize_compound(to),
        }
    }
}

impl Value {
    /// Lengths are left unknown wherever serde allows it.
    fn serialize_compound<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        macro_rules! all {
            ($open:expr, $add:ident, $values:expr) => {{
                let mut open = $open?;
                for value in $values {
                    open.$add(value)?;
                }
                open.end()
            }};
        }
        macro_rules! fields {
            ($open:expr, $add:ident, $values:expr) => {{
                let mut open = $open?;
                for (name, value) in $values {
                    open.$add(name, value)?;
                }
                open.end()
            }};
        }
        match self {
            Self::Seq(values) => all!(to.serialize_seq(None), serialize_element, values),
            Self::Tuple(values) => all!(to.serialize_tuple(values.len()), serialize_element, values),
            Self::TupleStruct(name, values) => {
                all!(to.serialize_tuple_struct(name, values.len()), serialize_field, values)
            }
            Self::TupleVariant(name, variant, values) => {
                all!(to.serialize_tuple_variant(name, 0, variant, values.len()), serialize_field, values)
            }
            Self::Map(entries) => fields!(to.serialize_map(None), serialize_entry, entries),
            Self::Struct(name, values) => fields!(to.serialize_struct(name, values.len()), serialize_field, values),
            Self::StructVariant(name, variant, values) => {
                fields!(to.serialize_struct_variant(name, 0, variant, values.len()), serialize_field, values)
            }
            _ => unreachable!("not a compound"),
        }
    }
}

pub(crate) fn arguments() -> impl Strategy<Value = Vec<Argument>> {
    vec(argument(), 0..4)
}

fn argument() -> impl Strategy<Value = Argument> {
    prop_oneof![
        select(&NUMBERS[..]).prop_map(Argument::Int),
        Just(Argument::Huge(u128::MAX)),
        select(&STRINGS[..]).prop_map(|text| Argument::Str(text.into())),
        any::<bool>().prop_map(Argument::Bool),
        select(vec!['a', '\'', 'é', '1']).prop_map(Argument::Char),
        floats().prop_map(Argument::F64),
        select(vec!["a::b", "a.b", "u8", "", "é", "Vec<a::b, (c, d)>", "a:b"]).prop_map(Argument::Type),
        values().prop_map(Argument::Dynamic),
        values().prop_map(Argument::Dynamic),
    ]
}

fn floats() -> impl Strategy<Value = f64> {
    select(vec![0.0, -0.0, 1.0, 1.5, 42.0, 1e7, 1e16, 1e-7, f64::NAN, f64::INFINITY, f64::NEG_INFINITY])
}

fn values() -> impl Strategy<Value = Value> {
    scalars().prop_recursive(3, 12, 3, |inner| {
        let name = || select(&NAMES[..]);
        let boxed = || inner.clone().prop_map(Box::new);
        let all = || vec(inner.clone(), 0..3);
        let fields = || vec((select(&NAMES[..]), inner.clone()), 0..3);
        prop_oneof![
            boxed().prop_map(Value::Some),
            (name(), boxed()).prop_map(|(name, value)| Value::Newtype(name, value)),
            (name(), name(), boxed()).prop_map(|(name, variant, value)| Value::NewtypeVariant(name, variant, value)),
            all().prop_map(Value::Seq),
            all().prop_map(Value::Tuple),
            (name(), all()).prop_map(|(name, values)| Value::TupleStruct(name, values)),
            (name(), name(), all()).prop_map(|(name, variant, values)| Value::TupleVariant(name, variant, values)),
            vec((inner.clone(), inner.clone()), 0..3).prop_map(Value::Map),
            (name(), fields()).prop_map(|(name, values)| Value::Struct(name, values)),
            (name(), name(), fields()).prop_map(|(name, variant, values)| Value::StructVariant(name, variant, values)),
        ]
    })
}

fn scalars() -> impl Strategy<Value = Value> {
    let number = || select(&NUMBERS[..]);
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        (number(), 0..10usize).prop_map(|(number, width)| integer(number, width)),
        floats().prop_map(Value::F64),
        floats().prop_map(|float| Value::F32(float as f32)),
        select(vec!['a', '\'', 'é', '1']).prop_map(Value::Char),
        select(&STRINGS[..]).prop_map(|text| Value::Str(text.into())),
        select(&STRINGS[..]).prop_map(|text| Value::Bytes(text.into())),
        Just(Value::None),
        Just(Value::Unit),
        select(&NAMES[..]).prop_map(Value::UnitStruct),
        (select(&NAMES[..]), select(&NAMES[..])).prop_map(|(name, variant)| Value::UnitVariant(name, variant)),
    ]
}

fn integer(number: i128, width: usize) -> Value {
    match width {
        0 => Value::U8(number as u8),
        1 => Value::U16(number as u16),
        2 => Value::U32(number as u32),
        3 => Value::U64(number as u64),
        4 => Value::U128(number as u128),
        5 => Value::I8(number as i8),
        6 => Value::I16(number as i16),
        7 => Value::I32(number as i32),
        8 => Value::I64(number as i64),
        _ => Value::I128(number),
    }
}
