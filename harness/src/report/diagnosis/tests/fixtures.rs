//! Diagnoses made by hand.

use crate::console::boots::{Began, Boot, BootEnd, Role};
use crate::console::splat::{Frame, Headline, Kind, Module, Process, Source, Splat, Symbol, Trace};
use crate::diagnose::{Case, Config, Diagnosis, FORMAT, Noted, Omitted, Quote, Remedy, Reported};
use crate::verdict::outcome::{Cause, Phase, Verdict};

pub(super) const EL7: &str = "3.10.0-693.5.2.el7.x86_64";

pub(super) fn cause(name: &str) -> Cause {
    serde_json::from_value(name.into()).unwrap()
}

pub(super) fn headline(line: u64, text: &str) -> Headline {
    let text = text.to_owned();
    Headline { line, text }
}

pub(super) fn quote(line: u64, text: &str) -> Quote {
    Quote {
        line: Some(line),
        text: text.to_owned(),
    }
}

pub(super) fn noted(rule: &str, explanation: &str, evidence: &[(u64, &str)]) -> Noted {
    Noted {
        rule: rule.to_owned(),
        explanation: explanation.to_owned(),
        evidence: evidence
            .iter()
            .map(|(line, text)| quote(*line, text))
            .collect(),
    }
}

fn config(on: &str, file: &str, line: &str) -> Config {
    Config {
        on: on.to_owned(),
        file: file.to_owned(),
        line: line.to_owned(),
    }
}

/// `? name+0x1/0x2 [module]`.
pub(super) fn frame(text: &str) -> Frame {
    let (reliable, text) = match text.strip_prefix("? ") {
        Some(text) => (false, text),
        None => (true, text),
    };
    Frame {
        symbol: symbol(text),
        reliable,
        source: None,
    }
}

pub(super) fn symbol(text: &str) -> Symbol {
    let (place, module) = match text.split_once(" [") {
        Some((place, module)) => (place, Some(module.trim_end_matches(']').to_owned())),
        None => (text, None),
    };
    let mut parts = place.split(['+', '/']);
    let name = parts.next().unwrap().to_owned();
    let mut hex = || {
        let text = parts.next()?.strip_prefix("0x")?;
        u64::from_str_radix(text, 16).ok()
    };
    Symbol {
        name,
        offset: hex(),
        size: hex(),
        module,
    }
}

pub(super) fn empty() -> Diagnosis {
    Diagnosis {
        format: FORMAT,
        file: Some("console.log".to_owned()),
        bytes: 0,
        lines: 0,
        crash: false,
        headline: None,
        verdict: Verdict::Unknown,
        cause: cause("unknown"),
        boots: Vec::new(),
        reports: Vec::new(),
        cases: Vec::new(),
        omitted: Omitted::default(),
    }
}

pub(super) fn boot(role: Role, lines: (u64, u64), end: BootEnd) -> Boot {
    Boot {
        role,
        why: None,
        cycle: 0,
        release: Some(EL7.to_owned()),
        command_line: None,
        first_line: lines.0,
        last_line: lines.1,
        last_stamp: None,
        phases: Vec::new(),
        end,
    }
}

pub(super) fn splat(kind: Kind, title: &str, line: u64) -> Splat {
    Splat {
        kind,
        fatal: true,
        title: title.to_owned(),
        also: Vec::new(),
        line,
        last_line: line,
        stamp: None,
        function: None,
        source: None,
        at: None,
        process: None,
        cpu: None,
        taint: None,
        release: None,
        hardware: None,
        modules: Vec::new(),
        trace: Vec::new(),
        more_traces: Vec::new(),
        cut: false,
    }
}

pub(super) fn reported(boot: usize, splat: Splat) -> Reported {
    Reported {
        boot,
        phase: Phase::CaptureDrivers,
        count: 1,
        splat,
    }
}

pub(super) fn case(verdict: Verdict, cause_name: &str) -> Case {
    Case {
        boots: vec![0],
        verdict,
        cause: cause(cause_name),
        phase: Phase::CaptureDrivers,
        report: None,
        evidence: Vec::new(),
        explanation: Vec::new(),
        suspects: Vec::new(),
        contributing: Vec::new(),
        runners_up: Vec::new(),
        remedies: Vec::new(),
    }
}

const TRACE: [&str; 33] = [
    "arch_teardown_hwirq+0x3e/0x70",
    "mp_irqdomain_unmap+0xba/0x100",
    "irq_domain_disassociate_many+0xa7/0x130",
    "irq_dispose_mapping+0x3c/0x60",
    "mp_unmap_irq+0x81/0xb0",
    "acpi_unregister_gsi_ioapic+0x31/0x40",
    "acpi_unregister_gsi+0x17/0x20",
    "acpi_pci_irq_disable+0xb6/0xc6",
    "pcibios_disable_device+0x20/0x30",
    "do_pci_disable_device+0x56/0x80",
    "pci_disable_device+0x48/0x90",
    "_base_unmap_resources+0xa8/0xf0 [mpt3sas]",
    "mpt3sas_base_map_resources+0x188/0x710 [mpt3sas]",
    "mpt3sas_base_attach+0xec/0x9c0 [mpt3sas]",
    "_scsih_probe+0x6ad/0xb40 [mpt3sas]",
    "local_pci_probe+0x45/0xa0",
    "pci_device_probe+0x109/0x160",
    "driver_probe_device+0xc2/0x3e0",
    "__driver_attach+0x93/0xa0",
    "? __device_attach+0x40/0x40",
    "bus_for_each_dev+0x73/0xc0",
    "driver_attach+0x1e/0x20",
    "bus_add_driver+0x200/0x2d0",
    "driver_register+0x64/0xf0",
    "__pci_register_driver+0xa5/0xc0",
    "? 0xffffffffc01e7fff",
    "_mpt3sas_init+0x1fa/0x1000 [mpt3sas]",
    "do_one_initcall+0xb8/0x230",
    "load_module+0x1f64/0x29e0",
    "? ddebug_proc_write+0xf0/0xf0",
    "? copy_module_from_fd.isra.42+0x53/0x150",
    "SyS_finit_module+0xa6/0xd0",
    "system_call_fastpath+0x16/0x1b",
];

/// The BUG that this program was written for.
pub(super) fn field_bug() -> Splat {
    let module = |(name, flags): (&str, &str)| Module {
        name: name.to_owned(),
        flags: flags.to_owned(),
    };
    Splat {
        also: vec![
            headline(411, "invalid opcode: 0000 [#1] SMP"),
            headline(470, "Kernel panic - not syncing: Fatal exception"),
        ],
        last_line: 470,
        stamp: Some(17_433_467),
        function: Some("__clear_irq_vector".to_owned()),
        source: Some(Source {
            file: "arch/x86/kernel/apic/io_apic.c".to_owned(),
            line: 1358,
        }),
        at: Some(symbol("__clear_irq_vector+0x9d/0x100")),
        process: Some(Process {
            comm: "systemd-udevd".to_owned(),
            pid: Some(234),
        }),
        cpu: Some(0),
        taint: Some("G OE".to_owned()),
        release: Some(EL7.to_owned()),
        hardware: Some(
            "Insyde Purley/Type2 - Board Product Name1, BIOS 00.1 08/24/2017".to_owned(),
        ),
        modules: [
            ("mpt3sas", "OE+"),
            ("raid_class", ""),
            ("scsi_transport_sas", ""),
            ("i40e", "OE"),
            ("ast", ""),
            ("ptp", ""),
        ]
        .into_iter()
        .map(module)
        .collect(),
        trace: TRACE.into_iter().map(frame).collect(),
        ..splat(
            Kind::KernelBug,
            "kernel BUG at arch/x86/kernel/apic/io_apic.c:1358!",
            410,
        )
    }
}

/// With everything that a diagnosis can hold.
pub(super) fn field_report() -> Diagnosis {
    let began = |phase, line, text| Began {
        phase,
        line: headline(line, text),
    };
    Diagnosis {
        file: Some("bmc/field-report.log".to_owned()),
        bytes: 48_213,
        lines: 475,
        crash: true,
        headline: Some(0),
        verdict: Verdict::CapturePanicked,
        cause: cause("irq-vector-exhaustion"),
        boots: vec![
            Boot {
                last_stamp: Some(381_004_411),
                phases: vec![
                    began(Phase::FirstKernel, 1, "Linux version 3.10.0-693.5.2.el7.x86_64"),
                    began(Phase::Armed, 180, "kdump: kexec: loaded kdump kernel"),
                    began(Phase::Crashed, 199, "SysRq : Trigger a crash"),
                ],
                ..boot(Role::First, (1, 201), BootEnd::Kexec)
            },
            Boot {
                why: Some(headline(
                    204,
                    "Command line: BOOT_IMAGE=/vmlinuz-3.10.0-693.5.2.el7.x86_64 root=/dev/mapper/centos-root ro console=ttyS0,115200 irqpoll nr_cpus=1 reset_devices cgroup_disable=memory mce=off numa=off udev.children-max=2 panic=10 rootflags=nofail acpi_no_memhotplug transparent_hugepage=never elfcorehdr=867724K",
                )),
                last_stamp: Some(48_141_388),
                phases: vec![
                    began(Phase::CaptureKernel, 202, "Linux version 3.10.0-693.5.2.el7.x86_64"),
                    began(Phase::CaptureDrivers, 398, "systemd-udevd[234]: starting"),
                ],
                ..boot(Role::Capture, (202, 475), BootEnd::Panicked)
            },
        ],
        reports: vec![
            reported(1, field_bug()),
            Reported {
                count: 14,
                ..reported(
                    0,
                    Splat {
                        fatal: false,
                        function: Some("dev_watchdog".to_owned()),
                        last_line: 190,
                        ..splat(
                            Kind::Warning,
                            "WARNING: CPU: 3 PID: 0 at net/sched/sch_generic.c:356 dev_watchdog+0x248/0x260",
                            181,
                        )
                    },
                )
            },
        ],
        cases: vec![Case {
            boots: vec![0, 1],
            report: Some(0),
            evidence: vec![
                quote(401, "mpt3sas0: unable to allocate interrupt 214, r: -38!"),
                quote(402, "mpt3sas_cm0: pci_enable_msix failed (r=-1)"),
                quote(410, "kernel BUG at arch/x86/kernel/apic/io_apic.c:1358!"),
                quote(470, "Kernel panic - not syncing: Fatal exception"),
                Quote {
                    line: None,
                    text: "the machine was reset by its firmware".to_owned(),
                },
            ],
            explanation: vec![
                "The capture kernel panicked while it loaded drivers.".to_owned(),
                "It ran out of interrupt vectors: one CPU has about 200, the drivers that came first took \
                 them all, and the storage driver's error path hit a BUG.\n"
                    .to_owned(),
            ],
            suspects: vec!["i40e".to_owned()],
            contributing: vec![
                noted(
                    "dma-32-bit",
                    "32-bit DMA follows from the small reserved memory; it is not why the driver failed.",
                    &[(399, "mpt3sas_cm0: 32 BIT PCI BUS DMA ADDRESSING SUPPORTED, total mem (816104 kB)")],
                ),
                noted(
                    "message-hidden",
                    "The driver says why only at a log level that is not printed.",
                    &[],
                ),
            ],
            runners_up: vec![noted(
                "capture-panicked",
                "The capture kernel panicked, whatever led to it.",
                &[(470, "Kernel panic - not syncing: Fatal exception")],
            )],
            remedies: vec![
                Remedy {
                    action: "Keep i40e out of the capture kernel, unless the dump goes over it. RHEL 7 refuses \
                             `blacklist` in kdump.conf."
                        .to_owned(),
                    config: vec![
                        config(
                            "RHEL 7, CentOS 7",
                            "/etc/sysconfig/kdump",
                            "KDUMP_COMMANDLINE_APPEND=\"irqpoll nr_cpus=1 reset_devices cgroup_disable=memory mce=off numa=off udev.children-max=2 panic=10 rootflags=nofail rd.driver.blacklist=i40e\"",
                        ),
                        config("Debian, Ubuntu", "/etc/default/kdump-tools", "KDUMP_CMDLINE_APPEND=\"reset_devices nr_cpus=1 modprobe.blacklist=i40e\""),
                    ],
                },
                Remedy {
                    action: "Give the capture kernel more CPUs; each brings vectors of its own.".to_owned(),
                    config: vec![config(
                        "RHEL 7, CentOS 7",
                        "/etc/sysconfig/kdump",
                        "KDUMP_COMMANDLINE_APPEND=\"irqpoll nr_cpus=4 reset_devices\"",
                    )],
                },
            ],
            ..case(Verdict::CapturePanicked, "irq-vector-exhaustion")
        }],
        ..empty()
    }
}

pub(super) fn healthy() -> Diagnosis {
    Diagnosis {
        bytes: 84_112,
        lines: 1_204,
        boots: vec![boot(Role::First, (1, 1_204), BootEnd::Open)],
        ..empty()
    }
}

pub(super) fn plain_oops() -> Diagnosis {
    Diagnosis {
        file: None,
        bytes: 5_112,
        lines: 61,
        crash: true,
        headline: Some(0),
        boots: vec![Boot {
            release: None,
            ..boot(Role::Unknown, (1, 61), BootEnd::Open)
        }],
        reports: vec![reported(
            0,
            Splat {
                last_line: 40,
                function: Some("ext4_find_extent".to_owned()),
                at: Some(symbol("ext4_find_extent+0x21/0x310 [ext4]")),
                process: Some(Process {
                    comm: "kworker/u8:2".to_owned(),
                    pid: None,
                }),
                taint: Some(String::new()),
                release: Some("6.1.0-13-amd64".to_owned()),
                trace: [
                    "ext4_find_extent+0x21/0x310 [ext4]",
                    "ext4_ext_map_blocks+0x6a/0x1830 [ext4]",
                    "? kmem_cache_alloc+0x1/0x2",
                    "process_one_work+0x1c7/0x380",
                    "kthread+0xda/0x100",
                ]
                .into_iter()
                .map(frame)
                .collect(),
                more_traces: vec![Trace {
                    title: "Freed by task 1234:".to_owned(),
                    frames: vec![
                        frame("kfree+0x1/0x2"),
                        frame("ext4_put_super+0x3/0x4 [ext4]"),
                    ],
                }],
                cut: true,
                ..splat(
                    Kind::NullDereference,
                    "BUG: kernel NULL pointer dereference, address: 0000000000000028",
                    3,
                )
            },
        )],
        ..empty()
    }
}

pub(super) fn two_crashes() -> Diagnosis {
    let saved = Case {
        evidence: vec![quote(400, "kdump: saving vmcore complete")],
        explanation: vec!["A dump was saved, by what the capture kernel says.".to_owned()],
        phase: Phase::Saved,
        ..case(Verdict::VmcoreSaved, "none")
    };
    let hung = Case {
        boots: vec![2, 3],
        evidence: vec![quote(800, "Starting crashdump kernel...")],
        ..case(Verdict::CaptureHung, "unknown")
    };
    let boots = (0..4).map(|n| {
        let (role, end) = match n % 2 {
            0 => (Role::First, BootEnd::Kexec),
            _ => (Role::Capture, BootEnd::Restarted),
        };
        boot(role, (n * 250 + 1, n * 250 + 250), end)
    });
    Diagnosis {
        bytes: 65_536,
        lines: 1_000,
        crash: true,
        headline: Some(1),
        verdict: hung.verdict,
        cause: cause("unknown"),
        boots: boots.collect(),
        reports: vec![
            reported(
                0,
                splat(
                    Kind::Panic,
                    "Kernel panic - not syncing: sysrq triggered crash",
                    240,
                ),
            ),
            reported(
                2,
                splat(
                    Kind::SoftLockup,
                    "watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [dd:811]",
                    740,
                ),
            ),
        ],
        cases: vec![saved, hung],
        omitted: Omitted {
            boots: 2,
            reports: 90,
        },
        ..empty()
    }
}

/// The same text wherever a log's text can come.
pub(super) fn everywhere(text: &str) -> Diagnosis {
    let mut diagnosis = field_report();
    let own = || text.to_owned();
    diagnosis.file = Some(own());
    for boot in &mut diagnosis.boots {
        boot.release = Some(own());
        boot.command_line = Some(own());
        boot.why = Some(headline(1, text));
        for began in &mut boot.phases {
            began.line.text = own();
        }
    }
    for report in &mut diagnosis.reports {
        let splat = &mut report.splat;
        splat.title = own();
        splat.also = vec![headline(2, text)];
        splat.function = Some(own());
        splat.source = Some(Source {
            file: own(),
            line: 1,
        });
        splat.taint = Some(own());
        splat.release = Some(own());
        splat.hardware = Some(own());
        splat.process = Some(Process {
            comm: own(),
            pid: None,
        });
        let symbol = Symbol {
            name: own(),
            offset: None,
            size: None,
            module: Some(own()),
        };
        splat.at = Some(symbol.clone());
        let frame = Frame {
            symbol,
            reliable: true,
            source: splat.source.clone(),
        };
        splat.modules = vec![Module {
            name: own(),
            flags: own(),
        }];
        splat.more_traces = vec![Trace {
            title: own(),
            frames: vec![frame.clone()],
        }];
        splat.trace = vec![frame; 2];
    }
    for case in &mut diagnosis.cases {
        case.evidence = vec![quote(1, text)];
        case.explanation = vec![own()];
        case.suspects = vec![own()];
        case.contributing = vec![noted(text, text, &[(1, text)])];
        case.runners_up = case.contributing.clone();
        case.remedies = vec![Remedy {
            action: own(),
            config: vec![config(text, text, text)],
        }];
    }
    diagnosis
}
