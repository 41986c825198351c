//! ELF files for tests, field by field.

/// e_ident of a 64-bit file.
pub(in super::super) const IDENT: [u8; 16] = *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0";

/// Fields of two bytes, and of four whose upper half is zero.
pub(in super::super) fn halves(values: &[u16]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// Fields of eight bytes.
pub(in super::super) fn longs(values: &[u64]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}
