//! Names of source files, as compilers were given them.

use super::Source;

impl Source {
    /// A file as printed, without the directory that the kernel was built in.
    pub(super) fn new(file: &str, line: u32) -> Self {
        Self {
            file: in_tree(file).to_owned(),
            line,
        }
    }
}

/// The path within the kernel's tree. Distributions build in directories named after the package:
/// `/build/linux-W6HB68/linux-4.4.0/`, `/usr/src/debug/kernel-3.10.0-514.el7/linux-3.10.0.x86_64/`.
fn in_tree(path: &str) -> &str {
    let mut rest = path;
    while let Some(shorter) = rest.strip_prefix("./").or_else(|| rest.strip_prefix("../")) {
        rest = shorter;
    }
    let mut tree = rest;
    let mut from = 0;
    while let Some(slash) = rest.get(from..).and_then(|rest| rest.find('/')) {
        let directory = &rest[from..from + slash];
        from += slash + 1;
        let begins = path.starts_with('/')
            && tree.starts_with('/')
            && TREES.iter().any(|name| directory.contains(name))
            && TOP.iter().any(|top| rest[from..].starts_with(top));
        if begins || is_tree(directory) {
            tree = &rest[from..];
        }
    }
    tree
}

/// `linux-4.4.0`, `linux-hwe-6.5-6.5.0`, `kernel-3.10.0-514.el7`. No directory of the tree itself
/// has such a name.
fn is_tree(directory: &str) -> bool {
    let package = ["linux-", "kernel-"]
        .iter()
        .find_map(|package| directory.strip_prefix(package));
    package.is_some_and(|rest| {
        let versions = rest.split('-');
        versions.into_iter().any(|word| {
            let word = word.strip_prefix('v').unwrap_or(word);
            word.starts_with(|first: char| first.is_ascii_digit()) && word.contains('.')
        })
    })
}

/// What a directory that holds a kernel's tree is often named like.
const TREES: [&str; 4] = ["linux", "kernel", "common", "src"];

/// The directories at the top of the tree.
const TOP: [&str; 17] = [
    "arch/",
    "block/",
    "crypto/",
    "drivers/",
    "fs/",
    "include/",
    "init/",
    "io_uring/",
    "ipc/",
    "kernel/",
    "lib/",
    "mm/",
    "net/",
    "rust/",
    "security/",
    "sound/",
    "virt/",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths() {
        for (printed, file) in [
            ("net/sched/sch_generic.c", "net/sched/sch_generic.c"),
            ("./include/linux/skbuff.h", "include/linux/skbuff.h"),
            ("../mm/slub.c", "mm/slub.c"),
            ("../../../net/core/dev.c", "net/core/dev.c"),
            (
                "/build/linux-W6HB68/linux-4.4.0/net/sched/sch_generic.c",
                "net/sched/sch_generic.c",
            ),
            ("/build/buildd/linux-3.2.0/mm/highmem.c", "mm/highmem.c"),
            (
                "/build/linux-hwe-6.5-34pCLi/linux-hwe-6.5-6.5.0/drivers/gpu/drm/x.c",
                "drivers/gpu/drm/x.c",
            ),
            ("/usr/src/linux/fs/inode.c", "fs/inode.c"),
            ("/usr/src/linux-source-5.4.0/fs/inode.c", "fs/inode.c"),
            (
                "/usr/src/debug/kernel-3.10.0-514.el7/linux-3.10.0-514.el7.x86_64/mm/slub.c",
                "mm/slub.c",
            ),
            ("/home/kernel/COD/linux/drivers/x.c", "drivers/x.c"),
            (
                "/mnt/disk/openwrt/build_dir/linux-4.14.95/mm/slab.c",
                "mm/slab.c",
            ),
            ("/a/b.c", "/a/b.c"),
            (
                "/home/me/kernel/arch/x86/kernel/net/x.c",
                "arch/x86/kernel/net/x.c",
            ),
            // A module's own.
            (
                "/var/lib/dkms/zfs/2.1.5/build/module/zfs/arc.c",
                "/var/lib/dkms/zfs/2.1.5/build/module/zfs/arc.c",
            ),
            ("drivers/net/linux-x/y.c", "drivers/net/linux-x/y.c"),
            ("", ""),
            ("../", ""),
        ] {
            assert_eq!(in_tree(printed), file, "{printed}");
        }
    }

    proptest! {
        #[test]
        fn any_path_is_survived(path in "[a-z/.ä-]{0,60}") {
            prop_assert!(path.ends_with(in_tree(&path)));
        }
    }
}
