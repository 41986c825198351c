//! A bzImage whose kernel is not compressed, for kexec.
//!
//! Decompressing the stock bzImage after the crash costs seconds under emulation. kexec loads an
//! ELF kernel as well, but then keeps the initramfs below 896 MiB (`initrd_addr_max` of its own
//! header), where the reserved memory of a large machine is not. A bzImage says for itself where
//! things may lie, and kexec treats this one as it treats the stock one. Where a bzImage has its
//! decompressor, this has a jump: the x86-64 kernel runs at any multiple of 2 MiB in physical
//! memory (arch/x86/kernel/head_64.S, `startup_64`), at its own virtual addresses, without KASLR.
//!
//! Layout: two sectors of header, then what is loaded: the 64-bit entry at 0x200 and, 2 MiB further
//! so that it keeps its alignment, the kernel's segments as they lie in memory.

use object::LittleEndian;
use object::elf;
use object::read::elf::ProgramHeader;

use super::vmlinux::{Vmlinux, VmlinuxError};

/// PMD_SIZE: what the kernel's physical address is a multiple of.
const ALIGNMENT: u64 = 2 << 20;
/// No distribution's kernel comes near; a damaged header may.
const LARGEST: u64 = 1 << 30;
const SECTOR: usize = 512;
const SETUP_SECTORS: usize = 1;
/// The 64-bit entry (Documentation/arch/x86/boot.rst, "64-bit Boot Protocol").
const ENTRY: usize = 0x200;

/// Builds it.
///
/// # Errors
/// A kernel whose segments or entry do not fit the scheme.
pub(super) fn bzimage(vmlinux: &Vmlinux<'_>, release: &str) -> Result<Vec<u8>, VmlinuxError> {
    let loaded = || {
        vmlinux
            .segments()
            .iter()
            .filter(|segment| segment.p_type(LittleEndian) == elf::PT_LOAD)
    };
    let address = |segment: &elf::ProgramHeader64<_>| segment.p_paddr(LittleEndian);
    let base = loaded().map(address).min().ok_or(VmlinuxError::Segments)?;
    let end = loaded()
        .map(|segment| address(segment).checked_add(segment.p_memsz(LittleEndian)))
        .try_fold(base, |end, this| this.map(|this| end.max(this)))
        .filter(|end| end - base <= LARGEST)
        .ok_or(VmlinuxError::Segments)?;
    let start = vmlinux
        .entry()
        .checked_sub(base)
        .filter(|start| base % ALIGNMENT == 0 && *start < end - base)
        .ok_or(VmlinuxError::Segments)?;

    let header_size = (1 + SETUP_SECTORS) * SECTOR;
    let mut image = header(release, base, ALIGNMENT + (end - base))?;
    let entry = header_size + ENTRY;
    image.resize(entry, 0);
    // lea rax, [rip + distance]; jmp rax. The distance counts from the end of the `lea`.
    let lea = 7;
    let distance = u32::try_from(ALIGNMENT + start - (ENTRY as u64 + lea))
        .map_err(|_| VmlinuxError::Segments)?;
    image.extend_from_slice(&[0x48, 0x8d, 0x05]);
    image.extend_from_slice(&distance.to_le_bytes());
    image.extend_from_slice(&[0xff, 0xe0]);

    let kernel = header_size + ALIGNMENT as usize;
    for segment in loaded() {
        let data = segment
            .data(LittleEndian, vmlinux.file())
            .map_err(|()| VmlinuxError::Segments)?;
        let data = super::vmlinux::without_trailing_zeros(data);
        // Both are below LARGEST.
        let at = kernel + (address(segment) - base) as usize;
        let needed = image.len().max(at + data.len());
        image.resize(needed, 0);
        image[at..at + data.len()].copy_from_slice(data);
    }
    Ok(image)
}

/// The setup header, Documentation/arch/x86/boot.rst. `size`: memory from the place where it is
/// loaded to the end of the kernel's own, which the loader keeps free.
fn header(release: &str, base: u64, size: u64) -> Result<Vec<u8>, VmlinuxError> {
    const VERSION_STRING: usize = SECTOR + 0x100;
    let mut header = vec![0; (1 + SETUP_SECTORS) * SECTOR];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0x1f1, &[SETUP_SECTORS as u8]);
    put(0x1fe, &[0x55, 0xaa]);
    // A jump over the header, as long as the header is (0x26c).
    put(0x200, &[0xeb, 0x6a]);
    put(0x202, b"HdrS");
    put(0x206, &0x020f_u16.to_le_bytes());
    put(0x20e, &((VERSION_STRING - SECTOR) as u16).to_le_bytes());
    // LOADED_HIGH
    put(0x211, &[1]);
    put(0x214, &0x10_0000_u32.to_le_bytes());
    // initrd_addr_max
    put(0x22c, &0x7fff_ffff_u32.to_le_bytes());
    put(0x230, &(ALIGNMENT as u32).to_le_bytes());
    // relocatable_kernel, min_alignment, xloadflags: XLF_KERNEL_64 | XLF_CAN_BE_LOADED_ABOVE_4G
    put(0x234, &[1, ALIGNMENT.trailing_zeros() as u8, 3, 0]);
    put(0x238, &2047_u32.to_le_bytes());
    put(0x258, &base.to_le_bytes());
    put(
        0x260,
        &u32::try_from(size)
            .map_err(|_| VmlinuxError::Segments)?
            .to_le_bytes(),
    );
    let room = header.len() - VERSION_STRING - 1;
    let release = &release.as_bytes()[..release.len().min(room)];
    header[VERSION_STRING..VERSION_STRING + release.len()].copy_from_slice(release);
    Ok(header)
}
