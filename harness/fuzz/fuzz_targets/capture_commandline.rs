//! Any configuration with any first command line: the capture kernel's is put together without a
//! panic, its steps lead to it, nothing that is removed is on it unless something appended it, and
//! whatever is wrong with a file has its place there.
//!
//! `cargo +nightly fuzz run capture_commandline` in harness/.

#![no_main]

use crashdrill::kdump::assembly::{Assembly, Change};
use crashdrill::kdump::commandline::{assemble, kept_out, module_parameters};
use crashdrill::kdump::conf::KdumpConf;
use crashdrill::kdump::error::{ConfError, Reading};
use crashdrill::kdump::flavour::Flavour;
use crashdrill::kdump::kdump_tools::KdumpTools;
use crashdrill::kdump::reservation::reservation;
use crashdrill::kdump::suse::SuseKdump;
use crashdrill::kdump::sysconfig::Sysconfig;
use crashdrill::units::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str, u64)| {
    let (first, file, memory) = input;
    for flavour in Flavour::ALL {
        let sysconfig = value(file, Sysconfig::read(file, flavour));
        let conf = value(file, KdumpConf::read(file, flavour));
        places(file, &conf.not_emulated(file));
        let line = assemble(flavour, first, &sysconfig, 0);
        steps(&line);
        kept_out(&line.to_string(), &conf);
        let appended = sysconfig.kdump_commandline_append.unwrap_or_default();
        assert!(!line.has("crashkernel") || appended.contains("crashkernel"));
        for parameter in reservation(first, Some(Bytes(memory)), flavour).parameters {
            assert!(first.get(parameter.at).is_some());
        }
    }
    module_parameters(first, "nvme");
    steps(&value(file, KdumpTools::read(file)).capture_commandline(first));
    steps(&value(file, SuseKdump::read(file)).capture_commandline(first, 0));
});

fn value<T>(text: &str, reading: Reading<T>) -> T {
    places(text, &reading.errors);
    places(text, &reading.warnings);
    reading.value
}

fn places(text: &str, errors: &[ConfError]) {
    assert!(errors.len() <= 100);
    for error in errors {
        let at = text.get(error.at.clone());
        assert!(at.is_some_and(|at| !at.contains('\n')), "{error:?}");
        let before = &text[..error.at.start];
        let line = before.rsplit('\n').next().unwrap_or_default();
        assert_eq!(error.line, before.matches('\n').count() + 1);
        assert_eq!(error.column, line.chars().count() + 1);
        let message = error.to_string();
        assert!(!message.chars().any(char::is_control), "{message:?}");
        let help = error.help.as_deref().unwrap_or_default();
        assert!(message.len() < 4096 && help.len() < 4096);
    }
}

/// Goes back from the words to the base, step by step.
fn steps(line: &Assembly) {
    let mut words = &line.words[..];
    for step in line.steps.iter().rev() {
        match step.change {
            Change::Removed => assert!(!step.words.iter().any(|gone| words.contains(gone))),
            Change::Appended => words = words.strip_suffix(&step.words[..]).unwrap(),
        }
    }
    assert!(
        words
            .iter()
            .all(|word| line.base.text.contains(word.as_str()))
    );
}
