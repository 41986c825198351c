//! The core collector as a script starts it.

use super::CaptureOrder;

/// Loaded before a makedumpfile with threads starts.
///
/// Each of its threads closes file descriptor 0 when it ends (1.7.2 to 1.7.6: a
/// `struct dump_bitmap` of zeroes, whose `fd` is closed if it is not negative), and then calls
/// pthread_exit(3), for which glibc opens libgcc_s.so.1 unless it is loaded already. The first
/// thread's library gets the number that has just become free, the second thread closes it, and
/// glibc aborts. RHEL's and Fedora's makedumpfile is linked with libsnappy and so with libstdc++
/// and libgcc_s: theirs is loaded from the start. Debian's is not.
pub const PRELOADED: &str = "libgcc_s.so.1";

impl CaptureOrder {
    /// The core collector on so many CPUs, with what the script itself adds to it: kdump.sh looks
    /// for `makedumpfile`, `-F` and `-E` anywhere in the line.
    pub fn collector_on(&self, cpus: u32) -> Vec<String> {
        let mut argv = self.collector.clone();
        let has = |text: &str| argv.iter().any(|word| word.contains(text));
        let threads = self.script.adds_threads() && has("makedumpfile") && !has("-F") && !has("-E");
        if threads && cpus > 1 {
            argv.push(format!("--num-threads={cpus}"));
        }
        argv
    }
}

/// Whether this starts a makedumpfile that reads in threads: `--num-threads=2`, `--num-threads 2`.
pub fn has_threads(argv: &[String]) -> bool {
    argv.iter().any(|word| word.contains("makedumpfile"))
        && argv.iter().any(|word| word.starts_with("--num-threads"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{Action, FailureAction, Script, Target};

    fn with(script: Script, line: &str, cpus: u32) -> String {
        let order = CaptureOrder {
            script,
            drivers: Vec::new(),
            target: Target::Raw {
                device: "/dev/vda".to_owned(),
            },
            wait_ms: 0,
            path: "/".to_owned(),
            collector: words(line),
            pre: None,
            post: None,
            emergency: None,
            failure_action: FailureAction::Shell,
            final_action: Action::Reboot,
            shell: false,
        };
        order.collector_on(cpus).join(" ")
    }

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn threads_for_makedumpfile() {
        let line = "makedumpfile -l -d 31";
        assert_eq!(with(Script::Rhel8, line, 4), line);
        assert_eq!(with(Script::Rhel9, line, 1), line);
        assert_eq!(
            with(Script::Rhel9, line, 4),
            "makedumpfile -l -d 31 --num-threads=4"
        );
        assert_eq!(
            with(Script::Fedora, "/sbin/makedumpfile -F -l", 4),
            "/sbin/makedumpfile -F -l"
        );
        assert_eq!(with(Script::Fedora, "cp", 4), "cp");
    }

    #[test]
    fn a_makedumpfile_with_threads() {
        let has_threads = |line| has_threads(&words(line));
        assert!(has_threads("makedumpfile -l --num-threads=2"));
        assert!(has_threads("/sbin/makedumpfile --num-threads 2 -F"));
        assert!(has_threads("nice makedumpfile -l --num-threads=2"));
        assert!(!has_threads("makedumpfile -l -d 31"));
        assert!(!has_threads("cp --num-threads=2"));
    }
}
