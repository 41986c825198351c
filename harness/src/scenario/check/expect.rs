//! What the drill is expected to come to, and what it lacks.

use std::collections::BTreeSet;

use super::{Problem, root};
use crate::scenario::model::Scenario;
use crate::suggest;
use crate::verdict::RuleBook;
use crate::verdict::outcome::{Cause, Verdict};

pub(super) fn expect(scenario: &Scenario, found: &mut Vec<Problem>) {
    for (nth, sentence) in scenario.fidelity.iter().enumerate() {
        if sentence.trim().is_empty() {
            let path = root("fidelity").index(nth);
            let help = "say in a sentence what is different, or remove the item";
            found.push(Problem::new(path, "this says nothing").help(help));
        }
    }
    let Some(expect) = &scenario.expect else {
        return;
    };
    let path = |key| root("expect").key(key);
    if expect.verdict == Verdict::Unknown {
        let message = "no drill ends in `unknown`: crashdrill sees all of it";
        found.push(
            Problem::new(path("verdict"), message)
                .help("the verdict that you expect, or no `expect`"),
        );
    }
    let Some(cause) = &expect.cause else {
        return;
    };
    let book = RuleBook::builtin();
    let causes = book.rules().iter().filter_map(|rule| rule.cause.as_ref());
    let known: BTreeSet<String> = causes.map(ToString::to_string).collect();
    let given = cause.to_string();
    if !known.contains(&given) && *cause != Cause::UNKNOWN {
        let help = match suggest::closest(&given, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("one of {}", Vec::from_iter(known).join(", ")),
        };
        let message = format!("crashdrill knows no cause `{given}`");
        found.push(Problem::new(path("cause"), message).help(help));
    }
    if (expect.verdict == Verdict::VmcoreSaved) != (*cause == Cause::NONE) {
        let message = match expect.verdict {
            Verdict::VmcoreSaved => "a dump that was saved has no cause",
            _ => "`none` is the cause of `vmcore-saved` alone",
        };
        let help = "remove `cause`: then any will do";
        found.push(
            Problem::new(path("cause"), message)
                .help(help)
                .rests_on(path("verdict")),
        );
    }
}
