//! How many CPUs a command line gives the capture kernel.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// The parameters that say it.
pub const PARAMETERS: [&str; 2] = ["nr_cpus", "maxcpus"];

static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r#"(?:^|[\s"'=])(?:nr_cpus|maxcpus)=(?<number>\d+)\b"#;
    // A unit test compiles it.
    Regex::new(pattern).unwrap_or_else(|error| unreachable!("{error}"))
});

/// Each number behind `nr_cpus=` or `maxcpus=` in a command line or a configuration file, outside
/// of comments, and the bytes of the text that hold it.
pub fn numbers(text: &str) -> Vec<(Range<usize>, u64)> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let code = line.find('#').map_or(line, |comment| &line[..comment]);
        found.extend(NUMBER.captures_iter(code).filter_map(|word| {
            let number = word.name("number")?;
            let range = start + number.start()..start + number.end();
            Some((range, number.as_str().parse().ok()?))
        }));
        start += line.len();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn words_outside_of_comments() {
        for (text, wanted) in [
            ("irqpoll nr_cpus=1 reset_devices", vec![(16..17, 1)]),
            (
                "KDUMP_COMMANDLINE_APPEND=\"maxcpus=12\"",
                vec![(34..36, 12)],
            ),
            ("# nr_cpus=1\nA=\"nr_cpus=2\"\n", vec![(23..24, 2)]),
            ("nr_cpus=1 nr_cpus=2", vec![(8..9, 1), (18..19, 2)]),
            ("xnr_cpus=1 nr_cpus=x nr_cpus=", vec![]),
        ] {
            assert_eq!(numbers(text), wanted, "{text}");
        }
    }
}
