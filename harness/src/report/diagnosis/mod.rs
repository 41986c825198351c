//! A diagnosis for people: the answer first, then what it rests on, what to try, and everything
//! that the log holds.

mod json;
mod splat;
mod words;

pub use json::{diagnosis_json, diagnosis_schema};

use super::page::{BAD, BOLD, DIM, GOOD, NEW, Page, Text, facts, heading};
use crate::console::boots::{Boot, Role};
use crate::diagnose::{Case, Config, Diagnosis, Noted, Quote, Reported};
use crate::verdict::outcome::Verdict;

/// How a diagnosis is shown.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Columns.
    pub width: usize,
    /// Everything, instead of a screen or two.
    pub verbose: bool,
}

impl View {
    /// Characters shown of one text of the log.
    fn most(self) -> usize {
        if self.verbose { usize::MAX } else { 240 }
    }

    /// How many of a list to show, of which `usual` are enough.
    fn some(self, usual: usize) -> usize {
        if self.verbose { usize::MAX } else { usual }
    }
}

/// The whole text, with styles; `unread` is why the log was not read to its end.
pub fn diagnosis_text(diagnosis: &Diagnosis, unread: Option<&str>, view: View) -> String {
    let mut page = Page::new(view.width);
    let case = diagnosis.cases.last();
    answer(&mut page, diagnosis, case, unread, view);
    if let Some(case) = case {
        evidence(&mut page, diagnosis, case, view);
        noted(
            &mut page,
            diagnosis,
            "Besides, and not the cause",
            &case.contributing,
            view,
        );
        remedies(&mut page, diagnosis, case, view);
        noted(
            &mut page,
            diagnosis,
            "Other causes that some lines speak for",
            &case.runners_up,
            view,
        );
    }
    earlier(&mut page, diagnosis, view);
    boots(&mut page, diagnosis, view);
    reports(&mut page, diagnosis, view);
    page.finish()
}

/// A text from a rule: its line breaks mean nothing.
fn prose(text: &str) -> Text {
    let words: Vec<&str> = text.split_whitespace().collect();
    Text::new().plain(&words.join(" "))
}

/// `console.log:17: `, which terminals and editors take for a place.
fn quote_line(diagnosis: &Diagnosis, line: u64) -> String {
    match &diagnosis.file {
        Some(file) => format!("{file}:{line}: "),
        None => format!("line {line}: "),
    }
}

/// `capture-panicked (irq-vector-exhaustion)`.
fn named(case: &Case) -> Text {
    let style = match case.verdict {
        Verdict::VmcoreSaved => GOOD,
        Verdict::Unknown => NEW.bold(),
        _ => BAD,
    };
    let text = Text::new().styled(style, &case.verdict.to_string());
    match case.cause.to_string().as_str() {
        "none" => text,
        "unknown" if case.verdict == Verdict::Unknown => text,
        "unknown" => text.styled(style, " (cause unknown)"),
        cause => text.styled(style, &format!(" ({cause})")),
    }
}

/// Index of the report that the answer is about: not one of another crash.
fn behind(diagnosis: &Diagnosis) -> Option<usize> {
    let Some(case) = diagnosis.cases.last() else {
        return diagnosis.headline;
    };
    case.report.or(diagnosis.headline.filter(|index| {
        let report = diagnosis.reports.get(*index);
        report.is_some_and(|report| case.boots.contains(&report.boot))
    }))
}

fn answer(
    page: &mut Page,
    diagnosis: &Diagnosis,
    case: Option<&Case>,
    unread: Option<&str>,
    view: View,
) {
    let file = diagnosis.file.as_deref().unwrap_or("standard input");
    let head = Text::new().styled(BOLD, file).plain(": ");
    let report = behind(diagnosis).and_then(|index| diagnosis.reports.get(index));
    let head = match (case, report) {
        (Some(case), _) => head.then(named(case)),
        (None, Some(report)) if diagnosis.crash => {
            let style = if report.splat.fatal { BAD } else { NEW.bold() };
            let head = head.styled(style, &report.splat.kind.to_string());
            match &report.splat.function {
                Some(function) => head.styled(style, &format!(" in {function}")),
                None => head,
            }
        }
        (None, _) if diagnosis.crash => head.styled(BAD, "a crash"),
        (None, _) => head.styled(GOOD, "no crash found"),
    };
    page.flow_at(&Text::new(), 2, &head);
    let indent = Text::new().plain("  ");
    if let Some(unread) = unread {
        let text = format!("Read only in part, and this is about that part: {unread}");
        page.flow(&indent, &Text::new().styled(NEW.bold(), &text));
    }
    match case {
        Some(case) => {
            if diagnosis.cases.len() > 1 {
                let text = format!(
                    "The last of {} crashes in this log; the others are below.",
                    diagnosis.cases.len()
                );
                page.flow(&indent, &Text::new().plain(&text));
            }
            if case.explanation.is_empty() {
                page.flow(&indent, &Text::new().plain(words::verdict(case.verdict)));
            }
            for sentence in &case.explanation {
                page.flow(&indent, &prose(sentence));
            }
            if case.cause.to_string() == "unknown" && case.explanation.len() < 2 {
                page.flow(&indent, &Text::new().plain("The log does not say why."));
            }
        }
        None => page.flow(&indent, &Text::new().plain(&without_case(diagnosis))),
    }
    let mut rows = Vec::new();
    let last = case.and_then(|case| diagnosis.boots.get(*case.boots.last()?));
    match report {
        Some(report) => rows = summary(diagnosis, report, view),
        None => rows.extend(last.and_then(|boot| kernel(Some(boot), None))),
    }
    if let Some(case) = case.filter(|case| !case.suspects.is_empty()) {
        rows.push((
            "suspects",
            Text::new().styled(NEW.bold(), &case.suspects.join(", ")),
        ));
    }
    if !rows.is_empty() {
        page.blank();
        facts(page, 2, &rows);
    }
}

/// What there is to say where kdump played no part.
fn without_case(diagnosis: &Diagnosis) -> String {
    let read = match diagnosis.lines {
        0 => "The log is empty".to_owned(),
        lines => {
            let lines = words::count(lines, "line");
            format!("Read {lines} ({} bytes)", diagnosis.bytes)
        }
    };
    let boots = diagnosis.boots.len() as u64 + diagnosis.omitted.boots;
    let found = match (boots, diagnosis.crash) {
        (_, true) => "Nothing in it is about a dump.",
        (0, false) => "No kernel speaks in it.",
        (_, false) if diagnosis.reports.is_empty() => "No kernel in it reports a fault of its own.",
        (_, false) => "What is reported in it is no crash.",
    };
    match boots {
        0 => format!("{read}. {found}"),
        boots => format!("{read}, {} in it. {found}", words::count(boots, "boot")),
    }
}

/// Which kernel it is about.
fn kernel(boot: Option<&Boot>, printed: Option<&String>) -> Option<(&'static str, Text)> {
    let release = boot.and_then(|boot| boot.release.as_ref()).or(printed);
    let role = boot
        .filter(|boot| boot.role != Role::Unknown)
        .map(words::role);
    let text = match (release, role) {
        (Some(release), Some(role)) => format!("{release}, the {role}"),
        (Some(release), None) => release.clone(),
        (None, Some(role)) => format!("the {role}"),
        (None, None) => return None,
    };
    Some(("kernel", Text::new().plain(&text)))
}

/// Kernel, fault, and how it came there.
fn summary(diagnosis: &Diagnosis, report: &Reported, view: View) -> Vec<(&'static str, Text)> {
    let splat = &report.splat;
    let mut rows = Vec::new();
    rows.extend(kernel(
        diagnosis.boots.get(report.boot),
        splat.release.as_ref(),
    ));
    let mut fault = Text::new().plain(&splat.title).cut(view.most());
    if let Some(function) = &splat.function
        && !splat.title.contains(function.as_str())
    {
        fault = fault.plain(" in ").styled(BOLD, function);
    }
    if let Some(source) = &splat.source
        && !splat.title.contains(&source.file)
    {
        fault = fault.plain(&format!(" ({}:{})", source.file, source.line));
    }
    rows.push(("fault", fault));
    let reached = splat::reached(splat);
    let told = |comm: &str| {
        reached
            .as_ref()
            .is_some_and(|reached| reached.contains(comm))
    };
    if let Some(reached) = &reached {
        rows.push(("from", Text::new().plain(reached).cut(view.most())));
    }
    if let Some(process) = splat::process(splat)
        && !splat
            .process
            .as_ref()
            .is_some_and(|process| told(&process.comm))
    {
        rows.push(("process", Text::new().plain(&process)));
    }
    rows
}

fn quote(page: &mut Page, diagnosis: &Diagnosis, quote: &Quote, indent: usize, view: View) {
    let place = match quote.line {
        Some(line) => quote_line(diagnosis, line),
        None => String::new(),
    };
    let text = Text::new().styled(DIM, &place);
    let text = match words::errno(&quote.text) {
        Some((end, name)) => text
            .plain(&quote.text[..end])
            .styled(DIM, &format!(" ({name})"))
            .plain(&quote.text[end..]),
        None => text.plain(&quote.text),
    };
    let lead = Text::new().plain(&" ".repeat(indent));
    page.flow_at(&lead, indent + 2, &text.cut(view.most()));
}

/// As many as usual, and how many more there are.
fn quotes(
    page: &mut Page,
    diagnosis: &Diagnosis,
    all: &[Quote],
    (indent, usual): (usize, usize),
    view: View,
) {
    for one in all.iter().take(view.some(usual)) {
        quote(page, diagnosis, one, indent, view);
    }
    more(page, all.len(), view.some(usual), indent);
}

fn more(page: &mut Page, count: usize, shown: usize, indent: usize) {
    if count > shown {
        let text = Text::new().styled(DIM, &format!("... {} more (-v)", count - shown));
        page.verbatim(indent, &text);
    }
}

fn evidence(page: &mut Page, diagnosis: &Diagnosis, case: &Case, view: View) {
    if !case.evidence.is_empty() {
        heading(page, "Evidence");
        quotes(page, diagnosis, &case.evidence, (2, 8), view);
    }
}

fn noted(page: &mut Page, diagnosis: &Diagnosis, title: &str, all: &[Noted], view: View) {
    if all.is_empty() {
        return;
    }
    heading(page, title);
    for one in all.iter().take(view.some(4)) {
        let text = prose(&one.explanation).styled(DIM, &format!(" [{}]", one.rule));
        page.flow(&Text::new().plain("  - "), &text);
        quotes(page, diagnosis, &one.evidence, (4, 2), view);
    }
    more(page, all.len(), view.some(4), 2);
}

/// What to do, and the lines to write: those for the distribution that the log is from, where its
/// kernels' releases tell.
fn remedies(page: &mut Page, diagnosis: &Diagnosis, case: &Case, view: View) {
    if case.remedies.is_empty() {
        return;
    }
    heading(page, "What to try");
    let release = case
        .boots
        .iter()
        .find_map(|boot| diagnosis.boots.get(*boot)?.release.as_ref());
    let release = release.or_else(|| {
        let report = behind(diagnosis).and_then(|index| diagnosis.reports.get(index))?;
        report.splat.release.as_ref()
    });
    let here = |config: &Config| release.is_some_and(|release| words::is_for(&config.on, release));
    for (number, remedy) in (1..).zip(&case.remedies) {
        let lead = Text::new().plain(&format!("  {number}. "));
        page.flow(&lead, &prose(&remedy.action));
        let all = view.verbose || !remedy.config.iter().any(here);
        let mut others = 0;
        for config in &remedy.config {
            if !all && !here(config) {
                others += 1;
                continue;
            }
            let text = Text::new().styled(DIM, &format!("{}, {}:", config.on, config.file));
            page.flow(&Text::new().plain("     "), &text);
            for line in config.line.lines() {
                page.verbatim(7, &Text::new().styled(BOLD, line));
            }
        }
        if others > 0 {
            let text = format!(
                "... {} for other distributions (-v)",
                words::count(others, "line")
            );
            page.verbatim(5, &Text::new().styled(DIM, &text));
        }
    }
}

/// All crashes but the last, which was told first.
fn earlier(page: &mut Page, diagnosis: &Diagnosis, view: View) {
    let Some((_, earlier)) = diagnosis.cases.split_last() else {
        return;
    };
    if earlier.is_empty() {
        return;
    }
    heading(page, "Earlier crashes");
    let skipped = earlier.len().saturating_sub(view.some(5));
    if skipped > 0 {
        page.verbatim(
            2,
            &Text::new().styled(DIM, &format!("... {skipped} before (-v)")),
        );
    }
    for (number, case) in (1..).zip(earlier).skip(skipped) {
        let boots: Vec<String> = case
            .boots
            .iter()
            .map(|boot| (boot + 1).to_string())
            .collect();
        let mut head = named(case);
        if !boots.is_empty() {
            let word = if boots.len() == 1 { "boot" } else { "boots" };
            head = head.plain(&format!(", {word} {}", boots.join(", ")));
        }
        page.flow(&Text::new().plain(&format!("  {number}. ")), &head);
        for sentence in case.explanation.iter().take(view.some(1)) {
            page.flow(&Text::new().plain("     "), &prose(sentence));
        }
        quotes(page, diagnosis, &case.evidence, (5, 3), view);
        if view.verbose {
            noted(
                page,
                diagnosis,
                "Besides, and not its cause",
                &case.contributing,
                view,
            );
            remedies(page, diagnosis, case, view);
        }
    }
}

fn boots(page: &mut Page, diagnosis: &Diagnosis, view: View) {
    if diagnosis.boots.is_empty() {
        return;
    }
    heading(page, "Boots");
    let skipped = diagnosis.boots.len().saturating_sub(view.some(6));
    if skipped > 0 {
        page.verbatim(
            2,
            &Text::new().styled(DIM, &format!("... {skipped} before (-v)")),
        );
    }
    for (number, boot) in (1..).zip(&diagnosis.boots).skip(skipped) {
        one_boot(page, diagnosis, number, boot, view);
    }
    if diagnosis.omitted.boots > 0 {
        let text = format!("... and {} that are not kept", diagnosis.omitted.boots);
        page.verbatim(2, &Text::new().styled(DIM, &text));
    }
}

fn one_boot(page: &mut Page, diagnosis: &Diagnosis, number: usize, boot: &Boot, view: View) {
    let release = boot.release.as_deref().unwrap_or("(release not printed)");
    let mut head = Text::new().styled(BOLD, words::role(boot)).plain(&format!(
        " {release}, lines {}-{}",
        boot.first_line, boot.last_line
    ));
    if let Some(stamp) = boot.last_stamp {
        head = head.plain(&format!(", up to {} s", words::stamp(stamp)));
    }
    page.flow(&Text::new().plain(&format!("  {number}. ")), &head);
    let lead = Text::new().plain("     ");
    let phases: Vec<String> = boot
        .phases
        .iter()
        .map(|began| format!("{} (line {})", began.phase, began.line.line))
        .collect();
    let text = match phases.is_empty() {
        true => words::end(boot.end).to_owned(),
        false => format!("{}; {}", phases.join(" > "), words::end(boot.end)),
    };
    page.flow(&lead, &Text::new().plain(&text));
    if let Some(why) = &boot.why {
        let place = quote_line(diagnosis, why.line);
        let told = words::telling(&why.text).filter(|_| !view.verbose);
        let why = told.as_deref().unwrap_or(&why.text);
        let text = format!("{} by {place}{why}", words::role(boot));
        page.flow(&lead, &Text::new().styled(DIM, &text).cut(view.most()));
    }
    if view.verbose {
        for began in &boot.phases {
            let text = format!(
                "{} since {}{}",
                began.phase,
                quote_line(diagnosis, began.line.line),
                began.line.text
            );
            page.flow(&lead, &Text::new().styled(DIM, &text));
        }
        if let Some(line) = &boot.command_line {
            page.flow(
                &lead,
                &Text::new().styled(DIM, "command line: ").plain(line),
            );
        }
    }
}

fn reports(page: &mut Page, diagnosis: &Diagnosis, view: View) {
    if diagnosis.reports.is_empty() {
        return;
    }
    heading(page, "Kernel reports");
    let headline = behind(diagnosis).or(diagnosis.headline);
    // The one that matters is always there, and in full.
    let mut room = view.some(10);
    let mut skipped = 0;
    for index in 0..diagnosis.reports.len() {
        let full = view.verbose || headline == Some(index);
        if !full && room == 0 {
            skipped += 1;
            continue;
        }
        room = room.saturating_sub(usize::from(!full));
        splat::show(page, diagnosis, index, view, full);
    }
    if skipped > 0 {
        page.verbatim(
            2,
            &Text::new().styled(DIM, &format!("... {skipped} more (-v)")),
        );
    }
    if diagnosis.omitted.reports > 0 {
        let text = format!("... and {} that are not kept", diagnosis.omitted.reports);
        page.verbatim(2, &Text::new().styled(DIM, &text));
    }
}

#[cfg(test)]
mod tests;
