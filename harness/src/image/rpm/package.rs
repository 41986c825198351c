//! One package file.

use std::io::{BufReader, Read, Seek, SeekFrom};

use rpm::{IndexTag, PackageMetadata};

use super::error::PackageError;
use super::header::Front;
use super::payload;
use super::signature::Key;
use crate::image::unpack::{Budget, Root};

/// What drills run on, and what runs on anything.
const ARCHITECTURES: [&str; 2] = ["x86_64", "noarch"];

/// A package file whose header has been read.
#[derive(Debug)]
pub(super) struct PackageFile<R> {
    file: R,
    front: Front,
    pub(super) metadata: PackageMetadata,
    pub(super) name: String,
    /// `[EPOCH:]VERSION-RELEASE.ARCHITECTURE`
    pub(super) version: String,
}

impl<R: Read + Seek> PackageFile<R> {
    /// Reads what lies before the payload. Nothing of it is believed yet.
    pub(super) fn read(mut file: R) -> Result<Self, PackageError> {
        let front = Front::read(BufReader::new(&mut file))?;
        let metadata = PackageMetadata::parse(&mut &front.bytes[..])?;
        if metadata.is_source_package() {
            let why = "it is a source package; list the binary package that is built from it";
            return Err(PackageError::Unfit(why.to_owned()));
        }
        let name = word("name", metadata.get_name()?)?;
        let version = word("version", metadata.get_version()?)?;
        let release = word("release", metadata.get_release()?)?;
        let architecture = word("architecture", metadata.get_arch()?)?;
        if !ARCHITECTURES.contains(&architecture) {
            return Err(PackageError::Unfit(format!(
                "it is for {architecture}; drills run on x86_64"
            )));
        }
        let format = metadata
            .header
            .get_entry_data_as_string(IndexTag::RPMTAG_PAYLOADFORMAT);
        match format {
            // Absent in packages of rpm 3.
            Ok("cpio") | Err(rpm::Error::TagNotFound(_)) => {}
            Ok(other) => {
                let why = format!("its payload is {other:?}, and not cpio");
                return Err(PackageError::Unfit(why));
            }
            Err(error) => return Err(error.into()),
        }
        let epoch = match metadata.get_epoch() {
            Ok(0) | Err(_) => String::new(),
            Ok(epoch) => format!("{epoch}:"),
        };
        Ok(Self {
            name: name.to_owned(),
            version: format!("{epoch}{version}-{release}.{architecture}"),
            file,
            front,
            metadata,
        })
    }

    /// Checks that `key` vouches for all of it.
    pub(super) fn verify(&mut self, key: &Key) -> Result<(), PackageError> {
        let at = self.front.bytes.len() as u64;
        key.verify(&self.metadata, self.front.header(), &mut self.file, at)
    }

    /// Unpacks its files.
    pub(super) fn unpack(self, root: &mut Root) -> Result<(), PackageError> {
        self.unpack_within(root, payload::MOST)
    }

    /// The same, from a payload of no more than that.
    pub(super) fn unpack_within(
        mut self,
        root: &mut Root,
        most: Budget,
    ) -> Result<(), PackageError> {
        let at = self.front.bytes.len() as u64;
        self.file.seek(SeekFrom::Start(at))?;
        Ok(payload::unpack(BufReader::new(self.file), root, most)?)
    }
}

/// Part of a name and version, which go into messages.
fn word<'a>(what: &str, text: &'a str) -> Result<&'a str, PackageError> {
    let fits = |text: &str| {
        (1..256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match fits(text) {
        true => Ok(text),
        false => Err(PackageError::Unfit(format!(
            "its header is damaged: the {what} is no word of ASCII characters"
        ))),
    }
}
