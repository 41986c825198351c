//! Variants: dotted paths and what to put there.

use std::ops::Range;

use super::path::{Path, Step};
use super::tree::{Entry, Node, Refusal, Value};
use crate::kdump::capture_cpus;

/// No place of a scenario but what is varied most: the number behind `nr_cpus=` or `maxcpus=`
/// on the capture kernel's command line, wherever the scenario says it.
const CAPTURE_CPUS: &str = "nr_cpus";

/// The scenario with a variant's patches applied, in the order of the file, and those that could
/// not be. Items are taken out of lists last, so that every index means the list as it is written;
/// and `nr_cpus` is put into the command line that the others have left.
pub(super) fn apply(base: &Node, patches: &[Entry]) -> (Node, Vec<Refusal>) {
    let mut tree = base.clone();
    let mut refusals = Vec::new();
    let mut removed_items = Vec::new();
    let mut capture_cpus = None;
    for patch in patches {
        if patch.key == CAPTURE_CPUS {
            capture_cpus = Some(patch);
            continue;
        }
        let path = match patch.key.parse::<Path>() {
            Ok(path) => path,
            Err(error) => {
                refusals.push(refuse(patch, error.to_string(), None));
                continue;
            }
        };
        if let Some(key @ ("name" | "variants" | "matrix")) = first_key(&path) {
            let help = "variants are told apart by their own names".to_owned();
            refusals.push(refuse(
                patch,
                format!("a variant has no `{key}`"),
                Some(help),
            ));
            continue;
        }
        if let (Value::Null, Some(Step::Index(_))) = (&patch.value.value, path.0.last()) {
            match tree.get(&path) {
                Some(_) => removed_items.push(path),
                None => refusals.push(nowhere(&tree, patch, &path)),
            }
        } else if let Err(refusal) = set(&mut tree, patch, &path) {
            refusals.push(refusal);
        }
    }
    removed_items.sort();
    removed_items.dedup();
    for path in removed_items.iter().rev() {
        if let Some((Step::Index(index), parents)) = path.0.split_last()
            && let Some(parent) = tree.get_mut(parents)
            && let Value::List(items) = &mut parent.value
            && *index < items.len()
        {
            items.remove(*index);
        }
    }
    if let Some(patch) = capture_cpus
        && let Err(refusal) = set_capture_cpus(&mut tree, patch)
    {
        refusals.push(refusal);
    }
    (tree, refusals)
}

fn set_capture_cpus(tree: &mut Node, patch: &Entry) -> Result<(), Refusal> {
    let Value::Unsigned(number @ 1..) = patch.value.value else {
        return Err(Refusal {
            span: patch.value.span.clone(),
            message: "`nr_cpus` is a whole number from 1 on".to_owned(),
            help: Some("how many CPUs the capture kernel uses, such as `nr_cpus: 2`".to_owned()),
        });
    };
    let mut found = Vec::new();
    let kdump = Path::default().key("kdump");
    if let Some(settings) = tree.get(&kdump) {
        find_capture_cpus(kdump, settings, &mut found);
    }
    let (path, range) = match found.as_slice() {
        [one] => one,
        several => {
            let message = match several.len() {
                0 => {
                    "nothing in the scenario's kdump settings says nr_cpus= or maxcpus=".to_owned()
                }
                times => {
                    format!("the scenario's kdump settings say nr_cpus= or maxcpus= {times} times")
                }
            };
            let help = "say it once, such as `kdump.sysconfig.KDUMP_COMMANDLINE_APPEND: irqpoll \
                        nr_cpus=1 reset_devices`";
            return Err(refuse(patch, message, Some(help.to_owned())));
        }
    };
    if let Some(node) = tree.get_mut(&path.0)
        && let Value::Text(text) = &mut node.value
    {
        text.replace_range(range.clone(), &number.to_string());
        // What is wrong with the text now is this number's fault.
        node.span = patch.value.span.clone();
        node.literal = false;
    }
    Ok(())
}

/// Whatever the file and the flavour; but kdump.conf has no say in the capture kernel's command
/// line.
fn find_capture_cpus(path: Path, node: &Node, found: &mut Vec<(Path, Range<usize>)>) {
    match &node.value {
        Value::Mapping(entries) => {
            for entry in entries.iter().filter(|entry| entry.key != "conf") {
                find_capture_cpus(path.clone().key(&entry.key), &entry.value, found);
            }
        }
        Value::Text(text) => {
            let numbers = capture_cpus::numbers(text).into_iter();
            found.extend(numbers.map(|(range, _)| (path.clone(), range)));
        }
        _ => {}
    }
}

fn first_key(path: &Path) -> Option<&str> {
    match path.0.first() {
        Some(Step::Key(key)) => Some(key),
        _ => None,
    }
}

fn set(tree: &mut Node, patch: &Entry, path: &Path) -> Result<(), Refusal> {
    let removes = patch.value.value == Value::Null;
    if removes && tree.get(path).is_none() {
        let message = format!("`{path}` is not set, so there is nothing to remove");
        return Err(refuse(patch, message, None));
    }
    let refusal = nowhere(tree, patch, path);
    let mut node = tree;
    for (depth, step) in path.0.iter().enumerate() {
        let last = depth + 1 == path.0.len();
        // An absent or empty mapping on the way is made.
        if node.value == Value::Null && matches!(step, Step::Key(_)) {
            node.value = Value::Mapping(Vec::new());
        }
        node = match (step, &mut node.value) {
            (Step::Key(key), Value::Mapping(entries)) => {
                let found = entries.iter().position(|entry| entry.key == *key);
                if last && removes {
                    entries.retain(|entry| entry.key != *key);
                    return Ok(());
                }
                let at = found.unwrap_or_else(|| {
                    entries.push(Entry {
                        key: key.clone(),
                        key_span: patch.key_span.clone(),
                        value: Node::new(Value::Null, patch.key_span.clone()),
                    });
                    entries.len() - 1
                });
                let Some(entry) = entries.get_mut(at) else {
                    return Err(refusal);
                };
                if last {
                    entry.key_span = patch.key_span.clone();
                }
                &mut entry.value
            }
            (Step::Index(index), Value::List(items)) => match items.get_mut(*index) {
                Some(item) => item,
                None => return Err(refusal),
            },
            _ => return Err(refusal),
        };
    }
    *node = patch.value.clone();
    Ok(())
}

/// Says at which step the way ends.
fn nowhere(tree: &Node, patch: &Entry, path: &Path) -> Refusal {
    let mut at = Path::default();
    let mut node = tree;
    for step in &path.0 {
        match (&node.value, step) {
            (Value::List(items), Step::Index(_)) if items.is_empty() => {
                return refuse(patch, format!("`{at}` is an empty list"), None);
            }
            (Value::List(items), Step::Index(index)) if *index >= items.len() => {
                let help = format!("its items are `{at}[0]` to `{at}[{}]`", items.len() - 1);
                let message = format!("`{at}` has no item {index}");
                return refuse(patch, message, Some(help));
            }
            (Value::List(_), Step::Key(key)) => {
                let help = format!("write which item is meant: `{at}[0].{key}`");
                return refuse(patch, format!("`{at}` is a list"), Some(help));
            }
            (Value::Mapping(_), Step::Index(_)) => {
                return refuse(patch, format!("`{at}` is a mapping, not a list"), None);
            }
            (Value::Mapping(_) | Value::List(_) | Value::Null, _) => {}
            (_, step) => {
                let below = Path(vec![step.clone()]);
                let message = format!("`{at}` is a single value: there is no `{below}` below it");
                return refuse(patch, message, None);
            }
        }
        at.0.push(step.clone());
        match node.get(&Path(vec![step.clone()])) {
            Some(next) => node = next,
            None => break,
        }
    }
    refuse(patch, format!("`{path}` leads nowhere"), None)
}

fn refuse(patch: &Entry, message: String, help: Option<String>) -> Refusal {
    Refusal {
        span: patch.key_span.clone(),
        message,
        help,
    }
}
