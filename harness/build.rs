//! Builds /init of both kernels, static, so that the library can carry it.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const TARGET: &str = "x86_64-unknown-linux-gnu";

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), Box<dyn Error>> {
    let harness = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let workspace = harness
        .parent()
        .ok_or("harness/ is expected inside the workspace")?;
    let out = PathBuf::from(variable("OUT_DIR")?);

    // insta would run `cargo metadata` at run time to learn this.
    println!(
        "cargo:rustc-env=INSTA_WORKSPACE_ROOT={}",
        workspace.display()
    );
    for source in [
        "harness/guest/src",
        "harness/guest/Cargo.toml",
        "Cargo.toml",
        "Cargo.lock",
    ] {
        println!(
            "cargo:rerun-if-changed={}",
            workspace.join(source).display()
        );
    }

    let target_dir = out.join("guest");
    let status = cargo(workspace, &target_dir)?
        .status()
        .map_err(|error| format!("cargo, which builds the guest's /init, did not run: {error}"))?;
    if !status.success() {
        return Err(format!(
            "building the guest's /init (crashdrill-init, static) failed: {status}.\n\
             The compiler's message is above. What it needs:\n\
             - Rust's standard library for {TARGET}: rustup target add {TARGET}\n\
             - the static C library, libc.a: apt install libc6-dev (Debian, Ubuntu), \
             dnf install glibc-static (Fedora, RHEL)"
        )
        .into());
    }
    let built = target_dir.join(TARGET).join("guest/crashdrill-init");
    std::fs::copy(&built, out.join("crashdrill-init"))
        .map_err(|error| format!("{}: {error}", built.display()))?;
    Ok(())
}

/// A cargo of its own: the guest is static and built for size whatever the harness is built for.
///
/// Offline, always: the guest's dependencies are the harness's too, so the cargo that runs this
/// script has fetched them.
fn cargo(workspace: &Path, target_dir: &Path) -> Result<Command, Box<dyn Error>> {
    let mut cargo = Command::new(variable("CARGO")?);
    cargo
        .current_dir(workspace)
        .args(["build", "--locked", "--offline", "--profile", "guest"])
        .args(["-p", "crashdrill-guest", "--bin", "crashdrill-init"])
        .args(["--target", TARGET, "--target-dir"])
        .arg(target_dir);
    // What the outer cargo, its user or its subcommand (clippy, llvm-cov) set for the harness.
    for (name, _) in env::vars_os() {
        let is_for_the_harness = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_BUILD_")
                || name.starts_with("CARGO_PROFILE_")
                || name == "CARGO_TARGET_DIR"
                || name == "RUSTFLAGS"
                || name == "RUSTC_WORKSPACE_WRAPPER"
        });
        if is_for_the_harness {
            cargo.env_remove(name);
        }
    }
    cargo.env(
        "CARGO_ENCODED_RUSTFLAGS",
        "-Ctarget-feature=+crt-static\x1f-Crelocation-model=static",
    );
    Ok(cargo)
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}; this is a build script of cargo"))
}
