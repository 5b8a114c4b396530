//! The wire format itself, for those who keep messages as bytes: encoding, decoding, and the numbers that it is made of.

use bytes::{Buf, BufMut, Bytes};
use prost::Message;

/// Longest encoding of a number, in bytes.
pub const VARINT_BYTES_MAX: usize = 10;

/// Bytes that are not the message that they should be.
#[derive(Debug, thiserror::Error)]
#[error("not the message that it should be")]
pub struct DecodeError(#[source] prost::DecodeError);

/// Length of a message when encoded.
#[must_use]
pub fn encoded_len(message: &impl Message) -> usize {
    message.encoded_len()
}

/// Appends a message, without its length.
pub fn encode(message: &impl Message, out: &mut Vec<u8>) {
    message.encode_raw(out);
}

/// Reads a message. Its byte fields share the bytes given.
///
/// # Errors
/// When the bytes are no such message.
pub fn decode<M: Message + Default>(bytes: Bytes) -> Result<M, DecodeError> {
    M::decode(bytes).map_err(DecodeError)
}

/// Appends a number.
pub fn put_varint(number: u64, out: &mut impl BufMut) {
    prost::encoding::encode_varint(number, out);
}

/// Takes a number from the front.
///
/// # Errors
/// When there is none.
pub fn take_varint(bytes: &mut impl Buf) -> Result<u64, DecodeError> {
    prost::encoding::decode_varint(bytes).map_err(DecodeError)
}
