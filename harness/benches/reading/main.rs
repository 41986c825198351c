//! How fast a log is diagnosed, beside how fast its lines can be counted at all.
//!
//! `cargo bench --bench reading -- [MIB [LOG]]`, by default 1024 MiB of every log. One thread. Each
//! figure is a rate and the ratio to counting line feeds in the same bytes in the same run; the
//! peak is the process's own (VmHWM in /proc/self/status), first after 64 MiB and then after
//! everything.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use nix::time::{ClockId, clock_gettime};

use crashdrill::diagnose::Reader;
use crashdrill::verdict::RuleBook;

/// Bytes of a log that are in memory at a time.
const BLOCK: usize = 8 << 20;
/// Blocks after which memory has to have come to its peak.
const WARM: usize = 8;
/// What one read(2) of the command gives at most.
const PIECE: usize = 256 << 10;

const HEALTHY: &str = include_str!("../../tests/logs/healthy-virtio-blk-6.1.log");
const OOPS: &str = include_str!("../../tests/logs/field-report-reproduced-3.10-i40e-mpt3sas.log");

fn main() -> ExitCode {
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'));
    let mib = match arguments.next().map(|word| word.parse::<usize>()) {
        None => 1024,
        Some(Ok(mib)) if mib > 0 => mib,
        Some(_) => {
            eprintln!("usage: cargo bench --bench reading -- [MIB [LOG]]");
            return ExitCode::from(2);
        }
    };
    let only = arguments.next();
    let rounds = mib.div_ceil(BLOCK >> 20).max(WARM);
    println!(
        "{} MiB a log, {} bytes a read",
        rounds * (BLOCK >> 20),
        PIECE
    );
    for (name, log, wanted) in LOGS {
        if only.as_ref().is_none_or(|only| only == name) {
            read(name, log(), *wanted, rounds);
        }
    }
    ExitCode::SUCCESS
}

/// Gives the next lines of a log.
type Source = Box<dyn FnMut() -> Vec<u8>>;

/// Name, text, and the MB/s that are wanted.
type Row = (&'static str, fn() -> Source, f64);

const LOGS: &[Row] = &[
    ("clean", clean, 500.0),
    ("oopses", oopses, 200.0),
    // Nothing may be quadratic, whatever stands in the log.
    ("long", || repeated("x"), 0.0),
    ("brackets", || repeated("["), 0.0),
    ("escapes", || repeated("\x1b"), 0.0),
    ("returns", || repeated("a\r"), 0.0),
    ("stamps", || repeated("[    1.234567] "), 0.0),
    ("bugs", || repeated("BUG: \n"), 0.0),
    ("joined", || repeated("BUG: unable to handle "), 0.0),
    (
        "kernels",
        || repeated("[    0.000000] Linux version 6.1.0 (x)\n"),
        0.0,
    ),
    (
        "panics",
        || repeated("[    1.000000] Kernel panic - not syncing: x\n"),
        0.0,
    ),
    (
        "frames",
        || repeated("[    1.000000]  foo+0x1/0x2 [bar]\n"),
        0.0,
    ),
    ("modules", || repeated("Modules linked in: abc(O) "), 0.0),
    ("numbered", numbered, 0.0),
];

/// The lines of a healthy boot.
fn clean() -> Source {
    let crash = HEALTHY.find("sysrq: Trigger").unwrap_or(HEALTHY.len());
    generated(messages(&HEALTHY[..crash], |message| {
        // What begins a kernel.
        !["Linux version", "ommand line"]
            .iter()
            .any(|word| message.contains(word))
    }))
}

/// The same report over and over.
fn oopses() -> Source {
    let begin = OOPS.find("cut here").unwrap_or(0);
    let end = OOPS[begin..]
        .find("Rebooting in")
        .unwrap_or(OOPS.len() - begin);
    generated(messages(&OOPS[begin..begin + end], |_| true))
}

/// Reports of which no two are the same.
fn numbered() -> Source {
    let lines = (0..).map(|n| {
        let seconds = n % 90_000;
        format!(
            "[{seconds:5}.000000] kernel BUG at fs/x{n}.c:{n}!\n\
             [{seconds:5}.000000] RIP: 0010:f{n}+0x1/0x2\n"
        )
    });
    filled(lines.map(String::into_bytes))
}

fn repeated(text: &'static str) -> Source {
    filled(std::iter::repeat(text.as_bytes().to_vec()))
}

/// As many of these at a time as a block holds.
fn filled(mut parts: impl Iterator<Item = Vec<u8>> + 'static) -> Source {
    Box::new(move || {
        let mut log = Vec::with_capacity(BLOCK + 4096);
        while log.len() < BLOCK {
            match parts.next() {
                Some(part) => log.extend_from_slice(&part),
                None => break,
            }
        }
        log
    })
}

fn read(name: &str, mut log: Source, wanted: f64, rounds: usize) {
    let mut counting = Rate::default();
    let mut reading = Rate::default();
    let mut reader = Reader::new(RuleBook::builtin());
    let mut peak_when_warm = 0;
    for round in 1..=rounds {
        let block = log();
        counting.add(block.len(), || {
            let lines = memchr::memchr_iter(b'\n', black_box(&block)).count();
            black_box(lines);
        });
        reading.add(block.len(), || {
            for piece in block.chunks(PIECE) {
                reader.push(black_box(piece));
            }
        });
        if round == WARM {
            peak_when_warm = peak();
        }
    }
    let peak = peak();
    let diagnosis = reader.finish(None);
    println!(
        "{name:8} {:6.0} MB/s, {:6.0} MB per CPU second (wanted {wanted:.0}); counting lines \
         {:6.0} MB per CPU second, ratio {:.3}; peak {peak_when_warm} KiB after {} MiB, {peak} KiB \
         after all; {} lines, {} kinds of report, {} not listed",
        reading.on_the_clock(),
        reading.of_cpu(),
        counting.of_cpu(),
        reading.of_cpu() / counting.of_cpu(),
        WARM * (BLOCK >> 20),
        diagnosis.lines,
        diagnosis.reports.len(),
        diagnosis.omitted.reports,
    );
}

/// Bytes, seconds on the clock, and seconds of this thread's own CPU time, which other processes do
/// not shorten.
#[derive(Default)]
struct Rate {
    bytes: usize,
    clock: f64,
    cpu: f64,
}

impl Rate {
    fn add(&mut self, bytes: usize, once: impl FnOnce()) {
        let (begin, cpu) = (Instant::now(), cpu_seconds());
        once();
        self.bytes += bytes;
        self.clock += begin.elapsed().as_secs_f64();
        self.cpu += cpu_seconds() - cpu;
    }

    /// MB/s (10^6 bytes).
    fn on_the_clock(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.clock
    }

    /// MB (10^6 bytes) per CPU second.
    fn of_cpu(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.cpu
    }
}

fn cpu_seconds() -> f64 {
    let now = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    let now = now.expect("a thread may ask for its own time");
    now.tv_sec() as f64 + now.tv_nsec() as f64 / 1e9
}

/// Messages without their time stamps.
fn messages(log: &'static str, wanted: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let lines = log.lines().filter_map(|line| {
        let (_, rest) = line.strip_prefix('[')?.split_once("] ")?;
        Some(rest)
    });
    lines.filter(|message| wanted(message)).collect()
}

/// A log of these messages, over and over, with a clock that goes on.
fn generated(messages: Vec<&'static str>) -> Source {
    let clock = (1_000_000u64..).step_by(137);
    let messages = messages.into_iter().cycle();
    filled(clock.zip(messages).map(|(micros, message)| {
        let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
        format!("[{seconds:5}.{micros:06}] {message}\n").into_bytes()
    }))
}

/// The most memory that this process has had, in KiB, a block of the log included.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse().ok())
        .unwrap_or(0)
}
