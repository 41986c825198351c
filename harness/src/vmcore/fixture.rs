//! A small dead machine, written as a dump: page tables, a kernel log of either kind, VMCOREINFO.
//!
//! Written apart from the readers, from the formats' descriptions.

use std::collections::BTreeMap;
use std::io::Write;

const PAGE: usize = 4096;
const KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;
const DIRECT_MAP: u64 = 0xffff_8880_0000_0000;
/// The kernel's text and data begin here; KASLR may have put them anywhere.
pub(crate) const PHYS_BASE: u64 = 0x20_0000;
/// Physical; the symbols' page.
const DATA: u64 = PHYS_BASE + 0x3000;
/// Physical; what the symbols point to.
const LOG: u64 = 0x60_0000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogKind {
    /// 5.10 and later.
    Ring,
    /// 3.11 to 5.9.
    PrintkLog,
    /// 3.5 to 3.10.
    Log,
}

/// Size of the pages that map the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mapping {
    Small,
    Large,
    Huge,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    Plain = 0,
    Zlib = 1,
    Lzo = 2,
    Snappy = 4,
    Zstd = 0x20,
}

#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) pages: BTreeMap<u64, Box<[u8; PAGE]>>,
    pub(crate) info: String,
    levels: u32,
    next_table: u64,
}

/// What the fixture's log reads like in dmesg.
pub(crate) const TOKEN: &str = "drill-5f3a";

pub(crate) fn messages() -> Vec<(u64, String)> {
    let mut messages = vec![
        (0, "Linux version 6.1.0-test (fixture)".to_owned()),
        (
            0,
            format!("Command line: console=ttyS0 crashdrill.token={TOKEN}"),
        ),
        (1_500_000, "first line\nsecond line".to_owned()),
        (2_000_000_000, "tab\there, escape \x1b[0m".to_owned()),
    ];
    messages.extend((0..20).map(|n| {
        (
            2_100_000_000 + n,
            format!("line {n} {}", "x".repeat(n as usize)),
        )
    }));
    messages.push((123_456_789_000, "sysrq: Trigger a crash".to_owned()));
    messages.push((
        123_456_790_999,
        "Kernel panic - not syncing: sysrq triggered crash".to_owned(),
    ));
    messages
}

pub(crate) fn dmesg() -> String {
    messages()
        .iter()
        .map(|(time, text)| {
            let stamp = format!(
                "[{:5}.{:06}] ",
                time / 1_000_000_000,
                time % 1_000_000_000 / 1000
            );
            let text = text
                .replace('\n', &format!("\n{}", " ".repeat(stamp.len())))
                .replace('\x1b', "\\x1b");
            format!("{stamp}{text}\n")
        })
        .collect()
}

impl Machine {
    pub(crate) fn new(log: LogKind, mapping: Mapping, levels: u32) -> Self {
        let root = PHYS_BASE + 0x1000;
        let mut machine = Self {
            pages: BTreeMap::new(),
            info: format!(
                "OSRELEASE=6.1.0-test\nPAGESIZE=4096\nNUMBER(phys_base)={PHYS_BASE}\n\
                 SYMBOL(init_top_pgt)={:x}\nNUMBER(pgtable_l5_enabled)={}\nCRASHTIME=1795341130\n",
                KERNEL_MAP + root - PHYS_BASE,
                levels - 4,
            ),
            levels,
            next_table: 0x10_0000,
        };
        machine.page(root);
        machine.page(0x7000).fill(0xa5);
        machine.page(0x8000);
        machine.map(KERNEL_MAP, PHYS_BASE, 2);
        match mapping {
            Mapping::Huge => machine.map(DIRECT_MAP, 0, 3),
            Mapping::Large => {
                machine.map(DIRECT_MAP + LOG, LOG, 2);
            }
            Mapping::Small => {
                for page in 0..16 {
                    let at = LOG + page * PAGE as u64;
                    machine.map(DIRECT_MAP + at, at, 1);
                }
            }
        }
        match log {
            LogKind::Ring => machine.ring(),
            LogKind::PrintkLog => machine.records("printk_log"),
            LogKind::Log => machine.records("log"),
        }
        machine
    }

    fn page(&mut self, address: u64) -> &mut [u8; PAGE] {
        self.pages
            .entry(address / PAGE as u64)
            .or_insert_with(|| Box::new([0; PAGE]))
    }

    pub(crate) fn put(&mut self, address: u64, bytes: &[u8]) {
        for (i, byte) in bytes.iter().enumerate() {
            let at = address + i as u64;
            self.page(at)[at as usize % PAGE] = *byte;
        }
    }

    fn get(&mut self, address: u64) -> u64 {
        let at = address as usize % PAGE;
        u64::from_le_bytes(self.page(address)[at..at + 8].try_into().unwrap())
    }

    fn map(&mut self, virt: u64, phys: u64, level: u32) {
        let mut table = PHYS_BASE + 0x1000;
        for at in (level..=self.levels).rev() {
            let slot = table + ((virt >> (12 + 9 * (at - 1))) & 511) * 8;
            if at == level {
                let large = if level > 1 { 0x80 } else { 0 };
                // No-execute and a few flags, which are no part of the address.
                self.put(slot, &(phys | large | 0x8000_0000_0000_0063).to_le_bytes());
                return;
            }
            if self.get(slot) == 0 {
                self.put(slot, &(self.next_table | 0x63).to_le_bytes());
                self.page(self.next_table);
                self.next_table += PAGE as u64;
            }
            table = self.get(slot) & 0x000f_ffff_ffff_f000;
        }
    }

    fn symbol(&mut self, name: &str, at: u64) {
        let address = KERNEL_MAP + at - PHYS_BASE;
        self.info += &format!("SYMBOL({name})={address:x}\n");
    }

    /// Records in a buffer that wraps around.
    fn records(&mut self, name: &str) {
        self.info += &format!(
            "SIZE({name})=16\nOFFSET({name}.ts_nsec)=0\nOFFSET({name}.len)=8\n\
             OFFSET({name}.text_len)=10\nOFFSET({name}.dict_len)=12\n"
        );
        let len = 2048u32;
        let first = 1200u32;
        let mut at = first;
        for (time, text) in messages() {
            let text = text.as_bytes();
            let size = (16 + text.len() as u32).next_multiple_of(8);
            if at + size + 16 > len {
                self.put(LOG + u64::from(at), &[0; 16]);
                at = 0;
            }
            let mut record = time.to_le_bytes().to_vec();
            record.extend((size as u16).to_le_bytes());
            record.extend((text.len() as u16).to_le_bytes());
            record.extend([0; 4]);
            record.extend(text);
            self.put(LOG + u64::from(at), &record);
            at += size;
        }
        assert!(at < first, "the records must not overtake themselves");
        self.put(DATA, &(DIRECT_MAP + LOG).to_le_bytes());
        self.put(DATA + 8, &len.to_le_bytes());
        self.put(DATA + 12, &first.to_le_bytes());
        self.put(DATA + 16, &at.to_le_bytes());
        for (name, offset) in [
            ("log_buf", 0),
            ("log_buf_len", 8),
            ("log_first_idx", 12),
            ("log_next_idx", 16),
        ] {
            self.symbol(name, DATA + offset);
        }
    }

    /// struct printk_ringbuffer of 6.1, both rings wrapping around.
    fn ring(&mut self) {
        self.info += "SIZE(printk_ringbuffer)=80\nOFFSET(printk_ringbuffer.desc_ring)=0\n\
             OFFSET(printk_ringbuffer.text_data_ring)=40\nOFFSET(printk_ringbuffer.fail)=72\n\
             SIZE(prb_desc_ring)=40\nOFFSET(prb_desc_ring.count_bits)=0\n\
             OFFSET(prb_desc_ring.descs)=8\nOFFSET(prb_desc_ring.infos)=16\n\
             OFFSET(prb_desc_ring.head_id)=24\nOFFSET(prb_desc_ring.tail_id)=32\n\
             SIZE(prb_desc)=24\nOFFSET(prb_desc.state_var)=0\nOFFSET(prb_desc.text_blk_lpos)=8\n\
             SIZE(prb_data_blk_lpos)=16\nOFFSET(prb_data_blk_lpos.begin)=0\n\
             OFFSET(prb_data_blk_lpos.next)=8\nSIZE(printk_info)=88\n\
             OFFSET(printk_info.seq)=0\nOFFSET(printk_info.ts_nsec)=8\n\
             OFFSET(printk_info.text_len)=16\nSIZE(prb_data_ring)=32\n\
             OFFSET(prb_data_ring.size_bits)=0\nOFFSET(prb_data_ring.data)=8\n\
             SIZE(atomic_long_t)=8\nOFFSET(atomic_long_t.counter)=0\n";
        let (desc_bits, data_bits) = (5, 11);
        let (ring, descs, infos, data) = (LOG, LOG + 0x1000, LOG + 0x2000, LOG + 0x4000);
        let data_len = 1u64 << data_bits;
        // Ids and positions begin where the kernel's do: just before they wrap.
        let tail = 0u64.wrapping_sub(1 << desc_bits) & (u64::MAX >> 2);
        let tail = tail + 20;
        let mut id = tail;
        let mut position = 0u64.wrapping_sub(data_len) + 1000;
        for (index, (time, text)) in messages().into_iter().enumerate() {
            // A record that was reserved and never written, and one that lost its text.
            if index == 3 || index == 7 {
                let (state, begin, next) = if index == 3 { (0, 0, 0) } else { (2, 1, 1) };
                self.descriptor(descs, id % (1 << desc_bits), id | state << 62, begin, next);
                id = (id + 1) & (u64::MAX >> 2);
            }
            let size = (8 + text.len() as u64).next_multiple_of(8);
            let begin = position;
            let plain = begin.wrapping_add(size);
            let (at, next) = if begin >> data_bits == plain >> data_bits {
                (begin % data_len, plain)
            } else {
                (0, (plain & !(data_len - 1)).wrapping_add(size))
            };
            position = next;
            self.put(data + at, &id.to_le_bytes());
            self.put(data + at + 8, text.as_bytes());
            let slot = id % (1 << desc_bits);
            let state = if index % 2 == 0 { 2 } else { 1 };
            self.descriptor(descs, slot, id | state << 62, begin, next);
            let info = infos + slot * 88;
            self.put(info, &(index as u64).to_le_bytes());
            self.put(info + 8, &time.to_le_bytes());
            self.put(info + 16, &(text.len() as u16).to_le_bytes());
            id = (id + 1) & (u64::MAX >> 2);
        }
        let head = id.wrapping_sub(1) & (u64::MAX >> 2);
        self.put(ring, &u32::to_le_bytes(desc_bits));
        self.put(ring + 8, &(DIRECT_MAP + descs).to_le_bytes());
        self.put(ring + 16, &(DIRECT_MAP + infos).to_le_bytes());
        self.put(ring + 24, &head.to_le_bytes());
        self.put(ring + 32, &tail.to_le_bytes());
        self.put(ring + 40, &u32::to_le_bytes(data_bits));
        self.put(ring + 48, &(DIRECT_MAP + data).to_le_bytes());
        self.put(DATA, &(DIRECT_MAP + ring).to_le_bytes());
        self.symbol("prb", DATA);
    }

    fn descriptor(&mut self, descs: u64, slot: u64, state: u64, begin: u64, next: u64) {
        let at = descs + slot * 24;
        self.put(at, &state.to_le_bytes());
        self.put(at + 8, &begin.to_le_bytes());
        self.put(at + 16, &next.to_le_bytes());
    }

    /// As a copy of /proc/vmcore: a note, then one segment a run of pages.
    pub(crate) fn elf(&self) -> Vec<u8> {
        let mut runs: Vec<(u64, Vec<u8>)> = Vec::new();
        for (pfn, page) in &self.pages {
            match runs.last_mut() {
                Some((start, bytes)) if *start + (bytes.len() / PAGE) as u64 == *pfn => {
                    bytes.extend_from_slice(&page[..]);
                }
                _ => runs.push((*pfn, page.to_vec())),
            }
        }
        let mut note = Vec::new();
        for (name, text) in [("CORE", "registers"), ("VMCOREINFO", self.info.as_str())] {
            note.extend((name.len() as u32 + 1).to_le_bytes());
            note.extend((text.len() as u32).to_le_bytes());
            note.extend(1u32.to_le_bytes());
            for part in [format!("{name}\0"), text.to_owned()] {
                note.extend(part.as_bytes());
                note.resize(note.len().next_multiple_of(4), 0);
            }
        }
        let count = runs.len() + 1;
        let mut offset = 64 + 56 * count as u64;
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(16, 0);
        file.extend(4u16.to_le_bytes());
        file.extend(62u16.to_le_bytes());
        file.extend(1u32.to_le_bytes());
        for word in [0u64, 64, 0] {
            file.extend(word.to_le_bytes());
        }
        file.extend(0u32.to_le_bytes());
        for half in [64u16, 56, count as u16, 0, 0, 0] {
            file.extend(half.to_le_bytes());
        }
        let mut segment = |kind: u32, virt: u64, phys: u64, len: u64| {
            file.extend(kind.to_le_bytes());
            file.extend(7u32.to_le_bytes());
            for word in [offset, virt, phys, len, len, 0] {
                file.extend(word.to_le_bytes());
            }
            offset += len;
        };
        segment(4, 0, 0, note.len() as u64);
        for (pfn, bytes) in &runs {
            let phys = pfn * PAGE as u64;
            segment(1, DIRECT_MAP + phys, phys, bytes.len() as u64);
        }
        file.extend(note);
        for (_, bytes) in runs {
            file.extend(bytes);
        }
        file
    }

    /// As makedumpfile writes it. Pages of zeros are not in the second bitmap with `level` 1; they
    /// share the first page of the data with other odd levels, as makedumpfile 1.7 writes them; else they
    /// share the data of the first of them.
    pub(crate) fn kdump(&self, version: u32, codec: Codec, level: u32) -> Vec<u8> {
        let frames = self.pages.keys().last().unwrap() + 1;
        let bitmap_len = (frames.div_ceil(8) as usize).next_multiple_of(PAGE);
        let mut header = vec![0; 3 * PAGE];
        header[..8].copy_from_slice(b"KDUMP   ");
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(8, &version.to_le_bytes());
        put(12, b"Linux");
        put(142, b"6.1.0-test");
        put(272, b"x86_64");
        put(424, &(codec as u32).to_le_bytes());
        put(428, &(PAGE as u32).to_le_bytes());
        put(432, &2u32.to_le_bytes());
        put(436, &((2 * bitmap_len / PAGE) as u32).to_le_bytes());
        let small = if version >= 6 { 0 } else { frames as u32 };
        put(440, &small.to_le_bytes());
        put(PAGE, &PHYS_BASE.to_le_bytes());
        put(PAGE + 8, &level.to_le_bytes());
        if version >= 3 {
            put(PAGE + 32, &(2 * PAGE as u64).to_le_bytes());
            put(PAGE + 40, &(self.info.len() as u64).to_le_bytes());
            put(2 * PAGE, self.info.as_bytes());
        }
        if version >= 6 {
            put(PAGE + 96, &frames.to_le_bytes());
        }
        let mut bitmaps = vec![0; 2 * bitmap_len];
        let mut dumped = Vec::new();
        for (&pfn, page) in &self.pages {
            let (byte, bit) = (pfn as usize / 8, 1 << (pfn % 8));
            bitmaps[byte] |= bit;
            let zero = page.iter().all(|&byte| byte == 0);
            if !(zero && level == 1) {
                bitmaps[bitmap_len + byte] |= bit;
                dumped.push((page, zero));
            }
        }
        let data_at = header.len() + bitmaps.len() + dumped.len() * 24;
        let mut descriptors = Vec::new();
        let mut data = Vec::new();
        let mut shared = None;
        if level & 1 != 0 && level != 1 {
            shared = Some((data_at as u64, PAGE as u32, 0));
            data.resize(PAGE, 0);
        }
        for (page, zero) in dumped {
            let (offset, size, flags) = match shared.filter(|_| zero) {
                Some(earlier) => earlier,
                None => {
                    let packed = pack(codec, &page[..]);
                    let (bytes, flags) = match packed.len() < PAGE {
                        true => (packed, codec as u32),
                        false => (page.to_vec(), 0),
                    };
                    let place = ((data_at + data.len()) as u64, bytes.len() as u32, flags);
                    data.extend(bytes);
                    if zero {
                        shared = Some(place);
                    }
                    place
                }
            };
            descriptors.extend(offset.to_le_bytes());
            descriptors.extend(size.to_le_bytes());
            descriptors.extend(flags.to_le_bytes());
            descriptors.extend(0u64.to_le_bytes());
        }
        [header, bitmaps, descriptors, data].concat()
    }
}

/// As `makedumpfile -F` writes a dump: records of at most `piece` bytes, out of order, without the
/// zeros between them, and the first once more at the end, over what was a placeholder.
pub(crate) fn flatten(dump: &[u8], piece: usize) -> Vec<u8> {
    let mut file = b"makedumpfile".to_vec();
    file.resize(16, 0);
    file.extend(1i64.to_be_bytes());
    file.extend(1i64.to_be_bytes());
    file.resize(4096, 0);
    let mut record = |offset: usize, bytes: &[u8]| {
        file.extend((offset as i64).to_be_bytes());
        file.extend((bytes.len() as i64).to_be_bytes());
        file.extend(bytes);
    };
    let pieces: Vec<_> = dump.chunks(piece).enumerate().collect();
    record(0, &vec![0xee; pieces[0].1.len()]);
    // The end of the dump must be there, even if it is zeros.
    let last = pieces.len() - 1;
    for (index, bytes) in pieces.iter().rev() {
        if *index == last || (*index > 0 && bytes.iter().any(|&byte| byte != 0)) {
            record(index * piece, bytes);
        }
    }
    record(0, pieces[0].1);
    file.extend([0xff; 16]);
    file
}

fn pack(codec: Codec, page: &[u8]) -> Vec<u8> {
    match codec {
        Codec::Plain => page.to_vec(),
        Codec::Zlib => {
            let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            zlib.write_all(page).unwrap();
            zlib.finish().unwrap()
        }
        Codec::Lzo => lzokay_native::compress(page).unwrap(),
        Codec::Snappy => snap::raw::Encoder::new().compress_vec(page).unwrap(),
        Codec::Zstd => {
            ruzstd::encoding::compress_to_vec(page, ruzstd::encoding::CompressionLevel::Fastest)
        }
    }
}
