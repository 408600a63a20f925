//! Opaque bytes as a payload: what serde calls bytes, a sequence of bytes or text, and newtypes around these. Nothing else
//! is, and no length or name is written beside them.

use serde::de::value::SeqDeserializer;
use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use serde::ser::{self, Impossible, Serialize, Serializer};
use std::fmt;

/// Writes a payload that is bytes.
pub(super) fn encode<T: Serialize + ?Sized>(payload: &T) -> Result<Vec<u8>, NotBytes> {
    let mut bytes = Vec::new();
    payload.serialize(Writer { bytes: &mut bytes, is_element: false })?;
    Ok(bytes)
}

/// Reads all bytes as a payload.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, NotBytes> {
    T::deserialize(Reader(bytes))
}

/// A value is not bytes, or bytes are not the value.
#[derive(Debug)]
pub(super) struct NotBytes(String);

impl fmt::Display for NotBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotBytes {}

impl ser::Error for NotBytes {
    fn custom<T: fmt::Display>(message: T) -> NotBytes {
        NotBytes(message.to_string())
    }
}

impl de::Error for NotBytes {
    fn custom<T: fmt::Display>(message: T) -> NotBytes {
        NotBytes(message.to_string())
    }
}

struct Writer<'a> {
    bytes: &'a mut Vec<u8>,
    /// Inside a sequence, where a byte is welcome and nothing else.
    is_element: bool,
}

impl Writer<'_> {
    fn push_all(self, bytes: &[u8], what: &str) -> Result<(), NotBytes> {
        if self.is_element {
            return refused(what);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

fn refused<T>(what: &str) -> Result<T, NotBytes> {
    Err(NotBytes(format!("{what} is not bytes: the codec `Bytes` takes bytes, sequences of bytes and text")))
}

/// The methods of a serializer that refuse what they are handed.
macro_rules! refuse {
    ($($method:ident($($argument:ty),*) -> $result:ty: $what:literal;)+) => {
        $(
            fn $method(self $(, _: $argument)*) -> Result<$result, NotBytes> {
                refused($what)
            }
        )+
    };
}

impl Serializer for Writer<'_> {
    type Ok = ();
    type Error = NotBytes;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Impossible<(), NotBytes>;
    type SerializeTupleVariant = Impossible<(), NotBytes>;
    type SerializeMap = Impossible<(), NotBytes>;
    type SerializeStruct = Impossible<(), NotBytes>;
    type SerializeStructVariant = Impossible<(), NotBytes>;

    fn serialize_u8(self, byte: u8) -> Result<(), NotBytes> {
        if !self.is_element {
            return refused("a number");
        }
        self.bytes.push(byte);
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), NotBytes> {
        self.push_all(bytes, "a sequence inside a sequence")
    }

    fn serialize_str(self, text: &str) -> Result<(), NotBytes> {
        self.push_all(text.as_bytes(), "text inside a sequence")
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self, NotBytes> {
        if self.is_element {
            return refused("a sequence inside a sequence");
        }
        self.bytes.reserve(len.unwrap_or(0));
        Ok(Writer { is_element: true, ..self })
    }

    fn serialize_tuple(self, len: usize) -> Result<Self, NotBytes> {
        self.serialize_seq(Some(len))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), NotBytes> {
        value.serialize(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<(), NotBytes> {
        refused("an option")
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), NotBytes> {
        refused("a variant")
    }

    refuse! {
        serialize_bool(bool) -> (): "a truth value";
        serialize_i8(i8) -> (): "a number";
        serialize_i16(i16) -> (): "a number";
        serialize_i32(i32) -> (): "a number";
        serialize_i64(i64) -> (): "a number";
        serialize_u16(u16) -> (): "a number";
        serialize_u32(u32) -> (): "a number";
        serialize_u64(u64) -> (): "a number";
        serialize_f32(f32) -> (): "a number";
        serialize_f64(f64) -> (): "a number";
        serialize_char(char) -> (): "a character";
        serialize_none() -> (): "an option";
        serialize_unit() -> (): "nothing";
        serialize_unit_struct(&'static str) -> (): "nothing";
        serialize_unit_variant(&'static str, u32, &'static str) -> (): "a variant";
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct: "a tuple with a name";
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant: "a variant";
        serialize_map(Option<usize>) -> Self::SerializeMap: "a map";
        serialize_struct(&'static str, usize) -> Self::SerializeStruct: "a struct";
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant: "a variant";
    }
}

impl ser::SerializeSeq for Writer<'_> {
    type Ok = ();
    type Error = NotBytes;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotBytes> {
        value.serialize(Writer { bytes: self.bytes, is_element: true })
    }

    fn end(self) -> Result<(), NotBytes> {
        Ok(())
    }
}

impl ser::SerializeTuple for Writer<'_> {
    type Ok = ();
    type Error = NotBytes;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotBytes> {
        ser::SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result<(), NotBytes> {
        Ok(())
    }
}

struct Reader<'de>(&'de [u8]);

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = NotBytes;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotBytes> {
        visitor.visit_bytes(self.0)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotBytes> {
        match std::str::from_utf8(self.0) {
            Ok(text) => visitor.visit_str(text),
            Err(fault) => Err(NotBytes(format!("the bytes are no text: {fault}"))),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotBytes> {
        self.deserialize_str(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotBytes> {
        let mut bytes = SeqDeserializer::new(self.0.iter().copied());
        let value = visitor.visit_seq(&mut bytes)?;
        bytes.end()?;
        Ok(value)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, NotBytes> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, NotBytes> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char bytes byte_buf option unit unit_struct tuple_struct map struct enum
        identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn check_same<T: Serialize + DeserializeOwned + PartialEq + fmt::Debug>(value: &T, bytes: &[u8]) {
        assert_eq!(encode(value).expect("bytes"), bytes);
        assert_eq!(&decode::<T>(bytes).expect("the value"), value);
    }

    fn check_refused<T: Serialize>(value: &T, what: &str) {
        let fault = encode(value).expect_err("not bytes").to_string();
        assert!(fault.starts_with(what), "{fault}");
    }

    #[test]
    fn bytes_and_text_are_written_as_they_are() {
        #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        struct Picture(Vec<u8>);
        let all: Vec<u8> = (0..=255).collect();
        check_same(&all, &all);
        check_same(&Picture(all.clone()), &all);
        check_same(&[1_u8, 2, 3], &[1, 2, 3]);
        check_same(&(1_u8, 2_u8), &[1, 2]);
        check_same(&"Zoë".to_owned(), "Zoë".as_bytes());
        check_same(&Vec::<u8>::new(), &[]);
        assert_eq!(
            decode::<[u8; 2]>(&[1, 2, 3]).expect_err("too many").to_string(),
            "invalid length 3, expected 2 elements in sequence"
        );
        assert!(decode::<String>(&[0xFF]).expect_err("no text").to_string().starts_with("the bytes are no text"));
    }

    #[test]
    fn nothing_else_is_taken_for_bytes() {
        check_refused(&7_u8, "a number");
        check_refused(&7_i64, "a number");
        check_refused(&vec![7_u16], "a number");
        check_refused(&vec![vec![7_u8]], "a sequence inside a sequence");
        check_refused(&vec!["x".to_owned()], "text inside a sequence");
        check_refused(&Some(7_u8), "an option");
        check_refused(&(), "nothing");
        check_refused(&BTreeMap::from([(1_u8, 1_u8)]), "a map");
        let fault = decode::<u32>(&[7, 0, 0, 0]).expect_err("no number");
        assert_eq!(fault.to_string(), "invalid type: byte array, expected u32");
        assert!(decode::<Option<u8>>(&[7]).is_err() && decode::<()>(&[]).is_err());
    }
}
