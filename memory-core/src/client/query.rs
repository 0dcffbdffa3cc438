//! Query strings from anything `Serialize`: maps, structs and lists of pairs; lists repeat their name.

use std::fmt;

use serde::{
    Serialize,
    ser::{self, Impossible, Serializer},
};

/// `params` as an encoded query, empty when there are none.
pub(crate) fn encode(params: &(impl Serialize + ?Sized)) -> Result<String, &'static str> {
    let mut pairs = Pairs(Vec::new());
    params.serialize(Names(&mut pairs)).map_err(|refused| refused.0)?;
    let mut query = String::new();
    for (name, value) in &pairs.0 {
        if !query.is_empty() {
            query.push('&');
        }
        push_encoded(&mut query, name);
        query.push('=');
        push_encoded(&mut query, value);
    }
    Ok(query)
}

/// What is left unencoded is what every reader of forms agrees on.
fn push_encoded(query: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => query.push(char::from(byte)),
            b' ' => query.push('+'),
            _ => {
                const DIGITS: [char; 16] =
                    ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
                query.extend(['%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
            }
        }
    }
}

/// A float as the original writes it: `1.0`, `0.25`, `1e+22`, `1e-07`.
fn float(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string().to_lowercase();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(-4..16) => {
            let plain = value.to_string();
            if plain.contains('.') { plain } else { format!("{plain}.0") }
        }
        Ok(exponent) => format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.unsigned_abs()),
        Err(_) => scientific,
    }
}

#[derive(Debug)]
struct Refused(&'static str);

const NOT_PAIRS: Refused = Refused("query parameters are a map, a struct, or a list of pairs");
const NOT_SCALAR: Refused = Refused("a query parameter is text, a number, a bool, or a list of these");

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Refused {}

impl ser::Error for Refused {
    // A message of the user's own `Serialize` may quote the value, so it is not kept.
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self("a query parameter refused to be serialised")
    }
}

struct Pairs(Vec<(String, String)>);

/// Takes the outermost value: something that has names.
struct Names<'a>(&'a mut Pairs);

/// Takes one value (or a list of them) under a name.
struct Value<'a> {
    pairs: &'a mut Pairs,
    name: &'a str,
}

/// A name, from whatever scalar is used as a key.
fn name(key: &(impl Serialize + ?Sized)) -> Result<String, Refused> {
    let mut pairs = Pairs(Vec::new());
    key.serialize(Value { pairs: &mut pairs, name: "" })?;
    match pairs.0.pop() {
        Some((_, text)) if pairs.0.is_empty() => Ok(text),
        _ => Err(NOT_SCALAR),
    }
}

macro_rules! refuse {
    ($error:expr => $($method:ident($($ty:ty),*) -> $ok:ty;)*) => {$(
        fn $method(self, $(_: $ty),*) -> Result<$ok, Refused> { Err($error) }
    )*};
}

macro_rules! scalars {
    ($($method:ident($ty:ty) => $text:expr;)*) => {$(
        fn $method(self, value: $ty) -> Result<(), Refused> { self.push($text(value)) }
    )*};
}

impl Value<'_> {
    fn push(self, text: String) -> Result<(), Refused> {
        self.pairs.0.push((self.name.to_owned(), text));
        Ok(())
    }
}

impl Serializer for Value<'_> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Impossible<(), Refused>;
    type SerializeMap = Impossible<(), Refused>;
    type SerializeStruct = Impossible<(), Refused>;
    type SerializeStructVariant = Impossible<(), Refused>;

    scalars! {
        serialize_bool(bool) => |value: bool| value.to_string();
        serialize_i8(i8) => |value: i8| value.to_string();
        serialize_i16(i16) => |value: i16| value.to_string();
        serialize_i32(i32) => |value: i32| value.to_string();
        serialize_i64(i64) => |value: i64| value.to_string();
        serialize_i128(i128) => |value: i128| value.to_string();
        serialize_u8(u8) => |value: u8| value.to_string();
        serialize_u16(u16) => |value: u16| value.to_string();
        serialize_u32(u32) => |value: u32| value.to_string();
        serialize_u64(u64) => |value: u64| value.to_string();
        serialize_u128(u128) => |value: u128| value.to_string();
        serialize_f32(f32) => |value: f32| float(value.to_string().parse().unwrap_or(f64::from(value)));
        serialize_f64(f64) => float;
        serialize_char(char) => String::from;
        serialize_str(&str) => str::to_owned;
    }

    refuse! { NOT_SCALAR =>
        serialize_bytes(&[u8]) -> ();
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }

    /// An absent option leaves its name out; a null (`()`, JSON's `null`) is an empty value.
    fn serialize_none(self) -> Result<(), Refused> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refused> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Refused> {
        self.push(String::new())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Refused> {
        self.push(String::new())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Refused> {
        self.push(variant.to_owned())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Refused> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Refused> {
        Err(NOT_SCALAR)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Refused> {
        Ok(self)
    }
}

macro_rules! elements {
    ($($list:ident::$method:ident),* for $ty:ident as $each:ident) => {$(
        impl ser::$list for $ty<'_> {
            type Ok = ();
            type Error = Refused;

            fn $method<T: Serialize + ?Sized>(&mut self, element: &T) -> Result<(), Refused> {
                self.$each(element)
            }

            fn end(self) -> Result<(), Refused> {
                self.done()
            }
        }
    )*};
}

elements!(SerializeSeq::serialize_element, SerializeTuple::serialize_element, SerializeTupleStruct::serialize_field
    for Value as element);
elements!(SerializeSeq::serialize_element, SerializeTuple::serialize_element, SerializeTupleStruct::serialize_field
    for Names as pair);
elements!(SerializeSeq::serialize_element, SerializeTuple::serialize_element, SerializeTupleStruct::serialize_field
    for Pair as part);

impl Value<'_> {
    fn element(&mut self, element: &(impl Serialize + ?Sized)) -> Result<(), Refused> {
        element.serialize(Value { pairs: &mut *self.pairs, name: self.name })
    }

    fn done(self) -> Result<(), Refused> {
        Ok(())
    }
}

/// Takes one `(name, value)` of a list of pairs.
struct Pair<'a> {
    pairs: &'a mut Pairs,
    name: Option<String>,
    complete: bool,
}

impl Pair<'_> {
    fn part(&mut self, part: &(impl Serialize + ?Sized)) -> Result<(), Refused> {
        match &self.name {
            None => self.name = Some(name(part)?),
            Some(name) if !self.complete => {
                part.serialize(Value { pairs: &mut *self.pairs, name })?;
                self.complete = true;
            }
            Some(_) => return Err(NOT_PAIRS),
        }
        Ok(())
    }

    fn done(self) -> Result<(), Refused> {
        if self.complete { Ok(()) } else { Err(NOT_PAIRS) }
    }
}

impl Names<'_> {
    fn pair(&mut self, pair: &(impl Serialize + ?Sized)) -> Result<(), Refused> {
        pair.serialize(Pair { pairs: &mut *self.0, name: None, complete: false })
    }

    fn done(self) -> Result<(), Refused> {
        Ok(())
    }
}

/// Where names come from a map, whose keys and values arrive one by one.
struct Entries<'a> {
    pairs: &'a mut Pairs,
    name: String,
}

impl ser::SerializeMap for Entries<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        self.name = name(key)?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        value.serialize(Value { pairs: &mut *self.pairs, name: &self.name })
    }

    fn end(self) -> Result<(), Refused> {
        Ok(())
    }
}

impl ser::SerializeStruct for Entries<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, field: &'static str, value: &T) -> Result<(), Refused> {
        value.serialize(Value { pairs: &mut *self.pairs, name: field })
    }

    fn end(self) -> Result<(), Refused> {
        Ok(())
    }
}

/// `serialize_…` of the types that a serializer refuses altogether.
macro_rules! refuse_scalars {
    ($error:expr) => {
        refuse! { $error =>
            serialize_bool(bool) -> ();
            serialize_i8(i8) -> ();
            serialize_i16(i16) -> ();
            serialize_i32(i32) -> ();
            serialize_i64(i64) -> ();
            serialize_u8(u8) -> ();
            serialize_u16(u16) -> ();
            serialize_u32(u32) -> ();
            serialize_u64(u64) -> ();
            serialize_f32(f32) -> ();
            serialize_f64(f64) -> ();
            serialize_char(char) -> ();
            serialize_str(&str) -> ();
            serialize_bytes(&[u8]) -> ();
            serialize_unit_variant(&'static str, u32, &'static str) -> ();
            serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
            serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
        }

        fn serialize_newtype_variant<T: Serialize + ?Sized>(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: &T,
        ) -> Result<(), Refused> {
            Err($error)
        }

        fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refused> {
            value.serialize(self)
        }

        fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Refused> {
            value.serialize(self)
        }

        fn serialize_seq(self, _: Option<usize>) -> Result<Self, Refused> {
            Ok(self)
        }

        fn serialize_tuple(self, _: usize) -> Result<Self, Refused> {
            Ok(self)
        }

        fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Refused> {
            Ok(self)
        }
    };
}

impl<'a> Serializer for Names<'a> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Impossible<(), Refused>;
    type SerializeMap = Entries<'a>;
    type SerializeStruct = Entries<'a>;
    type SerializeStructVariant = Impossible<(), Refused>;

    refuse_scalars!(NOT_PAIRS);

    fn serialize_none(self) -> Result<(), Refused> {
        Ok(())
    }

    fn serialize_unit(self) -> Result<(), Refused> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Refused> {
        Ok(())
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Entries<'a>, Refused> {
        Ok(Entries { pairs: self.0, name: String::new() })
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Entries<'a>, Refused> {
        Ok(Entries { pairs: self.0, name: String::new() })
    }
}

impl Serializer for Pair<'_> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Impossible<(), Refused>;
    type SerializeMap = Impossible<(), Refused>;
    type SerializeStruct = Impossible<(), Refused>;
    type SerializeStructVariant = Impossible<(), Refused>;

    refuse_scalars!(NOT_PAIRS);

    refuse! { NOT_PAIRS =>
        serialize_none() -> ();
        serialize_unit() -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    #[derive(Serialize)]
    struct Page<'a> {
        number: u32,
        after: Option<&'a str>,
        sort: Sort,
        tags: Vec<&'a str>,
    }

    #[derive(Serialize)]
    #[serde(rename_all = "lowercase")]
    enum Sort {
        Newest,
    }

    #[test]
    fn structs_keep_their_order_and_leave_absent_fields_out() {
        let page = Page { number: 2, after: None, sort: Sort::Newest, tags: vec!["a b", "c"] };
        assert_eq!(encode(&page), Ok("number=2&sort=newest&tags=a+b&tags=c".to_owned()));
    }

    #[test]
    fn maps_and_lists_of_pairs_are_taken_and_names_may_repeat() {
        assert_eq!(encode(&BTreeMap::from([("q", 9)])), Ok("q=9".to_owned()));
        assert_eq!(encode(&[("b", "1"), ("a", "2"), ("b", "3")]), Ok("b=1&a=2&b=3".to_owned()));
        assert_eq!(encode(&json!({"a": [null, true, "x y"]})), Ok("a=&a=true&a=x+y".to_owned()));
        assert_eq!(encode(&()), Ok(String::new()));
        assert_eq!(encode(&None::<BTreeMap<String, String>>), Ok(String::new()));
    }

    #[test]
    fn everything_but_the_unreserved_is_encoded() {
        let encoded = "a=%2B%2F%3F%23%5B%5D%40%21%24%27%28%29%2A%2C%3B%3A%25~-._%C3%A9";
        assert_eq!(encode(&[("a", "+/?#[]@!$'()*,;:%~-._é")]), Ok(encoded.to_owned()));
    }

    #[test]
    fn floats_are_written_as_the_original_writes_them() {
        for (value, text) in [
            (1.0, "1.0"),
            (0.25, "0.25"),
            (1e22, "1e+22"),
            (1e-7, "1e-07"),
            (1e15, "1000000000000000.0"),
            (-0.0, "-0.0"),
        ] {
            assert_eq!(float(value), text);
        }
    }

    #[test]
    fn what_has_no_names_or_nests_is_refused_without_quoting_it() {
        assert_eq!(encode("secret"), Err(NOT_PAIRS.0));
        assert_eq!(encode(&["secret"]), Err(NOT_PAIRS.0));
        assert_eq!(encode(&[("a", "b", "c")]), Err(NOT_PAIRS.0));
        assert_eq!(encode(&[("a",)]), Err(NOT_PAIRS.0));
        assert_eq!(encode(&json!({"a": {"secret": 1}})), Err(NOT_SCALAR.0));
    }
}
