//! The configuration of a drill for an image's cloud-init: a seed of its NoCloud data source.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use crashdrill_guest::agent::Task;
use serde_json::json;

use super::{AGENT, Unit, iso9660};
use crate::image::KdumpService;
use crate::initramfs::GUEST_INIT;
use crate::scenario::model::{Kdump, SysconfigFile};

/// What NoCloud looks for.
const LABEL: &str = "cidata";
const AGENT_FILE: &str = "agent";
const MOUNT_POINT: &str = "/run/crashdrill";

/// The texts of a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    /// meta-data: a name that cloud-init has not seen, or it would not act.
    pub meta_data: String,
    /// user-data: a cloud-config.
    pub user_data: String,
}

impl Seed {
    /// For a drill with this token. JSON is YAML.
    pub(super) fn new(kdump: &Kdump, service: KdumpService, crash: &Task, token: &str) -> Self {
        let mut files: Vec<(String, String)> = files(kdump)
            .into_iter()
            .map(|(path, text)| (path.to_owned(), text.to_owned()))
            .collect();
        let mut steps = vec![
            format!("mkdir -p {MOUNT_POINT}"),
            format!("mount -t iso9660 -o ro,exec /dev/disk/by-label/{LABEL} {MOUNT_POINT}"),
        ];
        // kdump-tools saves the dump on the root file system, where the agent can be put;
        // kdumpctl does so in an initramfs.
        if service == KdumpService::KdumpTools {
            let look = Unit::look();
            steps.push(format!("install -D {MOUNT_POINT}/{AGENT_FILE} {AGENT}"));
            steps.push(format!(
                "mkdir -p $(dirname {link}) && ln -sf {} {link} && sync",
                look.path(),
                link = look.link()
            ));
            files.push((look.path(), look.text()));
        }
        // The medium has no execute bits of its own, and needs none.
        let order = crash.encode().join(" ");
        steps.push(format!(
            "exec {MOUNT_POINT}/{AGENT_FILE} {order} >/dev/console 2>&1"
        ));
        let files: Vec<_> = files
            .into_iter()
            .map(|(path, text)| json!({"path": path, "permissions": "0644", "content": text}))
            .collect();
        let config = json!({
            "write_files": files,
            "runcmd": [["sh", "-c", steps.join(" && ")]],
            // What cloud-init would change by itself.
            "growpart": {"mode": "off"},
            "resize_rootfs": false,
            "preserve_hostname": true,
            "ssh_deletekeys": false,
        });
        Self {
            meta_data: json!({"instance-id": format!("crashdrill-{token}")}).to_string() + "\n",
            user_data: format!("#cloud-config\n{config}\n"),
        }
    }

    /// The disk, without a name.
    pub(super) fn write(&self) -> io::Result<File> {
        let files = [
            ("meta-data", self.meta_data.as_bytes()),
            ("user-data", self.user_data.as_bytes()),
            (AGENT_FILE, GUEST_INIT),
        ]
        .map(|(name, bytes)| iso9660::File { name, bytes });
        let mut to = BufWriter::with_capacity(1 << 16, tempfile::tempfile()?);
        iso9660::write(LABEL, &files, &mut to)?;
        to.flush()?;
        to.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

/// The scenario's files, as they are; those that it does not have are left to the image.
pub(super) fn files(kdump: &Kdump) -> Vec<(&'static str, &str)> {
    let sysconfig = match &kdump.sysconfig {
        SysconfigFile::Text(text) => Some(text),
        SysconfigFile::Keys(_) => None,
    };
    [
        ("/etc/kdump.conf", kdump.conf.as_ref()),
        ("/etc/sysconfig/kdump", sysconfig),
        (super::KDUMP_TOOLS, kdump.kdump_tools.as_ref()),
    ]
    .into_iter()
    .filter_map(|(path, text)| Some((path, text?.as_str())))
    .collect()
}

#[cfg(test)]
mod tests {
    use crashdrill_guest::agent::Service;

    use super::*;

    #[test]
    fn the_files_and_the_agents_task_are_in_the_user_data() {
        let crash = Task::Crash {
            service: Service::Restarted("kdump.service".to_owned()),
            cpu: 1,
            token: "00ff".to_owned(),
            drivers: Vec::new(),
        };
        let conf = "path /var/crash\n# \"it's\" \\n \u{e4}\tcore_collector makedumpfile -l\n";
        let kdump = Kdump {
            conf: Some(conf.to_owned()),
            sysconfig: SysconfigFile::Text("KDUMP_IMG='vmlinuz'\n".to_owned()),
            ..Kdump::default()
        };
        let seed = Seed::new(&kdump, KdumpService::Kdumpctl, &crash, "00ff");
        let text = seed.user_data.strip_prefix("#cloud-config\n").unwrap();
        // As cloud-init reads it.
        let config: serde_json::Value = serde_yaml::from_str(text).unwrap();
        let files = config["write_files"].as_array().unwrap();
        assert_eq!(files.len(), 2);
        assert_eq!(files[0]["path"], "/etc/kdump.conf");
        assert_eq!(files[0]["content"], conf);
        assert_eq!(files[1]["path"], "/etc/sysconfig/kdump");
        let run = config["runcmd"][0][2].as_str().unwrap();
        let (_, order) = run.split_once("/agent ").unwrap();
        let (order, _) = order.split_once(" >").unwrap();
        let order: Vec<String> = order.split(' ').map(str::to_owned).collect();
        assert_eq!(Task::decode(&order).unwrap(), crash);
        assert!(seed.meta_data.contains("crashdrill-00ff"));

        let seed = Seed::new(&Kdump::default(), KdumpService::KdumpTools, &crash, "00ff");
        let config: serde_json::Value = serde_yaml::from_str(&seed.user_data).unwrap();
        let look = Unit::look();
        assert_eq!(config["write_files"][0]["path"], look.path());
        assert_eq!(config["write_files"][0]["content"], look.text());
        let run = config["runcmd"][0][2].as_str().unwrap();
        let enables = format!("ln -sf {} {} ", look.path(), look.link());
        assert!(run.contains(&enables), "{run}");
    }
}
