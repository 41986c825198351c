//! Questions to the monitor that QEMU has for people (HMP): it tells what QMP does not.

use std::time::Duration;

use serde_json::{Value, json};

use crate::machine::{Qmp, QmpError};

/// For all answers together; a busy host is slow, not silent.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

/// A census that could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum CensusError {
    /// The monitor.
    #[error("the census could not be taken: {0}")]
    Qmp(#[from] QmpError),
    /// An answer that is not as QEMU's are.
    #[error("the census could not be taken: QEMU's answer to `{command}` is not understood")]
    Answer {
        /// The command.
        command: &'static str,
    },
}

/// Gives the answers in the order of the commands.
pub(super) async fn ask(qmp: &mut Qmp, commands: Vec<String>) -> Result<Vec<Value>, CensusError> {
    let commands = commands
        .into_iter()
        .map(|command| json!({ "command-line": command }));
    let answers = qmp.execute_many("human-monitor-command", commands.collect(), LIMIT);
    Ok(answers.await?)
}

pub(super) fn not_understood(command: &'static str) -> CensusError {
    CensusError::Answer { command }
}
