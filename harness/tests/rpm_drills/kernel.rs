//! A kernel that starts as one of 3.10 does.

use std::io::Write;

use crashdrill::image::kernel::{BzImage, decompress};
use liblzma::stream::{Check, Filters, LzmaOptions, Stream};
use liblzma::write::XzEncoder;

/// Name and type of the note `XEN_ELFNOTE_PHYS32_ENTRY`, behind the two sizes.
const PVH: &[u8] = b"\x12\0\0\0Xen\0";

/// The same bzImage, whose kernel has no PVH note. Linux before 4.21 has none: firmware has to start
/// the bzImage, and kexec loads it as it is, so both kernels decompress themselves.
///
/// The decompressor in a bzImage was linked with the length of what it decompresses, so the new
/// payload must fit into the place of the old one. It stops where the xz stream ends.
pub(crate) fn without_pvh(bzimage: &[u8]) -> Vec<u8> {
    let payload = BzImage::parse(bzimage).unwrap().payload;
    let mut plain = decompress(payload).unwrap();
    let found: Vec<usize> = memchr::memmem::find_iter(&plain, PVH).collect();
    let [note] = found[..] else {
        panic!("a kernel of Debian 12 has one PVH note, not {found:?}");
    };
    plain[note] = 0;

    // As scripts/xz_wrap.sh does, but with a little more effort: the old payload was made without
    // a byte to spare.
    let mut options = LzmaOptions::new_preset(6).unwrap();
    options.dict_size(32 << 20).nice_len(128);
    let mut filters = Filters::new();
    filters.x86().lzma2(&options);
    let stream = Stream::new_stream_encoder(&filters, Check::Crc32).unwrap();
    let mut encoder = XzEncoder::new_stream(Vec::new(), stream);
    encoder.write_all(&plain).unwrap();
    let packed = encoder.finish().unwrap();

    // The last four bytes are the size of what was compressed.
    let room = payload.len() - 4;
    assert!(packed.len() <= room, "{} do not fit {room}", packed.len());
    let start = payload.as_ptr().addr() - bzimage.as_ptr().addr();
    let mut changed = bzimage.to_vec();
    changed[start..start + room].fill(0);
    changed[start..start + packed.len()].copy_from_slice(&packed);
    changed
}
