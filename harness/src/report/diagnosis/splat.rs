//! One kernel report.

use super::words;
use super::{BAD, BOLD, DIM, NEW, View, facts, quote_line};
use crate::console::splat::{Frame, Module, Splat, Symbol};
use crate::diagnose::{Diagnosis, Reported};
use crate::report::page::{Page, Text};

/// Frames shown of a trace.
const FRAMES: usize = 16;
/// Frames shown in any case: the innermost, which say what happened.
const INNERMOST: usize = 6;

/// Number `index` of the reports: one line, or everything.
pub(super) fn show(page: &mut Page, diagnosis: &Diagnosis, index: usize, view: View, full: bool) {
    let Some(report) = diagnosis.reports.get(index) else {
        return;
    };
    let splat = &report.splat;
    let lead = Text::new().plain(&format!("  {}. ", index + 1));
    let style = if splat.fatal { BAD } else { NEW };
    let mut head = Text::new().styled(style, &splat.kind.to_string());
    if let Some(function) = &splat.function {
        head = head.plain(" in ").styled(BOLD, function);
    }
    head = head.plain(&format!(", {}", place(diagnosis, report)));
    if !full {
        page.flow(
            &lead,
            &head
                .styled(DIM, &format!(": {}", splat.title))
                .cut(view.most()),
        );
        return;
    }
    page.flow(&lead, &head);
    let mut title = Text::new().plain(&splat.title).cut(view.most());
    if splat.cut {
        title = title.styled(NEW, " (only part of this report is in the log)");
    }
    page.flow(&Text::new().plain("     "), &title);
    for also in &splat.also {
        let text = Text::new()
            .styled(DIM, &quote_line(diagnosis, also.line))
            .plain(&also.text);
        page.flow(&Text::new().plain("       "), &text.cut(view.most()));
    }
    let boot = diagnosis.boots.get(report.boot);
    details(
        page,
        splat,
        boot.and_then(|boot| boot.release.as_deref()),
        view,
    );
    if !splat.trace.is_empty() {
        trace(page, "call trace, innermost first", &splat.trace, view);
    }
    let shown = if view.verbose {
        splat.more_traces.len()
    } else {
        0
    };
    for more in splat.more_traces.iter().take(shown) {
        trace(page, &more.title, &more.frames, view);
    }
    if shown < splat.more_traces.len() {
        let titles: Vec<&str> = splat
            .more_traces
            .iter()
            .map(|more| more.title.trim_end_matches(':'))
            .collect();
        let text = Text::new().styled(DIM, &format!("further traces (-v): {}", titles.join("; ")));
        page.flow(&Text::new().plain("     "), &text.cut(view.most()));
    }
}

/// Which kernel, which lines, how often.
fn place(diagnosis: &Diagnosis, report: &Reported) -> String {
    let splat = &report.splat;
    let lines = match splat.last_line {
        last if last > splat.line => format!("lines {}-{last}", splat.line),
        _ => format!("line {}", splat.line),
    };
    let stamp = splat.stamp.map_or(String::new(), |stamp| {
        format!(" at {} s", words::stamp(stamp))
    });
    let boot = match diagnosis.boots.get(report.boot) {
        Some(boot) if diagnosis.boots.len() > 1 => {
            format!(", {} (boot {})", words::role(boot), report.boot + 1)
        }
        Some(boot) => format!(", {}", words::role(boot)),
        None => String::new(),
    };
    let count = match report.count {
        0 | 1 => String::new(),
        count => format!(", {count} times"),
    };
    format!("{lines}{stamp}{boot}{count}")
}

/// `known` is the release that the boot is shown with.
fn details(page: &mut Page, splat: &Splat, known: Option<&str>, view: View) {
    let mut rows: Vec<(&str, Text)> = Vec::new();
    let source = splat
        .source
        .as_ref()
        .map(|source| format!("{}:{}", source.file, source.line));
    match (&splat.at, source) {
        (Some(at), Some(source)) => {
            rows.push(("at", symbol(at, BOLD).plain(&format!(", {source}"))));
        }
        (Some(at), None) => rows.push(("at", symbol(at, BOLD))),
        (None, Some(source)) => rows.push(("at", Text::new().plain(&source))),
        (None, None) => {}
    }
    if let Some(process) = process(splat) {
        rows.push(("process", Text::new().plain(&process)));
    }
    if let Some(release) = &splat.release
        && known != Some(release)
    {
        rows.push(("kernel", Text::new().plain(release)));
    }
    if let Some(hardware) = &splat.hardware {
        rows.push(("hardware", Text::new().plain(hardware)));
    }
    match splat.taint.as_deref() {
        Some("") => rows.push(("taint", Text::new().plain("none"))),
        Some(flags) => {
            let text = Text::new()
                .plain(flags)
                .styled(DIM, &format!(" ({})", words::taint(flags)));
            rows.push(("taint", text));
        }
        None => {}
    }
    if !splat.modules.is_empty() {
        rows.push(("modules", modules(splat, view)));
    }
    facts(page, 5, &rows);
}

/// All of them, or those that matter: tainting, coming or going, or in the trace.
fn modules(splat: &Splat, view: View) -> Text {
    let in_trace = |module: &Module| {
        let frames = splat
            .trace
            .iter()
            .map(|frame| &frame.symbol)
            .chain(&splat.at);
        frames
            .into_iter()
            .any(|symbol| symbol.module.as_deref() == Some(&module.name))
    };
    let mut text = Text::new().plain(&format!("{} loaded", splat.modules.len()));
    let mut separator = ": ";
    for module in &splat.modules {
        let traced = in_trace(module);
        if !view.verbose && !traced && module.flags.is_empty() {
            continue;
        }
        text = text
            .plain(separator)
            .styled(if traced { NEW } else { Default::default() }, &module.name);
        if !module.flags.is_empty() {
            text = text.plain(&format!("({})", module.flags));
        }
        if let Some(state) = state(module) {
            text = text.plain(&format!(", {state}"));
        }
        if traced {
            text = text.plain(", in the trace");
        }
        separator = "; ";
    }
    text
}

fn state(module: &Module) -> Option<&'static str> {
    match () {
        () if module.flags.contains('+') => Some("being loaded"),
        () if module.flags.contains('-') => Some("being removed"),
        () => None,
    }
}

/// `systemd-udevd, pid 234, CPU 0`.
pub(super) fn process(splat: &Splat) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(process) = &splat.process {
        parts.push(process.comm.clone());
        parts.extend(process.pid.map(|pid| format!("pid {pid}")));
    }
    parts.extend(splat.cpu.map(|cpu| format!("CPU {cpu}")));
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// `__clear_irq_vector+0x9d/0x100 [mpt3sas]`.
fn symbol(symbol: &Symbol, style: anstyle::Style) -> Text {
    let mut text = Text::new().styled(style, &symbol.name);
    if let Some(offset) = symbol.offset {
        text = text.styled(DIM, &format!("+{offset:#x}"));
        if let Some(size) = symbol.size {
            text = text.styled(DIM, &format!("/{size:#x}"));
        }
    }
    match &symbol.module {
        Some(module) => text.styled(style, &format!(" [{module}]")),
        None => text,
    }
}

fn trace(page: &mut Page, title: &str, frames: &[Frame], view: View) {
    let unreliable = match frames.iter().any(|frame| !frame.reliable) {
        true => "; ? marks what was only found on the stack",
        false => "",
    };
    let text = Text::new()
        .plain(title.trim_end_matches(':'))
        .styled(DIM, unreliable);
    page.flow(&Text::new().plain("     "), &text);
    let keep = match view.verbose {
        true => vec![true; frames.len()],
        false => folded(frames),
    };
    let lead = Text::new().plain("       ");
    for run in (0..frames.len())
        .collect::<Vec<_>>()
        .chunk_by(|one, other| keep[*one] == keep[*other])
    {
        if run.first().is_some_and(|first| !keep[*first]) {
            let text = format!("... {}", words::count(run.len() as u64, "more frame"));
            page.flow(&lead, &Text::new().styled(DIM, &format!("{text} (-v)")));
            continue;
        }
        for frame in run.iter().filter_map(|at| frames.get(*at)) {
            let style = match (&frame.symbol.module, frame.reliable) {
                (_, false) => DIM,
                (Some(_), true) => NEW,
                (None, true) => Default::default(),
            };
            let mark = if frame.reliable { "" } else { "? " };
            let mut text = Text::new()
                .styled(DIM, mark)
                .then(symbol(&frame.symbol, style));
            if let Some(source) = &frame.source {
                text = text.styled(DIM, &format!(" {}:{}", source.file, source.line));
            }
            page.flow(&lead, &text);
        }
    }
}

/// Which frames to show of a long trace: the innermost, those in modules and what they call and
/// are called by, and the outermost; what room is left goes to reliable frames, innermost first.
fn folded(frames: &[Frame]) -> Vec<bool> {
    let count = frames.len();
    if count <= FRAMES + 2 {
        return vec![true; count];
    }
    let module = |at: usize| {
        frames
            .get(at)
            .is_some_and(|frame| frame.reliable && frame.symbol.module.is_some())
    };
    let rank = |at: usize| match at {
        at if at < INNERMOST || at + 1 == count => 0,
        at if module(at) => 1,
        at if !frames.get(at).is_some_and(|frame| frame.reliable) => 4,
        at if module(at + 1) || at > 0 && module(at - 1) => 2,
        _ => 3,
    };
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|at| rank(*at));
    let mut keep = vec![false; count];
    for at in order.into_iter().take(FRAMES) {
        keep[at] = true;
    }
    // A line saying that one frame is missing takes the room of the frame.
    for at in 1..count - 1 {
        keep[at] |= keep[at - 1] && keep[at + 1];
    }
    keep
}

/// How the kernel came to where it failed: `_base_unmap_resources <- ... <- _scsih_probe
/// [mpt3sas], its probe function, while mpt3sas was being loaded by systemd-udevd (pid 234)`.
pub(super) fn reached(splat: &Splat) -> Option<String> {
    let reliable: Vec<&Symbol> = splat
        .trace
        .iter()
        .filter(|frame| frame.reliable)
        .map(|frame| &frame.symbol)
        .collect();
    // Above the function to blame stands what reports.
    let blamed = |symbol: &&Symbol| {
        let plain = symbol.name.split('.').next();
        plain.is_some() && plain == splat.function.as_deref()
    };
    let first = reliable.iter().position(blamed).map_or(0, |at| at + 1);
    let callers = reliable.get(first..).unwrap_or_default();
    let begin = callers.iter().position(|symbol| symbol.module.is_some());
    let Some(begin) = begin else {
        let chain: Vec<&str> = callers
            .iter()
            .take(4)
            .map(|symbol| symbol.name.as_str())
            .collect();
        return (!chain.is_empty()).then(|| chain.join(" <- "));
    };
    let module = callers[begin].module.as_deref()?;
    let run = callers[begin..]
        .iter()
        .take_while(|symbol| symbol.module.as_deref() == Some(module))
        .count();
    let names: Vec<&str> = callers[begin..begin + run]
        .iter()
        .map(|symbol| symbol.name.as_str())
        .collect();
    let chain = match names.as_slice() {
        [one, two, three, _, .., last] if names.len() > 5 => {
            [one, two, three, "...", last].join(" <- ")
        }
        names => names.join(" <- "),
    };
    let mut text = format!("{chain} [{module}]");
    // Who called the outermost of them says what it is.
    if let Some(caller) = callers.get(begin + run) {
        let is = |names: &[&str], suffix: &str| {
            caller.name.ends_with(suffix) || names.contains(&caller.name.as_str())
        };
        if is(
            &[
                "really_probe",
                "call_driver_probe",
                "driver_probe_device",
                "usb_probe_interface",
            ],
            "_probe",
        ) {
            text.push_str(", the driver's probe function");
        } else if is(
            &["__device_release_driver", "usb_unbind_interface"],
            "_remove",
        ) {
            text.push_str(", the driver's remove function");
        }
    }
    let flags = splat.modules.iter().find(|loaded| loaded.name == module);
    let loading = ["do_init_module", "load_module"];
    let state = flags.and_then(state).or_else(|| {
        let loads = callers[begin..]
            .iter()
            .any(|symbol| loading.contains(&symbol.name.as_str()));
        loads.then_some("being loaded")
    });
    if let Some(state) = state {
        text.push_str(&format!(", while {module} was {state}"));
        if let Some(process) = &splat.process {
            text.push_str(&format!(" by {}", process.comm));
            if let Some(pid) = process.pid {
                text.push_str(&format!(" (pid {pid})"));
            }
        }
    }
    Some(text)
}
