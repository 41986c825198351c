//! What /init prints on the console, where it is fixed text. The words are those of RHEL 7's
//! kdumpctl and kdump.sh wherever these have words for it.

/// Where /init mounts the dump target.
pub const TARGET_MOUNT_POINT: &str = "/kdumproot";

/// kdumpctl: crashkernel= is absent, or its memory could not be reserved.
pub const NO_MEMORY_RESERVED: &str = "kdump: No memory reserved for crash kernel";
/// kdumpctl: kexec succeeded.
pub const KEXEC_LOADED: &str = "kdump: kexec: loaded kdump kernel";
/// kdumpctl: kexec failed.
pub const KEXEC_FAILED: &str = "kdump: kexec: failed to load kdump kernel";
/// kdumpctl: the first kernel is armed.
pub const STARTING_OK: &str = "kdump: Starting kdump: [OK]";
/// kdumpctl: the first kernel is not armed.
pub const STARTING_FAILED: &str = "kdump: Starting kdump: [FAILED]";

/// Ours: the first line of the capture kernel's /init.
pub const LOADING_DRIVERS: &str = "kdump: crashdrill capture init: loading drivers";
/// dracut: the dump target did not appear in time. A second line names it.
pub const TARGET_TIMEOUT: &str = "Warning: dracut-initqueue timeout - starting timeout scripts";
/// kdump.sh: nothing is mounted where the dump should go.
pub const NOT_A_MOUNT_POINT: &str =
    "kdump: failed to dump to '/kdumproot', it's not a mount point!";
/// kdump.sh: so there will be no dump.
pub const PRE_FAILED: &str = "kdump: kdump_pre script exited with non-zero status!";
/// kdump.sh.
pub const POST_FAILED: &str = "kdump: kdump_post script exited with non-zero status!";
/// kdump.sh: followed by the directory, which ends in `/`.
pub const SAVING_TO: &str = "kdump: saving to ";
/// kdump.sh: the core collector starts.
pub const SAVING: &str = "kdump: saving vmcore";
/// kdump.sh: the dump is synced and carries its final name.
pub const SAVING_COMPLETE: &str = "kdump: saving vmcore complete";
/// kdump.sh: followed by the core collector's status as a shell counts it.
pub const SAVING_FAILED: &str = "kdump: saving vmcore failed, exitcode:";
/// kdump.sh: the collector was content, the file system was not.
pub const SYNC_FAILED: &str = "kdump: sync vmcore failed";
/// kdump.sh: followed by the action.
pub const FAILURE_ACTION: &str = "kdump: Executing failure action ";
/// kdump.sh: followed by the action.
pub const FINAL_ACTION: &str = "kdump: Executing final action ";
