//! Reads the values in the server's replies.

use pynenc_core::{InvocationId, Result, Timestamp};
use redis::Value;

use crate::codec::Parse;
use crate::error::unexpected_reply;

pub(crate) fn list(value: Value) -> Result<Vec<Value>> {
    match value {
        Value::Array(values) => Ok(values),
        _ => Err(unexpected_reply("a list")),
    }
}

pub(crate) fn bytes(value: Value) -> Result<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        Value::SimpleString(text) => Ok(text.into_bytes()),
        _ => Err(unexpected_reply("bytes")),
    }
}

pub(crate) fn optional(value: Value) -> Result<Option<Vec<u8>>> {
    if value == Value::Nil { Ok(None) } else { bytes(value).map(Some) }
}

pub(crate) fn number(value: &Value) -> Result<u64> {
    match value {
        Value::Int(number) => Ok(u64::try_from(*number).unwrap_or_default()),
        _ => Err(unexpected_reply("a number")),
    }
}

/// Whether a script reports success.
pub(crate) fn is_one(value: &Value) -> bool {
    *value == Value::Int(1)
}

pub(crate) fn id(value: Value) -> Result<InvocationId> {
    Parse::new(&bytes(value)?).id()
}

pub(crate) fn ids(values: impl IntoIterator<Item = Value>) -> Result<Vec<InvocationId>> {
    values.into_iter().map(id).collect()
}

/// Reads a reply that begins with the server's time.
pub(crate) fn values_of(reply: Value) -> Result<(Timestamp, std::vec::IntoIter<Value>)> {
    let mut values = list(reply)?.into_iter();
    let time = number(&values.next().unwrap_or(Value::Nil))?;
    Ok((Timestamp::from_millis(time), values))
}
