use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::report::{findings_json, findings_text};

/// What the corpora's machines have.
const MEMORY: Bytes = Bytes(4 * Bytes::GIB);

/// The files of a corpus with the flavour that their folder is called after.
fn corpus(name: &str) -> Vec<(Flavour, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name);
    let mut files = Vec::new();
    for folder in std::fs::read_dir(root).unwrap() {
        let folder = folder.unwrap().path();
        let flavour: Flavour = folder
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        for file in std::fs::read_dir(&folder).unwrap() {
            files.push((flavour, file.unwrap().path()));
        }
    }
    files.sort_by_key(|(_, path)| path.clone());
    files
}

fn one(flavour: Flavour, name: &str, bytes: &[u8]) -> Checked {
    let settings = Settings {
        flavour: Some(flavour),
        memory: Some(MEMORY),
    };
    check(&[Input { name, bytes }], settings)
}

/// Each file is one mistake, and what a user is shown for it is the snapshot.
#[test]
fn corpus_of_mistakes() {
    let files = corpus("bad-configs");
    assert!(files.len() >= 100, "{} files", files.len());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../tests/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (flavour, path) in files {
            let name = path.file_name().unwrap().to_str().unwrap();
            let checked = one(flavour, name, &std::fs::read(&path).unwrap());
            let file = &checked.files[0];
            let silent = file.kind.is_ok() && file.findings.is_empty();
            assert!(!silent, "{path:?}: nothing was found");
            let shown = findings_text(&checked, 100, false);
            insta::assert_snapshot!(format!("bad-config-{flavour}-{name}"), shown);
        }
    });
}

#[test]
fn healthy_files_have_no_finding() {
    let files = corpus("good-configs");
    let flavours: std::collections::HashSet<&str> =
        files.iter().map(|(flavour, _)| flavour.name()).collect();
    assert_eq!(flavours.len(), Flavour::ALL.len(), "every distribution");
    for (flavour, path) in files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let checked = one(flavour, name, &std::fs::read(&path).unwrap());
        assert_eq!(checked.files[0].kind.clone().err(), None, "{path:?}");
        assert_eq!(checked.files[0].findings, [], "{path:?}");
    }
}

/// Whatever does most harm, so much of it that no time that grows with its square would do.
#[test]
fn hostile_files_are_bounded() {
    const SIZE: usize = 1 << 16;
    let conf: &[&str] = &[
        "a",
        "\\\n",
        "\n",
        " ",
        "\"",
        "#",
        "\0",
        "é",
        "path /a\n",
        "blacklist a\n",
        "ext4 /dev/a\n",
        "dracut_args --x\n",
        "core_collector makedumpfile -d\n",
        "=",
    ];
    let shell: &[&str] = &[
        "a",
        "\n",
        "'",
        "\"",
        "$",
        "$A",
        "${",
        "`",
        "\\\n",
        "\0",
        "\r\n",
        "A=1 ",
        "A=1\n",
        "A=$A$A\n",
        "A+=x\n",
        "A=$B ",
        "A=$B\n",
        "export A\n",
        "KDUMP_COMMANDLINE_APPEND=nr_cpus=x\n",
        "(",
        ";",
    ];
    let line: &[&str] = &[
        "a",
        " ",
        "\"",
        "=",
        "crashkernel=1M ",
        "crashkernel=1M,low ",
        "crashkernel=1G-2G:1M,",
        "crashkernal=1 ",
        "nr_cpus=x ",
        "rd.driver.blacklist=nvme ",
        "rd.driver.blacklist=a,",
        "nvme,",
    ];
    let yaml: &[&str] = &["a", "- ", "a: {", "[", "a: 1\n", "\"", "|"];
    for (name, before, pieces) in [
        ("kdump.conf", "", conf),
        ("kdump.conf", "dracut_args ", line),
        ("kdump.conf", "core_collector ", line),
        ("sysconfig/kdump", "", shell),
        ("sysconfig/kdump", "KDUMP_COMMANDLINE_APPEND=\"", line),
        ("kdump-tools", "USE_KDUMP=1\n", shell),
        ("cmdline", "", line),
        ("cmdline", "rd.driver.blacklist=", line),
        ("a.yaml", "", yaml),
    ] {
        for piece in pieces {
            let mut text = before.to_owned() + &piece.repeat(SIZE / piece.len());
            text.push_str("\"\n");
            let start = Instant::now();
            let checked = one(Flavour::Rhel7, name, text.as_bytes());
            let shown = findings_text(&checked, 100, false);
            let time = start.elapsed();
            let what = format!("{name}: {before}{piece:?}");
            assert!(time < Duration::from_secs(10), "{what}: {time:?}");
            assert!(shown.len() < SIZE, "{what}: {} bytes", shown.len());
            assert!(checked.files[0].findings.len() <= 100, "{what}");
        }
    }
}

fn kinds(names: &[(&str, &str)]) -> Vec<Option<Kind>> {
    names
        .iter()
        .map(|(name, text)| {
            one(Flavour::Rhel7, name, text.as_bytes()).files[0]
                .kind
                .clone()
                .ok()
        })
        .collect()
}

#[test]
fn bytes_that_are_no_text() {
    let why = |bytes: &[u8]| {
        one(Flavour::Rhel7, "kdump.conf", bytes).files[0]
            .kind
            .clone()
    };
    assert_eq!(why(b"p\0a\0t\0h\0 \0"), Err(Unusable::Utf16));
    assert_eq!(why(b"\xff\xfep\0"), Err(Unusable::Utf16));
    assert_eq!(
        why(b"path /a\nx\xff"),
        Err(Unusable::NotText { line: 2, byte: 2 })
    );
    assert_eq!(why(&vec![b'a'; MAX_SIZE + 1]), Err(Unusable::Large));
    // That is text, if a bad one.
    assert_eq!(why(&[0; 9]), Ok(Kind::KdumpConf));
}

#[test]
fn recognised() {
    assert_eq!(
        kinds(&[
            ("/etc/kdump.conf", ""),
            ("sos/etc/sysconfig/kdump", ""),
            ("/etc/default/kdump-tools", ""),
            ("/proc/cmdline", ""),
            ("x.yaml", ""),
            ("-", "# x\npath /var/crash\n"),
            ("-", "KDUMP_IMG=vmlinuz\n"),
            ("-", "USE_KDUMP=1\nKDUMP_KERNEL=x\n"),
            ("-", "ro root=/dev/sda1 quiet\n"),
            ("-", "name: x\nimage: debian-12\n"),
            ("-", "hello\n"),
        ]),
        [
            Some(Kind::KdumpConf),
            Some(Kind::Sysconfig),
            Some(Kind::KdumpTools),
            Some(Kind::Commandline),
            Some(Kind::Scenario),
            Some(Kind::KdumpConf),
            Some(Kind::Sysconfig),
            Some(Kind::KdumpTools),
            Some(Kind::Commandline),
            Some(Kind::Scenario),
            None,
        ]
    );
}

fn guessed(files: &[(&str, &str)]) -> Flavour {
    let inputs: Vec<Input<'_>> = files
        .iter()
        .map(|(name, text)| Input {
            name,
            bytes: text.as_bytes(),
        })
        .collect();
    let checked = check(&inputs, Settings::default());
    assert!(checked.guessed_from.is_some());
    checked.flavour
}

#[test]
fn guesses() {
    assert_eq!(guessed(&[("kdump.conf", "path /a\n")]), Flavour::Rhel7);
    assert_eq!(
        guessed(&[("kdump.conf", "final_action halt\n")]),
        Flavour::Rhel8
    );
    assert_eq!(
        guessed(&[("kdump-tools", "USE_KDUMP=1\n")]),
        Flavour::Debian
    );
    assert_eq!(
        guessed(&[("sysconfig/kdump", "KDUMP_SAVEDIR=/x\n")]),
        Flavour::Opensuse
    );
    assert_eq!(
        guessed(&[
            ("kdump.conf", "path /a\n"),
            ("cmdline", "BOOT_IMAGE=/vmlinuz-5.14.0-70.el9.x86_64 ro\n")
        ]),
        Flavour::Rhel9
    );
}

fn together_of(files: &[(&str, &str)]) -> Vec<(usize, Level, String)> {
    let inputs: Vec<Input<'_>> = files
        .iter()
        .map(|(name, text)| Input {
            name,
            bytes: text.as_bytes(),
        })
        .collect();
    let settings = Settings {
        flavour: Some(Flavour::Rhel7),
        memory: Some(MEMORY),
    };
    check(&inputs, settings)
        .files
        .iter()
        .enumerate()
        .flat_map(|(nth, file)| {
            let of = move |it: &Finding| (nth, it.level, file.text[it.at.clone()].to_owned());
            file.findings
                .iter()
                .filter(|it| it.lint == Lint::DriverKeptOut)
                .map(of)
        })
        .collect()
}

#[test]
fn drivers_across_files() {
    let append = |list: &str| {
        format!(
            "KDUMP_COMMANDLINE_APPEND=\"irqpoll nr_cpus=1 reset_devices rd.driver.blacklist={list}\"\n"
        )
    };
    let nvme = ("kdump.conf", "ext4 /dev/nvme0n1\n");
    assert_eq!(
        together_of(&[nvme, ("sysconfig/kdump", &append("i40e,nvme"))]),
        [(1, Level::Error, "nvme".to_owned())]
    );
    assert_eq!(
        together_of(&[nvme, ("sysconfig/kdump", &append("i40e"))]),
        []
    );
    // With an NVMe target no HBA matters; with a disk that could be anywhere it may.
    assert_eq!(
        together_of(&[nvme, ("sysconfig/kdump", &append("mpt3sas"))]),
        []
    );
    assert_eq!(
        together_of(&[
            ("kdump.conf", "xfs UUID=1\n"),
            ("sysconfig/kdump", &append("mpt3sas,xfs"))
        ]),
        [
            (1, Level::Note, "mpt3sas".to_owned()),
            (1, Level::Error, "xfs".to_owned())
        ]
    );
    assert_eq!(
        together_of(&[
            ("kdump.conf", "ssh a@b\ncore_collector scp\n"),
            ("cmdline", "ro modprobe.blacklist=i40e crashkernel=256M\n")
        ]),
        [(1, Level::Note, "i40e".to_owned())]
    );
    // Two of a kind: which belongs to which is not known.
    assert_eq!(
        together_of(&[nvme, nvme, ("sysconfig/kdump", &append("nvme"))]),
        []
    );
}

const SCENARIO: &str = "\
name: a
about: A drill.
image: debian-12
machine:
  cpus: 4
  devices:
    - {device: virtio-serial, msix: 64, count: 4}
    - {device: ahci, target: true}
crashkernel: 256M
kdump:
  conf: |
    ext4 /dev/sda
    core_collector makedumpfile -F -d 31
    fence_kdump_nodes other
  sysconfig: |
    KDUMP_COMMANDLINE_APPEND=\"irqpoll nr_cpus=1 reset_devices\"
variants:
  a: {}
  b:
    kdump.sysconfig: |
      KDUMP_COMMANDLINE_APPEND=\"nr_cpus=4 rd.driver.blacklist=ahci\"
";

#[test]
fn scenarios() {
    let inputs = [Input {
        name: "a.yaml",
        bytes: SCENARIO.as_bytes(),
    }];
    let checked = check(&inputs, Settings::default());
    let found: Vec<(Lint, usize, &str)> = checked.files[0]
        .findings
        .iter()
        .map(|it| (it.lint, it.line, it.message.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            (
                Lint::Suspicious,
                13,
                "`-F` on a file system: kdump takes it out again, and the dump is not flattened"
            ),
            (
                Lint::Scenario,
                14,
                "in a direct drill `fence_kdump_nodes` is not emulated yet"
            ),
            (
                Lint::Vectors,
                15,
                "the devices' drivers take 258 interrupt vectors, and the capture kernel's one \
                 CPU has about 190 (variant a)"
            ),
            (
                Lint::DriverKeptOut,
                20,
                "rd.driver.blacklist keeps ahci out of the capture kernel, and the dump target \
                 needs it (variant b)"
            ),
        ]
    );
}

#[test]
fn a_generic_that_a_model_would_be() {
    let text = "name: a\nabout: A.\nimage: debian-12\nmachine:\n  devices:\n    \
                - {device: generic, id: 8086:1572}\n    - {device: generic, id: 10de:1db4}\n    \
                - {device: nvme, target: true}\ncrashkernel: 256M\n";
    let input = Input {
        name: "a.yaml",
        bytes: text.as_bytes(),
    };
    let checked = check(&[input], Settings::default());
    let found: Vec<_> = checked.files[0]
        .findings
        .iter()
        .map(|it| (it.level, it.line, it.help.as_deref()))
        .collect();
    assert_eq!(found, [(Level::Note, 6, Some("`device: i40e`"))]);
}

#[test]
fn auto_in_a_scenario_is_of_red_hats_kernels() {
    let found = |flavour: &str| {
        let text = format!(
            "name: a\nabout: A.\nimage: debian-12\nmachine:\n  memory: 4G\n  devices:\n    \
             - {{device: nvme, target: true}}\ncrashkernel: auto\nkdump:\n  flavour: {flavour}\n"
        );
        let bytes = text.as_bytes();
        let input = Input {
            name: "a.yaml",
            bytes,
        };
        let checked = check(&[input], Settings::default());
        let found = checked.files[0].findings.iter();
        let found = found.filter(|it| it.lint == Lint::Crashkernel);
        found
            .map(|it| (it.level, it.help.clone().unwrap_or_default()))
            .collect::<Vec<_>>()
    };
    let help = |size| format!("write what RHEL's reserves on 4G: `crashkernel: {size}`");
    assert_eq!(found("rhel7"), [(Level::Note, help("161M"))]);
    assert_eq!(found("rhel8"), [(Level::Note, help("192M"))]);
    // This one's own kernel does not know it either.
    assert_eq!(found("rhel9")[0].0, Level::Warning);
}

#[test]
fn json() {
    let checked = one(Flavour::Rhel7, "kdump.conf", b"path /a\nblacklist \x1b\n");
    let line = findings_json(&checked, &checked.files[0]).unwrap();
    assert!(!line.contains('\n'));
    let document: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(document["kind"], "kdump-conf");
    assert_eq!(document["guessed-from"], serde_json::Value::Null);
    let finding = &document["findings"][0];
    assert_eq!(finding["level"], "error");
    assert_eq!(finding["lint"], "refused");
    assert_eq!(
        (&finding["line"], &finding["offset"]),
        (&2.into(), &8.into())
    );
}

/// Files like these took more than a minute each.
#[test]
fn a_file_with_very_many_names_or_words_ends_soon() {
    let names = |end: &str| -> String {
        (0..400_000u32)
            .map(|nth| format!("N{nth:x}{end}"))
            .collect()
    };
    let start = Instant::now();
    let assignments = names("=1\n");
    let assignments = assignments.as_bytes();
    for (flavour, name) in [
        (Flavour::Rhel7, "sysconfig/kdump"),
        (Flavour::Opensuse, "sysconfig/kdump"),
        (Flavour::Debian, "kdump-tools"),
    ] {
        assert_eq!(one(flavour, name, assignments).files[0].findings.len(), 100);
    }
    let mut removed = names(" ");
    removed.truncate(60_000);
    let sysconfig = format!("KDUMP_COMMANDLINE_REMOVE=\"{removed}\"\n");
    let line = names(" ");
    let inputs = [
        Input {
            name: "sysconfig/kdump",
            bytes: sysconfig.as_bytes(),
        },
        Input {
            name: "cmdline",
            bytes: line.as_bytes(),
        },
    ];
    check(
        &inputs,
        Settings {
            flavour: Some(Flavour::Rhel7),
            memory: None,
        },
    );
    assert!(start.elapsed() < Duration::from_secs(60));
}

proptest! {
    #[test]
    fn any_files(
        conf in "((path|ext4|raw|blacklist|dracut_args) ?[ \"'#=,\r\n\\PC]{0,10}){0,4}",
        sysconfig in "((KDUMP_COMMANDLINE_APPEND|KDUMP_SAVEDIR|USE_KDUMP)=?\"?(nr_cpus=|rd.driver.blacklist=|nvme|,| |\"|\n|\\PC){0,8}){0,3}",
        cmdline in "(crashkernel=|[0-9]|G|-|:|,high| |\"|\\PC){0,16}",
        flavour in proptest::option::of(proptest::sample::select(&Flavour::ALL[..])),
    ) {
        let inputs = [
            Input { name: "kdump.conf", bytes: conf.as_bytes() },
            Input { name: "sysconfig/kdump", bytes: sysconfig.as_bytes() },
            Input { name: "kdump-tools", bytes: sysconfig.as_bytes() },
            Input { name: "cmdline", bytes: cmdline.as_bytes() },
        ];
        let checked = check(&inputs, Settings { flavour, memory: Some(MEMORY) });
        for file in &checked.files {
            for finding in &file.findings {
                let part = file.text.get(finding.at.clone());
                prop_assert!(part.is_some(), "{finding:?}");
            }
            findings_json(&checked, file).unwrap();
        }
        findings_text(&checked, 80, true);
    }

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        for name in ["kdump.conf", "sysconfig/kdump", "kdump-tools", "cmdline", "a.yaml", "-"] {
            findings_text(&one(Flavour::Rhel7, name, &bytes), 80, false);
        }
    }
}
