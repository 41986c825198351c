//! The `crashdrill` command.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use crashdrill::cli::Args;

fn main() -> ExitCode {
    let args = Args::parse();
    if args.accepts() && std::env::var_os("CI").is_some_and(|ci| ci != "false" && ci != "0") {
        let error = "error: with CI set, snapshots are never written: --accept does nothing here";
        let _ = writeln!(std::io::stderr(), "{error}");
        return ExitCode::from(2);
    }
    // insta reads these when it compares for the first time. crashdrill prints the differences
    // itself, and --accept is insta's own way to write a snapshot.
    // SAFETY: no other thread exists yet that could read the environment.
    unsafe {
        std::env::set_var("INSTA_OUTPUT", "none");
        if args.accepts() {
            std::env::set_var("INSTA_UPDATE", "always");
        }
    }
    match args.execute() {
        Ok(status) => status.into(),
        Err(error) => {
            let code = error.code();
            error.show();
            ExitCode::from(code)
        }
    }
}
