//! The kernel log of 3.5 to 5.9: records of varying length in one buffer.
//!
//! A record is a header (`struct log`, later `struct printk_log`), its text, and padding; a
//! header with length 0 means that the next record lies at the buffer's beginning.

use super::bytes::{u16_at, u64_at};
use super::log::{LogError, MAX_RECORDS, Text, offset, size, symbol};
use super::paging::KernelMemory;
use super::vmcoreinfo::VmcoreInfo;

pub(super) fn read(kernel: &mut KernelMemory, info: &VmcoreInfo) -> Result<String, LogError> {
    // Renamed in 3.11.
    let name = ["printk_log", "log"]
        .into_iter()
        .find(|name| info.size(name).is_some())
        .ok_or_else(|| LogError::Lacks("SIZE(printk_log)".to_owned()))?;
    let header_len = size(info, name)?;
    let at_time = offset(info, &format!("{name}.ts_nsec"))?;
    let at_len = offset(info, &format!("{name}.len"))?;
    let at_text_len = offset(info, &format!("{name}.text_len"))?;

    let buffer = kernel.read_u64(symbol(info, "log_buf")?)?;
    let buffer_len = kernel.read_u32(symbol(info, "log_buf_len")?)?;
    let mut index = kernel.read_u32(symbol(info, "log_first_idx")?)?;
    let end = kernel.read_u32(symbol(info, "log_next_idx")?)?;
    if index > buffer_len || end > buffer_len {
        return Err(LogError::Damaged(format!(
            "its first record is at {index}, its end at {end} of {buffer_len}"
        )));
    }
    let mut text = Text::default();
    let mut header = vec![0; header_len];
    let mut body = Vec::new();
    let mut walked = 0u64;
    let mut wrapped = false;
    while index != end {
        kernel.read(buffer.wrapping_add(u64::from(index)), &mut header)?;
        let len = u32::from(u16_at(&header, at_len));
        if len == 0 {
            if wrapped {
                return Err(LogError::Damaged("it wraps around twice".to_owned()));
            }
            wrapped = true;
            index = 0;
            continue;
        }
        let text_len = usize::from(u16_at(&header, at_text_len));
        if header_len + text_len > len as usize || len > buffer_len - index {
            return Err(LogError::Damaged(format!(
                "the record at {index} has {len} bytes, {text_len} of them text"
            )));
        }
        body.resize(text_len, 0);
        let at = buffer.wrapping_add(u64::from(index) + header_len as u64);
        kernel.read(at, &mut body)?;
        walked += 1;
        if !text.record(u64_at(&header, at_time), &body) || walked > MAX_RECORDS {
            return Err(LogError::Damaged("it has no end".to_owned()));
        }
        index += len;
    }
    Ok(text.finish())
}
