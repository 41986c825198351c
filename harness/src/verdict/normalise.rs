//! Takes out of an outcome what differs between two runs of the same drill.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::outcome::Outcome;

/// Patterns and what takes their place, applied one after the other. No replacement may match a
/// pattern again: normalising twice changes nothing more.
const REPLACEMENTS: &[(&str, &str)] = &[
    // log level, time stamp, caller
    (r"^(<\d{1,3}>)+", ""),
    (r"\[ *\d+\.\d{6}\] ?", ""),
    (r"\[ *[TC]\d+\] ?", ""),
    // what names the build, the compiler, and the drill
    (r"(Linux version ).+", "${1}<release>"),
    (r"(ommand line: ).+", "${1}<parameters>"),
    // dates: 2026-11-22T09:27:34, 2026-11-22-09:27:34, Sun Nov 22 07:48:26 UTC 2026, 04/01/2014
    (
        r"\b\d{4}-\d\d-\d\d(?:[T :_-]+\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?",
        "<date>",
    ),
    (
        r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +\d+ \d\d:\d\d:\d\d(?: [A-Z]{3,5})? \d{4}",
        "<date>",
    ),
    (r"\b\d\d/\d\d/\d{4}\b", "<date>"),
    // kdump-tools' directories: /var/crash/202611252352
    (r"([/.])20\d{10}\b", "${1}<date>"),
    // code addresses: what stands behind the function is of no use without this very kernel
    (r"\+0x[0-9a-f]+/0x[0-9a-f]+", ""),
    (r"\[<(?:[0-9a-f]{8,16}|\(null\))>\] *", ""),
    (r"\b0[xX][0-9a-fA-F]+\b", "<hex>"),
    (r"\b[0-9a-f]{16}\b", "<hex>"),
    (r"\.([chS]):\d+", ".$1:<line>"),
    // processes
    (r"\b(PID: |pid[ =:]+|[Pp]rocess )\d+", "${1}<pid>"),
    (
        r"\b(kdump(?:\.sh|ctl|-tools)?|systemd|dracut[a-z-]*|kernel)\[\d+\]",
        "${1}[<pid>]",
    ),
    (r"\bkworker/[u\d][\d:]*H?\b", "kworker/<n>"),
    // Who asks for the last page is chance.
    (
        r"^(?:CPU: \d+ )?\S.* invoked oom-killer\b.*",
        "<process> invoked oom-killer",
    ),
    (r"(Killed? process <pid>(?: \([^)]*\))?).*", "$1"),
    // interrupts
    (
        r"(?i)\b(irqs?|interrupts?|vector)([ :=#]+)\d+",
        "${1}${2}<irq>",
    ),
    // versions
    (r"\b\d+(?:\.\d+){3,}\b", "<version>"),
    (
        r"\b\d+\.\d+(?:\.\d+)*(?:-[0-9A-Za-z][0-9A-Za-z.+~_]*)+",
        "<release>",
    ),
    (r"\b([Vv]ersion )\d[0-9A-Za-z.+~_-]*", "${1}<version>"),
    // quantities
    (r"\[ *\d+(?:\.\d+)? ?%\]", "[<n> %]"),
    (
        r"\b\d+(?:\.\d+)? ?([kKMGT]i?B|bytes|pages|kilobytes|megabytes)\b",
        "<size> $1",
    ),
    (
        r"\b\d+(?:\.\d+)? ?(ms|usecs?|secs?|seconds|minutes|jiffies)\b",
        "<time> $1",
    ),
    (r"\beta: (?:>24h|(?:\d+[hm])*\d+s)", "eta: <time>"),
    // A progress bar that was cut off by the next message.
    (
        r"^[A-Z][A-Za-z ]+: \[<n> %\] [-/|\\] +(?:eta: <time> *)?(kdump[:\[])",
        "$1",
    ),
    // makedumpfile's mkstemp()
    (r"\bvmcoreinfo[A-Za-z0-9]{6}\b", "vmcoreinfo<random>"),
];

static COMPILED: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let compile = |(pattern, with): &(&str, &'static str)| match Regex::new(pattern) {
        Ok(regex) => (regex, *with),
        // A unit test compiles them all.
        Err(error) => unreachable!("{pattern}: {error}"),
    };
    REPLACEMENTS.iter().map(compile).collect()
});

/// A line, as a snapshot holds it.
pub fn normalise_text(text: &str) -> String {
    let mut text = Cow::Borrowed(text.trim());
    // A replacement may uncover what an earlier pattern takes: until nothing changes. Each round
    // takes digits away or ends, so there is an end; the bound is for the reader.
    for _ in 0..16 {
        let mut next = text.clone().into_owned();
        for (regex, with) in COMPILED.iter() {
            if let Cow::Owned(changed) = regex.replace_all(&next, *with) {
                next = changed;
            }
        }
        let next = next.trim().to_owned();
        if next == text {
            break;
        }
        text = Cow::Owned(next);
    }
    text.into_owned()
}

/// The outcome as a snapshot holds it: without times, addresses, process ids, unstable interrupt
/// numbers and versions.
pub fn normalise(outcome: &Outcome) -> Outcome {
    let mut outcome = outcome.clone();
    let mut evidence: Vec<String> = Vec::with_capacity(outcome.evidence.len());
    for text in &outcome.evidence {
        let text = normalise_text(text);
        if !evidence.contains(&text) {
            evidence.push(text);
        }
    }
    outcome.evidence = evidence;
    if let Some(vmcore) = &mut outcome.vmcore {
        vmcore.panic = vmcore.panic.as_deref().map(normalise_text);
    }
    outcome
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_differs_is_taken_out() {
        for (raw, wanted) in [
            (
                "[   18.419317] mpt3sas0: unable to allocate interrupt 214!",
                "mpt3sas0: unable to allocate interrupt <irq>!",
            ),
            (
                "<4>[    4.454908][  T123] nvme nvme0: Removing after probe failure status: -28",
                "nvme nvme0: Removing after probe failure status: -28",
            ),
            (
                "[    2.763117] RIP: 0010:[<ffffffff81030bc0>]  [<ffffffff81030bc0>] __clear_irq_vector+0xc0/0x140",
                "RIP: 0010:__clear_irq_vector",
            ),
            (
                "kernel BUG at arch/x86/kernel/apic/io_apic.c:1356!",
                "kernel BUG at arch/x86/kernel/apic/io_apic.c:<line>!",
            ),
            (
                "[    0.000000] Linux version 6.1.0-50-amd64 (x@y) (gcc-12 (Debian 12.2.0-14+deb12u1)",
                "Linux version <release>",
            ),
            (
                "Kernel command line: console=ttyS0 elfcorehdr=802164K",
                "Kernel command line: <parameters>",
            ),
            (
                "#1 SMP Debian 6.1.192-2 (2026-11-16)",
                "#1 SMP Debian <release> (<date>)",
            ),
            (
                "CPU: 0 PID: 20 Comm: kworker/u2:1 Not tainted 3.10.0-514 #5",
                "CPU: 0 PID: <pid> Comm: kworker/<n> Not tainted <release> #5",
            ),
            (
                "makedumpfile invoked oom-killer: gfp_mask=0x140dca(GFP_HIGHUSER), order=0",
                "<process> invoked oom-killer",
            ),
            (
                "Out of memory: Killed process 83 (makedumpfile) total-vm:2456kB, anon-rss:1kB",
                "Out of memory: Killed process <pid> (makedumpfile)",
            ),
            (
                "kdump: saving to /kdumproot/var/crash/127.0.0.1-2026-11-22-09:27:34/",
                "kdump: saving to /kdumproot/var/crash/<version>-<date>/",
            ),
            (
                "Copying data : [ 17.9 %] | eta: 3s",
                "Copying data : [<n> %] | eta: <time>",
            ),
            (
                r"Copying data    : [  2.9 %] \           eta: 3skdump: saving vmcore failed, exitcode:1",
                "kdump: saving vmcore failed, exitcode:1",
            ),
            (
                "Unable to handle kernel paging request at virtual address 0x1000",
                "Unable to handle kernel paging request at virtual address <hex>",
            ),
            (
                "invalid opcode: 0000 [#1] SMP ",
                "invalid opcode: 0000 [#1] SMP",
            ),
            (
                "end: not a byte on the console for 60s",
                "end: not a byte on the console for 60s",
            ),
            (
                "copy_vmcoreinfo: Can't open the vmcoreinfo file(/tmp/vmcoreinfole8xu1). No",
                "copy_vmcoreinfo: Can't open the vmcoreinfo file(/tmp/vmcoreinfo<random>). No",
            ),
            (
                "[   27.286860] kdump-tools[242]: kdump-tools: saved vmcore in /var/crash/202611252352.",
                "kdump-tools[<pid>]: kdump-tools: saved vmcore in /var/crash/<date>.",
            ),
            (
                "sym0: request irq 21 failure",
                "sym0: request irq <irq> failure",
            ),
        ] {
            assert_eq!(normalise_text(raw), wanted);
        }
    }

    proptest! {
        #[test]
        fn twice_is_once(text in line()) {
            let once = normalise_text(&text);
            prop_assert_eq!(normalise_text(&once), once);
        }
    }

    /// Text made of what the patterns look for.
    fn line() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "[ -~]{0,6}",
            "[0-9.:-]{1,12}",
            "(irq|PID: |process |0x|\\[|\\]|<|>|kB| %|/tmp/|version |\\+0x1/0x|T| ms)[0-9a-f]{0,4}",
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }
}
