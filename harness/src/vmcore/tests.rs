use std::fs::File;
use std::time::Instant;

use super::*;

/// Prints what is found in a real dump; compare by hand with `makedumpfile --dump-dmesg`.
#[test]
#[ignore = "needs a real dump: CRASHDRILL_TEST_VMCORE=/path/to/vmcore"]
fn real_dump() {
    let path = std::env::var("CRASHDRILL_TEST_VMCORE").expect("CRASHDRILL_TEST_VMCORE is not set");
    let file = File::open(&path).unwrap();
    let len = file.metadata().unwrap().len();
    let start = Instant::now();
    let found = inspect(&file, len).unwrap();
    let took = start.elapsed();
    println!(
        "{path}: {took:?} {} {:?} {:?} {:?} {:?} {} pages, {:?}",
        found.format,
        found.dump_level,
        found.complete,
        found.release,
        found.crash_time,
        found.pages,
        found.panic,
    );
    match &found.dmesg {
        Ok(text) => {
            println!("log of {} bytes", text.len());
            if let Ok(out) = std::env::var("CRASHDRILL_TEST_DMESG") {
                std::fs::write(out, text).unwrap();
            }
        }
        Err(error) => println!("no log: {error}"),
    }
}
