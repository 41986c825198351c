//! What the harness asks of /init where it is not PID 1 but a program on a distribution's disk:
//! its arguments, written into a unit or a script.

use crate::words::SyntaxError;

/// The unit that arms kdump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Service {
    /// It has run at boot.
    Started(String),
    /// Its configuration may have come later than it ran, so it is started again.
    Restarted(String),
}

impl Service {
    /// Its name, such as `kdump.service`.
    pub fn unit(&self) -> &str {
        match self {
            Self::Started(unit) | Self::Restarted(unit) => unit,
        }
    }

    fn verb(&self) -> &'static str {
        match self {
            Self::Started(_) => "started",
            Self::Restarted(_) => "restarted",
        }
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// In the first kernel: say whether kdump is armed, and crash.
    Crash {
        /// Who arms it.
        service: Service,
        /// The CPU that writes to /proc/sysrq-trigger.
        cpu: u32,
        /// As [`crate::order::FirstOrder::token`].
        token: String,
        /// For modprobe(8), in this order.
        drivers: Vec<String>,
    },
    /// In the capture kernel: report its devices, and let it go on.
    Look,
    /// In the initramfs of a capture kernel that has given up: report its devices, and power off
    /// instead of waiting for somebody at the console.
    Lost,
}

impl Task {
    /// As arguments, each without blanks as long as unit, token and drivers have none.
    pub fn encode(&self) -> Vec<String> {
        match self {
            Self::Crash {
                service,
                cpu,
                token,
                drivers,
            } => {
                let mut arguments = vec![
                    "crash".to_owned(),
                    service.verb().to_owned(),
                    service.unit().to_owned(),
                    cpu.to_string(),
                    token.clone(),
                ];
                arguments.extend(drivers.iter().cloned());
                arguments
            }
            Self::Look => vec!["look".to_owned()],
            Self::Lost => vec!["lost".to_owned()],
        }
    }

    /// Reads what [`Task::encode`] wrote.
    ///
    /// # Errors
    /// Anything else.
    pub fn decode(arguments: &[String]) -> Result<Self, SyntaxError> {
        match arguments {
            [verb, how, unit, cpu, token, drivers @ ..] if verb == "crash" => Ok(Self::Crash {
                service: match how.as_str() {
                    "started" => Service::Started(unit.clone()),
                    "restarted" => Service::Restarted(unit.clone()),
                    _ => return Err(SyntaxError::new(format!("no service is `{how}`"))),
                },
                cpu: cpu
                    .parse()
                    .map_err(|_| SyntaxError::new(format!("`{cpu}` is no CPU")))?,
                token: token.clone(),
                drivers: drivers.to_vec(),
            }),
            [verb] if verb == "look" => Ok(Self::Look),
            [verb] if verb == "lost" => Ok(Self::Lost),
            other => Err(SyntaxError::new(format!(
                "no task is `{}`",
                other.join(" ")
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let crash = |service| Task::Crash {
            service,
            cpu: 3,
            token: "0123456789abcdef".to_owned(),
            drivers: vec!["nvme".to_owned(), "virtio_console".to_owned()],
        };
        for task in [
            crash(Service::Started("kdump-tools.service".to_owned())),
            crash(Service::Restarted("kdump.service".to_owned())),
            Task::Look,
            Task::Lost,
        ] {
            assert_eq!(Task::decode(&task.encode()), Ok(task));
        }
    }

    #[test]
    fn anything_else_is_an_error() {
        for arguments in [
            &[][..],
            &["crash"],
            &["crash", "started", "u", "x", "y"],
            &["crash", "stopped", "u", "0", "y"],
            &["look", "up"],
        ] {
            let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
            assert!(Task::decode(&arguments).is_err(), "{arguments:?}");
        }
    }
}
