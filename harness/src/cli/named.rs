//! One drill by its name: `SCENARIO[@VARIANT]`.

use std::path::{Path, PathBuf};

use super::{CliError, Context};
use crate::scenario::Drill;
use crate::suggest;

/// How the help describes such a name.
pub(super) const SYNTAX: &str = "\
A drill is named as crashdrill prints it, SCENARIO or SCENARIO@VARIANT. SCENARIO is a file ending in
.yaml, or the name of one in scenarios/. @VARIANT must be there if the scenario has variants.";

/// The drill that `name` means.
pub(super) fn named(context: &Context, name: &str) -> Result<Drill, CliError> {
    let (scenario, variant) = split(name);
    let file = match scenario.ends_with(".yaml") {
        true => PathBuf::from(scenario),
        false => context.project.named(scenario).map_err(CliError::input)?,
    };
    let read = crate::scenario::read(&file, crate::machine::catalogue::facts)
        .map_err(|bad| CliError::Scenarios(vec![bad]))?;
    pick(scenario, variant, read.drills)
}

/// Whether it is a name with a variant, and no file or directory.
pub(super) fn names_a_variant(path: &Path) -> bool {
    let variant = path.to_str().and_then(|name| split(name).1);
    variant.is_some() && !path.exists()
}

/// A variant's name holds neither a dot nor a slash, so what ends in `.yaml` names a file alone,
/// whatever its directories are called.
fn split(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once('@') {
        Some((scenario, variant)) if !name.ends_with(".yaml") => (scenario, Some(variant)),
        _ => (name, None),
    }
}

fn pick(scenario: &str, variant: Option<&str>, drills: Vec<Drill>) -> Result<Drill, CliError> {
    let names: Vec<String> = drills
        .iter()
        .filter_map(|drill| drill.id.variant.clone())
        .collect();
    let list = || {
        let whole = |name: &String| format!("{scenario}@{name}");
        names.iter().map(whole).collect::<Vec<_>>().join(", ")
    };
    let wanted = variant.map(str::to_owned);
    if let Some(drill) = drills.into_iter().find(|drill| drill.id.variant == wanted) {
        return Ok(drill);
    }
    Err(CliError::wrong(match variant {
        None => format!("{scenario} has several variants; say which: {}", list()),
        Some(variant) if names.is_empty() => {
            format!("{scenario} has no variants: leave out `@{variant}`")
        }
        Some(variant) => {
            let near = suggest::closest(variant, names.iter().map(String::as_str));
            let help = match near {
                Some(near) => format!("did you mean `{scenario}@{near}`?"),
                None => format!("it has {}", list()),
            };
            format!("{scenario} has no variant `{variant}`; {help}")
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::catalogue;
    use crate::scenario::parse;

    #[test]
    fn names() {
        for (name, scenario, variant) in [
            ("healthy", "healthy", None),
            ("healthy@nvme", "healthy", Some("nvme")),
            ("a/b@c/healthy.yaml", "a/b@c/healthy.yaml", None),
            (
                "a/b@c/healthy.yaml@nvme",
                "a/b@c/healthy.yaml",
                Some("nvme"),
            ),
            ("healthy@", "healthy", Some("")),
        ] {
            assert_eq!(split(name), (scenario, variant), "{name}");
        }
    }

    fn picked(text: &str, variant: Option<&str>) -> Result<Option<String>, String> {
        let text = format!(
            "name: x\nabout: A drill.\nimage: debian-12\ncrashkernel: 256M\n\
             machine: {{devices: [{{device: nvme, target: true}}]}}\n{text}"
        );
        let file = parse(Path::new("x.yaml"), &text, catalogue::facts)
            .unwrap_or_else(|bad| panic!("{}", bad.render(100, false)));
        pick("x", variant, file.drills)
            .map(|drill| drill.id.variant)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn variants() {
        const TWO: &str = "variants: {first: {}, second: {}}";
        assert_eq!(picked("", None), Ok(None));
        assert_eq!(picked(TWO, Some("second")), Ok(Some("second".to_owned())));
        for (text, variant, error) in [
            (
                TWO,
                None,
                "x has several variants; say which: x@first, x@second",
            ),
            (
                TWO,
                Some("frist"),
                "x has no variant `frist`; did you mean `x@first`?",
            ),
            (
                TWO,
                Some("else"),
                "x has no variant `else`; it has x@first, x@second",
            ),
            ("", Some("first"), "x has no variants: leave out `@first`"),
        ] {
            assert_eq!(picked(text, variant), Err(error.to_owned()));
        }
    }
}
