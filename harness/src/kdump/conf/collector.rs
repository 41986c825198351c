//! What mkdumprd checks a core collector for, and what it does not.

use super::{DumpTarget, KdumpConf, Written};
use crate::kdump::error::{Fault, Faults, shown};
use crate::kdump::flavour::Flavour;

/// `written` is the line that `conf.core_collector` comes from.
pub(super) fn check(
    written: &Written,
    conf: &KdumpConf,
    flavour: Flavour,
    errors: &mut Faults,
    warnings: &mut Faults,
) {
    let on = |message: String| Fault::new(written.value_at.clone(), message);
    let Some((program, arguments)) = conf.core_collector.split_first() else {
        return;
    };
    let piped = matches!(conf.target, Some(DumpTarget::Ssh { .. }));
    let raw = matches!(conf.target, Some(DumpTarget::Raw(_)));
    let name = program.rsplit('/').next().unwrap_or(program);
    if name == "makedumpfile" {
        // RHEL 6 puts it in itself where it is missing. The others look for these two letters, and
        // take them out again for a file system.
        let rhel6 = flavour == Flavour::Rhel6;
        let named = arguments.iter().find(|word| word.contains("-F"));
        if (piped || raw) && named.is_none() && !rhel6 {
            errors.push(
                on("The specified dump target needs makedumpfile \"-F\" option.".to_owned()).help(
                    format!(
                        "core_collector {program} -F {}",
                        shown(&arguments.join(" "))
                    ),
                ),
            );
        } else if piped || raw {
            // As it should be.
        } else if let Some(word) = named.filter(|_| !rhel6) {
            match word.replace("-F", "") {
                left if left.is_empty() => warnings.push(
                    on(
                        "`-F` on a file system: kdump takes it out again, and the dump is not \
                        flattened"
                            .to_owned(),
                    )
                    .help("remove `-F`"),
                ),
                left => errors.push(
                    on(format!(
                        "`{}` on a file system: kdump takes `-F` out again, and makedumpfile fails \
                         on `{}`",
                        shown(word),
                        shown(&left)
                    ))
                    .help("remove `-F`"),
                ),
            }
        } else if arguments.iter().any(|word| is_flat(word)) {
            warnings.push(
                on(
                    "`-F` on a file system: the dump is flattened, and crash does not read it"
                        .to_owned(),
                )
                .help("remove `-F`, or put the dump together again with `makedumpfile -R`"),
            );
        }
        if let Some((what, help)) = bad_argument(arguments) {
            errors.push(on(format!("makedumpfile parameter check failed. ({what})")).help(help));
        }
    } else if piped && name != "scp" {
        warnings.push(
            on(format!(
                "what `{}` writes to its standard output is what reaches the server",
                shown(program)
            ))
            .help("use `scp`, or `makedumpfile -F -l -d 31`"),
        );
    } else if raw {
        warnings.push(
            on(
                "Warning: specifying a non-makedumpfile core collector, you will have to recover \
                the vmcore manually."
                    .to_owned(),
            )
            .help("core_collector makedumpfile -F -l -d 31"),
        );
    } else if name == "scp" && !piped {
        errors.push(
            on("`scp` copies to a server, and the dump target is none".to_owned())
                .help("name the server: `ssh user@server`, or use `makedumpfile -l -d 31`"),
        );
    }
}

/// makedumpfile takes short options together: `-lF`.
fn is_flat(word: &str) -> bool {
    word.strip_prefix('-')
        .is_some_and(|letters| !letters.starts_with('-') && letters.contains('F'))
}

/// A number that makedumpfile(8) does not take.
fn bad_argument(arguments: &[String]) -> Option<(String, String)> {
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let (option, value) = match word.as_str() {
            "-d" | "--message-level" => (word.as_str(), words.next().map(String::as_str)),
            other => match other.strip_prefix("--message-level=") {
                Some(level) => ("--message-level", Some(level)),
                None => match other.strip_prefix("-d") {
                    Some(level) => ("-d", Some(level)),
                    None => continue,
                },
            },
        };
        let good = |level: &str| level.parse::<u8>().is_ok_and(|level| level <= 31);
        // -d takes a list: with the first the dump, with the others a second attempt.
        let ok = value.is_some_and(|value| match option {
            "-d" => value.split(',').all(good),
            _ => good(value),
        });
        if !ok {
            let value = value.map(shown).unwrap_or_default();
            return Some((
                format!("`{option} {value}`"),
                format!("a number from 0 to 31, such as `{option} 31`"),
            ));
        }
    }
    None
}
