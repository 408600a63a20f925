//! One event as one line of JSON: from a line to an event, and back.
//!
//! What is printed is taken again, so that what was exported can be imported. Reading is strict: a key that is not
//! known, stands twice or is of another type is refused by name, since whoever wrote it meant something by it.
//! JSON is read by serde_json; here is only what the keys mean. Splitting input into lines is left to `lines`.

use crate::cli::compact::{compact, is_compact};
use crate::cli::rfc3339;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use scorebook::{Codec, EventId, NewEvent, Position, RecordedEvent, StreamName, Timestamp, Version};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt::{self, Write as _};

/// What a line says: the event, and what it claims about its place.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) position: Option<Position>,
    pub(crate) stream: Option<StreamName>,
    pub(crate) version: Option<Version>,
    /// The event has it too; here it can be asked for.
    pub(crate) id: Option<EventId>,
    pub(crate) time: Option<Timestamp>,
    pub(crate) epoch: Option<u32>,
    pub(crate) event: NewEvent,
}

impl Line {
    /// Reads one line. The fault, if there is one, is the rest of a sentence that began with the line's number.
    pub(crate) fn parse(text: &str) -> Result<Line, String> {
        let Members(members) = serde_json::from_str(text).map_err(|error| with_column(&error))?;
        let mut keys = Keys::default();
        for (key, value) in members {
            keys.take(&key, value)?;
        }
        keys.into_line()
    }
}

/// The keys of a line, as far as they were given.
#[derive(Default)]
struct Keys<'a> {
    position: Option<u64>,
    stream: Option<String>,
    version: Option<u64>,
    id: Option<String>,
    event_type: Option<String>,
    schema: Option<u32>,
    time: Option<String>,
    epoch: Option<u32>,
    occurred: Option<String>,
    data: Option<&'a RawValue>,
    data_base64: Option<String>,
    codec: Option<&'a RawValue>,
    metadata: Vec<(String, &'a RawValue)>,
    tags: Vec<String>,
}

impl<'a> Keys<'a> {
    fn take(&mut self, key: &str, value: &'a RawValue) -> Result<(), String> {
        match key {
            "position" => self.position = Some(typed(key, value)?),
            "stream" => self.stream = Some(typed(key, value)?),
            "version" => self.version = Some(typed(key, value)?),
            "id" => self.id = Some(typed(key, value)?),
            "type" => self.event_type = Some(typed(key, value)?),
            "schema" => self.schema = Some(typed(key, value)?),
            "time" => self.time = Some(typed(key, value)?),
            "epoch" => self.epoch = Some(typed(key, value)?),
            "occurred" => self.occurred = Some(typed(key, value)?),
            "data" => self.data = Some(value),
            "data_base64" => self.data_base64 = Some(typed(key, value)?),
            "codec" => self.codec = Some(value),
            "metadata" => {
                let members: Members<'a> =
                    serde_json::from_str(value.get()).map_err(|error| format!("`{key}`: {}", reason(&error)))?;
                self.metadata = members.0;
            }
            "tags" => self.tags = typed(key, value)?,
            _ => return Err(format!("unknown key `{}`", key.escape_debug())),
        }
        Ok(())
    }

    fn into_line(self) -> Result<Line, String> {
        let (codec, data) = self.payload()?;
        let event_type = self.event_type.ok_or("`type` is missing")?;
        let mut event = NewEvent::with_codec(&event_type, codec, data);
        let id = self.id.map(|id| id.parse::<EventId>().map_err(|error| error.to_string())).transpose()?;
        if let Some(id) = id {
            event = event.id(id);
        }
        if let Some(schema) = self.schema {
            event = event.schema(schema);
        }
        if let Some(occurred) = time_of("occurred", self.occurred.as_deref())? {
            event = event.occurred(occurred);
        }
        for (key, value) in self.metadata {
            event = with_metadata(event, &key, value)?;
        }
        for tag in &self.tags {
            let (key, value) =
                tag.split_once(':').ok_or_else(|| format!("tag `{}` has no `:` behind its key", tag.escape_debug()))?;
            event = event.tag(key, value);
        }
        Ok(Line {
            position: self.position.map(Position::new),
            stream: self.stream.map(StreamName::new).transpose().map_err(|error| error.to_string())?,
            version: self.version.map(Version::new),
            id,
            time: time_of("time", self.time.as_deref())?,
            epoch: self.epoch,
            event,
        })
    }

    /// The payload: JSON keeps its bytes, apart from the white space between its tokens.
    fn payload(&self) -> Result<(Codec, Vec<u8>), String> {
        match (self.data, &self.data_base64, self.codec) {
            (Some(data), None, None) => Ok((Codec::Json, compact(data.get()).into_owned().into_bytes())),
            (None, Some(data), Some(codec)) => {
                let data = BASE64.decode(data).map_err(|error| format!("`data_base64`: {error}"))?;
                Ok((codec_of(codec)?, data))
            }
            (None, None, _) => Err("`data` is missing".to_owned()),
            (None, Some(_), None) => Err("`codec` is missing: `data_base64` needs it".to_owned()),
            (Some(_), Some(_), _) => Err("`data` and `data_base64` exclude each other".to_owned()),
            (Some(_), None, Some(_)) => Err("`codec` stands beside `data_base64` only: `data` is JSON".to_owned()),
        }
    }
}

fn with_metadata(event: NewEvent, key: &str, value: &RawValue) -> Result<NewEvent, String> {
    let named = |key: &str| format!("metadata.{key}");
    match key {
        "correlation" => Ok(event.correlation(typed::<String>(&named(key), value)?)),
        "causation" => Ok(event.causation(typed::<String>(&named(key), value)?)),
        "actor" => Ok(event.actor(typed::<String>(&named(key), value)?)),
        _ => {
            let json = compact(value.get());
            let value: &RawValue = serde_json::from_str(&json).expect("white space between tokens means nothing");
            Ok(event.meta(key, value))
        }
    }
}

fn time_of(key: &str, text: Option<&str>) -> Result<Option<Timestamp>, String> {
    text.map(rfc3339::parse).transpose().map_err(|fault| format!("`{key}`: {fault}"))
}

fn codec_of(value: &RawValue) -> Result<Codec, String> {
    match value.get() {
        r#""json""# => Ok(Codec::Json),
        r#""bytes""# => Ok(Codec::Bytes),
        r#""bincode""# => Ok(Codec::Bincode),
        number => match number.parse::<u8>() {
            Ok(number) => Ok(Codec::Other(number)),
            Err(_) => {
                Err("`codec` is neither \"json\" nor \"bytes\" nor \"bincode\" nor a number up to 255".to_owned())
            }
        },
    }
}

/// The value of a key as what it must be.
fn typed<T: DeserializeOwned>(key: &str, value: &RawValue) -> Result<T, String> {
    serde_json::from_str(value.get()).map_err(|error| format!("`{}`: {}", key.escape_debug(), reason(&error)))
}

/// The members of a JSON object in their order, their values as they stand. A key that stands twice is refused.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'de>, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, &'de RawValue>()? {
                    members.push(member);
                }
                let mut keys: Vec<&str> = members.iter().map(|(key, _)| key.as_str()).collect();
                keys.sort_unstable();
                match keys.windows(2).find(|pair| pair[0] == pair[1]) {
                    Some(pair) => Err(A::Error::custom(format!("key `{}` stands twice", pair[0].escape_debug()))),
                    None => Ok(Members(members)),
                }
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// The keys and values of a JSON object, in their order.
pub(crate) fn members(json: &str) -> Result<Vec<(String, &RawValue)>, serde_json::Error> {
    serde_json::from_str(json).map(|Members(members)| members)
}

/// What serde_json says, with the column: the line's number it says is always 1.
fn with_column(error: &serde_json::Error) -> String {
    match error.classify() {
        serde_json::error::Category::Data => reason(error),
        _ => format!("{} at column {}", reason(error), error.column()),
    }
}

/// What serde_json says, without the place.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

/// Writes an event behind what `line` holds, without the end of the line.
///
/// The fault is that the stored metadata is not a JSON object; only a log that was not written by this crate has
/// such. `line` then holds a beginning that must not be printed.
pub(crate) fn write(event: &RecordedEvent, line: &mut String) -> Result<(), String> {
    push(line, format_args!("{{\"position\":{}", event.position()));
    push(line, format_args!(",\"stream\":{}", quoted(event.stream())));
    push(line, format_args!(",\"version\":{}", event.version()));
    push(line, format_args!(",\"id\":\"{}\"", event.id()));
    push(line, format_args!(",\"type\":{}", quoted(event.event_type())));
    push(line, format_args!(",\"schema\":{}", event.schema()));
    push(line, format_args!(",\"time\":\"{}\"", rfc3339::print(event.time())));
    push(line, format_args!(",\"epoch\":{}", event.epoch()));
    if let Some(occurred) = event.occurred() {
        push(line, format_args!(",\"occurred\":\"{}\"", rfc3339::print(occurred)));
    }
    write_payload(event.codec(), event.data(), line);
    write_metadata(event, line)?;
    let mut separator = ",\"tags\":[";
    for (key, value) in event.tags() {
        push(line, format_args!("{separator}{}", quoted(&format!("{key}:{value}"))));
        separator = ",";
    }
    line.push_str(if separator == "," { "]}" } else { "}" });
    Ok(())
}

/// Writes a payload as members of an object that has some before it.
pub(crate) fn write_payload(codec: Codec, data: &[u8], line: &mut String) {
    match json_in(codec, data) {
        Some(json) => push(line, format_args!(",\"data\":{json}")),
        None => {
            let (data, codec) = (BASE64.encode(data), codec_name(codec));
            push(line, format_args!(",\"data_base64\":\"{data}\",\"codec\":{codec}"));
        }
    }
}

/// The payload, where it is JSON on one compact line and is said to be JSON.
pub(crate) fn json_of(event: &RecordedEvent) -> Option<&str> {
    json_in(event.codec(), event.data())
}

fn json_in(codec: Codec, data: &[u8]) -> Option<&str> {
    if codec != Codec::Json {
        return None;
    }
    let text = std::str::from_utf8(data).ok()?;
    let is_json = is_compact(text) && serde_json::from_str::<&RawValue>(text).is_ok();
    is_json.then_some(text)
}

/// The codec as JSON: a name, or the number where there is no name.
pub(crate) fn codec_name(codec: Codec) -> String {
    match codec {
        Codec::Json => "\"json\"".to_owned(),
        Codec::Bytes => "\"bytes\"".to_owned(),
        Codec::Bincode => "\"bincode\"".to_owned(),
        Codec::Other(number) => number.to_string(),
        #[allow(unreachable_patterns, reason = "a stranger to the crate, as the fuzz targets build this, must have it")]
        _ => unreachable!("every codec this version knows is named above"),
    }
}

fn write_metadata(event: &RecordedEvent, line: &mut String) -> Result<(), String> {
    let stored = event.metadata_json();
    if stored.is_empty() {
        return Ok(());
    }
    if let Err(error) = serde_json::from_str::<Members<'_>>(stored) {
        return Err(format!("the metadata of the event at position {}: {}", event.position(), reason(&error)));
    }
    push(line, format_args!(",\"metadata\":{}", compact(stored)));
    Ok(())
}

/// A text as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("any text can be a JSON string")
}

fn push(line: &mut String, part: fmt::Arguments<'_>) {
    line.write_fmt(part).expect("a string takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;
    use scorebook::{EventStore, ExpectedVersion};

    /// The line that is printed for the event of this line, from `type` on, without the times.
    fn printed(text: &str) -> String {
        let line = Line::parse(text).expect(text);
        let store = EventStore::open_in_memory().expect("a store");
        let stream = line.stream.unwrap_or_else(|| StreamName::new("s").expect("a name"));
        store.append(&stream, ExpectedVersion::NoStream, [line.event]).wait().expect(text);
        let event = store.event_at(Position::new(1)).expect("the event");
        let mut printed = String::new();
        write(&event, &mut printed).expect("metadata");
        let time = format!(",\"time\":\"{}\"", rfc3339::print(event.time()));
        let id = format!(",\"id\":\"{}\"", event.id());
        printed
            .replace(&time, "")
            .replace(",\"epoch\":1", "")
            .replace(&id, "")
            .replace(r#""position":1,"stream":"s","version":1,"#, "")
    }

    fn check_same(text: &str) {
        assert_eq!(printed(text), text);
    }

    fn check_refused(text: &str, reason: &str) {
        let fault = Line::parse(text).expect_err(text);
        assert!(fault.contains(reason), "{text}: {fault}");
    }

    #[test]
    fn a_line_comes_back_as_it_was() {
        check_same(r#"{"type":"t","schema":1,"data":{}}"#);
        check_same(r#"{"type":"t","schema":7,"data":null}"#);
        check_same(r#"{"type":"t","schema":1,"occurred":"1969-12-31T23:59:59.000000001Z","data":"é\u00e9\ud83c 🎲"}"#);
        check_same(r#"{"type":"t","schema":1,"data":[1e400,-0.0,0.1000,123456789012345678901234567890,"\/"]}"#);
        check_same(r#"{"type":"t","schema":1,"data":{"a":1,"a":2," b ":{"c":[]}}}"#);
        check_same(r#"{"type":"t","schema":1,"data_base64":"","codec":"bytes"}"#);
        check_same(r#"{"type":"t","schema":1,"data_base64":"","codec":"json"}"#);
        check_same(r#"{"type":"t","schema":1,"data_base64":"AP+A","codec":"bincode"}"#);
        check_same(r#"{"type":"t","schema":1,"data_base64":"AP+A","codec":200}"#);
        check_same(r#"{"type":"t","schema":1,"data":1,"tags":["player:8812","guild:a:b","empty:"]}"#);
        check_same(
            r#"{"type":"t","schema":1,"data":1,"metadata":{"z":1.50,"correlation":"c","actor":"ä","a":{"n":[1E9]},"causation":""}}"#,
        );
    }

    #[test]
    fn white_space_between_tokens_goes_and_nothing_else() {
        let text = " { \"type\" : \"t\" , \"data\" : { \"a b\" : [ 1 ,\r 2.0 ] } , \"metadata\" : { \"k\" : [ \" \" , 1 ] } }\r";
        let expected = r#"{"type":"t","schema":1,"data":{"a b":[1,2.0]},"metadata":{"k":[" ",1]}}"#;
        assert_eq!(printed(text), expected);
    }

    #[test]
    fn what_is_only_nearly_json_is_printed_as_base64() {
        let base64 = |data: &str| BASE64.encode(data);
        for data in ["{ }", "1 ", "\n1", "{", "{}{}", "nul", "\u{feff}1", ""] {
            check_same(&format!(r#"{{"type":"t","schema":1,"data_base64":"{}","codec":"json"}}"#, base64(data)));
        }
        // JSON in a payload of another codec stays in it.
        check_same(&format!(r#"{{"type":"t","schema":1,"data_base64":"{}","codec":"bytes"}}"#, base64("1")));
        // Compact JSON said to be JSON needs no base64.
        let text = format!(r#"{{"type":"t","data_base64":"{}","codec":"json"}}"#, base64("[1]"));
        assert_eq!(printed(&text), r#"{"type":"t","schema":1,"data":[1]}"#);
    }

    #[test]
    fn what_a_line_claims_is_read() {
        let line = Line::parse(
            r#"{"position":7,"stream":"game-42","version":3,"id":"67e55044-10b1-426f-9247-bb680e5fe0c8","type":"t","schema":1,"time":"2016-01-19T00:21:19.000000001Z","epoch":5,"data":1}"#,
        );
        let line = line.expect("a line");
        assert_eq!(line.position, Some(Position::new(7)));
        assert_eq!(line.stream, Some(StreamName::new("game-42").expect("a name")));
        assert_eq!(line.version, Some(Version::new(3)));
        assert_eq!(line.id.expect("an id").to_string(), "67e55044-10b1-426f-9247-bb680e5fe0c8");
        assert_eq!(line.time, Some(Timestamp::from_nanos(1_453_162_879_000_000_001)));
        assert_eq!(line.epoch, Some(5));
        assert_eq!(line.event.event_type(), "t");
    }

    #[test]
    fn keys_that_are_unknown_or_stand_twice_are_refused_by_name() {
        check_refused(r#"{"type":"t","data":1,"colour":2}"#, "unknown key `colour`");
        check_refused("{\"type\":\"t\",\"data\":1,\"\\u001b[31m\":2}", r"unknown key `\u{1b}[31m`");
        check_refused(r#"{"type":"t","data":1,"type":"t"}"#, "key `type` stands twice");
        check_refused(r#"{"type":"t","data":1,"d\u0061ta":1}"#, "key `data` stands twice");
        check_refused(r#"{"type":"t","data":1,"metadata":{"k":1,"k":1}}"#, "`metadata`: key `k` stands twice");
        check_refused(r#"{"type":"t","data":1,"metadata":{"actor":"a","\u0061ctor":"a"}}"#, "key `actor` stands twice");
    }

    #[test]
    fn what_is_missing_or_does_not_go_together_is_named() {
        check_refused(r#"{"data":1}"#, "`type` is missing");
        check_refused(r#"{"type":"t"}"#, "`data` is missing");
        check_refused(r#"{"type":"t","codec":"json"}"#, "`data` is missing");
        check_refused(r#"{"type":"t","data_base64":"AA=="}"#, "`codec` is missing");
        check_refused(r#"{"type":"t","data":1,"data_base64":"AA==","codec":"json"}"#, "exclude each other");
        check_refused(r#"{"type":"t","data":1,"codec":"json"}"#, "`codec` stands beside `data_base64` only");
    }

    #[test]
    fn values_of_another_type_are_refused_with_their_key() {
        for (member, reason) in [
            (r#""position":-1"#, "`position`: invalid value"),
            (r#""position":1.0"#, "`position`: invalid type"),
            (r#""stream":null"#, "`stream`: invalid type"),
            (r#""stream":"a/b""#, "stream name `a/b` holds `/`"),
            (r#""version":18446744073709551616"#, "`version`: "),
            (r#""id":"x""#, "event id `x` is not a UUID"),
            (r#""schema":"1""#, "`schema`: invalid type"),
            (r#""time":"yesterday""#, "`time`: `yesterday` is not a time"),
            (r#""occurred":12"#, "`occurred`: invalid type"),
            (r#""tags":{"a":"b"}"#, "`tags`: invalid type"),
            (r#""tags":["a"]"#, "tag `a` has no `:`"),
            (r#""metadata":[]"#, "`metadata`: invalid type: sequence, expected a JSON object"),
            (r#""metadata":{"actor":8812}"#, "`metadata.actor`: invalid type"),
            (r#""metadata":{"correlation":null}"#, "`metadata.correlation`: invalid type"),
        ] {
            check_refused(&format!(r#"{{"type":"t","data":1,{member}}}"#), reason);
        }
        check_refused(r#"{"type":"t","data_base64":"A","codec":"json"}"#, "`data_base64`: ");
        check_refused(r#"{"type":"t","data_base64":"AA==","codec":256}"#, "`codec` is neither");
        check_refused(r#"{"type":"t","data_base64":"AA==","codec":"cbor"}"#, "`codec` is neither");
    }

    #[test]
    fn what_is_not_one_json_object_is_refused() {
        check_refused("[]", "expected a JSON object");
        check_refused("1", "expected a JSON object");
        check_refused(r#"{"type":"t","data":1"#, "at column 20");
        check_refused(r#"{"type":"t","data":1}{}"#, "trailing characters");
        check_refused(r#"{"type":"t","data":01}"#, "at column");
        check_refused(r#"{"type":"t","data":NaN}"#, "at column");
        check_refused("{\"type\":\"t\",\"data\":\"\u{1}\"}", "control character");
        check_refused(&"[".repeat(1_000_000), "expected a JSON object");
    }

    #[test]
    fn deep_payloads_do_not_exhaust_the_stack() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        check_same(&format!(r#"{{"type":"t","schema":1,"data":{deep}}}"#));
    }
}
