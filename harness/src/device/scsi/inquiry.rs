//! Who the disk says it is: INQUIRY (SPC-4, 6.6) and its vital product data (SPC-4, 7.8; SBC-3, 6.6).

use super::MOST_BLOCKS;

/// T10 vendor identification and product identification, padded as they are sent.
const VENDOR: &[u8; 8] = b"CRASHDRL";
const PRODUCT: &[u8; 16] = b"SAS DISK        ";
const REVISION: &[u8; 4] = b"0001";

/// Standard data: a direct-access block device by SPC-4, with queues.
pub(super) fn standard() -> Vec<u8> {
    let mut answer = vec![0; 96];
    answer[2] = 0x06;
    answer[3] = 0x02;
    answer[4] = 96 - 5;
    answer[7] = 0x02;
    answer[8..16].copy_from_slice(VENDOR);
    answer[16..32].copy_from_slice(PRODUCT);
    answer[32..36].copy_from_slice(REVISION);
    // SAM-5, SPL, SPC-4, SBC-3.
    for (nth, version) in [0x00a0u16, 0x20a0, 0x0460, 0x04c0].into_iter().enumerate() {
        answer[58 + 2 * nth..60 + 2 * nth].copy_from_slice(&version.to_be_bytes());
    }
    answer
}

/// Nothing is, or can be, attached as this unit.
pub(super) fn no_unit() -> Vec<u8> {
    let mut answer = standard();
    answer[0] = 0x7f;
    answer
}

/// A page of vital product data.
pub(super) fn page(code: u8, name: u64) -> Option<Vec<u8>> {
    let body = match code {
        0x00 => vec![0x00, 0x80, 0x83, 0xb0, 0xb1],
        0x80 => serial(name),
        0x83 => identification(name),
        0xb0 => limits(),
        0xb1 => characteristics(),
        _ => return None,
    };
    let mut page = vec![0, code];
    page.extend((body.len() as u16).to_be_bytes());
    page.extend(body);
    Some(page)
}

fn serial(name: u64) -> Vec<u8> {
    format!("{name:016X}").into_bytes()
}

/// The name of the logical unit, of the port, and of the device (SPL: a SAS disk's names are NAA
/// names, of which the unit's is the device's and the port's counts on).
fn identification(name: u64) -> Vec<u8> {
    // Code set binary; designator type NAA; association with the unit, the port, the device. The
    // latter two name the protocol, SAS.
    let mut body = vec![0x01, 0x03, 0, 8];
    body.extend(name.to_be_bytes());
    body.extend([0x61, 0x93, 0, 8]);
    body.extend(port(name).to_be_bytes());
    body.extend([0x61, 0xa3, 0, 8]);
    body.extend(name.to_be_bytes());
    body
}

/// The SAS address of the disk's port.
pub(in crate::device) fn port(name: u64) -> u64 {
    name | 1
}

/// Block limits. What a command may move is said in blocks.
fn limits() -> Vec<u8> {
    let mut body = vec![0; 60];
    // WSNZ: WRITE SAME fills a stated number of blocks.
    body[0] = 0x01;
    // Optimal granularity, maximum and optimal transfer length.
    body[2..4].copy_from_slice(&8u16.to_be_bytes());
    body[4..8].copy_from_slice(&MOST_BLOCKS.to_be_bytes());
    // Maximum WRITE SAME length.
    body[32..40].copy_from_slice(&u64::from(MOST_BLOCKS).to_be_bytes());
    body
}

/// Block device characteristics: 10 000 turns a minute, 2.5 inches.
fn characteristics() -> Vec<u8> {
    let mut body = vec![0; 60];
    body[0..2].copy_from_slice(&10_000u16.to_be_bytes());
    body[3] = 0x03;
    body
}
