//! Taking the fields of a body one after the other.

use super::Fault;

pub(super) fn take_text(rest: &mut &[u8], len: usize) -> Result<String, Fault> {
    let (text, behind) = rest.split_at_checked(len).ok_or(Fault::Senseless)?;
    *rest = behind;
    std::str::from_utf8(text).map(str::to_owned).map_err(|_| Fault::Senseless)
}

pub(super) fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Fault> {
    let (value, behind) = rest.split_first_chunk::<N>().ok_or(Fault::Senseless)?;
    *rest = behind;
    Ok(*value)
}

pub(super) fn take_u64(rest: &mut &[u8]) -> Result<u64, Fault> {
    take(rest).map(u64::from_le_bytes)
}

pub(super) fn take_i64(rest: &mut &[u8]) -> Result<i64, Fault> {
    take(rest).map(i64::from_le_bytes)
}

pub(super) fn take_u32(rest: &mut &[u8]) -> Result<u32, Fault> {
    take(rest).map(u32::from_le_bytes)
}
