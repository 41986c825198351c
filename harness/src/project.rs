//! Where scenarios, images and snapshots lie.

use std::io;
use std::path::{Path, PathBuf};

use miette::Diagnostic;

use crate::suggest;

/// A directory with scenarios/, images/ and snapshots/ in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    root: PathBuf,
}

/// There is no such directory.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum ProjectError {
    /// `--root` names something else.
    #[error("{0} holds no images/ directory")]
    #[diagnostic(help("--root names the directory that holds scenarios/, images/ and snapshots/"))]
    NotOne(PathBuf),
    /// No ancestor of the current directory is one.
    #[error("neither {0} nor a directory above it holds scenarios/ and images/")]
    #[diagnostic(help("change into a crashdrill checkout, or name one with --root DIR"))]
    NotFound(PathBuf),
    /// A path that cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A path that is neither a scenario nor a directory of them.
    #[error(
        "`{0}` is no scenario: write a file that ends in .yaml, or the name of one in scenarios/"
    )]
    NoScenario(PathBuf),
    /// A name that no file in scenarios/ has.
    #[error("there is no scenario `{name}`; {help}")]
    NoSuchScenario {
        /// The name.
        name: String,
        /// Which there are.
        help: String,
    },
    /// A directory without scenarios.
    #[error("{0} holds no scenario (*.yaml)")]
    Empty(PathBuf),
}

impl Project {
    /// The project that `--root` names.
    pub fn at(root: PathBuf) -> Result<Self, ProjectError> {
        match root.join("images").is_dir() {
            true => Ok(Self { root }),
            false => Err(ProjectError::NotOne(root)),
        }
    }

    /// The nearest project, from the current directory upwards.
    pub fn find() -> Result<Self, ProjectError> {
        let here = std::env::current_dir().map_err(|source| ProjectError::Unreadable {
            path: ".".into(),
            source,
        })?;
        here.ancestors()
            .find(|dir| dir.join("images").is_dir() && dir.join("scenarios").is_dir())
            .map(|root| Self {
                root: root.to_owned(),
            })
            .ok_or(ProjectError::NotFound(here.clone()))
    }

    /// Where the outcomes are kept.
    pub fn snapshots(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    /// The manifests of all images, by name.
    pub fn images(&self) -> Result<Vec<PathBuf>, ProjectError> {
        yaml_files(&self.root.join("images"))
    }

    /// The names of all images.
    pub fn image_names(&self) -> Result<Vec<String>, ProjectError> {
        let files = self.images()?;
        let stems = files.iter().filter_map(|file| file.file_stem()?.to_str());
        Ok(stems.map(str::to_owned).collect())
    }

    /// The manifest of the image with this name.
    pub fn image(&self, name: &str) -> PathBuf {
        self.root.join("images").join(format!("{name}.yaml"))
    }

    /// The file in scenarios/ of the scenario with this name.
    pub fn named(&self, name: &str) -> Result<PathBuf, ProjectError> {
        if name.is_empty() || name.contains(['/', '.']) {
            return Err(ProjectError::NoScenario(name.into()));
        }
        let scenarios = self.root.join("scenarios");
        let file = scenarios.join(format!("{name}.yaml"));
        if file.is_file() {
            return Ok(file);
        }
        let files = yaml_files(&scenarios).unwrap_or_default();
        let known = || files.iter().filter_map(|file| file.file_stem()?.to_str());
        let help = match suggest::closest(name, known()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if files.is_empty() => "scenarios/ holds none".to_owned(),
            None => format!(
                "scenarios/ holds {}",
                known().collect::<Vec<_>>().join(", ")
            ),
        };
        let name = name.to_owned();
        Err(ProjectError::NoSuchScenario { name, help })
    }

    /// The scenario files that the user means: files as they are, directories for all `*.yaml` in
    /// them, names for files in scenarios/, nothing for all of scenarios/.
    pub fn scenarios(&self, paths: &[PathBuf]) -> Result<Vec<PathBuf>, ProjectError> {
        if paths.is_empty() {
            return all_of(&self.root.join("scenarios"));
        }
        let mut files = Vec::new();
        for path in paths {
            if path.is_dir() {
                files.extend(all_of(path)?);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                files.push(path.clone());
            } else if let Some(name) = path.to_str() {
                files.push(self.named(name)?);
            } else {
                return Err(ProjectError::NoScenario(path.clone()));
            }
        }
        files.dedup();
        Ok(files)
    }
}

/// All scenarios in a directory, at least one.
pub(crate) fn all_of(directory: &Path) -> Result<Vec<PathBuf>, ProjectError> {
    let files = yaml_files(directory)?;
    match files.is_empty() {
        true => Err(ProjectError::Empty(directory.to_owned())),
        false => Ok(files),
    }
}

fn yaml_files(directory: &Path) -> Result<Vec<PathBuf>, ProjectError> {
    let unreadable = |source| ProjectError::Unreadable {
        path: directory.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in directory.read_dir().map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_without_scenarios() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("images")).unwrap();
        let project = Project::at(root.path().to_owned()).unwrap();
        let error = project.scenarios(&[]).unwrap_err();
        assert!(matches!(error, ProjectError::Unreadable { .. }), "{error}");
        std::fs::create_dir(root.path().join("scenarios")).unwrap();
        let error = project.scenarios(&[]).unwrap_err();
        assert!(matches!(error, ProjectError::Empty(_)), "{error}");
    }

    #[test]
    fn scenarios_by_file_directory_and_name() {
        let root = tempfile::tempdir().unwrap();
        for directory in ["scenarios", "images", "snapshots"] {
            std::fs::create_dir(root.path().join(directory)).unwrap();
        }
        let file = |name: &str| root.path().join("scenarios").join(name);
        for name in ["a.yaml", "b.yaml", "notes.txt"] {
            std::fs::write(file(name), "").unwrap();
        }
        let project = Project::at(root.path().to_owned()).unwrap();
        let found = |path: &str| project.scenarios(&[PathBuf::from(path)]);
        assert_eq!(
            project.scenarios(&[]).unwrap(),
            [file("a.yaml"), file("b.yaml")]
        );
        assert_eq!(found("b").unwrap(), [file("b.yaml")]);
        assert_eq!(found("x/y.yaml").unwrap(), [PathBuf::from("x/y.yaml")]);
        for none in ["", "notes.txt", "scenarios/b", "../a"] {
            let error = found(none).unwrap_err();
            assert!(matches!(error, ProjectError::NoScenario(_)), "{error}");
        }
        for (none, error) in [
            ("A", "there is no scenario `A`; did you mean `a`?"),
            ("some", "there is no scenario `some`; scenarios/ holds a, b"),
        ] {
            assert_eq!(found(none).unwrap_err().to_string(), error);
        }
    }
}
