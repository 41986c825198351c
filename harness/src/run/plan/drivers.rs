//! Which modules each kernel loads, with which parameters, and what keeps one out.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crashdrill_guest::order;
use regex::Regex;

use super::requests::with_requests;
use crate::image::{Driver, Found, Image, Module, ModuleError};
use crate::kdump::commandline::{self, KeptOut, KeptOutBy};
use crate::kdump::flavour::Flavour;

/// Module files of one initramfs, none twice.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) modules: BTreeMap<String, Module>,
}

impl Files {
    /// Adds a module, and gives it as the order names it; and whether it is new.
    fn add(
        &mut self,
        release: &str,
        module: Module,
        parameters: &Parameters<'_>,
    ) -> (order::Module, bool) {
        let file = module
            .file
            .split_inclusive(".ko")
            .next()
            .unwrap_or(&module.file);
        let path = format!("/lib/modules/{release}/{file}");
        let named = order::Module {
            name: module.name.clone(),
            path: path.clone(),
            parameters: parameters.of(&module.name),
        };
        match self.modules.entry(path) {
            Entry::Occupied(_) => (named, false),
            Entry::Vacant(free) => {
                free.insert(module);
                (named, true)
            }
        }
    }
}

/// What modules are loaded with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameters<'a> {
    /// A kernel command line, of which modprobe passes on what begins with the module's name; none
    /// where modules are loaded with insmod.
    pub(super) commandline: Option<&'a str>,
    /// RHEL 6's `options`: a module, and what it is loaded with.
    pub(super) options: &'a [(String, String)],
}

impl Parameters<'_> {
    fn of(&self, module: &str) -> String {
        let same = |name: &str| name.replace('-', "_") == module;
        let options = self.options.iter().filter(|(name, _)| same(name));
        let mut all: Vec<String> = options.map(|(_, value)| value.clone()).collect();
        if let Some(line) = self.commandline {
            all.extend(commandline::module_parameters(line, module));
        }
        all.join(" ")
    }
}

/// What keeps drivers out of the capture kernel.
#[derive(Debug, Default)]
pub(super) struct Keepers {
    /// modprobe's blacklists: the driver is not loaded for a device, and still is for another
    /// module that needs it.
    blacklisted: Vec<KeptOut>,
    omitted: Option<Omitted>,
}

impl Keepers {
    /// `kept_out` is what command line and kdump.conf say, `omit` and `add` are dracut's
    /// `--omit-drivers` and `--add-drivers`.
    ///
    /// # Errors
    /// A pattern that is no regular expression.
    pub(super) fn new(
        flavour: Flavour,
        kept_out: Vec<KeptOut>,
        omit: &[String],
        add: &[String],
    ) -> Result<Self, BadPattern> {
        // `module_blacklist=` is the kernel's own: it refuses the module itself, if it is new
        // enough to know the parameter.
        let names = |keeper: &KeptOut| {
            !matches!(
                keeper.by,
                KeptOutBy::ModuleBlacklist | KeptOutBy::OmitDrivers
            )
        };
        Ok(Self {
            blacklisted: kept_out.into_iter().filter(names).collect(),
            omitted: Omitted::new(flavour, omit, add)?,
        })
    }

    /// As evidence: the parameter with its value. `file` is the driver's, below the modules'
    /// directory.
    fn of_device(&self, driver: &str, file: &str) -> Option<String> {
        let names = |keeper: &&KeptOut| match keeper.by {
            // mkdumprd takes a word with a slash for a directory, and blacklists all in it.
            KeptOutBy::Blacklist if keeper.driver.contains('/') => {
                let directory = keeper.driver.trim_end_matches('/');
                let rest = file.replace('-', "_");
                rest.strip_prefix(directory)
                    .is_some_and(|rest| rest.starts_with('/'))
            }
            _ => keeper.driver == driver,
        };
        let keeper = self.blacklisted.iter().find(names)?;
        Some(match keeper.by {
            KeptOutBy::Blacklist => format!("blacklist {}", keeper.driver),
            by => format!("{by}{driver}"),
        })
    }

    fn of_module(&self, module: &Module) -> Option<String> {
        let omitted = self.omitted.as_ref()?;
        let pattern = omitted.pattern_of(module)?;
        Some(format!("--omit-drivers {pattern}"))
    }
}

/// A pattern of `--omit-drivers` that is no regular expression: bash and regcomp(3) make different
/// things of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("--omit-drivers: `{pattern}` is no regular expression: {why}")]
pub struct BadPattern {
    /// As written.
    pattern: String,
    why: String,
}

/// dracut's `--omit-drivers`. Its words are regular expressions; how they are matched has changed.
#[derive(Debug)]
struct Omitted {
    matching: Matching,
    patterns: Vec<(String, Regex)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Matching {
    /// dracut 033 (RHEL 7): anywhere in the file's name or path (dracut-functions.sh,
    /// install_kmod_with_fw).
    NameOrPath,
    /// dracut 049 (RHEL 8): anywhere in the module's name (dracut-install -N).
    Name,
    /// dracut 054 and later: the module's whole name.
    WholeName,
}

impl Omitted {
    fn new(flavour: Flavour, omit: &[String], add: &[String]) -> Result<Option<Self>, BadPattern> {
        let matching = match flavour {
            Flavour::Rhel6 | Flavour::Rhel7 => Matching::NameOrPath,
            Flavour::Rhel8 => Matching::Name,
            _ => Matching::WholeName,
        };
        // `omit_drivers=${omit_drivers/-/_}`: dracut puts an underscore in the place of the first
        // hyphen of the whole list.
        let list = omit.join(" ").replacen('-', "_", 1);
        let added = add.join(" ").replacen('-', "_", 1);
        let patterns = list
            .split_whitespace()
            .filter(|word| !added.split_whitespace().any(|added| added == *word))
            .map(|word| {
                let whole = match matching {
                    Matching::WholeName => format!("^{word}$"),
                    Matching::Name | Matching::NameOrPath => word.to_owned(),
                };
                let bad = |error: regex::Error| BadPattern {
                    pattern: word.to_owned(),
                    why: error
                        .to_string()
                        .lines()
                        .last()
                        .unwrap_or_default()
                        .to_owned(),
                };
                Ok((word.to_owned(), Regex::new(&whole).map_err(bad)?))
            })
            .collect::<Result<Vec<_>, BadPattern>>()?;
        Ok((!patterns.is_empty()).then_some(Self { matching, patterns }))
    }

    fn pattern_of(&self, module: &Module) -> Option<&str> {
        let matches = |pattern: &Regex| match self.matching {
            Matching::Name | Matching::WholeName => pattern.is_match(&module.name),
            Matching::NameOrPath => {
                let name = module.file.rsplit('/').next().unwrap_or_default();
                let name = name.split(".ko").next().unwrap_or(name);
                // `_kmod=${_kmod/-/_}`: here too only the first.
                pattern.is_match(&name.replacen('-', "_", 1)) || pattern.is_match(&module.file)
            }
        };
        let found = self.patterns.iter().find(|(_, pattern)| matches(pattern))?;
        Some(&found.0)
    }
}

/// The drivers in the order in which they are loaded.
///
/// # Errors
/// The kernel has no such driver.
pub(super) fn load_order(
    image: &Image,
    drivers: &[String],
    keepers: &Keepers,
    parameters: &Parameters<'_>,
    files: &mut Files,
) -> Result<Vec<order::Driver>, ModuleError> {
    let mut order = Vec::new();
    for asked in drivers {
        for mut driver in find(image, asked)? {
            if let Found::Files(modules) = driver.found {
                driver.found = Found::Files(with_requests(image, modules)?);
            }
            one(image, asked, driver, keepers, parameters, files, &mut order);
        }
    }
    Ok(order)
}

/// Drivers of the catalogue that older kernels have as part of another module.
const ONCE_PART_OF: [(&str, &str); 1] = [
    // drivers/usb/host/xhci-pci.c, a module of its own since Linux 3.18
    ("xhci_pci", "xhci_hcd"),
];

fn find(image: &Image, asked: &str) -> Result<Vec<Driver>, ModuleError> {
    let older = ONCE_PART_OF.iter().find(|(name, _)| *name == asked);
    match (image.modules.closure(&[asked]), older) {
        (Err(error @ ModuleError::Unknown { .. }), Some((_, older))) => {
            image.modules.closure(&[older]).map_err(|_| error)
        }
        (found, _) => found,
    }
}

fn one(
    image: &Image,
    asked: &str,
    driver: Driver,
    keepers: &Keepers,
    parameters: &Parameters<'_>,
    files: &mut Files,
    order: &mut Vec<order::Driver>,
) {
    let kept_out = |name: &str, by: String| order::Driver {
        name: name.to_owned(),
        modules: Vec::new(),
        kept_out_by: Some(by),
    };
    // Nothing keeps out what is part of the kernel.
    let Found::Files(modules) = driver.found else {
        order.push(order::Driver {
            name: asked.to_owned(),
            modules: Vec::new(),
            kept_out_by: None,
        });
        return;
    };
    let itself = modules.last().and_then(|module| {
        keepers
            .of_device(&driver.name, &module.file)
            .or_else(|| keepers.of_module(module))
    });
    if let Some(by) = itself {
        order.push(kept_out(asked, by));
        return;
    }
    let mut loaded = Vec::new();
    for module in modules {
        match keepers.of_module(&module) {
            None => loaded.push(module),
            // The driver is loaded all the same, and the kernel says what it misses.
            Some(by) => {
                let dependency = kept_out(&module.name, by);
                if !order.contains(&dependency) {
                    order.push(dependency);
                }
            }
        }
    }
    let loaded = loaded
        .into_iter()
        .map(|module| files.add(&image.kernel.release, module, parameters));
    order.push(order::Driver {
        name: asked.to_owned(),
        modules: loaded
            .filter(|(_, new)| *new)
            .map(|(module, _)| module)
            .collect(),
        kept_out_by: None,
    });
}

/// Those of kdump.conf's modules that the kernel has, and what kdumpctl says of the others.
///
/// # Errors
/// The image's modules cannot be read.
pub(super) fn extra_modules(
    image: &Image,
    wanted: &[String],
) -> Result<(Vec<String>, Vec<String>), ModuleError> {
    let mut there = Vec::new();
    let mut messages = Vec::new();
    for name in wanted {
        match image.modules.closure(&[name]) {
            Ok(_) => there.push(name.clone()),
            Err(ModuleError::Unknown { .. }) => {
                messages.push(format!("kdump: Module {name} not found"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok((there, messages))
}

/// What a mount of this type needs, whatever was loaded before: only /init knows. Like mount(2), it asks for `fs-TYPE` where there is no module
/// of the type's own name: ext4 mounts ext2 and ext3 too.
///
/// # Errors
/// The kernel has no such file system.
pub(super) fn filesystem_modules(
    image: &Image,
    kind: &str,
    parameters: &Parameters<'_>,
    files: &mut Files,
) -> Result<Vec<order::Module>, ModuleError> {
    let drivers = match image.modules.closure(&[kind]) {
        Err(error @ ModuleError::Unknown { .. }) => image
            .modules
            .closure(&[&format!("fs-{kind}")])
            .map_err(|_| error)?,
        found => found?,
    };
    let mut modules = Vec::new();
    for driver in drivers {
        if let Found::Files(found) = driver.found {
            let release = &image.kernel.release;
            let found = with_requests(image, found)?.into_iter();
            modules.extend(found.map(|module| files.add(release, module, parameters).0));
        }
    }
    Ok(modules)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{ModuleTree, Userland};

    fn module(file: &str) -> Module {
        let name = file
            .rsplit('/')
            .next()
            .unwrap()
            .split(".ko")
            .next()
            .unwrap();
        Module {
            name: name.replace('-', "_"),
            file: file.to_owned(),
            path: file.into(),
            optional: false,
        }
    }

    fn omitted(flavour: Flavour, omit: &str, add: &[&str], file: &str) -> Option<String> {
        let add: Vec<String> = add.iter().map(|word| (*word).to_owned()).collect();
        let keepers = Keepers::new(flavour, Vec::new(), &[omit.to_owned()], &add).unwrap();
        keepers.of_module(&module(file))
    }

    #[test]
    fn omitted_as_each_dracut_does() {
        use Flavour::*;
        let ice = "kernel/drivers/net/ethernet/intel/ice/ice.ko.xz";
        let device = "kernel/drivers/misc/some-device.ko";
        let netfront = "kernel/drivers/net/xen-netfront.ko";
        let twice = "kernel/drivers/a-b-c.ko";
        for (flavour, omit, add, file, wanted) in [
            (Rhel7, "ice i40e", vec![], ice, true),
            // Anywhere in the name, as people found out.
            (Rhel7, "ice", vec![], device, true),
            (Rhel8, "ice", vec![], device, true),
            (Rhel9, "ice", vec![], device, false),
            (Fedora, "ice", vec![], ice, true),
            // The path counts on RHEL 7 alone.
            (Rhel7, "drivers/net/ethernet/.*", vec![], ice, true),
            (Rhel8, "drivers/net/ethernet/.*", vec![], ice, false),
            (Rhel9, "i.e|x", vec![], ice, true),
            (Rhel9, "i", vec![], ice, false),
            // Only the first hyphen of the list is put right.
            (Rhel9, "xen-netfront", vec![], netfront, true),
            (Rhel9, "a-b xen-netfront", vec![], netfront, false),
            (Rhel7, "a-b-c", vec![], twice, true),
            (Rhel9, "a-b-c", vec![], twice, false),
            // What is added is not omitted.
            (Rhel7, "ice", vec!["ice"], ice, false),
            (Rhel7, "", vec![], ice, false),
        ] {
            let found = omitted(flavour, omit, &add, file);
            assert_eq!(found.is_some(), wanted, "{flavour} {omit} {file}");
        }
        assert_eq!(
            omitted(Rhel7, "qqq ice", &[], ice).unwrap(),
            "--omit-drivers ice"
        );
    }

    #[test]
    fn a_driver_that_was_part_of_another() {
        let found = |dependencies: &str, builtin: &str| {
            let directory = tempfile::tempdir().unwrap();
            let write = |file, text| std::fs::write(directory.path().join(file), text).unwrap();
            write("modules.dep", dependencies);
            write("modules.builtin", builtin);
            let userland = Userland::at(directory.path());
            let image = Image::for_plans("test", ModuleTree::at(directory.path()), userland);
            let drivers = ["xhci_pci".to_owned()];
            let keepers = Keepers::default();
            let parameters = Parameters {
                commandline: None,
                options: &[],
            };
            let order = load_order(
                &image,
                &drivers,
                &keepers,
                &parameters,
                &mut Files::default(),
            );
            order
                .map(|order| {
                    let modules = order.iter().flat_map(|driver| &driver.modules);
                    modules
                        .map(|module| module.name.clone())
                        .collect::<Vec<_>>()
                })
                .map_err(|error| error.to_string())
        };
        let usb = "kernel/drivers/usb/host";
        let new = format!("{usb}/xhci-pci.ko: {usb}/xhci-hcd.ko\n{usb}/xhci-hcd.ko:\n");
        assert_eq!(found(&new, "").unwrap(), ["xhci_hcd", "xhci_pci"]);
        let old = format!("{usb}/xhci-hcd.ko:\n");
        assert_eq!(found(&old, "").unwrap(), ["xhci_hcd"]);
        assert_eq!(found("", &format!("{usb}/xhci-hcd.ko\n")).unwrap(), [""; 0]);
        let error = found("", "").unwrap_err();
        assert!(error.contains("`xhci_pci`"), "{error}");
    }

    #[test]
    fn a_pattern_that_is_none() {
        let bad = Keepers::new(Flavour::Rhel7, Vec::new(), &["i40e [".to_owned()], &[]);
        let text = bad.unwrap_err().to_string();
        assert!(
            text.starts_with("--omit-drivers: `[` is no regular expression: "),
            "{text}"
        );
    }

    #[test]
    fn parameters() {
        let options = [
            ("virtio-console".to_owned(), "max_ports=4 debug".to_owned()),
            ("nvme".to_owned(), "x=1".to_owned()),
        ];
        let parameters = Parameters {
            commandline: Some("quiet nvme.y=2 virtio_console.a"),
            options: &options,
        };
        assert_eq!(parameters.of("virtio_console"), "max_ports=4 debug a");
        assert_eq!(parameters.of("nvme"), "x=1 y=2");
        assert_eq!(parameters.of("ext4"), "");
        let insmod = Parameters {
            commandline: None,
            options: &options,
        };
        assert_eq!(insmod.of("nvme"), "x=1");
    }
}
