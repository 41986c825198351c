//! What contributes, and who is suspected.

use super::*;

#[test]
fn what_contributes_decides_nothing() {
    for (lines, name) in [
        // 4
        (
            "do_IRQ: 0.89 No irq handler for vector (irq -1)",
            "stray-interrupt",
        ),
        (
            "__common_interrupt: 0.55 No irq handler for vector",
            "stray-interrupt",
        ),
        // 6
        (
            "init: page allocation failure: order:4, mode:0xcc1(GFP_KERNEL|GFP_DMA)",
            "page-allocation-failure",
        ),
        // 12
        (
            "The kernel version is not supported.",
            "makedumpfile-older-than-kernel",
        ),
        // 18
        (
            "[    1.500000] printk: console [ttyS0] disabled",
            "console-artefact",
        ),
        // 1, clues
        (
            "megasas: current msix/online cpus : (0/1)",
            "megasas-without-msix",
        ),
        ("vmw_pvscsi: using INTx", "msi-x-fallback"),
        ("hpsa 0000:03:00.0: MSI-X init failed -28", "msi-x-fallback"),
        (
            "mpt3sas_cm0: 32 BIT PCI BUS DMA ADDRESSING SUPPORTED, total mem (496792 kB)",
            "32-bit-dma",
        ),
        (
            "DMAR: [DMA Write] Request device [02:00.0] fault addr ffe3a000 ",
            "dma-faults",
        ),
        ("kdump: saving vmcore-dmesg.txt failed", "dmesg-not-saved"),
    ] {
        let log = format!("{CAPTURE}{lines}\n");
        assert_eq!(was(&log), (Unknown, "unknown".to_owned()), "{lines}");
        assert_eq!(contributing(&log), [name], "{lines}");
    }
    // 19
    let log = format!(
        "{CAPTURE}kdump: saving vmcore\nkdump: saving vmcore complete\n[   20.000000] Kernel panic - not syncing: NMI: Not continuing\n"
    );
    assert_eq!(was(&log), (VmcoreSaved, "none".to_owned()));
    assert_eq!(contributing(&log), ["died-after-the-dump"]);
}

#[test]
fn notes_beside_exhausted_vectors() {
    let lines = "[    0.100000] Setting APIC routing to flat.
[   18.306304] mpt3sas_cm0: 32 BIT PCI BUS DMA ADDRESSING SUPPORTED, total mem (496792 kB)
[   18.419317] mpt3sas0: unable to allocate interrupt 214!
[   18.419318] mpt3sas0: unable to allocate interrupt 214, r: -38!
";
    let names = noted(&format!("{lines}{VECTOR_BUG}"));
    assert_eq!(
        names,
        [
            "hidden-by-log-level",
            "errno-38",
            "32-bit-dma",
            "one-capture-cpu",
            "flat-apic-routing"
        ]
    );
    let seen = "mpt3sas_cm0: pci_enable_msix_exact failed (r=-1) !!!\n";
    let names = noted(&format!("{seen}{lines}"));
    assert!(!names.iter().any(|name| name == "hidden-by-log-level"));
    judged(&format!("{CAPTURE}{lines}{VECTOR_BUG}"), |found| {
        let finding = found.cause.as_ref().unwrap();
        assert_eq!(finding.suspects, ["i40e"]);
        let remedy = &finding.rule.remedies[0];
        let files: Vec<&str> = remedy
            .config
            .iter()
            .map(|line| line.file.as_str())
            .collect();
        assert!(files.contains(&"/etc/sysconfig/kdump"));
        assert!(remedy.action.contains("RHEL 7 and later refuse"));
    });
}

/// The driver in the trace is the victim of a shortage of vectors, and to blame for its own oops.
#[test]
fn suspects_are_named() {
    let suspects = |lines: &str| {
        judged(&format!("{CAPTURE}{lines}"), |found| {
            found.cause.as_ref().unwrap().suspects.clone()
        })
    };
    assert_eq!(suspects(PROBE_OOPS), ["bnx2x"]);
    assert_eq!(
        suspects(&PROBE_OOPS.replace("bnx2x", "homemade")),
        ["homemade"]
    );
    assert_eq!(suspects(VECTOR_BUG), ["i40e"]);
    let own = VECTOR_BUG.replace(
        "_scsih_probe+0x6ad/0xb40 [mpt3sas]",
        "i40e_probe+0x1/0x2 [i40e]",
    );
    assert!(suspects(&own).is_empty());
}
