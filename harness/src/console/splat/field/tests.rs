use proptest::prelude::*;

use super::*;

/// CPU, command, process id, taint, release.
type Said = (
    Option<u32>,
    Option<&'static str>,
    Option<u32>,
    Option<&'static str>,
    Option<&'static str>,
);

#[test]
fn processes() {
    let cases: &[(&str, Said)] = &[
        (
            "CPU: 0 PID: 234 Comm: systemd-udevd Tainted: G           OE  ------------   3.10.0-693.5.2.el7.x86_64 #1",
            (
                Some(0),
                Some("systemd-udevd"),
                Some(234),
                Some("G OE"),
                Some("3.10.0-693.5.2.el7.x86_64"),
            ),
        ),
        (
            "CPU: 0 PID: 234 Comm: systemd-udevd Tainted: G OE ------------ 3.10.0-693.5.2.el7.x86_64 #1 [ 17.476265] Hardware name: x",
            (
                Some(0),
                Some("systemd-udevd"),
                Some(234),
                Some("G OE"),
                Some("3.10.0-693.5.2.el7.x86_64"),
            ),
        ),
        (
            "CPU: 12 PID: 0 Comm: swapper/12 Not tainted 6.1.0-13-amd64 #1  Debian 6.1.55-1",
            (
                Some(12),
                Some("swapper/12"),
                Some(0),
                Some(""),
                Some("6.1.0-13-amd64"),
            ),
        ),
        (
            "CPU: 1 PID: 99 Comm: kworker/u16:3 Kdump: loaded Tainted: G        W  OE    --------- -  - 4.18.0-305.el8.x86_64 #1",
            (
                Some(1),
                Some("kworker/u16:3"),
                Some(99),
                Some("G W OE"),
                Some("4.18.0-305.el8.x86_64"),
            ),
        ),
        (
            "CPU: 1 PID: 99 Comm: x Kdump: loaded Tainted: P           O     ---------r-  - 4.18.0-193.el8.x86_64 #1",
            (
                Some(1),
                Some("x"),
                Some(99),
                Some("P O"),
                Some("4.18.0-193.el8.x86_64"),
            ),
        ),
        (
            "CPU: 1 PID: 99 Comm: x Kdump: loaded Not tainted 5.14.0-70.el9.x86_64 #1",
            (
                Some(1),
                Some("x"),
                Some(99),
                Some(""),
                Some("5.14.0-70.el9.x86_64"),
            ),
        ),
        (
            "CPU: 0 UID: 0 PID: 1 Comm: x Not tainted 6.12.0 #1",
            (Some(0), Some("x"), Some(1), Some(""), Some("6.12.0")),
        ),
        (
            "CPU: 1 UID: 0 PID: 7 Comm: kworker/0:1 Tainted: G        W  O       6.12.0-rc1+ #1 PREEMPT(voluntary) ",
            (
                Some(1),
                Some("kworker/0:1"),
                Some(7),
                Some("G W O"),
                Some("6.12.0-rc1+"),
            ),
        ),
        (
            "CPU: 0 PID: 1 Comm: Web Content: x Tainted: G    B   W  OE   N  4.4.114-94.11-default #1",
            (
                Some(0),
                Some("Web Content: x"),
                Some(1),
                Some("G B W OE N"),
                Some("4.4.114-94.11-default"),
            ),
        ),
        (
            "CPU: 0 PID: 1 Comm: cut off in the mi",
            (Some(0), Some("cut off in the mi"), Some(1), None, None),
        ),
        (
            "CPU: 0 PID: 1 Comm: ",
            (Some(0), Some(""), Some(1), None, None),
        ),
        (
            "CPU: 0 PID: 1 Comm: x Tainted: G      ",
            (Some(0), Some("x"), Some(1), Some("G"), None),
        ),
        (
            "Pid: 2385, comm: modprobe Not tainted 2.6.32-431.el6.x86_64 #1 Dell Inc. PowerEdge R710/0N047H",
            (
                None,
                Some("modprobe"),
                Some(2385),
                Some(""),
                Some("2.6.32-431.el6.x86_64"),
            ),
        ),
        (
            "Pid: 2385, comm: modprobe Tainted: G        W  ---------------    2.6.32-431.el6.x86_64 #1 X",
            (
                None,
                Some("modprobe"),
                Some(2385),
                Some("G W"),
                Some("2.6.32-431.el6.x86_64"),
            ),
        ),
        (
            "Pid: 1, comm: swapper Not tainted (2.6.32.9 #1) OptiPlex",
            (None, Some("swapper"), Some(1), Some(""), Some("2.6.32.9")),
        ),
        (
            "Pid: 1, comm: swapper/0 Not tainted 3.2.0-4-amd64 #1 Debian 3.2.41-2 QEMU",
            (
                None,
                Some("swapper/0"),
                Some(1),
                Some(""),
                Some("3.2.0-4-amd64"),
            ),
        ),
        (
            "Process modprobe (pid: 2385, threadinfo ffff88003c2e4000, task ffff88003c2c8080)",
            (None, Some("modprobe"), Some(2385), None, None),
        ),
        (
            "Process sh (pid: 1234, stack limit = 0xc1234238)",
            (None, Some("sh"), Some(1234), None, None),
        ),
        (
            "Process (x) (pid: 7, ti=f6f54000 task=f6f6c000 task.ti=f6f54000)",
            (None, Some("(x)"), Some(7), None, None),
        ),
        (
            "REGS: c0000000fb3f7780 TRAP: 0300   Not tainted  (4.4.0)",
            (None, None, None, Some(""), Some("4.4.0")),
        ),
        ("CPU 3 ", (Some(3), None, None, None, None)),
        ("CPU: 1", (Some(1), None, None, None, None)),
        (
            "CPU: 0    Not tainted  (3.0.35 #1)",
            (Some(0), None, None, Some(""), Some("3.0.35")),
        ),
        (
            "CPU: 0    Tainted: G        W    (2.6.38.8 #1)",
            (Some(0), None, None, Some("G W"), Some("2.6.38.8")),
        ),
        (
            "TASK = c0000000fb3e0000[1234] 'insmod' THREAD: c0000000fb3f4000 CPU: 2",
            (Some(2), Some("insmod"), Some(1234), None, None),
        ),
        (
            "task:kworker/0:1     state:D stack:0     pid:1234  ppid:2      flags:0x00004000",
            (None, Some("kworker/0:1"), Some(1234), None, None),
        ),
        (
            "task:sync            state:D stack:    0 pid: 1234 ppid:     2 flags:0x00004000",
            (None, Some("sync"), Some(1234), None, None),
        ),
    ];
    for (message, expected) in cases {
        let Some(Field::Process {
            cpu,
            process,
            taint,
            release,
        }) = field(message)
        else {
            panic!("{message}: {:?}", field(message));
        };
        let said = (
            cpu,
            process.as_ref().map(|process| process.comm.as_str()),
            process.as_ref().and_then(|process| process.pid),
            taint.as_deref(),
            release.as_deref(),
        );
        assert_eq!(said, *expected, "{message}");
    }
}

#[test]
fn instructions() {
    for (message, expected) in [
        ("RIP: 0010:foo+0x1/0x2 [mod]", "foo+0x1 [mod]"),
        ("RIP: 0010:foo+0x1/0x2 mm/x.c:12", "foo+0x1 mm/x.c:12"),
        (
            "RIP: 0010:foo (mm/x.c:12 (discriminator 3)) ",
            "foo mm/x.c:12",
        ),
        ("RIP: 0010:foo.cold+0x1/0x2", "foo.cold+0x1"),
        ("RIP: 0010:0x0", "0x0"),
        ("RIP: 0010:0xffffffffc01e7fff", "0xffffffffc01e7fff"),
        (
            "RIP: 0010:[<ffffffff8105641d>]  [<ffffffff8105641d>] __clear_irq_vector+0x9d/0x100",
            "__clear_irq_vector+0x9d",
        ),
        (
            "RIP: 0010:[<ffffffff8105641d>] [<ffffffff8105641d>] foo+0x9d/0x100 [mod]",
            "foo+0x9d [mod]",
        ),
        (
            "RIP: 0010:[<0000000000000000>]  [<          (null)>]           (null)",
            "0x0",
        ),
        (
            "RIP: 0010:[<0000000000000000>]  [<0000000000000000>] 0x0",
            "0x0",
        ),
        ("RIP: 0010:          (null)", "0x0"),
        ("RIP: e030:foo+0x1/0x2", "foo+0x1"),
        ("RIP: e033:foo+0x1/0x2", "foo+0x1"),
        (
            "RIP: 0010:[<ffffffff8013b1b5>] <ffffffff8013b1b5>{foo+23}",
            "foo+0x17",
        ),
        ("RIP  [<ffffffff8105641d>] foo+0x9d/0x100", "foo+0x9d"),
        ("RIP [<ffffffff8105641d>] foo+0x9d/0x100", "foo+0x9d"),
        ("RIP: foo+0x1/0x2 RSP: ffff8800", "foo+0x1"),
        ("EIP: foo+0x1/0x2", "foo+0x1"),
        ("EIP is at foo+0x1/0x2", "foo+0x1"),
        (
            "EIP: [<c0101234>] foo+0x1/0x2 SS:ESP 0068:f6f55e9c",
            "foo+0x1",
        ),
        ("EIP: 0060:foo+0x1/0x2", "foo+0x1"),
        ("IP: [<ffffffff8105641d>] foo+0x9d/0x100", "foo+0x9d"),
        ("IP: foo+0x9d/0x100", "foo+0x9d"),
        ("pc : foo+0x1/0x2", "foo+0x1"),
        ("pc : foo+0x1/0x2 [mod]", "foo+0x1 [mod]"),
        ("pc : 0x0", "0x0"),
        ("pc : foo (drivers/x/y.c:12) mod", "foo drivers/x/y.c:12"),
        ("PC is at foo+0x1/0x2", "foo+0x1"),
        ("PC is at 0x0", "0x0"),
        ("NIP [c000000000012345] foo+0x1/0x2", "foo+0x1"),
        ("NIP [c000000000012345] .foo+0x1/0x2", ".foo+0x1"),
        ("NIP [d000000001234567] foo+0x1/0x2 [mod]", "foo+0x1 [mod]"),
        ("NIP [0000000000000000] 0x0", "0x0"),
        ("Krnl PSW : 0704c00180000000 0000000000000000 (0x0)", "0x0"),
        (
            "pc : [<00000000>]    lr : [<c0008d24>]    psr: 60000013",
            "0x0",
        ),
        (
            "Krnl PSW : 0704c00180000000 0000000012345678 (foo+0x1/0x2)",
            "foo+0x1",
        ),
        (
            "Krnl PSW : 0704c00180000000 000003ff80034567 (foo+0x1/0x2 [mod])",
            "foo+0x1 [mod]",
        ),
        ("epc : foo+0x1/0x2", "foo+0x1"),
        ("epc : foo+0x1/0x2 ra : bar+0x3/0x4", "foo+0x1"),
        ("epc   : 80123456 foo+0x1/0x2", "foo+0x1"),
        ("   ERA: 9000000000223456 foo+0x1/0x2", "foo+0x1"),
        ("TPC: <foo+0x1/0x2>", "foo+0x1"),
        (" IAOQ[0]: foo+0x1/0x2", "foo+0x1"),
        ("ip is at foo+0x1/0x2", "foo+0x1"),
        ("caller is foo+0x1/0x2 [mod]", "foo+0x1 [mod]"),
        ("pc is at foo+0x1/0x2", "foo+0x1"),
    ] {
        let Some(Field::Instruction(symbol, source)) = field(message) else {
            panic!("{message}: {:?}", field(message));
        };
        let mut shown = symbol.name.clone();
        if let Some(offset) = symbol.offset {
            shown += &format!("+{offset:#x}");
        }
        if let Some(module) = &symbol.module {
            shown += &format!(" [{module}]");
        }
        if let Some(source) = source {
            shown += &format!(" {}:{}", source.file, source.line);
        }
        assert_eq!(shown, expected, "{message}");
    }
}

#[test]
fn lists_of_modules() {
    for (text, expected) in [
        (
            " a b(OE+) c(E-) [last unloaded: d]",
            &["a", "b(OE+)", "c(E-)"][..],
        ),
        ("", &[]),
        (
            " mpt3sas(OE+) raid_class [ 17.465081] CPU: 0",
            &["mpt3sas(OE+)", "raid_class"],
        ),
        (
            "raid_class scsi_transport_sas",
            &["raid_class", "scsi_transport_sas"],
        ),
        (" nfs lockd  nfs_acl", &["nfs", "lockd", "nfs_acl"]),
        (" x(PO) 失败 y", &["x(PO)"]),
        (" x(() y", &[]),
        (" x( y", &[]),
    ] {
        let shown: Vec<String> = modules(text)
            .iter()
            .map(|module| match module.flags.as_str() {
                "" => module.name.clone(),
                flags => format!("{}({flags})", module.name),
            })
            .collect();
        assert_eq!(shown, expected, "{text}");
    }
    assert_eq!(modules(&"a ".repeat(2000)).len(), MAX_MODULES);
    assert_eq!(
        field("Modules linked in: a"),
        Some(Field::Modules(modules("a")))
    );
    assert_eq!(
        field("Modules linked in:"),
        Some(Field::Modules(Vec::new()))
    );
}

#[test]
fn other_fields() {
    for (message, expected) in [
        (
            "Hardware name: Insyde Purley/Type2 - Board Product Name1, BIOS 00.1 08/24/2017",
            Field::Hardware("Insyde Purley/Type2 - Board Product Name1, BIOS 00.1 08/24/2017"),
        ),
        ("Call Trace:", Field::TraceBegin),
        (" Call Trace:", Field::TraceBegin),
        ("Call trace:", Field::TraceBegin),
        ("Backtrace: ", Field::TraceBegin),
        ("  backtrace:", Field::TraceBegin),
        ("  backtrace (crc 1a2b3c4d):", Field::TraceBegin),
        ("stack backtrace:", Field::TraceBegin),
        ("Stack Trace:", Field::TraceBegin),
        (" <IRQ>", Field::Marker("IRQ")),
        (" </IRQ>", Field::Marker("/IRQ")),
        (" <TASK>", Field::Marker("TASK")),
        (" <#DF>", Field::Marker("#DF")),
        (" <<EOE>>", Field::Marker("EOE")),
        (" <ENTRY_TRAMPOLINE>", Field::Marker("ENTRY_TRAMPOLINE")),
        ("---[ end trace 389c806a74c30735 ]---", Field::EndTrace),
        (
            "---[ end Kernel panic - not syncing: Fatal exception ]---",
            Field::EndTrace,
        ),
        ("Last Breaking-Event-Address:", Field::NoTrace),
        ("Preemption disabled at:", Field::NoTrace),
    ] {
        assert_eq!(field(message), Some(expected), "{message}");
    }
}

#[test]
fn machinery() {
    for message in [
        "task: ffff880032419fa0 ti: ffff88002bfbc000 task.ti: ffff88002bfbc000",
        "RSP: 0000:ffff88002bfbf8a8 EFLAGS: 00010046",
        "RSP: 0018:ffffc90000013e50 EFLAGS: 00010246",
        "RAX: 0000000000000246 RBX: 00000000000000d6 RCX: 00000000fffffffa",
        "R10: 0000000000000000 R11: ffffea0000ab3b80 R12: ffff880029e1db40",
        "FS:  00007f749dd4a8c0(0000) GS:ffff880033c00000(0000) knlGS:0000000000000000",
        "CS: 0010 DS: 0000 ES: 0000 CR0: 0000000080050033",
        "CR2: 00007f749dd52000 CR3: 0000000032402000 CR4: 00000000003407b0",
        "DR0: 0000000000000000 DR1: 0000000000000000 DR2: 0000000000000000",
        "Stack:",
        "Code: 3f 49 8b 7f 08 31 f6 48 c1 fa 03 <0f> 0b b8 ff ff ff ff 48 c7",
        "RSP <ffff88002bfbf8a8>",
        "EIP: 0060:[<c0101234>] EFLAGS: 00010246 CPU: 0",
        "pc : [<ffff000008089abc>] lr : [<ffff000008089ab0>] pstate: 60000145",
        "pc : [<c0008c30>]    lr : [<c0008d24>]    psr: 60000013",
        "NIP:  c000000000012345 LR: c000000000012340 CTR: c000000000000000",
        "NIP:  00003fff9ea5a73c LR: 0000000000000000 CTR: 0000000000000000",
        "epc : ffffffff80001234 ra : ffffffff80001230 sp : ffffffe000000000",
        "--- interrupt: 3000 at 0x3fff9ea5a73c",
        "    LR = foo+0xcc/0x2a0",
        "RIP: 0010:foo include/linux/x.h:12 [inline]",
        " 00000000000000d6 ffff880029e1db40 0000000000000246 0000000000000002",
        "9d60: 00000000 c0101234 c0101238 60000013",
        "           R:0 T:1 IO:1 EX:1 Key:0 M:1 W:0 P:0 AS:3 CC:0 PM:0 RI:0 EA:3",
        "REGS: c0000000fb3f7780 TRAP: 0300",
        "Unloaded tainted modules: dcssblk(E):2 [last unloaded: dcssblk(E)]",
        "RIP: 0033:0x7f0123456789",
        "RIP: 0033:[<00007f0123456789>]  [<00007f0123456789>] 0x7f0123456789",
        "EAX: 00000000 EBX: f6f6c000 ECX: 00000000 EDX: 00000000",
        "EFLAGS: 00010246 CPU: 0",
        "PKRU: 55555554",
        "Kernel Offset: disabled",
        "Kernel Offset: 0x1c000000 from 0xffffffff81000000 (relocation range: x)",
        "PGD 0 P4D 0 ",
        "PGD 2be0067 PUD 2be1067 PMD 0 ",
        "*pde = 00000000 ",
        "Workqueue: events foo",
        "note: insmod[1234] exited with preempt_count 1",
        "x29: ffff800012345678 x28: ffff000001234567 x27: 0000000000000000",
        "x2 : 0000000000000000 x1 : 0000000000000000 x0 : 0000000000000000",
        "sp : ffff800012345678",
        "lr : foo+0x1/0x2",
        "pstate: 60400009 (nZCv daif +PAN -UAO)",
        "Mem abort info:",
        "  ESR = 0x96000045",
        "LR is at foo+0x1/0x2",
        "r10: c0a01234  r9 : 00000000  r8 : 00000000",
        "Flags: nZCv  IRQs on  FIQs on  Mode SVC_32  ISA ARM  Segment none",
        "Control: 10c5387d  Table: 6000406a  DAC: 00000051",
        "LR [c000000000012340] bar+0x1/0x2",
        "MSR:  8000000000009033 <SF,EE,ME,IR,DR,RI,LE>  CR: 24002222  XER: 20000000",
        "CFAR: c000000000008468 DAR: 0000000000000000 DSISR: 42000000 SOFTE: 1 ",
        "GPR00: c000000000012345 c0000000fb3f7a00 c000000000f85000 0000000000000000 ",
        "Instruction dump:",
        "Krnl GPRS: 0000000000000000 0000000000000001 0000000000000000 0000000000000000",
        "Krnl Code: 0000000000123456: a7f40001 brc 15,x",
        " gp : ffffffff81234567 tp : ffffffe001234567 t0 : 0000000000000000",
        "status: 0000000000000120 badaddr: 0000000000000000 cause: 000000000000000f",
        "$ 0   : 00000000 1000fc00 00000000 00000000",
        "Hi    : 00000000",
        "ra    : 80123450 bar+0x1/0x2",
        "Tainted: [W]=WARN, [O]=OOT_MODULE",
    ] {
        assert_eq!(field(message), Some(Field::Machinery), "{message}");
    }
}

#[test]
fn no_fields() {
    for message in [
        "",
        "  ",
        "CPU: 0 on fire",
        "CPU0: Thermal monitoring enabled (TM1)",
        "CPU 3 is now offline",
        "CPU: Intel(R) Xeon(R) (fam: 06, model: 3f, stepping: 02)",
        "Process accounting resumed",
        "Hardware watchdog",
        "Modules: x",
        "pcieport 0000:00:1c.0: x",
        "pci 0000:00:1c.0: [8086:1c10] type 01",
        "RIPE",
        "IP: routing cache hash table of 1024 entries",
        "IPv6: ADDRCONF(NETDEV_UP): eth0: link is not ready",
        "NIP it",
        "task foo blocked",
        "sda: sda1 sda2",
        "eth0: link up",
        "usb 1-1: x",
        "ata1: SATA max UDMA/133",
        "TCP: Hash tables configured",
        "<6>text",
        "-- x",
        "Stack overflow",
        "backlight: x",
        "Call me",
        "PM: suspend entry",
        "EDAC MC: Ver: 3.0.0",
        "ACPI: Added _OSI(Module Device)",
        "SCSI: x",
        "md: cafe",
        "foo+0x1/0x2",
    ] {
        assert_eq!(field(message), None, "{message}");
    }
}

proptest! {
    #[test]
    fn anything_is_survived(text in "\\PC*") {
        field(&text);
        modules(&text);
    }

    #[test]
    fn near_fields_are_survived(pieces in proptest::collection::vec(proptest::sample::select(vec![
        "CPU: ", "0", " PID: ", "UID: ", " Comm: ", "x", " Not tainted ", " Tainted: ", "G", " ", "-", "6.1.0",
        " #1", "RIP: ", "EIP", " is at ", "0010:", "[<", "ffffffff8105803e", ">]", "foo", "+0x1", "/0x2",
        " [mod]", "NIP [", "]", "Krnl PSW : ", "(", ")", "epc", " : ", "ä", "失", "Modules linked in:", "<", ">",
        "TASK = ", "'", "task:", " state:", "pid:", "pc", "{", "}", ":", "Process ", " (pid: ",
    ]), 0..20)) {
        let text = pieces.concat();
        field(&text);
        modules(&text);
    }

    #[test]
    fn what_is_printed_is_read(
        number in 0u32..4096,
        pid in 0u32..99999,
        comm in "[a-zA-Z0-9/:_() .-]{1,15}",
        taint in "[A-Z]( [A-Z]){0,4}",
        release in "[2-6]\\.[0-9]{1,2}\\.[0-9]{1,2}(-[a-z0-9.]{1,9})?",
    ) {
        let line = format!("CPU: {number} PID: {pid} Comm: {comm} Tainted: {taint}   {release} #1");
        let expected = Field::Process {
            cpu: Some(number),
            process: Some(Process { comm: comm.trim().to_owned(), pid: Some(pid) }),
            taint: Some(taint),
            release: Some(release),
        };
        prop_assert_eq!(field(&line), Some(expected));
    }
}
