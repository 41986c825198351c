//! `--image`: drills on another image than their scenario's.

use super::{CliError, Context};
use crate::image::{Manifest, Source};
use crate::report::tell;
use crate::scenario::model::Boot;
use crate::scenario::{Drill, DrillId};
use crate::suggest;

/// The image that the user named.
pub(super) struct OtherImage {
    name: String,
    /// The drills that it takes.
    boot: Boot,
}

impl OtherImage {
    /// One of the project's, by its name.
    pub(super) fn find(context: &Context, name: &str) -> Result<Self, CliError> {
        let known = context.project.image_names().map_err(CliError::input)?;
        if !known.iter().any(|known| known == name) {
            let help = match suggest::closest(name, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("images/ holds {}", known.join(", ")),
            };
            return Err(CliError::wrong(format!(
                "there is no image `{name}`; {help}"
            )));
        }
        let manifest = Manifest::load(&context.project.image(name)).map_err(CliError::image)?;
        let boot = match manifest.source {
            Source::Disk(_) | Source::DiskImage(_) => Boot::Disk,
            Source::Apt(_)
            | Source::Rpm(_)
            | Source::Url(_)
            | Source::Host(_)
            | Source::Local(_) => Boot::Direct,
        };
        let name = name.to_owned();
        Ok(Self { name, boot })
    }

    /// The drill on this image.
    pub(super) fn take(&self, drill: Drill) -> Result<Drill, CliError> {
        match drill.scenario.boot == self.boot {
            true => Ok(drill.on(&self.name)),
            false => Err(CliError::wrong(format!("{}: {}", drill.id, self.why()))),
        }
    }

    /// The drills that fit, on this image. The others are left out, which is said; it is an error
    /// when none is left.
    pub(super) fn take_fitting(&self, drills: Vec<Drill>) -> Result<Vec<Drill>, CliError> {
        let (fit, others): (Vec<_>, Vec<_>) = drills
            .into_iter()
            .partition(|drill| drill.scenario.boot == self.boot);
        if fit.is_empty() {
            return Err(CliError::wrong(format!("no drill is left: {}", self.why())));
        }
        for drill in others {
            left_out(&drill.id, &self.why());
        }
        Ok(fit.into_iter().map(|drill| drill.on(&self.name)).collect())
    }

    fn why(&self) -> String {
        let name = &self.name;
        match self.boot {
            Boot::Disk => format!("image {name} is a root disk, which takes `boot: disk`"),
            Boot::Direct => format!("image {name} has no root disk, which `boot: disk` takes"),
        }
    }
}

/// Says that a drill does not run on the image that the user named.
pub(super) fn left_out(id: &DrillId, why: &str) {
    tell!("left out {id}: {why}");
}
