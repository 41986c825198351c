//! Any configuration with any first command line: the capture kernel's is put together without a
//! panic, and nothing that is removed is on it unless something appended it.
//!
//! `cargo +nightly fuzz run capture_commandline` in harness/.

#![no_main]

use crashdrill::kdump::commandline::{assemble, kept_out};
use crashdrill::kdump::conf::KdumpConf;
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
        let sysconfig = Sysconfig::read(file, flavour).value;
        let conf = KdumpConf::read(file, flavour).value;
        conf.not_emulated(file);
        let line = assemble(flavour, first, &sysconfig, 0);
        kept_out(&line.to_string(), &conf);
        let appended = sysconfig.kdump_commandline_append.unwrap_or_default();
        assert!(!line.has("crashkernel") || appended.contains("crashkernel"));
        for parameter in reservation(first, Some(Bytes(memory)), flavour).parameters {
            assert!(first.get(parameter.at).is_some());
        }
    }
    KdumpTools::read(file).value.capture_commandline(first);
    SuseKdump::read(file).value.capture_commandline(first, 0);
});
