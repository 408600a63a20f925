//! Snapshots as lines of an export.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use scorebook::{Codec, ExactSnapshot, Position, SnapshotSource, StreamName, Timestamp, Version};
use serde::{Deserialize, Serialize};

/// A line as it is written. The first key tells what it is.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    snapshot: Kind,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<String>,
    schema: u32,
    shape: u64,
    codec: StateCodec,
    position: u64,
    version: u64,
    last_position: u64,
    last_nanos: i64,
    last_hash: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    carried: Option<u64>,
    folded_bytes: u64,
    nanos: i64,
    state_base64: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Projection,
    Aggregate,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StateCodec {
    Json,
    Bincode,
}

/// A snapshot as a line, without its end.
pub(crate) fn written(snapshot: &ExactSnapshot) -> String {
    let (kind, stream) = match &snapshot.source {
        SnapshotSource::Projection { .. } => (Kind::Projection, None),
        SnapshotSource::Aggregate { stream, .. } => (Kind::Aggregate, Some(stream.as_str().to_owned())),
    };
    let written = Written {
        snapshot: kind,
        name: snapshot.source.name().to_owned(),
        stream,
        schema: snapshot.schema,
        shape: snapshot.shape,
        codec: if snapshot.codec == Codec::Bincode { StateCodec::Bincode } else { StateCodec::Json },
        position: snapshot.position.get(),
        version: snapshot.version.get(),
        last_position: snapshot.last_position.get(),
        last_nanos: snapshot.last_time.nanos(),
        last_hash: snapshot.last_hash,
        carried: Some(snapshot.carried).filter(|carried| *carried != 0),
        folded_bytes: snapshot.folded_bytes,
        nanos: snapshot.time.nanos(),
        state_base64: BASE64.encode(&snapshot.state),
    };
    serde_json::to_string(&written).expect("numbers and texts can be JSON")
}

/// What a line says.
pub(crate) fn parse(text: &str) -> Result<ExactSnapshot, String> {
    let written: Written = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let source = match (written.snapshot, written.stream) {
        (Kind::Projection, None) => SnapshotSource::Projection { name: written.name },
        (Kind::Aggregate, Some(stream)) => {
            let stream = StreamName::new(stream).map_err(|error| error.to_string())?;
            SnapshotSource::Aggregate { name: written.name, stream }
        }
        (Kind::Projection, Some(_)) => return Err("`stream` is not of a projection".to_owned()),
        (Kind::Aggregate, None) => return Err("`stream` is missing".to_owned()),
    };
    Ok(ExactSnapshot {
        source,
        schema: written.schema,
        shape: written.shape,
        codec: match written.codec {
            StateCodec::Json => Codec::Json,
            StateCodec::Bincode => Codec::Bincode,
        },
        position: Position::new(written.position),
        version: Version::new(written.version),
        last_position: Position::new(written.last_position),
        last_time: Timestamp::from_nanos(written.last_nanos),
        last_hash: written.last_hash,
        carried: written.carried.unwrap_or(0),
        folded_bytes: written.folded_bytes,
        time: Timestamp::from_nanos(written.nanos),
        state: BASE64.decode(written.state_base64).map_err(|error| format!("`state_base64`: {error}"))?,
    })
}
