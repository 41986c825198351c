//! LZO1X decompression into a buffer of known size.
//!
//! Written from the kernel's description of the stream (Documentation/staging/lzo.rst). The
//! crates at hand index out of bounds on a damaged stream or let its length fields say how much
//! memory to take; a damaged dump must end in an error.

/// Decompresses `input` into `output`; `None` when the stream is damaged, does not fit, or does
/// not end where its end marker stands. Gives the number of bytes written.
pub(crate) fn decompress(input: &[u8], output: &mut [u8]) -> Option<usize> {
    let mut stream = Stream {
        input,
        output,
        read: 0,
        written: 0,
    };
    // How many literals the last instruction copied, 4 meaning "four or more".
    let mut state = 0;
    if let Some(&first @ 18..) = input.first() {
        stream.read = 1;
        let literals = usize::from(first) - 17;
        stream.literals(literals)?;
        state = literals.min(4);
    }
    loop {
        let instruction = usize::from(stream.byte()?);
        let (distance, length, trailing) = match instruction {
            0..16 if state == 0 => {
                let length = match instruction {
                    0 => stream.long_length(15)?,
                    short => short,
                };
                stream.literals(length.checked_add(3)?)?;
                state = 4;
                continue;
            }
            0..16 => {
                let distance = (instruction >> 2) + (usize::from(stream.byte()?) << 2);
                match state {
                    4 => (distance + 2049, 3, instruction & 3),
                    _ => (distance + 1, 2, instruction & 3),
                }
            }
            16..32 => {
                let length = match instruction & 7 {
                    0 => stream.long_length(7)?,
                    short => short,
                };
                let tail = usize::from(stream.word()?);
                let distance = ((instruction & 8) << 11) + (tail >> 2);
                if distance == 0 {
                    // The end marker is this instruction with length 3 and nothing after it.
                    let ended = length == 1 && stream.read == stream.input.len();
                    return ended.then_some(stream.written);
                }
                (distance + 0x4000, length.checked_add(2)?, tail & 3)
            }
            32..64 => {
                let length = match instruction & 31 {
                    0 => stream.long_length(31)?,
                    short => short,
                };
                let tail = usize::from(stream.word()?);
                ((tail >> 2) + 1, length.checked_add(2)?, tail & 3)
            }
            _ => {
                let high = usize::from(stream.byte()?) << 3;
                let distance = high + ((instruction >> 2) & 7) + 1;
                (distance, (instruction >> 5) + 1, instruction & 3)
            }
        };
        stream.copy(distance, length)?;
        stream.literals(trailing)?;
        state = trailing;
    }
}

struct Stream<'a> {
    input: &'a [u8],
    output: &'a mut [u8],
    read: usize,
    written: usize,
}

impl Stream<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.input.get(self.read)?;
        self.read += 1;
        Some(byte)
    }

    fn word(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes([self.byte()?, self.byte()?]))
    }

    /// Zero bytes count 255 each; the first other byte ends the number.
    fn long_length(&mut self, base: usize) -> Option<usize> {
        let mut length = base;
        loop {
            match self.byte()? {
                0 => length = length.checked_add(255)?,
                last => return length.checked_add(usize::from(last)),
            }
        }
    }

    fn literals(&mut self, count: usize) -> Option<()> {
        let from = self.input.get(self.read..self.read.checked_add(count)?)?;
        let end = self.written.checked_add(count)?;
        self.output
            .get_mut(self.written..end)?
            .copy_from_slice(from);
        self.read += count;
        self.written = end;
        Some(())
    }

    fn copy(&mut self, distance: usize, length: usize) -> Option<()> {
        let start = self.written.checked_sub(distance)?;
        let end = self.written.checked_add(length)?;
        if end > self.output.len() {
            return None;
        }
        // Source and destination may overlap: the copy repeats what it has just written.
        for i in 0..length {
            self.output[self.written + i] = self.output[start + i];
        }
        self.written = end;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::decompress;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn undoes_what_a_compressor_did(
            words in proptest::collection::vec(("[a-z]{1,40}", 1usize..200), 1..60)
        ) {
            let plain: Vec<u8> = words.iter().flat_map(|(w, n)| w.repeat(*n).into_bytes()).collect();
            let packed = lzokay_native::compress(&plain).unwrap();
            let mut out = vec![0; plain.len()];
            prop_assert_eq!(decompress(&packed, &mut out), Some(plain.len()));
            prop_assert_eq!(out, plain);
        }

        #[test]
        fn noise_undone(plain in proptest::collection::vec(any::<u8>(), 1..9000)) {
            let packed = lzokay_native::compress(&plain).unwrap();
            let mut out = vec![0; plain.len()];
            prop_assert_eq!(decompress(&packed, &mut out), Some(plain.len()));
            prop_assert_eq!(out, plain);
        }

        #[test]
        fn damage_never_panics(packed in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut out = [0; 4096];
            let _ = decompress(&packed, &mut out);
        }
    }
}
