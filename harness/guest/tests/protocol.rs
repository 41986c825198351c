//! Round trips and hostile bytes for orders and reports.

use std::net::Ipv4Addr;

use crashdrill_guest::order::{
    Action, CaptureOrder, Driver, FailureAction, Filesystem, FirstOrder, Module, Network, Order,
    Script, ServerOrder, Service, Target,
};
use crashdrill_guest::report::{Exit, Lines, MAX_LINE, Report, Role, Source};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,20}",
        any::<String>(),
        Just("a b=c%20\n\0é".to_owned())
    ]
}

fn module() -> impl Strategy<Value = Module> {
    (text(), text(), text()).prop_map(|(name, path, parameters)| Module {
        name,
        path,
        parameters,
    })
}

fn driver() -> impl Strategy<Value = Driver> {
    (text(), vec(module(), 0..3), option::of(text())).prop_map(|(name, modules, kept_out_by)| {
        Driver {
            name,
            modules,
            kept_out_by,
        }
    })
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::Reboot),
        Just(Action::Halt),
        Just(Action::PowerOff)
    ]
}

fn script() -> impl Strategy<Value = Script> {
    prop_oneof![
        Just(Script::Rhel6),
        Just(Script::Rhel7),
        Just(Script::Rhel8),
        Just(Script::Rhel9),
        Just(Script::Fedora)
    ]
}

fn filesystem() -> impl Strategy<Value = Filesystem> {
    (text(), text(), vec(module(), 0..3)).prop_map(|(device, kind, modules)| Filesystem {
        device,
        kind,
        modules,
    })
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        filesystem().prop_map(Target::Filesystem),
        text().prop_map(|device| Target::Raw { device }),
        (text(), text(), network(), vec(module(), 0..3)).prop_map(
            |(host, export, network, modules)| Target::Nfs {
                host,
                export,
                network,
                modules
            }
        ),
        (text(), text(), text(), network()).prop_map(|(user, host, key, network)| Target::Ssh {
            user,
            host,
            key,
            network
        }),
    ]
}

fn network() -> impl Strategy<Value = Network> {
    (text(), any::<Ipv4Addr>(), any::<u8>(), text()).prop_map(|(mac, address, prefix, seed)| {
        Network {
            mac,
            address,
            prefix,
            seed,
        }
    })
}

fn server() -> impl Strategy<Value = ServerOrder> {
    let service = prop_oneof![
        text().prop_map(|client| Service::Nfs { client }),
        Just(Service::Ssh)
    ];
    let words = (text(), text(), any::<u32>());
    (vec(driver(), 0..3), network(), words, service).prop_map(
        |(drivers, network, (disk, directory, owner), service)| ServerOrder {
            drivers,
            network,
            disk,
            directory,
            owner,
            service,
        },
    )
}

fn failure_action() -> impl Strategy<Value = FailureAction> {
    prop_oneof![
        action().prop_map(FailureAction::End),
        Just(FailureAction::Shell),
        filesystem().prop_map(FailureAction::DumpToRootfs),
    ]
}

fn first() -> impl Strategy<Value = FirstOrder> {
    (
        vec(driver(), 0..3),
        vec(text(), 0..3),
        vec(text(), 0..4),
        any::<u32>(),
        text(),
        any::<bool>(),
    )
        .prop_map(
            |(drivers, messages, arm, crash_cpu, token, shell)| FirstOrder {
                drivers,
                messages,
                arm,
                crash_cpu,
                token,
                shell,
            },
        )
}

fn capture() -> impl Strategy<Value = CaptureOrder> {
    let argv = || vec(text(), 0..4);
    (
        (script(), vec(driver(), 0..3), target()),
        (any::<u64>(), text(), argv()),
        (option::of(argv()), option::of(argv()), option::of(argv())),
        (failure_action(), action(), any::<bool>()),
    )
        .prop_map(
            |(
                (script, drivers, target),
                (wait_ms, path, collector),
                (pre, post, emergency),
                (failure_action, final_action, shell),
            )| CaptureOrder {
                script,
                drivers,
                target,
                wait_ms,
                path,
                collector,
                pre,
                post,
                emergency,
                failure_action,
                final_action,
                shell,
            },
        )
}

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![
        first().prop_map(Order::First),
        capture().prop_map(|order| Order::Capture(Box::new(order))),
        server().prop_map(Order::Server)
    ]
}

fn source() -> impl Strategy<Value = Source> {
    prop_oneof![
        "[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\\.[0-7]".prop_map(Source::Function),
        any::<u8>().prop_map(Source::Line),
    ]
}

fn exit() -> impl Strategy<Value = Exit> {
    prop_oneof![
        any::<i32>().prop_map(Exit::Code),
        any::<i32>().prop_map(Exit::Signal),
        any::<i32>().prop_map(Exit::NotRun)
    ]
}

fn report() -> impl Strategy<Value = Report> {
    let role = prop_oneof![Just(Role::First), Just(Role::Capture), Just(Role::Server)];
    prop_oneof![
        (role, text(), any::<u32>(), any::<u64>(), any::<u64>()).prop_map(
            |(role, release, cpus, uptime_ms, memory)| Report::Started {
                role,
                release,
                cpus,
                uptime_ms,
                memory
            }
        ),
        (text(), text(), option::of(text())).prop_map(|(driver, module, error)| Report::Module {
            driver,
            module,
            error
        }),
        (text(), text()).prop_map(|(driver, by)| Report::KeptOut { driver, by }),
        (text(), any::<u32>(), any::<u32>()).prop_map(|(after, msi, pins)| Report::Interrupts {
            after,
            msi,
            pins
        }),
        (source(), any::<u32>(), any::<u32>(), any::<u8>()).prop_map(
            |(source, cpu, apic, vector)| Report::Vector {
                source,
                cpu,
                apic,
                vector
            }
        ),
        (
            text(),
            text(),
            any::<u16>(),
            any::<u16>(),
            option::of(text())
        )
            .prop_map(|(address, id, table, granted, driver)| Report::Function {
                address,
                id,
                table,
                granted,
                driver
            }),
        (exit(), any::<bool>()).prop_map(|(status, loaded)| Report::Armed { status, loaded }),
        any::<u32>().prop_map(|cpu| Report::Crashing { cpu }),
        (text(), any::<bool>(), option::of(text())).prop_map(|(device, found, mount_error)| {
            Report::Target {
                device,
                found,
                mount_error,
            }
        }),
        (text(), any::<bool>(), option::of(text())).prop_map(|(device, found, mount_error)| {
            Report::Root {
                device,
                found,
                mount_error,
            }
        }),
        (text(), exit()).prop_map(|(which, status)| Report::Script { which, status }),
        (text(), exit()).prop_map(|(program, status)| Report::Writer { program, status }),
        (exit(), option::of(any::<u64>())).prop_map(|(status, target_free)| Report::Collector {
            status,
            target_free
        }),
        (text(), option::of(any::<u64>()), any::<u64>()).prop_map(|(path, bytes, memory_low)| {
            Report::Saved {
                path,
                bytes,
                memory_low,
            }
        }),
        (text(), text()).prop_map(|(step, error)| Report::Failed { step, error }),
        (option::of(text()), option::of(text()), any::<bool>()).prop_map(
            |(interface, error, carrier)| Report::Network {
                interface,
                error,
                carrier
            }
        ),
        (text(), exit(), option::of(text())).prop_map(|(program, status, said)| Report::Remote {
            program,
            status,
            said
        }),
        Just(Report::Serving),
        Just(Report::Ending),
    ]
}

proptest! {
    #[test]
    fn an_order_comes_back_as_it_was(order in order()) {
        let text = order.encode();
        prop_assert!(text.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)));
        prop_assert_eq!(Order::decode(text.as_bytes()), Ok(order));
    }

    #[test]
    fn an_order_cut_short_is_an_error(order in order(), at in any::<prop::sample::Index>()) {
        let text = order.encode();
        let cut = at.index(text.len());
        prop_assert!(Order::decode(&text.as_bytes()[..cut]).is_err());
    }

    #[test]
    fn a_report_is_one_line_and_comes_back_as_it_was(report in report()) {
        let line = report.encode();
        prop_assert_eq!(line.find('\n'), Some(line.len() - 1));
        prop_assert_eq!(Report::decode(line.as_bytes()), Ok(report));
    }

    #[test]
    fn lines_do_not_depend_on_the_split(
        reports in vec(report(), 0..6),
        cuts in vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let bytes: Vec<u8> = reports.iter().flat_map(|report| report.encode().into_bytes()).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let mut lines = Lines::new();
        let read: Vec<_> = cuts.windows(2).flat_map(|at| lines.push(&bytes[at[0]..at[1]])).collect();
        prop_assert_eq!(read, reports.into_iter().map(Ok).collect::<Vec<_>>());
        prop_assert_eq!(lines.end(), None);
    }

    #[test]
    fn garbage_never_panics(bytes in vec(any::<u8>(), 0..400)) {
        let _ = Order::decode(&bytes);
        let _ = Report::decode(&bytes);
        let mut lines = Lines::new();
        for result in lines.push(&bytes) {
            let _ = result.map_err(|error| error.to_string());
        }
        let _ = lines.end();
    }

    #[test]
    fn a_report_with_a_byte_changed_never_panics(
        report in report(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut line = report.encode().into_bytes();
        let at = at.index(line.len());
        line[at] = byte;
        let _ = Report::decode(&line);
    }
}

#[test]
fn a_line_without_end_is_one_error_and_bounded() {
    let mut lines = Lines::new();
    for _ in 0..10 {
        assert!(lines.push(&[b'x'; MAX_LINE]).is_empty());
    }
    let read = lines.push(b"\nending\n");
    assert_eq!(read.len(), 2);
    assert!(read[0].as_ref().is_err_and(|error| error.line.len() <= 200));
    assert_eq!(read[1], Ok(Report::Ending));
}

#[test]
fn a_line_cut_by_the_crash_does_not_swallow_the_next_kernel() {
    let mut lines = Lines::new();
    let read = lines.push(b"saved path=/var/cra\nending\n\n\nend");
    assert!(read[0].is_err());
    assert_eq!(read[1..], [Ok(Report::Ending)]);
    assert!(lines.end().is_some());
    assert_eq!(lines.end(), None);
}

#[test]
fn what_is_on_the_wire() {
    let report = Report::Failed {
        step: "mount /proc".to_owned(),
        error: "100%".to_owned(),
    };
    assert_eq!(report.encode(), "failed step=mount%20/proc error=100%25\n");
    assert!(Report::decode(b"armed status=code:0 loaded=true extra=1").is_err());
    assert!(Report::decode(b"crashing cpu=0 cpu=1").is_err());
    for source in [
        "line-256",
        "line-",
        "timer",
        "00:05.0",
        "0000:00:05.",
        "0000:0g:05.0",
    ] {
        let line = format!("vector source={source} cpu=0 apic=0 vector=49");
        assert!(Report::decode(line.as_bytes()).is_err(), "{line}");
    }
    assert!(Report::decode(b"crashing cpu=-1").is_err());
    assert!(Report::decode(b"crashing  cpu=1").is_err());
    assert!(Report::decode(b"crashing cpu=%3").is_err());
}

#[test]
fn a_module_line_belongs_to_something() {
    let head = "capture script=rhel7 path=/ wait-ms=1 final-action=reboot shell=false\n";
    let module = "name=a path=/a parameters=";
    for (target, failure, line, good) in [
        (
            "filesystem device=a filesystem=b",
            "reboot",
            "target-module",
            true,
        ),
        ("raw device=a", "reboot", "target-module", false),
        (
            "raw device=a",
            "dump_to_rootfs device=a filesystem=b",
            "root-module",
            true,
        ),
        ("raw device=a", "reboot", "root-module", false),
        ("raw device=a", "reboot", "module", false),
    ] {
        let text =
            format!("{head}target kind={target}\nfailure action={failure}\n{line} {module}\nend\n");
        assert_eq!(Order::decode(text.as_bytes()).is_ok(), good, "{text}");
    }
}
