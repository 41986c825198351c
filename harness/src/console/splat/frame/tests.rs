use proptest::prelude::*;

use super::*;

/// Name, offset, size, module, reliable, source.
fn shown(message: &str) -> Vec<String> {
    let mut all = Vec::new();
    let any = frames(message, &mut |frame| all.push(show(&frame)));
    assert_eq!(any, !all.is_empty(), "{message}");
    all
}

/// As x86's kernels print it, with what a symbolizer adds.
fn show(frame: &Frame) -> String {
    let symbol = &frame.symbol;
    let mut text = String::new();
    if !frame.reliable {
        text += "? ";
    }
    text += &symbol.name;
    if let Some(offset) = symbol.offset {
        text += &format!("+{offset:#x}");
    }
    if let Some(size) = symbol.size {
        text += &format!("/{size:#x}");
    }
    if let Some(module) = &symbol.module {
        text += &format!(" [{module}]");
    }
    if let Some(source) = &frame.source {
        text += &format!(" {}:{}", source.file, source.line);
    }
    text
}

#[test]
fn one_frame_of_each_form() {
    for (message, expected) in [
        // x86 since 4.10.
        (" foo+0x1/0x2", "foo+0x1/0x2"),
        (" ? foo+0x1/0x2 [mod]", "? foo+0x1/0x2 [mod]"),
        ("foo+0x1/0x2", "foo+0x1/0x2"),
        ("\tfoo+0x1/0x2", "foo+0x1/0x2"),
        (" ? 0xffffffffc0369000", "? 0xffffffffc0369000"),
        (" 0xffffffffc0369000", "0xffffffffc0369000"),
        (" ? __pfx_kthread+0x10/0x10", "? __pfx_kthread+0x10/0x10"),
        (" <TASK> foo+0x1/0x2", "foo+0x1/0x2"),
        // x86 before.
        (
            " [<ffffffff8105803e>] arch_teardown_hwirq+0x3e/0x70",
            "arch_teardown_hwirq+0x3e/0x70",
        ),
        (
            " [<ffffffff81441b4f>] ? driver_attach+0x1e/0x20",
            "? driver_attach+0x1e/0x20",
        ),
        (
            " [<ffffffffc01e8000>] ? 0xffffffffc01e7fff",
            "? 0xffffffffc01e7fff",
        ),
        (
            " [<ffffffffc01e8000>] 0xffffffffc01e7fff",
            "0xffffffffc01e7fff",
        ),
        (" [<ffffffffc01e8000>]", "0xffffffffc01e8000"),
        (" <IRQ>  [<ffffffff8105803e>] foo+0x1/0x2", "foo+0x1/0x2"),
        (
            " <<EOE>>  <IRQ>  [<ffffffff8105803e>] ? foo+0x1/0x2",
            "? foo+0x1/0x2",
        ),
        (" <EOI>  [<ffffffff8105803e>] foo+0x1/0x2", "foo+0x1/0x2"),
        ("[<c0101234>] foo+0x1/0x2", "foo+0x1/0x2"),
        ("[<c0101234>] foo+0x1/0x2 [mod]", "foo+0x1/0x2 [mod]"),
        (" [<(ptrval)>] foo+0x1/0x2", "foo+0x1/0x2"),
        ("    [<00000000e5be5de7>] foo+0x1/0x2", "foo+0x1/0x2"),
        ("    [<(____ptrval____)>] foo+0x1/0x2", "foo+0x1/0x2"),
        (
            "<ffffffff8013b1b5>{printk_ratelimit+23}",
            "printk_ratelimit+0x17",
        ),
        (
            " <ffffffff88021234>{:ext3:ext3_get_block+16}",
            "ext3_get_block+0x10 [ext3]",
        ),
        // arm64.
        (" foo+0x1/0x2 (P)", "foo+0x1/0x2"),
        (" foo+0x1/0x2 [mod] (PL)", "foo+0x1/0x2 [mod]"),
        (" el0t_64_sync+0x1a0/0x1a4", "el0t_64_sync+0x1a0/0x1a4"),
        ("[<ffff000008089abc>] foo+0x1/0x2", "foo+0x1/0x2"),
        ("[<ffffffc000089abc>] foo+0x1/0x2", "foo+0x1/0x2"),
        // arm.
        (
            "[<c0008c30>] (foo) from [<c0008d24>] (bar+0x10/0x20)",
            "bar+0x10/0x20",
        ),
        (
            "[<c0008c30>] (foo+0x0/0x50) from [<c0008d24>] (bar+0x10/0x20)",
            "bar+0x10/0x20",
        ),
        (
            "[<bf0080c0>] (foo [mod]) from [<bf0090c0>] (bar+0x10/0x20 [mod])",
            "bar+0x10/0x20 [mod]",
        ),
        (
            "[<c0008c30>] (foo) from [<c0008d24>] (bar+0x10/0x20",
            "bar+0x10/0x20",
        ),
        (
            "    [<00000000e5be5de7>] kzalloc include/linux/slab.h:721 [inline]",
            "kzalloc include/linux/slab.h:721",
        ),
        (" foo from bar+0x1/0x2", "bar+0x1/0x2"),
        (" foo [mod] from bar+0x1/0x2 [mod]", "bar+0x1/0x2 [mod]"),
        (" foo.part.0 from bar+0x1/0x2", "bar+0x1/0x2"),
        // powerpc.
        (
            "[c0000000fb3f7a10] [c000000000012345] foo+0x1/0x2 (unreliable)",
            "? foo+0x1/0x2",
        ),
        (
            "[c0000000fb3f7a10] [c000000000012345] .foo+0x1/0x2",
            ".foo+0x1/0x2",
        ),
        (
            "[c0000000fb3f7a10] [d000000001234567] foo+0x1/0x2 [mod]",
            "foo+0x1/0x2 [mod]",
        ),
        (
            "[c0000000fb3f7a10] [c000000000012345] foo+0x1/0x2 [mod] (unreliable)",
            "? foo+0x1/0x2 [mod]",
        ),
        (
            "[c0000000fb3f7a10] [0000000010000001] 0x10000001",
            "0x10000001",
        ),
        ("[df1a5d60] [c00189c4] foo+0x1/0x2", "foo+0x1/0x2"),
        (
            "--- interrupt: 900 at plpar_hcall_norets+0x1c/0x28",
            "plpar_hcall_norets+0x1c/0x28",
        ),
        ("--- Exception: 901 at .foo+0x1/0x2", ".foo+0x1/0x2"),
        // s390.
        (" [<0000000000123456>] foo+0x1/0x2 ", "foo+0x1/0x2"),
        ("([<0000000000123456>] foo+0x1/0x2)", "? foo+0x1/0x2"),
        (
            "([<0000000000123456>] foo+0x1/0x2 [mod])",
            "? foo+0x1/0x2 [mod]",
        ),
        (" [<000001e0f2a1b2c4>] foo+0x1/0x2", "foo+0x1/0x2"),
        // riscv, mips, loongarch, sparc, parisc.
        ("[<ffffffff80001234>] foo+0x1/0x2", "foo+0x1/0x2"),
        ("[<80101234>] foo+0x1/0x2", "foo+0x1/0x2"),
        ("[<9000000000223456>] foo+0x1/0x2", "foo+0x1/0x2"),
        (" [000000000045678c] foo+0x1/0x2", "foo+0x1/0x2"),
        (" [<0000000040123456>] foo+0x1/0x2", "foo+0x1/0x2"),
        // Symbolizers.
        (
            " foo+0x1/0x2 drivers/x/y.c:123",
            "foo+0x1/0x2 drivers/x/y.c:123",
        ),
        (
            " [<ffffffff8105803e>] foo+0x1/0x2 drivers/x/y.c:123",
            "foo+0x1/0x2 drivers/x/y.c:123",
        ),
        (
            " ? foo+0x1/0x2 drivers/x/y.c:123",
            "? foo+0x1/0x2 drivers/x/y.c:123",
        ),
        (" foo drivers/x/y.c:123 [inline]", "foo drivers/x/y.c:123"),
        (
            " [inline] foo include/linux/x.h:12",
            "foo include/linux/x.h:12",
        ),
        (
            " [<     inline     >] foo include/linux/x.h:12",
            "foo include/linux/x.h:12",
        ),
        (
            " foo (drivers/x/y.c:123 (discriminator 3)) mod",
            "foo [mod] drivers/x/y.c:123",
        ),
        (" foo (drivers/x/y.c:123)", "foo drivers/x/y.c:123"),
        (" ? foo (??:?) ", "? foo"),
        (
            " foo (include/linux/x.h:7 drivers/x/y.c:123) ",
            "foo include/linux/x.h:7",
        ),
        (
            " [<ffffffff8105803e>] ? foo (drivers/x/y.c:123)",
            "? foo drivers/x/y.c:123",
        ),
        (" kernel_init_freeable (main.c:?)", "kernel_init_freeable"),
        (
            " foo+0x1/0x2 /home/me/mod/x.c:12 [mod]",
            "foo+0x1/0x2 [mod] /home/me/mod/x.c:12",
        ),
        // Compilers.
        (" foo.isra.0.cold+0x1/0x2", "foo.isra.0.cold+0x1/0x2"),
        (
            " _RNvNtCs1234_6kernel5print+0x1/0x2",
            "_RNvNtCs1234_6kernel5print+0x1/0x2",
        ),
        (
            " foo+0x1/0x2 [mod 0123456789abcdef0123456789abcdef01234567]",
            "foo+0x1/0x2 [mod]",
        ),
        // Prose behind it.
        (
            " [<ffffffffc019f748>] foo+0x188/0x710 [mpt3sas]------调用_base_enable_msix--->失败。",
            "foo+0x188/0x710 [mpt3sas]",
        ),
    ] {
        assert_eq!(shown(message), [expected], "{message}");
    }
}

#[test]
fn no_frames() {
    for message in [
        "",
        " ",
        "Call Trace:",
        " <TASK>",
        " </IRQ>",
        "RAX: 0000000000000246 RBX: 00000000000000d6 RCX: 00000000fffffffa",
        "Code: 3f 49 8b 7f 08 31 f6 48 c1 fa 03 <0f> 0b b8 ff ff ff ff 48 c7",
        " 00000000000000d6 ffff880029e1db40 0000000000000246 0000000000000002",
        " ffff880029e1db40 0000000000000246",
        "9d60: 00000000 c0101234 c0101238 60000013",
        "RIP: 0010:foo+0x1/0x2",
        "RIP  [<ffffffff8105641d>] __clear_irq_vector+0x9d/0x100",
        "RIP: 0010:[<ffffffff8105641d>]  [<ffffffff8105641d>] foo+0x9d/0x100",
        "pc : foo+0x1/0x2",
        "lr : foo+0x1/0x2",
        "PC is at foo+0x1/0x2",
        "NIP [c000000000012345] foo+0x1/0x2",
        "initcall foo+0x0/0x12 returned 0 after 12 usecs",
        "calling  foo+0x0/0x12 @ 1",
        "pci 0000:00:1d.0: quirk_usb+0x0/0x710 took 24000 usecs",
        "WARNING: CPU: 0 PID: 1 at kernel/x.c:12 foo+0x1/0x2 [mod]",
        "BUG: KASAN: use-after-free in foo+0x1/0x2",
        " #0: ffff888012345678 (&lock){+.+.}, at: foo+0x1/0x2",
        "-> #1 (&lock){+.+.}:",
        "hardirqs last  enabled at (123): [<ffffffff81234567>] foo+0x1/0x2",
        "usb 1-1: new high-speed USB device number 2 using ehci-pci",
        "eth0 from 10.0.0.1",
        "[12345678] usb 1-1: x",
        "[drm:foo [i915]] *ERROR* x",
        "0x12: y",
        "0xffffffff81234567: 00 11",
        "0x0000000000001000-0x000000000009ffff usable",
        "x (y)",
        "foo (bar)",
        "foo (bar.c)",
        "at fs/foo.c:12",
        "foo fs/foo.c:12",
        "cpu+1 is up",
        "[<ffffffff81234567>] usb_hcd_irq",
        "[<c0101234>] is where it stands",
        "[ 17.9 %] x",
        "<6>foo",
        "--- interrupt: c00",
        "失败 foo+0x1/0x2",
        "? what",
        "Call Trace: is explained in foo+0x1/0x2",
        "([<0000000000123456>] foo+0x1/0x2",
    ] {
        assert_eq!(shown(message), [""; 0], "{message}");
    }
}

#[test]
fn joined_lines() {
    for (message, expected) in [
        (
            "foo+0x1/0x2 bar+0x3/0x4 [mod] ? baz+0x5/0x6",
            &["foo+0x1/0x2", "bar+0x3/0x4 [mod]", "? baz+0x5/0x6"][..],
        ),
        (
            "[<ffffffff8105803e>] foo+0x1/0x2 [<ffffffff8105803f>] ? bar+0x3/0x4",
            &["foo+0x1/0x2", "? bar+0x3/0x4"],
        ),
        (
            "kernel BUG at x.c:1! [ 1.0] Code: 00 Call Trace: [ 17.616697] [<ffffffff8105803e>] foo+0x1/0x2 [ 17.623293] [<ffffffff8105902a>] bar+0x3/0x4 [mod] [ 17.629882] [<ffffffffc01e8000>] ? 0xffffffffc01e7fff [ 17.7] x",
            &["foo+0x1/0x2", "bar+0x3/0x4 [mod]", "? 0xffffffffc01e7fff"],
        ),
        // Prose between, and the report going on.
        (
            "Call Trace: [ 17.616697] [<ffffffff8105803e>] foo+0x1/0x2------调用失败。 [ 17.623293] [<ffffffff8105902a>] bar+0x3/0x4 [ 17.835729] Code: 3f 49 [ 17.857031] RIP [<ffffffff8105641d>] baz+0x9d/0x100",
            &["foo+0x1/0x2", "bar+0x3/0x4"],
        ),
        (
            "Call Trace: [<ffffffff8105803e>] foo+0x1/0x2 Code: 3f 49 RIP [<ffffffff8105641d>] baz+0x9d/0x100",
            &["foo+0x1/0x2"],
        ),
        (
            "Call Trace: [<ffffffff8105803e>] foo+0x1/0x2 说明 RIP [<ffffffff8105641d>] baz+0x9d/0x100",
            &["foo+0x1/0x2"],
        ),
        (
            "Call trace: foo+0x1/0x2 (P) bar+0x3/0x4",
            &["foo+0x1/0x2", "bar+0x3/0x4"],
        ),
        (
            "Call Trace: <IRQ> foo+0x1/0x2 </IRQ> <TASK> bar+0x3/0x4 </TASK> RIP: 0033:0x7f",
            &["foo+0x1/0x2", "bar+0x3/0x4"],
        ),
        (
            "Call Trace: [c0000000fb3f7a10] [c000000000012345] foo+0x1/0x2 (unreliable) [c0000000fb3f7a40] [c000000000012346] bar+0x3/0x4",
            &["? foo+0x1/0x2", "bar+0x3/0x4"],
        ),
        (
            "Call Trace:<ffffffff8013b1b5>{foo+23} <ffffffff8013b1b6>{bar+24}",
            &["foo+0x17", "bar+0x18"],
        ),
        (
            "Call Trace: [    1.000000][  T123]  foo+0x1/0x2 [    1.000000][  T123]  bar+0x3/0x4",
            &["foo+0x1/0x2", "bar+0x3/0x4"],
        ),
        (
            "foo (a/b.c:1) [    1.000000] bar (a/b.c:2) mod",
            &["foo a/b.c:1", "bar [mod] a/b.c:2"],
        ),
        // Two traces in one line.
        (
            "Call Trace: foo+0x1/0x2 Code: 00 Call Trace: bar+0x3/0x4",
            &["foo+0x1/0x2", "bar+0x3/0x4"],
        ),
    ] {
        assert_eq!(shown(message), expected, "{message}");
    }
}

#[test]
fn the_time_of_a_hostile_line_is_linear() {
    let begin = std::time::Instant::now();
    for piece in [
        "[",
        "[<",
        "Call Trace:",
        "Call Trace: [",
        "foo+0x1/0x2 [x ",
        "race:",
        "<IRQ>",
        "[    1.000000] ",
        "foo+0x1/0x2 ä[<",
        "(",
        "? ",
        "foo (",
    ] {
        for lead in ["", "foo+0x1/0x2 "] {
            let line = lead.to_owned() + &piece.repeat(200_000 / piece.len());
            frames(&line, &mut |_| {});
        }
    }
    assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
}

fn a_symbol() -> impl Strategy<Value = Symbol> {
    (
        "[a-z_][a-z0-9_]{0,20}(\\.isra\\.[0-9])?(\\.cold)?",
        any::<u32>(),
        any::<u32>(),
        proptest::option::of("[a-z_]{1,7}"),
    )
        .prop_map(|(name, offset, size, module)| Symbol {
            name,
            offset: Some(offset.into()),
            size: Some(size.into()),
            module: module.filter(|module| module != "inline"),
        })
}

fn a_frame() -> impl Strategy<Value = Frame> {
    let source = proptest::option::of(("[a-z]{1,8}/[a-z]{1,8}\\.[ch]", 1u32..9999));
    (a_symbol(), any::<bool>(), source).prop_map(|(symbol, reliable, source)| Frame {
        symbol,
        reliable,
        source: source.map(|(file, line)| Source { file, line }),
    })
}

fn collect(message: &str) -> Vec<Frame> {
    let mut all = Vec::new();
    frames(message, &mut |frame| all.push(frame));
    all
}

proptest! {
    #[test]
    fn a_shown_frame_is_read_back(frame in a_frame()) {
        prop_assert_eq!(collect(&show(&frame)), std::slice::from_ref(&frame));
        let addressed = format!(" [<ffffffff8105803e>] {}", show(&frame));
        prop_assert_eq!(collect(&addressed), [frame]);
    }

    #[test]
    fn joining_lines_changes_nothing(
        all in proptest::collection::vec(a_frame(), 1..8),
        begin in proptest::sample::select(vec!["", "Call Trace: ", "oops [    1.000000] Call Trace: "]),
        between in proptest::sample::select(vec![" ", "  ", " [    1.234567] ", " [    1.234567][  T123]  ", "\t"]),
    ) {
        let lines: Vec<String> = all.iter().map(show).collect();
        prop_assert_eq!(collect(&format!("{begin}{}", lines.join(between))), all);
    }

    #[test]
    fn anything_is_survived(text in "\\PC*") {
        frames(&text, &mut |_| {});
    }

    #[test]
    fn near_traces_are_survived(pieces in proptest::collection::vec(proptest::sample::select(vec![
        "Call Trace:", " ", "[<", "ffffffff8105803e", ">]", "foo", "+0x1", "/0x2", " [mod]", "? ",
        "(", ")", " from ", "[", "]", "<", ">", "{", "}", "ä", "失", " (P)", "a.c:1", "0x", ":", "IRQ",
        "[    1.000000] ", "[inline]", " (unreliable)", "--- interrupt: 1 at ", "RIP", "Code:",
    ]), 0..30)) {
        let text = pieces.concat();
        let mut count = 0usize;
        let any = frames(&text, &mut |_| count += 1);
        prop_assert_eq!(any, count > 0);
        prop_assert!(count <= text.len());
    }
}
