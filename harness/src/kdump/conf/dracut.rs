//! The arguments of `dracut_args`.

/// What one argument of dracut, with its value, asks for.
pub(super) enum Argument {
    /// `--omit-drivers`. dracut takes patterns; here they are names.
    Omit(Vec<String>),
    /// `--add-drivers` and `--force-drivers`.
    Add(Vec<String>),
    /// `--mount "device mountpoint type options"`.
    Mount(String),
    /// Any other word.
    Other(String),
}

/// The words of a `dracut_args` line.
///
/// # Errors
/// The option at the end that lacks its value.
pub(super) fn arguments(words: Vec<String>) -> Result<Vec<Argument>, String> {
    let mut arguments = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let (option, value) = match word.split_once('=') {
            Some((option, value)) => (option, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        let wanted: fn(String) -> Argument = match option {
            "--omit-drivers" => |value| Argument::Omit(list(&value)),
            "--add-drivers" | "--force-drivers" => |value| Argument::Add(list(&value)),
            "--mount" => Argument::Mount,
            _ => {
                arguments.push(Argument::Other(word));
                continue;
            }
        };
        match value.or_else(|| words.next()) {
            Some(value) => arguments.push(wanted(value)),
            None => return Err(option.to_owned()),
        }
    }
    Ok(arguments)
}

fn list(value: &str) -> Vec<String> {
    value.split_whitespace().map(str::to_owned).collect()
}
