//! All frames of a .zst file, one after the other.

use std::io::{self, BufRead, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// A frame's window is larger than is granted.
#[derive(Debug, thiserror::Error)]
#[error("the window is too large")]
pub(crate) struct TooLarge;

/// Reads what the frames hold.
pub(crate) struct Decoder<R> {
    source: R,
    frames: FrameDecoder,
    state: State,
}

#[derive(Debug)]
enum State {
    Between,
    Within,
    /// The data is damaged; what was made of it before is still to be handed out.
    Damaged(Option<io::Error>),
}

impl<R: BufRead> Decoder<R> {
    pub(crate) fn new(source: R, window: u64) -> Self {
        let mut frames = FrameDecoder::new();
        frames.set_max_window_size(window);
        Self {
            source,
            frames,
            state: State::Between,
        }
    }

    /// Whether there is a further frame.
    fn begin(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.frames.reset(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let mut skipped = (&mut self.source).take(length.into());
                    if io::copy(&mut skipped, &mut io::sink())? < length.into() {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(FrameDecoderError::WindowSizeTooBig { .. }) => {
                    return Err(io::Error::other(TooLarge));
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }

    fn damaged(&mut self, error: io::Error) {
        // The decoder keeps a window's worth of what it made until the frame ends, which for most
        // logs is all of it. So the frame ends: an empty last block, and a check sum that is not
        // looked at.
        let end = [1, 0, 0, 0, 0, 0, 0];
        // Fails when it failed before the first block, and then there is nothing to hand out.
        let _ = self
            .frames
            .decode_blocks(end.as_slice(), BlockDecodingStrategy::All);
        self.state = State::Damaged(Some(error));
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match &mut self.state {
                State::Between => match self.begin()? {
                    true => self.state = State::Within,
                    false => return Ok(0),
                },
                State::Within if self.frames.can_collect() > 0 => return self.frames.read(buffer),
                State::Within if self.frames.is_finished() => self.state = State::Between,
                State::Within => {
                    let one = BlockDecodingStrategy::UptoBlocks(1);
                    if let Err(error) = self.frames.decode_blocks(&mut self.source, one) {
                        self.damaged(io::Error::other(error));
                    }
                }
                State::Damaged(_) if self.frames.can_collect() > 0 => {
                    return self.frames.read(buffer);
                }
                State::Damaged(error) => return error.take().map_or(Ok(0), Err),
            }
        }
    }
}
